"""Requests that are at work for as long as a test likes."""

import json
import os
import signal
import threading

from serving import Answer, Server, stopped, wait_until


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

    def answer(self) -> Answer:
        self._thread.join(timeout=30)
        assert self._answers, "no answer within 30 s"
        return self._answers[0]


def hold(server: Server, count: int) -> list[int]:
    """Stop each worker that is at a request, until there are ``count``; returns them.

    SIGCONT lets them go on.
    """

    def held() -> bool:
        for pid in server.busy_workers():
            os.kill(pid, signal.SIGSTOP)
        # One may have come to its end between the look and the signal.
        return len(stopped_ones()) == count

    def stopped_ones() -> list[int]:
        return [pid for pid in server.busy_workers() if stopped(pid)]

    wait_until(held, 20, f"{count} busy workers")
    return stopped_ones()
