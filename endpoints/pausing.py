"""An endpoint is paused, and resumed: at once, or by its working hours.

While it is paused there is no endpoint in SageMaker, so that no instance costs money. Its config
and its model stay, which cost nothing, so that resuming is one call that makes it again under its
name.
The portal tells an hour before it pauses one by its hours, and a day before the first pause after
they were set or changed: who answers for it may not know of them. Later ones come each evening, and
a warning a day before each would be read by nobody. Where it did not run then, it tells
late and waits for an hour: none is paused that was not told of. One that somebody deleted outside
the portal is left as it is, until a person decides.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from activity.codes import Scalar
from activity.models import Event
from activity.services import record
from core import clock
from core.errors import CONFLICT
from core.sentences import phrase
from endpoints import drift, quotas, services
from endpoints.end_dates import MAY_TEAR_DOWN, in_words, to_the_minute
from endpoints.models import Endpoint
from endpoints.services import ChangeNotAllowed
from endpoints.working_hours import HoursError, WorkingHours

logger = logging.getLogger(__name__)

#: How much longer one runs with a click, and one that was resumed outside of its hours.
LONGER = timedelta(hours=2)
#: The first pause after hours were set or changed is told of so long before, and put off by so
#: much with a click.
A_DAY = timedelta(days=1)
#: It is told of so long before.
WARNED = timedelta(hours=1)
#: A warning so late is still one of an hour: beat sweeps each minute.
LATE = timedelta(minutes=5)
Require = Callable[[Endpoint], None]


@transaction.atomic
def set_hours(
    *,
    endpoint: Endpoint,
    hours: str,
    zone: str = "",
    actor: User | None,
    require: Require | None = None,
) -> Endpoint:
    """Give an endpoint working hours, as "mon-fri 08:00-19:00" in a zone, or with "" none.

    ``require`` is called with the locked row before anything is changed, and may raise. Idempotent.
    Without the permission to tear endpoints down, ``actor`` may give them only to their own, and
    remove any; else ChangeNotAllowed. Raises ValidationError, with nothing changed: by field, or
    with the code CONFLICT where it is torn down, or is being torn down.
    """
    row = services.locked(endpoint, require)
    given = _parsed(hours, zone) if hours else None
    if given is not None:
        _check_may(row, actor)
    before = row.working_hours
    if given == before:
        return row
    row.hours, row.hours_zone = (str(given), given.zone.key) if given is not None else ("", "")
    now = clock.now()
    if row.to_pause:
        row.resumes_at = given.opens_after(now) if given is not None else None
    else:
        _plan_pause(row, now)
    row.first_pause = _FIRST.NONE if given is None else _FIRST.TO_TELL
    row.save(update_fields=["hours", "hours_zone", "first_pause", *_PLANNED])
    facts: dict[str, Scalar] = {"name": row.name}
    if given is None:
        record(action="endpoint.hours_removed", subject=row, actor=actor, parameters=facts)
    else:
        facts |= {"hours": row.hours, "zone": row.hours_zone}
        record(action="endpoint.hours_set", subject=row, actor=actor, parameters=facts)
    return row


@transaction.atomic
def pause_now(
    *, endpoint: Endpoint, actor: User | None, require: Require | None = None
) -> Endpoint:
    """Pause it at once; by its hours it resumes at the next beginning. Idempotent.

    Raises as `set_hours`.
    """
    row = services.locked(endpoint, require)
    if not row.to_pause:
        _check_may(row, actor)
        _pause(row, actor, "endpoint.pause_requested")
    return row


def resume_now(
    *, endpoint: Endpoint, actor: User | None, require: Require | None = None
) -> Endpoint:
    """Resume it at once; outside of its hours it is paused again two hours later. Idempotent.

    ``quota_notes`` has what to know where the account may not run its instances beside others.
    """
    paused = endpoint.to_pause
    row = write_resume(endpoint=endpoint, actor=actor, require=require)
    if paused and not row.to_pause:
        row.quota_notes = quotas.warnings(row.in_config.parts)
    return row


@transaction.atomic
def write_resume(
    *, endpoint: Endpoint, actor: User | None, require: Require | None = None
) -> Endpoint:
    """Record that it resumes, and ask AWS nothing; see `resume_now`."""
    row = services.locked(endpoint, require)
    if row.to_pause:
        _resume(row, actor, "endpoint.resume_requested")
    return row


@transaction.atomic
def extend(
    *,
    endpoint: Endpoint,
    actor: User | None,
    require: Require | None = None,
    longer: timedelta = LONGER,
) -> Endpoint:
    """Keep it running so much longer this once; a conflict where it has no such time."""
    row = services.locked(endpoint, require)
    if row.pauses_at is None or row.to_pause:
        said = _("The endpoint %(name)s has no time at which it is paused. Nothing was changed.")
        raise ValidationError(said % {"name": row.name}, code=CONFLICT)
    row.pauses_at, row.pause_told = max(row.pauses_at, clock.now()) + longer, False
    row.save(update_fields=_PLANNED)
    facts: dict[str, Scalar] = {"name": row.name, "at": in_words(row.pauses_at)}
    record(action="endpoint.pause_postponed", subject=row, actor=actor, parameters=facts)
    return row


_FIRST = Endpoint.FirstPause
_PLANNED = ("pauses_at", "resumes_at", "pause_told")
_WRITTEN = (
    *("to_pause", "made_again", "attempts", "check_after"),
    *("failure", "failure_code", "hint", "hint_code"),
    "first_pause",
    *_PLANNED,
)


def _parsed(hours: str, zone: str) -> WorkingHours:
    try:
        return WorkingHours.parse(hours, zone)
    except HoursError as error:
        said = {
            "form": _("Write working hours as: mon-fri 08:00-19:00."),
            "day": _("Days are mon, tue, wed, thu, fri, sat and sun."),
            "time": _("Times are from 00:00 to 24:00."),
            "short": _("It must work for an hour at least: a creation takes minutes."),
            "always": _(
                "It must be paused for an hour at least. To let it run always, remove them."
            ),
            "zone": _("Name a time zone, as Asia/Seoul."),
        }[error.code]
        raise ValidationError({"zone" if error.code == "zone" else "hours": said}) from None


def _check_may(row: Endpoint, actor: User | None) -> None:
    if actor is None or actor.has_perm(MAY_TEAR_DOWN) or row.is_own(actor):
        return
    raise ChangeNotAllowed(
        _("Only admins, and the owner of the endpoint, may pause it. Nothing was changed.")
    )


def _plan_pause(row: Endpoint, now: datetime) -> None:
    """Set when it is paused next, unsaved."""
    hours = row.working_hours
    row.resumes_at, row.pause_told = None, False
    row.pauses_at = None
    if hours is None:
        return
    later = now + LONGER
    if hours.open_at(now) or hours.opens_after(now) <= later:
        later = hours.closes_after(now)
    row.pauses_at = to_the_minute(later)


def _pause(row: Endpoint, actor: User | None, code: str) -> None:
    now, hours = clock.now(), row.working_hours
    row.to_pause, row.made_again = True, False
    row.pauses_at, row.pause_told = None, False
    row.resumes_at = hours.opens_after(now) if hours is not None else None
    row.attempts, row.check_after = 0, now
    row.say(failure=None, hint=_PAUSES)
    row.save(update_fields=_WRITTEN)
    record(action=code, subject=row, actor=actor, parameters={"name": row.name})
    services.step_soon(row.pk)


def _resume(row: Endpoint, actor: User | None, code: str) -> None:
    now = clock.now()
    row.to_pause, row.made_again = False, True
    _plan_pause(row, now)
    row.attempts, row.check_after = 0, now
    row.say(failure=None, hint=_RESUMES)
    row.save(update_fields=_WRITTEN)
    record(action=code, subject=row, actor=actor, parameters={"name": row.name})
    services.step_soon(row.pk)


_PAUSES = phrase("The endpoint is paused in a few seconds.").named("endpoint.pause_starts")
_RESUMES = phrase("The endpoint resumes: it is made again in a few seconds.").named(
    "endpoint.resume_starts"
)


def sweep() -> int:
    """Tell of pauses that are near, and pause and resume what is due; how many rows.

    What fails with one endpoint does not keep the others waiting; it is raised at the end.
    """
    now = clock.now()
    pauses = Q(to_pause=False, pause_told=False, pauses_at__lte=now + WARNED)
    first = Q(to_pause=False, first_pause=_FIRST.TO_TELL, pauses_at__lte=now + A_DAY)
    due = Q(to_pause=False, pause_told=True, pauses_at__lte=now)
    resumes = Q(to_pause=True, resumes_at__lte=now)
    rows = Endpoint.objects.filter(gone_at=None, wanted=Endpoint.Wanted.PRESENT)
    found = list(
        rows.filter(pauses | first | due | resumes).order_by("pk").values_list("pk", flat=True)
    )
    problems: list[Exception] = []
    for pk in found:
        try:
            _act(pk, now)
        except Exception as problem:
            problems.append(problem)
    if problems:
        raise problems[0]
    return len(found)


@transaction.atomic
def _act(pk: int, now: datetime) -> None:
    """Take the one step that is due of one endpoint; a step that is done is not taken again."""
    row = Endpoint.objects.select_for_update().filter(pk=pk).first()
    if row is None or row.gone_at is not None or row.tearing_down:
        return
    if row.to_pause:
        if row.resumes_at is not None and row.resumes_at <= now:
            logger.info("endpoint %s: its working hours begin", row)
            _resume(row, None, "endpoint.resumed_by_hours")
        return
    if row.pauses_at is None:
        return
    if drift.is_deleted(row):  # a person decides: paused, it would be made again in the morning
        if row.pauses_at <= now:
            _plan_pause(row, now)
            row.save(update_fields=_PLANNED)
        return
    left, hours = row.pauses_at - now, row.working_hours
    if left <= timedelta(0) and row.pause_told:
        if hours is not None and hours.open_at(now):  # it was postponed into the next ones
            _plan_pause(row, now)
            row.save(update_fields=_PLANNED)
            return
        logger.info("endpoint %s: its working hours are over", row)
        row.first_pause = _FIRST.NONE
        _pause(row, None, "endpoint.paused_by_hours")
    elif left <= WARNED and not row.pause_told:
        if left < WARNED - LATE:  # the portal did not run when it was to tell of it
            row.pauses_at = to_the_minute(now + WARNED + timedelta(seconds=59))
        row.pause_told = True
        if row.first_pause:
            row.first_pause = _FIRST.TOLD
        row.save(update_fields=[*_PLANNED, "first_pause"])
        _warn(row, "endpoint.pauses_in_an_hour")
    elif left <= A_DAY and row.first_pause == _FIRST.TO_TELL:
        row.first_pause = _FIRST.TOLD
        row.save(update_fields=["first_pause"])
        _warn(row, "endpoint.pauses_first")


def _warn(row: Endpoint, code: str) -> None:
    assert row.pauses_at is not None
    facts: dict[str, Scalar] = {"name": row.name, "at": in_words(row.pauses_at)}
    record(action=code, subject=row, actor=None, level=Event.Level.WARNING, parameters=facts)
