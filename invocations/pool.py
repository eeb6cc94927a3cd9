"""A bounded pool of daemon threads for calls that may take minutes.

The standard executor joins its threads at exit, so a call that waits for a model would delay the
shutdown of the server. Daemon threads end with the process.
"""

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial

from django.db import close_old_connections

from core import threads

logger = logging.getLogger(__name__)


class PoolFull(Exception):
    """As many calls as may wait are waiting already."""


class Pool:
    """Runs at most ``threads`` calls at a time, and holds at most ``waiting`` more in a queue."""

    def __init__(self, *, threads: int, waiting: int) -> None:
        self._most = threads
        self._jobs: queue.Queue[tuple[Callable[[], None], Future[None]]] = queue.Queue()
        self._lock = threading.Lock()
        self._free = threads + waiting
        self._started = 0
        self._idle = 0

    def submit(self, call: Callable[[], None]) -> "Future[None]":
        """Run ``call`` in a thread; raises PoolFull."""
        with self._lock:
            if self._free <= 0:
                raise PoolFull
            if self._idle <= self._jobs.qsize() and self._started < self._most:
                if threads.started(self._work, name=f"invoke-{self._started + 1}") is not None:
                    self._started += 1
                elif not self._started:
                    raise PoolFull
            self._free -= 1
            future: Future[None] = Future()
            # With the context of who submits it: the log lines of the call have its request's id.
            self._jobs.put((partial(copy_context().run, call), future))
        return future

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            call, future = self._jobs.get()
            with self._lock:
                self._idle -= 1
            try:
                _with_connections(call)
                outcome: BaseException | None = None
            except BaseException as error:  # handed to whoever waits for the future
                logger.exception("a call in the pool failed")
                outcome = error
            finally:
                with self._lock:
                    self._free += 1
            if outcome is None:
                future.set_result(None)
            else:
                future.set_exception(outcome)


def _with_connections(call: Callable[[], None]) -> None:
    """Run ``call`` with this thread's database connections, as Django runs a request.

    CONN_MAX_AGE decides how long they stay open, and one that the server closed is replaced.
    """
    close_old_connections()
    try:
        call()
    finally:
        close_old_connections()
