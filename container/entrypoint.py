"""The command ``serve``: starts the model server, monitors it, and ends all of it.

SageMaker runs ``docker run IMAGE serve``. The same code serves as a plain process beside others
of its kind, which is how the local stack runs its endpoint instances (see README.md here).
"""

import ctypes
import os
import resource
import select
import signal
import subprocess
import time
from pathlib import Path

from container import memory, mms_server
from container.json_log import log
from container.serving_state import Health

LOOK_SECONDS = 0.5
"""How often the host, the disk and the parent process are checked."""

DRAIN_SECONDS = 6.0
"""How long requests that run at SIGTERM may take to finish."""

ANSWER_SECONDS = 0.2
"""Time for the JVM to pass on the last answer of a worker."""

STOP_SECONDS = 3.0
"""From SIGTERM to the processes until SIGKILL; SageMaker gives 30 s in all."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def serve() -> int:
    """Run the server until it ends or a signal stops it; returns the exit code."""
    started = time.monotonic()
    parent = os.getppid()
    try:
        chosen = mms_server.settings()
        mms_server.prepare_folders(chosen)
    except (ValueError, OSError) as error:
        log("start_failed", level="ERROR", message=str(error))
        return 2

    # The model host holds four descriptors a model and two a worker.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # Workers outlive a JVM that dies; as their subreaper this process can end them.
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    stopping = False

    def stop(_signum: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True

    wakeup = Wakeup()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)

    os.environ["MME_SERVER_PID"] = str(os.getpid())  # memory.py counts its processes
    environment = dict(os.environ) | mms_server.worker_environment(chosen)
    health = Health(chosen.tmp)
    health.update(None)
    host = HostKeeper(chosen, environment) if chosen.model_host else None
    try:
        server = subprocess.Popen(
            mms_server.command(chosen),
            cwd=chosen.home,
            env=environment,
            preexec_fn=die_with_parent,
        )
    except OSError as error:
        message = f"Java cannot be started ({error}); set JAVA_HOME to a Java 17 runtime."
        log("start_failed", level="ERROR", message=message)
        return 2
    log("server_started", address=chosen.address, pid=server.pid, home=str(chosen.home))

    while server.poll() is None and not stopping:
        # Not PR_SET_PDEATHSIG: that fires when the starting *thread* ends, and servers are
        # started from threads.
        if chosen.die_with_parent and os.getppid() != parent:
            log("parent_gone", message="The process that started this server is gone.")
            stopping = True
        if host is not None:
            host.check()
        change = health.update(host.problem() if host is not None else None)
        if change is not None:
            level, event = ("ERROR", "unhealthy") if change else ("INFO", "healthy")
            log(event, level=level, message=change)
        _reap(server.pid, host.pid if host is not None else 0)
        wakeup.wait(LOOK_SECONDS)

    if server.returncode is not None:
        message = "The model server ended by itself; the container ends with it."
        log("server_died", level="ERROR", code=server.returncode, message=message)
        _end_all(server, grace=0.0)
        mms_server.remove_runtime_files(chosen)
        return 1
    log("stopping")
    if health.drain(DRAIN_SECONDS):
        time.sleep(ANSWER_SECONDS)
    else:
        log("drain_timeout", level="WARNING", message="Requests that still ran are cut off.")
    _end_all(server, grace=STOP_SECONDS)
    mms_server.remove_runtime_files(chosen)
    log("stopped", seconds_up=round(time.monotonic() - started, 1))
    return 0


class Wakeup:
    """A sleep that any signal ends, the end of a child included; ``time.sleep`` is not ended."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        for end in (self.reader, writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        # Without a handler SIGCHLD would not wake the sleep.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)

    def wait(self, seconds: float) -> None:
        if select.select([self.reader], [], [], seconds)[0]:
            os.read(self.reader, 4096)


class HostKeeper:
    """Starts the model host, and starts it again with backoff when it dies.

    While there is none, each model imports MXNet by itself, which is slower.
    """

    MAX_BACKOFF_SECONDS = 60.0
    STABLE_SECONDS = 60.0
    """A host that has run as long counts as healthy: the backoff begins anew."""
    MAX_FAILURES = 3
    """After as many deaths in a row the server is unhealthy."""
    START_SECONDS = 50.0
    """A host that is not ready by then is killed. Models wait for the first host, and MMS gives a
    worker a minute to start (WorkLoadManager.addServerThread)."""
    ROOM_SECONDS = 10.0
    """How long the start of a host after a dead one waits for free memory. Loads are refused
    meanwhile, and SageMaker then unloads models. After it, the host is started all the same, as
    workers that die are replaced by it."""

    def __init__(self, chosen: mms_server.Settings, environment: dict[str, str]) -> None:
        self.chosen, self.environment = chosen, environment
        self.files = chosen.host_files
        self.starting = self.files.starting
        self.backoff = 0.5
        self.failures = 0
        self.starting.touch()  # loads wait for the host from now on
        self.process = self.start()

    def problem(self) -> str | None:
        """Why models cannot be loaded any more; None while the host is or may come back."""
        if self.failures < self.MAX_FAILURES:
            return None
        return f"the model host has died {self.failures} times in a row; see the log"

    @property
    def pid(self) -> int:
        return self.process.pid

    def start(self) -> subprocess.Popen[bytes]:
        self.started = time.monotonic()
        self.again_at: float | None = None
        return subprocess.Popen(
            # A host after a dead one skips this: it is ready sooner, and may have died of it.
            mms_server.host_command(self.chosen, prepare_kernels=self.failures == 0),
            cwd=self.chosen.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )

    def check(self) -> None:
        """Note that the host is ready or dead, and start it again when the backoff has passed."""
        if self.starting.exists() and self.files.pid.exists():
            self.starting.unlink()
        now = time.monotonic()
        if self.process.poll() is None:
            if now - self.started > self.STABLE_SECONDS:
                self.failures = 0
            if now - self.started > self.START_SECONDS and not self.files.pid.exists():
                self.process.kill()
            return
        if self.again_at is None:
            self.starting.unlink(missing_ok=True)
            self.files.pid.unlink(missing_ok=True)
            if now - self.started > self.STABLE_SECONDS:
                self.backoff, self.failures = 0.5, 0
            self.failures += 1
            self.again_at = now + self.backoff
            self.backoff = min(self.backoff * 4, self.MAX_BACKOFF_SECONDS)
            message = "The model host died; models import MXNet by themselves until it is back."
            log("model_host_died", level="ERROR", code=self.process.returncode, message=message)
        elif now >= self.again_at and (
            memory.room_for_host() or now >= self.again_at + self.ROOM_SECONDS
        ):
            try:
                self.process = self.start()
            except OSError as error:  # no memory or process left; what runs goes on
                self.failures += 1
                self.again_at = now + self.backoff
                self.backoff = min(self.backoff * 4, self.MAX_BACKOFF_SECONDS)
                log("model_host_not_started", level="ERROR", message=str(error))


def _end_all(server: subprocess.Popen[bytes], *, grace: float) -> None:
    """End the server and all its descendants: SIGTERM, after ``grace`` seconds SIGKILL."""
    deadline = time.monotonic() + grace
    if server.poll() is None:
        server.terminate()
    while time.monotonic() < deadline and (server.poll() is None or _children()):
        if server.poll() is not None:
            _signal_all(signal.SIGTERM)
        _reap(server.pid)
        time.sleep(0.05)
    while server.poll() is None or _children():
        _signal_all(signal.SIGKILL)
        _reap(server.pid)
        time.sleep(0.02)


def _signal_all(number: signal.Signals) -> None:
    for pid in _children():
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _children() -> list[int]:
    """Children of this process: the JVM, the host, and workers that these leave as orphans."""
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return [int(pid) for pid in text.split()]


def _reap(*excluded: int) -> None:
    """Wait for ended orphans; ``excluded`` are waited for by their :class:`subprocess.Popen`."""
    for pid in _children():
        if pid not in excluded:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue


def die_with_parent() -> None:
    """In a child, before exec: have the kernel kill it when this process (its main thread) ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
