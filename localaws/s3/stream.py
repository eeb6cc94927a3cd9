"""Bodies of requests as they come: with a length, in HTTP's chunks, in AWS's chunks.

AWS's are those of "Signature calculations: transferring payload in multiple chunks" (S3 API
reference) with and without signatures and trailers. Nothing is kept but one block.
"""

import hashlib
import hmac
import re
import socket
import time
from collections.abc import Callable, Iterator

from localaws.keys import Key
from localaws.signature import Claim, sign

from .errors import S3Error

BLOCK = 256 * 1024
_LONGEST_LINE = 4096
_MOST_TRAILER = 16 * 1024
_EMPTY = hashlib.sha256(b"").hexdigest()


class Slow(Exception):
    """The client sends nothing, or too little."""


class Gone(Exception):
    """The client has closed the connection."""


class Source:
    """Bytes that come from somewhere, seen before they are taken."""

    def peek(self) -> memoryview:
        """What is there, at least one byte; empty at the end."""
        raise NotImplementedError

    def take(self, count: int) -> None:
        """Leave out the first ``count`` of what was seen."""
        raise NotImplementedError

    is_over = False
    """Whether its last byte was taken, as far as that is known without waiting."""

    def blocks(self, count: int) -> Iterator[memoryview]:
        """The next ``count`` bytes; each block holds until the next is asked for."""
        while count:
            view = self.peek()[:count]
            if not view:
                raise S3Error(
                    "IncompleteBody",
                    "You did not provide the number of bytes specified by the Content-Length "
                    "HTTP header",
                )
            yield view
            self.take(len(view))
            count -= len(view)

    def line(self) -> bytes:
        """The next line without its end, CRLF."""
        found = bytearray()
        while True:
            view = self.peek()
            piece = bytes(view[:_LONGEST_LINE])
            end = piece.find(b"\n")
            taken = piece if end < 0 else piece[: end + 1]
            self.take(len(taken))
            found += taken
            if end >= 0 and found.endswith(b"\r\n"):
                return bytes(found[:-2])
            if not taken or end >= 0 or len(found) > _LONGEST_LINE:
                raise S3Error("InvalidRequest", "The body's chunks are not well formed.")


class Wire(Source):
    """A connection. Peeking raises Slow, Gone."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = memoryview(bytearray(BLOCK))
        self._start = self._end = 0
        self.received = 0
        self.patience: Callable[[], float] = lambda: 10.0
        """Seconds that the next bytes may take; raises Slow."""

    def peek(self) -> memoryview:
        if self._start == self._end:
            self._start = self._end = 0
            self._connection.settimeout(max(0.01, self.patience()))
            try:
                self._end = self._connection.recv_into(self._buffer)
            except TimeoutError:
                raise Slow from None
            except OSError:
                raise Gone from None
            self.received += self._end
        return self._buffer[self._start : self._end]

    def take(self, count: int) -> None:
        self._start += count


class Sized(Source):
    """The body of a request with Content-Length."""

    def __init__(self, wire: Wire, length: int) -> None:
        self._wire = wire
        self.left = length
        self.is_over = not length

    def peek(self) -> memoryview:
        return self._wire.peek()[: self.left] if self.left else memoryview(b"")

    def take(self, count: int) -> None:
        self._wire.take(count)
        self.left -= count
        self.is_over = not self.left


class HttpChunks(Source):
    """The body of a request with Transfer-Encoding: chunked (RFC 9112, 7.1)."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._left = 0
        self._first = True

    def peek(self) -> memoryview:
        if not self._left and not self.is_over:
            self._next()
        return self._wire.peek()[: self._left] if self._left else memoryview(b"")

    def take(self, count: int) -> None:
        self._wire.take(count)
        self._left -= count

    def _next(self) -> None:
        if not self._first and self._wire.line():
            raise S3Error("InvalidRequest", "The body's chunks are not well formed.")
        self._first = False
        self._left, _ = _size_of_chunk(self._wire.line())
        if not self._left:
            self.is_over = True
            for _ in range(64):
                if not self._wire.line():
                    return
            raise S3Error("InvalidRequest", "The body has too many trailers.")


def _size_of_chunk(line: bytes) -> tuple[int, bytes]:
    size, _, extension = line.partition(b";")
    if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}", size):
        raise S3Error("InvalidRequest", "The size of a chunk is not a number.")
    return int(size, 16), extension


class ChunkSigner:
    """The chain of signatures that begins with that of the request's headers."""

    def __init__(self, claim: Claim, key: Key) -> None:
        self._claim = claim
        self._key = key
        self._last = claim.signature

    def verify(self, kind: str, digests: list[str], given: str) -> None:
        """``kind``: PAYLOAD or TRAILER; raises SignatureDoesNotMatch."""
        claim = self._claim
        scope = f"{claim.date}/{claim.region}/{claim.service}/aws4_request"
        head = [f"AWS4-HMAC-SHA256-{kind}", claim.timestamp, scope, self._last]
        expected = sign("\n".join(head + digests), claim, self._key)
        if not hmac.compare_digest(expected.encode(), given.encode()):
            raise S3Error(
                "SignatureDoesNotMatch",
                "The signature of a chunk does not match what was computed of it.",
            )
        self._last = expected


class AwsChunks:
    """A body in AWS's chunks; ``trailer`` is there when all blocks were read."""

    def __init__(self, source: Source, signer: ChunkSigner | None, *, has_trailer: bool) -> None:
        self._source = source
        self._signer = signer
        self._has_trailer = has_trailer
        self.trailer: dict[str, str] = {}

    def blocks(self, length: int) -> Iterator[memoryview]:
        """Raises where the chunks do not hold exactly ``length`` bytes, or are signed wrongly."""
        left = length
        while True:
            size, extension = _size_of_chunk(self._source.line())
            if size > left:
                raise S3Error("IncompleteBody", "The chunks hold more than was announced.")
            digest = hashlib.sha256()
            for block in self._source.blocks(size):
                if self._signer is not None:
                    digest.update(block)
                yield block
            if self._signer is not None:
                name, _, given = extension.decode("latin-1").partition("=")
                if name != "chunk-signature":
                    raise S3Error("SignatureDoesNotMatch", "A chunk is not signed.")
                self._signer.verify("PAYLOAD", [_EMPTY, digest.hexdigest()], given)
            left -= size
            if not size:
                break
            if self._source.line():
                raise S3Error("InvalidRequest", "A chunk is longer than it says.")
        if left:
            raise S3Error("IncompleteBody", "The chunks hold less than was announced.")
        self._read_trailer()

    def _read_trailer(self) -> None:
        canonical, signature, size = "", "", 0
        while line := self._source.line():
            size += len(line)
            if size > _MOST_TRAILER:
                raise S3Error("MalformedTrailerError", "The trailer is too long.")
            name, colon, value = line.decode("latin-1").partition(":")
            name, value = name.strip().lower(), value.strip()
            if not colon or name in self.trailer:
                raise S3Error("MalformedTrailerError", "The trailer is not well formed.")
            if name == "x-amz-trailer-signature":
                signature = value
                continue
            self.trailer[name] = value
            canonical += f"{name}:{value}\n"
        if bool(self.trailer) > self._has_trailer:
            raise S3Error("MalformedTrailerError", "There is a trailer that was not announced.")
        if self._signer is not None and self._has_trailer:
            digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
            self._signer.verify("TRAILER", [digest], signature)


class Pace:
    """How long a client may take: 30 s without a byte, and 16 KB a second on average after that."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._began = time.monotonic()
        self._had = wire.received

    def __call__(self) -> float:
        late = time.monotonic() - self._began - _SILENCE
        if late > 0 and self._wire.received - self._had < late * _SLOWEST:
            raise Slow
        return _SILENCE


_SILENCE = 30.0
_SLOWEST = 16 * 1024
