"""The server's thread pool: starts threads when needed, and reuses the last one that was busy."""

import contextlib
import logging
import os
import threading
import time
from collections import deque
from typing import Any, Protocol

log = logging.getLogger(__name__)


#: How many parts of pages are made at a time, while others wait, and how long one counts and waits.
PARTS_AT_ONCE = 1
PART_S = 1.0


class Task(Protocol):
    """What waitress hands to a thread."""

    def service(self) -> None:
        """Run the task."""

    @property
    def may_wait(self) -> bool:
        """Whether it is a part of a page that is open already, which may come a moment later."""

    def comes_again(self, called: int) -> bool:
        """Wait for what it is to do next, until ``called`` can be read; whether there is any.

        False: others look for it now.
        """

    def let_go(self) -> None:
        """Let others look for what it is to do next."""


class Threads:
    """Runs tasks in up to ``most`` threads; replaces waitress's own dispatcher.

    That one wakes its threads in turn, so that each keeps a database connection open. Here a thread
    is started when all others are busy, and the one that became idle last works first.

    A hundred open pages that ask for their parts each second would take the processor from all
    others. So of such parts one is made at a time, after what else waits; one that takes longer
    than a second, or has waited for so long, is as any other task.

    With ``stay`` a thread stays with the connection that it has just served, and waits for its next
    request. So neither the thread nor the event loop has to be woken, and on a busy machine each
    wake waits for a processor (docs/measured.md). Half of the threads may stay so, while no task
    waits for a thread.
    """

    def __init__(self, most: int, *, stay: bool = False) -> None:
        self._most = most
        self._may_stay = most // 2 if stay else 0
        self._staying = 0
        # Has a byte while those that stay are to look for other tasks.
        self._called, self._calls = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if stay else (-1, -1)
        self._started = 0
        self._idle: list[_Thread] = []
        self._queue: deque[Task] = deque()
        self._parts: deque[tuple[float, Task]] = deque()
        self._making: dict[Task, float] = {}  # parts, and since when
        self._lock = threading.Lock()

    def add_task(self, task: Task) -> None:
        """Run ``task`` as soon as a thread is free."""
        now = time.monotonic()
        with self._lock:
            if task.may_wait:
                self._parts.append((now, task))
            else:
                self._start(task)
            while (self._idle or self._started < self._most) and (part := self._part(now)):
                self._start(part)

    def _start(self, task: Task) -> None:
        if self._idle:
            self._idle.pop().go_on(task)
        elif self._started < self._most:
            self._started += 1
            _Thread(self, task, self._started).start()
        else:
            self._queue.append(task)
            if self._staying:
                self.call()

    def call(self) -> None:
        """Have the threads that stay look for other tasks; safe in a signal handler."""
        if not self._may_stay:
            return
        with contextlib.suppress(BlockingIOError):  # it is full of calls
            os.write(self._calls, b".")

    def comes_again(self, task: Task) -> bool:
        """Whether the task is to be served once more by this thread, which waited with it."""
        if not self._may_stay:
            return False
        with self._lock:
            stays = self._staying < self._may_stay and not (self._queue or self._parts)
            if stays:
                self._staying += 1
        if not stays:
            task.let_go()
            return False
        try:
            return task.comes_again(self._called)
        finally:
            with self._lock:
                self._staying -= 1
                if not self._staying:
                    self._hear()

    def _hear(self) -> None:
        """Take what calls there were: all that stayed have heard them."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._called, 4096):
                pass

    def _part(self, now: float) -> Task | None:
        """The next part of a page, if one may be made now."""
        if not self._parts:
            return None
        quick = sum(now - since < PART_S for since in self._making.values())
        if quick >= PARTS_AT_ONCE:
            return None
        _since, task = self._parts.popleft()
        self._making[task] = now
        return task

    def next(self, thread: "_Thread", done: Task) -> Task | None:
        """The task after ``done``; None if there is none, and ``thread`` is woken for the next."""
        now = time.monotonic()
        with self._lock:
            self._making.pop(done, None)
            waits = bool(self._parts) and now - self._parts[0][0] > PART_S
            found = self._part(now) if waits or not self._queue else None
            if found is None and self._queue:
                found = self._queue.popleft()
            if found is None:
                self._idle.append(thread)
            return found


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
                while self._threads.comes_again(self._task):
                    self._task.service()
            except Exception:
                log.exception("A task of the web server failed.")
            done, self._task = self._task, None
            found = self._threads.next(self, done)
            if found is None:
                self._wake.acquire()
            else:
                self._task = found
