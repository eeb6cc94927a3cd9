"""A model's Python worker, where MMS expects its own ``model_service_worker.py``.

MMS starts one for each model and speaks to it over a Unix socket. This is MMS's worker, from
its own package, with these differences:

* why a model could not be loaded is logged in one line that names the file, and answered with a
  status, where MMS's own worker dies of it with a stack trace;
* after a failed load nothing is left behind (see :func:`leave_nothing_running`);
* it ends when MMS does (MMS's own waits for its next connection for ever);
* the model's folder is not on the import path: MMS puts it there, before the standard library,
  so that an archive holding a ``json.py`` would have it run. Nor may a MANIFEST.json in it
  choose another handler. An archive is data, never code.
"""

import contextlib
import logging
import os
import platform
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CONTAINER = Path(__file__).resolve().parent
HANDLER = "model_handler.py:handle"
PARENT_CHECK_SECONDS = 2.0
PINGS = 4
REAP_SECONDS = 2.0
FAREWELL_SECONDS = 5.0


def load_failure(error: Exception, model_name: str) -> tuple[str, int]:
    """The message and the status for a model that could not be loaded; logs it as well.

    MMS hands on the status alone, so the log is where the sentence is found: 507 where memory
    is short, 400 where the artifact is at fault, 500 where neither is.
    """
    from artifact import ArtifactError
    from logs import log

    if isinstance(error, MemoryError):
        message, code = str(error) or "Not enough memory to load the model.", 507
    elif isinstance(error, ArtifactError):
        message, code = error.message, 400
    else:
        message, code = f"{type(error).__name__}: {error}", 500
        logging.exception("Loading failed in a way that was not foreseen")
    log("load_failed", level="ERROR", model=model_name, status=code, message=message)
    return message, code


def leave_nothing_running(server_pid: int, sock_name: str) -> None:
    """End the model's server process before the failed load is answered.

    On a load that failed, MMS removes the model in the very thread that it interrupts to do so:
    waiting for the server process to end is cut short, and the model is put back on the list,
    dead (WorkLoadManager.shutdownServerThread, ModelManager.unregisterModel). It could then be
    neither loaded (409) nor called (503). Where the process is already gone, nothing is waited
    for, and the model is removed. MMS starts the process that ended once more, a second later;
    a file beside the socket tells that one to end at once.
    """
    Path(f"{sock_name}.failed").touch()
    os.kill(server_pid, signal.SIGTERM)
    wait_until_gone(server_pid)


def wait_until_gone(pid: int) -> None:
    """Wait until the JVM has noted the end of its process ``pid``, and has let go of it.

    One race of MMS's is left. Its thread that watched the process keeps a reference to itself
    (WorkerThread.run ends in a NullPointerException before it clears it), and MMS interrupts that
    thread just after it has answered the failed load. A load that begins within those few
    milliseconds may be run by the same thread of the pool, and is then lost without a word: it
    is answered after a minute with 500. :func:`bury_idle_thread` makes that unlikely, not
    impossible: whoever loads models should try such a load again.
    """
    deadline = time.monotonic() + REAP_SECONDS
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(0.02)  # from the JVM's waitpid() to its own books
    bury_idle_thread()


def bury_idle_thread() -> None:
    """Have the JVM take other threads than the one that has just become idle.

    Its pool takes the thread that became idle last. Requests for /ping, answered by threads of
    the same pool, a few at once so that one thread is not enough, leave others on top.
    """
    port = os.environ.get("MME_PORT")
    if port is None:
        return
    host = os.environ.get("MME_BIND_HOST", "")
    address = (host if host not in ("", "0.0.0.0") else "127.0.0.1", int(port))  # noqa: S104
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        pings = [
            stack.enter_context(socket.create_connection(address, timeout=1)) for _ in range(PINGS)
        ]
        for ping in pings:
            ping.sendall(b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for ping in pings:
            ping.recv(4096)


def failed_before(sock_name: str | None) -> bool:
    """Whether this is MMS's retry of a model that it has just removed; see above."""
    marker = Path(f"{sock_name}.failed")
    if sock_name is None or not marker.exists():
        return False
    marker.unlink(missing_ok=True)
    return True


def parse(arguments: list[str]) -> Any:
    """MMS's command line for a worker, without the script's name."""
    from mms.arg_parser import ArgParser

    return ArgParser.model_service_worker_args().parse_args(arguments)


def serve_connection(
    arguments: Any, connection: socket.socket, *, before_failure: Callable[[], None]
) -> int:
    """Load the model that MMS asks for over ``connection`` and answer its requests, to the end.

    ``before_failure`` is called before a failed load is answered. Returns the exit code.
    """
    from mms.model_loader import MmsModelLoader
    from mms.model_service_worker import MXNetModelServiceWorker

    class Worker(MXNetModelServiceWorker):  # type: ignore[misc]
        """MMS's protocol, with our loading. Nothing is bound: the connection is there."""

        def __init__(self) -> None:
            self.preload = False
            self.service = self.out = self.err = None
            self.tmp_dir = arguments.tmp_dir
            self.socket_name = arguments.sock_name

        def load_model(self, load_model_request: dict[str, Any]) -> tuple[str, int]:
            name = load_model_request["modelName"].decode()
            folder = load_model_request["modelPath"].decode()
            self._create_io_files(self.tmp_dir, load_model_request["ioFileDescriptor"].decode())
            try:
                # Never the handler or the loader that a MANIFEST.json in the archive asks for.
                self.service = MmsModelLoader().load(name, folder, HANDLER, None, 1)
                return f"loaded model {name}. [PID]:{os.getpid()}", 200
            except Exception as error:
                message, code = load_failure(error, name)
            before_failure()
            return message, code

        def _remap_io(self) -> None:
            """Move stdout and stderr to the pipes that MMS reads from now on.

            After a failed load nobody reads them, and opening them would wait for ever. They
            are removed once MMS has closed the connection: it opens both before, and would
            make files of them if they were gone.
            """
            if self.service is not None:
                super()._remap_io()
                return
            connection.settimeout(FAREWELL_SECONDS)
            with contextlib.suppress(OSError):
                connection.recv(1)
            raise RuntimeError("the load has failed")

        def remove_pipes(self) -> None:
            for pipe in (self.out, self.err):
                if pipe is not None:
                    Path(pipe).unlink(missing_ok=True)

    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
    worker = Worker()

    def stop(_signal: int, _frame: object) -> None:
        worker.remove_pipes()
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    try:
        worker.handle_connection(connection)
    except (ValueError, ConnectionError, RuntimeError) as error:
        # MMS's word for "MMS has closed the connection", and for "the load has failed": both ends.
        ended = "Frontend disconnected" in str(error) or isinstance(error, RuntimeError)
        return 0 if ended else 1
    finally:
        worker.remove_pipes()
        connection.close()
    return 0


def main() -> int:
    """The plain way: one listening process a model, which forks at each connection."""
    arguments = parse(sys.argv[1:])
    if failed_before(arguments.sock_name):
        return 1
    Path(arguments.sock_name).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(arguments.sock_name)
    listener.listen(128)
    for line in (
        f"Listening on port: {arguments.sock_name}",
        f"[PID] {os.getpid()}",
        "MMS worker started.",
        f"Python runtime: {platform.python_version()}",
    ):
        print(line, flush=True)

    server, parent = os.getpid(), os.getppid()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are not waited for
    while True:
        while not select.select([listener], [], [], PARENT_CHECK_SECONDS)[0]:
            if os.getppid() != parent:  # MMS is gone; its own worker would wait for ever
                return 0
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            code = 1
            try:
                code = serve_connection(
                    arguments,
                    connection,
                    before_failure=lambda: leave_nothing_running(server, arguments.sock_name),
                )
            finally:
                sys.stdout.flush()
                os._exit(code)
        connection.close()


if __name__ == "__main__":
    sys.path.insert(0, str(CONTAINER))
    sys.exit(main())
