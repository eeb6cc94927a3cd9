"""Heartbeats of Celery's worker and beat; :mod:`core.heartbeat` writes them to Redis.

Each reports from the loop in which it works, not from a thread beside it, so that one whose loop
hangs falls silent.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import bootsteps
from celery.beat import Scheduler as CeleryScheduler
from celery.beat import SchedulingError

from core.broker import refusal_log
from core.heartbeat import EVERY_S, Writer

_started_at, _started = datetime.now(UTC), time.monotonic()


def steady_now() -> datetime:
    """The time that this host's clock showed at the start, and what has passed since."""
    return _started_at + timedelta(seconds=time.monotonic() - _started)


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
        """Stop reporting; the key in Redis expires."""
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

    def setup_schedule(self) -> None:
        """Read the schedule; a monotonic clock decides what is due."""
        super().setup_schedule()
        for entry in self.schedule.values():
            entry.schedule.nowfun = steady_now

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send one job; what Redis does not take is sent again when it is due again.

        Celery's own tries for seconds, which keeps the others, and logs two tracebacks for each.
        """
        entry.options.setdefault("retry", False)
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            refusal_log.warn(f"the job {entry.task}", error)

    def tick(self, *arguments: Any, **options: Any) -> Any:
        """Send what is due, and report; returns the seconds until the next look."""
        self._writer.beat_if_due()
        return super().tick(*arguments, **options)
