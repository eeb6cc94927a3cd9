"""The worker of one model, in place of MMS's own ``model_service_worker.py``.

MMS sends a worker its requests over a Unix socket. This is MMS's worker, from its own package, with
these differences:

* a failed load is logged in one line that names the file, and answered with a status, where MMS's
  worker ends with a stack trace (load_failure.py);
* it ends when MMS ends, where MMS's worker waits for its next connection for ever;
* the model's folder is not on the import path, where MMS puts it first, so that a ``json.py`` in an
  archive would run; and a MANIFEST.json in the archive chooses no other handler.
"""

import logging
import os
import platform
import select
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HANDLER = "container.model_handler:handle"
"""Module and function, as MMS's model loader takes them."""

LOADED = "loaded"
"""No name of pipes: these are hexadecimal digits and dashes."""

PARENT_CHECK_SECONDS = 2.0
"""How often a worker without a model host checks that MMS still runs."""


def parse(arguments: list[str]) -> Any:
    """Parse MMS's command line for a worker, without the script's name."""
    from mms.arg_parser import ArgParser

    return ArgParser.model_service_worker_args().parse_args(arguments)


def import_mxnet(model_name: str) -> None:
    """Import MXNet where the host has not; several imports at once reserve their memory."""
    from container import memory

    if "mxnet" not in sys.modules:
        with memory.admitted(memory.IMPORT, model_name):
            from container import mxnet_alone  # noqa: F401


def check_model_folder(folder: str) -> None:
    """Refuse a folder that leads out of ``MME_MODELS_DIR``, or holds a link that leads out of it.

    The guard of the server has checked the path (plugin/Guard.java), but the folder may have been
    replaced since. Raises ArtifactError.
    """
    from container.findings import ArtifactError

    models = Path(os.environ["MME_MODELS_DIR"]).resolve()
    found = Path(folder).resolve()
    if models not in found.parents:
        raise ArtifactError("load_failed", f"{folder} does not lie below {models}.")
    if not found.is_dir():
        return  # reading the artifact says so
    for entry in found.iterdir():
        if entry.is_symlink() and found not in entry.resolve().parents:
            raise ArtifactError("load_failed", f"{entry.name} leads out of the model's folder.")


class LoadFailureReported(Exception):
    """The model could not be loaded, and MMS has accepted the report."""


def serve_connection(
    arguments: Any, connection: socket.socket, *, tell: Callable[[str], None]
) -> int:
    """Load the model that MMS requests over ``connection``, and answer its requests until it ends.

    ``tell`` is called before the pipes to MMS are made, with their names without their endings
    "-stdout" and "-stderr", and with LOADED once the model is loaded. Returns the exit code.
    """
    from mms.model_loader import MmsModelLoader
    from mms.model_service_worker import MXNetModelServiceWorker

    from container import load_failure

    class Worker(MXNetModelServiceWorker):  # type: ignore[misc]
        """MMS's protocol with our loading; no socket is bound, as the connection is there."""

        def __init__(self) -> None:
            self.preload = False
            self.service = self.out = self.err = None
            self.tmp_dir = arguments.tmp_dir
            self.socket_name = arguments.sock_name

        def load_model(self, load_model_request: dict[str, Any]) -> tuple[str, int]:
            name = load_model_request["modelName"].decode()
            folder = load_model_request["modelPath"].decode()
            pipes = load_model_request["ioFileDescriptor"].decode()
            tell(pipes)  # before they are there: who is killed removes nothing
            self._create_io_files(self.tmp_dir, pipes)
            try:
                check_model_folder(folder)
                import_mxnet(name)
                # Never the handler or the loader that a MANIFEST.json in the archive asks for.
                self.service = MmsModelLoader().load(name, folder, HANDLER, None, 1)
            except Exception as error:
                message, code = load_failure.describe(error, name)
                self.remove_pipes()  # MMS ends this process once it has the report
                if load_failure.report_to_mms(name, arguments.sock_name, code, message):
                    raise LoadFailureReported from error
                return message, code
            tell(LOADED)
            return f"loaded model {name}. [PID]:{os.getpid()}", 200

        def _remap_io(self) -> None:
            """Move stdout and stderr to the pipes that MMS reads from now on.

            Not after a failed load: nobody reads the pipes then, and opening them would block.
            """
            if self.service is None:
                raise LoadFailureReported
            super()._remap_io()
            self.remove_pipes()  # both sides have opened them

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
    except LoadFailureReported:
        return 0
    except (ValueError, ConnectionError) as error:
        # "Frontend disconnected": MMS has closed the connection, which is no error.
        return 0 if "Frontend disconnected" in str(error) else 1
    finally:
        worker.remove_pipes()
        connection.close()
    return 0


def main(options: list[str]) -> int:
    """Without a model host: a listening process for each model forks at each connection."""
    arguments = parse(options)
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
            if os.getppid() != parent:  # MMS is gone
                return 0
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            code = 1
            try:
                code = serve_connection(arguments, connection, tell=lambda _what: None)
            finally:
                if os.getppid() != server:  # killed by MMS on unload, which leaves the socket
                    Path(arguments.sock_name).unlink(missing_ok=True)
                sys.stdout.flush()
                os._exit(code)
        connection.close()
