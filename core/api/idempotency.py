"""Changes that are safe to repeat: ``Idempotency-Key`` on every POST of the API.

The same key of the same user for the same operation, with the same address, query, content type
and body, gets the same answer for a day: status, body and headers, byte for byte. It runs once,
also where two requests come at once. The second one waits for the first for some seconds, and is
then told to come again (409 ``repeat-in-progress``). With another body it is 422 ``key-reused``.

How it works:

- The first request inserts a row (core.models.RepeatableCall) with a lease. A thread of this
  process prolongs the lease while the operation works, so another request takes over only where
  the process was killed, or stood still for longer than the lease.
- The answer is stored before it is sent. Answers of 5xx and 429 are not: a retry runs. Nor is one
  that is streamed or larger than 64 KB. Only a call to a model answers so much, where its caller
  asks for the container's own bytes, and such a call may run again; it would cost every large
  answer a write of megabytes that nearly nobody reads.
- A request that takes over first asks the operation's ``resume(request, attempt)`` for what the
  earlier one made. ``attempt`` is the row's id: random, made here, and bound while the operation
  works (core/attempt.py). activity.services.record stores it with each event, in the transaction
  that makes the row which the event is about. So activity.attempts.made_by(attempt, action) finds
  the row's id, or there is no such row. Without ``resume``, or where it finds nothing, it runs.
- The rights of role and token are checked before. Where more is hidden from the user by now
  (core/guarded.py) than when the answer was kept, it is not given again: ``resume`` tells what may
  still be seen of it, and without that it is 404.
- An answer that shows a secret is never stored. Its repetition is 409 ``secret-shown-once``.

A process that is stopped (SIGSTOP) for longer than its lease and then goes on runs beside the one
that took over. What it makes then is not found by the lease, but by what the service itself holds
unique (names, the bytes of an archive).
"""

import hashlib
import io
import logging
import math
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, close_old_connections, connection
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from core import attempt, clock, guarded, threads
from core.api.caller import Caller
from core.api.problems import Problem
from core.models import RepeatableCall

log = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
#: Says that an answer is a repeated one.
REPLAYED = "Idempotent-Replayed"
KEPT_FOR = timedelta(days=1)
LEASE = timedelta(seconds=15)
MAX_KEPT_BYTES = 64 << 10
#: How long a second request waits for the first, and how many may: each takes a thread.
WAIT_S = 5.0
MAX_WAITING = 4

_READ_BYTES = 1 << 20
_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)
_FIRST_LOOK_S, _LAST_LOOK_S = 0.02, 0.25
# Of one answer alone; all others are the operation's.
_NOT_KEPT = frozenset(
    {"x-request-id", "set-cookie", "date", "connection", "ratelimit-limit"}
    | {"ratelimit-remaining", "ratelimit-reset", "retry-after"}
)
Resume = Callable[[HttpRequest, str], HttpResponseBase | None]

_waiting = threading.BoundedSemaphore(MAX_WAITING)


def run(
    request: HttpRequest,
    *,
    operation_id: str,
    caller: Caller | None,
    secret: bool,
    resume: Resume | None,
    call: Callable[[], HttpResponseBase],
) -> HttpResponseBase:
    """The answer of ``call``, or of the first request with the same key.

    Raises Problem: bad-key, key-reused, repeat-in-progress, secret-shown-once, not-found; and what
    ``call`` raises, after which a repetition runs.
    """
    key = request.headers.get(HEADER)
    if key is None or caller is None:
        return call()
    if not _KEY.fullmatch(key):
        raise Problem("bad-key")
    row, new = _claimed(caller.user.pk, operation_id, key, fingerprint(request), secret=secret)
    if row.status is not None:
        if guarded.hidden_parts() <= frozenset(row.hidden or ()):
            return _replayed(row)
        return _seen_still(request, row, resume)
    with _lease_kept(row):
        return _answered(request, row, None if new else resume, call, secret=secret)


def fingerprint(request: HttpRequest) -> str:
    """SHA-256 of the method, address, query, content type and body; takes constant memory."""
    found = hashlib.sha256()
    for part in (
        request.method or "",
        request.path,
        request.META.get("QUERY_STRING", ""),
        request.headers.get("Content-Type", ""),
    ):
        text = part.encode(errors="surrogateescape")
        found.update(b"%d:%s" % (len(text), text))
    for piece in _body(request):
        found.update(piece)
    return found.hexdigest()


def _body(request: HttpRequest) -> Iterator[bytes]:
    """The body in pieces, from the web server's buffer, which is then where it was."""
    stream = request.META.get("wsgi.input")
    if hasattr(request, "_body") or not isinstance(stream, io.IOBase) or not stream.seekable():
        yield request.body  # in memory already, or of a test's client
        return
    left = int(request.META.get("CONTENT_LENGTH") or 0)
    at = stream.tell()
    stream.seek(0)
    try:
        while left > 0 and (piece := stream.read(min(_READ_BYTES, left))):
            left -= len(piece)
            yield piece
    finally:
        stream.seek(at)


# --- the row and its lease ---------------------------------------------------------


def _claimed(
    user: int, operation: str, key: str, print_: str, *, secret: bool
) -> tuple[RepeatableCall, bool]:
    """The row, with its lease or with its answer; and whether it is new."""
    deadline = time.monotonic() + WAIT_S
    pause = _FIRST_LOOK_S
    waits = False
    try:
        while True:
            row, new = _inserted(user, operation, key, print_)
            if row is None:
                continue  # it was deleted in between
            if new:
                return row, True
            if row.fingerprint != print_:
                raise Problem("key-reused")
            if row.status is not None:
                if secret and row.status < 400:
                    raise Problem("secret-shown-once")
                return row, False
            left = row.leased_until - clock.now()
            if left <= timedelta(0):
                if _taken_over(row):
                    return row, False
                continue
            if not waits:
                waits = _waiting.acquire(blocking=False)
            if not waits or time.monotonic() > deadline:
                after = max(1, math.ceil(left.total_seconds()))
                raise Problem("repeat-in-progress", headers={"Retry-After": str(after)})
            time.sleep(pause)
            pause = min(2 * pause, _LAST_LOOK_S)
    finally:
        if waits:
            _waiting.release()


def _inserted(
    user: int, operation: str, key: str, print_: str
) -> tuple[RepeatableCall | None, bool]:
    rows = RepeatableCall.objects.filter(user_id=user, operation=operation, key=key)
    now = clock.now()
    found = rows.first()
    if found is not None:
        if found.created_at > now - KEPT_FOR or found.leased_until > now:
            return found, False
        # What is over counts no more, whether it was swept or not.
        rows.filter(pk=found.pk, leased_until=found.leased_until).delete()
    mine = RepeatableCall(
        id=uuid.uuid4().hex,
        user_id=user,
        operation=operation,
        key=key,
        fingerprint=print_,
        created_at=now,
        leased_until=now + LEASE,
        holder=uuid.uuid4().hex,
    )
    RepeatableCall.objects.bulk_create([mine], ignore_conflicts=True)
    found = rows.first()
    return found, found is not None and found.pk == mine.pk


def _taken_over(row: RepeatableCall) -> bool:
    """Take the lease of ``row``, which has run out; False where another request did."""
    holder, until = uuid.uuid4().hex, clock.now() + LEASE
    free = RepeatableCall.objects.filter(
        pk=row.pk, holder=row.holder, leased_until=row.leased_until
    )
    if free.filter(status=None).update(holder=holder, leased_until=until) != 1:
        return False
    row.holder, row.leased_until = holder, until
    return True


class _Renewer:
    """Prolongs the leases of this process's requests; its thread lives while there are any."""

    def __init__(self) -> None:
        self._held: set[str] = set()
        self._changed = threading.Condition()
        self._running = False

    def add(self, holder: str) -> None:
        with self._changed:
            self._held.add(holder)
            if not self._running:
                self._running = threads.started(self._run, name="attempts") is not None

    def remove(self, holder: str) -> None:
        with self._changed:
            self._held.discard(holder)

    def _run(self) -> None:
        while True:
            time.sleep(LEASE.total_seconds() / 3)
            with self._changed:
                held = list(self._held)
                self._running = bool(held)
            if not held:
                connection.close()  # this thread's own
                return
            try:
                mine = RepeatableCall.objects.filter(holder__in=held, status=None)
                mine.update(leased_until=clock.now() + LEASE)
            except DatabaseError as error:
                log.warning("The leases of %d changes were not prolonged: %s", len(held), error)
            finally:
                close_old_connections()


_renewer = _Renewer()


@contextmanager
def _lease_kept(row: RepeatableCall) -> Iterator[None]:
    _renewer.add(row.holder)
    try:
        yield
    finally:
        _renewer.remove(row.holder)


# --- the answer --------------------------------------------------------------------


def _answered(
    request: HttpRequest,
    row: RepeatableCall,
    resume: Resume | None,
    call: Callable[[], HttpResponseBase],
    *,
    secret: bool,
) -> HttpResponseBase:
    kept = False
    try:
        with attempt.bound(row.pk):
            answer = resume(request, row.pk) if resume is not None else None
            found = answer is not None
            if answer is None:
                answer = call()
        if _is_kept(answer):
            kept = _keep(row, answer, without_body=secret and answer.status_code < 400)
    except Problem as problem:
        # The caller makes the same answer of it; here it is made to be kept.
        answer = problem.response()
        found = False
        if _is_kept(answer):
            kept = _keep(row, answer, without_body=False)
    finally:
        if not kept:
            _release(row)
    if secret and found:
        raise Problem(
            "secret-shown-once",
            _("It was made, but the request was cut off before its answer: the secret is lost."),
        )
    return answer


def _is_kept(answer: HttpResponseBase) -> bool:
    if answer.status_code >= 500 or answer.status_code == 429:
        return False
    return isinstance(answer, HttpResponse) and len(answer.content) <= MAX_KEPT_BYTES


def _keep(row: RepeatableCall, answer: HttpResponseBase, *, without_body: bool) -> bool:
    """Store the answer; False where the database did not take it, so that the lease runs out."""
    headers = [[name, value] for name, value in answer.items() if name.lower() not in _NOT_KEPT]
    changes: dict[str, Any] = {"status": answer.status_code, "headers": [], "body": b""}
    changes["hidden"] = sorted(guarded.hidden_parts())
    if not without_body:
        changes |= {"headers": headers, "body": getattr(answer, "content", b"")}
    try:
        return _write(row, **changes)
    except DatabaseError as error:
        log.warning("The answer of %s was not kept for a repetition: %s", row, error)
        return False


def _release(row: RepeatableCall) -> None:
    """Let a repetition run at once; where that fails, it runs when the lease is over."""
    try:
        _write(row)
    except DatabaseError as error:
        log.warning("The lease of %s was not given back: %s", row, error)


def _write(row: RepeatableCall, **changes: Any) -> bool:
    mine = RepeatableCall.objects.filter(pk=row.pk, holder=row.holder, status=None)
    if mine.update(leased_until=clock.now(), **changes) == 1:
        return True
    log.warning("Another request took %s over meanwhile.", row)
    return False


def _replayed(row: RepeatableCall) -> HttpResponse:
    answer = HttpResponse(bytes(row.body), status=row.status)
    del answer.headers["Content-Type"]
    for name, value in row.headers:
        answer.headers[name] = value
    answer.headers[REPLAYED] = "true"
    return answer


def _seen_still(
    request: HttpRequest, row: RepeatableCall, resume: Resume | None
) -> HttpResponseBase:
    """What the user may see now of what was made. Raises Problem where that is nothing."""
    answer = resume(request, row.pk) if resume is not None else None
    if answer is None:
        raise Problem(
            "not-found",
            _(
                "This was answered before, and you may see less since then. The answer is not "
                "given again, and nothing was done again."
            ),
        )
    answer.headers[REPLAYED] = "true"
    return answer


def sweep() -> None:
    """Delete what is older than a day and that no request works on."""
    now = clock.now()
    RepeatableCall.objects.filter(created_at__lte=now - KEPT_FOR, leased_until__lte=now).delete()
