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

import logging
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

CONTAINER = Path(__file__).resolve().parent
HANDLER = "model_handler.py:handle"
PARENT_CHECK_SECONDS = 2.0
REAP_SECONDS = 2.0


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


def leave_nothing_running(server_pid: int, marker: Path) -> None:
    """End the model's server process before the failed load is answered.

    On a load that failed, MMS removes the model in the very thread that it interrupts to do so:
    waiting for the server process to end is cut short, and the model is put back on the list,
    dead (WorkLoadManager.shutdownServerThread, ModelManager.unregisterModel). It could then be
    neither loaded (409) nor called (503). Where the process is already gone, nothing is waited
    for, and the model is removed. MMS starts the process that ended once more, a second later;
    ``marker`` tells that one to end at once.
    """
    marker.touch()
    os.kill(server_pid, signal.SIGTERM)
    deadline = time.monotonic() + REAP_SECONDS
    while Path(f"/proc/{server_pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.02)  # from the JVM's waitpid() to its own books


def failed_before(sock_name: str | None) -> bool:
    """Whether this is MMS's retry of a model that it has just removed; see above."""
    marker = Path(f"{sock_name}.failed")
    if sock_name is None or not marker.exists():
        return False
    marker.unlink(missing_ok=True)
    return True


def main() -> int:
    from mms import model_service_worker
    from mms.arg_parser import ArgParser
    from mms.model_loader import MmsModelLoader

    class Worker(model_service_worker.MXNetModelServiceWorker):  # type: ignore[misc]
        server_pid = os.getpid()

        def load_model(self, load_model_request: dict[str, Any]) -> tuple[str, int]:
            name = load_model_request["modelName"].decode()
            folder = load_model_request["modelPath"].decode()
            self._create_io_files(self.tmp_dir, load_model_request["ioFileDescriptor"].decode())
            try:
                # Never the handler or the loader that a MANIFEST.json in the archive asks for.
                self.model_loader = MmsModelLoader()
                self.service = self.model_loader.load(name, folder, HANDLER, None, 1)
                return f"loaded model {name}. [PID]:{os.getpid()}", 200
            except Exception as error:
                message, code = load_failure(error, name)
            leave_nothing_running(self.server_pid, Path(f"{self.sock_name}.failed"))
            return message, code

    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)
    arguments = ArgParser.model_service_worker_args().parse_args()
    if failed_before(arguments.sock_name):
        return 1
    worker = Worker(
        arguments.sock_type,
        arguments.sock_name,
        arguments.host,
        arguments.port,
        None,
        False,
        arguments.tmp_dir,
    )
    worker.sock = OrphanAwareSocket(worker.sock)
    worker.run_server()
    return 1  # it never returns


class OrphanAwareSocket:
    """A listening socket whose ``accept`` ends the process when its parent is gone."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._parent = os.getppid()

    def accept(self) -> tuple[socket.socket, Any]:
        while not select.select([self._sock], [], [], PARENT_CHECK_SECONDS)[0]:
            if os.getppid() != self._parent:
                raise SystemExit(0)
        return self._sock.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


if __name__ == "__main__":
    sys.path.insert(0, str(CONTAINER))
    sys.exit(main())
