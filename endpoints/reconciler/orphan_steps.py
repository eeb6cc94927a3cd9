"""Delete an orphan, one step at a time, until it is gone.

As with endpoints, no step waits: it looks, makes at most one changing call, and writes when the
next is due. Nothing goes that an endpoint of the portal owns by now, that another endpoint uses,
or that is not the one which was listed.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction

from activity.models import Event
from activity.services import record
from core import backoff, clock, errors
from core.lease import LeaseLost
from core.sentences import Sentence, phrase
from endpoints import leftovers, orphans, sagemaker
from endpoints.models import Orphan, Resource
from endpoints.orphans import Account, what
from endpoints.reconciler.kinds import KINDS, Found, ResourceKind
from endpoints.reconciler.run import AT_ONCE, LEASE, SOON, WHEN_STOPPED

logger = logging.getLogger(__name__)

LONGEST_PAUSE = timedelta(minutes=1)
#: Between two looks at what SageMaker deletes.
WAIT = timedelta(seconds=3)
_KINDS: dict[str, ResourceKind] = {kind.kind: kind for kind in KINDS}


@dataclass(frozen=True)
class StepOutcome:
    """What a step came to. ``said``: why it is still there; ``failed``: to try again later."""

    state: Orphan.State
    check_in: timedelta = AT_ONCE
    said: Sentence | None = None
    failed: bool = False


def advance_orphan(orphan_pk: int) -> bool:
    """Take one step with an orphan that is to be deleted; False where it is not due.

    Never raises for what AWS answers: that is written to the row, and tried again later.
    """
    row = Orphan.objects.claim(orphan_pk, lease=LEASE)
    if row is None:
        return False

    def hold() -> None:
        Orphan.objects.renew(row, lease=LEASE)

    try:
        outcome = _step(row, hold)
    except LeaseLost:
        logger.info("orphan %s: the lease was lost before anything was changed", row)
        return True
    except (errors.Throttled, errors.Busy) as error:
        pause = backoff.pause(row.attempts, first=SOON, longest=LONGEST_PAUSE)
        outcome = StepOutcome(Orphan.State(row.state), pause, error.sentence, failed=True)
    except errors.AwsError as error:
        outcome = StepOutcome(Orphan.State(row.state), WHEN_STOPPED, error.sentence, failed=True)
    _write(row, outcome)
    return True


def _step(row: Orphan, hold: Callable[[], None]) -> StepOutcome:
    if not row.adoptable:
        return _step_of_leftover(row, hold)
    kind = _KINDS[row.kind]
    if row.name.lower() in orphans.known_names(row.kind):
        return _stays(phrase("An endpoint of the portal owns it by now."))
    try:
        found = kind.describe(row.name)
    except errors.NotFound:
        return StepOutcome(Orphan.State.GONE)
    if found.created_at != row.made_at:
        return _stays(phrase("It is not the one that was listed: somebody made it anew."))
    if found.in_progress:
        return StepOutcome(Orphan.State(row.state), WAIT)
    if (refusal := _used(row, found, hold)) is not None:
        return refusal
    hold()
    logger.info("orphan %s: deleting it", row)
    try:
        kind.delete(row.name)
    except errors.NotFound:
        return StepOutcome(Orphan.State.GONE)
    return StepOutcome(Orphan.State.DELETING, WAIT if found.status else AT_ONCE)


def _step_of_leftover(row: Orphan, hold: Callable[[], None]) -> StepOutcome:
    """The same for what endpoints leave beside SageMaker's kinds."""
    if leftovers.lives(row.made_for):
        return _stays(phrase("There is an endpoint %(name)s again.", name=row.made_for))
    found = leftovers.find(row.kind, row.name)
    if found is None:
        return StepOutcome(Orphan.State.GONE)
    if found.created_at != row.made_at:
        return _stays(phrase("It is not the one that was listed: somebody made it anew."))
    hold()
    logger.info("orphan %s: deleting it", row)
    try:
        leftovers.delete(row.kind, row.name)
    except errors.NotFound:
        return StepOutcome(Orphan.State.GONE)
    return StepOutcome(Orphan.State.DELETING)


def _stays(why: Sentence) -> StepOutcome:
    return StepOutcome(Orphan.State.FOUND, said=why)


def _used(row: Orphan, found: Found, hold: Callable[[], None]) -> StepOutcome | None:
    """Why a config or a model cannot go yet, or stays; None: nothing uses it.

    SageMaker takes the deletion of either while an endpoint uses it, and then cannot replace an
    instance of that endpoint (BC: DeleteEndpointConfig, DeleteModel).
    """
    if row.kind == Resource.Kind.ENDPOINT:
        return None
    user = _user_of(row, found, hold)
    if not user:
        return None
    deleted = Orphan.objects.filter(
        kind=Resource.Kind.ENDPOINT, name=user, state__in=Orphan.UNDER_WAY
    )
    if deleted.exists():  # the endpoint goes first
        return StepOutcome(Orphan.State(row.state), WAIT)
    return _stays(phrase("The endpoint %(endpoint)s uses it.", endpoint=user))


def _user_of(row: Orphan, found: Found, hold: Callable[[], None]) -> str:
    """An endpoint that uses it, or is being moved to it; empty where there is none."""
    for name in sagemaker.list_endpoints(changed_since=found.created_at):
        hold()  # the account may have many
        if sagemaker.uses(name, row.kind, row.name):
            return name
    return ""


@transaction.atomic
def _write(row: Orphan, outcome: StepOutcome) -> None:
    """Write what the step came to, with its events, and give the lease back."""
    now, said = clock.now(), outcome.said
    english = said.english() if said else ""
    changes = {
        "state": outcome.state,
        "check_after": now + outcome.check_in,
        "attempts": row.attempts + 1 if outcome.failed else 0,
        "failure": english,
        "failure_code": said.as_json() if said else None,
        "over_at": now if outcome.state in Orphan.OVER else None,
    }
    try:
        Orphan.objects.release(row, **changes)
    except LeaseLost:
        logger.warning("orphan %s: took too long; another worker goes on", row)
        return
    if outcome.state == Orphan.State.GONE:
        _tell("orphan.gone", row, Event.Level.SUCCESS)
    elif said is not None and outcome.state == Orphan.State.FOUND:
        _tell("orphan.kept", row, Event.Level.WARNING, reason=said)
    elif said is not None and english != row.failure:
        _tell("orphan.refused", row, Event.Level.WARNING, reason=said)
    if outcome.state in Orphan.UNDER_WAY and outcome.check_in == AT_ONCE:
        orphans.enqueue(row.pk)


def _tell(code: str, row: Orphan, level: str, **facts: Sentence) -> None:
    parameters = {"what": what(row), **facts}
    record(action=code, subject=Account(), parameters=parameters, level=level)
