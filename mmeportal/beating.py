"""Lets Celery's worker and beat report that they live: see :mod:`mmeportal.heartbeat`.

Each reports from the loop in which it works, not from a thread beside it, so that one whose loop
hangs falls silent.
"""

from typing import Any

from celery import bootsteps
from celery.beat import Scheduler as CeleryScheduler

from mmeportal.heartbeat import EVERY_S, Writer


class WorkerHeartbeat(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """The worker's step that reports every ten seconds, by the timer of its event loop."""

    requires = ("celery.worker.components:Timer",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._writer = Writer("worker")
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Report now, and from now on."""
        self._writer.beat()
        self._timer = parent.timer.call_repeatedly(EVERY_S, self._writer.beat)

    def stop(self, parent: Any) -> None:
        """Report no more; the key runs out."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Scheduler(CeleryScheduler):  # type: ignore[misc]
    """Celery's scheduler in memory, which reports as it looks for what is due.

    It looks at least as often as its most frequent entry is due: every two seconds.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._writer = Writer("beat")
        super().__init__(*arguments, **options)

    def tick(self, *arguments: Any, **options: Any) -> Any:
        """Send what is due, and report; returns the seconds until the next look."""
        self._writer.beat_if_due()
        return super().tick(*arguments, **options)
