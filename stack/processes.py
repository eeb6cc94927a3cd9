"""What /proc tells about processes, and how to end those that belong to a stack.

Every program that the supervisor starts carries two environment variables, which its own
children inherit: so a stack's processes can be told from all others, however deep they are and
whatever session or process group they made for themselves.
"""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

STACK_MARK = "MME_STACK"  # the folder of the stack
PART_MARK = "MME_STACK_PART"  # the part of it
PR_SET_CHILD_SUBREAPER = 36
_STEP_S = 0.02


@dataclass(frozen=True)
class Process:
    """A process as /proc/PID/stat shows it. ``started`` is in clock ticks since boot."""

    pid: int
    parent: int
    group: int
    state: str
    started: int

    @property
    def is_zombie(self) -> bool:
        return self.state in "ZX"


def read(pid: int) -> Process | None:
    """The process, or None where there is none of that number."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may itself hold spaces and parentheses (proc(5)).
    fields = text[text.rindex(")") + 2 :].split()
    return Process(pid, int(fields[1]), int(fields[2]), fields[0], int(fields[19]))


def everyone() -> list[Process]:
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [process for pid in pids if (process := read(pid)) is not None]


def is_alive(pid: int, started: int) -> bool:
    """Whether this very process, not another that got its number later, still runs."""
    process = read(pid)
    return process is not None and process.started == started and not process.is_zombie


def marked(stack: Path, part: str | None = None) -> list[Process]:
    """Running processes, other than this one, of a stack (of one part of it, where named)."""
    wanted = {f"{STACK_MARK}={stack}".encode()}
    if part is not None:
        wanted.add(f"{PART_MARK}={part}".encode())
    found = []
    for process in everyone():
        if process.pid == os.getpid() or process.is_zombie:
            continue
        try:
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        except OSError:  # gone meanwhile, or another user's, which no stack of ours can be
            continue
        if wanted <= set(environment.split(b"\0")):
            found.append(process)
    return found


def children() -> list[Process]:
    """Direct children of this process, the adopted and the dead but unreaped included."""
    return [process for process in everyone() if process.parent == os.getpid()]


def adopt_orphans() -> None:
    """Make this process the parent of any descendant whose own parent dies (prctl(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def send(processes: Iterable[Process], number: signal.Signals) -> None:
    for process in processes:
        if is_alive(process.pid, process.started):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)


def end(find: Callable[[], list[Process]], *, grace_s: float) -> list[Process]:
    """End all that ``find`` finds: SIGTERM, ``grace_s`` seconds, SIGKILL. Returns those found."""
    first = find()
    send(first, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while (left := find()) and time.monotonic() < deadline:
        time.sleep(_STEP_S)
    deadline = time.monotonic() + 2
    while left and time.monotonic() < deadline:
        send(left, signal.SIGKILL)
        time.sleep(_STEP_S)
        left = find()
    return first
