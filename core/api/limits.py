"""How often the API may be called: by token or user, and by address where nobody is known.

Each key has a count of calls and one of changes, in windows of one second that begin with the first
call; Redis has them (``mme:limit:…``), and they end by Redis's clock. A process asks Redis at each
change, and at each fiftieth part of the calls or twice a second, whichever comes first: meanwhile
it counts by itself. So a warm call rarely waits for Redis, and all processes together may
let a fiftieth of the limit through in excess, each.

Where Redis is away nothing is limited, which the log says once a minute; it is then not asked for
some seconds, so that a Redis that hangs delays one call in that time, by a tenth of a second.

The headers are those of draft-ietf-httpapi-ratelimit-headers-06: ``RateLimit-Limit``,
``RateLimit-Remaining``, ``RateLimit-Reset`` (seconds). Later drafts have one header in their place.
"""

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import redis
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from core import heartbeat
from core.api.problems import Problem

log = logging.getLogger(__name__)

WINDOW_MS = 1000
#: How long an answer of Redis may take, and how long it is not asked after it gave none.
PATIENCE_S = 0.1
PAUSE_S = 5.0
#: How old a process's own count may become before Redis is asked.
SETTLE_S = 0.5
_PARTS = 50
_SAY_AGAIN_S = 60.0
_MOST = 4096
_PREFIX = "mme:limit"
_ADDRESS = "address:"
_TOLD = "api_limits"


@dataclass
class _Window:
    """What is known of the present window of a key. ``own``: what Redis was not told yet."""

    until: float = 0.0
    known: int = 0
    own: int = 0
    settled: float = 0.0


@dataclass(frozen=True)
class Left:
    """How many of ``limit`` are left, until the window ends in ``reset_s`` seconds."""

    limit: int
    count: int
    reset_s: float

    @property
    def headers(self) -> dict[str, str]:
        """The headers of an answer."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(max(0, self.limit - self.count)),
            "RateLimit-Reset": str(max(1, math.ceil(self.reset_s))),
        }


class Counts:
    """The counts of this process, settled with Redis; for all threads.

    ``connect`` and ``clock`` are given by tests alone.
    """

    def __init__(
        self,
        connect: Callable[[], "redis.Redis"] = lambda: heartbeat.connect(PATIENCE_S),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect = connect
        self._clock = clock
        self._client: redis.Redis | None = None
        self._lock = threading.Lock()
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._not_before = 0.0
        self._said = -math.inf

    def add(self, key: str, cost: int, limit: int) -> Left | None:
        """Count ``cost``; None where Redis is away."""
        now = self._clock()
        with self._lock:
            window = self._window(key)
            window.own += cost
            if now < window.until:
                count = window.known + window.own
                fresh = now - window.settled < SETTLE_S and window.own < limit // _PARTS
                # Over the limit there is nothing to find out until the window ends.
                if fresh or window.known >= limit:
                    return Left(limit, count, window.until - now)
            else:
                window.own = cost  # what was left belongs to a window that is over
            if now < self._not_before:
                return None
            told, window.own = window.own, 0
        answer = self._settle(key, told, now)
        if answer is None:
            return None
        known, left_s = answer
        with self._lock:
            window.known, window.settled, window.until = known, now, now + left_s
        return Left(limit, known, left_s)

    def _window(self, key: str) -> _Window:
        window = self._windows.setdefault(key, _Window())
        self._windows.move_to_end(key)
        while len(self._windows) > _MOST:
            self._windows.popitem(last=False)
        return window

    def _settle(self, key: str, cost: int, now: float) -> tuple[int, float] | None:
        """The count of all processes and the rest of the window in seconds, after adding."""
        name = f"{_PREFIX}:{key}"
        try:
            if self._client is None:
                self._client = self._connect()
            with self._client.pipeline(transaction=True) as pipe:
                pipe.set(name, 0, px=WINDOW_MS, nx=True)
                pipe.incrby(name, cost)
                pipe.pttl(name)
                _, count, left_ms = pipe.execute()
            if left_ms < 0:  # it ended between two of the commands, and was begun without an end
                self._client.set(name, cost, px=WINDOW_MS)
                count, left_ms = cost, WINDOW_MS
        except (redis.RedisError, OSError) as error:
            self._pause(error)
            return None
        return int(count), int(left_ms) / 1000

    def _pause(self, error: Exception) -> None:
        now = self._clock()
        with self._lock:
            self._not_before = now + PAUSE_S
            say = now - self._said >= _SAY_AGAIN_S
            if say:
                self._said = now
        if say:
            log.warning("Redis does not count the API's calls, so they are not limited: %s", error)


_counts = Counts()


def address_key(request: HttpRequest) -> str:
    """The key of a request of which nobody is known who sent it."""
    address: str = import_string(settings.AXES_CLIENT_IP_CALLABLE)(request)
    return f"{_ADDRESS}{address}"


def check(request: HttpRequest, *, key: str, change: bool, cost: int = 1) -> Mapping[str, str]:
    """Count a call, and a change where it is one; returns the headers for its answer.

    Raises Problem (too-many-requests) over the limit. ``key``: `Caller.limit_key` or `address_key`.
    """
    if key.startswith(_ADDRESS):
        limits = {"calls": settings.API_ANONYMOUS_PER_SECOND}
    else:
        limits = {"calls": settings.API_CALLS_PER_SECOND}
        if change:
            limits["changes"] = settings.API_CHANGES_PER_SECOND
    headers: dict[str, str] = {}
    for kind, limit in limits.items():
        left = _counts.add(f"{kind}:{key}", cost, limit)
        if left is None:
            continue
        headers = left.headers
        setattr(request, _TOLD, headers)
        if left.count > limit:
            after = {"Retry-After": headers["RateLimit-Reset"]}
            raise Problem("too-many-requests", headers=headers | after)
    return headers


def told(request: HttpRequest, answer: HttpResponseBase) -> HttpResponseBase:
    """``answer`` with the headers that `check` returned for its request."""
    for name, value in getattr(request, _TOLD, {}).items():
        answer.headers[name] = value
    return answer
