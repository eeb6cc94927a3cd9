"""Runs a command and cleans up its processes and temporary files, however it ends.

``run(main)`` forks. The child runs ``main`` with a temporary folder of its own. The parent waits,
adopts orphans, kills what is left at the end, and removes the folder. If the parent is killed, the
kernel sends the child SIGTERM (prctl(2), PR_SET_PDEATHSIG), which then cleans up itself. It uses
the standard library alone.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

CLEAR_SECONDS = 40.0
"""How long ``main`` may take to end its servers after a signal."""

END_SECONDS = 12.0
"""From SIGTERM to SIGKILL for a process that ``main`` left; a container needs up to 10."""


def run(main: Callable[[], int | None]) -> NoReturn:
    """Run ``main`` and exit with its code, 128 + N after a signal N.

    SIGTERM, SIGINT and SIGHUP raise SystemExit in it, once. Call it before any thread is started.
    """
    folder = tempfile.mkdtemp(prefix="mme-run-")
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _run_child(main, parent, folder)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signalled: list[float] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        signalled.append(time.monotonic())
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in _SIGNALS:
        signal.signal(number, forward)
    status = None
    while status is None:
        pid, found = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            status = found
        elif pid == 0:
            if signalled and time.monotonic() > signalled[0] + CLEAR_SECONDS:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.02)
    _end_descendants()
    shutil.rmtree(folder, ignore_errors=True)
    code = os.waitstatus_to_exitcode(status)
    sys.exit(128 - code if code < 0 else code)


def _run_child(main: Callable[[], int | None], parent: int, folder: str) -> NoReturn:
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    for number in _SIGNALS:
        signal.signal(number, _exit_on_signal)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        if os.getppid() != parent:  # it died before the kernel was told
            sys.exit(1)
        sys.exit(main())
    finally:
        for number in _SIGNALS:  # the clean-up is not interrupted
            signal.signal(number, signal.SIG_IGN)
        _end_descendants()
        shutil.rmtree(folder, ignore_errors=True)


def _exit_on_signal(number: int, _frame: FrameType | None) -> None:
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


def _end_descendants() -> None:
    """SIGTERM, some seconds later SIGKILL, to all descendants of this process; reaps them."""
    deadline = time.monotonic() + END_SECONDS
    signalled: set[int] = set()
    while left := _descendants():
        late = time.monotonic() > deadline
        for pid in left if late else left - signalled:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        signalled |= left
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def _descendants() -> set[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found: set[int] = set()
    todo = [os.getpid()]
    while todo:
        for pid in children.get(todo.pop(), []):
            found.add(pid)
            todo.append(pid)
    return found


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")
