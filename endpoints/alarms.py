"""The alarms of endpoints: asked for here, made in CloudWatch by a job, which tells their states.

A row says what is wanted. One job for all (`watch`) lists the portal's alarms once a minute, and
when somebody asks for something. It puts what is missing or other, deletes what is to go, and notes
each state. Its calls can be made again, so a process that is killed anywhere is picked up by the
next look. The machine of endpoints has a teardown wait for it (`remove_all`).
"""

import contextlib
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from activity.codes import Scalar
from activity.models import Event
from activity.services import record
from core import backoff, clock, errors
from core.errors import CONFLICT
from core.jobs import enqueue_on_commit
from core.lease import Lease, LeaseLost
from core.sentences import Sentence
from endpoints import cloudwatch, sagemaker
from endpoints.alarm_presets import LONGEST_MINUTES, PRESETS, AlarmKind
from endpoints.cloudwatch import ListedAlarm
from endpoints.models import ALARM_PREFIX, AlarmWatch, Endpoint, EndpointAlarm, alarm_prefix
from endpoints.sagemaker import Call

logger = logging.getLogger(__name__)

#: Longer than the slowest single call of CloudWatch; it is renewed before each.
LEASE = timedelta(seconds=60)
#: Between two looks; CloudWatch evaluates each alarm once a minute.
EVERY = timedelta(minutes=1)
#: Where something was asked for that CloudWatch does not show yet.
SOON = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=10)
WATCH = "endpoints.tasks.watch_alarms"
_ROW = 1
_STATES = {
    "OK": EndpointAlarm.State.OK,
    "ALARM": EndpointAlarm.State.ALARM,
    "INSUFFICIENT_DATA": EndpointAlarm.State.NO_DATA,
}
_WAITING = Q(state__in=(EndpointAlarm.State.REQUESTED, EndpointAlarm.State.REMOVING))


def of_endpoint(endpoint: Endpoint) -> list[EndpointAlarm]:
    """Its alarms, those that are to go too."""
    rows = list(endpoint.alarms.select_related("created_by"))
    for row in rows:
        row.endpoint = endpoint
    return rows


def find(endpoint: Endpoint, key: str) -> EndpointAlarm | None:
    """The alarm that is called so: its kind, or KIND.VARIANT."""
    return next((row for row in of_endpoint(endpoint) if row.key == key), None)


def parse_key(endpoint: Endpoint, key: str) -> tuple[str, str]:
    """The kind and the variant that a name means.

    Of an endpoint with several variants each alarm names its own. Raises ValidationError.
    """
    kind, _dot, variant = key.partition(".")
    names = [one.name for one in endpoint.requested.parts]
    if kind not in AlarmKind.values:
        said = _("There is no alarm %(kind)s. Choose one of: %(kinds)s.")
        raise ValidationError(said % {"kind": kind, "kinds": ", ".join(AlarmKind.values)})
    if not variant and len(names) == 1:
        variant = names[0]
    if variant not in names:
        said = _("Say of which variant, as %(example)s. %(endpoint)s has: %(variants)s.")
        told = {"example": f"{kind}.{names[0]}", "endpoint": endpoint.name}
        raise ValidationError(said % {**told, "variants": ", ".join(names)})
    return kind, variant


@transaction.atomic
def set_alarm(
    *,
    endpoint: Endpoint,
    kind: str,
    variant: str,
    threshold: int | None,
    minutes: int | None,
    actor: User | None,
) -> EndpointAlarm:
    """Ask for an alarm, or have one do something else; None: as it is, or as it is preset.

    The job makes it. Idempotent. Raises ValidationError with nothing changed: by field, or with the
    code CONFLICT where the endpoint is gone or being torn down.
    """
    endpoint = _locked(endpoint)
    preset = PRESETS[kind]
    row = endpoint.alarms.select_for_update().filter(kind=kind, variant=variant).first()
    there = row is not None and not row.removing
    chosen = row.threshold if row is not None and there else preset.threshold
    length = row.minutes if row is not None and there else preset.minutes
    wanted = (
        chosen if threshold is None or preset.fixed else threshold,
        length if minutes is None else minutes,
    )
    _check(preset.most, *wanted)
    same = row is not None and there and (row.threshold, row.minutes) == wanted
    if row is not None and same and not row.failure:
        return row
    if row is None:
        row = EndpointAlarm(endpoint=endpoint, kind=kind, variant=variant)
    row.endpoint = endpoint
    row.threshold, row.minutes = wanted
    if not there:
        row.created_by = actor
    _ask(row, EndpointAlarm.State.REQUESTED)
    _record("endpoint.alarm_requested", row, actor, condition=row.condition)
    return row


@transaction.atomic
def remove(*, alarm: EndpointAlarm, actor: User | None) -> EndpointAlarm:
    """Ask that an alarm goes; the job deletes it. Idempotent."""
    _locked(alarm.endpoint)
    row = EndpointAlarm.objects.select_for_update().filter(pk=alarm.pk).first()
    if row is None or (row.removing and not row.failure):
        return row or alarm
    row.endpoint = alarm.endpoint
    _ask(row, EndpointAlarm.State.REMOVING)
    _record("endpoint.alarm_removal_requested", row, actor)
    return row


@transaction.atomic
def send_test(*, alarm: EndpointAlarm, actor: User | None) -> None:
    """Tell whoever is told of alarms, in the same ways, that this one is a test."""
    _locked(alarm.endpoint)
    _record("endpoint.alarm_tested", alarm, actor)


def remove_all(endpoint: Endpoint) -> list[EndpointAlarm]:
    """Have all alarms of an endpoint go, and give those that are left. Idempotent.

    For a teardown, which waits until none is.
    """
    rows = of_endpoint(endpoint)
    asked = [row for row in rows if not row.removing]
    if asked:
        with transaction.atomic():
            for row in asked:
                _ask(row, EndpointAlarm.State.REMOVING)
    return rows


def _locked(endpoint: Endpoint) -> Endpoint:
    row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
    if row.gone_at is not None or row.tearing_down:
        said = _("The endpoint %(name)s is torn down, or is being torn down. Nothing was changed.")
        raise ValidationError(said % {"name": row.name}, code=CONFLICT)
    return row


def _check(most: int, threshold: int, minutes: int) -> None:
    wrong = {}
    said = _("Choose a number from 1 to %(most)s.")
    if not 1 <= threshold <= most:
        wrong["threshold"] = said % {"most": most}
    if not 1 <= minutes <= LONGEST_MINUTES:
        wrong["minutes"] = said % {"most": LONGEST_MINUTES}
    if wrong:
        raise ValidationError(wrong)


def _ask(row: EndpointAlarm, state: EndpointAlarm.State) -> None:
    row.state, row.asked = state, row.asked + 1
    row.reason, row.changed_at, row.failure, row.failure_code = "", None, "", None
    row.save()
    request_watch()


def _record(
    action: str,
    row: EndpointAlarm,
    actor: User | None = None,
    level: str = Event.Level.INFO,
    **facts: Scalar,
) -> None:
    told: dict[str, Scalar] = {"name": row.endpoint.name, "alarm": row.name, **facts}
    record(action=action, subject=row.endpoint, actor=actor, level=level, parameters=told)


# --- the job -------------------------------------------------------------------------------


def the_watch() -> AlarmWatch:
    """The row of the watch."""
    found = AlarmWatch.objects.first()
    return found or AlarmWatch.objects.get_or_create(pk=_ROW)[0]


def request_watch() -> None:
    """Have the job look now."""
    now = clock.now()
    AlarmWatch.objects.filter(pk=the_watch().pk, check_after__gt=now).update(check_after=now)
    enqueue_on_commit(WATCH)


def watch() -> None:
    """Make the alarms as they are wanted, and note their states, where that is due; idempotent."""
    row = AlarmWatch.objects.claim(the_watch().pk, lease=LEASE)
    if row is None:
        return
    lease = Lease(AlarmWatch.objects.all(), row, LEASE)
    try:
        problem = _look(lease.keep)
        # A second look tells the state of what was just made.
        if problem is None and EndpointAlarm.objects.filter(_WAITING, failure="").exists():
            problem = _look(lease.keep)
        now = clock.now()
        if problem is not None:
            logger.warning("The alarms could not be looked at: %s", problem)
            pause = backoff.pause(row.attempts, first=SOON, longest=LONGEST_PAUSE)
            said = problem.sentence
            lease.release(
                check_after=now + pause,
                attempts=row.attempts + 1,
                problem=said.english(),
                problem_code=said.as_json(),
            )
            return
        waits = EndpointAlarm.objects.filter(_WAITING, failure="").exists()
        lease.release(
            check_after=now + (SOON if waits else EVERY),
            attempts=0,
            looked_at=now,
            problem="",
            problem_code=None,
        )
    except LeaseLost:
        logger.warning("Another worker has taken over the look at alarms.")


def _look(beat: Callable[[], None]) -> errors.AwsError | None:
    """One look at all alarms; gives what kept it from all of them.

    Where they may not be listed, those that were asked for are made all the same.
    """
    rows = list(EndpointAlarm.objects.select_related("endpoint"))
    if not rows:
        return None
    listed: dict[str, ListedAlarm] | None = {}
    problem: errors.AwsError | None = None
    try:
        for one in cloudwatch.listed_alarms(ALARM_PREFIX):
            assert listed is not None
            listed[one.name] = one
            beat()
    except errors.AwsError as error:
        listed, problem = None, error
    for row in rows:
        beat()
        try:
            if row.removing:
                _delete(row, listed or {})
            else:
                _bring(row, listed)
        except errors.Throttled as error:
            return error  # the others would wait for the same
        except errors.AwsError as error:
            _note_failure(row, error.sentence)
    return problem


def _bring(row: EndpointAlarm, listed: Mapping[str, ListedAlarm] | None) -> None:
    """Put it where it is missing or other, else note its state."""
    asked_for = row.state == EndpointAlarm.State.REQUESTED
    if listed is None and not asked_for:
        return
    there = None if listed is None else listed.get(row.name)
    does = _does(row)
    if there is not None and there.does == does:
        _note(row, there)
        return
    if not EndpointAlarm.objects.filter(pk=row.pk, asked=row.asked).exists():
        return  # somebody asked for something else meanwhile
    cloudwatch.put_alarm(row.name, does, **_said(row))
    if row.failure:
        taken = EndpointAlarm.objects.filter(pk=row.pk, asked=row.asked)
        taken.update(failure="", failure_code=None)
    if listed is not None and not asked_for:
        with transaction.atomic():
            changed = {"state": EndpointAlarm.State.REQUESTED, "reason": ""}
            if EndpointAlarm.objects.filter(pk=row.pk, asked=row.asked).update(**changed):
                _record("endpoint.alarm_lost", row, level=Event.Level.WARNING)


def _does(row: EndpointAlarm) -> dict[str, Any]:
    return cloudwatch.alarm_arguments(
        PRESETS[row.kind],
        endpoint=row.endpoint.name,
        variant=row.variant,
        threshold=row.threshold,
        minutes=row.minutes,
    )


def _said(row: EndpointAlarm) -> dict[str, Any]:
    description = f"{row.endpoint.name}: {row.condition.english()} (MME Portal)"
    return {"description": description, "tags": _tags(row.endpoint)}


def calls_of(row: EndpointAlarm) -> list[Call]:
    """What the job calls to bring an alarm to what is wanted, where it was asked for."""
    if row.removing:
        return [cloudwatch.delete_call(row.name)]
    if row.state == EndpointAlarm.State.REQUESTED:
        return [cloudwatch.put_call(row.name, _does(row), **_said(row))]
    return []


def _tags(endpoint: Endpoint) -> dict[str, str]:
    tags = {sagemaker.TAG: endpoint.name}
    if portal := sagemaker.this_portal():
        tags[sagemaker.PORTAL_TAG] = portal
    return tags


def _delete(row: EndpointAlarm, listed: Mapping[str, ListedAlarm]) -> None:
    """Delete it, and at a teardown whatever else has the endpoint's prefix; then its row goes."""
    names = [row.name]
    if row.endpoint.tearing_down:
        own = alarm_prefix(row.endpoint.name)
        kept = {one.name for one in of_endpoint(row.endpoint)}
        names += [name for name in listed if name.startswith(own) and name not in kept]
    for name in names:
        with contextlib.suppress(errors.NotFound):
            cloudwatch.delete_alarm(name)
    with transaction.atomic():
        same = EndpointAlarm.objects.filter(pk=row.pk, asked=row.asked)
        if same.delete()[0]:
            _record("endpoint.alarm_removed", row)


@transaction.atomic
def _note_failure(row: EndpointAlarm, said: Sentence) -> None:
    same = EndpointAlarm.objects.filter(pk=row.pk, asked=row.asked)
    changed = same.exclude(failure=said.english())
    if changed.update(failure=said.english(), failure_code=said.as_json()):
        _record("endpoint.alarm_refused", row, level=Event.Level.ERROR, reason=said)


@transaction.atomic
def _note(row: EndpointAlarm, there: ListedAlarm) -> None:
    """Write its state, and tell where it went off or is over.

    Nobody is told while the endpoint is paused or torn down: it has no calls then.
    """
    same = EndpointAlarm.objects.select_for_update().filter(pk=row.pk, asked=row.asked)
    now = same.first()
    if now is None:
        return
    state = _STATES.get(there.state, EndpointAlarm.State.NO_DATA)
    seen: dict[str, object] = {
        "state": state,
        "reason": there.reason,
        "changed_at": there.changed_at,
        "failure": "",
        "failure_code": None,
    }
    on = state == EndpointAlarm.State.ALARM
    quiet = row.endpoint.to_pause or not row.endpoint.may_pause
    if on != now.told and not (on and quiet):
        seen["told"] = on
        code, level = "endpoint.alarm_over", Event.Level.SUCCESS
        if on:
            code, level = "endpoint.alarm_on", Event.Level.WARNING
        _record(code, row, level=level, condition=row.condition, reason=there.reason)
    if any(getattr(now, name) != value for name, value in seen.items()):
        EndpointAlarm.objects.filter(pk=row.pk).update(**seen)
