"""Answers to requests that fail because disk, database, Redis or store is full, locked or slow.

Such a request fails through no fault of the user and may be retried later. It is answered with 503,
or 507 where there is no space, with `Retry-After` and a page that says what happened, what was kept
and what to do. Its transaction is rolled back.
"""

import errno
import logging
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from core import errors, request_id

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shortage:
    """A resource that is missing for now, and the answer that says so."""

    what: Promise
    status: int = 503
    retry_after_s: int = 10


_BUSY = Shortage(
    _("The database is being used by another program for longer than the portal waits.")
)
_FULL = Shortage(_("The disk of the database is full."), 507, 60)
_READ_ONLY = Shortage(_("The database can only be read at the moment."), 503, 30)
_AWAY = Shortage(_("The database does not answer."))
_DISK = Shortage(_("The disk of the portal is full."), 507, 60)
_FILES = Shortage(_("The portal has too many files and connections open."))
_QUEUE = Shortage(_("Redis, which holds the queue of jobs, does not answer."))
_STORE = Shortage(_("The store does not answer, or asks to slow down."))
_STORE_FULL = Shortage(_("The store has no room left."), 507, 60)

_ERRNO = {
    errno.ENOSPC: _DISK,
    errno.EDQUOT: _DISK,
    errno.EROFS: Shortage(_("The disk of the portal can only be read at the moment."), 503, 30),
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
}
# The names of SQLite's result codes (https://www.sqlite.org/rescode.html), without what follows
# the first word: SQLITE_IOERR_WRITE is SQLITE_IOERR.
_SQLITE = {
    "BUSY": _BUSY,
    "LOCKED": _BUSY,
    "FULL": _FULL,
    "READONLY": _READ_ONLY,
    "IOERR": Shortage(_("The disk of the database does not take what is written."), 503, 30),
    "CANTOPEN": Shortage(_("The file of the database cannot be opened."), 503, 30),
    "NOMEM": Shortage(_("The machine has too little memory.")),
}
# PostgreSQL's SQLSTATE (its manual, appendix A).
_POSTGRES = {
    "53100": _FULL,
    "53200": Shortage(_("The database has too little memory.")),
    "53300": Shortage(_("The database has no connection left.")),
    "53400": Shortage(_("The database has reached a limit of its configuration.")),
    "25006": _READ_ONLY,
    "55P03": _BUSY,  # lock_not_available
    "57014": _BUSY,  # query_canceled: its time was over
    "40001": _BUSY,  # serialization_failure
    "40P01": _BUSY,  # deadlock_detected
    "57P01": _AWAY,
    "57P02": _AWAY,
    "57P03": _AWAY,
}


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it, at most ten deep."""
    for __ in range(10):
        if error is None:
            return
        yield error
        # Django raises these two without a cause.
        unsaid = isinstance(error, SessionInterrupted | UpdateError)
        error = error.__context__ if unsaid else error.__cause__


def shortage(error: BaseException | None) -> Shortage | None:
    """The shortage that caused ``error``; None for any other error."""
    found = None
    for each in _chain(error):
        found = _shortage_of(each) or found  # the innermost cause says most
    return found


def _shortage_of(error: BaseException) -> Shortage | None:
    if isinstance(error, sqlite3.Error):
        name = getattr(error, "sqlite_errorname", None) or ""
        return _SQLITE.get(name.removeprefix("SQLITE_").partition("_")[0])
    if state := getattr(error, "sqlstate", None):
        return _POSTGRES.get(state) or (_AWAY if str(state).startswith("08") else None)
    if isinstance(error, OSError) and error.errno in _ERRNO:
        return _ERRNO[error.errno]
    if isinstance(error, errors.StorageFull):
        return _STORE_FULL
    if isinstance(error, errors.Throttled):
        return _STORE
    if isinstance(error, RedisError | BrokerError):
        return _QUEUE
    # psycopg gives no SQLSTATE where there is no connection.
    if isinstance(error, OperationalError | InterfaceError) and _lost(error):
        return _AWAY
    return None


def _lost(error: DatabaseError | InterfaceError) -> bool:
    cause = error.__cause__
    return type(cause).__module__.startswith("psycopg") and not getattr(cause, "sqlstate", None)


def page(request: HttpRequest, short: Shortage) -> HttpResponse:
    """The answer to a request that failed for a shortage; asks the database nothing."""
    if request.method in {"GET", "HEAD"}:
        kept = gettext("Nothing was changed or lost.")
        todo = gettext("Reload the page in a moment.")
    else:
        kept = gettext("What was saved before is still there; what you just sent was not taken.")
        todo = gettext("Go back, and try again in a moment.")
    if short.status == 507:
        todo += " " + gettext("If it stays so, ask an admin to make room.")
    sentences = f"{short.what} {kept} {todo}"
    if request.headers.get("HX-Request") == "true":
        answer = HttpResponse(sentences, content_type="text/plain; charset=utf-8")
    else:
        context = {"sentences": sentences, "request_id": request_id.current()}
        answer = HttpResponse(render_to_string("short.html", context))
    answer.status_code = short.status
    answer.headers["Retry-After"] = str(short.retry_after_s)
    answer.headers["Cache-Control"] = "no-store"
    answer._has_been_logged = True  # type: ignore[attr-defined]  # Django would log it once more
    return answer


class ShortageMiddleware:
    """Answers where a view failed because of a shortage, and logs one line."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass the request on; :meth:`process_exception` does the work."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The page of a shortage; None for any other error, which is a bug."""
        short = shortage(error)
        if short is None:
            return None
        path = request.path.encode("unicode_escape").decode("ascii")
        log.warning("%s %s: %s (%s)", request.method, path, short.what, error)
        return page(request, short)


def failed(request: HttpRequest) -> HttpResponse:
    """The site's handler of status 500, which also gets errors of middleware."""
    short = shortage(sys.exc_info()[1])
    if short is not None:
        return page(request, short)
    context = {"request_id": request_id.current()}
    return HttpResponse(render_to_string("500.html", context), status=500)
