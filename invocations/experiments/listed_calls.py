"""Which calls of an experiment are in the list of calls: the first and the last one of each target.

Thousands of them would hide all others. With these two it stays true when a version and an endpoint
were called last, which lists, searches and deletions ask the calls.

They have no ``request_id``: by that capacity/traffic.py knows them, as all calls of an experiment
are in its own result.
"""

from collections.abc import Mapping, Sequence

from core import clock
from core.sentences import phrase
from invocations.experiments.tally import MadeCall
from invocations.experiments.targets import CallTarget
from invocations.models import Experiment, Invocation
from models_catalog.models import Version


def write(
    experiment: Experiment, targets: Sequence[CallTarget], calls: Mapping[int, MadeCall]
) -> None:
    """Write the rows of these calls, by the index of their target."""
    known = set(
        Version.objects.filter(pk__in=[targets[key].version for key in calls]).values_list(
            "pk", flat=True
        )
    )
    now = clock.now()
    rows = []
    for key, call in calls.items():
        target = targets[key]
        if target.version not in known:
            continue
        failed = {}
        if call.error:
            said = phrase("A call of an experiment failed: %(code)s.", code=call.error)
            failed = Invocation.told(said.named(call.error))
        predictions = []
        if call.label and call.probability is not None:
            predictions = [{"label": call.label, "probability": call.probability}]
        rows.append(
            Invocation(
                endpoint_id=experiment.endpoint_id,
                version_id=target.version,
                target_model=target.target_model,
                asked=target.asked if "*" not in target.asked else target.name,
                created_at=now,
                created_by_id=experiment.created_by_id,
                state=Invocation.State.FAILED if failed else Invocation.State.DONE,
                predictions=predictions,
                cold=call.cold,
                latency_ms=call.latency_ms,
                **{"attempts": 1, **call.told},
                **failed,
            )
        )
    Invocation.objects.bulk_create(rows)
