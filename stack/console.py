"""The progress lines of `make up`."""

import sys
import time
from collections.abc import Sequence
from typing import TextIO

_REMIND_EVERY_S = 10


class Console:
    """Numbered steps: a line when a step begins, now and then, and when it is done.

    Steps may run at the same time. Their lines are printed in the order of their numbers: the
    lines of a later step wait until the steps before it are done.
    """

    def __init__(
        self,
        steps: Sequence[str] = (),
        out: TextIO = sys.stdout,
        *,
        remind_every_s: float = _REMIND_EVERY_S,
    ) -> None:
        self._remind_every_s = remind_every_s
        self._steps = list(dict.fromkeys(steps))
        self._out = out
        self._said = 0  # steps of which the last line was printed
        self._began: dict[str, float] = {}
        self._took: dict[str, float] = {}
        self._reminded: dict[str, float] = {}

    def say(self, line: str) -> None:
        try:
            print(line, file=self._out, flush=True)
        except OSError:
            # The reader of our output is gone; the stack must still be ended in order.
            self._out = open("/dev/null", "w")  # noqa: SIM115 - as long as the process

    def begin(self, step: str) -> None:
        if step not in self._began:
            self._began[step] = time.monotonic()
            self._say_what_is_due()

    def remind(self, step: str, detail: str = "") -> None:
        """Print now and then that ``step`` is still running, with ``detail`` if given."""
        if step not in self._reminded:
            return  # its beginning was not printed yet
        now = time.monotonic()
        if now - self._reminded[step] >= self._remind_every_s:
            self._reminded[step] = now
            more = f": {detail}" if detail else ""
            self.say(f"{self._place(step)} {step} … {now - self._began[step]:.0f} s{more}")

    def done(self, step: str) -> None:
        self._took[step] = time.monotonic() - self._began[step]
        self._say_what_is_due()

    def _say_what_is_due(self) -> None:
        for step in self._steps[self._said :]:
            if step not in self._began:
                return
            if step not in self._reminded:
                self._reminded[step] = time.monotonic()
                self.say(f"{self._place(step)} {step} …")
            if step not in self._took:
                return
            self.say(f"{self._place(step)} {step}: done in {self._took[step]:.1f} s")
            self._said += 1

    def _place(self, step: str) -> str:
        return f"[{self._steps.index(step) + 1}/{len(self._steps)}]"
