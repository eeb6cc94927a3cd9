"""Whether a model may still be loaded: what it needs against what the container may still use.

Asked before loading, because the kernel does not refuse: it lets the memory be taken, and then
kills whatever it pleases. A refusal is a ``MemoryError``, which MMS answers with 507, on which
SageMaker unloads another model and tries again.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 1024 * 1024
SPARE = 48 * MEGABYTE
"""Kept free for requests in flight: a decoded picture, the JVM's copies of requests and answers."""

JVM_GROWN = 96 * MEGABYTE
"""What the JVM takes after some hundred loads. It begins with half; what it has yet to take is kept
free, or a container that was just full would be over its limit a day later."""

IMPORT = 112 * MEGABYTE
"""What a process takes that imports MXNet by itself, and the one that listens beside it."""

HOST = 104 * MEGABYTE
"""What the model host takes. Kept free while there is none, for the next one."""

_V2 = Path("/sys/fs/cgroup")
_V1 = Path("/sys/fs/cgroup/memory")
_NO_LIMIT = 1 << 60  # cgroup v1 writes an absurd number where there is none


@dataclass(frozen=True)
class Room:
    """How much memory there is, and how much of it is taken, in bytes; and who says so."""

    limit: int
    used: int
    source: str


def rooms() -> list[Room]:
    """Every limit that holds for this server; the tightest one counts."""
    found = [read() for read in (_setting, _cgroup_v2, _cgroup_v1, _machine)]
    return [room for room in found if room is not None]


def _setting() -> Room | None:
    """``MME_MEMORY_LIMIT_MB``, for servers that share a machine without containers.

    What counts is the memory of the server's own processes, shared pages in shares.
    """
    wanted, server = os.environ.get("MME_MEMORY_LIMIT_MB"), os.environ.get("MME_SERVER_PID")
    if not wanted or not server:
        return None
    used = sum(_proportional_size(pid) for pid in _family(int(server)))
    return Room(int(wanted) * MEGABYTE, used, "MME_MEMORY_LIMIT_MB")


def _cgroup_v2() -> Room | None:
    try:
        limit = (_V2 / "memory.max").read_text(encoding="ascii").strip()
        if limit == "max":
            return None
        used = int((_V2 / "memory.current").read_text(encoding="ascii"))
        reclaimable = _statistic(_V2 / "memory.stat", ("inactive_file", "active_file"))
    except (OSError, ValueError):
        return None
    return Room(int(limit), max(0, used - reclaimable), "cgroup")


def _cgroup_v1() -> Room | None:
    try:
        limit = int((_V1 / "memory.limit_in_bytes").read_text(encoding="ascii"))
        used = int((_V1 / "memory.usage_in_bytes").read_text(encoding="ascii"))
        reclaimable = _statistic(_V1 / "memory.stat", ("total_inactive_file", "total_active_file"))
    except (OSError, ValueError):
        return None
    return None if limit >= _NO_LIMIT else Room(limit, max(0, used - reclaimable), "cgroup")


def _statistic(path: Path, names: tuple[str, ...]) -> int:
    """The sum of some lines of memory.stat: pages that the kernel gives back when asked."""
    lines = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return sum(int(value) for name, value in lines if name in names)


def _machine() -> Room | None:
    values = {}
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        values[name] = int(rest.split()[0]) * 1024
    total = values["MemTotal"]
    return Room(total, total - values["MemAvailable"], "machine")


def _family(pid: int) -> list[int]:
    """``pid``, its children, theirs, and so on; each with memory of its own."""
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        found.append(current)
        todo.extend(child for child in _children(current) if not _borrowed(child, current))
    return found


def _borrowed(child: int, parent: int) -> bool:
    """Whether the memory of ``child`` is its parent's: the JVM's children begin as copies of it
    by vfork(2), for the moment until they become their program, and counted twice it is 90 MB."""
    try:
        program = os.readlink(f"/proc/{child}/exe")
        return Path(program).name == "java" and program == os.readlink(f"/proc/{parent}/exe")
    except OSError:
        return False


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children = (task / "children").read_text(encoding="ascii")
            found.extend(int(child) for child in children.split())
    return found


def _proportional_size(pid: int) -> int:
    """Resident bytes, each shared page divided by those who share it; pages of files left out,
    as the kernel gives them back when asked."""
    size = 0
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                size += int(line.split()[1]) * 1024
    return size


def _jvm_has_yet_to_take() -> int:
    server = os.environ.get("MME_SERVER_PID")
    for pid in _children(int(server)) if server else ():
        with contextlib.suppress(OSError):
            if Path(os.readlink(f"/proc/{pid}/exe")).name == "java":
                return max(0, JVM_GROWN - _own_size(pid))
    return 0


def _own_size(pid: int) -> int:
    """Resident bytes that are no file's, of a process that shares none of them: a counter of the
    kernel's, where the shares of pages take it milliseconds to add up."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def _host_has_yet_to_take() -> int:
    """The host's memory while it is away, with models loading the plain way in its room."""
    if "MME_SERVER_PID" not in os.environ or os.environ.get("MME_MODEL_HOST") == "0":
        return 0
    return 0 if (_folder() / "host.pid").exists() else HOST


def room_for_host() -> bool:
    """Whether what the model host takes is free.

    It may not be where one has died in a full container: the pages that models share with it stay.
    """
    return all(room.limit - room.used >= HOST for room in rooms())


def _folder() -> Path:
    """The server's own temporary folder."""
    return Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108 - as it is set


ending: list[int] = []
"""Workers of unloaded models that were not gone when this worker was forked (model_host.py). MMS
answers an unload once the script is gone that stands for the worker; the worker's memory may take
some milliseconds more."""

ENDING_SECONDS = 2.0


@contextlib.contextmanager
def admitted(need: int, name: str) -> Iterator[None]:
    """Hold ``need`` bytes for the time of a load; ``MemoryError`` where they are not there.

    Loads that go on at the same time see each other's needs, by files in TMPDIR that name the
    process and the bytes, so that two do not both take the last room.
    """
    folder = _folder()
    mine = folder / f".loading.{os.getpid()}"
    deadline = time.monotonic() + ENDING_SECONDS
    while True:
        room_to_come = any(Path(f"/proc/{pid}").exists() for pid in ending)
        with _locked(folder / ".loading"):
            lack = _lack(need, name, _reserved_by_others(folder))
            if lack is None:
                mine.write_text(str(need), encoding="ascii")
                break
        if not room_to_come or time.monotonic() > deadline:
            raise MemoryError(lack)
        time.sleep(0.02)
    try:
        yield
    finally:
        mine.unlink(missing_ok=True)


def _lack(need: int, name: str, reserved: int) -> str | None:
    """The sentence that refuses ``need`` bytes; None where there is room."""
    kept = SPARE + _jvm_has_yet_to_take() + _host_has_yet_to_take()
    for room in rooms():
        free = room.limit - room.used - reserved - kept
        if need > free:
            return (
                f"{name} needs about {need // MEGABYTE} MB, but of {room.limit // MEGABYTE} MB "
                f"({room.source}) {max(0, free) // MEGABYTE} MB are free; "
                "unload another model first."
            )
    return None


def _reserved_by_others(folder: Path) -> int:
    total = 0
    for path in folder.glob(".loading.*"):
        pid = path.name.rpartition(".")[2]
        try:
            if Path(f"/proc/{pid}").exists():
                total += int(path.read_text(encoding="ascii") or 0)
            else:
                path.unlink(missing_ok=True)  # killed while it loaded
        except OSError:
            continue
    return total


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        deadline = time.monotonic() + 5
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # Held for milliseconds; a stopped process must not stop all loading for ever.
                if time.monotonic() > deadline:
                    break
                time.sleep(0.005)
        yield


Admit = Callable[[int, str], contextlib.AbstractContextManager[None]]
