"""A model's Python worker, where MMS expects its own ``model_service_worker.py``.

MMS starts one for each model and speaks to it over a Unix socket. This is MMS's worker, from
its own package, with these differences:

* why a model could not be loaded is logged in one line that names the file, and answered with a
  status, where MMS's own worker dies of it with a stack trace (see load_failure.py);
* it ends when MMS does (MMS's own waits for its next connection for ever);
* the model's folder is not on the import path: MMS puts it there, before the standard library,
  so that an archive holding a ``json.py`` would have it run. Nor may a MANIFEST.json in it
  choose another handler. An archive is data, never code.
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

PARENT_CHECK_SECONDS = 2.0


def parse(arguments: list[str]) -> Any:
    """MMS's command line for a worker, without the script's name."""
    from mms.arg_parser import ArgParser

    return ArgParser.model_service_worker_args().parse_args(arguments)


def import_mxnet(model_name: str) -> None:
    """The plain way: several imports at a time could take more than there is, unseen."""
    from container import memory

    if "mxnet" not in sys.modules:
        with memory.admitted(memory.IMPORT, model_name):
            import mxnet  # noqa: F401


def keep_to_the_models(folder: str) -> None:
    """Refuse a folder that leads out of ``MME_MODELS_DIR``, or holds a link that leads out of it.

    The server's guard has looked at the folder's path (plugin/Guard.java); it may have been
    replaced since. Raises ArtifactError.
    """
    from container.findings import ArtifactError

    models = Path(os.environ["MME_MODELS_DIR"]).resolve()
    found = Path(folder).resolve()
    if models not in found.parents:
        raise ArtifactError("load_failed", f"{folder} does not lie below {models}.")
    if not found.is_dir():
        return  # told later, by whoever reads it
    for entry in found.iterdir():
        if entry.is_symlink() and found not in entry.resolve().parents:
            raise ArtifactError("load_failed", f"{entry.name} leads out of the model's folder.")


class LoadFailed(Exception):
    """The model could not be loaded, and MMS has been told."""


def serve_connection(
    arguments: Any, connection: socket.socket, *, when_loaded: Callable[[str], None]
) -> int:
    """Load the model that MMS asks for over ``connection`` and answer its requests, to the end.

    ``when_loaded`` is called once the model is loaded, with the name before "-stdout" and
    "-stderr" of the pipes to MMS. Returns the exit code.
    """
    from mms.model_loader import MmsModelLoader
    from mms.model_service_worker import MXNetModelServiceWorker

    from container import load_failure

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
            pipes = load_model_request["ioFileDescriptor"].decode()
            self._create_io_files(self.tmp_dir, pipes)
            try:
                keep_to_the_models(folder)
                import_mxnet(name)
                # Never the handler or the loader that a MANIFEST.json in the archive asks for.
                self.service = MmsModelLoader().load(name, folder, HANDLER, None, 1)
            except Exception as error:
                message, code = load_failure.explain(error, name)
                self.remove_pipes()  # MMS ends this process as soon as it is told
                if load_failure.tell_mms(name, arguments.sock_name, code, message):
                    raise LoadFailed from error
                return message, code
            when_loaded(pipes)
            return f"loaded model {name}. [PID]:{os.getpid()}", 200

        def _remap_io(self) -> None:
            """Move stdout and stderr to the pipes that MMS reads from now on; after a failed load
            nobody reads them, and opening them would wait for ever."""
            if self.service is None:
                raise LoadFailed
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
    except LoadFailed:
        return 0
    except (ValueError, ConnectionError) as error:
        # MMS's word for "MMS has closed the connection"
        return 0 if "Frontend disconnected" in str(error) else 1
    finally:
        worker.remove_pipes()
        connection.close()
    return 0


def main(options: list[str]) -> int:
    """The plain way: one listening process a model, which forks at each connection."""
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
            if os.getppid() != parent:  # MMS is gone; its own worker would wait for ever
                return 0
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            code = 1
            try:
                code = serve_connection(arguments, connection, when_loaded=lambda _pipes: None)
            finally:
                if os.getppid() != server:  # MMS kills it on unload, and leaves its socket
                    Path(arguments.sock_name).unlink(missing_ok=True)
                sys.stdout.flush()
                os._exit(code)
        connection.close()
