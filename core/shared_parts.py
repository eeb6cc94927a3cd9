"""Parts of pages that many people look at, made once for all who see the same.

A page that is open while something is under way asks for its part each second. A hundred of them
would have the same made a hundred times. So where more than a few ask within half a second, what
was made stays for as long, and is given to whoever has the same rights, language and time zone.

Such a part must not depend on who looks in another way. Its forms have the token of each reader:
the template gets `TOKEN` in its place (``csrf_token`` in its context).
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.utils import timezone, translation

from core.remembered import Shared

#: Stands for a reader's CSRF token; nobody can write it into what is shown.
TOKEN = f"token-of-the-reader-{secrets.token_hex(16)}"
KEEP_S = 0.5
#: So often a page asks while nothing is under way: for what others do, and for what AWS tells.
AT_REST_S = 20
#: At most this many get one of their own within that time, each.
FEW = 3
_MOST = 256


class Crowds:
    """How many ask for the same, by what they ask for; for all threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def is_one(self, key: Hashable) -> bool:
        """Whether more than a few ask for ``key``, with this one, since less than `KEEP_S`."""
        now = self._clock()
        with self._lock:
            began, count = self._asked.get(key, (now, 0))
            if now - began >= KEEP_S:
                began, count = now, 0
            self._asked[key] = began, count + 1
            self._asked.move_to_end(key)
            while len(self._asked) > _MOST:
                self._asked.popitem(last=False)
        return count >= FEW


_CROWDS = Crowds()
_MADE: Shared[tuple[object, ...], bytes] = Shared(keep_s=KEEP_S, most=_MOST)


def shared(request: HttpRequest, make: Callable[[], HttpResponse]) -> HttpResponse:
    """What ``make`` answers to this request, or answered a moment ago to one like it."""

    def content() -> bytes:
        return make().content

    like = _like(request)
    found = (_MADE.get(like, content) if _CROWDS.is_one(like) else None) or content()
    token = TOKEN.encode()
    if token in found:
        found = found.replace(token, get_token(request).encode())
    return HttpResponse(found)


def _like(request: HttpRequest) -> tuple[object, ...]:
    """What a part depends on; core/remembered.py adds what is hidden from the reader."""
    htmx = {name: value for name, value in request.headers.items() if name.startswith("Hx-")}
    htmx.pop("Hx-Current-Url", None)  # of another tab of the same page, or of a search there
    return (
        request.get_full_path(),
        tuple(sorted(htmx.items())),
        frozenset(request.user.get_all_permissions()),
        translation.get_language(),
        timezone.get_current_timezone_name(),
    )
