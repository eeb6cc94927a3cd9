"""Finds processes in /proc, and ends those of a stack.

Every program that the supervisor starts has two environment variables, which its children inherit.
So all processes of a stack are found, whatever session or process group they are in.
"""

import contextlib
import ctypes
import errno
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
    """The process with that number, or None."""
    try:
        # A name is cut after 15 bytes, be it within a letter.
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may itself hold spaces and parentheses (proc(5)).
    fields = text[text.rindex(")") + 2 :].split()
    return Process(pid, int(fields[1]), int(fields[2]), fields[0], int(fields[19]))


def all_processes() -> list[Process]:
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [process for pid in pids if (process := read(pid)) is not None]


def is_alive(pid: int, started: int) -> bool:
    """Whether this process still runs, and not another one that reuses its number."""
    process = read(pid)
    return process is not None and process.started == started and not process.is_zombie


def marked(stack: Path, part: str | None = None) -> list[Process]:
    """Running processes, other than this one, of a stack (of one part of it, where named)."""
    wanted = {f"{STACK_MARK}={stack}".encode()}
    if part is not None:
        wanted.add(f"{PART_MARK}={part}".encode())
    found = []
    for process in all_processes():
        if process.pid == os.getpid() or process.is_zombie:
            continue
        try:
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        except OSError:  # ended meanwhile, or another user's
            continue
        if wanted <= set(environment.split(b"\0")):
            found.append(process)
    return found


def children() -> list[Process]:
    """Direct children of this process, including adopted ones and zombies."""
    return [process for process in all_processes() if process.parent == os.getpid()]


def adopt_orphans() -> None:
    """Make this process adopt orphaned descendants (prctl(2), PR_SET_CHILD_SUBREAPER)."""
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


_TRIES, _BETWEEN_TRIES_S = 5, 0.1


def be_nice(pid: int, *, by: int) -> None:
    """Have a process, the leader of its session, leave the processors to others (nice(2)).

    So do its threads, and what they start from now on. Where the kernel shares processors among
    sessions (sched(7), "The autogroup feature"), nice counts within a session alone; so the session
    gets the same.
    """
    value = min(19, os.getpriority(os.PRIO_PROCESS, 0) + by)
    # What has ended, the supervisor notices.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        # On Linux a nice value is of one thread (setpriority(2), "C library/kernel differences").
        # The first thread comes first: it is the one that starts others.
        for thread in sorted(int(name) for name in os.listdir(f"/proc/{pid}/task")):
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, thread, value)
    for left in reversed(range(_TRIES)):
        try:
            Path(f"/proc/{pid}/autogroup").write_text(f"{by}\n")
        except FileNotFoundError:
            return  # this kernel has none, or the process has ended
        except BlockingIOError:  # the kernel lets who is not root do so ten times a second
            if left:
                time.sleep(_BETWEEN_TRIES_S)
        except OSError as error:  # as in a container whose /proc may not be written
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            return  # its nice value holds within its session, and it runs all the same
        else:
            return
