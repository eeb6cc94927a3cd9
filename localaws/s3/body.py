"""A request's body: written to a file and checked against its declared lengths and checksums."""

import base64
import binascii
import hashlib
import hmac
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO

from . import checksums
from .auth import STREAMS, UNSIGNED, AuthenticatedRequest
from .s3_errors import S3Error
from .stream import AwsChunks, BufferedConnection, ChunkedBody, ChunkSigner, SizedBody, Source

MAX_OBJECT = 5 * 1024**3
"""Bytes that one PutObject or UploadPart may bring (S3 UG, "Uploading objects")."""


@dataclass(frozen=True, slots=True)
class Received:
    """What was received: its size, its MD5 in hex, the checksums that it was sent with."""

    size: int
    md5: str
    checksums: dict[str, str] = field(default_factory=dict)


class Body:
    """The body of a request whose headers were read, and nothing else yet. Raises S3Error."""

    def __init__(
        self,
        wire: BufferedConnection,
        headers: Mapping[str, str],
        signed: AuthenticatedRequest,
        *,
        is_described: bool = True,
    ) -> None:
        """``is_described``: the checksums in the headers are those of the body."""
        self._signed = signed
        length = headers.get("content-length")
        chunked = headers.get("transfer-encoding")
        self._source: Source = ChunkedBody(wire) if chunked else SizedBody(wire, int(length or 0))
        self._is_stream = signed.payload in STREAMS
        decoded = headers.get("x-amz-decoded-content-length")
        self.length: int | None = None if length is None else int(length)
        if self._is_stream:
            self.length = _number(decoded) if decoded is not None else None
        elif chunked:
            raise S3Error(
                "NotImplemented",
                "A header you provided implies functionality that is not "
                "implemented: Transfer-Encoding without x-amz-decoded-content-length.",
            )
        self._given = _given(headers) if is_described else {}
        self._announced = _announced(headers)
        self._trailer: Mapping[str, str] = {}
        self._md5 = _content_md5(headers)
        self.before: Callable[[], None] = lambda: None
        """Called before the first byte is read, to send 100 Continue."""
        self.has_checksum = bool(self._given or self._announced or self._md5)

    @property
    def is_read(self) -> bool:
        """Whether the body is read to its end, so that the next request follows."""
        return self._source.is_exhausted

    def write(self, file: IO[bytes], most: int = MAX_OBJECT) -> Received:
        """Read all of it into ``file``; raises where it is not what was signed or announced."""
        length = self.length
        if length is None:
            raise S3Error(
                "MissingContentLength", "You must provide the Content-Length HTTP header."
            )
        if length > most:
            raise S3Error(
                "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size."
            )
        if not self._source.is_exhausted:
            self.before()
        md5 = hashlib.md5(usedforsecurity=False)
        names = [*self._given, *self._announced]
        digests = {name: checksums.new(name) for name in names}
        is_digest = not self._is_stream and self._signed.payload != UNSIGNED
        payload = hashlib.sha256()
        all_digests = [md5, *digests.values(), *([payload] if is_digest else [])]
        for block in self._blocks(length):
            _write_all(file, block)
            for digest in all_digests:
                digest.update(block)
        if is_digest and not hmac.compare_digest(payload.hexdigest(), self._signed.payload):
            raise S3Error(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            )
        if self._md5 is not None and self._md5 != md5.digest():
            raise S3Error(
                "BadDigest", "The Content-MD5 you specified did not match what we received."
            )
        expected = self._given | self._in_trailer()
        for name, raw in expected.items():
            if digests[name].digest() != raw:
                raise S3Error(
                    "BadDigest",
                    f"The {name.upper()} you specified did not match the calculated checksum.",
                )
        found = {name: checksums.encoded(raw) for name, raw in expected.items()}
        return Received(length, md5.hexdigest(), found)

    def document(self, most: int = 4 * 1024 * 1024) -> bytes:
        """A short body: an XML document, or nothing."""
        if self.length is None:
            self.length = 0
        if self.length > most:
            raise S3Error("MaxMessageLengthExceeded", "Your request was too big.")
        held = io.BytesIO()
        self.write(held)
        return held.getvalue()

    def _blocks(self, length: int) -> Iterator[memoryview]:
        if not self._is_stream:
            yield from self._source.blocks(length)
            return
        is_signed, has_trailer = STREAMS[self._signed.payload]
        signer = ChunkSigner(self._signed.claim, self._signed.key) if is_signed else None
        chunks = AwsChunks(self._source, signer, has_trailer=has_trailer)
        yield from chunks.blocks(length)
        self._trailer = chunks.trailer
        if self._source.peek():
            raise S3Error("InvalidRequest", "There are bytes after the last chunk.")

    def _in_trailer(self) -> dict[str, bytes]:
        found = {}
        names = [f"x-amz-checksum-{name}" for name in self._announced]
        if sorted(names) != sorted(self._trailer):
            raise S3Error("MalformedTrailerError", "The trailer is not what X-Amz-Trailer says.")
        for name in self._announced:
            found[name] = checksums.decoded(name, self._trailer[f"x-amz-checksum-{name}"])
        return found


def _write_all(file: IO[bytes], block: memoryview) -> None:
    """An unbuffered file may take less than it is given, as where the disk is nearly full."""
    while block:
        block = block[file.write(block) :]


def _given(headers: Mapping[str, str]) -> dict[str, bytes]:
    """Checksums among the headers."""
    found = {
        name: checksums.decoded(name, headers[f"x-amz-checksum-{name}"])
        for name in checksums.ALGORITHMS
        if f"x-amz-checksum-{name}" in headers
    }
    if len(found) > 1:
        raise S3Error(
            "InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple were provided."
        )
    return found


def _announced(headers: Mapping[str, str]) -> list[str]:
    """The checksum that the trailer will hold."""
    value = headers.get("x-amz-trailer")
    if value is None:
        return []
    name = value.strip().lower().removeprefix("x-amz-checksum-")
    if name not in checksums.ALGORITHMS or "STREAMING-" not in headers.get(
        "x-amz-content-sha256", ""
    ):
        raise S3Error("InvalidRequest", "The value specified in the x-amz-trailer header is wrong.")
    if f"x-amz-checksum-{name}" in headers:
        raise S3Error("InvalidRequest", "A checksum stands in a header and is to follow, too.")
    return [name]


def _content_md5(headers: Mapping[str, str]) -> bytes | None:
    value = headers.get("content-md5")
    if value is None:
        return None
    try:
        raw = base64.b64decode(value.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raw = b""
    if len(raw) != 16:
        raise S3Error("InvalidDigest", "The Content-MD5 you specified is not valid.")
    return raw


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise S3Error("InvalidArgument", "x-amz-decoded-content-length is not a number.")
    return int(text)
