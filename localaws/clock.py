"""The clock of what localaws does by itself: scaling, deployments, alarms, minutes of metrics.

It can be put ahead (``/_localaws/clock``), so that nobody waits a quarter of an hour to see an
endpoint scaled in. Signatures and timeouts go by the machine's own clock.
"""

import time


class Clock:
    """The machine's time, and ``ahead`` seconds."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time() + self.ahead
