"""One instance of an endpoint: a container process, its folder and where it listens.

On AWS this is a virtual machine with a container. Here it is the container's entrypoint as a
process group, configured by environment variables. It has no authentication, so it listens at a
Unix socket in a folder for our user alone; a real container listens at a port of the loopback. It
ends with localaws, also where that is killed with SIGKILL.
"""

import collections
import contextlib
import logging
import os
import queue
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import IO

from . import container_environment as variables
from .container_client import ContainerClient
from .container_engine import MODELS, ContainerEngine
from .parent_death import ending_with_parent
from .removal import remove
from .telemetry import ProcessMeter

log = logging.getLogger(__name__)

PING_TIMEOUT = 2.0  # DG/your-algorithms-inference-code
PING_INTERVAL = 5.0
PINGS_MISSED = 6
"""Missed pings in a row after which the container is killed and replaced."""
STOP_GRACE = 10.0
"""Seconds from SIGTERM to SIGKILL; the container promises to be gone within 10."""
_MAX_HOME = 76
"""MMS keeps Unix sockets below its home, whose paths the kernel limits to 107 bytes."""
_HOME_PREFIX = "localaws-"
_SOCKET = "mms.sock"
_PORTS = (16_384, 32_766)
_LOG_TAIL_LINES = 40
_MAX_LINE = 64 * 1024
"""Bytes; a longer line is split, as a container may write without line ends."""
_READ_EVERY_S = 0.05
_LOG_BYTES = 8 * 1024 * 1024


class InstanceDied(Exception):
    """The container ended before it was healthy; the message has its last log lines."""


class Spawner:
    """Starts processes that end with localaws, all from one long-lived thread.

    Linux sends a process its parent-death signal when the *thread* that started it ends
    (prctl(2), PR_SET_PDEATHSIG), so short-lived threads must not start containers.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], object], Future[object]]] = (
            queue.SimpleQueue()
        )
        threading.Thread(target=self._run, name="spawner", daemon=True).start()

    def popen(self, command: tuple[str, ...], env: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        future: Future[object] = Future()

        def start() -> object:
            return subprocess.Popen(
                ending_with_parent(command),
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        self._jobs.put((start, future))
        process = future.result(timeout=60)
        assert isinstance(process, subprocess.Popen)
        return process

    def _run(self) -> None:
        while True:
            job, future = self._jobs.get()
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)


class Instance:
    """A container process from start to end.

    ``on_death`` is called once, on a thread of the instance's own, when the container
    ends without having been asked to.
    """

    def __init__(
        self,
        *,
        spawner: Spawner,
        command: tuple[str, ...],
        engine: ContainerEngine | None = None,
        image: str = "",
        folder: Path,
        environment: Mapping[str, str],
        memory_mb: int | None,
        on_death: Callable[["Instance"], None],
        on_log_line: Callable[["Instance", str], None] | None = None,
    ) -> None:
        self.id = "i-" + uuid.uuid4().hex[:17]
        self.folder = folder / self.id[2:12]
        self.models = self.folder / "models"
        self.started = time.time()
        self.healthy = threading.Event()
        self._command = command
        self._engine = engine
        self._image = image
        self._environment = environment if engine else variables.without_reserved(environment)
        self._memory_mb = memory_mb
        self._spawner = spawner
        self._on_death = on_death
        self._on_log_line = on_log_line
        self._stopping = threading.Event()
        self._gone = threading.Event()
        self._tail: collections.deque[str] = collections.deque(maxlen=_LOG_TAIL_LINES)
        self._process: subprocess.Popen[bytes] | None = None
        self._meter: ProcessMeter | None = None
        self.container: ContainerClient
        self.address = ""
        """Where the container listens: the path of a Unix socket, or HOST:PORT."""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and not self._gone.is_set()

    def utilization(self, memory_bytes: int) -> dict[str, float]:
        """CPUUtilization and MemoryUtilization, as far as they are known."""
        if self._engine is not None:
            return self._engine.utilization(self._container_name)
        return self._meter.utilization(memory_bytes) if self._meter is not None else {}

    def log_tail(self, lines: int = 10) -> str:
        return "\n".join(list(self._tail)[-lines:])

    def start(self, timeout: float) -> None:
        """Start the container and wait until it is healthy.

        Raises InstanceDied where it ends first or is not healthy within ``timeout``
        seconds; nothing of it is left then.
        """
        self.models.mkdir(parents=True)
        try:
            home = _make_home(self.folder)
            self.address = str(home / _SOCKET) if self._engine is None else _free_address()
            self.container = ContainerClient(self.address)
            self._process = self._launch(home)
        except (OSError, ValueError) as error:  # ValueError: a variable that it must not get
            self._clean()
            raise InstanceDied(f"The container could not be started: {error}.") from error
        except BaseException:
            self._clean()
            raise
        log.info("instance %s: pid %s, at %s", self.id, self._process.pid, self.address)
        if self._stopping.is_set():  # by stop(), which saw no process yet
            self._process.kill()
        assert self._process.stdout is not None
        pump = threading.Thread(
            target=self._pump, args=(self._process.stdout,), name=f"log-{self.id}", daemon=True
        )
        pump.start()
        threading.Thread(
            target=self._watch, args=(pump,), name=f"watch-{self.id}", daemon=True
        ).start()
        deadline = time.monotonic() + timeout
        problem: str | None = "has not been checked yet"
        while not self._gone.is_set() and time.monotonic() < deadline:
            problem = self.container.health_problem(PING_TIMEOUT)
            if problem is None:
                self._meter = ProcessMeter(self._process.pid)
                self.healthy.set()
                threading.Thread(
                    target=self._check_health, name=f"ping-{self.id}", daemon=True
                ).start()
                return
            self._gone.wait(0.05)
        if self._gone.is_set():
            code = self._process.returncode
            reason = f"The container ended with exit code {code} before it was healthy."
        else:
            reason = f"The container {problem} within {timeout:g} s."
        self.stop()
        raise InstanceDied(f"{reason} Its last log lines:\n{self.log_tail()}")

    def recheck_health(self) -> None:
        """After a broken connection: take no calls until the container answers a ping."""
        if self.healthy.is_set() and not self.container.ping(PING_TIMEOUT):
            self.healthy.clear()

    def stop(self, grace: float = STOP_GRACE) -> None:
        """SIGTERM, after ``grace`` seconds SIGKILL; returns when process and folder are gone."""
        self._stopping.set()
        self.healthy.clear()
        if self._process is not None:
            self._signal(signal.SIGTERM)
            if not self._gone.wait(grace):
                log.warning("instance %s did not end within %.0f s: SIGKILL", self.id, grace)
                self._signal_group(signal.SIGKILL)
                self._gone.wait(10)
            self.container.close()
        if self._engine is not None:
            self._engine.remove(self._container_name)
        self._clean()

    def _launch(self, home: Path) -> "subprocess.Popen[bytes]":
        env = dict(self._environment) | {"SAGEMAKER_MULTI_MODEL": "true"}
        if self._engine is not None:
            host, _, port = self.address.rpartition(":")
            env |= {"SAGEMAKER_BIND_TO_PORT": port, "MME_BIND_HOST": host}
            command = self._engine.run(
                name=self._container_name,
                image=self._image,
                models=self.models,
                environment=env,
                memory_mb=self._memory_mb,
            )
            return self._spawner.popen(command, variables.without_secrets(os.environ))
        # CreateModel checked it, but an endpoint may be older than these rules.
        variables.check(self._environment)
        env |= {"MME_BIND_SOCKET": self.address, "MME_MODELS_DIR": str(self.models)}
        env |= {"MME_DIE_WITH_PARENT": "1", "MME_HOME": str(home)}
        if self._memory_mb is not None:
            env["MME_MEMORY_LIMIT_MB"] = str(self._memory_mb)
        own = variables.inherited(os.environ)
        return self._spawner.popen(self._command, own | env)

    @property
    def _container_name(self) -> str:
        return f"localaws-{self.id}"

    def path_inside(self, folder: Path) -> str:
        """The path inside the container of a folder of :attr:`models`."""
        if self._engine is None:
            return str(folder)
        return f"{MODELS}/{folder.relative_to(self.models)}"

    def _pump(self, stream: IO[bytes]) -> None:
        """Copy the container's output to its log file, the tail and ``on_log_line``.

        What is written within a moment is read at once: a container may write a line for each
        call, and each time that this thread wakes it takes Python's lock from those that answer.
        """
        log_file = _BoundedLog(self.folder / "container.log")
        with contextlib.closing(stream), contextlib.closing(log_file):
            for lines in _lines_at_once(stream):
                log_file.write(b"".join(lines))
                for raw in lines:
                    line = raw.decode(errors="replace").rstrip("\n")
                    self._tail.append(line[:2000])
                    if self._on_log_line is not None:
                        self._on_log_line(self, line)

    def _watch(self, pump: threading.Thread) -> None:
        """Wait for the container's end, kill what it left running, and report it."""
        assert self._process is not None
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        # The process number cannot be reused before the leader is reaped.
        self._signal_group(signal.SIGKILL)
        code = self._process.wait()
        pump.join(2)
        self.healthy.clear()
        was_asked = self._stopping.is_set()
        self._gone.set()
        if not was_asked:
            log.warning("instance %s: container ended with code %s", self.id, code)
            self._on_death(self)

    def _check_health(self) -> None:
        missed = 0
        while not self._gone.wait(PING_INTERVAL) and not self._stopping.is_set():
            answered = self.container.ping(PING_TIMEOUT)
            missed = 0 if answered else missed + 1
            if answered and not self._stopping.is_set():
                self.healthy.set()
            if missed >= PINGS_MISSED:
                log.warning("instance %s missed %s pings: replaced", self.id, missed)
                self._signal_group(signal.SIGKILL)
                return

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and not self._gone.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None and not self._gone.is_set():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _clean(self) -> None:
        remove_folder(self.folder)


def _lines_at_once(stream: IO[bytes]) -> Iterator[list[bytes]]:
    """The lines of a pipe, in lists of those that were written within a moment of each other."""
    begun = b""
    while came := os.read(stream.fileno(), _MAX_LINE):
        *ended, begun = (begun + came).split(b"\n")
        lines = [part for line in ended for part in _parts(line + b"\n")]
        *full, begun = _parts(begun) or [b""]
        lines += full
        if lines:
            yield lines
        if len(came) < _MAX_LINE // 2:  # else the pipe, which holds as much, may be full soon
            time.sleep(_READ_EVERY_S)
    if begun:
        yield [begun]


def _parts(line: bytes) -> list[bytes]:
    """A line in parts of at most `_MAX_LINE` bytes; none of an empty one."""
    return [line[at : at + _MAX_LINE] for at in range(0, len(line), _MAX_LINE)]


class _BoundedLog:
    """A log file that is rotated when it has grown; its folder may be removed before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = 0
        self._file: IO[bytes] | None = None
        self._open()

    def write(self, line: bytes) -> None:
        if self._written > _LOG_BYTES:
            self.close()
            with contextlib.suppress(FileNotFoundError):
                self._path.rename(self._path.with_suffix(".log.1"))
            self._open()
        if self._file is not None:
            self._file.write(line)
            self._file.flush()
            self._written += len(line)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _open(self) -> None:
        self._written = 0
        try:
            self._file = self._path.open("wb")
        except FileNotFoundError:  # the instance was stopped and its folder removed
            self._file = None


def _make_home(folder: Path) -> Path:
    """A folder of the container's own, for our user alone, with a path short enough for sockets.

    Where the instance's folder is too deep, one in the system's temporary folder, whose
    path is in the instance's folder, so that it is removed with it.
    """
    home = folder / "home"
    if len(str(home)) <= _MAX_HOME:
        home.mkdir(mode=0o700)
        return home
    elsewhere = Path(tempfile.mkdtemp(prefix=_HOME_PREFIX))
    (folder / "home-is-at").write_text(str(elsewhere))
    return elsewhere


def remove_folder(folder: Path) -> None:
    """Remove an instance's folder, and its home where that is elsewhere."""
    with contextlib.suppress(OSError):
        elsewhere = Path((folder / "home-is-at").read_text())
        if elsewhere.name.startswith(_HOME_PREFIX):
            remove(elsewhere)
    remove(folder)


def _free_address() -> str:
    """HOST:PORT of the loopback that was free; if another takes it, the start is retried.

    Not chosen by the kernel: MMS takes only ports below 32,767 (Connector.java
    compares with Short.MAX_VALUE), and Linux gives out those above.
    """
    for _ in range(200):
        port = random.randint(*_PORTS)  # noqa: S311 - not a secret
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return f"127.0.0.1:{port}"
    raise InstanceDied(f"No free port was found between {_PORTS[0]} and {_PORTS[1]}.")
