"""How fast the portal calls AWS's control plane: one token bucket for all its processes.

AWS throttles an account, so that what one process calls too often is refused to all. Each call
takes a token, and a step that would make calls begins only while there is one. A step is never
stopped in its middle, as it holds a lease: it may take the bucket below nothing, and the next step
waits until that is made up for. So in any longer time there are at most RATE calls a second, and
BURST more at its beginning: a single second can have more than RATE. That is meant so, for two
reasons. Twelve calls of one creation follow each other; with one second's worth as BURST the last
CreateEndpoint of three that are asked for together comes after 7 s in place of 2, of ten after
29 in place of 19, as a step that finds no token waits for the next sweep. And a sweep looks at
settled endpoints with half of what the bucket holds, less a token for each that is under way: of
five tokens nothing is left for them while two are under way, and drift would be seen late.

The bucket is one key of Redis (``mme:pace:NAME``): when it will be full again, by Redis's clock.
Where Redis is away each process has a bucket of its own; the log says so once a minute.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from django.conf import settings

from core import heartbeat

log = logging.getLogger(__name__)

#: At most this many calls may follow each other at once, times the rate of a second.
BURST_S = 4
#: How long an answer of Redis may take, and how long it is not asked after it gave none.
PATIENCE_S = 0.1
PAUSE_S = 5.0
_SAY_AGAIN_S = 60.0
_PREFIX = "mme:pace"
#: A debt is forgotten after so long; it is made up for within a minute.
_KEPT_MS = 3_600_000
_MICRO = 1_000_000


class TokenBucket:
    """Tokens that come back at a rate; for all threads. ``rate`` gives calls a second.

    ``connect`` and ``clock`` are given by tests alone.
    """

    def __init__(
        self,
        name: str,
        rate: Callable[[], int],
        connect: Callable[[], "redis.Redis"] = lambda: heartbeat.connect(PATIENCE_S),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._key = f"{_PREFIX}:{name}"
        self._rate = rate
        self._connect = connect
        self._clock = clock
        self._client: redis.Redis | None = None
        self._lock = threading.Lock()
        self._own_full_at = -math.inf  # where Redis is away
        self._not_before = self._said = -math.inf

    @property
    def burst(self) -> int:
        """How many tokens it holds at most."""
        return self._rate() * BURST_S

    def took(self, calls: int = 1) -> None:
        """Take tokens for calls that are made; below nothing where there are not enough."""
        cost_s = calls / self._rate()
        if not self._took_of_redis(cost_s):
            now = self._clock()
            with self._lock:
                self._own_full_at = max(self._own_full_at, now) + cost_s

    def room(self) -> float:
        """How many tokens there are; negative: so many were taken that were not there."""
        left_s = self._until_full_s()
        if left_s is None:
            with self._lock:
                left_s = max(0.0, self._own_full_at - self._clock())
        return self.burst - left_s * self._rate()

    def _took_of_redis(self, cost_s: float) -> bool:
        client = self._asked()
        if client is None:
            return False
        cost = int(cost_s * _MICRO)
        try:
            now, full_at = self._read(client)
            if full_at <= now:
                # Two processes at once lose one of two calls of a bucket that is full.
                client.set(self._key, now + cost, px=_KEPT_MS)
            else:
                client.incrby(self._key, cost)
        except (redis.RedisError, OSError) as error:
            self._pause(error)
            return False
        return True

    def _until_full_s(self) -> float | None:
        client = self._asked()
        if client is None:
            return None
        try:
            now, full_at = self._read(client)
        except (redis.RedisError, OSError) as error:
            self._pause(error)
            return None
        return max(0, full_at - now) / _MICRO

    def _read(self, client: "redis.Redis") -> tuple[int, int]:
        """Redis's time, and when the bucket is full again, in microseconds."""
        pipe: Any = client.pipeline(transaction=False)
        (seconds, micros), found = pipe.time().get(self._key).execute()
        return seconds * _MICRO + micros, int(found or 0)

    def _asked(self) -> "redis.Redis | None":
        with self._lock:
            if self._clock() < self._not_before:
                return None
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _pause(self, error: Exception) -> None:
        now = self._clock()
        with self._lock:
            self._not_before = now + PAUSE_S
            say = now - self._said >= _SAY_AGAIN_S
            if say:
                self._said = now
        if say:
            log.warning("Redis does not count AWS's calls; each process does by itself: %s", error)


CONTROL_PLANE = TokenBucket("control-plane", lambda: settings.AWS_CALLS_PER_SECOND)
"""Of SageMaker's control plane and Application Auto Scaling."""
