"""The archive that is served: one gzip member around the canonical tar, written by the worker.

The tar comes out of the sandbox (container/preflight.py, ``--pack``). To the worker it is opaque
bytes: they are hashed and packed here, and never parsed.

``stored`` is gzip without compression. A network's parameters hardly compress, so it takes a
little more room in S3, and each cold start saves the time of gunzip.
"""

import hashlib
import math
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any


class Packing(StrEnum):
    """How an archive is packed, and what may be chosen for it."""

    AUTO = "auto"
    STORED = "stored"
    COMPRESSED = "compressed"


CHOICES = tuple(Packing)

LEAST_SAVING = 0.15
"""Where compression saves a smaller part than this, ``auto`` stores."""

LEVEL = 6
"""zlib's level where it is compressed: gzip's and tar's own default."""

_CHUNK = 1 << 20
# Without a name, flags and a time; by no level and on no system (RFC 1952, 2.3).
_HEADER = b"\x1f\x8b\x08\x00\0\0\0\0\x00\xff"
_BLOCK = 0xFFFF  # the most that a stored block of deflate holds (RFC 1951, 3.2.4)
_SAMPLE_BLOCK = 256 << 10
_SAMPLE_BLOCKS = 32
_TURNS = 3


@dataclass(frozen=True)
class Estimate:
    """The size of a tar in both packings, in bytes, and the time to read each, in seconds.

    ``sampled`` is how many bytes of the tar were compressed for it. The seconds are measured on
    the same bytes, on this machine, and scaled to the whole.
    """

    stored_bytes: int
    compressed_bytes: int
    stored_s: float
    compressed_s: float
    sampled: int

    @property
    def saving(self) -> float:
        """The part of the stored bytes that compression saves; negative where it adds some."""
        return 1 - self.compressed_bytes / self.stored_bytes


@dataclass(frozen=True)
class Packed:
    """An archive that was written; ``facts`` are for the version's page."""

    packing: Packing
    content_sha256: str
    facts: dict[str, Any]


def pack(tar: Path, archive: Path, *, choice: str, beat: Callable[[], None]) -> Packed:
    """Write ``tar`` as the ``.tar.gz`` ``archive``; ``beat`` is called often meanwhile.

    The same tar and packing give the same bytes with the same zlib; ``stored`` gives them with any.
    With ``auto`` the estimate decides whether it is compressed at all. Where compressing then turns
    out to save less than the estimate said, it is stored after all.
    """
    estimate = _estimate(tar, beat)
    packing = Packing.STORED
    if choice == Packing.COMPRESSED or (choice == Packing.AUTO and estimate.saving >= LEAST_SAVING):
        packing = Packing.COMPRESSED
    content = _write(tar, archive, packing, beat)
    compressed_bytes, exact = estimate.compressed_bytes, estimate.sampled == tar.stat().st_size
    if packing == Packing.COMPRESSED:
        compressed_bytes, exact = archive.stat().st_size, True
        if choice == Packing.AUTO and 1 - compressed_bytes / estimate.stored_bytes < LEAST_SAVING:
            packing = Packing.STORED
            content = _write(tar, archive, packing, beat)
    facts = {
        "choice": choice,
        "stored_bytes": estimate.stored_bytes,
        "compressed_bytes": compressed_bytes,
        "exact": exact,
        "stored_s": estimate.stored_s,
        "compressed_s": estimate.compressed_s,
        "sampled_bytes": estimate.sampled,
        "tar_bytes": tar.stat().st_size,
    }
    return Packed(packing=packing, content_sha256=content, facts=facts)


def stored_size(size: int) -> int:
    """Bytes of a stored ``.tar.gz`` around ``size`` bytes: header, blocks, checksum and length."""
    return len(_HEADER) + size + 5 * max(1, math.ceil(size / _BLOCK)) + 8


def sha256(path: Path, *, beat: Callable[[], None]) -> str:
    """The SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for part in _chunks(file):
            digest.update(part)
            beat()
    return digest.hexdigest()


def _estimate(tar: Path, beat: Callable[[], None]) -> Estimate:
    """Compress blocks from all parts of the tar: 0.3 s of 240 MB, in place of 9 s."""
    size = tar.stat().st_size
    sampled = compressed = 0
    seconds = {"stored": 0.0, "compressed": 0.0}
    with tar.open("rb") as file:
        for block in _sample(file, size):
            sampled += len(block)
            forms = {"stored": _gzip(block, 0), "compressed": _gzip(block, LEVEL)}
            compressed += len(forms["compressed"])
            for name, form in forms.items():
                seconds[name] += min(_gunzip_seconds(form) for _ in range(_TURNS))
            beat()
    factor = size / max(1, sampled)
    return Estimate(
        stored_bytes=stored_size(size),
        compressed_bytes=round(compressed * factor),
        stored_s=round(seconds["stored"] * factor, 6),
        compressed_s=round(seconds["compressed"] * factor, 6),
        sampled=sampled,
    )


def _sample(file: IO[bytes], size: int) -> Iterator[bytes]:
    if size <= _SAMPLE_BLOCK * _SAMPLE_BLOCKS:
        yield file.read()
        return
    for number in range(_SAMPLE_BLOCKS):
        file.seek((size - _SAMPLE_BLOCK) * number // (_SAMPLE_BLOCKS - 1))
        yield file.read(_SAMPLE_BLOCK)


def _gzip(data: bytes, level: int) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def _gunzip_seconds(data: bytes) -> float:
    began = time.perf_counter()
    zlib.decompress(data, 31)
    return time.perf_counter() - began


def _write(tar: Path, archive: Path, packing: Packing, beat: Callable[[], None]) -> str:
    """Write the archive anew; return the SHA-256 of the very bytes that went into it."""
    archive.unlink(missing_ok=True)
    digest, checksum, size = hashlib.sha256(), 0, 0

    def counted(file: IO[bytes], length: int) -> Iterator[bytes]:
        nonlocal checksum, size
        for part in _chunks(file, length):
            digest.update(part)
            checksum = zlib.crc32(part, checksum)
            size += len(part)
            yield part
            beat()

    with tar.open("rb") as source, archive.open("xb") as out:
        out.write(_HEADER)
        if packing == Packing.STORED:
            _store(counted(source, 16 * _BLOCK), os.fstat(source.fileno()).st_size, out)
        else:
            packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -15)
            for part in counted(source, _CHUNK):
                out.write(packer.compress(part))
            out.write(packer.flush())
        out.write(struct.pack("<II", checksum, size & 0xFFFFFFFF))
    return digest.hexdigest()


def _store(parts: Iterator[bytes], size: int, out: IO[bytes]) -> None:
    """Deflate's stored blocks, written here since zlib's block sizes differ between versions."""
    left = size
    for part in parts:
        for start in range(0, len(part), _BLOCK):
            block = part[start : start + _BLOCK]
            left -= len(block)
            out.write(struct.pack("<BHH", left == 0, len(block), len(block) ^ 0xFFFF))
            out.write(block)


def _chunks(file: IO[bytes], size: int = _CHUNK) -> Iterator[bytes]:
    while part := file.read(size):
        yield part
