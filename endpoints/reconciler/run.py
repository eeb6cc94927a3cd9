"""One run of the reconciler with one endpoint: what it sees, what it changes, what follows."""

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings

from activity import codes
from activity.models import Event
from core import backoff, clock, errors
from core.sentences import Sentence, phrase
from endpoints import autoscaling, sagemaker
from endpoints.events import TEMPLATES, size_of
from endpoints.models import Endpoint, Resource, Revision
from endpoints.reconciler import kinds
from endpoints.reconciler.kinds import (
    CONFIG,
    ENDPOINT,
    MODEL,
    EarlierConfigKind,
    EarlierModelKind,
    Found,
    OutsideConfigKind,
    OutsideModelKind,
    ResourceKind,
)
from endpoints.sagemaker import Call
from endpoints.variants import as_json, with_types

logger = logging.getLogger(__name__)

# A little longer than the slowest single AWS call, and no more: after a crash nobody acts on the
# endpoint before it ends.
LEASE = timedelta(seconds=settings.AWS_CONNECT_TIMEOUT_S + settings.AWS_READ_TIMEOUT_S + 3)
AT_ONCE = timedelta(0)
SOON = timedelta(seconds=1)
WHEN_SETTLED = timedelta(seconds=60)
WHEN_STOPPED = timedelta(minutes=5)
# How long a read may still miss what was written (BC: CreateEndpoint on DescribeEndpointConfig).
READ_LAG = timedelta(seconds=60)
# Levels of the events that tell a new state.
_LEVELS = {
    Resource.State.IN_SERVICE: Event.Level.SUCCESS,
    Resource.State.GONE: Event.Level.SUCCESS,
    Resource.State.KEPT: Event.Level.WARNING,
    Resource.State.FAILED: Event.Level.ERROR,
}
NO_REASON = phrase("SageMaker gives no reason.")
_TO_DECIDE = phrase(
    "Accept it, and what it used goes, too. Or put it back: it is made again under the same name."
).named("endpoint.accept_or_put_back")
_OTHER_NUMBER = phrase(
    "The endpoint serves with the number of instances that its configuration says. Choose another "
    "number, or wait: the portal retries every five minutes."
).named("endpoint.other_number")
# Failed runs in a row before the log tells of it.
RUNS_BEFORE_TELLING = 3


@dataclass(frozen=True)
class NewEvent:
    """An event that is recorded when the run is written; ``str()`` is its sentence."""

    code: str
    parameters: Mapping[str, codes.Scalar] = field(default_factory=dict)
    level: str = Event.Level.INFO

    def __str__(self) -> str:
        return codes.render(self.code, self.parameters)

    @property
    def sentence(self) -> Sentence:
        """The same sentence, as a row keeps it; its name is the event's code."""
        return phrase(TEMPLATES[self.code], **self.parameters).named(self.code)


class NotOurs(Exception):
    """What has the name of our resource was not created by this portal; ``event`` says it."""

    def __init__(self, event: NewEvent) -> None:
        super().__init__(str(event))
        self.event = event


def _later(moment: datetime | None, before: datetime | None) -> bool:
    """Whether a moment is after another one; where one of them is not known, it is not."""
    return moment is not None and before is not None and moment > before


def scaling_asked(endpoint: Endpoint) -> tuple[object, ...]:
    """What is other where somebody asked for other autoscaling."""
    return endpoint.scaling, endpoint.limits


def _scaled(endpoint: Endpoint, activity: autoscaling.Activity) -> NewEvent:
    """The event of what autoscaling did."""
    facts: dict[str, codes.Scalar] = {"name": endpoint.name, "cause": activity.cause}
    if not activity.done or activity.count is None:
        facts["said"] = activity.message
        return NewEvent("endpoint.not_scaled", facts, Event.Level.WARNING)
    facts["instance_count"] = activity.count
    return NewEvent("endpoint.scaled", facts)


class Run:
    """What one run has seen so far, in rows that are not saved yet, and what is to be written.

    ``endpoint`` and ``resources`` are the rows as this run sees them, ``seen`` the kinds to save;
    ``events`` follow from the differences; ``check_in`` says how long until the next run. ``gone``
    is set when nothing is left of the endpoint; ``found_outside_config`` when the endpoint uses a
    config that no row names yet.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        #: The revision that was wanted when the run began, and which autoscaling.
        self.revision = endpoint.revision
        self.scaling = scaling_asked(endpoint)
        #: Whether it was to be made again when the run began.
        self.asked_again = endpoint.made_again
        self.resources: dict[str, Resource] = {}
        self.outside_configs: list[OutsideConfigKind] = []
        self.earlier_configs: list[EarlierConfigKind] = []
        self.earlier_models: list[EarlierModelKind] = []
        self.outside_models: list[OutsideModelKind] = []
        for resource in endpoint.resources.order_by("pk"):
            self._add(resource)
        #: When SageMaker had last changed the endpoint, as far as runs before this one saw.
        self.modified_before = endpoint.modified_at
        at_work = self.resources[ENDPOINT.key]
        # Of an update that was asked for: SageMaker has been seen at work on it.
        self.update_seen = bool(at_work.sagemaker_status) and at_work.state in Resource.IN_PROGRESS
        #: What came of revisions, by their numbers; the columns to write.
        self.outcomes: dict[int, dict[str, object]] = {}
        self.seen: set[ResourceKind] = set()
        self.events: list[NewEvent] = []
        self.failure: Sentence | None = None
        self.failure_event: NewEvent | None = None
        self.hint: Sentence | None = None
        self.check_in = SOON
        self.retrying = False
        self.gone = False
        self.found_outside_config = False
        self._found: dict[ResourceKind, Found | None] = {}

    def state(self, kind: ResourceKind) -> str:
        """The state of a resource, as this run sees it."""
        return self.resources[kind.key].state

    def look(self, kind: ResourceKind) -> Found | None:
        """What AWS has under the resource's name; None where there is nothing.

        Asks once a run. Raises NotOurs, and errors.AwsError where AWS does not answer.
        """
        if kind not in self._found:
            self._found[kind] = self._describe(kind)
        return self._found[kind]

    def _describe(self, kind: ResourceKind) -> Found | None:
        resource = self.resources[kind.key]
        try:
            found = kind.describe(resource.name)
        except errors.NotFound:
            return None
        known = kind.ours_once_seen and found.created_at == resource.created_at
        if not known and not kind.is_ours(self.endpoint, found):
            facts = {"name": resource.name, **found.facts}
            code = f"endpoint.{kind.kind}.foreign"
            raise NotOurs(NewEvent(code, facts, Event.Level.ERROR))
        # A model or config that is being deleted may be read for a while longer.
        if kind is ENDPOINT and self.update_may_be_unseen(found):
            return found
        if kind is ENDPOINT and self.deletion_may_be_unseen(found):
            return found
        if found.status or resource.state != Resource.State.DELETING:
            self.note(kind, found.state, found=found)
        if kind is ENDPOINT:
            self._note_running(found)
            # A read that lags shows an earlier one.
            if not _later(self.endpoint.modified_at, found.modified_at):
                self.endpoint.modified_at = found.modified_at or self.endpoint.modified_at
        return found

    def reached(self, found: Found) -> bool:
        """Whether the endpoint is as its revision wants it: its config, and how many instances."""
        endpoint = self.endpoint
        if found.facts["config"] != endpoint.config_name:
            return False
        if endpoint.config_count is None or endpoint.limits is not None:
            return True
        wanted = endpoint.requested
        if not wanted.variants:
            return found.running_count == endpoint.instance_count
        return set(with_types(found.variants, wanted.variants)) == set(wanted.variants)

    def uses_earlier(self, found: Found) -> bool:
        """Whether the endpoint uses a config that the portal made for another revision."""
        return any(one.name == found.facts["config"] for one in self.earlier_configs)

    @property
    def earlier_left(self) -> bool:
        """Whether something is left that the portal made for another revision."""
        over = (Resource.State.GONE, Resource.State.KEPT)
        earlier = (*self.earlier_configs, *self.earlier_models)
        return any(self.state(one) not in over for one in earlier)

    def lags(self, found: Found) -> bool:
        """Whether a read shows the endpoint as it was before what an earlier read showed.

        SageMaker's reads are eventually consistent: one may see an update, and the next one not. By
        SageMaker's own times, so no other clock matters.
        """
        return _later(self.modified_before, found.modified_at)

    def update_may_be_unseen(self, found: Found) -> bool:
        """Whether a read that misses an update which was asked for says nothing.

        It was asked for a moment ago, or an earlier read shows a later time.
        """
        endpoint = self.endpoint
        if endpoint.update_state != Endpoint.Update.ASKED or found.in_progress:
            return False
        if self.reached(found) or endpoint.update_asked_at is None:
            return False
        if self.lags(found):
            return True
        if self.update_seen:
            return False
        if found.failure and _later(found.modified_at, self.modified_before):
            return False  # it was tried and rolled back between two looks
        return clock.now() - endpoint.update_asked_at < READ_LAG

    def deletion_may_be_unseen(self, found: Found) -> bool:
        """Whether it is to be made again, and a read shows the one that is just being deleted."""
        row = self.resources[ENDPOINT.key]
        if not self.asked_again or row.state != Resource.State.DELETING or found.in_progress:
            return False
        same = found.created_at == row.created_at
        return same and row.changed_at is not None and clock.now() - row.changed_at < READ_LAG

    @property
    def was_there(self) -> bool:
        """Whether the endpoint, which is missing, was seen before; then it is not just late."""
        row = self.resources[ENDPOINT.key]
        if row.state == Resource.State.GONE:
            return True
        if row.state == Resource.State.DELETING:
            return True
        return row.exists and row.created_at is not None and not self.may_be_unseen(ENDPOINT)

    def begin_again(self) -> None:
        """Let the next run create the endpoint: one that was there, and is missing, is not.

        It is written before, so that a teardown looks for what a killed process has created.
        """
        row = self.resources[ENDPOINT.key]
        row.state, row.sagemaker_status = Resource.State.WAITING, ""
        row.created_at = row.gone_at = None
        self.seen.add(ENDPOINT)
        self.endpoint.state, self.endpoint.sagemaker_status = Endpoint.State.REQUESTED, ""
        self.check_in = AT_ONCE

    def deleted_outside(self) -> None:
        """The endpoint is gone, and nobody wanted that here: a person decides what comes of it."""
        row, endpoint, now = self.resources[ENDPOINT.key], self.endpoint, clock.now()
        if row.state != Resource.State.GONE:
            row.state, row.sagemaker_status = Resource.State.GONE, ""
            row.changed_at = row.gone_at = now
            self.seen.add(ENDPOINT)
        endpoint.state, endpoint.sagemaker_status = Endpoint.State.DELETED_OUTSIDE, ""
        endpoint.config_in_use, endpoint.running_count = "", None
        endpoint.running_variants = None
        endpoint.deleted_outside_at = endpoint.deleted_outside_at or now
        facts = {"name": endpoint.name}
        gone = NewEvent("endpoint.deleted_outside", facts, Event.Level.WARNING)
        self.stop(gone, _TO_DECIDE)
        self.check_in = WHEN_SETTLED

    @property
    def may_pause(self) -> bool:
        """Whether no change is under way that is to be finished before.

        One that was made again, and has not got its number of instances yet, does not need it.
        """
        endpoint = self.endpoint
        if endpoint.update_state != Endpoint.Update.WANTED:
            return not endpoint.update_state
        serves = endpoint.revisions.filter(state=Revision.State.SERVING)
        return serves.filter(number=endpoint.revision).exists()

    def note_paused(self) -> None:
        """The endpoint is gone, as it was wanted: it is paused until it is made again."""
        row, endpoint = self.resources[ENDPOINT.key], self.endpoint
        if row.state != Resource.State.GONE:
            row.state, row.sagemaker_status = Resource.State.GONE, ""
            row.changed_at = row.gone_at = clock.now()
            self.seen.add(ENDPOINT)
        if endpoint.state != Endpoint.State.PAUSED:
            facts = {"name": endpoint.name}
            self.events.append(NewEvent("endpoint.paused", facts, Event.Level.SUCCESS))
        endpoint.state, endpoint.sagemaker_status = Endpoint.State.PAUSED, ""
        endpoint.config_in_use, endpoint.running_count = "", None
        endpoint.running_variants, endpoint.deleted_outside_at = None, None
        self.check_in = WHEN_STOPPED

    def is_there(self) -> None:
        """The endpoint exists, so that it is neither deleted nor to be made again."""
        self.endpoint.deleted_outside_at, self.endpoint.made_again = None, False

    def _note_running(self, found: Found) -> None:
        """Note which config the endpoint uses, and how many instances run.

        Somebody may have given it another config outside the portal (UpdateEndpoint). That one is
        described once: a config never changes (API: CreateEndpointConfig).
        """
        config, before = str(found.facts["config"]), self.endpoint.config_in_use
        outside_before = self.endpoint.outside_config
        if found.running_count is not None:
            self.endpoint.running_count = found.running_count
            self.endpoint.running_variants = as_json(found.variants)
        if config == before:
            return
        known = self.resources.get(f"{CONFIG.kind} {config}")
        # One of an earlier revision that was deleted, and that somebody has made again.
        again = known is not None and known.revision is not None and not known.exists
        if config != self.endpoint.config_name and (known is None or again):
            row = known or Resource(endpoint=self.endpoint, kind=CONFIG.kind, name=config)
            row.state, row.revision, row.gone_at = Resource.State.CREATED, None, None
            self.earlier_configs = [one for one in self.earlier_configs if one.name != config]
            outside = self._add_outside_config(row)
            try:
                self._add_outside_model(outside.fill(row))
            except errors.NotFound:  # SageMaker goes on serving without it
                row.state = Resource.State.GONE
            self.seen.add(outside)
            self.found_outside_config = True
        self.endpoint.config_in_use = config
        back = config == self.endpoint.config_name and self.endpoint.updating
        if not back and (outside_before or self.endpoint.outside_config):
            facts = {"name": self.endpoint.name, "config": config}
            event = NewEvent("endpoint.updated_outside", facts, Event.Level.WARNING)
            self.events.append(event)

    def _add(self, row: Resource) -> None:
        wanted = {CONFIG.kind: self.endpoint.config_name, MODEL.kind: self.endpoint.model_name}
        kind = Resource.Kind(row.kind)
        if wanted.get(kind, row.name) == row.name:
            self.resources[row.kind] = row
        elif kind == MODEL.kind and row.revision is None:
            outside = OutsideModelKind(row.name)
            self.outside_models.append(outside)
            self.resources[outside.key] = row
        elif kind == MODEL.kind:
            model = EarlierModelKind(row.name)
            self.earlier_models.append(model)
            self.resources[model.key] = row
        elif row.revision is None:
            self._add_outside_config(row)
        else:
            config = EarlierConfigKind(row.name)
            self.earlier_configs.append(config)
            self.resources[config.key] = row

    def _add_outside_config(self, row: Resource) -> OutsideConfigKind:
        outside = OutsideConfigKind(row.name)
        self.outside_configs.append(outside)
        self.resources[outside.key] = row
        return outside

    def _add_outside_model(self, name: str) -> None:
        """Note the model that an outside config serves, where no row has it."""
        known = {row.name for row in self.resources.values() if row.kind == MODEL.kind}
        if not name or name in known:
            return
        row = Resource(endpoint=self.endpoint, kind=MODEL.kind, name=name)
        row.state = Resource.State.CREATED
        self._add(row)
        self.seen.add(self.outside_models[-1])

    def may_be_unseen(self, kind: ResourceKind) -> bool:
        """Whether it was created so recently that a read which misses it says nothing."""
        resource = self.resources[kind.key]
        return (
            resource.state == kind.new_state
            and resource.changed_at is not None
            and clock.now() - resource.changed_at < READ_LAG
        )

    def note(
        self,
        kind: ResourceKind,
        state: Resource.State,
        *,
        arn: str = "",
        found: Found | None = None,
    ) -> None:
        """Note the state of a resource, with the event where it differs from the one before.

        ``found``: what AWS has described; without it, the state follows from a call's success.
        """
        resource = self.resources[kind.key]
        self.seen.add(kind)
        created_at = found.created_at if found else None
        if resource.state != state and self._is_scaled_now(kind, state):
            resource.changed_at = clock.now()
        elif resource.state != state:
            reason = (found and found.failure) or NO_REASON
            status = found.status if found else ""
            level = _LEVELS.get(state, Event.Level.INFO)
            self.tell(f"endpoint.{kind.kind}.{state}", kind, level, reason=reason, status=status)
            resource.changed_at = clock.now()
        elif created_at and resource.created_at and created_at != resource.created_at:
            self.tell(f"endpoint.{kind.kind}.replaced", kind, level=Event.Level.WARNING)
        resource.state = state
        resource.sagemaker_status = found.status if found else ""
        resource.arn = (found.arn if found else arn) or resource.arn
        if created_at or state == kind.new_state:
            # Just after a create it is not known yet; the time of a predecessor would be wrong.
            resource.created_at = created_at
        resource.gone_at = clock.now() if state == Resource.State.GONE else None
        if kind is ENDPOINT and state not in (Resource.State.GONE, Resource.State.KEPT):
            self.endpoint.state = Endpoint.State(state)
            self.endpoint.sagemaker_status = resource.sagemaker_status

    def _is_scaled_now(self, kind: ResourceKind, state: Resource.State) -> bool:
        """Whether autoscaling alone changes the state: what it does has events of its own."""
        states = {self.resources[kind.key].state, str(state)}
        scales = self.endpoint.scaling == Endpoint.Scaling.ON and not self.endpoint.update_state
        of_scaling = {str(Resource.State.IN_SERVICE), str(Resource.State.UPDATING)}
        return kind is ENDPOINT and scales and states == of_scaling

    def create(self, kind: ResourceKind) -> None:
        """Create a resource: the one changing call of this run."""
        resource = self.resources[kind.key]
        self.hold()
        logger.info("endpoint %s: creating the %s %s", self.endpoint, kind.noun, resource.name)
        arn = kind.create(self.endpoint)
        if resource.exists:
            self.tell(f"endpoint.{kind.kind}.lost", kind, level=Event.Level.WARNING)
        self.note(kind, kind.new_state, arn=arn)
        if kind is ENDPOINT:
            self.is_there()
            self.endpoint.config_in_use, self.endpoint.running_count = "", None
            self.endpoint.running_variants = None
            self.endpoint.tags_set = dict(self.endpoint.chosen.tags) or None
            if self.endpoint.scaling == Endpoint.Scaling.ON:  # that went with the one before
                self.endpoint.scaling = Endpoint.Scaling.WANTED
            counted = self.endpoint.in_config != self.endpoint.requested
            if counted and not self.endpoint.scales:
                # The config makes as many as it says; the count is changed again when it serves.
                self.endpoint.update_state = Endpoint.Update.WANTED
            elif self.earlier_left and not self.endpoint.update_state:
                # Of an update whose way back failed, too: the one before needed both configs.
                self.endpoint.update_state = Endpoint.Update.CLEANING
        self.check_in = SOON if kind is ENDPOINT else AT_ONCE

    def update(self) -> None:
        """Have SageMaker move the endpoint to what is wanted: the one changing call of this run."""
        endpoint = self.endpoint
        self.hold()
        if endpoint.count_alone:
            logger.info("endpoint %s: %s", endpoint, endpoint.requested)
            sagemaker.set_count(**kinds.wanted_counts(endpoint))
        else:
            logger.info("endpoint %s: moving to the config %s", endpoint, endpoint.config_name)
            sagemaker.update_endpoint(
                name=endpoint.name,
                config_name=endpoint.config_name,
                **kinds.how_to_update(endpoint),
            )
        self.note(ENDPOINT, Resource.State.UPDATING)
        endpoint.update_state, endpoint.update_asked_at = Endpoint.Update.ASKED, clock.now()

    @property
    def other_tags(self) -> bool:
        """Whether the SageMaker endpoint bears other tags than are wanted."""
        return dict(self.endpoint.chosen.tags) != (self.endpoint.tags_set or {})

    def set_tags(self) -> None:
        """Give the endpoint the tags that are wanted; its model and config keep theirs."""
        endpoint, wanted = self.endpoint, dict(self.endpoint.chosen.tags)
        self.hold()
        logger.info("endpoint %s: setting its tags", endpoint)
        arn = self.resources[ENDPOINT.key].arn
        sagemaker.set_tags(arn, tags=wanted, before=endpoint.tags_set or {})
        endpoint.tags_set = wanted or None
        self.check_in = AT_ONCE

    def update_done(self) -> None:
        """The wanted revision serves: those before it are replaced, and what they used can go."""
        now, endpoint = clock.now(), self.endpoint
        for one in endpoint.revisions.filter(state=Revision.State.SERVING):
            self.outcomes[one.number] = {"state": Revision.State.REPLACED, "settled_at": now}
        self.outcomes[endpoint.revision] = {"state": Revision.State.SERVING, "settled_at": now}
        endpoint.bucket, endpoint.prefix = endpoint.place
        code, facts = "endpoint.updated", {**self._revision(), **size_of(endpoint)}
        if endpoint.requested.variants:
            code = "endpoint.updated_variants"
            facts = {**self._revision(), "variants": str(endpoint.requested)}
        self._end_update(NewEvent(code, facts, Event.Level.SUCCESS))

    def scale(self) -> None:
        """Have AWS scale the endpoint, by one of its calls: the one changing call of this run.

        Each can be made again, so that nothing need be known of what a killed process did.
        """
        endpoint, limits = self.endpoint, self.endpoint.limits
        variant = endpoint.scaled_variant
        assert limits is not None, "autoscaling that nobody wants is ended"
        self.hold()
        self.check_in = AT_ONCE
        if endpoint.scaling != Endpoint.Scaling.REGISTERED:
            logger.info("endpoint %s: registering it to be scaled", endpoint)
            autoscaling.register(name=endpoint.name, limits=limits, variant=variant)
            endpoint.scaling = Endpoint.Scaling.REGISTERED
            return
        missing = self._misscheduled(variant)
        if missing:
            logger.info("endpoint %s: %s", endpoint, missing[0].action)
            autoscaling.schedule(name=endpoint.name, call=missing[0])
            return
        logger.info("endpoint %s: setting when it is scaled", endpoint)
        autoscaling.put_policy(name=endpoint.name, limits=limits, variant=variant)
        endpoint.scaling = Endpoint.Scaling.ON
        facts: dict[str, codes.Scalar] = {
            "name": endpoint.name,
            "least": limits.least,
            "most": limits.most,
            "target": limits.target,
        }
        self.events.append(NewEvent("endpoint.scaling_on", facts, Event.Level.SUCCESS))

    def stop_scaling(self) -> None:
        """Have AWS scale the endpoint no more: the one changing call of this run.

        Its number of instances stays. Where it is wanted still, it goes on after the update.
        """
        endpoint = self.endpoint
        self.hold()
        logger.info("endpoint %s: it is scaled no more", endpoint)
        with contextlib.suppress(errors.NotFound):
            autoscaling.deregister(name=endpoint.name, variant=endpoint.scaled_variant)
        self.check_in = AT_ONCE
        if endpoint.limits is not None and endpoint.wanted == Endpoint.Wanted.PRESENT:
            endpoint.scaling = Endpoint.Scaling.PAUSED
            return
        endpoint.scaling, endpoint.scaled_count = Endpoint.Scaling.OFF, endpoint.running_count
        self.events.append(NewEvent("endpoint.scaling_off", {"name": endpoint.name}))

    def look_at_scaling(self) -> None:
        """See what autoscaling did, and whether somebody ended it outside the portal."""
        endpoint, variant = self.endpoint, self.endpoint.scaled_variant
        endpoint.scaled_count = endpoint.running_count
        lost = not autoscaling.has_policy(endpoint.name, variant)
        scheduled = endpoint.limits is not None and bool(endpoint.limits.schedule)
        if lost or (scheduled and self._misscheduled(variant)):
            endpoint.scaling, self.check_in = Endpoint.Scaling.WANTED, AT_ONCE
            facts: dict[str, codes.Scalar] = {"name": endpoint.name}
            self.events.append(NewEvent("endpoint.scaling_lost", facts, Event.Level.WARNING))
            return
        # An endpoint of the same name before had activities, too.
        since = self.resources[ENDPOINT.key].created_at
        found = [
            one
            for one in autoscaling.activities(endpoint.name, variant)
            if one.over and (since is None or one.began_at >= since)
        ]
        told = set(endpoint.scaling_told or ())
        self.events += [_scaled(endpoint, one) for one in found if one.id not in told]
        endpoint.scaling_told = [one.id for one in found]

    def _misscheduled(self, variant: str) -> list[Call]:
        """The calls that are missing until the scheduled actions are as they are wanted."""
        endpoint, limits = self.endpoint, self.endpoint.limits
        assert limits is not None, "autoscaling that nobody wants is ended"
        try:
            return autoscaling.misscheduled(name=endpoint.name, limits=limits, variant=variant)
        except errors.Denied:
            if limits.schedule:
                raise
            return []  # who never scheduled anything need not have the right

    def give_update_up(self, state: Revision.State, reason: Sentence) -> None:
        """The update was refused or rolled back: what serves is wanted again."""
        endpoint = self.endpoint
        before = endpoint.revisions.filter(state=Revision.State.SERVING).first()
        assert before is not None, "a change is taken of an endpoint that serves alone"
        if before.number == endpoint.revision:
            # It was made again, and is to have the number of instances that it had.
            endpoint.update_state, endpoint.update_asked_at = Endpoint.Update.WANTED, None
            said: dict[str, codes.Scalar] = {"error": reason}
            self.stop(NewEvent("endpoint.refused", said, Event.Level.ERROR), _OTHER_NUMBER)
            return
        self.outcomes[endpoint.revision] = {
            "state": state,
            "settled_at": clock.now(),
            "failure": reason.english(),
            "failure_code": reason.as_json(),
        }
        code = "endpoint.update_refused"
        if state == Revision.State.ROLLED_BACK:
            code = "endpoint.update_rolled_back"
        facts = {**self._revision(), "reason": reason}
        endpoint.take(before)
        self._end_update(NewEvent(code, facts, Event.Level.ERROR))

    def _revision(self) -> dict[str, codes.Scalar]:
        endpoint = self.endpoint
        return {"name": endpoint.name, "revision": endpoint.revision}

    def _end_update(self, event: NewEvent) -> None:
        self.events.append(event)
        self.endpoint.update_state, self.endpoint.update_asked_at = Endpoint.Update.CLEANING, None
        self.check_in = AT_ONCE

    def delete(self, kind: ResourceKind) -> None:
        """Delete a resource: the one changing call of this run."""
        resource = self.resources[kind.key]
        self.hold()
        logger.info("endpoint %s: deleting the %s %s", self.endpoint, kind.noun, resource.name)
        self.check_in = AT_ONCE
        try:
            kind.delete(resource.name)
        except errors.NotFound:
            self.note(kind, Resource.State.GONE)
        else:
            self.note(kind, Resource.State.DELETING)
            if kind is ENDPOINT:
                self.check_in = SOON

    def hold(self) -> None:
        """Renew the lease before a changing call.

        Raises LeaseLost where another worker acts on the endpoint by now, or where its user wants
        something else. A teardown has begun then, in the same UPDATE, and cannot be undone.
        """
        same = Endpoint.objects.filter(
            wanted=self.endpoint.wanted,
            revision=self.revision,
            to_pause=self.endpoint.to_pause,
        )
        begun = {"teardown_at": None} if self.endpoint.wanted == Endpoint.Wanted.ABSENT else {}
        same.renew(self.endpoint, lease=LEASE, **begun)

    @property
    def undo_left(self) -> timedelta:
        """How much longer a teardown that somebody requested waits, so that it can be undone."""
        begins_at = self.endpoint.teardown_at
        return begins_at - clock.now() if begins_at is not None else timedelta(0)

    def to_be_left(self, kind: ResourceKind) -> bool:
        """Whether somebody asked the teardown to leave it."""
        if kind is CONFIG:
            return self.endpoint.keep_config
        return kind is MODEL and (self.endpoint.keep_model or self.endpoint.keep_config)

    def leave(self, kind: ResourceKind) -> None:
        """Leave it as somebody asked for; it counts as done."""
        facts: dict[str, codes.Scalar] = {"name": self.resources[kind.key].name}
        self.keep(kind, NewEvent(f"endpoint.{kind.kind}.left", facts))

    def keep(self, kind: ResourceKind, because: NewEvent | None = None) -> None:
        """Leave it alone; it counts as done. ``because``: the event, where it is not that of what
        is not ours.
        """
        told = len(self.events)
        self.note(kind, Resource.State.KEPT)
        if because is not None:
            self.events[told:] = [because]

    def used_elsewhere(self, kind: ResourceKind, found: Found) -> NewEvent | None:
        """The event of why a config or the model stays, since somebody else needs it; or None.

        Outside the portal any endpoint can be given one of our configs, or a config with our model.
        SageMaker takes the deletion of either, and then cannot replace an instance of that endpoint
        (BC: DeleteEndpointConfig, DeleteModel).
        """
        if kind is ENDPOINT:
            return None
        name = self.resources[kind.key].name
        if kind.kind == MODEL.kind and (config := self._kept_config_of(name)):
            facts: dict[str, codes.Scalar] = {"name": name, "config": config}
            return NewEvent("endpoint.model.in_use", facts, Event.Level.WARNING)
        try:
            other = self._other_user(kind, name, found.created_at)
        except errors.Denied as error:
            facts = {"name": name, "error": error.sentence}
            return NewEvent(f"endpoint.{kind.kind}.maybe_in_use", facts, Event.Level.WARNING)
        if not other:
            return None
        facts = {"name": name, "other": other}
        is_model = kind.kind == MODEL.kind
        code = "endpoint.model.in_use_by" if is_model else "endpoint.config.in_use"
        return NewEvent(code, facts, Event.Level.WARNING)

    def _kept_config_of(self, model: str) -> str:
        """A config that was left and serves the model; empty where there is none."""
        for config in (*self.outside_configs, *self.earlier_configs, CONFIG):
            row = self.resources[config.key]
            if row.state != Resource.State.KEPT:
                continue
            with contextlib.suppress(errors.NotFound):
                if config.describe(row.name).facts["model"] == model:
                    return row.name
        return ""

    def _other_user(self, kind: ResourceKind, name: str, created_at: datetime) -> str:
        """Another endpoint that uses the config or the model, or is being moved to it; or empty."""
        # One that uses it was created or updated after it was created.
        for other in sagemaker.list_endpoints(changed_since=created_at):
            # One of its own name that is not the portal's stays, and goes on to use what it does.
            if other == self.endpoint.name and self.state(ENDPOINT) != Resource.State.KEPT:
                continue
            self.hold()  # the account may have many
            if sagemaker.uses(other, str(kind.kind), name):
                return other
        return ""

    def wait(self, hint: Sentence) -> None:
        """Look again at what SageMaker works on: the longer it takes, the later."""
        changed_at: datetime | None = self.resources[ENDPOINT.key].changed_at
        waited = (clock.now() - changed_at).total_seconds() if changed_at else 0.0
        self.check_in = timedelta(seconds=min(10.0, max(1.0, waited / 15)))
        self.hint = hint

    def stop(self, failure: NewEvent | Sentence, hint: Sentence | None = None) -> None:
        """Do nothing more until a person fixes a failure; an event tells of it where it is new."""
        self.failure_event = failure if isinstance(failure, NewEvent) else None
        self.failure = failure.sentence if isinstance(failure, NewEvent) else failure
        self.hint, self.check_in = hint, WHEN_STOPPED

    def retry(self, problem: NewEvent) -> None:
        """Try again after something that passes, with exponential backoff."""
        attempts = self.endpoint.attempts
        self.retrying = True
        self.failure = self.endpoint.failure_said if self.endpoint.failure else None
        self.hint = problem.sentence
        self.check_in = backoff.pause(
            attempts, first=timedelta(seconds=1), longest=timedelta(minutes=1)
        )
        if attempts == RUNS_BEFORE_TELLING:
            self.events.append(problem)

    def tell(
        self, code: str, kind: ResourceKind, level: str = Event.Level.INFO, **facts: codes.Scalar
    ) -> None:
        """Add an event about a resource, with those of the facts that its sentence names."""
        name, store = self.resources[kind.key].name, self.endpoint.model_data_url
        facts |= {"name": name, "store": store, **size_of(self.endpoint)}
        named = {key: fact for key, fact in facts.items() if f"%({key})s" in TEMPLATES[code]}
        self.events.append(NewEvent(code, named, level))
