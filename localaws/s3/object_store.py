"""Objects as plain files of a folder: ROOT/BUCKET/KEY.

An object's attributes (ETag, type, metadata, tags, checksums) are in ROOT/.localaws-s3/meta, in a
file named by the key and by the object's size and time. So object and attributes appear together,
when the file is renamed. A file that another program wrote has no attributes and is an object too;
its ETag is made of its size and time.

A key that cannot be a path (``a/`` or ``a//b``, ``..``, names above 255 bytes, ``a/b`` where ``a``
is an object) is stored under its digest in ROOT/.localaws-s3/odd.

A file is written under a temporary name and renamed when it is complete, so a killed server leaves
the object as it was. An object that becomes a part of another shares its file with that part until
the upload is completed. Nothing is synced to disk: a power cut may lose the last seconds of writes.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import heapq
import json
import logging
import mimetypes
import os
import re
import shutil
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from .s3_errors import S3Error, no_such_key

log = logging.getLogger(__name__)

OWN = ".localaws-s3"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}", re.ASCII)
_MAX_KEY_BYTES = 1024
_COPY = 64 * 1024 * 1024


class FolderInUse(Exception):
    """Another server has the folder."""


@dataclass(frozen=True, slots=True)
class ObjectAttributes:
    """The attributes of an object."""

    etag: str
    headers: dict[str, str] = field(default_factory=dict)
    """Content-Type and similar headers, by name."""
    metadata: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    """By algorithm, in base64: of the whole object, or "…-N" of its N parts."""
    encryption: dict[str, str] = field(default_factory=dict)
    """The x-amz-server-side-encryption* headers that it was written with."""
    parts: list[int] = field(default_factory=list)
    """Sizes of the parts that it was uploaded in; empty: in one."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object: its path, size, time and attributes."""

    key: str
    path: Path
    size: int
    mtime_ns: int
    description: ObjectAttributes

    @property
    def modified(self) -> float:
        return self.mtime_ns / 1e9


Condition = Callable[[StoredObject | None], None]
"""Called with the object that a write would replace; raises S3Error to refuse the write."""


class ObjectStore:
    """The objects below ``root``; one server at a time has it. Raises FolderInUse."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root.absolute()
        self._own = self.root / OWN
        self._temporary = self._own / "tmp"
        self._meta = self._own / "meta"
        self._odd = self._own / "odd"
        self.uploads = self._own / "uploads"
        self._own.mkdir(mode=0o700, exist_ok=True)
        self._held = (self._own / "lock").open("a")
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._held.close()
            raise FolderInUse(f"another server has the folder {self.root}") from None
        shutil.rmtree(self._temporary, ignore_errors=True)
        for folder in (self._temporary, self._meta, self._odd, self.uploads):
            folder.mkdir(exist_ok=True)
        self.lock = threading.RLock()
        """Held while an object is renamed or deleted, not while its bytes are read or written."""
        self._last_ns = 0

    def close(self) -> None:
        self._held.close()

    # --- buckets ---------------------------------------------------------------------------------

    def buckets(self) -> list[tuple[str, float]]:
        """Names, and the creation times that the folders have."""
        with os.scandir(self.root) as entries:
            found = [
                (entry.name, entry.stat().st_ctime)
                for entry in entries
                if _BUCKET.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            ]
        return sorted(found)

    def bucket(self, name: str) -> Path:
        path = self.root / name
        if not _BUCKET.fullmatch(name) or path.is_symlink() or not path.is_dir():
            raise S3Error("NoSuchBucket", "The specified bucket does not exist")
        return path

    def create_bucket(self, name: str) -> None:
        if not _BUCKET.fullmatch(name) or ".." in name or _ADDRESS.fullmatch(name):
            raise S3Error("InvalidBucketName", "The specified bucket is not valid.")
        with self.lock:
            try:
                (self.root / name).mkdir()
            except FileExistsError:
                raise S3Error(
                    "BucketAlreadyOwnedByYou",
                    "Your previous request to create the named bucket succeeded and you already "
                    "own it.",
                ) from None

    def delete_bucket(self, name: str) -> None:
        """Delete a bucket without objects, with the empty folders in it."""
        with self.lock:
            path = self.bucket(name)
            if next(self.listing(name), None) is not None:
                raise S3Error("BucketNotEmpty", "The bucket you tried to delete is not empty")
            for folder, _, files in os.walk(path, topdown=False):
                if files:  # not an object: a link, or a name that is not UTF-8
                    raise S3Error(
                        "BucketNotEmpty", "There are files in the bucket's folder that S3 never had"
                    )
                with contextlib.suppress(NotADirectoryError):
                    os.rmdir(folder)
            for place in (self._meta, self._odd):
                shutil.rmtree(place / name, ignore_errors=True)

    # --- objects ---------------------------------------------------------------------------------

    def find(self, bucket: str, key: str) -> StoredObject:
        """Raises NoSuchBucket, NoSuchKey."""
        found, file = self.open(bucket, key)
        file.close()
        return found

    def open(self, bucket: str, key: str) -> tuple[StoredObject, IO[bytes]]:
        """An object and its open file, which a later write does not change.

        Raises NoSuchBucket, NoSuchKey.
        """
        self.bucket(bucket)
        for _ in range(5):
            for path in self._places(bucket, key):
                try:
                    # Does not block on a FIFO, which is not an object.
                    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                    file = os.fdopen(os.open(path, flags), "rb", buffering=0)
                except OSError:
                    continue
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    file.close()
                    continue
                described = self._read_attributes(bucket, key, status)
                if described is None and _was_replaced(path, status):
                    file.close()  # it was replaced meanwhile: try again
                    break
                if described is None:
                    described = _default_attributes(key, status)
                found = StoredObject(key, path, status.st_size, status.st_mtime_ns, described)
                return found, file
            else:
                break
        raise no_such_key()

    def temporary(self) -> Path:
        """A new path for a file that will become an object or a part."""
        return self._temporary / uuid.uuid4().hex

    def commit(
        self,
        bucket: str,
        key: str,
        written: Path,
        description: ObjectAttributes,
        condition: Condition = lambda found: None,
    ) -> StoredObject:
        """Make the file ``written`` the object, atomically with its attributes."""
        check_key(key)
        with self.lock:
            self.bucket(bucket)
            before = self._find(bucket, key)
            condition(before)
            path = self._place(bucket, key)
            self._last_ns = max(time.time_ns(), self._last_ns + 1000)
            os.utime(written, ns=(self._last_ns, self._last_ns))
            status = written.stat()
            self._write_attributes(bucket, key, status, description)
            if path.parent == self._odd / bucket:
                self._write(path.with_suffix(".key"), key)
            os.rename(written, path)
            if before is not None and (before.size, before.mtime_ns) != (
                status.st_size,
                status.st_mtime_ns,
            ):
                self._delete_attributes(bucket, before)
        return StoredObject(key, path, status.st_size, status.st_mtime_ns, description)

    def update_attributes(self, bucket: str, key: str, **changes: Any) -> None:
        """Change attributes of an object; its bytes, time and ETag stay."""
        with self.lock:
            found = self.find(bucket, key)
            description = dataclasses.replace(found.description, **changes)
            self._write_attributes(bucket, key, found.path.stat(), description)

    def delete(self, bucket: str, key: str, condition: Condition = lambda found: None) -> None:
        """Delete an object and the folders that are empty then. A missing object is no error."""
        with self.lock:
            root = self.bucket(bucket)
            found = self._find(bucket, key)
            condition(found)
            if found is None:
                return
            found.path.unlink()
            self._delete_attributes(bucket, found)
            if found.path.parent == self._odd / bucket:
                found.path.with_suffix(".key").unlink(missing_ok=True)
                return
            parent = found.path.parent
            while parent != root:
                try:
                    parent.rmdir()
                except OSError:
                    break
                parent = parent.parent

    def listing(
        self, bucket: str, prefix: str = "", after: str = "", *, fold: bool = False
    ) -> Iterator[str]:
        """Keys after ``after``, in the order of their bytes.

        With ``fold`` all keys below a folder under ``prefix`` are one name that ends with "/".
        """
        root = self.bucket(bucket)
        plain = _walk(root, "", prefix, after, fold=fold)
        odd = self._odd_keys(bucket, prefix, after)
        return _merged(plain, odd)

    # --- within ----------------------------------------------------------------------------------

    def _find(self, bucket: str, key: str) -> StoredObject | None:
        try:
            return self.find(bucket, key)
        except S3Error as error:
            if error.code != "NoSuchKey":
                raise
        return None

    def _places(self, bucket: str, key: str) -> Iterator[Path]:
        """The paths at which an object may be."""
        if _is_plain(key):
            path = self.root / bucket / key
            if not self._is_linked(path):
                yield path
        yield self._odd / bucket / _digest(key)

    def _is_linked(self, path: Path) -> bool:
        """Whether a folder of the path is a symbolic link, which may lead out of the bucket."""
        for parent in path.parents:
            if parent.parent == self.root:
                return False
            if parent.is_symlink():
                return True
        raise AssertionError(f"{path} is not below {self.root}")

    def _place(self, bucket: str, key: str) -> Path:
        """The path for a new object; its folder is created."""
        odd = self._odd / bucket / _digest(key)
        if _is_plain(key) and not odd.exists():
            path = self.root / bucket / key
            try:
                if not self._is_linked(path):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if not path.is_dir() or path.is_symlink():
                        return path
                    # S3 has no empty folders; this one was left by another program.
                    with contextlib.suppress(OSError):
                        path.rmdir()
                        return path
            except (FileExistsError, NotADirectoryError):
                pass  # a prefix of this key is an object
        odd.parent.mkdir(exist_ok=True)
        return odd

    def _odd_keys(self, bucket: str, prefix: str, after: str) -> Iterator[str]:
        folder = self._odd / bucket
        found = []
        if folder.is_dir():
            for path in folder.glob("*.key"):
                with contextlib.suppress(FileNotFoundError):
                    key = path.read_text()
                    if key.startswith(prefix) and path.with_suffix("").exists():
                        found.append(key)
        beyond = after.encode()
        yield from (key for key in sorted(found, key=str.encode) if key.encode() > beyond)

    def _attributes_path(self, bucket: str, key: str, status: os.stat_result) -> Path:
        digest = _digest(key)
        name = f"{digest}.{status.st_size}.{status.st_mtime_ns}.json"
        return self._meta / bucket / digest[:2] / name

    def _read_attributes(
        self, bucket: str, key: str, status: os.stat_result
    ) -> ObjectAttributes | None:
        try:
            return ObjectAttributes(
                **json.loads(self._attributes_path(bucket, key, status).read_text())
            )
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _write_attributes(
        self, bucket: str, key: str, status: os.stat_result, description: ObjectAttributes
    ) -> None:
        path = self._attributes_path(bucket, key, status)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._write(path, json.dumps(dataclasses.asdict(description)))

    def _write(self, path: Path, text: str) -> None:
        """Replace the content of a file, atomically."""
        written = self.temporary()
        written.write_text(text)
        os.replace(written, path)

    def _delete_attributes(self, bucket: str, found: StoredObject) -> None:
        digest = _digest(found.key)
        name = f"{digest}.{found.size}.{found.mtime_ns}.json"
        (self._meta / bucket / digest[:2] / name).unlink(missing_ok=True)


def check_key(key: str) -> None:
    """Raises KeyTooLongError or InvalidURI for a key that S3 does not take."""
    if len(key.encode()) > _MAX_KEY_BYTES:
        raise S3Error("KeyTooLongError", "Your key is too long")
    if "\0" in key:
        raise S3Error("InvalidURI", "Couldn't parse the specified URI.")


def _is_plain(key: str) -> bool:
    """Whether the key can be a path below the bucket's folder."""
    return "\0" not in key and all(
        0 < len(name.encode()) <= 255 and name not in (".", "..") for name in key.split("/")
    )


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _was_replaced(path: Path, status: os.stat_result) -> bool:
    try:
        now = path.lstat()
    except OSError:
        return True
    return (now.st_ino, now.st_mtime_ns) != (status.st_ino, status.st_mtime_ns)


def _default_attributes(key: str, status: os.stat_result) -> ObjectAttributes:
    """The attributes of a file that another program wrote.

    The ETag has the form of a multipart upload's, which clients do not take for an MD5.
    """
    made = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:32]
    kind = mimetypes.guess_type(key)[0] or "binary/octet-stream"
    return ObjectAttributes(f"{made}-1", {"Content-Type": kind})


def _walk(folder: Path, base: str, prefix: str, after: str, *, fold: bool) -> Iterator[str]:
    """The keys of the files below ``folder``, all of which begin with ``base``."""
    entries = []
    try:
        with os.scandir(folder) as scanned:
            for entry in scanned:
                try:
                    encoded = entry.name.encode()
                except UnicodeEncodeError:
                    continue  # a name that is not UTF-8 is not a key
                if entry.is_dir(follow_symlinks=False):
                    entries.append((encoded + b"/", entry.name))
                elif entry.is_file(follow_symlinks=False):
                    entries.append((encoded, entry.name))
    except (FileNotFoundError, NotADirectoryError):
        return  # it was deleted meanwhile
    beyond = after.encode()
    for order, name in sorted(entries):
        key = base + order.decode()
        wanted = key.startswith(prefix)
        if not order.endswith(b"/"):
            if wanted and key.encode() > beyond:
                yield key
        elif wanted or prefix.startswith(key):
            if key.encode() + b"\xff" <= beyond:
                continue  # all its keys come before ``after``
            below = _walk(folder / name, key, prefix, after, fold=fold)
            if fold and wanted and len(key) > len(prefix):
                if next(below, None) is not None:
                    yield key
            else:
                yield from below


def _merged(one: Iterator[str], other: Iterator[str]) -> Iterator[str]:
    last = None
    for key in heapq.merge(one, other, key=str.encode):
        if key != last:
            yield key
        last = key


def copy_bytes(source: IO[bytes], start: int, count: int, target: IO[bytes]) -> None:
    """Append bytes of a file to another, in the kernel. Raises OSError where there are too few."""
    while count:
        size = min(count, _COPY)
        try:
            copied = os.copy_file_range(source.fileno(), target.fileno(), size, start)
        except OSError:  # copy_file_range does not work between these files
            copied = os.sendfile(target.fileno(), source.fileno(), start, size)
        if not copied:
            raise OSError("a file ended before its end")
        start += copied
        count -= copied


def link_or_copy(source: IO[bytes], found: StoredObject, target: IO[bytes]) -> None:
    """Make the new file ``target`` one with the bytes of an object, whose open file is ``source``.

    It becomes a second name of the object's file: an object is replaced, and never written into.
    So it is for objects that this server wrote, as others may write into theirs. Where the file
    system has no such names, or the object was replaced meanwhile, the bytes are copied.
    """
    link = Path(f"{target.name}.link")
    try:
        os.link(found.path, link, follow_symlinks=False)
        if os.path.samestat(link.lstat(), os.fstat(source.fileno())):
            os.replace(link, target.name)
            return
    except OSError as error:
        log.debug("%s is copied, as it cannot be linked: %s", found.path, error)
    finally:
        link.unlink(missing_ok=True)
    copy_bytes(source, 0, found.size, target)
