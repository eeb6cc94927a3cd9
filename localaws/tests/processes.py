"""Process trees, their memory, and processes that were left, for tests.

A *site* is all processes of one run of localaws. It is identified by a folder: localaws gets a
TMPDIR below it, which its containers inherit, so the path is in the environment of all their
processes.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError)
_LISTENS = "0A"  # proc(5): the state of a TCP socket


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    session: int
    state: str


def processes() -> dict[int, Process]:
    """All processes but zombies."""
    found = {}
    for stat in PROC.glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except _GONE:
            continue
        pid = int(stat.parent.name)
        if fields[0] != "Z":
            found[pid] = Process(pid, int(fields[1]), int(fields[3]), fields[0])
    return found


def command(pid: int) -> str:
    """The command line; empty where the process is gone."""
    try:
        return (PROC / str(pid) / "cmdline").read_text(errors="replace").replace("\0", " ").strip()
    except _GONE:
        return ""


def environment(pid: int) -> dict[str, str]:
    """The environment that the process was started with; empty where it is gone."""
    try:
        text = (PROC / str(pid) / "environ").read_text(errors="replace")
    except _GONE:
        return {}
    return {name: value for name, _, value in (pair.partition("=") for pair in text.split("\0"))}


def descendants(pid: int) -> dict[int, str]:
    """``pid`` and the processes below it, with their command lines."""
    parents = {one.pid: one.parent for one in processes().values()}
    found, size = {pid}, 0
    while size < len(found):
        size = len(found)
        found |= {child for child, parent in parents.items() if parent in found}
    return {one: line for one in found if (line := command(one))}


# In the command lines of the container's processes.
HOST = "dockerd-entrypoint.py model-host"
WORKER = "dockerd-entrypoint.py worker"


def model_workers(pid: int) -> list[int]:
    """The processes that hold the models of a container: forks of its host, or MMS's own."""
    commands, running = descendants(pid), processes()
    hosts = {one for one, line in commands.items() if HOST in line}
    forks = [one for one in hosts if one in running and running[one].parent in hosts]
    return forks or [one for one, line in commands.items() if WORKER in line]


def model_hosts(pid: int) -> list[int]:
    """The process of a container from which its models are forked; none while it is restarted."""
    workers = model_workers(pid)
    commands = descendants(pid)
    return [one for one, line in commands.items() if HOST in line and one not in workers]


@dataclass(frozen=True)
class Memory:
    """Bytes of a process tree (PSS: shared pages are divided among processes).

    ``kept`` is anonymous and shared memory, which counts for a memory limit (as in a cgroup's
    memory.current without file pages); ``whole`` is the PSS with the pages of mapped files, which
    the kernel can drop.
    """

    kept: int = 0
    whole: int = 0

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.kept + other.kept, self.whole + other.whole)


def memory(pid: int) -> Memory:
    """Of one process; nothing where it is gone."""
    kept = whole = 0
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except _GONE:
        return Memory()
    for line in lines:
        if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
            kept += int(line.split()[1]) * 1024
        elif line.startswith("Pss:"):
            whole = int(line.split()[1]) * 1024
    return Memory(kept, whole)


def _is_vforked_child(process: Process) -> bool:
    """Whether it is a child of the JVM before exec, whose memory is still the JVM's (vfork(2))."""
    try:
        program, parents = (
            os.readlink(PROC / str(pid) / "exe") for pid in (process.pid, process.parent)
        )
    except _GONE:
        return False
    return program == parents and Path(program).name == "java"


@dataclass
class InstanceRecord:
    """A container of a site, by its session leader."""

    pid: int
    samples: int = 0
    highest: Memory = field(default_factory=Memory)
    at_highest: list[tuple[int, int, str]] = field(default_factory=list)
    """At the highest sample: bytes, pid and command line of each process."""


def _members(record: InstanceRecord, running: dict[int, Process]) -> list[int]:
    return [
        one.pid
        for one in running.values()
        if one.session == record.pid and not _is_vforked_child(one)
    ]


class MemorySampler(threading.Thread):
    """Samples the memory of every container of a site, also while localaws is restarted.

    ``keep_logs`` is a folder for the logs of containers, which instances delete.
    """

    def __init__(self, site: Path, keep_logs: Path | None = None) -> None:
        super().__init__(name="watch", daemon=True)
        self.instances: dict[int, InstanceRecord] = {}
        self.failure: BaseException | None = None
        self._site = site
        self._keep_logs = keep_logs
        self._over = threading.Event()

    def run(self) -> None:
        try:
            while not self._over.wait(0.2):
                self._look()
        except BaseException as error:  # raised by end()
            self.failure = error

    def end(self) -> dict[int, InstanceRecord]:
        self._over.set()
        self.join(30)
        if self.failure is not None:
            raise self.failure
        return self.instances

    def _look(self) -> None:
        if self._keep_logs is not None:
            self._keep(self._keep_logs)
        running = processes()
        for one in running.values():
            if one.pid == one.session and one.pid not in self.instances:
                self._record_instance(one.pid)
        for record in self.instances.values():
            members = _members(record, running)
            if not members:
                continue
            sizes = {pid: memory(pid) for pid in members}
            if _members(record, processes()) != members:
                # A process ended meanwhile: pages that it shared would be counted twice.
                continue
            total = sum(sizes.values(), start=Memory())
            record.samples += 1
            if total.kept > record.highest.kept:
                record.at_highest = [(size.kept, pid, command(pid)) for pid, size in sizes.items()]
            record.highest = Memory(
                max(record.highest.kept, total.kept), max(record.highest.whole, total.whole)
            )

    def _record_instance(self, pid: int) -> None:
        around = environment(pid)
        if "MME_BIND_SOCKET" not in around or str(self._site) not in str(around):
            return
        self.instances[pid] = InstanceRecord(pid)

    def _keep(self, folder: Path) -> None:
        for log in self._site.glob("*/instances/*/container.log"):
            kept = folder / f"container-{log.parent.name}.log"
            if not kept.exists():
                with contextlib.suppress(OSError):  # the instance went meanwhile
                    os.link(log, kept)


def processes_of_site(site: Path) -> list[int]:
    """All processes of a site, found by their environment."""
    mark = str(site)
    return [
        pid
        for pid in processes()
        if pid != os.getpid() and mark in environment(pid).get("TMPDIR", "")
    ]


def sockets_of(site: Path) -> list[str]:
    """Unix sockets that are bound below a site's folder."""
    lines = (PROC / "net/unix").read_text().splitlines()[1:]
    return [path for line in lines if str(site) in (path := line.split(maxsplit=7)[-1])]


def owner_of_port(port: int) -> int | None:
    """The process that listens at a TCP port; None where nobody does, 0 where nobody is found."""
    inodes = set()
    for table in ("net/tcp", "net/tcp6"):
        for line in (PROC / table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    if not inodes:
        return None
    for descriptor in PROC.glob("[0-9]*/fd/*"):
        try:
            if os.readlink(descriptor) in inodes:
                return int(descriptor.parts[2])
        except _GONE:
            continue
    return 0


def leftovers_of(site: Path, ports: Iterable[int], *, but: int = 0) -> Iterator[str]:
    """What a site still has: processes other than ``but``, sockets, ports."""
    mine = [pid for pid in processes_of_site(site) if pid != but]
    for pid in mine:
        yield f"process {pid} {command(pid)[:120]}"
    for path in sockets_of(site):
        yield f"socket {path}"
    for port in ports:
        owner = owner_of_port(port)
        if owner == 0 or owner in mine:  # otherwise another process has taken it
            yield f"port {port}"


def wait_until_nothing_is_left(
    site: Path, ports: Iterable[int], seconds: float, *, but: int = 0
) -> list[str]:
    """What is still there after at most ``seconds``."""
    deadline = time.monotonic() + seconds
    while (left := list(leftovers_of(site, ports, but=but))) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left
