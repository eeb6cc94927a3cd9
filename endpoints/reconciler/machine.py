"""Choose the next change of an endpoint; retry or stop where AWS answers with an error."""

import logging
from datetime import timedelta

from activity.codes import Scalar
from activity.models import Event
from core import errors, pace
from core.lease import LeaseLost
from core.sentences import Sentence, phrase
from endpoints import alarms
from endpoints.models import Endpoint, Resource, Revision
from endpoints.reconciler import writing
from endpoints.reconciler.kinds import CONFIG, ENDPOINT, KINDS, MODEL, Found, ResourceKind
from endpoints.reconciler.run import (
    AT_ONCE,
    LEASE,
    NO_REASON,
    WHEN_SETTLED,
    NewEvent,
    NotOurs,
    Run,
)

logger = logging.getLogger(__name__)

#: Between two looks at whether the alarms are gone.
ALARMS_EVERY = timedelta(seconds=2)


def advance(endpoint_id: int) -> bool:
    """Take one step with an endpoint; False where it is not due or another worker has its lease.

    Never raises for what AWS answers: that is written to the row, and tried again later. Takes the
    primary key, since the row must be read after its lease was taken.
    """
    endpoint = Endpoint.objects.claim(endpoint_id, lease=LEASE)
    if endpoint is None:
        return False
    run = Run(endpoint)
    try:
        if run.endpoint.wanted == Endpoint.Wanted.ABSENT:
            _delete_all(run)
        elif run.endpoint.to_pause and run.may_pause:
            _pause(run)
        else:
            _create_missing(run)
    except LeaseLost:
        logger.info("endpoint %s: the lease was lost before anything was changed", run.endpoint)
        run.check_in = AT_ONCE
    except NotOurs as error:
        if run.endpoint.updating and run.endpoint.serving:
            run.give_update_up(Revision.State.REFUSED, error.event.sentence)
        else:
            run.stop(error.event)
    except errors.AwsError as error:
        _handle(run, error)
    writing.write(run)
    return True


def advance_if_room(endpoint_id: int) -> bool:
    """`advance`, unless too many calls of AWS were made; then it stays due, and is found again."""
    return pace.CONTROL_PLANE.room() >= 1 and advance(endpoint_id)


def _handle(run: Run, error: errors.AwsError) -> None:
    """Try again what passes by itself; stop for what a person must mend."""
    said = {"error": error.sentence}
    for kind, code in _RETRIED.items():
        if isinstance(error, kind):
            run.retry(NewEvent(code, said, Event.Level.WARNING))
            return
    if isinstance(error, errors.Denied):
        denied = NewEvent("endpoint.denied", said, Event.Level.ERROR)
        run.stop(denied, _STAYS if error.todo else _WHAT_TO_ALLOW)
    elif run.endpoint.updating and run.endpoint.serving:
        run.give_update_up(Revision.State.REFUSED, error.sentence)
    else:
        run.stop(NewEvent("endpoint.refused", said, Event.Level.ERROR), _WHAT_TO_CHANGE)


def _create_missing(run: Run) -> None:
    """Create the first resource that is missing, unless SageMaker is working on the endpoint."""
    found = run.look(ENDPOINT)
    if found and (run.deletion_may_be_unseen(found) or found.state == Resource.State.DELETING):
        run.wait(_MADE_AGAIN if run.endpoint.made_again else _IN_PROGRESS[Resource.State.DELETING])
        return
    if found is None and run.was_there:
        if run.endpoint.made_again:
            run.begin_again()
            run.hint = _MADE_AGAIN
        elif run.endpoint.to_pause:  # no change is under way any more that is to be finished before
            _pause(run)
        else:
            run.deleted_outside()
        return
    if found:
        run.is_there()
    if found and found.in_progress:
        run.wait(_IN_PROGRESS[found.state])
        return
    for kind in KINDS:
        if run.look(kind) is None and not run.may_be_unseen(kind):
            outside = run.endpoint.outside_config and not run.endpoint.updating
            if kind is CONFIG and found and outside:
                if run.state(kind) != Resource.State.GONE:  # the endpoint uses another one
                    run.note(kind, Resource.State.GONE)
                continue
            run.create(kind)
            if kind is ENDPOINT:
                run.hint = _IN_PROGRESS[kind.new_state]
            return
    if found is None:
        run.hint = phrase(
            "SageMaker accepted the request, but does not show the endpoint yet."
        ).named("endpoint.not_shown_yet")
    elif found.state == Resource.State.FAILED:
        # The event of the new state says the reason too.
        reason = Sentence.verbatim(found.failure) if found.failure else NO_REASON
        said = phrase("SageMaker could not start the endpoint: %(reason)s", reason=reason)
        run.stop(said.named("endpoint.failed"), _FAILED)
    elif run.endpoint.update_state and found.state in _UPDATABLE:
        _go_on_with_update(run, found)
    elif found.state == Resource.State.UPDATE_ROLLBACK_FAILED:
        # The event of the new state says it, too.
        reason = Sentence.verbatim(found.failure) if found.failure else NO_REASON
        said = phrase(
            "An update failed, and so did the way back: instances of both configurations serve. "
            "%(reason)s",
            reason=reason,
        )
        run.stop(said.named("endpoint.rollback_failed"), _BOTH_SERVE)
    elif found.state == Resource.State.IN_SERVICE and run.endpoint.scales:
        _scale(run)
    else:
        run.check_in = WHEN_SETTLED
        if found.state != Resource.State.IN_SERVICE:
            said = phrase("State in SageMaker: %(state)s.", state=found.status)
            run.hint = said.named("endpoint.other_state")


def _scale(run: Run) -> None:
    """Bring autoscaling to what is wanted, a call at a time; then see what it did."""
    try:
        if run.endpoint.limits is None:
            run.stop_scaling()
        elif run.endpoint.scaling != Endpoint.Scaling.ON:
            run.scale()
        else:
            run.check_in = WHEN_SETTLED
            run.look_at_scaling()
    except (errors.Throttled, errors.Busy, errors.NotFound, errors.AlreadyExists, errors.Denied):
        raise
    except errors.AwsError as error:
        said: dict[str, Scalar] = {"name": run.endpoint.name, "error": error.sentence}
        refused = NewEvent("endpoint.scaling_refused", said, Event.Level.ERROR)
        run.stop(refused, _OTHER_LIMITS)


def _update(run: Run) -> None:
    """Ask for the update; before, end the autoscaling of an endpoint that gets another type.

    SageMaker refuses another type for what is scaled (DG/endpoint-scaling-update).
    """
    if run.endpoint.must_not_be_scaled:
        run.stop_scaling()
    else:
        run.update()
    run.hint = _IN_PROGRESS[Resource.State.UPDATING]


def _go_on_with_update(run: Run, found: Found) -> None:
    """Ask for the update, see what came of it, and then delete what the endpoint used before.

    An update that rolls back ends InService with the config before and a FailureReason (BC:
    DescribeEndpoint). Neither the config in use nor the one it moves from may be deleted meanwhile.
    """
    cleaning = run.endpoint.update_state == Endpoint.Update.CLEANING
    if cleaning and run.lags(found):
        run.wait(_CLEANING)
    elif cleaning and run.uses_earlier(found):
        # A change was withdrawn in the moment in which SageMaker was asked for it.
        _update(run)
    elif cleaning:
        _clean(run, found)
    elif run.reached(found) and found.state == Resource.State.IN_SERVICE:
        if run.other_tags:
            run.set_tags()
        else:
            run.update_done()
    elif run.update_may_be_unseen(found):
        run.wait(_IN_PROGRESS[Resource.State.UPDATING])
    elif run.endpoint.update_state == Endpoint.Update.WANTED or not (
        # Of an update that nothing tells of it is not known that it failed: it is asked for again.
        run.update_seen or found.failure
    ):
        _update(run)
    else:
        reason = Sentence.verbatim(found.failure) if found.failure else NO_REASON
        run.give_update_up(Revision.State.ROLLED_BACK, reason)


def _clean(run: Run, found: Found) -> None:
    """Delete one config or model of another revision; the update is over when none is left.

    Where somebody gave the endpoint a config outside the portal meanwhile, it may need any of the
    models: all stay then, until the next update or the teardown. So they do where instances of both
    configs serve (BC: EndpointStatus, UpdateRollbackFailed).
    """
    if not run.endpoint.outside_config and found.state == Resource.State.IN_SERVICE:
        for kind in (*run.earlier_configs, *run.earlier_models):
            if _delete_one(run, kind):
                run.hint = _CLEANING
                return
    run.endpoint.update_state = ""
    run.check_in = AT_ONCE


def _delete_one(run: Run, kind: ResourceKind) -> bool:
    """Delete a config or a model; False where that is done, or it is not ours to delete."""
    if run.state(kind) in (Resource.State.GONE, Resource.State.KEPT):
        return False
    try:
        found = run.look(kind)
    except NotOurs:
        run.keep(kind)
        return False
    if found is None and run.state(kind) == Resource.State.DELETING:
        run.note(kind, Resource.State.GONE)
        return False
    if found and (needed := run.used_elsewhere(kind, found)):
        run.keep(kind, needed)
        return False
    run.delete(kind)
    return True


def _pause(run: Run) -> None:
    """Delete the endpoint alone: its config and its model stay, so that waking makes it again.

    A change that is under way is finished before. The deletion is asked for once even where the
    read found nothing, as in a teardown.
    """
    if run.endpoint.scaling not in (Endpoint.Scaling.OFF, Endpoint.Scaling.PAUSED):
        run.stop_scaling()
        run.hint = _STOPPING
        return
    if run.state(ENDPOINT) != Resource.State.GONE:
        found = run.look(ENDPOINT)
        if found and found.in_progress:
            deleting = found.state == Resource.State.DELETING
            run.wait(_STOPPING if deleting else _deleted_later(found.status))
            return
        if found or run.state(ENDPOINT) != Resource.State.DELETING:
            run.delete(ENDPOINT)
            run.hint = _STOPPING
            return
    run.note_paused()


def _delete_all(run: Run) -> None:
    """Delete the last resource that is left; each is confirmed gone before the next one.

    A config that the endpoint was given outside the portal is deleted as well. It is written down
    before anything is deleted, since the endpoint alone tells of it. A config that another endpoint
    uses too stays, the portal's own as well, and so does a model that another endpoint serves.

    A deletion is asked for once even where the read found nothing: the read may lag behind a
    create of a moment ago, and a delete that finds nothing does no harm. What is to be left is not
    asked for.
    """
    if run.undo_left > timedelta(0):
        run.check_in, run.hint = run.undo_left, _CAN_BE_UNDONE
        return
    configs = (*run.outside_configs, *run.earlier_configs, CONFIG)
    if run.endpoint.scales:
        # Whoever deletes what is scaled needs the right to end that, too; the portal ends it.
        run.stop_scaling()
        run.hint = _STOPPING
        return
    for kind in (ENDPOINT, *configs, *run.earlier_models, *run.outside_models, MODEL):
        if run.state(kind) in (Resource.State.GONE, Resource.State.KEPT):
            continue
        try:
            found = run.look(kind)
        except NotOurs:
            run.keep(kind)
            continue
        if found and found.in_progress:
            deleting = found.state == Resource.State.DELETING
            run.wait(_STOPPING if deleting else _deleted_later(found.status))
            return
        if run.found_outside_config:
            run.check_in = AT_ONCE
            return
        asked = run.state(kind) == Resource.State.DELETING
        # What others made under this name is theirs: the portal deletes it where it has seen it.
        if found is None and (asked or kind in run.outside_models):
            run.note(kind, Resource.State.GONE)
            continue
        if run.to_be_left(kind):
            if found:
                run.leave(kind)
            elif run.may_be_unseen(kind):
                return
            else:
                run.note(kind, Resource.State.GONE)
            continue
        if found and (needed := run.used_elsewhere(kind, found)):
            run.keep(kind, needed)
            continue
        run.delete(kind)
        if run.state(kind) == Resource.State.DELETING and kind is ENDPOINT:
            run.hint = _STOPPING
        return
    # Last, as they cost least, and CloudWatch may refuse: the job of alarms.py deletes them. Of one
    # that was paused nothing may have been deleted before, so that it could be undone until now.
    run.hold()
    if left := alarms.remove_all(run.endpoint):
        failed = next((one for one in left if one.failure), None)
        if failed is not None:
            run.stop(failed.failure_said.named("endpoint.alarm_kept"), _ALARM_STAYS)
            return
        run.check_in, run.hint = ALARMS_EVERY, _REMOVING_ALARMS
        return
    run.gone = True


# Errors that pass by themselves, and the event that says so after some tries.
_RETRIED: dict[type[errors.AwsError], str] = {
    errors.Throttled: "endpoint.throttled",
    errors.Busy: "endpoint.busy",
    errors.NotFound: "endpoint.not_found",
    errors.AlreadyExists: "endpoint.already_exists",
}
_IN_PROGRESS = {
    Resource.State.CREATING: phrase(
        "SageMaker is starting the instances and the container. On AWS this takes 2 to 6 minutes."
    ).named("endpoint.starting"),
    Resource.State.UPDATING: phrase(
        "SageMaker is updating the endpoint. It can be called meanwhile."
    ).named("endpoint.updating"),
    Resource.State.SYSTEM_UPDATING: phrase(
        "SageMaker is doing maintenance. The endpoint can be called meanwhile."
    ).named("endpoint.system_updating"),
    Resource.State.ROLLING_BACK: phrase(
        "SageMaker is going back to the configuration before. The endpoint can be called meanwhile."
    ).named("endpoint.rolling_back"),
    Resource.State.DELETING: phrase(
        "SageMaker is deleting the endpoint, but nobody requested that here. When it is gone, you "
        "can accept that, or have it made again."
    ).named("endpoint.deleting_outside"),
}
_MADE_AGAIN = phrase(
    "The portal makes the endpoint again as soon as the one before is gone."
).named("endpoint.made_again")
_OTHER_LIMITS = phrase(
    "The endpoint serves as it is. Set other limits, or switch autoscaling off. The portal retries "
    "every five minutes."
).named("endpoint.other_limits")
_FAILED = phrase(
    "A failed endpoint can only be deleted. Tear it down, then create it again."
).named("endpoint.tear_down")
_BOTH_SERVE = phrase(
    "Change the endpoint, or return to an earlier revision: SageMaker then replaces the instances "
    "of both. The same values will do. Or tear it down."
).named("endpoint.both_serve")
# An update can be asked for in these: to UpdateRollbackFailed it is the way out.
_UPDATABLE = (Resource.State.IN_SERVICE, Resource.State.UPDATE_ROLLBACK_FAILED)
_CLEANING = phrase("The portal is deleting what the endpoint used before.").named(
    "endpoint.cleaning"
)
_REMOVING_ALARMS = phrase("The portal is removing its alarms from CloudWatch.").named(
    "endpoint.removing_alarms"
)
_ALARM_STAYS = phrase(
    "Nothing else is left of the endpoint. The portal tries to delete its alarms again each minute."
).named("endpoint.alarm_stays")
_STOPPING = phrase("SageMaker is stopping the instances.").named("endpoint.stopping")
_CAN_BE_UNDONE = phrase("The teardown starts in a few seconds. Until then it can be undone.").named(
    "endpoint.teardown_can_be_undone"
)
_STAYS = phrase("What exists stays as it is. The portal retries every five minutes.").named(
    "endpoint.retried"
)
_WHAT_TO_ALLOW = phrase(
    "Ask whoever manages the AWS account to give the portal’s role this permission. docs/aws.md "
    "has the whole policy. The portal retries every five minutes."
).named("endpoint.what_to_allow")
_WHAT_TO_CHANGE = phrase(
    "A retry alone will probably not help. Read what AWS says, tear this endpoint down, and create "
    "it with other values. If it is a quota, ask AWS to raise it. The portal retries every five "
    "minutes."
).named("endpoint.what_to_change")


def _deleted_later(status: str) -> Sentence:
    return phrase(
        "SageMaker cannot delete an endpoint in the state %(state)s. The portal deletes it as soon "
        "as that is over.",
        state=status,
    ).named("endpoint.deleted_later")
