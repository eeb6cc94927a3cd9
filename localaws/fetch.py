"""Bring a model from S3 to an instance's disk: download and unpack in one stream.

The archive is never kept: ranges of it are read ahead in parallel, go through ISA-L's
decompressor on a thread of its own, and into files.
Archives are unpacked as a stranger's: whatever would leave the folder, is not a plain
file or folder, or is too much, is refused, and the folder appears only when complete.
"""

import collections
import contextlib
import errno
import functools
import io
import itertools
import logging
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from isal import igzip, igzip_threaded
from isal.igzip_lib import IsalError
from urllib3.exceptions import HTTPError

from .keys import Key
from .removal import remove

log = logging.getLogger(__name__)

_CHUNK = 1024 * 1024
_PART = 8 * 1024 * 1024
_AHEAD = 4
_MAX_FILES = 10_000
# Removing a folder follows about a thousand, and an instance must be able to remove each model.
_MAX_FOLDERS_DEEP = 32
_MAX_LINKS_FOLLOWED = 40  # as Linux does
_MAX_STEPS = 1_000_000  # along the names that all links of an archive lead by
_MAX_TARGET_BYTES = 4095  # of a link: Linux's PATH_MAX
_MAX_HEADER_BYTES = 4 * 1024 * 1024
_ATTEMPTS = 3
_NO_SUCH_KEY = {"InvalidArgument", "InvalidBucketName", "InvalidURI", "KeyTooLongError"}
"""What S3 servers say, with 400, of a name that no object can have ("../a.tar.gz", say)."""
# isal's stubs call IsalError an instance.
_BROKEN_ARCHIVE: Any = (tarfile.TarError, EOFError, IsalError, igzip.BadGzipFile)
# What tarfile lets through of headers that lie: numbers that are none, chains of headers.
_BROKEN_ARCHIVE += (ValueError, OverflowError, RecursionError)


class FetchError(Exception):
    """The model could not be brought; ``kind`` says whose fault that is."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind  # "missing" | "archive" | "storage" | "disk" | "size": more than there is


@dataclass(frozen=True, slots=True)
class Fetched:
    """What it took: waiting for S3, everything else, and what lies on disk now."""

    download_ms: float
    unpack_ms: float
    archive_bytes: int
    unpacked_bytes: int


def s3_client(region: str, endpoint: str | None, key: Key | None = None) -> Any:
    """The one S3 client of the process; boto3's clients may be used from many threads.

    Without ``key`` it has the credentials that boto3 finds.
    """
    config = Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"max_attempts": 3, "mode": "standard"},
        max_pool_connections=32,
    )
    return boto3.client(
        "s3",
        region_name=region,
        endpoint_url=endpoint,
        config=config,
        aws_access_key_id=key.access_key if key else None,
        aws_secret_access_key=key.secret if key else None,
        aws_session_token=key.token if key else None,
    )


Claim = Callable[[int], None]
"""Told before each file how many bytes there will be in all; what it raises ends the unpacking."""


def fetch_model(
    s3: Any,
    bucket: str,
    key: str,
    folder: Path,
    *,
    max_bytes: int,
    claim: Claim = lambda total: None,
) -> Fetched:
    """Unpack ``s3://bucket/key`` into ``folder``, which must not exist. Raises FetchError."""
    for attempt in range(1, _ATTEMPTS + 1):
        staging = folder.with_name(f"{folder.name}.part")
        remove(staging)
        staging.mkdir(parents=True)
        try:
            fetched = _fetch(s3, bucket, key, staging, max_bytes, claim)
            staging.rename(folder)
            return fetched
        except FetchError as error:
            if error.kind != "storage" or attempt == _ATTEMPTS:
                raise
            log.warning("download of s3://%s/%s, attempt %s: %s", bucket, key, attempt, error)
            time.sleep(0.2 * attempt)
        finally:
            remove(staging)
    raise AssertionError("unreachable")


def _fetch(s3: Any, bucket: str, key: str, staging: Path, max_bytes: int, claim: Claim) -> Fetched:
    start = time.perf_counter()
    with contextlib.closing(Download(s3, bucket, key)) as source:
        unpacked = unpack(source, staging, max_bytes=max_bytes, claim=claim)
        source.drain()
        total = time.perf_counter() - start
    return Fetched(
        download_ms=source.seconds * 1000,
        unpack_ms=(total - source.seconds) * 1000,
        archive_bytes=source.bytes_read,
        unpacked_bytes=unpacked,
    )


class Download(io.RawIOBase):
    """An S3 object as a stream, read ahead in parallel ranges.

    ``seconds`` is the time that the reader had to wait for S3. Reading and opening raise
    FetchError. What is read ahead is bounded: ``_AHEAD`` parts of ``_PART`` bytes.
    """

    def __init__(self, s3: Any, bucket: str, key: str) -> None:
        self._get = functools.partial(_get_range, s3, bucket, key)
        self.seconds = 0.0
        self.bytes_read = 0
        self._part = memoryview(b"")
        self._pool: ThreadPoolExecutor | None = None
        self._ahead: collections.deque[Future[bytes]] = collections.deque()
        with self._waiting():
            first, self._size, self._etag = self._get(0, _PART)
        self._next = len(first)  # where the part that is asked for next begins
        self._part = memoryview(first)
        if self._next < self._size:
            self._pool = ThreadPoolExecutor(_AHEAD, thread_name_prefix="range")
            for _ in range(_AHEAD):
                self._ask()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._part and self._ahead:
            with self._waiting():
                self._part = memoryview(self._ahead.popleft().result())
            self._ask()
        count = min(len(buffer), len(self._part))
        buffer[:count] = self._part[:count]
        self._part = self._part[count:]
        self.bytes_read += count
        return count

    def drain(self) -> None:
        """Read to the end: what is cut short there is noticed, too."""
        scratch = bytearray(_CHUNK)
        while self.readinto(scratch):
            pass

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        super().close()

    def _ask(self) -> None:
        if self._pool is None or self._next >= self._size:
            return
        start, size = self._next, min(_PART, self._size - self._next)
        self._next += size
        self._ahead.append(self._pool.submit(self._rest, start, size))

    def _rest(self, start: int, size: int) -> bytes:
        data, total, etag = self._get(start, size)
        if (total, etag) != (self._size, self._etag):
            raise FetchError("storage", "the object was overwritten while it was downloaded")
        if len(data) != size:
            raise FetchError("storage", f"S3 sent {len(data)} bytes of {size}")
        return data

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - start


def _get_range(s3: Any, bucket: str, key: str, start: int, size: int) -> tuple[bytes, int, str]:
    """Bytes of an object from ``start``, at most ``size``; its whole size; its ETag."""
    try:
        answer = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{start + size - 1}")
        with contextlib.closing(answer["Body"]) as body:
            data = body.read()
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status == 416 and start == 0:  # an empty object has no first byte
            return b"", 0, ""
        missing = status in (403, 404) or error.response["Error"].get("Code") in _NO_SUCH_KEY
        raise FetchError("missing" if missing else "storage", str(error)) from error
    except (BotoCoreError, HTTPError, OSError) as error:
        raise FetchError("storage", f"the download broke off: {error}") from error
    total = int(answer.get("ContentRange", f"/{len(data)}").rpartition("/")[2])
    return data, total, answer["ETag"]


def unpack(
    source: IO[bytes] | io.RawIOBase,
    folder: Path,
    *,
    max_bytes: int,
    claim: Claim = lambda total: None,
) -> int:
    """Unpack a gzipped tar stream into ``folder``; the bytes written. Raises FetchError.

    As GNU tar does: all gzip members, sparse files with their holes, the last of two files of one
    name. What follows the end is refused. Links become the files that they lead to, once all is
    there; one that leads to no file of the archive leads nowhere, and is left out.
    """
    buffered = io.BufferedReader(source, _CHUNK) if isinstance(source, io.RawIOBase) else source
    try:
        with igzip_threaded.open(buffered, "rb", threads=1) as plain:
            guarded: Any = _Guarded(plain)
            with _Tar.open(fileobj=guarded, mode="r|", bufsize=_CHUNK, tarinfo=_Header) as tar:
                return _members(tar, folder, max_bytes, claim)
    except _BROKEN_ARCHIVE as error:
        raise FetchError("archive", f"not a sound .tar.gz: {error}") from error
    except OSError as error:
        if isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
            raise FetchError("archive", f"the archive's names clash: {error}") from error
        if error.errno == errno.ENAMETOOLONG:  # no lack of room, for which others would be unloaded
            raise FetchError("archive", "a name in the archive is too long") from error
        raise FetchError("disk", str(error)) from error


def _members(tar: Any, folder: Path, max_bytes: int, claim: Claim) -> int:
    written = count = 0
    links: dict[str, str] = {}
    while (member := tar.next()) is not None:
        count += 1
        if count > _MAX_FILES:
            raise FetchError("archive", f"the archive holds more than {_MAX_FILES} files")
        name = _safe_name(member)
        target = folder / name
        if member.isdir() or (member.name.endswith("/") and not member.size):
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if name in links or (member.issym() and target.exists()):
            raise FetchError("archive", f"the archive's names clash: {name!r} is a link, and more")
        target.unlink(missing_ok=True)  # never written to: it may be another name's file as well
        if member.issym():
            if not 0 < len(os.fsencode(member.linkname)) <= _MAX_TARGET_BYTES:
                raise FetchError("archive", f"{name!r} is a link that leads nowhere")
            links[name] = member.linkname
            continue
        if member.islnk() and _safe_path(member.linkname) in links:
            links[name] = links[_safe_path(member.linkname)]
            continue
        if member.islnk():
            _link(folder / _safe_path(member.linkname), target)
            continue
        written += member.size
        if written > max_bytes:
            raise FetchError("size", f"the archive unpacks to more than {max_bytes} bytes of disk")
        claim(written)
        content = tar.extractfile(member)
        with target.open("xb") as out:
            shutil.copyfileobj(content, out, _CHUNK)
    while rest := tar.fileobj.read(_CHUNK):
        if rest.strip(b"\0"):
            raise FetchError("archive", "not a sound .tar.gz: something follows the archive's end")
    for name in links:
        if os.path.lexists(folder / name):
            raise FetchError("archive", f"the archive's names clash: files below the link {name!r}")
    steps = itertools.count(1)
    for name in links:
        place = _lead(name, links, folder, steps)
        if place is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _link(place, folder / name)
    return written


class _Guarded:
    """A stream of which headers take no more than ``_MAX_HEADER_BYTES``, a file's each.

    tarfile keeps what they say in memory, however long it is.
    """

    def __init__(self, plain: Any) -> None:
        self._plain = plain
        self.left: int | None = _MAX_HEADER_BYTES

    def read(self, size: int) -> bytes:
        data: bytes = self._plain.read(size)
        if self.left is not None:
            self.left -= len(data)
            if self.left < 0:
                raise FetchError("archive", "not a sound .tar.gz: its headers are too long")
        return data


class _Tar(tarfile.TarFile):
    """An archive whose headers are bounded, and understood by GNU tar and tarfile alike."""

    def next(self) -> tarfile.TarInfo | None:
        """The next member; None at the end. Raises FetchError."""
        if self.firstmember is not None:  # type: ignore[attr-defined]
            # It was read and looked at when the archive was opened.
            return super().next()
        self.ahead: set[bytes] = set()
        guarded = self.fileobj.fileobj  # type: ignore[attr-defined]
        guarded.left = _MAX_HEADER_BYTES
        try:
            member = super().next()
        finally:
            guarded.left = None
        if member is not None:
            self._hold_unambiguous(member)
        return member

    def _hold_unambiguous(self, member: Any) -> None:
        said = {"path": tarfile.GNUTYPE_LONGNAME, "linkpath": tarfile.GNUTYPE_LONGLINK}
        if any(key in member.pax_headers and kind in self.ahead for key, kind in said.items()):
            raise FetchError("archive", "not a sound .tar.gz: two headers tell the same")
        if said.keys() & self.pax_headers.keys():
            raise FetchError("archive", "not a sound .tar.gz: one header names all files")
        told = {key for key in member.pax_headers if key.startswith("GNU.sparse")}
        if (told and not member.issparse()) or "GNU.sparse.offset" in told:
            raise FetchError("archive", "not a sound .tar.gz: a sparse file in no known form")
        if member.issparse():
            pax = member.pax_headers
            blocks = pax.get("GNU.sparse.numblocks")
            old = member.type == tarfile.GNUTYPE_SPARSE or "GNU.sparse.major" in pax
            if not old and blocks != str(len(member.sparse)):
                raise FetchError("archive", "not a sound .tar.gz: a sparse file in disorder")
            end = stored = 0
            for offset, count in member.sparse:
                if offset < end or (count and stored % tarfile.BLOCKSIZE):
                    raise FetchError("archive", "not a sound .tar.gz: a sparse file in disorder")
                end, stored = offset + count, stored + count
            if end != member.size:
                raise FetchError("archive", "not a sound .tar.gz: a sparse file without an end")


class _Header(tarfile.TarInfo):
    """A header as GNU tar reads it, where tarfile differs."""

    _map: bytes

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Raises FetchError for a damaged header, with which tarfile ends an archive silently."""
        if 0 < len(buf) < tarfile.BLOCKSIZE and buf.strip(b"\0"):
            raise FetchError("archive", "not a sound .tar.gz: it is cut short")
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.InvalidHeaderError as error:  # type: ignore[attr-defined]
            raise FetchError("archive", f"not a sound .tar.gz: {error}") from error
        header._map = bytes(buf[386:495])
        if buf[257:263] != tarfile.POSIX_MAGIC[:6]:  # where others have a prefix, GNU has times
            name = bytes(buf[:100]).partition(b"\0")[0].decode(encoding, errors)
            header.name = name.rstrip("/") if header.isdir() else name
        return header

    def _proc_sparse(self, archive: Any) -> Self:
        """The parts of a sparse file; tarfile leaves out the one that says where the file ends."""
        block, more, places, parts = self._map, self._map[96], 4, []
        while True:
            for at in range(0, 24 * places, 24):
                if not block[at + 12]:
                    break
                offset, count = block[at : at + 12], block[at + 12 : at + 24]
                parts.append((tarfile.nti(offset), tarfile.nti(count)))  # type: ignore[attr-defined]
            if not more:
                break
            block = archive.fileobj.read(tarfile.BLOCKSIZE)
            if len(block) < tarfile.BLOCKSIZE:
                raise FetchError("archive", "not a sound .tar.gz: it is cut short")
            more, places = block[504], 21
        self.sparse = parts  # type: ignore[assignment]
        self.offset_data = archive.fileobj.tell()
        archive.offset = self.offset_data + self._block(self.size)  # type: ignore[attr-defined]
        self.size = tarfile.nti(self._map[97:109])  # type: ignore[attr-defined]
        return self

    def _proc_member(self, archive: Any) -> Self:
        """Raises FetchError where two headers say the same of one file: readers take either."""
        if self.type in _BEFORE_A_MEMBER:
            if self.type in archive.ahead:
                raise FetchError("archive", "not a sound .tar.gz: two headers tell the same")
            archive.ahead.add(self.type)
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


_BEFORE_A_MEMBER = {
    tarfile.XHDTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


def _link(place: Path, target: Path) -> None:
    if not place.is_file():
        raise FetchError("archive", f"a link leads to {place.name!r}, which is no file before it")
    os.link(place, target)


def _lead(name: str, links: dict[str, str], folder: Path, steps: Iterator[int]) -> Path | None:
    """The file below ``folder`` that a link leads to by ``links``; None where there is none.

    ``folder`` holds no links itself. ``steps`` counts the names on the ways of all links; raises
    FetchError where they are too many.
    """
    todo, place, hops = name.split("/")[::-1], list[str](), 0
    while todo:
        if next(steps) > _MAX_STEPS:
            raise FetchError("archive", "the archive's links lead by too many folders")
        part = todo.pop()
        if part == "..":
            if not place:
                return None
            place.pop()
        elif part not in ("", "."):
            place.append(part)
            leads_to = links.get("/".join(place))
            if leads_to is not None:
                hops += 1
                if hops > _MAX_LINKS_FOLLOWED or leads_to.startswith("/"):
                    return None
                place.pop()
                todo += leads_to.split("/")[::-1]
            elif todo and not folder.joinpath(*place).is_dir():
                return None
    found = folder.joinpath(*place)
    return found if found.is_file() else None


def _safe_name(member: tarfile.TarInfo) -> str:
    """The member's path below the folder; raises FetchError where it is none."""
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise FetchError("archive", f"{member.name!r} is neither a file, a folder nor a link")
    if member.size and member.name.endswith("/"):
        raise FetchError("archive", f"{member.name!r} is a file and a folder at once")
    return _safe_path(member.name)


def _safe_path(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise FetchError("archive", f"{name!r} leads out of the archive's folder")
    if len(path.parts) > _MAX_FOLDERS_DEEP:
        raise FetchError(
            "archive", f"{name[:60]!r}… lies more than {_MAX_FOLDERS_DEEP} folders deep"
        )
    return os.fspath(path)
