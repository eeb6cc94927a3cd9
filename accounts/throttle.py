"""The throttle of passwords: a handler for django-axes, on axes' table.

axes' own database handler does not do here. It checks before the password is hashed and counts
afterwards, so that as many attempts pass as can be made at the same time; it makes a row for each
``User-Agent``, which the client chooses; and it stores names as they were typed, and people type
passwords there. So an attempt is **counted before the password is looked at**, in one transaction
that locks its rows, and given back where the password was right:

- a row for the name and the address together: LOGIN_FAILURE_LIMIT failures;
- a row for the address alone: LOGIN_ADDRESS_FAILURE_LIMIT failures;
- where a logged-in user is asked for the password, a row for the session: LOGIN_FAILURE_LIMIT.

There is none for a name alone: with it, anybody could keep a user out. A row counts for
LOGIN_COOL_OFF_S from its first failure, or from the failure that reached the limit. While it is
locked nothing is counted, hashed or written, so the pause ends when it was said to end, and one
address makes at most LOGIN_ADDRESS_FAILURE_LIMIT + 1 rows in a pause.

Names are stored as an HMAC of their normal form.
"""

import logging
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from axes.handlers.base import AbstractAxesHandler, AxesBaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from accounts.addresses import UNKNOWN, client_address, throttled_as
from accounts.events import Login, Person
from activity.models import Event
from activity.services import record
from core import clock

log = logging.getLogger(__name__)

# Events of one level within the time of a pause; the log has the rest.
MOST_EVENTS = 200


@dataclass(frozen=True)
class Key:
    """What attempts are counted by: a row of axes' table."""

    name: str  # an HMAC; empty: the address alone
    address: str
    limit: int


@dataclass(frozen=True)
class Attempt:
    """An attempt that was counted."""

    keys: tuple[Key, ...]
    failures: int  # of the name and address, this one included
    reached: tuple[Key, ...]  # whose limit this attempt reached, should it fail


@dataclass(frozen=True)
class Locked:
    """An attempt that was refused before the password was looked at."""

    until: datetime


def normal_name(name: str) -> str:
    """One form for all spellings of a name: NFKC, letter case and spaces do not matter."""
    return " ".join(unicodedata.normalize("NFKC", name[:1000]).casefold().split())


def name_digest(name: str) -> str:
    """What stands for a name in the table; it cannot be read without SECRET_KEY."""
    return _digest("name", normal_name(name))


def _digest(kind: str, value: str) -> str:
    return salted_hmac(f"accounts.throttle.{kind}", value, algorithm="sha256").hexdigest()


def cool_off(request: HttpRequest | None = None) -> timedelta:
    """How long a row counts (AXES_COOLOFF_TIME calls this with the request)."""
    return timedelta(seconds=settings.LOGIN_COOL_OFF_S)


def keys_of(request: HttpRequest, name: str, *, prompt: bool = False) -> tuple[Key, ...]:
    """By what an attempt is counted, in the order in which the rows are locked."""
    address = throttled_as(client_address(request))
    keys = [
        Key("", address, settings.LOGIN_ADDRESS_FAILURE_LIMIT),
        Key(name_digest(name), address, settings.LOGIN_FAILURE_LIMIT),
    ]
    if prompt:
        session = _digest("session", request.session.session_key or "")
        keys.append(Key(session, UNKNOWN, settings.LOGIN_FAILURE_LIMIT))
    return tuple(keys)


def reserve(keys: Sequence[Key]) -> Attempt | Locked:
    """Count an attempt by all keys, or by none where one of them is locked."""
    now = clock.now()
    start = now - cool_off()
    # Most of a flood ends here: one query, and nothing is written.
    if locked := _locked(keys, _rows(keys), start):
        return locked
    with transaction.atomic():
        rows = _rows(keys, lock=True)
        if missing := [key for key in keys if (key.name, key.address) not in rows]:
            _make_rows(missing)
            rows = _rows(keys, lock=True)
        if locked := _locked(keys, rows, start):
            return locked
        reached = []
        failures = 0
        for key in keys:
            row = rows[key.name, key.address]
            if row.attempt_time <= start or row.failures_since_start == 0:
                row.failures_since_start, row.attempt_time = 0, now
            row.failures_since_start += 1
            if row.failures_since_start >= key.limit:
                row.attempt_time = now
                reached.append(key)
            if key.name:
                failures = max(failures, row.failures_since_start)
        AccessAttempt.objects.bulk_update(rows.values(), ["failures_since_start", "attempt_time"])
    return Attempt(tuple(keys), failures, tuple(reached))


def give_back(attempt: Attempt) -> None:
    """The password was right: forget the failures of the name, and this attempt of the address.

    The address keeps its other failures, or else whoever has an account could wipe them out.
    """
    for key in attempt.keys:
        row = AccessAttempt.objects.filter(
            username=key.name, ip_address=key.address, failures_since_start__gt=0
        )
        row.update(failures_since_start=0 if key.name else F("failures_since_start") - 1)


def _rows(keys: Sequence[Key], *, lock: bool = False) -> dict[tuple[str, str], AccessAttempt]:
    names, addresses = {key.name for key in keys}, {key.address for key in keys}
    found = AccessAttempt.objects.filter(
        username__in=names, ip_address__in=addresses, user_agent=""
    ).order_by("username", "ip_address")
    if lock:
        found = found.select_for_update()
    wanted = {(key.name, key.address) for key in keys}
    rows = {(row.username, row.ip_address): row for row in found}
    return {which: row for which, row in rows.items() if which in wanted}


def _make_rows(keys: Sequence[Key]) -> None:
    AccessAttempt.objects.bulk_create(
        [
            AccessAttempt(
                username=key.name, ip_address=key.address, user_agent="", failures_since_start=0
            )
            for key in keys
        ],
        ignore_conflicts=True,  # somebody else may make them just now
    )


def _locked(
    keys: Sequence[Key], rows: dict[tuple[str, str], AccessAttempt], start: datetime
) -> Locked | None:
    full = [
        row.attempt_time + cool_off()
        for key in keys
        if (row := rows.get((key.name, key.address)))
        and row.failures_since_start >= key.limit
        and row.attempt_time > start
    ]
    return Locked(max(full)) if full else None


def sweep() -> int:
    """Delete the rows that count no more; gives how many."""
    stale = AccessAttempt.objects.filter(attempt_time__lte=clock.now() - cool_off())
    deleted = 0
    while True:
        with transaction.atomic():
            # Locked first, in the order of `reserve`: a row that is just counted anew stays.
            ordered = stale.select_for_update().order_by("username", "ip_address")
            batch = [row.pk for row in ordered[:500]]
            deleted += int(AccessAttempt.objects.filter(pk__in=batch).delete()[0])
        if not batch:
            return deleted


# --- who tried, in the log and as events --------------------------------------------------


def failed(request: HttpRequest, name: str, attempt: Attempt) -> None:
    """Tell of a failure: a line in the log, and an event for the first and the last.

    An unknown name is told as ``#`` and a few digits of its HMAC, and never as it was typed: it may
    be a password. The digits tell whether it is the same one again.
    """
    address = client_address(request)
    user = User.objects.filter(username=name).first()
    shown = name if user else f"#{name_digest(name)[:8]}"
    log.warning(
        "Log-in failed: %s %r from %s, %d of %d failures.",
        "user" if user else "unknown name",
        shown,
        address,
        attempt.failures,
        settings.LOGIN_FAILURE_LIMIT,
    )
    subject: Person | Login = Person.of(user) if user else Login("unknown name")
    if attempt.failures == 1:
        code = "login.failed" if user else "login.failed_unknown"
        _tell(code, subject, {"name": shown, "address": address}, Event.Level.INFO)
    minutes = -(-settings.LOGIN_COOL_OFF_S // 60)
    for key in attempt.reached:
        pause = {"address": address, "minutes": minutes, "failures": key.limit}
        if key.name:
            log.warning("Log-ins of %r from %s are paused.", shown, address)
            _tell("login.locked", subject, {"name": shown, **pause}, Event.Level.WARNING)
        else:
            log.warning("All log-ins from %s are paused.", address)
            if "HTTP_X_FORWARDED_FOR" in request.META and not settings.TRUSTED_PROXIES:
                log.warning("If %s is a proxy, set TRUSTED_PROXIES (docs/settings.md).", address)
            _tell("login.address_locked", Login(address), pause, Event.Level.WARNING)


def refused(request: HttpRequest, locked: Locked) -> None:
    """Tell the log of an attempt during a pause. The name is left out: nobody looked at it."""
    log.warning(
        "Log-in refused: from %s, paused until %s.",
        client_address(request),
        locked.until.isoformat(timespec="seconds"),
    )


def _tell(code: str, subject: Person | Login, parameters: dict[str, Any], level: str) -> None:
    # By level, so that a flood of failures does not hide that log-ins were paused.
    count = Event.objects.filter(
        at__gt=clock.now() - cool_off(), action__startswith="login.", level=level
    ).count()
    if count < MOST_EVENTS:
        record(action=code, subject=subject, parameters=parameters, level=level)
    elif count == MOST_EVENTS:
        record(action="login.many", subject=Login("log-in"), parameters={}, level=level)


# --- what django-axes calls -----------------------------------------------------------------


class Handler(AbstractAxesHandler, AxesBaseHandler):  # type: ignore[misc] # axes has no types
    """Joins the throttle to axes' authentication backend and signals (AXES_HANDLER)."""

    def is_allowed(self, request: Any, credentials: dict[str, Any] | None = None) -> bool:
        """Count the attempt; False where it must not be tried. Axes' backend asks this first.

        ``login()`` gives it back; who calls ``authenticate()`` alone has to call ``give_back``.
        """
        name = str((credentials or {}).get("username") or "")
        result = reserve(keys_of(request, name))
        request.throttle = result
        return isinstance(result, Attempt)

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any
    ) -> None:
        """Tell of it; where this failure began a pause, the answer says so (AxesMiddleware)."""
        result = getattr(request, "throttle", None)
        if isinstance(result, Locked):
            refused(request, result)
        elif isinstance(result, Attempt):
            failed(request, str(credentials.get("username") or ""), result)
            if result.reached:
                request.throttle = Locked(clock.now() + cool_off())
                request.axes_locked_out = True

    def user_logged_in(self, sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
        """The password was right: give the attempt back."""
        result = getattr(request, "throttle", None)
        if isinstance(result, Attempt):
            give_back(result)
            log.info("%r logged in from %s.", user.get_username(), client_address(request))

    def user_logged_out(self, sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
        """Nothing is kept of it."""

    def get_failures(self, request: Any, credentials: dict[str, Any] | None = None) -> int:
        """How many attempts count for the name and the address."""
        name = str((credentials or {}).get("username") or "")
        rows = _rows(keys_of(request, name)).values()
        start = clock.now() - cool_off()
        return max(
            (row.failures_since_start for row in rows if row.attempt_time > start), default=0
        )

    def reset_attempts(
        self,
        *,
        ip_address: str | None = None,
        username: str | None = None,
        ip_or_username: bool = False,
    ) -> int:
        """What axes' own commands call; ``manage.py unlock`` also writes an event."""
        rows = AccessAttempt.objects.all()
        if username:
            rows = rows.filter(username=name_digest(username))
        if ip_address:
            rows = rows.filter(ip_address=throttled_as(ip_address))
        return int(rows.delete()[0])

    def post_save_access_attempt(self, instance: Any, **kwargs: Any) -> None:
        """Nothing to do."""

    def post_delete_access_attempt(self, instance: Any, **kwargs: Any) -> None:
        """Nothing to do."""
