"""The calls that an endpoint had lately, in their order, as far as the portal knows them.

Those are the calls of its pages and its API, and those of experiments: of these rows have the first
and the last of each version alone, but the seed gives all of them again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from django.db.models import Q

from core import clock
from endpoints.models import Endpoint, Revision
from invocations import recording
from invocations.experiments import drawing
from invocations.experiments.targets import CallTarget
from invocations.models import Experiment, Invocation

MOST_CALLS = 5000
"""The newest calls that are looked at."""
MOST_EXPERIMENTS = 10
LOOKED_BACK = timedelta(hours=24)


@dataclass(frozen=True)
class Traffic:
    """Calls since a time. ``versions``: the key of the version of each, in their order.

    ``complete``: whether all are in it, not the newest alone. ``said``: of so many it is known
    whether they were cold; ``cold``: how many of those were, by version. ``wait_ms``: how much
    longer a cold call took than a warm one, by their medians; None where it is not known.
    """

    since: datetime
    until: datetime
    versions: Sequence[int]
    complete: bool
    said: int
    cold: Counter[int]
    wait_ms: float | None

    @property
    def counts(self) -> Counter[int]:
        """How often each version was called."""
        return Counter(self.versions)

    @property
    def pause_s(self) -> float:
        """Seconds from one call to the next, on average."""
        span = (self.until - self.since).total_seconds()
        return span / len(self.versions) if self.versions else span

    @property
    def cold_share(self) -> float | None:
        """The share of cold calls; None where it is not known of any."""
        return self.cold.total() / self.said if self.said else None

    def again_share(self, instances: int) -> float | None:
        """The same without a first load of each version on each instance, which nothing spares."""
        if not self.said:
            return None
        return sum(max(0, one - instances) for one in self.cold.values()) / self.said


@dataclass(frozen=True)
class _ExperimentCalls:
    """Calls of an experiment, which were made from one time to another."""

    begin: datetime
    end: datetime
    versions: Sequence[int]


def lately(endpoint: Endpoint) -> Traffic:
    """The calls of the last day, or since its configuration serves, whichever is later."""
    recording.recorder().settle()
    until = endpoint.gone_at or clock.now()
    since = until - LOOKED_BACK
    serving = endpoint.revisions.filter(state=Revision.State.SERVING).first()
    if serving is not None and serving.settled_at is not None:
        since = max(since, serving.settled_at)
    experiments = list(
        Experiment.objects.filter(endpoint=endpoint, started_at__gte=since)
        .order_by("-started_at")
        .defer("progress")[:MOST_EXPERIMENTS]
    )
    rows = Invocation.everybodys.traffic().filter(
        endpoint=endpoint, created_at__gte=since, state=Invocation.State.DONE
    )
    # What experiments/listed_calls.py wrote of them is in their own results.
    of_experiments = Q(pk__in=[])
    for one in experiments:
        end = one.finished_at or until
        of_experiments |= Q(request_id="", created_at__range=(one.started_at, end))
    columns = ("created_at", "version_id", "cold", "latency_ms")
    newest = rows.exclude(of_experiments).order_by("-created_at")
    found = list(newest.values_list(*columns)[: MOST_CALLS + 1])
    calls = [(at, version) for at, version, _cold, _ms in found[:MOST_CALLS]]
    said = [(version, cold, ms) for _at, version, cold, ms in found if cold is not None]
    warm_ms = [ms for _version, cold, ms in said if not cold and ms is not None]
    cold_ms = [ms for _version, cold, ms in said if cold and ms is not None]
    cold_counts = Counter(version for version, cold, _ms in said if cold)
    number = len(said)
    waits = []
    if warm_ms and cold_ms:
        waits.append((len(cold_ms), max(0.0, median(cold_ms) - median(warm_ms))))
    for experiment in experiments:
        block = _calls_of(experiment, until)
        calls += _spread(block)
        number += _add_cold(experiment, cold_counts)
        waits += _wait_of(experiment)
    calls.sort(key=lambda one: one[0])
    whole = sum(weight for weight, _ms in waits)
    return Traffic(
        since=since,
        until=until,
        versions=[version for _at, version in calls[-MOST_CALLS:]],
        complete=len(found) <= MOST_CALLS and len(calls) <= MOST_CALLS,
        said=number,
        cold=cold_counts,
        wait_ms=sum(weight * ms for weight, ms in waits) / whole if whole else None,
    )


def _calls_of(experiment: Experiment, until: datetime) -> _ExperimentCalls:
    """What an experiment called so far: its draw, as far as it has come."""
    targets = CallTarget.all_from(experiment.targets)
    made = int(experiment.result.get("calls", 0))
    draw = drawing.drawn(
        experiment.draw,
        seed=experiment.seed,
        calls=experiment.calls,
        targets=len(targets),
        recorded=experiment.recorded,
    )
    versions = [targets[n].version for n in draw.targets[:made]]
    return _ExperimentCalls(
        experiment.started_at or until, experiment.finished_at or until, versions
    )


def _spread(block: _ExperimentCalls) -> list[tuple[datetime, int]]:
    """Its calls with their times, as if the pauses were alike."""
    step = (block.end - block.begin) / max(1, len(block.versions))
    return [(block.begin + n * step, version) for n, version in enumerate(block.versions)]


def _add_cold(experiment: Experiment, cold: Counter[int]) -> int:
    """Add the cold calls of an experiment; returns of how many calls it is known."""
    known = 0
    versions = {one.name: one.version for one in CallTarget.all_from(experiment.targets)}
    for name, told in experiment.result.get("targets", {}).items():
        if told["cold_share"] is not None:
            known += told["succeeded"]
            if told["cold"]:
                cold[versions[name]] += told["cold"]
    return known


def _wait_of(experiment: Experiment) -> list[tuple[int, float]]:
    """How many cold calls an experiment had, and how much longer they took; nothing of none."""
    told = experiment.result.get("latency_ms", {})
    slow, fast = (told.get(kind, {}).get("p50") for kind in ("cold", "warm"))
    if slow is None or fast is None:
        return []
    return [(int(experiment.result["cold"]), max(0.0, slow - fast))]
