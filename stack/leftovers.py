"""Records the running processes, so that the next start can end what a killed stack left."""

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from stack import processes


def record(stack_dir: Path, pids: Iterable[int]) -> None:
    """Record the processes that run now."""
    found = [process for pid in pids if (process := processes.read(pid)) is not None]
    now = {
        "supervisor": os.getpid(),
        "boot": _boot(),  # after a reboot the numbers and times are invalid
        "processes": [[process.pid, process.started] for process in found],
    }
    path = _path(stack_dir)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(now))
    temporary.replace(path)


def clear(stack_dir: Path) -> None:
    """Delete the record: no process runs."""
    _path(stack_dir).unlink(missing_ok=True)


def are_recorded(stack_dir: Path) -> bool:
    """Whether the supervisor before this one was killed: one that ends clears the record."""
    return _path(stack_dir).exists()


def end(stack_dir: Path, *, grace_s: float = 10) -> int:
    """End the processes that a killed supervisor of this stack left running.

    They have ``grace_s`` seconds to end. Returns how many there were. Only the process that holds
    the lock of the stack's folder may call this.
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
        # Some programs overwrite their environment: those are found by number.
        both = known + processes.marked(stack_dir)
        return list({process.pid: process for process in both}.values())

    found = processes.end(find, grace_s=grace_s)
    for path in (stack_dir / "run").glob("*.pid"):
        path.unlink()
    clear(stack_dir)
    return len(found)


def _path(stack_dir: Path) -> Path:
    return stack_dir / "run" / "stack.json"


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
