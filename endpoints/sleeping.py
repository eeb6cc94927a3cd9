"""An endpoint sleeps, and wakes: at once, or by its working hours.

While it sleeps there is no endpoint in SageMaker, so that no instance costs money. Its config and
its model stay, which cost nothing, so that waking is one call that makes it again under its name.
The portal tells an hour before it lets one sleep by its hours. Where it did not run then, it tells
late and waits for an hour: none sleeps that was not told of.
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
from endpoints import services
from endpoints.end_dates import MAY_TEAR_DOWN, in_words, to_the_minute
from endpoints.models import Endpoint
from endpoints.services import ChangeNotAllowed
from endpoints.working_hours import HoursError, WorkingHours

logger = logging.getLogger(__name__)

#: How much longer one stays awake with a click, and one that was woken outside of its hours.
LONGER = timedelta(hours=2)
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
    Who may tear down no endpoint may give them to their own alone, and remove any; else
    ChangeNotAllowed. Raises ValidationError, with nothing changed: by field, or with the code
    CONFLICT where it is torn down, or is being torn down.
    """
    row = _locked(endpoint, require)
    given = _parsed(hours, zone) if hours else None
    if given is not None:
        _check_may(row, actor)
    before = row.working_hours
    if given == before:
        return row
    row.hours, row.hours_zone = (str(given), given.zone.key) if given is not None else ("", "")
    now = clock.now()
    if row.to_sleep:
        row.wakes_at = given.opens_after(now) if given is not None else None
    else:
        _plan_sleep(row, now)
    row.save(update_fields=["hours", "hours_zone", *_PLANNED])
    facts: dict[str, Scalar] = {"name": row.name}
    if given is None:
        record(action="endpoint.hours_removed", subject=row, actor=actor, parameters=facts)
    else:
        facts |= {"hours": row.hours, "zone": row.hours_zone}
        record(action="endpoint.hours_set", subject=row, actor=actor, parameters=facts)
    return row


@transaction.atomic
def sleep_now(
    *, endpoint: Endpoint, actor: User | None, require: Require | None = None
) -> Endpoint:
    """Let it sleep at once; by its hours it wakes at the next beginning. Idempotent.

    Raises as `set_hours`.
    """
    row = _locked(endpoint, require)
    if not row.to_sleep:
        _check_may(row, actor)
        _sleep(row, actor, "endpoint.sleep_requested")
    return row


@transaction.atomic
def wake_now(*, endpoint: Endpoint, actor: User | None, require: Require | None = None) -> Endpoint:
    """Wake it at once; outside of its hours it sleeps again two hours later. Idempotent."""
    row = _locked(endpoint, require)
    if row.to_sleep:
        _wake(row, actor, "endpoint.wake_requested")
    return row


@transaction.atomic
def stay_awake(
    *, endpoint: Endpoint, actor: User | None, require: Require | None = None
) -> Endpoint:
    """Let it sleep two hours later this once; a conflict where it does not sleep by its hours."""
    row = _locked(endpoint, require)
    if row.sleeps_at is None or row.to_sleep:
        said = _("The endpoint %(name)s has no time at which it sleeps. Nothing was changed.")
        raise ValidationError(said % {"name": row.name}, code=CONFLICT)
    row.sleeps_at, row.sleep_told = max(row.sleeps_at, clock.now()) + LONGER, False
    row.save(update_fields=_PLANNED)
    facts: dict[str, Scalar] = {"name": row.name, "at": in_words(row.sleeps_at)}
    record(action="endpoint.sleep_postponed", subject=row, actor=actor, parameters=facts)
    return row


_PLANNED = ("sleeps_at", "wakes_at", "sleep_told")
_WRITTEN = (
    *("to_sleep", "made_again", "attempts", "check_after"),
    *("failure", "failure_code", "hint", "hint_code"),
    *_PLANNED,
)


def _locked(endpoint: Endpoint, require: Require | None) -> Endpoint:
    row = Endpoint.objects.select_for_update().get(pk=endpoint.pk)
    if require is not None:
        require(row)
    if row.gone_at is not None or row.tearing_down:
        said = _("The endpoint %(name)s is torn down, or is being torn down. Nothing was changed.")
        raise ValidationError(said % {"name": row.name}, code=CONFLICT)
    return row


def _parsed(hours: str, zone: str) -> WorkingHours:
    try:
        return WorkingHours.parse(hours, zone)
    except HoursError as error:
        said = {
            "form": _("Write working hours as: mon-fri 08:00-19:00."),
            "day": _("Days are mon, tue, wed, thu, fri, sat and sun."),
            "time": _("Times are from 00:00 to 24:00."),
            "short": _("It must work for an hour at least: a creation takes minutes."),
            "always": _("It must sleep for an hour at least. To let it run always, remove them."),
            "zone": _("Name a time zone, as Asia/Seoul."),
        }[error.code]
        raise ValidationError({"zone" if error.code == "zone" else "hours": said}) from None


def _check_may(row: Endpoint, actor: User | None) -> None:
    if actor is None or actor.has_perm(MAY_TEAR_DOWN) or row.created_by_id == actor.pk:
        return
    raise ChangeNotAllowed(
        _("Only admins, and who created the endpoint, may let it sleep. Nothing was changed.")
    )


def _plan_sleep(row: Endpoint, now: datetime) -> None:
    """Set when it sleeps next, unsaved."""
    hours = row.working_hours
    row.wakes_at, row.sleep_told = None, False
    row.sleeps_at = None
    if hours is None:
        return
    later = now + LONGER
    if hours.open_at(now) or hours.opens_after(now) <= later:
        later = hours.closes_after(now)
    row.sleeps_at = to_the_minute(later)


def _sleep(row: Endpoint, actor: User | None, code: str) -> None:
    now, hours = clock.now(), row.working_hours
    row.to_sleep, row.made_again = True, False
    row.sleeps_at, row.sleep_told = None, False
    row.wakes_at = hours.opens_after(now) if hours is not None else None
    row.attempts, row.check_after = 0, now
    row.say(failure=None, hint=_SLEEPS)
    row.save(update_fields=_WRITTEN)
    record(action=code, subject=row, actor=actor, parameters={"name": row.name})
    services.step_soon(row.pk)


def _wake(row: Endpoint, actor: User | None, code: str) -> None:
    now = clock.now()
    row.to_sleep, row.made_again = False, True
    _plan_sleep(row, now)
    row.attempts, row.check_after = 0, now
    row.say(failure=None, hint=_WAKES)
    row.save(update_fields=_WRITTEN)
    record(action=code, subject=row, actor=actor, parameters={"name": row.name})
    services.step_soon(row.pk)


_SLEEPS = phrase("The endpoint falls asleep in a few seconds.").named("endpoint.sleep_starts")
_WAKES = phrase("The endpoint wakes: it is made again in a few seconds.").named(
    "endpoint.wake_starts"
)


def sweep() -> int:
    """Tell of endpoints that sleep soon, and let sleep and wake those that are due; how many rows.

    What fails with one endpoint does not keep the others waiting; it is raised at the end.
    """
    now = clock.now()
    sleeps = Q(to_sleep=False, sleep_told=False, sleeps_at__lte=now + WARNED)
    due = Q(to_sleep=False, sleep_told=True, sleeps_at__lte=now)
    wakes = Q(to_sleep=True, wakes_at__lte=now)
    rows = Endpoint.objects.filter(gone_at=None, wanted=Endpoint.Wanted.PRESENT)
    found = list(rows.filter(sleeps | due | wakes).order_by("pk").values_list("pk", flat=True))
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
    if row.to_sleep:
        if row.wakes_at is not None and row.wakes_at <= now:
            logger.info("endpoint %s: its working hours begin", row)
            _wake(row, None, "endpoint.wakes_by_hours")
        return
    if row.sleeps_at is None:
        return
    left, hours = row.sleeps_at - now, row.working_hours
    if left <= timedelta(0) and row.sleep_told:
        if hours is not None and hours.open_at(now):  # it was postponed into the next ones
            _plan_sleep(row, now)
            row.save(update_fields=_PLANNED)
            return
        logger.info("endpoint %s: its working hours are over", row)
        _sleep(row, None, "endpoint.sleeps_by_hours")
    elif left <= WARNED and not row.sleep_told:
        if left < WARNED - LATE:  # the portal did not run when it was to tell of it
            row.sleeps_at = to_the_minute(now + WARNED + timedelta(seconds=59))
        row.sleep_told = True
        row.save(update_fields=_PLANNED)
        facts: dict[str, Scalar] = {"name": row.name, "at": in_words(row.sleeps_at)}
        record(
            action="endpoint.sleeps_in_an_hour",
            subject=row,
            actor=None,
            level=Event.Level.WARNING,
            parameters=facts,
        )
