"""Whether a worker is there, for the banner on every page.

A page must not wait for Redis, so a thread looks, at most every five seconds while pages are asked
for, and pages show what was found last.
"""

import logging
import threading
import time
from collections.abc import Callable

import redis
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from core import heartbeat, threads

log = logging.getLogger(__name__)

HOLDS_S = 5.0
STALE_S = 20.0
PATIENCE_S = 0.3
# A worker that begins beside this process, or whose key was flushed, reports within ten seconds.
GRACE_S = 20.0

NO_WORKER = _(
    "No worker has reported for a minute. Until one runs, uploads are not validated and endpoints "
    "do not change. Nothing is lost: what waits goes on then."
)
NO_REDIS = _(
    "Redis does not answer, so workers get no jobs: uploads are not validated and endpoints do not "
    "change. Nothing is lost: what waits goes on when it answers again."
)


def look() -> Promise | str:
    """What is wrong now, as a sentence for a page; empty where a worker reported lately.

    A heartbeat is kept for a minute (core/heartbeat.py), so none at all means that no worker was
    seen for so long.
    """
    try:
        with heartbeat.connect(1.0) as client:
            return "" if heartbeat.read_all(client, "worker") else NO_WORKER
    except redis.RedisError:
        return NO_REDIS


class WorkerWatch:
    """What this process knows of the workers; ``look`` and ``clock`` are given by tests alone."""

    def __init__(
        self, look: Callable[[], Promise | str] = look, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._look = look
        self._clock = clock
        self._lock = threading.Lock()
        self._looking: threading.Event | None = None
        self._looked_at = float("-inf")
        self._found: Promise | str = ""
        # When a worker was last known to be there; at first, when this process began.
        self._well_at = clock()

    def problem(self) -> Promise | str:
        """What to tell on a page: a sentence, or "" where all is well or nothing is known yet."""
        looking = self._begin()
        if self._clock() - self._looked_at > STALE_S:
            looking.wait(PATIENCE_S)
        with self._lock:
            now = self._clock()
            known = now - self._looked_at <= STALE_S
            return self._found if known and now - self._well_at >= GRACE_S else ""

    def _begin(self) -> threading.Event:
        with self._lock:
            if self._looking is not None:
                return self._looking
            done = threading.Event()
            if self._clock() - self._looked_at < HOLDS_S:
                done.set()
                return done
            self._looking = done
        if threads.started(self._run, done, name="worker-watch") is None:
            with self._lock:
                self._looking = None
            done.set()
        return done

    def _run(self, done: threading.Event) -> None:
        try:
            found = self._look()
        except Exception:
            log.exception("The look for workers failed.")
            found = ""
        with self._lock:
            self._found, self._looked_at, self._looking = found, self._clock(), None
            if not found:
                self._well_at = self._looked_at
        done.set()


WATCH = WorkerWatch()
"""What all requests of this process share."""
