"""A part of the stack: a program, the parts it waits for, and its readiness probe."""

import http.client
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_PROBE_TIMEOUT_S = 0.5


@dataclass(frozen=True)
class Log:
    """A part's log file, with the offset in bytes at which the current run begins."""

    path: Path
    start: int

    def text(self, last_bytes: int = 1_000_000) -> str:
        with self.path.open("rb") as file:
            size = file.seek(0, 2)
            # A shorter file was truncated meanwhile: all of it is of this run.
            start = self.start if self.start <= size else 0
            file.seek(max(start, size - last_bytes))
            return file.read().decode(errors="replace")

    def last_lines(self, count: int) -> list[str]:
        return [line for line in self.text(64_000).splitlines() if line.strip()][-count:]


Probe = Callable[[Log], bool]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A program of the stack.

    A service has a ``ready`` probe and is to run as long as the stack. A part with ``once`` is a
    step: it is ready when it has ended with exit code 0. ``step`` is what the progress lines say;
    parts with the same one are shown as one. ``after`` names the parts that must be ready first.
    """

    name: str
    step: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = Path("/")
    after: tuple[str, ...] = ()
    once: bool = False
    ready: Probe | None = None
    ready_within_s: float = 60
    stop_within_s: float = 5
    #: Whether the last line of its log says how far it is, so that the progress lines may show it.
    tells_progress: bool = False
    #: The umask of its process.
    umask: int = 0o077
    #: How much of the processors it leaves to the others while they want them (nice(2)), once it is
    #: ready, as others wait for its start: 10 is a tenth for it, 0 the same for all.
    nice: int = 0
    #: Ended after all others, which use it until their end.
    ends_last: bool = False
    #: Whether a change of the file (its path is relative to the checkout) restarts the part. A part
    #: that has this and fails waits for the next change; without it, the whole stack ends.
    reload_on: Callable[[Path], bool] | None = None


def http_ok(url: str) -> Probe:
    """Ready when a GET of ``url`` answers 200."""
    address = urlsplit(url)

    def probe(_: Log) -> bool:
        connection = http.client.HTTPConnection(
            address.hostname or "", address.port, timeout=_PROBE_TIMEOUT_S
        )
        try:
            connection.request("GET", address.path or "/")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return probe


def redis_answers(host: str, port: int) -> Probe:
    """Ready when Redis answers PING, also with NOAUTH."""

    def probe(_: Log) -> bool:
        try:
            with socket.create_connection((host, port), timeout=_PROBE_TIMEOUT_S) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    return probe


def log_contains(text: str) -> Probe:
    """Ready when the log contains ``text``, for programs without a port."""
    return lambda log: text in log.text()
