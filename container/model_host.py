"""The model host: imports MXNet once, and forks a worker for each model.

A process that forks from it has MXNet at hand without importing it (0.9 s and more), shares the
library's pages with the others, and gives all its memory back when its model is unloaded.

MMS knows nothing of it. It starts a small shell script where it expects a Python worker
(``launcher.py``); that one tells its process id here, and waits. The host then does what MMS's own
worker does: it prints the lines that MMS waits for, listens on the model's socket, and forks at
each connection that MMS makes to it.

The host keeps to one thread: a fork copies only the thread that forks, and a lock that another
one held would stay locked in the child for ever. Hence MXNet's engine without threads
(``MXNET_ENGINE_TYPE=NaiveEngine``) and one thread for OpenBLAS; OpenMP's threads begin with the
first parallel loop, which is in a worker.
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
from container.json_log import keep_the_servers, log

POLL_SECONDS = 0.25
"""How often a script is looked after where the kernel has no pidfd (before Linux 5.3)."""

HANG_UP_SECONDS = 0.5
"""From MMS's closing a connection until its worker is killed. It ends by itself, unless it hangs or
is at a request, whose answer can no longer reach anybody."""

_SCRIPT_REFUSED = signal.Signals[f"SIG{launcher.REFUSED_SIGNAL}"]
_OOM_SCORE = "500"


@dataclass(eq=False)
class Worker:
    """A forked process that serves one connection of MMS's; ``line`` leads to it.

    ``connection`` is ours as well: MMS sees only the end of both, and why the worker has ended is
    to be told before. ``pipes`` are its stdout and stderr to MMS, which it removes itself unless it
    is killed.
    """

    pid: int
    line: socket.socket
    connection: socket.socket
    loaded: bool = False
    pipes: list[Path] = field(default_factory=list)
    kill_at: float | None = None


@dataclass(eq=False)
class Script:
    """The process that MMS started for a model and takes for its worker."""

    pid: int
    descriptor: int | None
    """Its pidfd, readable once it has ended; None where the kernel has none."""

    @staticmethod
    def of(pid: int) -> "Script":
        try:
            return Script(pid, os.pidfd_open(pid))
        except OSError:
            return Script(pid, None)

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.descriptor is not None:
                signal.pidfd_send_signal(self.descriptor, number)
            else:
                os.kill(self.pid, number)

    def ended(self) -> bool:
        return not Path(f"/proc/{self.pid}").exists()


@dataclass(eq=False)
class Model:
    """What one script asked for: a listening socket, and the workers forked for it."""

    arguments: Any
    script: Script
    folder: str
    environment: dict[bytes, bytes]
    streams: tuple[int, int]
    listener: socket.socket
    workers: list[Worker] = field(default_factory=list)
    script_gone: bool = False
    kill_at: float | None = None

    @property
    def name(self) -> str:
        return str(self.arguments.model_name)

    @property
    def port(self) -> int:
        """MMS's number for this load of the model."""
        return load_failure.port(self.arguments.sock_name)


class Host:
    """The event loop. Every method returns soon; none waits for a model."""

    def __init__(self, files: launcher.HostFiles) -> None:
        self.selector = selectors.DefaultSelector()
        self.models: list[Model] = []
        self.heard = b""
        # A script that saw the last host just before its end waits in opening this for a writer.
        with contextlib.suppress(OSError):
            os.close(os.open(files.life, os.O_RDWR | os.O_NONBLOCK))
        for path in (files.requests, files.life):
            # In one piece: where there is none for a moment, a script that opens it makes a file.
            made = path.with_suffix(f"{path.suffix}.new")
            made.unlink(missing_ok=True)
            os.mkfifo(made, 0o600)
            made.rename(path)
        # Both for reading and writing: opening does not wait for the other side, and the end of a
        # script is not the end of the pipe. The scripts read from "life", and their reading ends
        # when the last writer does, which is this process.
        self.requests = os.open(files.requests, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.life = os.open(files.life, os.O_RDWR | os.O_CLOEXEC)
        self.selector.register(self.requests, selectors.EVENT_READ, self.hear)
        # Their own, as a selector knows no hangup; and readable they are at each request.
        self.hangups = select.epoll()
        self.selector.register(self.hangups, selectors.EVENT_READ, self.hang_up)
        written = files.pid.with_suffix(".new")  # in one piece, whoever reads it
        written.write_text(f"{os.getpid()}\n", encoding="ascii")
        written.rename(files.pid)

    def run(self) -> NoReturn:
        while True:
            timeout = None
            if any(self.killing()):
                timeout = 0.05
            elif any(model.script.descriptor is None for model in self.models):
                timeout = POLL_SECONDS
            for key, _ in self.selector.select(timeout):
                # A callback before it in the same round may have closed this one.
                if self.selector.get_map().get(key.fd) is key:
                    key.data()
            now = time.monotonic()
            for model in list(self.models):
                unwatched = model.script.descriptor is None and not model.script_gone
                if unwatched and model.script.ended():
                    self.mourn(model)
                if model.kill_at is not None and now >= model.kill_at:
                    self.kill_workers(model)
                for forked in model.workers:
                    if forked.kill_at is not None and now >= forked.kill_at:
                        os.kill(forked.pid, signal.SIGKILL)

    def killing(self) -> Iterator[bool]:
        """Whether there is something whose time may run out."""
        for model in self.models:
            yield model.kill_at is not None
            for forked in model.workers:
                yield forked.kill_at is not None

    def hear(self) -> None:
        """The scripts speak, a line each: their process id, for they want a worker."""
        try:
            self.heard += os.read(self.requests, 65536)
        except BlockingIOError:
            return
        *lines, self.heard = self.heard.split(b"\n")
        for line in lines:
            try:
                self.take(int(line))
            except (OSError, ValueError, SystemExit) as error:
                log("model_host_refused", level="ERROR", message=f"{line!r}: {error}")
                with contextlib.suppress(ValueError, OSError):
                    os.kill(int(line), _SCRIPT_REFUSED)

    def take(self, pid: int) -> None:
        """A script wants a worker: read what it was started with, and listen for MMS."""
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
        script = Script.of(pid)
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
            model = Model(parsed, script, folder, environment, (out, err), listener)
            self.greet(model)
            undo.pop_all()
        self.models.append(model)
        if script.descriptor is not None:
            self.selector.register(
                script.descriptor, selectors.EVENT_READ, lambda: self.mourn(model)
            )
        self.selector.register(listener, selectors.EVENT_READ, lambda: self.connect(model))

    def greet(self, model: Model) -> None:
        """Print what MMS's own worker prints; MMS waits for "MMS worker started."."""
        lines = (
            f"Listening on port: {model.arguments.sock_name}",
            f"[PID] {model.script.pid}",
            "MMS worker started.",
            f"Python runtime: {platform.python_version()}",
        )
        os.write(model.streams[0], ("\n".join(lines) + "\n").encode())

    def connect(self, model: Model) -> None:
        """MMS has connected to a model's socket: fork the worker that serves it."""
        try:
            connection, _ = model.listener.accept()
        except BlockingIOError:
            return
        except OSError as error:  # no descriptor left; it is asked again
            log("accept_failed", level="ERROR", model=model.name, message=str(error))
            return
        ends: tuple[socket.socket, ...] = ()
        try:
            ends = ours, theirs = socket.socketpair()
            pid = os.fork()
        except OSError as error:  # no memory, process or descriptor left
            for end in ends:
                end.close()
            message = f"No process could be started: {error}."
            load_failure.note(model.name, 507, message)
            self.tell_load_failed(model, connection, 507, message)
            return
        if pid == 0:
            ours.close()
            self.serve(model, connection, theirs)
        theirs.close()
        ours.setblocking(False)
        forked = Worker(pid, ours, connection)
        model.workers.append(forked)
        self.hangups.register(connection, select.EPOLLRDHUP)
        self.selector.register(ours, selectors.EVENT_READ, lambda: self.hear_worker(model, forked))

    def serve(self, model: Model, connection: socket.socket, line: socket.socket) -> NoReturn:
        """In the fork: become the worker of ``model`` and never return."""
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
                    sibling.line.close()
                    sibling.connection.close()
                if other is not model:
                    os.close(other.streams[0])
                    os.close(other.streams[1])
            keep_the_servers()
            for number in (1, 2):
                os.dup2(model.streams[number - 1], number)
                os.close(model.streams[number - 1])
            with contextlib.suppress(OSError):  # a sandbox may not let us; nothing depends on it
                Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
            os.chdir(model.folder)
            os.environb.clear()
            os.environb.update(model.environment)
            code = plain.serve_connection(
                model.arguments, connection, when_loaded=lambda pipes: _say_loaded(line, pipes)
            )
        except BaseException as error:
            log("worker_failed", level="ERROR", model=model.name, message=repr(error))
        finally:
            sys.stdout.flush()
            os._exit(code)

    def mourn(self, model: Model) -> None:
        """A script has ended: MMS kills it where it unloads the model."""
        model.script_gone = True
        if model.script.descriptor is not None:
            self.selector.unregister(model.script.descriptor)
            os.close(model.script.descriptor)
            model.script.descriptor = None
        self.stop_listening(model)
        self.kill_workers(model)
        self.finish(model)

    def hear_worker(self, model: Model, forked: Worker) -> None:
        """A worker says that its model is loaded, or it has ended."""
        try:
            said = forked.line.recv(4096)
        except BlockingIOError:
            return
        except ConnectionError:
            said = b""
        if said:
            forked.loaded = True
            name = Path(model.arguments.tmp_dir) / said.decode()
            forked.pipes = [Path(f"{name}-stdout"), Path(f"{name}-stderr")]
            return
        for pipe in forked.pipes:
            pipe.unlink(missing_ok=True)
        self.selector.unregister(forked.line)
        forked.line.close()
        model.workers.remove(forked)
        if forked.kill_at is None:
            self.hangups.unregister(forked.connection)
        _, status = os.waitpid(forked.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        wanted = model.kill_at is not None or forked.kill_at is not None
        if code < 0 and not wanted:
            self.explain_death(model, forked, -code)
        elif code > 0 and not wanted and not forked.loaded:  # one that has told MMS itself says 0
            message = f"The model's worker ended with code {code} while it loaded; see the log."
            load_failure.note(model.name, 500, message)
            self.tell_load_failed(model, forked.connection, 500, message)
        else:
            forked.connection.close()
        self.finish(model)

    def explain_death(self, model: Model, forked: Worker, number: int) -> None:
        """A worker was killed by a signal that is none of ours."""
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
            self.tell_mms(path, forked.connection)
        else:
            message = f"{message} {when}{why}."
            load_failure.note(model.name, status, message)
            self.tell_load_failed(model, forked.connection, status, message)

    def tell_load_failed(
        self, model: Model, connection: socket.socket, status: int, message: str
    ) -> None:
        path = load_failure.target(
            "/load-failed", message, model=model.name, port=model.port, status=status
        )
        self.tell_mms(path, connection)

    def tell_mms(self, path: str, connection: socket.socket) -> None:
        """Say to MMS why ``connection`` ends, and only then let it see that it has ended."""
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

    def hang_up(self) -> None:
        """MMS has closed connections: their workers end by themselves, unless they hang.

        MMS closes one, too, when its worker has not answered in time, and has another one forked.
        """
        closed = {descriptor for descriptor, _ in self.hangups.poll(0)}
        for model in self.models:
            for forked in model.workers:
                if forked.connection.fileno() in closed:
                    self.hangups.unregister(forked.connection)
                    forked.kill_at = time.monotonic() + HANG_UP_SECONDS

    def kill_workers(self, model: Model) -> None:
        for forked in model.workers:
            os.kill(forked.pid, signal.SIGKILL)  # ours and not yet waited for: the pid is its own
        model.kill_at = time.monotonic() + 1

    def stop_listening(self, model: Model) -> None:
        if model.listener.fileno() != -1:
            self.selector.unregister(model.listener)
            model.listener.close()
            Path(model.arguments.sock_name).unlink(missing_ok=True)  # MMS leaves it, at times

    def finish(self, model: Model) -> None:
        """Where a model is to end and its workers have: let its script end, and forget it."""
        if model.workers or model.listener.fileno() != -1:
            return
        for descriptor in model.streams:
            os.close(descriptor)
        self.models.remove(model)


def _unread(connection: socket.socket) -> bool:
    """Whether there is a request of which the worker has read nothing: it was at none when it died.

    One of which it has read a part may be what it died of, and is not given to the next one. The
    first bytes are MMS's word for a request, and the length of its id (mms/protocol).
    """
    try:
        return connection.recv(4, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"I\0\0\0"
    except OSError:
        return False


def _say_loaded(line: socket.socket, pipes: str) -> None:
    """In a worker: tell the host, unless it has died meanwhile."""
    with contextlib.suppress(ConnectionError):
        line.send(pipes.encode())


def import_mxnet(*, prepare_kernels: bool) -> bool:
    """Import what a worker needs; ``RuntimeError`` where that started a thread.

    Returns whether kernels were prepared, if they were to be: there may be no room to.
    """
    import mms.model_loader
    import mms.model_service_worker
    import mms.service  # noqa: F401

    from container import kernels

    with _silence():
        warm_up()
        prepared = prepare_kernels and kernels.there_is_room()
        if prepared:
            kernels.prepare()

    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise RuntimeError(f"importing MXNet started {threads - 1} threads; forking is not safe")
    # What is there by now is left alone by the collector: it would write to each page, and so
    # copy it, in each fork.
    gc.collect()
    gc.freeze()
    heap.settle()
    return prepared


def warm_up() -> None:
    """Do once what each fork would else do first: readers of pictures, engine, operators."""
    import io

    import mxnet as mx
    from PIL import Image

    from container import (
        images,
        kernels,
        model_handler,  # noqa: F401
    )
    from container.artifact import Preprocess
    from container.graph import parse

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
def _silence() -> Iterator[None]:
    """Keep MXNet's notes on its engine out of the log, which holds one JSON line an event."""
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
    parser.add_argument("folder", type=Path, help="where it meets the scripts")
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
