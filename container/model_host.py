"""The model host: imports MXNet once, and forks a worker for each model.

A process that forks from it has MXNet at hand without importing it (0.9 s and more), shares the
library's pages with the others, and gives all its memory back when its model is unloaded.

MMS knows nothing of it. It starts ``host_client.py`` where it expects a Python worker; that one
connects here, passes its command line, working directory, environment, stdout and stderr, and
waits. The host then does what MMS's own worker does: it prints the lines that MMS waits for,
listens on the model's socket, and forks at each connection that MMS makes to it.

The host keeps to one thread: a fork copies only the thread that forks, and a lock that another
one held would stay locked in the child for ever. Hence MXNet's engine without threads
(``MXNET_ENGINE_TYPE=NaiveEngine``) and one thread for OpenBLAS; OpenMP's threads begin with the
first parallel loop, which is in a worker.
"""

import contextlib
import ctypes
import gc
import os
import platform
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

CONTAINER = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path.insert(0, str(CONTAINER))

import worker as plain  # noqa: E402
from host_client import FIELD, PART  # noqa: E402
from logs import log  # noqa: E402

MAX_MESSAGE = 4 * 1024 * 1024
RECEIVE_SECONDS = 2.0
UNLOAD_SECONDS = 5.0
"""From a model's unloading until its workers are killed. They end by themselves when MMS closes
their connection, unless a request keeps them busy."""

SIGTERM_EXIT = 128 + signal.SIGTERM
_OOM_SCORE = "500"


@dataclass(eq=False)
class Worker:
    """A forked process that serves one connection of MMS's; ``line`` leads to it."""

    pid: int
    line: socket.socket


@dataclass(eq=False)
class Model:
    """What one ``host_client`` asked for: a listening socket, and the workers forked for it."""

    arguments: Any
    client: socket.socket
    client_pid: int
    folder: str
    environment: dict[bytes, bytes]
    streams: tuple[int, int]
    listener: socket.socket
    workers: list[Worker] = field(default_factory=list)
    failed: bool = False
    kill_at: float | None = None

    @property
    def name(self) -> str:
        return str(self.arguments.model_name)


class Host:
    """The event loop. Every method returns soon; none waits for a model."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.selector = selectors.DefaultSelector()
        self.models: list[Model] = []
        path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        path.chmod(0o600)
        self.listener.listen(128)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ, self.take)

    def run(self) -> NoReturn:
        while True:
            waiting = any(model.kill_at for model in self.models)
            for key, _ in self.selector.select(0.05 if waiting else None):
                # A callback before it in the same round may have closed this one.
                if key.fileobj in self.selector.get_map():
                    key.data()
            now = time.monotonic()
            for model in list(self.models):
                if model.kill_at is not None and now >= model.kill_at:
                    self.kill_workers(model)

    def take(self) -> None:
        """A model's client has connected: read what it asks for and begin to listen for MMS."""
        client, _ = self.listener.accept()
        try:
            model = self.read_request(client)
        except (OSError, ValueError, SystemExit) as error:
            log("model_host_refused", level="ERROR", message=str(error))
            client.close()
            return
        client.setblocking(False)
        self.models.append(model)
        self.selector.register(client, selectors.EVENT_READ, lambda: self.hear(model))
        self.selector.register(model.listener, selectors.EVENT_READ, lambda: self.connect(model))
        client.send(b"\n")
        self.greet(model)

    def read_request(self, client: socket.socket) -> Model:
        client.settimeout(RECEIVE_SECONDS)
        header, descriptors, _, _ = socket.recv_fds(client, 4, 2)
        if len(header) != 4 or len(descriptors) != 2:
            raise ValueError("a client sent no request")
        length = int.from_bytes(header, "big")
        if length > MAX_MESSAGE:
            raise ValueError("a client's request is too long")
        message = bytearray()
        while len(message) < length:
            part = client.recv(length - len(message))
            if not part:
                raise ValueError("a client's request is cut short")
            message += part
        arguments, folder, environment = bytes(message).split(PART)
        parsed = plain.parse([os.fsdecode(part) for part in arguments.split(FIELD)])
        if plain.failed_before(parsed.sock_name):
            raise ValueError(f"{parsed.model_name}: not started again, as its load failed")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        Path(parsed.sock_name).unlink(missing_ok=True)
        listener.bind(parsed.sock_name)
        listener.listen(128)
        listener.setblocking(False)
        peer = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pairs = (pair.partition(b"=") for pair in environment.split(FIELD))
        return Model(
            arguments=parsed,
            client=client,
            client_pid=struct.unpack("3i", peer)[0],
            folder=os.fsdecode(folder),
            environment={key: value for key, _, value in pairs},
            streams=(descriptors[0], descriptors[1]),
            listener=listener,
        )

    def greet(self, model: Model) -> None:
        """Print what MMS's own worker prints; MMS waits for "MMS worker started."."""
        lines = (
            f"Listening on port: {model.arguments.sock_name}",
            f"[PID] {model.client_pid}",
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
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            self.serve(model, connection, theirs)
        connection.close()
        theirs.close()
        ours.setblocking(False)
        forked = Worker(pid, ours)
        model.workers.append(forked)
        self.selector.register(ours, selectors.EVENT_READ, lambda: self.hear_worker(model, forked))

    def serve(self, model: Model, connection: socket.socket, line: socket.socket) -> NoReturn:
        """In the fork: become the worker of ``model`` and never return."""
        code = 1
        try:
            self.selector.close()
            self.listener.close()
            for other in self.models:
                other.client.close()
                other.listener.close()
                for sibling in other.workers:
                    sibling.line.close()
                if other is not model:
                    os.close(other.streams[0])
                    os.close(other.streams[1])
            for number in (1, 2):
                os.dup2(model.streams[number - 1], number)
                os.close(model.streams[number - 1])
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
            os.chdir(model.folder)
            os.environb.clear()
            os.environb.update(model.environment)
            code = plain.serve_connection(
                model.arguments, connection, before_failure=lambda: _stand_aside(line, model)
            )
        except BaseException as error:
            log("worker_failed", level="ERROR", model=model.name, message=repr(error))
        finally:
            sys.stdout.flush()
            os._exit(code)

    def hear(self, model: Model) -> None:
        """A client speaks: it was told to end, or it is gone."""
        try:
            said = model.client.recv(64)
        except BlockingIOError:
            return
        except ConnectionError:
            said = b""
        if said and not model.failed:  # SIGTERM: MMS unloads the model and waits for the client
            self.stop_listening(model)
            model.kill_at = time.monotonic() + UNLOAD_SECONDS
            self.finish(model)
        elif not said:
            self.stop_listening(model)
            if model.failed:
                model.kill_at = time.monotonic() + UNLOAD_SECONDS
            else:  # killed: MMS, too, would now have no worker
                self.kill_workers(model)
            self.finish(model, client_gone=True)

    def hear_worker(self, model: Model, forked: Worker) -> None:
        """A worker says that its load failed, or it has ended."""
        try:
            said = forked.line.recv(1)
        except BlockingIOError:
            return
        except ConnectionError:
            said = b""
        if said:
            model.failed = True
            Path(f"{model.arguments.sock_name}.failed").touch()
            self.stop_listening(model)
            _send(model.client, b"1\n")
            return
        self.selector.unregister(forked.line)
        forked.line.close()
        model.workers.remove(forked)
        _, status = os.waitpid(forked.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code < 0 and model.kill_at is None:
            why = ", most likely for want of memory" if code == -signal.SIGKILL else ""
            message = f"The model's worker was killed{why}."
            log("worker_killed", level="ERROR", model=model.name, signal=-code, message=message)
        self.finish(model)

    def kill_workers(self, model: Model) -> None:
        for forked in model.workers:
            os.kill(forked.pid, signal.SIGKILL)  # ours and not yet waited for: the pid is its own
        model.kill_at = time.monotonic() + 1

    def stop_listening(self, model: Model) -> None:
        if model.listener.fileno() != -1:
            self.selector.unregister(model.listener)
            model.listener.close()

    def finish(self, model: Model, *, client_gone: bool = False) -> None:
        """Where a model is to end and its workers have: let its client end, and forget it."""
        if client_gone and model.client.fileno() != -1:
            self.selector.unregister(model.client)
            model.client.close()
        if model.workers or model.listener.fileno() != -1:
            return
        if model.client.fileno() != -1 and not model.failed:
            _send(model.client, f"{SIGTERM_EXIT}\n".encode())
        if model.client.fileno() == -1:
            for descriptor in model.streams:
                os.close(descriptor)
            self.models.remove(model)


def _send(connection: socket.socket, data: bytes) -> None:
    try:
        connection.send(data)
    except OSError:
        return  # the client is gone; the loop hears of it


def _stand_aside(line: socket.socket, model: Model) -> None:
    """In a worker whose load failed: have the model's client ended before MMS hears of it."""
    line.send(b"F")
    plain.wait_until_gone(model.client_pid)


def import_mxnet() -> None:
    """Import what a worker needs; ``RuntimeError`` where that started a thread."""
    import mms.model_loader
    import mms.model_service_worker
    import mms.service  # noqa: F401

    with _silence():
        warm_up()

    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise RuntimeError(f"importing MXNet started {threads - 1} threads; forking is not safe")
    # What is there by now is left alone by the collector: it would write to each page, and so
    # copy it, in each fork.
    gc.collect()
    gc.freeze()
    trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    trim(0)


def warm_up() -> None:
    """Do once what each fork would else do first: readers of pictures, engine, kernels.

    On one thread, as OpenMP's others would not come along into a fork.
    """
    import io

    import images
    import model_handler  # noqa: F401
    import mxnet as mx
    from artifact import Preprocess
    from PIL import Image

    for kind in ("JPEG", "PNG"):
        picture = io.BytesIO()
        Image.new("RGB", (16, 16)).save(picture, kind)
        images.decode(picture.getvalue(), (3, 8, 8), Preprocess())

    openmp = ctypes.CDLL("libgomp.so.1")
    wanted = openmp.omp_get_max_threads()
    openmp.omp_set_num_threads(1)
    data = mx.sym.var("data")
    layer = mx.sym.Convolution(data, kernel=(3, 3), num_filter=8, name="layer")
    layer = mx.sym.Activation(mx.sym.BatchNorm(layer, name="norm"), act_type="relu")
    layer = mx.sym.Pooling(layer, global_pool=True, kernel=(1, 1), pool_type="avg")
    symbol = mx.sym.softmax(mx.sym.FullyConnected(layer, num_hidden=2, name="last"))
    executor = symbol.simple_bind(mx.cpu(), data=(1, 3, 8, 8), grad_req="null")
    executor.forward(is_train=False)[0].asnumpy()
    openmp.omp_set_num_threads(wanted)


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


def main() -> int:
    path = Path(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started = time.monotonic()
    import_mxnet()
    host = Host(path)
    log("model_host_ready", pid=os.getpid(), import_ms=round((time.monotonic() - started) * 1000))
    host.run()


if __name__ == "__main__":
    sys.exit(main())
