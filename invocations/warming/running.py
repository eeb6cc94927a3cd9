"""Warm models: call each of several versions once, so that the next call finds it in memory.

What is to be called is written first. A job then calls one version, and writes what came of it with
the renewal of its lease; so a worker that is killed loses one call at most, and that version is
called again. The calls are those of services.py, in the lists of calls, told apart as warming: they
count not as traffic.
"""

import io
import logging
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from activity.services import record
from core import backoff, clock, waiting
from core.jobs import enqueue_on_commit
from core.lease import Lease, LeaseLost
from core.sentences import Sentence, phrase
from endpoints.models import Endpoint
from invocations import payload, samples, services
from invocations.experiments.refused import ExperimentRefused
from invocations.experiments.targets import CallTarget
from invocations.models import Invocation, Warming
from invocations.payload import Payload
from invocations.pictures import NotAPicture
from invocations.warming import chosen
from models_catalog.models import Version

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
MOST_ATTEMPTS = 5
"""After so many at one version it is given up, and the next one is called."""
_LOOK_EVERY_S = 5.0  # while a call goes on; far below the lease
_TASK = "invocations.tasks.warm"
# What a container refuses only once the model is loaded.
_LOADED_ANYWAY = "model-refused"


class WarmingRefused(Exception):
    """Nothing was called; ``str()`` says why. ``code`` is that of the API's problem."""

    def __init__(self, said: str, code: str = "conflict") -> None:
        super().__init__(said)
        self.code = code


class WarmingUnderWay(WarmingRefused):
    """The same, as models of the endpoint are being warmed already: later it may begin."""


def start(
    *,
    endpoint: Endpoint,
    models: str,
    actor: User | None,
    reason: str = Warming.Reason.ASKED,
) -> Warming:
    """Have a job call each version once.

    Raises WarmingRefused, and WarmingUnderWay, with nothing written.
    """
    if not endpoint.serving:
        said = _("The endpoint %(name)s is not in service now. Nothing was called.")
        raise WarmingRefused(said % {"name": endpoint.name}, "endpoint-not-in-service")
    found = named_versions(models, endpoint)
    with transaction.atomic():
        # Two requests at a time must not both find none running: the second waits for the first.
        Endpoint.objects.select_for_update().get(pk=endpoint.pk)
        if Warming.objects.unfinished().filter(endpoint=endpoint).exists():
            said = _("Models of %(name)s are being warmed already. Wait, or stop that first.")
            raise WarmingUnderWay(said % {"name": endpoint.name})
        warming = Warming.objects.create(
            endpoint=endpoint,
            created_by=actor,
            created_by_name=actor.get_username() if actor is not None else "",
            reason=reason,
            named=models.strip(),
            targets=[one.as_json() for one in found],
        )
        if reason == Warming.Reason.ASKED:
            record(
                action="warming.requested",
                subject=warming,
                parameters={"endpoint": endpoint.name, "versions": len(found)},
                actor=actor,
            )
        enqueue_on_commit(_TASK, warming.pk)
    return warming


def named_versions(models: str, endpoint: Endpoint) -> list[CallTarget]:
    """What ``models`` means on an endpoint now. Raises WarmingRefused."""
    try:
        found = chosen.resolve(models, endpoint)
    except ExperimentRefused as refused:
        raise WarmingRefused(str(refused), refused.code) from None
    if not found:
        said = _("No alias points at a version that the endpoint serves. Nothing was called.")
        raise WarmingRefused(said, "not-found")
    return found


def stop(*, warming: Warming, actor: User) -> None:
    """Call no further version; what is under way ends by itself. Idempotent."""
    with transaction.atomic():
        rows = Warming.objects.unfinished().filter(pk=warming.pk)
        if rows.update(state=Warming.State.STOPPED, finished_at=clock.now()):
            record(
                action="warming.stopped",
                subject=warming,
                parameters={"endpoint": warming.endpoint.name},
                actor=actor,
            )
    warming.refresh_from_db(fields=["state", "finished_at"])


def wait_until_done(uid: str, *, seconds: float) -> None:
    """Return when it has ended, or after ``seconds``; see core/waiting.py."""
    state = Warming.objects.filter(uid=uid).values_list("state", flat=True)
    waiting.until(state.first, lambda found: found != Warming.State.RUNNING, seconds=seconds)


# --- the job -----------------------------------------------------------------------------------


def resume() -> None:
    """Queue each warming that is due: what Redis lost, was cut off, or waits."""
    for pk in Warming.objects.due().values_list("pk", flat=True)[:20]:
        enqueue_on_commit(_TASK, pk)


def step(*, warming_pk: int) -> None:
    """Call the next version, and queue the step after; idempotent."""
    warming = Warming.objects.listed().claim(warming_pk, lease=LEASE)
    if warming is None:
        return
    lease = Lease(Warming.objects.all(), warming, LEASE)
    try:
        _step(warming, lease)
    except LeaseLost:
        log.info("The warming %s was stopped, or another worker has it.", warming.uid)


def _step(warming: Warming, lease: Lease[Warming]) -> None:
    targets = CallTarget.all_from(warming.targets)
    results: list[dict[str, Any]] = list(warming.results)
    if len(results) < len(targets):
        target = targets[len(results)]
        if warming.attempts > MOST_ATTEMPTS:  # it has ended the workers before this one
            said = phrase("The portal failed at this version; its log says why.")
            results.append(_result(target, said=said))
        else:
            made = _call(warming, target, lease)
            if made is None and warming.attempts < MOST_ATTEMPTS:
                pause = backoff.pause(
                    warming.attempts, first=timedelta(seconds=1), longest=timedelta(seconds=30)
                )
                lease.release(check_after=clock.now() + pause)
                return
            if made is None:
                said = phrase("Too many calls are waiting for an answer. Try again in a moment.")
                made = _result(target, said=said)
            results.append(made)
    now = clock.now()
    if len(results) >= len(targets):
        lease.release(results=results, state=Warming.State.DONE, finished_at=now, attempts=0)
        return
    with transaction.atomic():
        lease.release(results=results, check_after=now, attempts=0)
        enqueue_on_commit(_TASK, warming.pk)


def _call(warming: Warming, target: CallTarget, lease: Lease[Warming]) -> dict[str, Any] | None:
    """Call a version and wait for its end; None where there is no place for the call just now."""
    rows = Version.objects.select_related("model").defer("report")
    version = rows.filter(pk=target.version).first()
    if version is None:
        return _result(target, said=phrase("The version was deleted meanwhile."))
    try:
        started = services.start(
            endpoint=warming.endpoint,
            version=version,
            payload=_payload(),
            actor=warming.created_by,
            asked=target.asked if "*" not in target.asked else target.name,
            warming=True,
        )
    except services.CallRefused as refused:
        if refused.code == "too-many-calls":
            return None
        return _result(target, said=refused.sentence)
    call = started.answered(_LOOK_EVERY_S)
    while not call.settled:
        lease.keep()
        call = started.answered(_LOOK_EVERY_S)
    return _result(target, call=call)


def _result(
    target: CallTarget, *, call: Invocation | None = None, said: Sentence | None = None
) -> dict[str, Any]:
    """What a row stores of a version that was called."""
    if call is not None and said is None:
        code = (call.error_code or {}).get("name") if isinstance(call.error_code, dict) else None
        said = None if code == _LOADED_ANYWAY else call.said
    return {
        "name": target.name,
        "cold": call.cold if call is not None else None,
        "latency_ms": call.latency_ms if call is not None else None,
        "call": (call.uid or "") if call is not None else "",
        "error": said.english() if said is not None else "",
        "error_code": said.as_json() if said is not None else None,
    }


def _payload() -> Payload:
    """What is sent: a sample, or what a container refuses once the model is loaded."""
    for sample in samples.all_samples():
        found = samples.read(sample.name)
        if found is None:
            continue
        try:
            return payload.read(io.BytesIO(found[0]), sample.name)
        except NotAPicture as problem:
            log.warning("The sample %s is left out: %s", sample.name, problem)
    return Payload("warming", "application/json", b"[]")
