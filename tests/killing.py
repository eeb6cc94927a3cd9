"""The parts of a small portal, each of which can be killed, stopped and started; what came of it.

What both kill matrices share: tests/kill_matrix.py has the operations of endpoints,
tests/kill_catalog.py those of the catalog.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.small_portal import ROOT, SmallPortal

#: A lease of endpoints lasts 3 s more than both timeouts together; a worker that is stopped
#: outlasts it.
SHORT = {"AWS_CONNECT_TIMEOUT_S": "1", "AWS_READ_TIMEOUT_S": "1", "AWS_CALLS_PER_SECOND": "100"}
Round = TypeVar("Round")
STOPPED_S = {"worker": 7.0}
_STOPPED_S = 3.0


@dataclass
class Outcome:
    """What became of the operations that were disturbed: how many, and what failed."""

    cases: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    #: Steps that passed before they were seen, so that nothing was disturbed.
    missed: list[str] = field(default_factory=list)


class Parts:
    """The processes of a portal, and a person who does what people do.

    ``script`` is that person: a program that does what each line of its input says, and answers
    ``done``. ``servers``: what may be killed besides, each with process, kill() and start().
    """

    script = ""
    #: What the person has in the environment that the parts have not.
    of_person: Mapping[str, str] = {}

    def __init__(
        self,
        portal: SmallPortal,
        names: Sequence[str],
        servers: Mapping[str, Any],
        parts: contextlib.ExitStack,
    ) -> None:
        self.portal, self._servers, self._stack = portal, servers, parts
        self._running: dict[str, tuple[contextlib.ExitStack, subprocess.Popen[bytes]]] = {}
        for name in names:
            self.start(name)
        self._environment = portal.environment | self.of_person
        self._person = self._stack.enter_context(self._a_person())

    @contextlib.contextmanager
    def _a_person(self) -> Iterator["subprocess.Popen[str]"]:
        command = [sys.executable, "manage.py", "shell", "--no-imports", "--command", self.script]
        with (
            (self.portal.folder / "person.log").open("wb") as log,
            subprocess.Popen(
                command, cwd=ROOT, env=self._environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            ) as process,
        ):  # fmt: skip
            try:
                yield process
            finally:
                process.kill()

    def ask(self, line: str) -> None:
        """Have the person do something."""
        assert self._person.stdin is not None
        assert self._person.stdout is not None
        self._person.stdin.write(line + "\n")
        self._person.stdin.flush()
        said = self._person.stdout.readline().strip()
        assert said == "done", (self.portal.folder / "person.log").read_text()[-2000:]

    def start(self, part: str) -> None:
        """Start a part, also where it was killed."""
        if part in self._servers:
            self._servers[part].start()
            return
        kept = contextlib.ExitStack()
        self._stack.callback(kept.close)
        program = self.portal.redis() if part == "redis" else self.portal.program(part)
        self._running[part] = kept, kept.enter_context(program)

    def kill(self, part: str) -> None:
        """SIGKILL; the kernel has closed its connections when this returns."""
        if part in self._servers:
            self._servers[part].kill()
            return
        kept, process = self._running[part]
        if part == "web":  # the processes that answer, too; some are in sessions of their own
            process.send_signal(signal.SIGSTOP)  # it starts no others meanwhile
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            for pid in children.split():
                os.kill(int(pid), signal.SIGKILL)
            os.killpg(process.pid, signal.SIGKILL)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        kept.close()

    def stop_for_a_while(self, part: str) -> None:
        """SIGSTOP, and SIGCONT some seconds later; a worker is stopped beside another one."""
        process = self._servers[part].process if part in self._servers else self._running[part][1]
        process.send_signal(signal.SIGSTOP)
        with contextlib.ExitStack() as beside:
            if part == "worker":
                beside.enter_context(self.portal.program("worker"))
            time.sleep(STOPPED_S.get(part, _STOPPED_S))
            process.send_signal(signal.SIGCONT)


@dataclass(frozen=True)
class Matrix:
    """What ran, for a table: its operations with how many steps each has, and its columns."""

    #: The comment that its table stands behind in docs/reliability.md.
    mark: str
    operations: Sequence[str]
    steps: Mapping[str, int]
    #: Part and name of the signal.
    columns: Sequence[tuple[str, str]]
    rounds: int
    whole: int

    def table(self, outcome: Outcome) -> str:
        """What ran, in Markdown."""
        commit = subprocess.run(
            ["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True,
            check=True,
        ).stdout.strip()  # fmt: skip
        day = time.strftime("%Y-%m-%d", time.gmtime())
        missed = f" {len(outcome.missed)} steps passed unseen." if outcome.missed else ""
        lines = [
            f"On {day}, commit {commit}: {self.rounds} of {self.whole} rounds, "
            f"{outcome.cases.total()} disturbed operations. {len(outcome.failures)} did not come "
            f"to their end, or left something.{missed}",
            "",
            "| operation | steps | " + " | ".join(f"{p} {n}" for p, n in self.columns) + " |",
            "|---|---:|" + "---:|" * len(self.columns),
        ]
        for operation in self.operations:
            counts = [str(outcome.cases[operation, p, n]) for p, n in self.columns]
            steps = self.steps.get(operation, 0)
            lines.append(f"| {operation} | {steps} | " + " | ".join(counts) + " |")
        return "\n".join(lines)

    def write(self, outcome: Outcome) -> None:
        """Put the table into docs/reliability.md."""
        page = ROOT / "docs" / "reliability.md"
        begin, end = f"<!-- {self.mark} -->", f"<!-- end of the {self.mark} -->"
        before, _, rest = page.read_text().partition(begin)
        after = rest.partition(end)[2]
        page.write_text(f"{before}{begin}\n\n{self.table(outcome)}\n\n{end}{after}")


def played(
    wanted: argparse.Namespace,
    rounds: Sequence[Round],
    column: Callable[[Round], tuple[str, str]],
    play: Callable[[Round], None],
    outcome: Outcome,
) -> int:
    """Play the rounds that ``wanted`` allows, within its minutes; how many."""
    deadline = time.monotonic() + 60 * wanted.minutes
    count = failed = 0
    for what in rounds[wanted.first - 1 :]:
        if wanted.only and ":".join(column(what)) not in wanted.only:
            continue
        if time.monotonic() > deadline:
            break
        play(what)
        count += 1
        new, failed = outcome.failures[failed:], len(outcome.failures)
        print(f"{count}: {what}; {failed} failed", *new, sep="\n", flush=True)
    return count


def ended(wanted: argparse.Namespace, matrix: Matrix, outcome: Outcome) -> int:
    """Say what came of it, in docs/reliability.md too; 1 where an operation failed."""
    print(matrix.table(outcome), *outcome.failures, *outcome.missed, sep="\n")
    if not wanted.no_table:
        matrix.write(outcome)
    return 1 if outcome.failures else 0
