"""Objects in S3, as plain functions; their errors are those of core.errors."""

import base64
import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from core import aws
from core.errors import AlreadyExists, AwsError, NotFound
from core.sentences import phrase
from models_catalog.models import Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import (
        CompletedPartTypeDef,
        CopySourceTypeDef,
        ObjectIdentifierTypeDef,
    )

_MARK = "mme-copy"
_PART_BYTES = aws.PART_BYTES
# S3 User Guide, "Amazon S3 multipart upload limits"; the last part may be smaller.
MOST_PARTS, LEAST_PART_BYTES = 10_000, 5 << 20
#: Keys that one DeleteObjects may name (S3 API).
MOST_DELETED = 1_000
_COPIED_AT_ONCE = 4
_ADDRESS_S = 60


@dataclass(frozen=True)
class StoredObject:
    """An object as S3 lists it: its key, size in bytes, when it was written, and its ETag."""

    key: str
    size: int
    modified: datetime
    etag: str


def _client(
    bucket: str, timeouts: aws.Timeouts = aws.JOB, *, signs_bodies: bool = True
) -> "S3Client":
    """The client for a bucket: of its region, and encrypting as its stores want it."""
    facts = Store.objects.facts_of(bucket)
    if not signs_bodies:
        return aws.s3(timeouts, facts, signs_bodies=False)
    if facts == aws.OF_SETTINGS:
        return aws.s3() if timeouts == aws.JOB else aws.s3(timeouts)
    return aws.s3(timeouts, facts)


def upload(
    *,
    bucket: str,
    key: str,
    file: IO[bytes],
    beat: Callable[[], None] | None = None,
) -> None:
    """Stream ``file`` to ``key`` in parts; nothing is there until all of it is. A user waits.

    ``beat`` is called every second meanwhile; what it raises is raised when the upload has ended.
    """

    client = _client(bucket, aws.PAGE)

    def work() -> None:
        with aws.translated(phrase("uploading to %(uri)s", uri=f"s3://{bucket}/{key}")):
            usual = aws.TRANSFER if beat is None else aws.JOINING
            client.upload_fileobj(file, bucket, key, Config=usual)

    if beat is None:
        work()
    else:
        beating(work, beat=beat)


def put(
    *,
    bucket: str,
    objects: Mapping[str, bytes],
    beat: Callable[[], None],
    meanwhile: Callable[[], None],
) -> None:
    """Write bytes that are at hand, by key: all at once. A user waits; ``beat`` as of `upload`.

    ``meanwhile`` is called in another thread while S3 takes them, and asks no database. The bytes
    are hashed there, or when they are joined: what S3 has must have that SHA-256 when a version is
    validated, so they are not hashed once more for a signature.
    """
    client = _client(bucket, aws.PAGE, signs_bodies=False)

    def work(key: str, data: bytes) -> None:
        with aws.translated(phrase("uploading to %(uri)s", uri=f"s3://{bucket}/{key}")):
            client.put_object(Bucket=bucket, Key=key, Body=data)

    works = [partial(work, key, data) for key, data in objects.items()]
    beating(*works, meanwhile, beat=beat)


def beating(*works: Callable[[], None], beat: Callable[[], None]) -> None:
    """Do works that ask no database, each in a thread, and call ``beat`` every second meanwhile.

    Raises what a work raises, when all have ended.
    """
    with ThreadPoolExecutor(len(works)) as threads:
        working = [threads.submit(work) for work in works]
        while wait(working, timeout=1).not_done:
            beat()
        for one in working:
            one.result()


def download(*, bucket: str, key: str) -> Iterator[bytes]:
    """The object's bytes, in order, in parts of up to 1 MiB. Raises NotFound at the first."""
    yield from downloader(bucket)(key)


def downloader(bucket: str) -> Callable[[str], Iterator[bytes]]:
    """What gives the bytes of a key as `download` does; other threads may call it.

    They ask the database nothing, so none of them opens a connection to it.
    """
    client = _client(bucket)

    def parts(key: str) -> Iterator[bytes]:
        with aws.translated(phrase("reading %(uri)s", uri=f"s3://{bucket}/{key}")):
            yield from client.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(1 << 20)

    return parts


def joiner(bucket: str, source: str) -> Callable[[Sequence[str], str], None]:
    """What makes one object in a bucket of others in ``source``, by their keys, in that order.

    S3 does it, and no bytes travel. Each but the last has LEAST_PART_BYTES or more, and there are
    at most MOST_PARTS. Other threads may call it: they ask the database nothing.
    """
    client = _client(bucket)

    def join(keys: Sequence[str], key: str) -> None:
        with aws.translated(phrase("writing %(uri)s", uri=f"s3://{bucket}/{key}")):
            upload_id = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]

            def part(number: int) -> "CompletedPartTypeDef":
                done = client.upload_part_copy(
                    Bucket=bucket,
                    Key=key,
                    UploadId=upload_id,
                    PartNumber=number,
                    CopySource={"Bucket": source, "Key": keys[number - 1]},
                )
                return {"PartNumber": number, "ETag": done["CopyPartResult"].get("ETag", "")}

            try:
                with ThreadPoolExecutor(_COPIED_AT_ONCE) as threads:
                    parts = list(threads.map(part, range(1, len(keys) + 1)))
                client.complete_multipart_upload(
                    Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts}
                )
            except BaseException:
                _give_up(client, bucket, key, upload_id)
                raise

    return join


def exists(*, bucket: str, key: str) -> bool:
    """Whether there is an object at ``key``.

    Asked of the list: for a key that is not there HeadObject needs a right to list the whole
    bucket, else it answers 403 (S3 API, HeadObject), where a list can be allowed by prefix.
    """
    return find(bucket=bucket, key=key) is not None


def find(*, bucket: str, key: str) -> StoredObject | None:
    """The object at ``key`` as S3 lists it; None where there is none."""
    listed = listing(bucket=bucket, prefix=key)
    return next((found for found in listed if found.key == key), None)


def publish(*, bucket: str, key: str, path: Path, beat: Callable[[], None]) -> None:
    """Put the file at ``path`` to ``key`` where nothing is yet; raises AlreadyExists.

    ``beat`` is called before each part; what it raises ends the upload, and nothing is there then.
    S3 refuses the write itself (If-None-Match; S3 API PutObject, CompleteMultipartUpload), also
    where two callers race. For servers that ignore the condition, it is looked first whether the
    object exists; there two callers are kept apart by the lease of the version's row.
    """
    if exists(bucket=bucket, key=key):
        raise AlreadyExists(
            phrase("There is an object at %(uri)s already.", uri=f"s3://{bucket}/{key}")
        )
    with (
        aws.translated(phrase("publishing %(uri)s", uri=f"s3://{bucket}/{key}")),
        path.open("rb") as file,
    ):
        beat()
        size = os.fstat(file.fileno()).st_size
        if size <= _PART_BYTES:
            _client(bucket).put_object(Bucket=bucket, Key=key, Body=file, IfNoneMatch="*")
        else:
            _put_in_parts(bucket, key, file, max(_PART_BYTES, -(-size // MOST_PARTS)), beat)


def _put_in_parts(
    bucket: str, key: str, file: IO[bytes], part_bytes: int, beat: Callable[[], None]
) -> None:
    """As boto3's transfers do; those cannot set the condition when they complete an upload."""
    client = _client(bucket)
    upload_id = client.create_multipart_upload(
        Bucket=bucket,
        Key=key,
        ChecksumAlgorithm="CRC32",  # botocore sends it with each part
    )["UploadId"]
    try:
        parts: list[CompletedPartTypeDef] = []
        while data := file.read(part_bytes):
            beat()
            number = len(parts) + 1
            done = client.upload_part(
                Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=data
            )
            part: CompletedPartTypeDef = {"PartNumber": number, "ETag": done["ETag"]}
            if "ChecksumCRC32" in done:
                part["ChecksumCRC32"] = done["ChecksumCRC32"]
            parts.append(part)
        beat()
        client.complete_multipart_upload(
            Bucket=bucket,
            Key=key,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            IfNoneMatch="*",
        )
    except BaseException:
        _give_up(client, bucket, key, upload_id)
        raise


def copy(*, bucket: str, source_key: str, key: str, beat: Callable[[], None]) -> None:
    """Copy an object on S3's side, in parts where it is large; raises NotFound.

    ``beat`` is called every second meanwhile.
    """

    client = _client(bucket)

    def work() -> None:
        source: CopySourceTypeDef = {"Bucket": bucket, "Key": source_key}
        with aws.translated(phrase("copying to %(uri)s", uri=f"s3://{bucket}/{key}")):
            client.copy(source, bucket, key, Config=aws.COPY)

    beating(work, beat=beat)


def copy_new(
    *, bucket: str, source_key: str, size: int, key: str, mark: str, beat: Callable[[], None]
) -> str:
    """Copy an object of ``size`` bytes on S3's side to a key where nothing is yet.

    ``mark``, of ASCII letters, is written with it, and `opened` gives it. Gives the SHA-256 of the
    copy, in hex; empty where S3 did not say it. Raises AlreadyExists, and NotFound where there is
    no source. ``beat`` as that of `copy`. S3 refuses the write itself, as in `publish`.
    """
    if exists(bucket=bucket, key=key):
        raise AlreadyExists(
            phrase("There is an object at %(uri)s already.", uri=f"s3://{bucket}/{key}")
        )
    source: CopySourceTypeDef = {"Bucket": bucket, "Key": source_key}
    client, said = _client(bucket), ""

    def work() -> None:
        nonlocal said
        with aws.translated(phrase("copying to %(uri)s", uri=f"s3://{bucket}/{key}")):
            if size <= aws.COPY.multipart_threshold:
                answer = client.copy_object(
                    Bucket=bucket,
                    Key=key,
                    CopySource=source,
                    ChecksumAlgorithm="SHA256",
                    MetadataDirective="REPLACE",
                    Metadata={_MARK: mark},
                    IfNoneMatch="*",
                )
                said = answer["CopyObjectResult"].get("ChecksumSHA256", "")
            else:
                _copy_in_parts(client, bucket, key, source, size, mark)

    beating(work, beat=beat)
    return base64.b64decode(said).hex()


@dataclass(frozen=True)
class OpenedObject:
    """What S3 says of an object whose bytes are asked for: how many, and the mark of `copy_new`.

    ``mark`` is empty where something else wrote it.
    """

    size: int
    mark: str


def opened(*, bucket: str, key: str) -> OpenedObject:
    """Ask for an object and read nothing of it: for that a role needs no right to list its folder.

    Raises NotFound, or Denied where the role may not list it.
    """
    with aws.translated(phrase("reading %(uri)s", uri=f"s3://{bucket}/{key}")):
        answer = _client(bucket).get_object(Bucket=bucket, Key=key)
        answer["Body"].close()
        return OpenedObject(answer["ContentLength"], answer["Metadata"].get(_MARK, ""))


def _copy_in_parts(
    client: "S3Client", bucket: str, key: str, source: "CopySourceTypeDef", size: int, mark: str
) -> None:
    started = client.create_multipart_upload(Bucket=bucket, Key=key, Metadata={_MARK: mark})
    upload_id, part_bytes = started["UploadId"], aws.COPY.multipart_chunksize
    try:
        parts: list[CompletedPartTypeDef] = []
        for begin in range(0, size, part_bytes):
            end = min(begin + part_bytes, size) - 1
            done = client.upload_part_copy(
                Bucket=bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=len(parts) + 1,
                CopySource=source,
                CopySourceRange=f"bytes={begin}-{end}",
            )
            parts.append(
                {"PartNumber": len(parts) + 1, "ETag": done["CopyPartResult"].get("ETag", "")}
            )
        client.complete_multipart_upload(
            Bucket=bucket,
            Key=key,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            IfNoneMatch="*",
        )
    except BaseException:
        _give_up(client, bucket, key, upload_id)
        raise


def _give_up(client: "S3Client", bucket: str, key: str, upload_id: str) -> None:
    # Its parts would be paid for. Where this fails too, a sweep does it (publication.py).
    with contextlib.suppress(AwsError), aws.translated(phrase("giving an upload up")):
        client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)


@dataclass(frozen=True)
class UnfinishedUpload:
    """A write in parts that was neither completed nor given up, and when it was begun."""

    key: str
    upload_id: str
    begun: datetime


def unfinished(*, bucket: str, prefix: str) -> Iterator[UnfinishedUpload]:
    """The writes in parts to keys that begin with ``prefix``; none of them is an object yet."""
    with aws.translated(phrase("listing %(uri)s", uri=f"s3://{bucket}/{prefix}")):
        pager = _client(bucket).get_paginator("list_multipart_uploads")
        for page in pager.paginate(Bucket=bucket, Prefix=prefix):
            for one in page.get("Uploads", []):
                yield UnfinishedUpload(one["Key"], one["UploadId"], one["Initiated"])


def give_up(*, bucket: str, upload: UnfinishedUpload) -> None:
    """Have S3 forget the parts of a write that nobody completes any more; idempotent."""
    with aws.translated(phrase("giving an upload up")):
        client = _client(bucket)
        with contextlib.suppress(client.exceptions.NoSuchUpload):
            client.abort_multipart_upload(Bucket=bucket, Key=upload.key, UploadId=upload.upload_id)


def sha256(*, bucket: str, key: str, beat: Callable[[], None]) -> str:
    """The SHA-256 of an object in hex; it is read in parts, and ``beat`` called after each."""
    digest = hashlib.sha256()
    for part in download(bucket=bucket, key=key):
        digest.update(part)
        beat()
    return digest.hexdigest()


def browser_address(*, bucket: str, key: str, name: str) -> str:
    """An address at which anybody who has it may download the object as ``name``, for a minute.

    ``name`` is of letters that need no quoting. A download that has begun goes on. The bytes are
    kept as they are: a browser would unpack what was put with a Content-Encoding of gzip.
    """
    with aws.translated(phrase("signing an address of %(uri)s", uri=f"s3://{bucket}/{key}")):
        client = aws.s3_for_browsers(*filter(None, [Store.objects.facts_of(bucket).region]))
        return client.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": bucket,
                "Key": key,
                "ResponseContentDisposition": f'attachment; filename="{name}"',
                "ResponseContentType": "application/gzip",
                "ResponseContentEncoding": "identity",
            },
            ExpiresIn=_ADDRESS_S,
        )


@dataclass(frozen=True)
class SmallObject:
    """The bytes of a small object, and the ETag by which it can be replaced."""

    data: bytes
    etag: str


def read(*, bucket: str, key: str) -> SmallObject | None:
    """A small object; None where there is none, as far as the role may list its prefix."""
    try:
        with aws.translated(phrase("reading %(uri)s", uri=f"s3://{bucket}/{key}")):
            answer = _client(bucket).get_object(Bucket=bucket, Key=key)
            return SmallObject(answer["Body"].read(), answer["ETag"])
    except NotFound:
        return None


def replace(*, bucket: str, key: str, data: bytes, found: SmallObject | None) -> None:
    """Write a small JSON object where still is what was ``found``; else an AwsError is raised."""
    condition: dict[str, Any] = {"IfMatch": found.etag} if found else {"IfNoneMatch": "*"}
    with aws.translated(phrase("writing %(uri)s", uri=f"s3://{bucket}/{key}")):
        _client(bucket).put_object(
            Bucket=bucket,
            Key=key,
            Body=data,
            ContentType="application/json",
            CacheControl="no-cache",
            **condition,
        )


def delete(*, bucket: str, key: str, timeouts: aws.Timeouts = aws.JOB) -> None:
    """Delete ``key``; no error where it is not there."""
    with aws.translated(phrase("deleting %(uri)s", uri=f"s3://{bucket}/{key}")):
        _client(bucket, timeouts).delete_object(Bucket=bucket, Key=key)


def delete_all(*, bucket: str, keys: Sequence[str], timeouts: aws.Timeouts = aws.JOB) -> None:
    """Delete these keys, by one request for a thousand; no error where one is not there.

    Raises the error of the first that S3 kept.
    """
    with aws.translated(phrase("deleting %(uri)s", uri=f"s3://{bucket}/{keys[0] if keys else ''}")):
        client = _client(bucket, timeouts)
        for begin in range(0, len(keys), MOST_DELETED):
            some = keys[begin : begin + MOST_DELETED]
            objects: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in some]
            answer = client.delete_objects(
                Bucket=bucket, Delete={"Objects": objects, "Quiet": True}
            )
            for kept in answer.get("Errors", []):
                code, message = kept.get("Code", ""), kept.get("Message", "")
                raise aws.refused(code, message, "DeleteObjects")


def listing(
    *, bucket: str, prefix: str, timeouts: aws.Timeouts = aws.JOB
) -> Iterator[StoredObject]:
    """All objects whose keys begin with ``prefix``, page by page."""
    with aws.translated(phrase("listing %(uri)s", uri=f"s3://{bucket}/{prefix}")):
        pager = _client(bucket, timeouts).get_paginator("list_objects_v2")
        pages = pager.paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for item in page.get("Contents", []):
                yield StoredObject(
                    key=item["Key"],
                    size=item["Size"],
                    modified=item["LastModified"],
                    etag=item["ETag"],
                )


def look(*, bucket: str, prefix: str) -> datetime | None:
    """Ask for one key below ``prefix``, within seconds; raises an AwsError where it cannot be.

    Gives S3's time, to the second. It needs no right but to list that prefix, which the portal's
    role has (docs/aws.md).
    """
    with aws.translated(phrase("looking into %(uri)s", uri=f"s3://{bucket}/{prefix}")):
        answer = _client(bucket, aws.PROBE).list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    return aws.date_of(answer["ResponseMetadata"]["HTTPHeaders"])
