"""How often the API may be called: by token or user, and by address where nobody is known.

Each key has a count of calls and one of changes. The limit holds for any second, wherever it
begins: Redis has a count for each twentieth of a second (``mme:limit:{…}:NUMBER``), by its own
clock, and the last twenty and the present one are added up. What is refused is not counted, so who
goes on calling is let in again as soon as there is room. Scripts, which would do it in one command,
are not allowed to the portal's user of Redis (stack/redis_config.py); so it is one pipeline.

A process asks Redis at each change, and at each fiftieth part of the calls or ten times a second,
whichever comes first: meanwhile it counts by itself. So a warm call rarely waits for Redis, and all
processes together may let a fiftieth of the limit through in excess, each.

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
from typing import Any

import redis
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from core import heartbeat
from core.api.problems import Problem

log = logging.getLogger(__name__)

#: In any such time the limit holds.
WINDOW_MS = 1000
_STEPS = 20
#: How long an answer of Redis may take, and how long it is not asked after it gave none.
PATIENCE_S = 0.1
PAUSE_S = 5.0
#: How old a process's own count may become before Redis is asked.
SETTLE_S = 0.1
_PARTS = 50
_SAY_AGAIN_S = 60.0
_MOST = 4096
_PREFIX = "mme:limit"
_ADDRESS = "address:"
_TOLD = "api_limits"


@dataclass
class _Window:
    """What is known of a key: the count of its last second when Redis was last asked.

    ``own``: what Redis was not told yet. ``closed_until``: when there may be room again.
    """

    known: int = 0
    own: int = 0
    settled: float = -math.inf
    closed_until: float = -math.inf


@dataclass(frozen=True)
class Left:
    """How many of ``limit`` are left; there is room for more in ``reset_s`` seconds."""

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
        self._ahead_ms: float | None = None  # Redis's clock less this one
        self._lock = threading.Lock()
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._not_before = 0.0
        self._said = -math.inf

    def add(self, key: str, cost: int, limit: int) -> Left | None:
        """Count ``cost``, unless it is over the limit; None where Redis is away."""
        now = self._clock()
        with self._lock:
            window = self._window(key)
            if now < window.closed_until:  # there is nothing to find out until then
                return Left(limit, limit + cost, window.closed_until - now)
            own = window.own + cost
            fresh = now - window.settled < SETTLE_S and own < limit // _PARTS
            if fresh and window.known + own <= limit:
                window.own = own
                return Left(limit, window.known + own, WINDOW_MS / 1000)
            if now < self._not_before:
                return None
            window.own = 0
        answer = self._settle(key, own, cost, limit, now)
        if answer is None:
            return None
        count, room_s = answer
        with self._lock:
            window.settled, window.known = now, min(count, limit)
            if count > limit:
                window.closed_until = now + room_s
        return Left(limit, count, room_s)

    def _window(self, key: str) -> _Window:
        window = self._windows.setdefault(key, _Window())
        self._windows.move_to_end(key)
        while len(self._windows) > _MOST:
            self._windows.popitem(last=False)
        return window

    def _settle(
        self, key: str, own: int, cost: int, limit: int, now: float
    ) -> tuple[int, float] | None:
        """The count of all processes with ``own``, and in how many seconds there is more room.

        Where that is over the limit, ``cost``, the last part of it, is taken back, and there is
        room when enough of the oldest calls are older than a second.
        """
        step_ms = WINDOW_MS // _STEPS
        try:
            client = self._connected()
            number = int((now * 1000 + (self._ahead_ms or 0.0)) // step_ms)
            names = [f"{_PREFIX}:{{{key}}}:{one}" for one in range(number - _STEPS, number + 1)]
            pipe = self._count(client, names[-1], own, step_ms)
            _, _, found, (seconds, micros) = pipe.mget(names).time().execute()
            self._ahead_ms = seconds * 1000 + micros / 1000 - now * 1000
            counts = [int(one or 0) for one in found]
            if sum(counts) <= limit:
                return sum(counts), WINDOW_MS / 1000
            self._count(client, names[-1], -cost, step_ms).execute()
        except (redis.RedisError, OSError) as error:
            self._pause(error)
            return None
        begun_ms = now * 1000 + self._ahead_ms - number * step_ms  # since the present step began
        return sum(counts), (step_ms * _room_in(counts, limit - cost) - begun_ms) / 1000

    @staticmethod
    def _count(client: "redis.Redis", name: str, cost: int, step_ms: int) -> Any:
        """A pipeline that adds ``cost`` to a key, which ends when it counts no more."""
        pipe = client.pipeline(transaction=False)  # all of it is right in any order of processes
        pipe.set(name, 0, px=WINDOW_MS + 2 * step_ms, nx=True)
        return pipe.incrby(name, cost)

    def _connected(self) -> "redis.Redis":
        """The client; it is asked for the time before it is first told anything."""
        if self._client is None:
            self._client = self._connect()
        if self._ahead_ms is None:
            asked = self._clock()
            seconds, micros = self._client.time()
            self._ahead_ms = seconds * 1000 + micros / 1000 - asked * 1000
        return self._client

    def _pause(self, error: Exception) -> None:
        now = self._clock()
        with self._lock:
            self._not_before = now + PAUSE_S
            say = now - self._said >= _SAY_AGAIN_S
            if say:
                self._said = now
        if say:
            log.warning("Redis does not count the API's calls, so they are not limited: %s", error)


def _room_in(counts: list[int], most: int) -> int:
    """In how many steps the count is at most ``most``: the oldest of ``counts`` leaves first."""
    left = sum(counts)
    for steps, count in enumerate(counts, 1):
        left -= count
        if left <= most:
            return steps
    return len(counts)


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
