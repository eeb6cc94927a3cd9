"""Who calls the API with a token: ``Authorization: Bearer mme_…`` below ``/api/``.

What a token stands for is read from the database once a second at most in each process, so a
change (a role, a revocation) counts everywhere within a second.
"""

import copy
import math
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import unquote

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse

from accounts import throttle, tokens
from accounts.addresses import client_address
from accounts.token_uses import USES
from core import clock
from core.api import operations
from core.api.caller import Caller
from core.api.middleware import PREFIX
from core.api.problems import Problem

#: How long what was read counts.
KEEP_S = 1.0
#: How many tokens are kept at most.
MOST = 1024
PAUSED = "too-many-wrong-tokens"

# What is long enough to be a token, and what calls itself one.
_IN_ADDRESS = re.compile(r"mme_[0-9A-Za-z]{40}|(?:^|[?&])\w*token=mme_", re.ASCII)


class Cache:
    """The tokens that were used in the last second, by what is kept of each; for all threads."""

    def __init__(self, *, most: int = MOST, keep_s: float = KEEP_S) -> None:
        self._most = most
        self._keep_s = keep_s
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tokens.Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, secret: str) -> tuple[tokens.Known, bool]:
        """The token, and whether it was read now. Raises tokens.Unusable, which is never kept."""
        key = tokens.digest(secret)
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and time.monotonic() < kept.until:
            return kept, False
        try:
            found = tokens.find(secret, keep_s=self._keep_s)
        except tokens.Unusable:
            with self._lock:
                self._kept.pop(key, None)
            raise
        with self._lock:
            self._kept[key] = found
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return found, True

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()


CACHE = Cache()


class TokenMiddleware:
    """Sets ``request.user`` and ``request.caller`` for a token; refuses one in an address.

    A token that does not count leaves nobody as the user, and its code in
    ``request.token_problem``: core/api/operations.py answers with it. The session is not read.
    Stands after AuthenticationMiddleware, and before the user's preferences are taken.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Look at the token, if there is one."""
        of_api = request.path_info.startswith(PREFIX)
        if _in_address(request):
            if not of_api:
                raise BadRequest("A token in an address.")
            operations.speak(request)
            return Problem("token-in-address").response()
        secret = _bearer(request) if of_api else None
        if secret is not None:
            _authenticate(request, secret)
        return self.get_response(request)


def _in_address(request: HttpRequest) -> bool:
    query = request.META.get("QUERY_STRING", "")
    return bool(
        _IN_ADDRESS.search(request.path_info) or (query and _IN_ADDRESS.search(unquote(query)))
    )


def _bearer(request: HttpRequest) -> str | None:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def _authenticate(request: HttpRequest, secret: str) -> None:
    request.user = AnonymousUser()
    try:
        found, new = CACHE.find(secret)
    except tokens.Unusable as error:
        request.token_problem = error.code  # type: ignore[attr-defined]
        if error.code == tokens.BAD and tokens.is_well_formed(secret):
            _count(request)
        return
    if new and found.use_is_old:
        USES.note(found.token_id, client_address(request))
    # Of its own for each request, as the row is shared by those of this second.
    user = copy.copy(found.user)
    request.user = user
    request.caller = Caller(  # type: ignore[attr-defined]
        user=user,
        scopes=found.scopes,
        limit_key=f"token:{found.token_id}",
        token_id=found.token_id,
    )


def _count(request: HttpRequest) -> None:
    """Count a token that might have been one. One with a typing error costs nothing."""
    locked = throttle.wrong_token(request)
    if locked is not None:
        seconds = max(1, math.ceil((locked.until - clock.now()).total_seconds()))
        request.token_problem = PAUSED  # type: ignore[attr-defined]
        request.token_headers = {"Retry-After": str(seconds)}  # type: ignore[attr-defined]
