"""The end of a run: what it has seen is written in one transaction, and the lease given back."""

import logging

from django.db import transaction

from activity.models import Event
from activity.services import record
from core import clock
from core.jobs import enqueue_on_commit
from endpoints import instance_runs
from endpoints.models import Endpoint, Resource, Revision
from endpoints.reconciler.kinds import OutsideConfigKind, ResourceKind
from endpoints.reconciler.run import NewEvent, Run, scaling_asked

logger = logging.getLogger(__name__)

_OF_SCALING = ("scaling", "scaled_count")
_WRITTEN = (
    *("state", "sagemaker_status", "failure", "failure_code", "hint", "hint_code", "attempts"),
    *("checked_at", "check_after", "gone_at", "config_in_use", "running_count"),
    *("running_variants", "scaling_told", "tags_set", "deleted_outside_at", "modified_at"),
)
# Of a resource; of which revision it is, only who asks for a change says.
_OF_RESOURCE = (*("state", "sagemaker_status", "arn", "created_at", "changed_at", "gone_at"),)
_OF_OUTSIDE = ("revision", "instance_type", "instance_count", "variants")
# Of an update; whoever asks for another change meanwhile goes before.
_OF_UPDATE = (
    *("revision", "update_state", "update_asked_at", "bucket", "prefix"),
    *(*Revision.FACTS, *Revision.NAMES),
)


@transaction.atomic
def write(run: Run) -> None:
    """Write the rows and events of a run, if it still has the lease; give the lease back."""
    now = clock.now()
    seen = run.endpoint
    row = Endpoint.objects.held(seen).select_for_update().alone()
    if row is None:
        logger.warning("endpoint %s: took too long; another worker goes on", seen)
        return
    for kind in run.seen:
        _save(kind, run.resources[kind.key])
    events = [*run.events, *_events_of_failure(run, row)]
    if seen.state == Endpoint.State.IN_SERVICE != row.state and not seen.update_state:
        row.revisions.filter(number=seen.revision, state=Revision.State.WANTED).update(
            state=Revision.State.SERVING, settled_at=now
        )
    row.state, row.sagemaker_status = seen.state, seen.sagemaker_status
    row.config_in_use, row.running_count = seen.config_in_use, seen.running_count
    row.running_variants = seen.running_variants
    row.scaling_told, row.tags_set = seen.scaling_told, seen.tags_set
    row.deleted_outside_at, row.modified_at = seen.deleted_outside_at, seen.modified_at
    row.say(failure=run.failure, hint=run.hint)
    row.attempts = row.attempts + 1 if run.retrying else 0
    row.checked_at = now
    same_scaling = scaling_asked(row) == run.scaling
    same_again = row.made_again == run.asked_again
    same = row.wanted == seen.wanted and row.revision == run.revision and same_scaling
    same = same and same_again and row.to_pause == seen.to_pause
    # A user who wants something else by now is not kept waiting.
    row.check_after = now + run.check_in if same else now
    written = [*_WRITTEN]
    if row.revision == run.revision:
        written += _OF_UPDATE
        for name in _OF_UPDATE:
            setattr(row, name, getattr(seen, name))
        for number, columns in run.outcomes.items():
            row.revisions.filter(number=number).update(**columns)
    if same_scaling and row.revision == run.revision:
        written += _OF_SCALING
        for name in _OF_SCALING:
            setattr(row, name, getattr(seen, name))
    if same_again:
        written.append("made_again")
        row.made_again = seen.made_again
    gone = run.gone and row.wanted == seen.wanted  # its teardown may have been undone
    if gone:
        row.state, row.sagemaker_status, row.gone_at = Endpoint.State.GONE, "", now
        row.say(failure=None, hint=None)
        facts = {"name": row.name, "store": row.store_url}
        events.append(NewEvent("endpoint.gone", facts, Event.Level.SUCCESS))
    Endpoint.objects.release(row, **{name: getattr(row, name) for name in written})
    instance_runs.note(row, set() if run.gone else instance_runs.parts_of(seen), at=now)
    for event in events:
        record(action=event.code, subject=row, parameters=event.parameters, level=event.level)
    if not gone and row.check_after <= now:
        enqueue_on_commit("endpoints.tasks.advance", row.pk)


def _save(kind: ResourceKind, resource: Resource) -> None:
    """Write what was seen of a resource, and nothing that others wrote meanwhile."""
    if resource.pk is None:
        resource.save()
        return
    more = _OF_OUTSIDE if type(kind) is OutsideConfigKind else ()
    resource.save(update_fields=[*_OF_RESOURCE, *more])


def _events_of_failure(run: Run, before: Endpoint) -> list[NewEvent]:
    if run.failure and run.failure.english() != before.failure:
        return [run.failure_event] if run.failure_event else []
    if before.failure and not run.failure and not run.retrying:
        return [NewEvent("endpoint.resumed")]
    return []
