"""The progress lines of `make up`."""

import sys
import time
from collections.abc import Sequence
from typing import TextIO

_REMIND_EVERY_S = 10


class Console:
    """Numbered steps: a line when a step begins, every 10 s, and when it is done."""

    def __init__(self, steps: Sequence[str] = (), out: TextIO = sys.stdout) -> None:
        self._numbers = {step: number for number, step in enumerate(dict.fromkeys(steps), 1)}
        self._out = out
        self._began: dict[str, float] = {}
        self._reminded: dict[str, float] = {}

    def say(self, line: str) -> None:
        try:
            print(line, file=self._out, flush=True)
        except OSError:
            # The reader of our output is gone; the stack must still be ended in order.
            self._out = open("/dev/null", "w")  # noqa: SIM115 - as long as the process

    def begin(self, step: str) -> None:
        if step not in self._began:
            self._began[step] = self._reminded[step] = time.monotonic()
            self.say(f"{self._place(step)} {step} …")

    def remind(self, step: str, detail: str = "") -> None:
        """Print every 10 s that ``step`` is still running, with ``detail`` if given."""
        now = time.monotonic()
        if now - self._reminded[step] >= _REMIND_EVERY_S:
            self._reminded[step] = now
            more = f": {detail}" if detail else ""
            self.say(f"{self._place(step)} {step} … {now - self._began[step]:.0f} s{more}")

    def done(self, step: str) -> None:
        took = time.monotonic() - self._began[step]
        self.say(f"{self._place(step)} {step}: done in {took:.1f} s")

    def _place(self, step: str) -> str:
        return f"[{self._numbers.get(step, '?')}/{len(self._numbers)}]"
