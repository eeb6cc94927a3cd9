"""The status and message of a failed load, and the report of it to MMS.

The report goes to an endpoint of our plug-in (plugin/LoadFailed.java says why the worker protocol's
own code for it is not used). MMS then answers the load with the status, puts the reason in the
status line, and removes the model with its processes.
"""

import http.client
import logging
import os
import socket
import urllib.parse

TIMEOUT_SECONDS = 35.0
"""MMS itself waits 30 s for a process to end (``unregister_model_timeout``)."""

MAX_REASON = 500
"""Characters of the reason in the status line."""

ADDRESS = "MME_ADDRESS"
"""Environment variable: where MMS listens, as the path of a Unix socket or as HOST:PORT."""


def describe(error: Exception, model_name: str) -> tuple[str, int]:
    """Log a failed load; returns its message and HTTP status.

    507: not enough memory; 400: the artifact is at fault; 503: the server is stopping; 500: any
    other error.
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
        logging.exception("Loading failed with an unexpected error")
    log_failure(model_name, code, message)
    return message, code


def log_failure(model_name: str, status: int, message: str) -> None:
    """Log the event ``load_failed``."""
    from container.json_log import log

    log("load_failed", level="ERROR", model=model_name, status=status, message=message)


def connect(timeout: float) -> socket.socket:
    """Connect to MMS at :data:`ADDRESS`. Raises ``OSError`` where it does not answer.

    ``timeout``: seconds for each operation on the socket.
    """
    address = os.environ[ADDRESS]
    if not address.startswith("/"):
        host, _, port = address.rpartition(":")
        host = host if host not in ("", "0.0.0.0") else "127.0.0.1"  # noqa: S104
        return socket.create_connection((host, int(port)), timeout=timeout)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = connect(TIMEOUT_SECONDS)


def target(path: str, message: str, **query: str | int) -> str:
    """The path of an endpoint of the plug-in, with ``query`` and the reason.

    The reason becomes one line of ASCII, because MMS writes it into the HTTP status line.
    """
    line = "".join(letter if letter.isprintable() else " " for letter in message)
    reason = " ".join(line.split()).encode("ascii", "replace").decode()[:MAX_REASON]
    return f"{path}?{urllib.parse.urlencode({**query, 'reason': reason})}"


def port(sock_name: str) -> int:
    """MMS's number of one load of a model, which is the last part of its socket's name.

    With it, a late report is not taken for one on the next load of the same model.
    """
    return int(sock_name.rpartition(".")[2])


def report_to_mms(model_name: str, sock_name: str, status: int, message: str) -> bool:
    """Have MMS answer the failed load and remove the model.

    Returns whether it did. Where it did not, the caller reports by the worker protocol.
    """
    connection = _Connection("localhost")
    try:
        path = target(
            "/load-failed", message, model=model_name, port=port(sock_name), status=status
        )
        connection.request("POST", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException) as error:
        logging.warning("The failed load could not be reported to MMS: %s", error)
        return False
    finally:
        connection.close()
