"""What a stack runs, written down, so that the next start finds what a killed one left."""

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from stack import processes


def record(stack_dir: Path, pids: Iterable[int]) -> None:
    """Write down the processes that run now."""
    found = [process for pid in pids if (process := processes.read(pid)) is not None]
    now = {
        "supervisor": os.getpid(),
        "boot": _boot(),  # numbers and times mean nothing after the next one
        "processes": [[process.pid, process.started] for process in found],
    }
    path = _path(stack_dir)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(now))
    temporary.replace(path)


def forget(stack_dir: Path) -> None:
    """Nothing runs any more."""
    _path(stack_dir).unlink(missing_ok=True)


def end(stack_dir: Path, *, grace_s: float = 10) -> int:
    """End what an earlier supervisor of this stack, killed or crashed, left running.

    Gives it ``grace_s`` seconds to end by itself, and returns how many processes there were. Only
    for the one process that holds the stack's folder: it would end another one's parts.
    """
    recorded: list[list[int]] = []
    with contextlib.suppress(FileNotFoundError, ValueError):
        kept = json.loads(_path(stack_dir).read_text())
        if kept["boot"] == _boot():
            recorded = kept["processes"]

    def find() -> list[processes.Process]:
        known = [
            process
            for pid, started in recorded
            if (process := processes.read(pid)) and processes.is_alive(pid, started)
        ]
        # Some programs write over their environment: those are known by number alone.
        both = known + processes.marked(stack_dir)
        return list({process.pid: process for process in both}.values())

    found = processes.end(find, grace_s=grace_s)
    for path in (stack_dir / "run").glob("*.pid"):
        path.unlink()
    forget(stack_dir)
    return len(found)


def _path(stack_dir: Path) -> Path:
    return stack_dir / "run" / "stack.json"


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
