"""One JSON line an event, on stdout: what SageMaker ships to CloudWatch and localaws keeps."""

import json
import sys
from datetime import UTC, datetime


def log(event: str, *, level: str = "INFO", **fields: object) -> None:
    """Write one event; ``fields`` must be fit for JSON. Never raises for a closed stdout."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    line = json.dumps({"time": now, "level": level, "event": event, **fields}, default=str)
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        return  # whoever read us is gone; serving goes on
