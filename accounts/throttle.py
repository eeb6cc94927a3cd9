"""The throttle of log-ins: a handler for django-axes that uses axes' table.

axes' own database handler is not enough. It checks before the password is hashed and counts
afterwards, so any number of simultaneous attempts pass. It creates a row for each ``User-Agent``,
which the client chooses. It stores names as they were typed, and people type passwords there. So an
attempt is **counted before the password is checked**, in one transaction that locks its rows, and
released where the password was right. There is

- a row for the name and the address together: LOGIN_FAILURE_LIMIT failures;
- a row for the address alone: LOGIN_ADDRESS_FAILURE_LIMIT failures;
- where a logged-in user is asked for the password, a row for the session: LOGIN_FAILURE_LIMIT.

There is no row for a name alone: anybody could lock a user out with it. A row counts for
LOGIN_COOL_OFF_S from its first failure, or from the failure that reached the limit. While it is
locked nothing is counted, hashed or written. So the pause ends at the time that was announced, and
one address creates at most LOGIN_ADDRESS_FAILURE_LIMIT + 1 rows in a pause.

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
from core import clock, guarded

log = logging.getLogger(__name__)

# Events of one level within the time of a pause; further ones are in the web server's log alone.
MAX_EVENTS = 200


@dataclass(frozen=True)
class Key:
    """One count of attempts: the key of a row of axes' table."""

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
    """The same text for all spellings of a name that differ in case, spaces or Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", name[:1000]).casefold().split())


def name_digest(name: str) -> str:
    """An HMAC that stands for a name in the table; it cannot be reversed without SECRET_KEY."""
    return _digest("name", normal_name(name))


def _digest(kind: str, value: str) -> str:
    return salted_hmac(f"accounts.throttle.{kind}", value, algorithm="sha256").hexdigest()


def cool_off(request: HttpRequest | None = None) -> timedelta:
    """How long a row counts (AXES_COOLOFF_TIME calls this with the request)."""
    return timedelta(seconds=settings.LOGIN_COOL_OFF_S)


def keys_of(request: HttpRequest, name: str, *, prompt: bool = False) -> tuple[Key, ...]:
    """The keys that an attempt is counted by, in the order in which their rows are locked."""
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
    # Most attempts of a flood end here, with one query and without a write.
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


def release(attempt: Attempt) -> None:
    """The password was right: reset the count of the name, and uncount this attempt of the address.

    The address keeps its other failures; otherwise anybody with an account could reset them.
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
        ignore_conflicts=True,  # another process may create them at the same time
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
    """Delete the rows that no longer count; returns how many."""
    stale = AccessAttempt.objects.filter(attempt_time__lte=clock.now() - cool_off())
    deleted = 0
    while True:
        with transaction.atomic():
            # Locked in the order of `reserve`, so that a row that is being counted again stays.
            ordered = stale.select_for_update().order_by("username", "ip_address")
            batch = [row.pk for row in ordered[:500]]
            deleted += int(AccessAttempt.objects.filter(pk__in=batch).delete()[0])
        if not batch:
            return deleted


# --- failures in the log and as events -----------------------------------------------------


def failed(request: HttpRequest, name: str, attempt: Attempt) -> None:
    """Log a failure and record its event, and that of a pause which it begins.

    An unknown name is shown as ``#`` and a few digits of its HMAC, never as it was typed: it may be
    a password. The digits show whether it is the same name again.
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
    code = "login.failed" if user else "login.failed_unknown"
    _record_limited(code, subject, {"name": shown, "address": address}, Event.Level.INFO)
    minutes = -(-settings.LOGIN_COOL_OFF_S // 60)
    for key in attempt.reached:
        pause = {"address": address, "minutes": minutes, "failures": key.limit}
        if key.name:
            log.warning("Log-ins of %r from %s are paused.", shown, address)
            _record_limited("login.locked", subject, {"name": shown, **pause}, Event.Level.WARNING)
        else:
            log.warning("All log-ins from %s are paused.", address)
            if "HTTP_X_FORWARDED_FOR" in request.META and not settings.TRUSTED_PROXIES:
                log.warning("If %s is a proxy, set TRUSTED_PROXIES (docs/settings.md).", address)
            _record_limited("login.address_locked", Login(address), pause, Event.Level.WARNING)


def refused(request: HttpRequest, locked: Locked) -> None:
    """Log an attempt during a pause, without the name, which was not checked."""
    log.warning(
        "Log-in refused: from %s, paused until %s.",
        client_address(request),
        locked.until.isoformat(timespec="seconds"),
    )


def wrong_token(request: HttpRequest) -> Locked | None:
    """Count a token of the API that is none, by its address; the pause, where there is one.

    It has a count of its own: a program with an old token must not keep people from logging in. A
    pause is for wrong tokens alone, as nobody finds one of 2^256 by trying: whoever shares an
    address with somebody who tries goes on working.
    """
    address = client_address(request)
    key = Key(_digest("token", ""), throttled_as(address), settings.LOGIN_ADDRESS_FAILURE_LIMIT)
    result = reserve([key])
    if isinstance(result, Locked):
        return result
    log.warning("A wrong token from %s, %d of %d.", address, result.failures, key.limit)
    if result.reached:
        minutes = -(-settings.LOGIN_COOL_OFF_S // 60)
        pause = {"address": address, "minutes": minutes, "failures": key.limit}
        _record_limited("login.tokens_paused", Login(address), pause, Event.Level.WARNING)
    return None


def _record_limited(
    code: str, subject: Person | Login, parameters: dict[str, Any], level: str
) -> None:
    # Limited by level, so that many failures do not hide that log-ins were paused.
    with guarded.as_portal():  # nobody is logged in yet, and nothing is shown
        events = Event.objects.filter(
            at__gt=clock.now() - cool_off(), action__startswith="login.", level=level
        )
    count = events.count()
    if count < MAX_EVENTS:
        record(action=code, subject=subject, parameters=parameters, level=level)
    elif count == MAX_EVENTS:
        record(action="login.many", subject=Login("log-in"), parameters={}, level=level)


# --- what django-axes calls -----------------------------------------------------------------


class Handler(AbstractAxesHandler, AxesBaseHandler):  # type: ignore[misc] # axes has no types
    """Connects the throttle with axes' authentication backend and signals (AXES_HANDLER)."""

    def is_allowed(self, request: Any, credentials: dict[str, Any] | None = None) -> bool:
        """Count the attempt; False where it must not be tried. Axes' backend calls this first.

        ``login()`` releases it; code that calls ``authenticate()`` alone has to call ``release``.
        """
        name = str((credentials or {}).get("username") or "")
        result = reserve(keys_of(request, name))
        request.throttle = result
        return isinstance(result, Attempt)

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any
    ) -> None:
        """Record it; where this failure began a pause, the answer says so (AxesMiddleware)."""
        result = getattr(request, "throttle", None)
        if isinstance(result, Locked):
            refused(request, result)
        elif isinstance(result, Attempt):
            failed(request, str(credentials.get("username") or ""), result)
            if result.reached:
                request.throttle = Locked(clock.now() + cool_off())
                request.axes_locked_out = True

    def user_logged_in(self, sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
        """The password was right: release the attempt."""
        result = getattr(request, "throttle", None)
        if isinstance(result, Attempt):
            release(result)
            log.info("%r logged in from %s.", user.get_username(), client_address(request))

    def user_logged_out(self, sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
        """Nothing to do."""

    def get_failures(self, request: Any, credentials: dict[str, Any] | None = None) -> int:
        """The number of attempts that count for the name and the address."""
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
        """Called by axes' own commands; ``manage.py unlock`` also records an event."""
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
