"""What is said of a model that could not be loaded, and how MMS is told.

MMS is told through its plug-in interface (plugin/LoadFailed.java says why not by the worker
protocol, which has a word for it). It answers the load with the status, has the reason in the
status line, and removes the model; the model's processes are ended by it while it does.
"""

import http.client
import logging
import os
import socket
import urllib.parse

SECONDS = 35.0
"""MMS itself waits 30 s for a process to end (``unregister_model_timeout``)."""

MAX_REASON = 500

ADDRESS = "MME_ADDRESS"
"""The variable that tells a worker where MMS listens: the path of a Unix socket, or HOST:PORT."""


def explain(error: Exception, model_name: str) -> tuple[str, int]:
    """The message and the status for a model that could not be loaded; logs it as well.

    507 where memory is short, 400 where the artifact is at fault, 503 where the server is stopping,
    500 where it is none of these.
    """
    from container.findings import ArtifactError
    from container.serving_state import Draining

    if isinstance(error, MemoryError):
        message, code = str(error) or "Not enough memory to load the model.", 507
    elif isinstance(error, ArtifactError):
        message, code = error.message, 400
    elif isinstance(error, Draining):
        message, code = str(error), 503
    else:
        message, code = f"{type(error).__name__}: {error}", 500
        logging.exception("Loading failed in a way that was not foreseen")
    note(model_name, code, message)
    return message, code


def note(model_name: str, status: int, message: str) -> None:
    """Write the failure to the log."""
    from container.json_log import log

    log("load_failed", level="ERROR", model=model_name, status=status, message=message)


def connect(timeout: float) -> socket.socket:
    """A connection to MMS, wherever it listens; ``OSError`` where there is none.

    ``timeout`` is in seconds, for each step.
    """
    where = os.environ[ADDRESS]
    if not where.startswith("/"):
        host, _, port = where.rpartition(":")
        host = host if host not in ("", "0.0.0.0") else "127.0.0.1"  # noqa: S104
        return socket.create_connection((host, int(port)), timeout=timeout)
    line = socket.socket(socket.AF_UNIX)
    try:
        line.settimeout(timeout)
        line.connect(where)
    except OSError:
        line.close()
        raise
    return line


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = connect(SECONDS)


def target(path: str, message: str, **query: str | int) -> str:
    """A path of the plug-in's, with its query. The reason is one line of ASCII, as the status line
    of an HTTP answer is."""
    line = "".join(letter if letter.isprintable() else " " for letter in message)
    reason = " ".join(line.split()).encode("ascii", "replace").decode()[:MAX_REASON]
    return f"{path}?{urllib.parse.urlencode({**query, 'reason': reason})}"


def port(sock_name: str) -> int:
    """MMS's number for one load of a model, which ends the name of its socket: a report that comes
    late is not to be taken for the next load's."""
    return int(sock_name.rpartition(".")[2])


def tell_mms(model_name: str, sock_name: str, status: int, message: str) -> bool:
    """Have MMS answer the load that failed and remove the model.

    Returns whether it did; where not, the worker protocol is left to tell it.
    """
    connection = _Connection("localhost")
    try:
        path = target(
            "/load-failed", message, model=model_name, port=port(sock_name), status=status
        )
        connection.request("POST", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException) as error:
        logging.warning("MMS could not be told of the failed load: %s", error)
        return False
    finally:
        connection.close()
