"""Checks who may send a large body, before any of it is read.

The request's headers pass Django's whole chain of middleware, as those of any request do, but
`_approve` takes the place of the view. So a refusal is the same redirect or page as the view's, and
no rule of the portal is written twice.
"""

import fcntl
import io
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_exempt

from core.body_limits import CHECKSUM, OFFSET, SMALL, BodyLimit, limit_of
from mmeportal.server.refusals import Recipient, Refusal, refusal

if TYPE_CHECKING:
    from core.api.operations import Rules

_LIMIT = "mmeportal.body_limit"
_USER = "mmeportal.user"
_MAX_AT_ONCE = 64
#: A body that is taken in stretches is handed on when so much of it has arrived, and so much is
#: still to come: each becomes an object in S3 or two, large enough for a part of the whole.
STRETCH_BYTES, REST_BYTES = 16 << 20, 8 << 20
#: While the stretch before is stored the next one takes more, as each costs a request.
LONG_STRETCH_BYTES = 24 << 20
#: The longest, with a rest that is too short for one of its own.
MOST_STRETCH_BYTES = LONG_STRETCH_BYTES + REST_BYTES
# A body is on the disk twice: as it was received, and as the files that Django passes to the view.
_COPIES = 2
_MOST_DIGITS = 19


class Slots:
    """Slots for the large bodies of each user, shared by the server's processes.

    A slot is a byte of an unnamed file that a process holds a lock on; the kernel releases it with
    the process. Created before the processes are forked.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open for good
        self._taken: set[int] = set()
        self._lock = threading.Lock()

    def take(self, user: int, at_once: int) -> Callable[[], None] | None:
        """Take one of the user's ``at_once`` slots; returns what releases it, or None."""
        for place in range(user * _MAX_AT_ONCE, user * _MAX_AT_ONCE + at_once):
            with self._lock:
                if place in self._taken:  # locks do not hold within one process
                    continue
                try:
                    fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                except OSError:
                    continue  # another process has it
                self._taken.add(place)
            return lambda: self._give_back(place)
        return None

    def _give_back(self, place: int) -> None:
        with self._lock:
            if place in self._taken:
                self._taken.remove(place)
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)


@dataclass(frozen=True)
class Approval:
    """A body of up to ``size`` bytes is allowed. ``give_back`` releases its slot; call it once.

    ``in_stretches``: it is handed on as it arrives (mmeportal/server/channel.py).
    """

    size: int
    give_back: Callable[[], None] = field(default=lambda: None)
    too_large: str = ""
    in_stretches: bool = False


class Guard:
    """Decides about large bodies. It uses the database, so never call it in the event loop."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._expected: dict[object, int] = {}
        self._lock = threading.Lock()

    def ask(self, environ: dict[str, Any], length: int | None) -> Approval | Refusal:
        """Decide on a body of ``length`` bytes (None: unknown) with these headers."""
        recipient = Recipient.of_environ(environ)
        with translation.override(recipient.language):
            return self._ask(environ, length, recipient)

    def _ask(
        self, environ: dict[str, Any], length: int | None, recipient: Recipient
    ) -> Approval | Refusal:
        limit = limit_of(environ["REQUEST_METHOD"], _path(environ))
        if limit is None:
            return refusal(413, too_large(SMALL), recipient=recipient)
        refused = _run_middleware(environ | {_LIMIT: limit, _USER: (user := _User())})
        if user.pk is None:
            return refused
        if length is not None and length > limit.size:
            return refusal(413, limit.too_large(), recipient=recipient)
        in_stretches = limit.in_stretches and length is not None and _may_be_split(environ)
        kept = min(length or 0, 2 * MOST_STRETCH_BYTES) if in_stretches else length or 0
        if self._lacks_disk_space(kept):
            message = _(
                "The portal's disk is full, or too full for this file. "
                "Nothing was kept; try again later."
            )
            return refusal(507, message, recipient=recipient, retry_after=60)
        give_back = self._slots.take(user.pk, limit.at_once)
        if give_back is None:
            message = _("You are sending %(count)s files already. Wait until one has arrived.")
            message %= {"count": limit.at_once}
            return refusal(503, message, recipient=recipient, retry_after=10)
        reserved = self._reserve(kept, give_back)
        return Approval(limit.size, reserved, limit.too_large(), in_stretches)

    def may_send(self, environ: dict[str, Any], length: int | None) -> Approval | Refusal:
        """Decide on a body of up to `SMALL` while the memory for such bodies is full."""
        if limit_of(environ["REQUEST_METHOD"], _path(environ)) is not None:
            return self.ask(environ, length)
        _run_middleware(environ | {_LIMIT: None, _USER: (user := _User())})
        if user.pk is None:
            message = gettext_lazy(
                "Too many large requests are under way. Try again in some seconds."
            )
            return refusal(503, message, recipient=Recipient.of_environ(environ), retry_after=10)
        return Approval(SMALL)

    def _lacks_disk_space(self, length: int) -> bool:
        with self._lock:
            expected = _COPIES * (sum(self._expected.values()) + length)
        return free_bytes() - expected < settings.UPLOAD_DISK_RESERVE_MB << 20

    def _reserve(self, length: int, give_back: Callable[[], None]) -> Callable[[], None]:
        key = object()
        with self._lock:
            self._expected[key] = length

        def done() -> None:
            with self._lock:
                if self._expected.pop(key, None) is None:
                    return
            give_back()

        return done


def _path(environ: dict[str, Any]) -> str:
    """The path as Django reads it."""
    return str(environ["PATH_INFO"].encode("latin-1").decode(errors="replace"))


def _may_be_split(environ: dict[str, Any]) -> bool:
    """Whether a body says where it begins, and has no checksum of all its bytes."""
    begins = environ.get(f"HTTP_{OFFSET}", "")
    plain = begins.isascii() and begins.isdecimal() and len(begins) < _MOST_DIGITS
    return plain and f"HTTP_{CHECKSUM}" not in environ


def free_bytes() -> int:
    """Free bytes on the disk that bodies are written to."""
    return shutil.disk_usage(tempfile.gettempdir()).free


def too_large(size: int) -> Promise | str:
    """The sentence for a body with more than ``size`` bytes, when it is shown."""
    text = gettext_lazy(
        "The request is larger than %(most)s MB, the most that this address takes. "
        "Nothing of it was kept."
    )
    return text % {"most": f"{size >> 20:,}"}


@dataclass
class _User:
    """The user who may send the body; ``pk`` is None until one was approved."""

    pk: int | None = None


def _approve(request: HttpRequest) -> HttpResponse:
    from core.permissions import not_permitted  # imports models, so Django must be set up

    limit: BodyLimit | None = request.META[_LIMIT]
    if limit is not None and not request.user.has_perm(limit.permission):
        raise not_permitted(limit.permission, limit.doing)
    request.META[_USER].pk = request.user.pk
    return HttpResponse()


# A CSRF token in the header is checked now; one in the body is checked by the view.
_approve_without_token = csrf_exempt(_approve)


def _approve_call(rules: "Rules") -> Callable[[HttpRequest], HttpResponse]:
    """What takes the place of an operation of the API."""
    from core.api import limits, operations  # import models, so Django must be set up
    from core.api.problems import Problem
    from core.permissions import not_permitted

    def approve(request: HttpRequest) -> HttpResponse:
        operations.speak(request)
        limit: BodyLimit | None = request.META[_LIMIT]
        try:
            operations.check_caller(request, rules, counted=False)
            if limit is not None and not request.user.has_perm(limit.permission):
                raise Problem("not-allowed", str(not_permitted(limit.permission, limit.doing)))
        except Problem as problem:
            answer = problem.response()
            limits.told(request, answer)
            return answer
        request.META[_USER].pk = request.user.pk or 0
        return HttpResponse()

    # The operation's own rules say who may call it, and which session needs a CSRF token.
    approve.login_required = False  # type: ignore[attr-defined]
    approve.csrf_exempt = True  # type: ignore[attr-defined]
    return approve


class _HeaderCheck(WSGIHandler):
    """The portal's middleware, without its views."""

    def resolve_request(self, request: HttpRequest) -> Any:
        match = super().resolve_request(request)  # for middleware that reads it, and for 404
        rules = getattr(match.func, "api_rules", {}).get(request.method)
        if rules is not None:
            return _approve_call(rules), (), {}
        with_token = settings.CSRF_HEADER_NAME in request.META
        return (_approve if with_token else _approve_without_token), (), {}


@cache
def _header_check() -> _HeaderCheck:
    return _HeaderCheck()


def _run_middleware(environ: dict[str, Any]) -> Refusal:
    """Pass the headers through the middleware; the response counts where nobody was approved."""
    began: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
        began.append((status, headers))

    # The body has not been read and must not be.
    environ |= {"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": "0"}
    answer = _header_check()(environ, start_response)  # type: ignore[arg-type]
    body = b"".join(answer)
    answer.close()
    status, headers = began[0]
    return Refusal(
        status, [(name, value) for name, value in headers if name != "Content-Length"], body
    )
