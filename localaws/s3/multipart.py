"""Multipart uploads: one folder for each, with a file for each part."""

import collections
import hashlib
import json
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from . import checksums
from .body import MAX_OBJECT, Received
from .object_store import Condition, ObjectAttributes, ObjectStore, StoredObject, copy_bytes
from .s3_errors import S3Error

MIN_PART = 5 * 1024 * 1024
MAX_PARTS = 10_000
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Upload:
    """What CreateMultipartUpload asked for."""

    id: str
    bucket: str
    key: str
    initiated: float
    description: ObjectAttributes
    algorithm: str = ""
    """The checksum algorithm; empty where none was asked for."""
    is_full_object: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A stored part."""

    number: int
    etag: str
    size: int
    modified: float
    file: str
    checksums: dict[str, str]


@dataclass(frozen=True, slots=True)
class ListedPart:
    """A part as CompleteMultipartUpload lists it."""

    number: int
    etag: str
    checksums: dict[str, str]


class Uploads:
    """The unfinished uploads of a store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._root = store.uploads
        self._completing: set[str] = set()
        self._changed = threading.Condition()
        self._completed: collections.OrderedDict[str, tuple[tuple[str, str], StoredObject]] = (
            collections.OrderedDict()
        )

    def create(self, upload: Upload) -> Upload:
        self._store.bucket(upload.bucket)
        upload = replace(upload, id=uuid.uuid4().hex)
        written = self._store.temporary()
        written.mkdir()
        (written / "upload.json").write_text(json.dumps(asdict(upload)))
        written.rename(self._root / upload.id)
        return upload

    def get(self, bucket: str, key: str, upload_id: str) -> Upload:
        """Raises NoSuchBucket, NoSuchUpload."""
        self._store.bucket(bucket)
        upload = self._read(upload_id) if _ID.fullmatch(upload_id) else None
        if upload is None or (upload.bucket, upload.key) != (bucket, key):
            raise S3Error(
                "NoSuchUpload",
                "The specified upload does not exist. The upload ID may be invalid, or the upload "
                "may have been aborted or completed.",
            )
        return upload

    def all(self, bucket: str) -> list[Upload]:
        """The uploads of a bucket, by key and then by time."""
        self._store.bucket(bucket)
        found = [self._read(path.name) for path in self._root.iterdir()]
        uploads = [one for one in found if one is not None and one.bucket == bucket]
        return sorted(uploads, key=lambda one: (one.key.encode(), one.initiated))

    def add(self, upload: Upload, number: int, written: Path, received: Received) -> Part:
        """Store the file ``written`` as the part of that number; an earlier one is replaced."""
        if not 1 <= number <= MAX_PARTS:
            raise S3Error(
                "InvalidArgument",
                f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive",
            )
        folder = self._root / upload.id
        part = Part(
            number, received.md5, received.size, time.time(), uuid.uuid4().hex, received.checksums
        )
        declared = written.with_suffix(".json")
        with self._changed:
            if upload.id in self._completing:
                raise S3Error("NoSuchUpload", "The upload is being completed.")
            before = self._part(folder, number)
            try:
                declared.write_text(json.dumps(asdict(part)))
                os.rename(written, folder / part.file)
                os.replace(declared, folder / f"{number:05d}.json")
            except FileNotFoundError:
                raise S3Error(
                    "NoSuchUpload", "The upload was aborted or completed meanwhile."
                ) from None
            finally:
                declared.unlink(missing_ok=True)
            if before is not None:
                (folder / before.file).unlink(missing_ok=True)
        return part

    def parts(self, upload: Upload) -> list[Part]:
        folder = self._root / upload.id
        names = sorted(path.stem for path in folder.glob("?????.json"))
        found = (self._part(folder, int(name)) for name in names)
        return [part for part in found if part is not None]

    def abort(self, upload: Upload) -> None:
        with self._changed:
            if upload.id in self._completing:
                raise S3Error("NoSuchUpload", "The upload is being completed.")
            self._remove(upload.id)

    def abort_all(self, bucket: str) -> None:
        """Abort the uploads of a bucket that is deleted."""
        for upload in self._uploads_of(bucket):
            self._remove(upload.id)

    def completed(self, bucket: str, key: str, upload_id: str) -> StoredObject | None:
        """The object of a completed upload; completion is idempotent (S3 API)."""
        place, found = self._completed.get(upload_id, (None, None))
        return found if place == (bucket, key) else None

    def complete(
        self,
        upload: Upload,
        listed: list[ListedPart],
        condition: Condition,
        expected: dict[str, str],
    ) -> StoredObject:
        """Join the listed parts to the object. ``expected``: checksums of the whole object.

        A client that timed out and asks again meanwhile gets the same result.
        """
        with self._changed:
            self._changed.wait_for(lambda: upload.id not in self._completing)
            done = self.completed(upload.bucket, upload.key, upload.id)
            if done is not None:
                return done
            self._completing.add(upload.id)
        try:
            found = self._complete(upload, listed, condition, expected)
            self._completed[upload.id] = (upload.bucket, upload.key), found
            while len(self._completed) > 1000:
                self._completed.popitem(last=False)
            self._remove(upload.id)
            return found
        finally:
            with self._changed:
                self._completing.discard(upload.id)
                self._changed.notify_all()

    # --- within ----------------------------------------------------------------------------------

    def _complete(
        self,
        upload: Upload,
        listed: list[ListedPart],
        condition: Condition,
        expected: dict[str, str],
    ) -> StoredObject:
        parts = list(self._parts_to_join(upload, listed))
        if any(part.size < MIN_PART for part in parts[:-1]):
            raise S3Error(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed object size.",
            )
        self._check_before(upload, condition)
        folder = self._root / upload.id
        written = self._store.temporary()
        try:
            with written.open("wb", buffering=0) as target:
                for part in parts:
                    with (folder / part.file).open("rb", buffering=0) as source:
                        copy_bytes(source, 0, part.size, target)
            md5 = hashlib.md5(
                b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False
            )
            description = replace(
                upload.description,
                etag=f"{md5.hexdigest()}-{len(parts)}",
                checksums=_checksums(upload, parts, written, expected),
                parts=[part.size for part in parts],
            )
            return self._store.commit(upload.bucket, upload.key, written, description, condition)
        finally:
            written.unlink(missing_ok=True)

    def _check_before(self, upload: Upload, condition: Condition) -> None:
        """Check the condition before the parts are copied, not only afterwards."""
        try:
            condition(self._store.find(upload.bucket, upload.key))
        except S3Error as error:
            if error.code != "NoSuchKey":
                raise
            condition(None)

    def _parts_to_join(self, upload: Upload, listed: list[ListedPart]) -> Iterator[Part]:
        folder = self._root / upload.id
        last = 0
        for one in listed:
            if one.number <= last:
                raise S3Error(
                    "InvalidPartOrder",
                    "The list of parts was not in ascending order. The parts list must be "
                    "specified in order by part number.",
                )
            last = one.number
            part = self._part(folder, one.number)
            differs = part is None or any(
                part.checksums.get(name, value) != value for name, value in one.checksums.items()
            )
            if part is None or part.etag != one.etag or differs:
                raise S3Error(
                    "InvalidPart",
                    "One or more of the specified parts could not be found. The part may not have "
                    "been uploaded, or the specified entity tag may not match the part's entity "
                    "tag.",
                )
            yield part

    def _part(self, folder: Path, number: int) -> Part | None:
        try:
            return Part(**json.loads((folder / f"{number:05d}.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def _read(self, upload_id: str) -> Upload | None:
        try:
            declared: dict[str, Any] = json.loads(
                (self._root / upload_id / "upload.json").read_text()
            )
            return Upload(**declared | {"description": ObjectAttributes(**declared["description"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _uploads_of(self, bucket: str) -> list[Upload]:
        found = [self._read(path.name) for path in self._root.iterdir()]
        return [one for one in found if one is not None and one.bucket == bucket]

    def _remove(self, upload_id: str) -> None:
        gone = self._store.temporary()
        try:
            os.rename(self._root / upload_id, gone)  # atomic: no part is added meanwhile
        except FileNotFoundError:
            return
        shutil.rmtree(gone, ignore_errors=True)


def _checksums(
    upload: Upload, parts: list[Part], whole: Path, expected: dict[str, str]
) -> dict[str, str]:
    """The checksums of an object of parts. Raises BadDigest, InvalidRequest."""
    # A value with "-N" is made of the N parts' checksums, any other of all bytes.
    of_whole = {
        name: checksums.decoded(name, value) for name, value in expected.items() if "-" not in value
    }
    wanted = {name: checksums.new(name) for name in of_whole}
    name = upload.algorithm
    if name and upload.is_full_object:
        wanted.setdefault(name, checksums.new(name))
    if wanted:
        with whole.open("rb", buffering=0) as file:
            while block := file.read(1024 * 1024):
                for digest in wanted.values():
                    digest.update(block)
    found = {made: checksums.encoded(digest.digest()) for made, digest in wanted.items()}
    if name and not upload.is_full_object and all(name in part.checksums for part in parts):
        of_parts = checksums.new(name)
        for part in parts:
            of_parts.update(checksums.decoded(name, part.checksums[name]))
        found[name] = f"{checksums.encoded(of_parts.digest())}-{len(parts)}"
    for given, value in expected.items():
        if given in of_whole:
            differs = wanted[given].digest() != of_whole[given]
        else:
            differs = found.get(given) != value
        if differs:
            raise S3Error(
                "BadDigest",
                f"The {given.upper()} you specified did not match the calculated checksum.",
            )
    return found


def check_size(size: int) -> None:
    if size > MAX_OBJECT:
        raise S3Error(
            "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size."
        )
