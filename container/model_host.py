"""The model host: imports MXNet once, and forks a worker for each model.

MMS starts a shell script (launcher.py) where it expects a Python worker. The script sends its
process id to the host and waits. The host prints the lines that MMS waits for, listens on the
model's socket, and forks a worker at each connection of MMS's.

The host has one thread, because a fork copies only the thread that forks, and a lock that another
thread held would stay locked in the child. README.md says what the host is worth.
"""

import argparse
import contextlib
import gc
import os
import platform
import select
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from container import heap, launcher, load_failure, memory, processors
from container import worker as plain
from container.json_log import keep_server_stdout, log

POLL_SECONDS = 0.25
"""How often a script is polled where the kernel has no pidfd (before Linux 5.3)."""

DISCONNECT_GRACE_SECONDS = 0.5
"""From when MMS closes a connection until its worker is killed. A worker ends by itself, unless it
hangs or still computes an answer, which nobody can receive any more."""

_SCRIPT_REFUSED = signal.Signals[f"SIG{launcher.REFUSED_SIGNAL}"]
_OOM_SCORE = "500"


@dataclass(eq=False)
class ForkedWorker:
    """A forked process that serves one connection of MMS's."""

    pid: int
    control: socket.socket
    """Our end of a socket pair: the worker names its pipes on it, and says that it has loaded."""
    connection: socket.socket
    """MMS's connection. The host keeps it open too, so that MMS sees it end only after it has been
    told why the worker ended."""
    loaded: bool = False
    pipes: list[Path] = field(default_factory=list)
    """The worker's stdout and stderr to MMS. It removes them itself, unless it is killed."""
    kill_at: float | None = None


@dataclass(eq=False)
class LauncherScript:
    """The process of launcher.py's script, which MMS started and takes for the model's worker."""

    pid: int
    descriptor: int | None
    """Its pidfd, readable once it has ended; None where the kernel has none."""

    @staticmethod
    def of(pid: int) -> "LauncherScript":
        try:
            return LauncherScript(pid, os.pidfd_open(pid))
        except OSError:
            return LauncherScript(pid, None)

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.descriptor is not None:
                signal.pidfd_send_signal(self.descriptor, number)
            else:
                os.kill(self.pid, number)

    def ended(self) -> bool:
        return not Path(f"/proc/{self.pid}").exists()


@dataclass(eq=False)
class HostedModel:
    """One load of a model: its script, the socket that MMS connects to, and the forked workers."""

    arguments: Any
    script: LauncherScript
    folder: str
    environment: dict[bytes, bytes]
    streams: tuple[int, int]
    listener: socket.socket
    workers: list[ForkedWorker] = field(default_factory=list)
    script_ended: bool = False
    kill_at: float | None = None

    @property
    def name(self) -> str:
        return str(self.arguments.model_name)

    @property
    def port(self) -> int:
        """MMS's number for this load of the model."""
        return load_failure.port(self.arguments.sock_name)


class Host:
    """The event loop. No method blocks on a model."""

    def __init__(self, files: launcher.HostFiles) -> None:
        self.selector = selectors.DefaultSelector()
        self.models: list[HostedModel] = []
        self.unread = b""
        # A script that saw the last host just before that ended blocks in open() until a writer
        # opens the pipe.
        with contextlib.suppress(OSError):
            os.close(os.open(files.life, os.O_RDWR | os.O_NONBLOCK))
        for path in (files.requests, files.life):
            # By rename: while there is no pipe, a script that opens it would create a file.
            made = path.with_suffix(f"{path.suffix}.new")
            made.unlink(missing_ok=True)
            os.mkfifo(made, 0o600)
            made.rename(path)
        # Both for reading and writing: open() does not block, and the pipe stays open when a script
        # ends. Scripts read from "life", and get end-of-file when its last writer, this process,
        # has ended.
        self.requests = os.open(files.requests, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.life = os.open(files.life, os.O_RDWR | os.O_CLOEXEC)
        self.selector.register(self.requests, selectors.EVENT_READ, self.read_requests)
        # An epoll of its own for closed connections: a selector cannot wait for a hangup alone.
        self.hangups = select.epoll()
        self.selector.register(self.hangups, selectors.EVENT_READ, self.connections_closed)
        written = files.pid.with_suffix(".new")  # renamed, so that a reader gets all of it
        written.write_text(f"{os.getpid()}\n", encoding="ascii")
        written.rename(files.pid)

    def run(self) -> NoReturn:
        while True:
            timeout = None
            if self.kill_is_due():
                timeout = 0.05
            elif any(model.script.descriptor is None for model in self.models):
                timeout = POLL_SECONDS
            for key, _ in self.selector.select(timeout):
                # A callback before it in the same round may have closed this one.
                if self.selector.get_map().get(key.fd) is key:
                    key.data()
            now = time.monotonic()
            for model in list(self.models):
                unwatched = model.script.descriptor is None and not model.script_ended
                if unwatched and model.script.ended():
                    self.script_has_ended(model)
                if model.kill_at is not None and now >= model.kill_at:
                    self.kill_workers(model)
                for forked in model.workers:
                    if forked.kill_at is not None and now >= forked.kill_at:
                        os.kill(forked.pid, signal.SIGKILL)

    def kill_is_due(self) -> bool:
        """Whether a model or a worker has a time at which it is to be killed."""
        return any(
            model.kill_at is not None or any(one.kill_at is not None for one in model.workers)
            for model in self.models
        )

    def read_requests(self) -> None:
        """Read what scripts have sent: each its process id in a line, to ask for a worker."""
        try:
            self.unread += os.read(self.requests, 65536)
        except BlockingIOError:
            return
        *lines, self.unread = self.unread.split(b"\n")
        for line in lines:
            try:
                self.start_model(int(line))
            except (OSError, ValueError, SystemExit) as error:
                log("model_host_refused", level="ERROR", message=f"{line!r}: {error}")
                with contextlib.suppress(ValueError, OSError):
                    os.kill(int(line), _SCRIPT_REFUSED)

    def start_model(self, pid: int) -> None:
        """Read the arguments of the script ``pid`` from /proc, and listen on its model's socket.

        Raises ``ValueError``, ``OSError`` or ``SystemExit`` (argparse) where that is no script of
        MMS's.
        """
        process = Path("/proc") / str(pid)
        command = (process / "cmdline").read_bytes().split(b"\0")[:-1]
        arguments = [os.fsdecode(part) for part in command]
        begin = next((i for i, part in enumerate(arguments) if part.startswith("--")), None)
        if begin is None:
            raise ValueError(f"process {pid} was not started by MMS")
        parsed = plain.parse(arguments[begin:])
        pairs = (
            pair.partition(b"=") for pair in (process / "environ").read_bytes().split(b"\0") if pair
        )
        environment = {key: value for key, _, value in pairs if key != b"PYTHONPATH"}
        folder = os.readlink(process / "cwd")
        script = LauncherScript.of(pid)
        with contextlib.ExitStack() as undo:
            if script.descriptor is not None:
                undo.callback(os.close, script.descriptor)
            streams = []
            for number in (launcher.STDOUT, 2):
                streams.append(os.open(process / "fd" / str(number), os.O_WRONLY | os.O_CLOEXEC))
                undo.callback(os.close, streams[-1])
            Path(parsed.sock_name).unlink(missing_ok=True)
            listener = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            listener.bind(parsed.sock_name)
            listener.listen(128)
            listener.setblocking(False)
            out, err = streams
            model = HostedModel(parsed, script, folder, environment, (out, err), listener)
            self.print_start_messages(model)
            undo.pop_all()
        self.models.append(model)
        if script.descriptor is not None:
            self.selector.register(
                script.descriptor, selectors.EVENT_READ, lambda: self.script_has_ended(model)
            )
        self.selector.register(listener, selectors.EVENT_READ, lambda: self.fork_worker(model))

    def print_start_messages(self, model: HostedModel) -> None:
        """Print what MMS's own worker prints; MMS waits for "MMS worker started."."""
        lines = (
            f"Listening on port: {model.arguments.sock_name}",
            f"[PID] {model.script.pid}",
            "MMS worker started.",
            f"Python runtime: {platform.python_version()}",
        )
        os.write(model.streams[0], ("\n".join(lines) + "\n").encode())

    def fork_worker(self, model: HostedModel) -> None:
        """MMS has connected to a model's socket: fork a worker for the connection."""
        try:
            connection, _ = model.listener.accept()
        except BlockingIOError:
            return
        except OSError as error:  # no descriptor left; the selector calls again
            log("accept_failed", level="ERROR", model=model.name, message=str(error))
            return
        ends: tuple[socket.socket, ...] = ()
        try:
            # Each recv gives one message.
            ends = ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            pid = os.fork()
        except OSError as error:  # no memory, process or descriptor left
            for end in ends:
                end.close()
            message = f"No process could be started: {error}."
            load_failure.log_failure(model.name, 507, message)
            self.report_load_failed(model, connection, 507, message)
            return
        if pid == 0:
            ours.close()
            self.run_worker(model, connection, theirs)
        theirs.close()
        ours.setblocking(False)
        forked = ForkedWorker(pid, ours, connection)
        model.workers.append(forked)
        self.hangups.register(connection, select.EPOLLRDHUP)
        self.selector.register(ours, selectors.EVENT_READ, lambda: self.read_worker(model, forked))

    def run_worker(
        self, model: HostedModel, connection: socket.socket, control: socket.socket
    ) -> NoReturn:
        """In the fork: close what is the host's, and serve ``connection`` to its end."""
        code = 1
        try:
            memory.ending = [
                forked.pid
                for other in self.models
                for forked in other.workers
                if other.kill_at is not None or forked.kill_at is not None
            ]
            self.selector.close()
            self.hangups.close()
            os.close(self.requests)
            os.close(self.life)
            for other in self.models:
                other.listener.close()
                if other.script.descriptor is not None:
                    os.close(other.script.descriptor)
                for sibling in other.workers:
                    sibling.control.close()
                    sibling.connection.close()
                if other is not model:
                    os.close(other.streams[0])
                    os.close(other.streams[1])
            keep_server_stdout()
            for number in (1, 2):
                os.dup2(model.streams[number - 1], number)
                os.close(model.streams[number - 1])
            with contextlib.suppress(OSError):  # may be forbidden; nothing depends on it
                Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
            os.chdir(model.folder)
            os.environb.clear()
            os.environb.update(model.environment)
            code = plain.serve_connection(
                model.arguments,
                connection,
                tell=lambda what: _tell_host(control, what),
            )
        except BaseException as error:
            log("worker_failed", level="ERROR", model=model.name, message=repr(error))
        finally:
            sys.stdout.flush()
            os._exit(code)

    def script_has_ended(self, model: HostedModel) -> None:
        """End the model of a script that has ended; MMS kills the script to unload the model."""
        model.script_ended = True
        if model.script.descriptor is not None:
            self.selector.unregister(model.script.descriptor)
            os.close(model.script.descriptor)
            model.script.descriptor = None
        self.stop_listening(model)
        self.kill_workers(model)
        self.remove_if_ended(model)

    def read_worker(self, model: HostedModel, forked: ForkedWorker) -> None:
        """Handle what a worker tells: its pipes, that its model is loaded, or its end."""
        try:
            message = forked.control.recv(4096)
        except BlockingIOError:
            return
        except ConnectionError:
            message = b""
        if message.decode() == plain.LOADED:
            forked.loaded = True
            return
        if message:
            name = Path(model.arguments.tmp_dir) / message.decode()
            forked.pipes = [Path(f"{name}-stdout"), Path(f"{name}-stderr")]
            return
        for pipe in forked.pipes:
            pipe.unlink(missing_ok=True)
        self.selector.unregister(forked.control)
        forked.control.close()
        model.workers.remove(forked)
        if forked.kill_at is None:
            self.hangups.unregister(forked.connection)
        _, status = os.waitpid(forked.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        expected = model.kill_at is not None or forked.kill_at is not None
        if code < 0 and not expected:
            self.report_killed(model, forked, -code)
        elif code > 0 and not expected and not forked.loaded:
            # A worker that has reported its failure to MMS ends with 0.
            reason = f"The model's worker ended with code {code} while it loaded; see the log."
            load_failure.log_failure(model.name, 500, reason)
            self.report_load_failed(model, forked.connection, 500, reason)
        else:
            forked.connection.close()
        self.remove_if_ended(model)

    def report_killed(self, model: HostedModel, forked: ForkedWorker, number: int) -> None:
        """Log and report to MMS that a worker was killed by a signal that the host did not send."""
        when = "while it answered" if forked.loaded else "while it loaded"
        why = ", most likely for want of memory" if number == signal.SIGKILL else ""
        message = f"The model's worker was killed by signal {number}"
        log(
            "worker_killed",
            level="ERROR",
            model=model.name,
            signal=number,
            message=f"{message}{why}.",
        )
        status = 507 if number == signal.SIGKILL else 500
        if forked.loaded:
            reason = f"{message} {when}{why}; another one is started."
            path = load_failure.target(
                "/worker-died",
                reason,
                model=model.name,
                pid=forked.pid,
                status=status,
                unread=int(_unread(forked.connection)),
            )
            self.post_to_mms(path, forked.connection)
        else:
            message = f"{message} {when}{why}."
            load_failure.log_failure(model.name, status, message)
            self.report_load_failed(model, forked.connection, status, message)

    def report_load_failed(
        self, model: HostedModel, connection: socket.socket, status: int, message: str
    ) -> None:
        path = load_failure.target(
            "/load-failed", message, model=model.name, port=model.port, status=status
        )
        self.post_to_mms(path, connection)

    def post_to_mms(self, path: str, connection: socket.socket) -> None:
        """POST to the plug-in why ``connection`` ends, and close it once MMS has answered."""
        try:
            answer = load_failure.connect(timeout=1)
            answer.sendall(f"POST {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        except OSError as error:
            log("report_failed", level="ERROR", message=str(error))
            connection.close()
            return

        def done() -> None:
            self.selector.unregister(answer)
            answer.close()
            connection.close()

        self.selector.register(answer, selectors.EVENT_READ, done)

    def connections_closed(self) -> None:
        """MMS has closed connections: set the time at which their workers are killed.

        MMS also closes a connection when its worker has not answered in time, and then connects
        again.
        """
        closed = {descriptor for descriptor, _ in self.hangups.poll(0)}
        for model in self.models:
            for forked in model.workers:
                if forked.connection.fileno() in closed:
                    self.hangups.unregister(forked.connection)
                    forked.kill_at = time.monotonic() + DISCONNECT_GRACE_SECONDS

    def kill_workers(self, model: HostedModel) -> None:
        for forked in model.workers:
            os.kill(forked.pid, signal.SIGKILL)  # not yet waited for, so not reused
        model.kill_at = time.monotonic() + 1

    def stop_listening(self, model: HostedModel) -> None:
        if model.listener.fileno() != -1:
            self.selector.unregister(model.listener)
            model.listener.close()
            Path(model.arguments.sock_name).unlink(missing_ok=True)  # MMS does not always remove it

    def remove_if_ended(self, model: HostedModel) -> None:
        """Remove a model that no longer listens and has no workers; its script can then end."""
        if model.workers or model.listener.fileno() != -1:
            return
        for descriptor in model.streams:
            os.close(descriptor)
        self.models.remove(model)


def _unread(connection: socket.socket) -> bool:
    """Whether a whole request waits of which the dead worker has read nothing.

    A request that it has read a part of may have killed it, and is not given to the next worker.
    The bytes compared are MMS's code for a request, and the length of its id (mms/protocol).
    """
    try:
        return connection.recv(4, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"I\0\0\0"
    except OSError:
        return False


def _tell_host(control: socket.socket, what: str) -> None:
    """In a worker: tell the host what :meth:`Host.read_worker` reads, unless it has died."""
    with contextlib.suppress(ConnectionError):
        control.send(what.encode())


def import_mxnet(*, prepare_kernels: bool) -> bool:
    """Import what a worker needs; ``RuntimeError`` where that started a thread.

    Returns whether kernels were prepared: they are not where memory is short.
    """
    import mms.model_loader
    import mms.model_service_worker
    import mms.service  # noqa: F401

    from container import kernels

    with _stderr_closed():
        warm_up()
        prepared = prepare_kernels and kernels.there_is_room()
        if prepared:
            kernels.prepare()

    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise RuntimeError(f"importing MXNet started {threads - 1} threads; forking is not safe")
    # The garbage collector of a worker writes to every object that it looks at, and the kernel then
    # copies the page. It does not look at frozen objects.
    gc.collect()
    gc.freeze()
    heap.fill_gaps()
    return prepared


def warm_up() -> None:
    """Initialise once what each fork would otherwise initialise: Pillow, engine, operators."""
    import io

    from PIL import Image

    from container import (
        images,
        kernels,
        model_handler,  # noqa: F401
    )
    from container.artifact import Preprocess
    from container.graph import parse
    from container.mxnet_alone import mx

    for kind in ("JPEG", "PNG"):
        picture = io.BytesIO()
        Image.new("RGB", (16, 16)).save(picture, kind)
        images.decode(picture.getvalue(), (3, 8, 8), Preprocess())

    data = mx.sym.var("data")
    layer = mx.sym.Convolution(data, kernel=(3, 3), num_filter=8, name="layer")
    layer = mx.sym.Activation(mx.sym.BatchNorm(layer, name="norm"), act_type="relu")
    layer = mx.sym.Pooling(layer, global_pool=True, kernel=(1, 1), pool_type="avg")
    symbol = mx.sym.softmax(mx.sym.FullyConnected(layer, num_hidden=2, name="last"))
    with processors.one_thread():
        kernels.run(symbol, (1, 3, 8, 8))
    parse(symbol.tojson()).text()  # reads the list of operators


@contextlib.contextmanager
def _stderr_closed() -> Iterator[None]:
    """Keep MXNet's messages out of the log, which holds one JSON line for each event."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def main(options: list[str]) -> int:
    parser = argparse.ArgumentParser("model-host", description="The entrypoint starts it.")
    parser.add_argument("folder", type=Path, help="the server's temporary folder")
    parser.add_argument("--prepare-kernels", action="store_true", help="see kernels.py")
    arguments = parser.parse_args(options)
    files = launcher.HostFiles(arguments.folder)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started = time.monotonic()
    prepared = import_mxnet(prepare_kernels=arguments.prepare_kernels)
    host = Host(files)
    import_ms = round((time.monotonic() - started) * 1000)
    log("model_host_ready", pid=os.getpid(), import_ms=import_ms, kernels_prepared=prepared)
    host.run()
