"""Bring a model from S3 to an instance's disk: download and unpack in one stream.

The archive is never kept: bytes go from the socket through the decompressor into files.
Archives are unpacked as a stranger's: whatever would leave the folder, is not a plain
file or folder, or is too much, is refused, and the folder appears only when complete.
"""

import contextlib
import io
import logging
import os
import shutil
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from isal import igzip
from isal.igzip_lib import IsalError

log = logging.getLogger(__name__)

_CHUNK = 1024 * 1024
_MAX_FILES = 10_000
_ATTEMPTS = 3
# isal's stubs call IsalError an instance.
_BROKEN_ARCHIVE: Any = (tarfile.TarError, EOFError, IsalError, igzip.BadGzipFile)


class FetchError(Exception):
    """The model could not be brought; ``kind`` says whose fault that is."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind  # "missing" | "archive" | "storage" | "disk"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What it took: waiting for S3, everything else, and what lies on disk now."""

    download_ms: float
    unpack_ms: float
    archive_bytes: int
    unpacked_bytes: int


def s3_client(region: str, endpoint: str | None) -> Any:
    """The one S3 client of the process; boto3's clients may be used from many threads."""
    config = Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"max_attempts": 3, "mode": "standard"},
        max_pool_connections=32,
    )
    return boto3.client("s3", region_name=region, endpoint_url=endpoint, config=config)


def fetch_model(s3: Any, bucket: str, key: str, folder: Path, *, max_bytes: int) -> Fetched:
    """Unpack ``s3://bucket/key`` into ``folder``, which must not exist. Raises FetchError."""
    for attempt in range(1, _ATTEMPTS + 1):
        staging = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            fetched = _fetch(s3, bucket, key, staging, max_bytes)
            staging.rename(folder)
            return fetched
        except FetchError as error:
            if error.kind != "storage" or attempt == _ATTEMPTS:
                raise
            log.warning("download of s3://%s/%s, attempt %s: %s", bucket, key, attempt, error)
            time.sleep(0.2 * attempt)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    raise AssertionError("unreachable")


def _fetch(s3: Any, bucket: str, key: str, staging: Path, max_bytes: int) -> Fetched:
    start = time.perf_counter()
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in (403, 404):
            raise FetchError("missing", str(error)) from error
        raise FetchError("storage", str(error)) from error
    except BotoCoreError as error:
        raise FetchError("storage", str(error)) from error
    source = _TimedStream(answer["Body"], time.perf_counter() - start)
    with contextlib.closing(answer["Body"]):
        unpacked = unpack(source, staging, max_bytes=max_bytes)
        source.drain()
    if source.bytes_read != answer["ContentLength"]:
        raise FetchError(
            "storage",
            f"the download ended after {source.bytes_read} of {answer['ContentLength']} bytes",
        )
    total = time.perf_counter() - start
    return Fetched(
        download_ms=source.seconds * 1000,
        unpack_ms=(total - source.seconds) * 1000,
        archive_bytes=source.bytes_read,
        unpacked_bytes=unpacked,
    )


class _TimedStream(io.RawIOBase):
    """A readable stream over an S3 body that counts bytes and seconds waited for."""

    def __init__(self, body: Any, seconds: float) -> None:
        self._body = body
        self.seconds = seconds
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.take(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def take(self, size: int) -> bytes:
        start = time.perf_counter()
        try:
            data: bytes = self._body.read(size)
        except Exception as error:  # botocore, urllib3 and socket each have their own
            raise FetchError("storage", f"the download broke off: {error}") from error
        finally:
            self.seconds += time.perf_counter() - start
        self.bytes_read += len(data)
        return data

    def drain(self) -> None:
        while self.take(_CHUNK):
            pass


def unpack(source: IO[bytes] | io.RawIOBase, folder: Path, *, max_bytes: int) -> int:
    """Unpack a gzipped tar stream into ``folder``; the bytes written. Raises FetchError."""
    written = 0
    buffered = io.BufferedReader(source, _CHUNK) if isinstance(source, io.RawIOBase) else source
    try:
        with (
            igzip.open(buffered, "rb") as plain,
            tarfile.open(fileobj=plain, mode="r|", bufsize=_CHUNK) as tar,
        ):
            for count, member in enumerate(tar, start=1):
                if count > _MAX_FILES:
                    raise FetchError("archive", f"the archive holds more than {_MAX_FILES} files")
                target = folder / _safe_name(member)
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                written += member.size
                if written > max_bytes:
                    raise FetchError(
                        "disk", f"the archive unpacks to more than {max_bytes} bytes of disk"
                    )
                target.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(member)
                assert content is not None
                with target.open("wb") as out:
                    shutil.copyfileobj(content, out, _CHUNK)
    except _BROKEN_ARCHIVE as error:
        raise FetchError("archive", f"not a sound .tar.gz: {error}") from error
    except OSError as error:
        if isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
            raise FetchError("archive", f"the archive's names clash: {error}") from error
        raise FetchError("disk", str(error)) from error
    return written


def _safe_name(member: tarfile.TarInfo) -> str:
    """The member's path below the folder; raises FetchError where it is none."""
    if not (member.isreg() or member.isdir()):
        raise FetchError(
            "archive", f"{member.name!r} is neither a file nor a folder (a link or a device)"
        )
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\0" in member.name:
        raise FetchError("archive", f"{member.name!r} leads out of the archive's folder")
    return os.fspath(path)


def folder_bytes(folder: Path) -> int:
    return sum(entry.stat().st_size for entry in folder.rglob("*") if entry.is_file())
