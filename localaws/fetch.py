"""Download a model from S3 and unpack it, in one stream.

The archive is not stored: ranges are prefetched in parallel, decompressed by ISA-L on a thread of
its own, and written to files. The archive is untrusted: paths that leave the folder, members other
than files, folders and links, and archives that are too large are refused. The folder appears only
when it is complete.
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
_PREFETCHED_PARTS = 4
_MAX_FILES = 10_000
# shutil.rmtree fails at about a thousand, and each model must be removable.
_MAX_FOLDERS_DEEP = 32
_MAX_LINKS_FOLLOWED = 40  # as Linux does
_MAX_STEPS = 1_000_000  # path components visited to resolve all links of an archive
_MAX_TARGET_BYTES = 4095  # of a link: Linux's PATH_MAX
_MAX_HEADER_BYTES = 4 * 1024 * 1024
_ATTEMPTS = 3
_NO_SUCH_KEY = {"InvalidArgument", "InvalidBucketName", "InvalidURI", "KeyTooLongError"}
"""Codes with status 400 for an impossible key, such as "../a.tar.gz"."""
# isal's stubs call IsalError an instance.
_BROKEN_ARCHIVE: Any = (tarfile.TarError, EOFError, IsalError, igzip.BadGzipFile)
# What tarfile raises for malformed headers: bad numbers, long chains of headers.
_BROKEN_ARCHIVE += (ValueError, OverflowError, RecursionError)


class FetchError(Exception):
    """The model could not be downloaded or unpacked; ``kind`` says why."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind  # "missing", "archive", "storage", "disk" or "size" (larger than the disk)


@dataclass(frozen=True, slots=True)
class Fetched:
    """Milliseconds of waiting for S3, and of everything else."""

    download_ms: float
    unpack_ms: float


def s3_client(region: str, endpoint: str | None, key: Key | None = None) -> Any:
    """The one S3 client of the process; boto3's clients may be used from many threads.

    Without ``key`` boto3 finds the credentials.
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


ReserveDisk = Callable[[int], None]
"""Called before each file with the total of bytes; an exception ends the unpacking."""


def fetch_model(
    s3: Any,
    bucket: str,
    key: str,
    folder: Path,
    *,
    max_bytes: int,
    claim: ReserveDisk = lambda total: None,
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


def _fetch(
    s3: Any, bucket: str, key: str, staging: Path, max_bytes: int, claim: ReserveDisk
) -> Fetched:
    start = time.perf_counter()
    with contextlib.closing(Download(s3, bucket, key)) as source:
        unpack(source, staging, max_bytes=max_bytes, claim=claim)
        source.drain()
        total = time.perf_counter() - start
    return Fetched(
        download_ms=source.seconds * 1000,
        unpack_ms=(total - source.seconds) * 1000,
    )


class Download(io.RawIOBase):
    """An S3 object as a stream; ranges are prefetched in parallel.

    ``seconds`` is the time that the reader had to wait for S3. Reading and opening raise
    FetchError. At most ``_PREFETCHED_PARTS`` parts of ``_PART`` bytes are prefetched.
    """

    def __init__(self, s3: Any, bucket: str, key: str) -> None:
        self._get = functools.partial(_get_range, s3, bucket, key)
        self.seconds = 0.0
        self._part = memoryview(b"")
        self._pool: ThreadPoolExecutor | None = None
        self._prefetched: collections.deque[Future[bytes]] = collections.deque()
        with self._waiting():
            first, self._size, self._etag = self._get(0, _PART)
        self._next = len(first)  # offset of the next part to request
        self._part = memoryview(first)
        if self._next < self._size:
            self._pool = ThreadPoolExecutor(_PREFETCHED_PARTS, thread_name_prefix="range")
            for _ in range(_PREFETCHED_PARTS):
                self._request_next()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._part and self._prefetched:
            with self._waiting():
                self._part = memoryview(self._prefetched.popleft().result())
            self._request_next()
        count = min(len(buffer), len(self._part))
        buffer[:count] = self._part[:count]
        self._part = self._part[count:]
        return count

    def drain(self) -> None:
        """Read to the end, to notice an object that is cut short."""
        scratch = bytearray(_CHUNK)
        while self.readinto(scratch):
            pass

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        super().close()

    def _request_next(self) -> None:
        if self._pool is None or self._next >= self._size:
            return
        start, size = self._next, min(_PART, self._size - self._next)
        self._next += size
        self._prefetched.append(self._pool.submit(self._read_part, start, size))

    def _read_part(self, start: int, size: int) -> bytes:
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
    claim: ReserveDisk = lambda total: None,
) -> int:
    """Unpack a gzipped tar stream into ``folder``; the bytes written. Raises FetchError.

    As GNU tar does: all gzip members, sparse files, the last of two files of one name. Data after
    the archive's end is refused. At the end, links are replaced by the files that they lead to; a
    link to no file of the archive is left out.
    """
    buffered = io.BufferedReader(source, _CHUNK) if isinstance(source, io.RawIOBase) else source
    try:
        with igzip_threaded.open(buffered, "rb", threads=1) as plain:
            guarded: Any = _BoundedHeaders(plain)
            with _Tar.open(fileobj=guarded, mode="r|", bufsize=_CHUNK, tarinfo=_Header) as tar:
                return _members(tar, folder, max_bytes, claim)
    except _BROKEN_ARCHIVE as error:
        raise FetchError("archive", f"not a sound .tar.gz: {error}") from error
    except OSError as error:
        if isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
            raise FetchError("archive", f"the archive's names clash: {error}") from error
        if error.errno == errno.ENAMETOOLONG:  # not a lack of room, so nothing is evicted
            raise FetchError("archive", "a name in the archive is too long") from error
        raise FetchError("disk", str(error)) from error


def _members(tar: Any, folder: Path, max_bytes: int, claim: ReserveDisk) -> int:
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
        target.unlink(missing_ok=True)  # not overwritten: it may be a hard link to another file
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
        place = _resolve_link(name, links, folder, steps)
        if place is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _link(place, folder / name)
    return written


class _BoundedHeaders:
    """A stream in which the headers of one member have ``_MAX_HEADER_BYTES`` at most.

    tarfile keeps them in memory, however long they are.
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
    """An archive with bounded headers, which GNU tar and tarfile read in the same way."""

    def next(self) -> tarfile.TarInfo | None:
        """The next member; None at the end. Raises FetchError."""
        if self.firstmember is not None:  # type: ignore[attr-defined]
            # The first member was checked when the archive was opened.
            return super().next()
        self.ahead: set[bytes] = set()
        guarded = self.fileobj.fileobj  # type: ignore[attr-defined]
        guarded.left = _MAX_HEADER_BYTES
        try:
            member = super().next()
        finally:
            guarded.left = None
        if member is not None:
            self._check_unambiguous(member)
        return member

    def _check_unambiguous(self, member: Any) -> None:
        declared = {"path": tarfile.GNUTYPE_LONGNAME, "linkpath": tarfile.GNUTYPE_LONGLINK}
        if any(key in member.pax_headers and kind in self.ahead for key, kind in declared.items()):
            raise FetchError("archive", "not a sound .tar.gz: two headers tell the same")
        if declared.keys() & self.pax_headers.keys():
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
        if (
            buf[257:263] != tarfile.POSIX_MAGIC[:6]
        ):  # GNU headers have times where others have a prefix
            name = bytes(buf[:100]).partition(b"\0")[0].decode(encoding, errors)
            header.name = name.rstrip("/") if header.isdir() else name
        return header

    def _proc_sparse(self, archive: Any) -> Self:
        """The parts of a sparse file, with the one for the end, which tarfile leaves out."""
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
        """Raises FetchError where two headers of one file conflict."""
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


def _resolve_link(
    name: str, links: dict[str, str], folder: Path, steps: Iterator[int]
) -> Path | None:
    """The file below ``folder`` to which a link resolves by ``links``; None where there is none.

    ``folder`` itself has no links. ``steps`` counts the path components of all links; raises
    FetchError where there are too many.
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
    """The member's path below the folder; raises FetchError where it is not valid."""
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
