"""Requests that are at work for as long as a test likes."""

import json
import os
import signal
import threading
import time
from collections.abc import Collection
from functools import partial

from container.tests.serving import Answer, Server, processor_ticks, stopped, wait_until


def slow_request() -> bytes:
    """Keeps a worker busy for a good part of a second, with reading its JSON."""
    return json.dumps({"instances": [[[[0.123456789] * 8] * 8] * 3] * 250}).encode()


class Caller:
    """One who has sent :func:`slow_request`, and waits for the answer."""

    def __init__(self, server: Server, model: str) -> None:
        self._answers: list[Answer] = []

        def call() -> None:
            self._answers.append(server.invoke(model, slow_request(), "application/json"))

        self._thread = threading.Thread(target=call)
        self._thread.start()

    @property
    def answered(self) -> bool:
        return not self._thread.is_alive()

    def answer(self) -> Answer:
        self._thread.join(timeout=30)
        assert self._answers, "no answer within 30 s"
        return self._answers[0]


def hold(server: Server, model: str, *, beside: Collection[int] = ()) -> tuple[Caller, int]:
    """Call ``model`` and stop the worker that is at it, other than those ``beside``.

    SIGCONT lets it go on. On a busy machine a call may be over before it is seen; then there is
    another one.
    """
    for _ in range(20):
        caller = Caller(server, model)
        while not caller.answered:
            for pid in set(server.busy_workers()) - set(beside):
                if _caught(server, pid):
                    return caller, pid
            time.sleep(0.002)
        assert caller.answer().status == 200
    raise AssertionError("no call was caught at work")


def _caught(server: Server, pid: int) -> bool:
    """Stop a worker in the middle of its request; false where that came to its end first."""
    seen = processor_ticks(pid)
    while pid in server.busy_workers():
        # It has the lock before it asks whether it may begin: by now it is well beyond that.
        if processor_ticks(pid) < seen + 2:
            time.sleep(0.002)
            continue
        os.kill(pid, signal.SIGSTOP)
        wait_until(partial(stopped, pid), what="its stop")
        if pid in server.busy_workers():
            return True
        os.kill(pid, signal.SIGCONT)  # it had just come to its end
    return False
