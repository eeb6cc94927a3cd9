"""The access log: one line for each response, on standard output."""

import logging
import re
import sys
import time
from typing import Any

from core import request_id
from core.logging import Formatter, address_without_secrets, without_secrets

_log = logging.getLogger("mmeportal.access")

# Apache's combined format, and the request's id.
_COMBINED = (
    '%(client)s - - [%(when)s] "%(message)s" %(status)s %(bytes)s "%(referrer)s" "%(agent)s" '
    '"%(request_id)s"'
)


# Visible ASCII but for what ends a quoted part.
_PLAIN = re.compile(r"[ !#-\[\]-~]*", re.ASCII)


class _Combined(logging.Formatter):
    """Lines in the combined format; a client may have put a token into any part of them."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


def set_up(*, as_json: bool) -> None:
    """Write to standard output: JSON objects, or lines in the combined format and the id."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Formatter(as_json=True) if as_json else _Combined(_COMBINED))
    _log.handlers = [handler]
    _log.propagate = False
    _log.setLevel(logging.INFO)


def write(task: Any) -> None:
    """Write the line of an answer: client, time, request, status, bytes, referrer, agent, id."""
    request = task.request
    headers = request.headers
    # waitress writes names in its own case.
    wanted = request_id.HEADER.lower()
    ids = [value for name, value in task.response_headers if name.lower() == wanted]
    command = _plain(getattr(request, "command", "-"))
    address = _without_secrets(getattr(request, "request_uri", "-"))
    # Not by info(), which looks for the line of code that calls it.
    line = logging.makeLogRecord(
        {
            "name": _log.name,
            "levelno": logging.INFO,
            "levelname": "INFO",
            "msg": f"{command} {address} HTTP/{request.version}",
            "client": task.channel.addr[0],
            "when": time.strftime("%d/%b/%Y:%H:%M:%S %z"),
            "status": int(task.status.partition(" ")[0]),
            "bytes": task.content_bytes_written or task.content_length or 0,
            "referrer": _without_secrets(headers.get("REFERER", "-")),
            "agent": _plain(headers.get("USER_AGENT", "-")),
            "request_id": ids[0] if ids else "-",
        }
    )
    _log.handle(line)


def _without_secrets(address: str) -> str:
    return _plain(address_without_secrets(address))


def _plain(text: str) -> str:
    # Clients must not be able to write lines or terminal codes into the log.
    if _PLAIN.fullmatch(text):
        return text
    return "".join(c if " " <= c <= "~" and c not in '"\\' else f"\\x{ord(c):02x}" for c in text)
