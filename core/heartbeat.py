"""Heartbeats of the worker and of beat, in Redis, and the check of one's own host's.

``python -m core.heartbeat check worker`` (or ``beat``) ends with 0 where this host's worker
reported within 30 s, and with 1 and a sentence where it did not: the health check of a container.

A heartbeat is a key with an expiry that only its writer sets, so its age is what of the expiry
has passed, by Redis's clock. No clock of a host is trusted, and how far they differ can be told.
The database plays no part: where it is locked, the heartbeats go on.
"""

import json
import logging
import os
import socket
import sys
import time
from dataclasses import dataclass

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from core import clock

log = logging.getLogger(__name__)

EVERY_S = 10.0
LATE_S = 30.0
KEPT_S = 60.0
KINDS = ("worker", "beat")
_PREFIX = "mme:heartbeat"
_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Heartbeat:
    """What one worker or beat reported last."""

    kind: str
    host: str
    age_s: float
    """Seconds since it was written, by Redis's clock."""
    ahead_s: float
    """How far its host's clock is ahead of Redis's, in seconds; negative where it is behind."""

    @property
    def late(self) -> bool:
        """Whether it is so old that something is wrong with its process."""
        return self.age_s > LATE_S


def connect(timeout_s: float = _TIMEOUT_S) -> "redis.Redis":
    """A client of the portal's Redis that waits ``timeout_s`` for a connection and an answer."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),  # its own retries would outlast the timeout
        decode_responses=True,
    )


def key(kind: str, host: str | None = None) -> str:
    """The key of a heartbeat; of this host's without ``host``."""
    return f"{_PREFIX}:{kind}:{host or socket.gethostname()}"


class Writer:
    """Writes the heartbeat of this process; one for each process, used by one thread."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._started = time.time()
        self._due = 0.0
        self._failing = False
        self._client: redis.Redis | None = None

    def beat(self) -> None:
        """Write the heartbeat. Where Redis does not answer, that is logged once."""
        value = json.dumps({"at": time.time(), "pid": os.getpid(), "started": self._started})
        self._client = self._client or connect()
        try:
            self._client.set(key(self._kind), value, px=int(KEPT_S * 1000))
        except redis.RedisError as error:
            if not self._failing:
                log.warning("The heartbeat of the %s was not written: %s", self._kind, error)
            self._failing = True
        else:
            self._failing = False

    def beat_if_due(self) -> None:
        """Write it where ten seconds have passed since the last time; else do nothing."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + EVERY_S
            self.beat()


def read(client: "redis.Redis", kind: str, host: str | None = None) -> Heartbeat | None:
    """The heartbeat of ``host``, this one if None; None where there is none. Raises RedisError."""
    name = key(kind, host)
    with client.pipeline(transaction=True) as pipeline:
        pipeline.get(name)
        pipeline.pttl(name)
        value, left_ms = pipeline.execute()
    if value is None or left_ms < 0:
        return None
    age = max(0.0, KEPT_S - left_ms / 1000)
    try:
        written = float(json.loads(value)["at"])
    except (ValueError, KeyError, TypeError):
        log.warning("The heartbeat %s is not one of the portal's: %.100r", name, value)
        return None
    try:
        now = clock.of_redis(client)
    except redis.exceptions.NoPermissionError:
        now = time.time()
    return Heartbeat(kind, name.rsplit(":", 1)[1], age, written + age - now)


def read_all(client: "redis.Redis", kind: str) -> list[Heartbeat]:
    """The heartbeats of all hosts, newest first. Raises RedisError."""
    names = client.scan_iter(match=f"{_PREFIX}:{kind}:*", count=1000)
    hosts = sorted({name.rsplit(":", 1)[1] for name in names})
    found = [beat for host in hosts if (beat := read(client, kind, host)) is not None]
    return sorted(found, key=lambda beat: beat.age_s)


def check(kind: str) -> str | None:
    """Say what is wrong with this host's heartbeat, or None."""
    try:
        with connect() as client:
            found = read(client, kind)
    except redis.RedisError as error:
        # untranslated: a terminal
        return f"Redis does not answer, so nothing is known of the {kind}: {error}"
    if found is None:
        # untranslated: a terminal
        return f"The {kind} of this host has not reported for {KEPT_S:.0f} s, or never."
    if found.late:
        # untranslated: a terminal
        return (
            f"The {kind} of this host reported {found.age_s:.0f} s ago; {LATE_S:.0f} is the most."
        )
    return None


def main(arguments: list[str]) -> int:
    """Run ``check worker`` or ``check beat``; the exit code."""
    if len(arguments) != 2 or arguments[0] != "check" or arguments[1] not in KINDS:
        print(f"usage: python -m core.heartbeat check {'|'.join(KINDS)}", file=sys.stderr)  # noqa: T201
        return 2
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")
    problem = check(arguments[1])
    if problem:
        print(problem, file=sys.stderr)  # noqa: T201
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
