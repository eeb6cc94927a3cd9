"""Archives in the formats of other archivers, written byte by byte, and the readers of archives.

The readers: the validation's own (container/archive.py), localaws's (localaws/fetch.py), and
GNU tar, which stands for other software.
"""

import gzip
import io
import os
import struct
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from container import archive, findings
from localaws import fetch

MAX_BYTES = 8 * 1024 * 1024
BLOCK = 512

# --- tar -----------------------------------------------------------------------------------------

USTAR, GNU, V7 = b"ustar\x0000", b"ustar  \0", bytes(8)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def header(
    name: bytes,
    *,
    size: int = 0,
    kind: bytes = b"0",
    magic: bytes = USTAR,
    link: bytes = b"",
    prefix: bytes = b"",
    mode: bytes = b"0000644\0",
    owner: bytes = b"0001750\0",
    mtime: bytes = b"14716412345\0",
    device: bytes = bytes(8),
    tail: bytes | None = None,
    checksum: int = 0,
) -> bytes:
    """One header block; ``tail`` begins at byte 345, ``checksum`` may be wrong."""
    block = bytearray(BLOCK)
    block[:100] = name[:100].ljust(100, b"\0")
    block[100:108], block[108:116], block[116:124] = mode, owner, owner
    block[124:136] = b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big")
    block[136:148] = mtime
    block[156:157] = kind
    block[157:257] = link[:100].ljust(100, b"\0")
    block[257:265] = magic
    block[329:337] = device
    if tail is not None:
        block[345 : 345 + len(tail)] = tail
    elif prefix:
        block[345:500] = prefix.ljust(155, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % ((sum(block) + checksum) % 8**6)
    return bytes(block)


def record(key: bytes, value: bytes) -> bytes:
    """One record of a PAX header."""
    length = rest = len(key) + len(value) + 3
    while length != rest + len(str(length)):
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    """A PAX header, for the member that follows (or, of kind ``g``, for all)."""
    data = b"".join(record(*one) for one in records)
    return header(b"PaxHeader/x", size=len(data), kind=kind) + padded(data)


def long(name: bytes, kind: bytes = b"L") -> bytes:
    """GNU's header for a long name, or of kind ``K`` for a long link."""
    data = name + b"\0"
    return header(b"././@LongLink", size=len(data), kind=kind, magic=GNU) + padded(data)


def plain(name: bytes, data: bytes, *, magic: bytes = USTAR, kind: bytes = b"0") -> bytes:
    """A file, its name at most 100 bytes."""
    return header(name, size=len(data), magic=magic, kind=kind) + padded(data)


Parts = Sequence[tuple[int, bytes]]


def whole(parts: Parts, size: int) -> bytes:
    """What a sparse file holds."""
    data = bytearray(size)
    for offset, part in parts:
        data[offset : offset + len(part)] = part
    return bytes(data)


def old_sparse(name: bytes, parts: Parts, size: int) -> bytes:
    """A sparse file in GNU's old form, as ``tar --sparse --format=gnu`` writes it."""
    entries = [b"%011o\0%011o\0" % (offset, len(part)) for offset, part in parts]
    stored = b"".join(part for _, part in parts)
    first, rest = entries[:4], entries[4:]
    tail = bytes(41) + b"".join(first).ljust(96, b"\0") + bytes([bool(rest)]) + b"%011o\0" % size
    blocks = [header(name, size=len(stored), kind=b"S", magic=GNU, tail=tail)]
    while rest:
        now, rest = rest[:21], rest[21:]
        blocks.append((b"".join(now).ljust(504, b"\0") + bytes([bool(rest)])).ljust(BLOCK, b"\0"))
    return b"".join(blocks) + padded(stored)


def pax_sparse(name: bytes, parts: Parts, size: int, version: str) -> bytes:
    """A sparse file in a PAX header; bsdtar writes 1.0 by itself, GNU tar when it is asked."""
    stored = b"".join(part for _, part in parts)
    pairs = [(b"%d" % offset, b"%d" % len(part)) for offset, part in parts]
    inner = b"GNUSparseFile.0/" + name.rpartition(b"/")[2][:80]
    if version == "1.0":
        told = b"%d\n" % len(parts) + b"".join(b"%s\n%s\n" % pair for pair in pairs)
        records = [
            (b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
            (b"GNU.sparse.name", name), (b"GNU.sparse.realsize", b"%d" % size),
        ]  # fmt: skip
        return pax(*records) + plain(inner, padded(told) + stored)
    records = [(b"GNU.sparse.size", b"%d" % size), (b"GNU.sparse.numblocks", b"%d" % len(parts))]
    if version == "0.1":
        flat = [one for pair in pairs for one in pair]
        records += [(b"GNU.sparse.name", name), (b"GNU.sparse.map", b",".join(flat))]
        return pax(*records) + plain(inner, stored)
    for offset, count in pairs:
        records += [(b"GNU.sparse.offset", offset), (b"GNU.sparse.numbytes", count)]
    return pax(*records, (b"path", name)) + plain(inner, stored)


END = bytes(2 * BLOCK)


# --- gzip ----------------------------------------------------------------------------------------


def members(data: bytes, size: int, level: int = 6) -> bytes:
    """``data`` in gzip members of ``size`` bytes each."""
    return b"".join(
        gzip.compress(data[at : at + size], level, mtime=0)
        for at in range(0, max(1, len(data)), size)
    )


def bgzip(data: bytes, size: int = 60_000) -> bytes:
    """``data`` as bgzip packs it: members with their sizes in an extra field, an empty one last."""
    out = []
    for part in [*(data[at : at + size] for at in range(0, len(data), size)), b""]:
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        body = deflate.compress(part) + deflate.flush()
        extra = b"BC\2\0" + struct.pack("<H", len(body) + 25)
        out.append(
            b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H", 6) + extra + body
            + struct.pack("<II", zlib.crc32(part), len(part))
        )  # fmt: skip
    return b"".join(out)


def with_fields(data: bytes, *, checksum: bool = True, fault: int = 0) -> bytes:
    """One gzip member with all optional fields: extra, name, comment, the header's checksum."""
    flags = 0x1C | (2 if checksum else 0)
    head = b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\xff" + struct.pack("<H", 4) + b"AB\0\0"
    head += b"name.tar\0a comment\0"
    if checksum:
        head += struct.pack("<H", (zlib.crc32(head) + fault) & 0xFFFF)
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = deflate.compress(data) + deflate.flush()
    return head + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


# --- readers -------------------------------------------------------------------------------------

Tree = dict[bytes, bytes]


@dataclass(frozen=True)
class Refused:
    """A reader refused the archive; the message says why."""

    why: str


Read = Tree | Refused


def tree(folder: Path) -> Tree:
    """The files below the folder: what links lead to inside it, nothing that lies outside."""
    root = os.fsencode(os.path.realpath(folder))
    found: Tree = {}
    for place, _, names in os.walk(root):
        for name in names:
            path = os.path.join(place, name)
            real = os.path.realpath(path)
            if real.startswith(root + b"/") and os.path.isfile(real):
                with open(real, "rb") as file:
                    found[os.path.relpath(path, root)] = file.read()
    return found


def by_validation(path: Path, folder: Path) -> Read:
    try:
        listed = archive.unpack(path, folder, max_bytes=MAX_BYTES)
    except findings.ArtifactError as error:
        return Refused(f"{error.code}: {error.message}")
    found = tree(folder)
    assert {os.fsencode(one.name): one.bytes for one in listed} == {
        name: len(data) for name, data in found.items()
    }
    return found


def by_localaws(path: Path, folder: Path) -> Read:
    try:
        with path.open("rb") as source:
            fetch.unpack(source, folder, max_bytes=MAX_BYTES)
    except fetch.FetchError as error:
        return Refused(f"{error.kind}: {error}")
    return tree(folder)


def by_gnu_tar(path: Path, folder: Path) -> Read:
    """GNU gzip, then GNU tar: with ``tar -z`` it is chance whether tar hears how gzip ended."""
    plain = folder.with_name(f"{folder.name}.tar")
    with plain.open("wb") as out:
        done = subprocess.run(
            ["gzip", "-dc", str(path)], stdout=out, stderr=subprocess.PIPE, check=False, timeout=60
        )
    if done.returncode == 0:
        done = subprocess.run(
            ["tar", "-x", "-f", str(plain), "-C", str(folder), "--no-same-owner"],
            capture_output=True, check=False, timeout=60, env={**os.environ, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    return tree(folder) if done.returncode == 0 else Refused(done.stderr.decode(errors="replace"))


READERS: dict[str, Callable[[Path, Path], Read]] = {
    "validation": by_validation, "localaws": by_localaws, "GNU tar": by_gnu_tar,
}  # fmt: skip


def packed(path: Path, folder: Path, target: Path) -> archive.Contents | Refused:
    """What the first run of the validation finds, and packs to ``target``."""
    contents = archive.Contents()
    try:
        archive.pack(path, folder, target, max_bytes=MAX_BYTES, contents=contents)
    except findings.ArtifactError as error:
        return Refused(f"{error.code}: {error.message}")
    return contents


def read_tar(data: bytes) -> Tree:
    """What Python's own tarfile finds, of an archive of plain files."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        return {os.fsencode(one.name): tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]
