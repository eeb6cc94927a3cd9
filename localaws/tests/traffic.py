"""Traffic as real endpoints see it: many callers, many models, a few of them hot."""

import collections
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

ALLOWED = {"ModelNotReadyException", "ServiceUnavailable", "ThrottlingException"}
"""What AWS, too, may say to a caller of a healthy endpoint under pressure."""

ALLOWED_IN_CHAOS = ALLOWED | {
    "InternalDependencyException",  # S3 does not answer
    "ModelError 0",  # the container ended before it answered, or did not answer within 60 s
    "ModelError 500 Worker died.",  # MMS's words for a call whose worker was killed under it
    "ModelError 503",  # MMS has no worker for the model: it is being started again
    "ModelError 507",  # a worker killed while it loads is one that memory was short for
    "EndpointConnectionError",  # localaws itself is dead
    "ConnectionClosedError",
    "ResponseStreamingError",
}
"""What a caller may see besides while parts are being killed. AWS has a spare for most of them."""


@dataclass
class Tally:
    """What callers got."""

    right: int = 0
    wrong: list[str] = field(default_factory=list)
    errors: collections.Counter[str] = field(default_factory=collections.Counter)
    """By code, for a ModelError with the container's status, and its message where that is 500."""
    texts: dict[str, str] = field(default_factory=dict)
    """The first text of each error."""
    slowest: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def refused(self, error: ClientError | BotoCoreError) -> None:
        code, text = name_of(error)
        with self.lock:
            self.errors[code] += 1
            self.texts.setdefault(code, text)


def name_of(error: ClientError | BotoCoreError) -> tuple[str, str]:
    """What an error is counted as, and its whole text."""
    if not isinstance(error, ClientError):
        return type(error).__name__, str(error)
    code = str(error.response["Error"]["Code"])
    if code != "ModelError":
        return code, str(error)
    if "OriginalStatusCode" not in error.response:
        # localaws was killed between the headers and the body: botocore makes the error of those.
        return "ConnectionClosedError", f"cut short: {error}"
    status = error.response["OriginalStatusCode"]
    text = str(error.response["OriginalMessage"])
    if status == 500 and "Worker died." in text:
        return "ModelError 500 Worker died.", text
    return f"ModelError {status}", text


def drive(
    client: Any,
    endpoint: str,
    targets: list[str],
    *,
    callers: int,
    seconds: float,
    body: bytes,
    is_right: Callable[[str, bytes], bool],
    seed: int = 5,
) -> Tally:
    """Call models at random, the first ones far more often, until ``seconds`` are over."""
    tally = Tally()
    weights = [1 / (rank + 1) for rank in range(len(targets))]  # Zipf's law
    deadline = time.monotonic() + seconds

    def caller(number: int) -> None:
        choose = random.Random(seed * 1000 + number)
        while time.monotonic() < deadline:
            target = choose.choices(targets, weights)[0]
            start = time.monotonic()
            try:
                answer = client.invoke_endpoint(
                    EndpointName=endpoint,
                    ContentType="application/x-image",
                    TargetModel=target,
                    Body=body,
                )["Body"].read()
            except ClientError as error:
                tally.refused(error)
                continue
            except BotoCoreError as error:
                tally.refused(error)
                time.sleep(0.2)  # as clients do between attempts
                continue
            with tally.lock:
                tally.slowest = max(tally.slowest, time.monotonic() - start)
                if is_right(target, answer):
                    tally.right += 1
                else:
                    tally.wrong.append(f"{target} answered {answer[:200]!r}")

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally
