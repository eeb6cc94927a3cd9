"""The access log: one line for each answer, on standard output."""

import logging
import sys
import time
from typing import Any

from core import request_id
from core.logging import Formatter

_log = logging.getLogger("mmeportal.access")


def set_up(*, as_json: bool) -> None:
    """Write to standard output: JSON objects, or lines in the combined format and the id."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Formatter(as_json=True) if as_json else logging.Formatter("%(message)s"))
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
    status = task.status.partition(" ")[0]
    size = task.content_bytes_written or task.content_length
    given = next((value for name, value in task.response_headers if name == request_id.HEADER), "-")
    _log.info(
        '%s - - [%s] "%s HTTP/%s" %s %s "%s" "%s" "%s"',
        task.channel.addr[0],
        when,
        first,
        request.version,
        status,
        size or "-",
        _plain(headers.get("REFERER", "-")),
        _plain(headers.get("USER_AGENT", "-")),
        given,
        extra={"client": task.channel.addr[0], "status": int(status), "bytes": size or 0}
        | {"request_id": given},
    )


def _plain(text: str) -> str:
    # No client writes lines or terminal codes of its own into the log.
    return "".join(c if " " <= c <= "~" and c not in '"\\' else f"\\x{ord(c):02x}" for c in text)
