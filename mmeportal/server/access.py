"""The access log: one line for each answer, on standard output, in the combined format."""

import logging
import sys
import time
from typing import Any

_log = logging.getLogger("mmeportal.access")


def set_up() -> None:
    """Write bare lines to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    _log.handlers = [handler]
    _log.propagate = False
    _log.setLevel(logging.INFO)


def write(task: Any) -> None:
    """Write the line of an answer: client, time, request, status, bytes, referrer, agent."""
    request = task.request
    headers = request.headers
    first = (
        f"{_plain(getattr(request, 'command', '-'))} {_plain(getattr(request, 'request_uri', '-'))}"
    )
    when = time.strftime("%d/%b/%Y:%H:%M:%S %z")
    _log.info(
        '%s - - [%s] "%s HTTP/%s" %s %s "%s" "%s"',
        task.channel.addr[0],
        when,
        first,
        request.version,
        task.status.partition(" ")[0],
        task.content_bytes_written or task.content_length or "-",
        _plain(headers.get("REFERER", "-")),
        _plain(headers.get("USER_AGENT", "-")),
    )


def _plain(text: str) -> str:
    # No client writes lines or terminal codes of its own into the log.
    return "".join(c if " " <= c <= "~" and c not in '"\\' else f"\\x{ord(c):02x}" for c in text)
