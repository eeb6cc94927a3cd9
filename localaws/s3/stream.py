"""Request bodies: with Content-Length, with Transfer-Encoding chunked, and in AWS's chunks.

AWS's chunks are described in "Signature calculations: transferring payload in multiple chunks" (S3
API reference); they may have signatures and a trailer. One block at a time is in memory.
"""

import hashlib
import hmac
import re
import socket
import time
from collections.abc import Callable, Iterator

from localaws.keys import Key
from localaws.signature import SignatureClaim, sign

from .s3_errors import S3Error

BLOCK = 256 * 1024
_MAX_LINE = 4096
_MAX_TRAILER = 16 * 1024
_EMPTY = hashlib.sha256(b"").hexdigest()


class ClientTooSlow(Exception):
    """The client sends too little, or nothing."""


class ConnectionClosed(Exception):
    """The client has closed the connection."""


class Source:
    """A stream of bytes that can be looked at before they are consumed."""

    def peek(self) -> memoryview:
        """The bytes that have arrived, at least one; empty at the end."""
        raise NotImplementedError

    def take(self, count: int) -> None:
        """Consume the first ``count`` bytes."""
        raise NotImplementedError

    is_exhausted = False
    """Whether the last byte was consumed, as far as is known without waiting."""

    def blocks(self, count: int) -> Iterator[memoryview]:
        """The next ``count`` bytes; a block is valid until the next one is asked for."""
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
            piece = bytes(view[:_MAX_LINE])
            end = piece.find(b"\n")
            taken = piece if end < 0 else piece[: end + 1]
            self.take(len(taken))
            found += taken
            if end >= 0 and found.endswith(b"\r\n"):
                return bytes(found[:-2])
            if not taken or end >= 0 or len(found) > _MAX_LINE:
                raise S3Error("InvalidRequest", "The body's chunks are not well formed.")


class BufferedConnection(Source):
    """A connection. ``peek`` raises ClientTooSlow and ConnectionClosed."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = memoryview(bytearray(BLOCK))
        self._start = self._end = 0
        self.received = 0
        self.read_timeout: Callable[[], float] = lambda: 10.0
        """Seconds that the next bytes may take; raises ClientTooSlow."""

    def peek(self) -> memoryview:
        if self._start == self._end:
            self._start = self._end = 0
            self._connection.settimeout(max(0.01, self.read_timeout()))
            try:
                self._end = self._connection.recv_into(self._buffer)
            except TimeoutError:
                raise ClientTooSlow from None
            except OSError:
                raise ConnectionClosed from None
            self.received += self._end
        return self._buffer[self._start : self._end]

    def take(self, count: int) -> None:
        self._start += count


class SizedBody(Source):
    """The body of a request with Content-Length."""

    def __init__(self, wire: BufferedConnection, length: int) -> None:
        self._wire = wire
        self.left = length
        self.is_exhausted = not length

    def peek(self) -> memoryview:
        return self._wire.peek()[: self.left] if self.left else memoryview(b"")

    def take(self, count: int) -> None:
        self._wire.take(count)
        self.left -= count
        self.is_exhausted = not self.left


class ChunkedBody(Source):
    """The body of a request with Transfer-Encoding: chunked (RFC 9112, 7.1)."""

    def __init__(self, wire: BufferedConnection) -> None:
        self._wire = wire
        self._left = 0
        self._first = True

    def peek(self) -> memoryview:
        if not self._left and not self.is_exhausted:
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
            self.is_exhausted = True
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
    """Verifies the signatures of chunks, each of which includes the one before."""

    def __init__(self, claim: SignatureClaim, key: Key) -> None:
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
    """A body in AWS's chunks; ``trailer`` is filled when all blocks were read."""

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
            if size > _MAX_TRAILER:
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


class MinimumRate:
    """The minimum rate: a byte within 30 s, and 16 KB/s on average after the first 30 s."""

    def __init__(self, wire: BufferedConnection) -> None:
        self._wire = wire
        self._began = time.monotonic()
        self._had = wire.received

    def __call__(self) -> float:
        late = time.monotonic() - self._began - _READ_TIMEOUT_SECONDS
        if late > 0 and self._wire.received - self._had < late * _MIN_BYTES_PER_SECOND:
            raise ClientTooSlow
        return _READ_TIMEOUT_SECONDS


_READ_TIMEOUT_SECONDS = 30.0
_MIN_BYTES_PER_SECOND = 16 * 1024
