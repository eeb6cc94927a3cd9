"""The log: one JSON line for each event, on stdout, which SageMaker sends to CloudWatch Logs."""

import json
import os
import sys
from datetime import UTC, datetime
from typing import TextIO

_server_stdout: TextIO | None = None


def keep_server_stdout() -> None:
    """Write events to the present stdout from now on, even after stdout is replaced.

    For a worker that the model host forks. Its later stdout is a pipe to MMS, which stops reading
    when it removes a model, so that the event that says why a load failed would be lost.
    """
    global _server_stdout
    _server_stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")


def log(event: str, *, level: str = "INFO", **fields: object) -> None:
    """Write one event; ``fields`` are converted with ``str`` where JSON cannot hold them.

    A closed stdout is no error.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    line = json.dumps({"time": now, "level": level, "event": event, **fields}, default=str)
    out = _server_stdout or sys.stdout
    try:
        out.write(line + "\n")
        out.flush()
    except (BrokenPipeError, ValueError):
        return  # the reader is gone; serving goes on
