"""One JSON line an event, on stdout: what SageMaker ships to CloudWatch and localaws keeps."""

import json
import os
import sys
from datetime import UTC, datetime
from typing import TextIO

_server: TextIO | None = None


def keep_the_servers() -> None:
    """From now on events go to what is stdout at this moment, whatever becomes stdout later.

    For a worker that the model host forks. Its own stdout is read by MMS, which may stop in the
    middle when it removes a model, so that the line that says why a load failed would be lost.
    """
    global _server
    _server = os.fdopen(os.dup(1), "w", encoding="utf-8")


def log(event: str, *, level: str = "INFO", **fields: object) -> None:
    """Write one event; ``fields`` must be fit for JSON. Never raises for a closed stdout."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    line = json.dumps({"time": now, "level": level, "event": event, **fields}, default=str)
    out = _server or sys.stdout
    try:
        out.write(line + "\n")
        out.flush()
    except (BrokenPipeError, ValueError):
        return  # whoever read us is gone; serving goes on
