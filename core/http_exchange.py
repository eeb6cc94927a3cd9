"""One HTTP request and its answer, over a connection that is open: for what is sent very often.

http.client reads an answer's header line by line and parses it as that of a mail; urllib3 and
botocore copy it twice. Here the request is one write, and an answer that has a length, as nearly
all have, is cut at its line ends. Any other (in chunks, until the connection ends, after a status
100) is read by http.client.
"""

import contextlib
import http.client
import io
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

_RECEIVE = 64 << 10
#: The longest header of an answer; http.client takes 100 lines of as much.
_MOST_HEADER = 256 << 10
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PLAIN = re.compile(
    rb"HTTP/1\.1 ([2-5]\d\d)(?: [^\r\n]*)?\r\n((?:" + _TOKEN + rb":[^\r\n]*\r\n)*)\r\n"
)
_ENDS = b"\r\n\r\n"
_LENGTH = re.compile(r"\d{1,18}", re.ASCII)
_LINE_ENDS = re.compile(r"[\r\n\0]")


class Headers(Mapping[str, str]):
    """The headers of an answer, found by their names in any case; of one that comes twice both."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._kept: dict[str, tuple[str, str]] = {}
        for name, value in pairs:
            before = self._kept.get(name.lower())
            self._kept[name.lower()] = (name, f"{before[1]}, {value}" if before else value)

    def __getitem__(self, name: str) -> str:
        return self._kept[name.lower()][1]

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, _value in self._kept.values()])

    def __len__(self) -> int:
        return len(self._kept)


@dataclass(frozen=True)
class ReadAnswer:
    """``stays``: a further request may be sent over the connection."""

    status_code: int
    headers: Headers
    content: bytes
    stays: bool


class Broken(Exception):  # untranslated: its cause, which botocore's exceptions do not show
    """The connection ended before the answer did, or what came is no answer."""


def head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """The header of a request; raises ValueError where a value would begin another line."""
    lines = [f"{name}: {value}" for name, value in headers.items()]
    for line in (method, target, *lines):
        if _LINE_ENDS.search(line):
            raise ValueError(f"A header has a line end: {line!r}")
    return "\r\n".join((f"{method} {target} HTTP/1.1", *lines, "", "")).encode("latin-1")


def exchange(connection: socket.socket, header: bytes, body: bytes) -> ReadAnswer:
    """Send a request and read its answer; raises OSError, a TimeoutError too, and Broken."""
    with contextlib.suppress(BrokenPipeError):
        # A server that refuses a body may have answered before all of it came.
        connection.sendall(header + body)
    received = _until_headers_end(connection)
    plain = _PLAIN.match(received)
    if plain is not None:
        lines = plain[2].decode("latin-1").split("\r\n")[:-1]
        pairs = [
            (name, value.strip(" \t")) for name, _, value in (one.partition(":") for one in lines)
        ]
        found = Headers(pairs)
        length = found.get("content-length", "")
        if _LENGTH.fullmatch(length) and "transfer-encoding" not in found:
            content = _rest(connection, received[plain.end() :], int(length))
            stays = found.get("connection", "").lower() != "close"
            return ReadAnswer(int(plain[1]), found, content, stays)
    return _by_the_library(connection, received)


def _until_headers_end(connection: socket.socket) -> bytes:
    received = b""
    while _ENDS not in received:
        more = connection.recv(_RECEIVE)
        if not more or len(received) > _MOST_HEADER:
            raise Broken("The connection ended before the header of the answer did.")
        received += more
    return received


def _rest(connection: socket.socket, begun: bytes, length: int) -> bytes:
    """A body of so many bytes, of which some have come; what follows it belongs to nothing."""
    parts, missing = [begun], length - len(begun)
    while missing > 0:
        more = connection.recv(min(missing, 1 << 20))
        if not more:
            raise Broken(f"The connection ended {missing} bytes before the answer did.")
        parts.append(more)
        missing -= len(more)
    if missing < 0:
        raise Broken("More bytes came than the answer has.")
    return b"".join(parts)


class _Received(io.RawIOBase):
    """What has been read of a connection, and then what is still to come."""

    def __init__(self, connection: socket.socket, received: bytes) -> None:
        self._connection = connection
        self._received = received

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._received:
            return self._connection.recv_into(buffer)
        count = min(len(buffer), len(self._received))
        buffer[:count], self._received = self._received[:count], self._received[count:]
        return count


def _by_the_library(connection: socket.socket, received: bytes) -> ReadAnswer:
    whole = io.BufferedReader(_Received(connection, received))
    # It asks a socket for a file, and for nothing else.
    asked = cast(Any, SimpleNamespace(makefile=lambda _mode: whole))
    answer = http.client.HTTPResponse(asked, method="POST")
    try:
        answer.begin()
        stays = not answer.will_close
        content = answer.read()
    except (http.client.HTTPException, ValueError) as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    return ReadAnswer(answer.status, Headers(answer.getheaders()), content, stays)
