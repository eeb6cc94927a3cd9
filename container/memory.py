"""Whether a model still fits: compares the memory that it needs with what the container has free.

This is checked before a load, because the kernel refuses no allocation and kills a process later. A
model that does not fit raises ``MemoryError``, MMS answers 507, and SageMaker then unloads another
model and tries again (DG/mms-container-apis).
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
"""Reserved for running requests: a decoded picture, the JVM's copies of requests and answers."""

JVM_GROWN = 96 * MEGABYTE
"""What the JVM takes after some hundred loads. It begins with half; the rest is reserved, or a full
container would exceed its limit a day later."""

IMPORT = 112 * MEGABYTE
"""What a worker without a model host takes for importing MXNet, with the process that listens."""

HOST = 104 * MEGABYTE
"""What the model host takes. Reserved for the next one while there is none."""

_V2 = Path("/sys/fs/cgroup")
_V1 = Path("/sys/fs/cgroup/memory")
_NO_LIMIT = 1 << 60  # cgroup v1 writes a larger number where there is no limit


@dataclass(frozen=True)
class Room:
    """A memory limit and what is used of it, in bytes; ``source`` is where the limit comes from."""

    limit: int
    used: int
    source: str


def rooms() -> list[Room]:
    """All memory limits of this server; a load must fit within each."""
    found = [read() for read in (_setting, _cgroup_v2, _cgroup_v1, _machine)]
    return [room for room in found if room is not None]


def _setting() -> Room | None:
    """``MME_MEMORY_LIMIT_MB``, for servers that share a machine without containers.

    Used is the memory of the server's own processes, in proportional shares (Pss).
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
    """The sum of the lines ``names`` of memory.stat: pages that the kernel can reclaim."""
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
    """``pid`` and its descendants that have memory of their own."""
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        found.append(current)
        todo.extend(child for child in _children(current) if not _shares_memory(child, current))
    return found


def _shares_memory(child: int, parent: int) -> bool:
    """Whether ``child`` uses the memory of ``parent``.

    A child of the JVM does until it executes its program (vfork(2)); counted twice it is 90 MB.
    """
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
    """Proportional resident bytes (Pss) without pages of files, which the kernel can reclaim."""
    size = 0
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                size += int(line.split()[1]) * 1024
    return size


def _reserved_for_jvm() -> int:
    """What the JVM is expected to grow by."""
    server = os.environ.get("MME_SERVER_PID")
    for pid in _children(int(server)) if server else ():
        with contextlib.suppress(OSError):
            if Path(os.readlink(f"/proc/{pid}/exe")).name == "java":
                return max(0, JVM_GROWN - _own_size(pid))
    return 0


def _own_size(pid: int) -> int:
    """Anonymous resident bytes, shared ones in full: faster to read than Pss, which takes ms."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def _reserved_for_host() -> int:
    """The memory of the next model host while there is none."""
    if "MME_SERVER_PID" not in os.environ or os.environ.get("MME_MODEL_HOST") == "0":
        return 0
    return 0 if (_folder() / "host.pid").exists() else HOST


def room_for_host() -> bool:
    """Whether :data:`HOST` is free.

    It may not be where a host has died in a full container: models keep the pages that they shared.
    """
    return all(room.limit - room.used >= HOST for room in rooms())


def _folder() -> Path:
    """The server's own temporary folder."""
    return Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108 - as the entrypoint sets it


ending: list[int] = []
"""Process ids of workers of unloaded models that still ran when this worker was forked
(model_host.py). MMS answers an unload when the launcher script has ended; the worker's memory may
be freed some milliseconds later."""

ENDING_SECONDS = 2.0
"""How long a load waits for the memory of such workers."""


@contextlib.contextmanager
def admitted(need: int, name: str) -> Iterator[None]:
    """Reserve ``need`` bytes during the load of ``name``. Raises ``MemoryError`` where they are not
    free.

    A reservation is a file in TMPDIR that names the process and has the bytes, so that two loads at
    the same time do not both take the last memory.
    """
    folder = _folder()
    mine = folder / f".loading.{os.getpid()}"
    deadline = time.monotonic() + ENDING_SECONDS
    while True:
        will_be_freed = any(Path(f"/proc/{pid}").exists() for pid in ending)
        with _locked(folder / ".loading"):
            refusal = _refusal(need, name, _reserved_by_others(folder))
            if refusal is None:
                mine.write_text(str(need), encoding="ascii")
                break
        if not will_be_freed or time.monotonic() > deadline:
            raise MemoryError(refusal)
        time.sleep(0.02)
    try:
        yield
    finally:
        mine.unlink(missing_ok=True)


def _refusal(need: int, name: str, reserved: int) -> str | None:
    """The sentence that refuses ``need`` bytes; None where there is room."""
    reserved += SPARE + _reserved_for_jvm() + _reserved_for_host()
    for room in rooms():
        free = room.limit - room.used - reserved
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
                # Others hold it for milliseconds. A stopped process must not block all loads.
                if time.monotonic() > deadline:
                    break
                time.sleep(0.005)
        yield


Admit = Callable[[int, str], contextlib.AbstractContextManager[None]]
