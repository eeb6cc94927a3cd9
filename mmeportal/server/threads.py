"""The server's thread pool: starts threads when needed, and reuses the last one that was busy."""

import logging
import threading
from collections import deque
from typing import Any, Protocol

log = logging.getLogger(__name__)


class Task(Protocol):
    """What waitress hands to a thread."""

    def service(self) -> None:
        """Run the task."""


class Threads:
    """Runs tasks in up to ``most`` threads; replaces waitress's own dispatcher.

    That one wakes its threads in turn, so that each keeps a database connection open. Here a thread
    is started when all others are busy, and the one that became idle last works first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._idle: list[_Thread] = []
        self._queue: deque[Task] = deque()
        self._lock = threading.Lock()

    def add_task(self, task: Task) -> None:
        """Run ``task`` as soon as a thread is free."""
        with self._lock:
            if self._idle:
                self._idle.pop().go_on(task)
            elif self._started < self._most:
                self._started += 1
                _Thread(self, task, self._started).start()
            else:
                self._queue.append(task)

    def next(self, thread: "_Thread") -> Task | None:
        """The next queued task; None if there is none, and ``thread`` is woken for the next one."""
        with self._lock:
            if self._queue:
                return self._queue.popleft()
            self._idle.append(thread)
            return None


class _Thread(threading.Thread):
    def __init__(self, threads: Threads, task: Task, number: int) -> None:
        super().__init__(name=f"web-{number}", daemon=True)
        self._threads = threads
        self._task: Any = task
        self._wake = threading.Lock()
        self._wake.acquire()

    def go_on(self, task: Task) -> None:
        self._task = task
        self._wake.release()

    def run(self) -> None:
        while True:
            try:
                self._task.service()
            except Exception:
                log.exception("A task of the web server failed.")
            self._task = None
            found = self._threads.next(self)
            if found is None:
                self._wake.acquire()
            else:
                self._task = found
