"""Bring an endpoint one step closer to what its user wants.

The row says what is wanted and what was last seen; :func:`advance` is run again and again, by
whoever, until both agree. It

1. claims the row by a conditional UPDATE (the lease), so that one worker alone acts on it;
2. describes what exists and makes **at most one** changing call;
3. writes what was seen, with the events that follow from it, in one transaction, and gives the
   lease back.

Nothing is remembered between two runs but the row, and events follow from what was *seen*, not
from what was done. So a crash anywhere costs a repeated look, and never a second resource.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction

from activity.models import Event
from activity.services import record
from core import clock, errors
from core.jobs import enqueue_on_commit
from core.lease import LeaseLost
from endpoints.models import Endpoint, Resource
from endpoints.reconciler.creation import toward_present
from endpoints.reconciler.step import AT_ONCE, LEASE, Refused, Seen, Step, stand_still
from endpoints.reconciler.teardown import toward_absent

logger = logging.getLogger(__name__)


def advance(pk: int) -> bool:
    """Take one step with endpoint ``pk``; False where it is not due or somebody else is at it.

    Never raises for what AWS answers: that is written to the row, and tried again later.
    """
    endpoint = Endpoint.objects.claim(pk, lease=LEASE)
    if endpoint is None:
        return False
    step = Step(endpoint, {r.kind: r for r in endpoint.resources.all()}, status=endpoint.status)
    act = toward_present if endpoint.wanted == Endpoint.Wanted.PRESENT else toward_absent
    try:
        act(step)
    except LeaseLost:
        logger.info("endpoint %s: the lease was lost before anything was changed", endpoint)
        step.again_in = AT_ONCE
    except (errors.Throttled, errors.Busy, errors.NotFound, errors.AlreadyExists) as error:
        _stumble(step, error)
    except errors.Denied as error:
        stand_still(step, f"AWS does not allow it: {error}", _what_to_do(error))
    except errors.AwsError as error:
        stand_still(step, f"AWS refuses it: {error}", _WHAT_TO_CHANGE)
    except Refused as error:
        stand_still(step, str(error), "")
    _write(step)
    return True


def _what_to_do(error: errors.AwsError) -> str:
    """What the error itself does not say."""
    if not error.todo:
        return _WHAT_TO_ALLOW
    return "What is there stays as it is. The portal tries again by itself every five minutes."


_WHAT_TO_ALLOW = (
    "Ask whoever manages the AWS account to give the portal's role this permission; docs/aws.md "
    "has the whole policy. The portal tries again every five minutes."
)
_WHAT_TO_CHANGE = (
    "Trying the same again will hardly help: read what AWS says, tear this endpoint down, and "
    "create it with other values. Where it is a quota, ask AWS to raise it; the portal tries "
    "again every five minutes."
)


def _stumble(step: Step, error: errors.AwsError) -> None:
    """Something passing: say so, and come back, later each time."""
    step.stumbled = True
    step.again_in = timedelta(seconds=min(60, 2 ** min(step.endpoint.attempts, 6)))
    step.failure = step.endpoint.failure
    step.hint = f"{_PASSING[type(error)]} The portal tries again by itself. ({error})"
    if step.endpoint.attempts == _TRIES_BEFORE_TELLING:
        step.tell(Event.Level.WARNING, "endpoint.waiting", step.hint)


_TRIES_BEFORE_TELLING = 3
_PASSING: dict[type[errors.AwsError], str] = {
    errors.Throttled: "AWS asks to slow down, or cannot be reached.",
    errors.Busy: "AWS is still busy with it.",
    errors.NotFound: "AWS does not see yet what was just created.",
    errors.AlreadyExists: "AWS says that it is there already.",
}


@transaction.atomic
def _write(step: Step) -> None:
    """Write what was seen, and its events, if the lease is still held; give the lease back."""
    now = clock.now()
    row = Endpoint.objects.select_for_update().held(step.endpoint).first()
    if row is None:
        logger.warning("endpoint %s: took too long; somebody else goes on", step.endpoint)
        return
    for kind, seen in step.seen.items():
        _write_resource(step.resources[kind], seen, now)
    _tell_of_failure(step, row)
    row.status = step.status
    row.failure, row.hint = step.failure, step.hint
    row.attempts = row.attempts + 1 if step.stumbled else 0
    row.checked_at, row.leased_until = now, None
    # A user who changed the mind meanwhile is not kept waiting.
    row.check_after = now + step.again_in if row.wanted == step.endpoint.wanted else now
    if step.gone:
        row.status, row.gone_at, row.failure, row.hint = "Gone", now, "", ""
    row.save()
    for level, action, text in step.news:
        record(action=action, subject=row, text=text, level=level)
    if step.gone:
        record(
            action="endpoint.gone",
            subject=row,
            level=Event.Level.SUCCESS,
            text=f"{row.name} is torn down. The artifacts stay in {row.model_data_url}.",
        )
    elif row.check_after <= now:
        enqueue_on_commit("endpoints.tasks.advance", row.pk)


def _tell_of_failure(step: Step, row: Endpoint) -> None:
    if step.failure and step.failure != row.failure:
        if step.status != "Failed":  # that one was told with the status
            step.tell(Event.Level.ERROR, "endpoint.stopped", step.failure)
    elif row.failure and not step.failure and not step.stumbled:
        step.tell(
            Event.Level.INFO, "endpoint.resumed", "What stood in the way is gone; it goes on."
        )


def _write_resource(resource: Resource, seen: Seen, now: datetime) -> None:
    if seen.status != resource.status:
        resource.changed_at = now
    resource.status = seen.status
    resource.arn = seen.arn or resource.arn
    if seen.status not in {"Deleting", "Gone", "Kept"} or seen.created_at:
        # Just after a create it is not known yet; the time of a predecessor would be wrong.
        resource.created_at = seen.created_at
    resource.gone_at = now if seen.status == "Gone" else None
    resource.save()
