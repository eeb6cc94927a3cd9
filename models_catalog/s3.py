"""Objects in S3, as plain functions in our words; errors are those of mmeportal.errors."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import IO

from mmeportal import aws
from mmeportal.errors import AlreadyExists


@dataclass(frozen=True)
class StoredObject:
    """An object as S3 lists it: its key, size in bytes, and when it was written."""

    key: str
    size: int
    modified: datetime


def upload(*, bucket: str, key: str, file: IO[bytes]) -> None:
    """Stream ``file`` to ``key`` in parts; nothing is there until all of it is. A user waits."""
    with aws.translated(f"uploading to s3://{bucket}/{key}"):
        aws.s3(aws.PAGE).upload_fileobj(file, bucket, key, Config=aws.TRANSFER)


def download(*, bucket: str, key: str) -> Iterator[bytes]:
    """The object's bytes, in order, in parts of up to 1 MiB. Raises NotFound at the first."""
    with aws.translated(f"reading s3://{bucket}/{key}"):
        yield from aws.s3().get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(1 << 20)


def exists(*, bucket: str, key: str) -> bool:
    """Whether there is an object at ``key``.

    Asked of the list: for a key that is not there HeadObject needs a right to list the whole
    bucket, else it answers 403 (S3 API, HeadObject), where a list can be allowed by prefix.
    """
    return any(found.key == key for found in listing(bucket=bucket, prefix=key))


def publish(*, bucket: str, source_key: str, key: str) -> None:
    """Copy ``source_key`` to ``key`` where nothing is yet; raises AlreadyExists, NotFound.

    S3 refuses the copy by itself (If-None-Match, S3 API CopyObject) even where two callers
    race. Servers that take no notice of the condition get the look beforehand; there it is the
    database, with one row for a key and one lease for a row, that keeps two callers apart.
    """
    if exists(bucket=bucket, key=key):
        raise AlreadyExists(f"There is an object at s3://{bucket}/{key} already.")
    with aws.translated(f"publishing s3://{bucket}/{key}"):
        aws.s3().copy_object(
            Bucket=bucket,
            Key=key,
            CopySource={"Bucket": bucket, "Key": source_key},
            IfNoneMatch="*",
        )


def delete(*, bucket: str, key: str) -> None:
    """Delete ``key``; no error where it is not there."""
    with aws.translated(f"deleting s3://{bucket}/{key}"):
        aws.s3().delete_object(Bucket=bucket, Key=key)


def listing(*, bucket: str, prefix: str) -> Iterator[StoredObject]:
    """All objects whose keys begin with ``prefix``, page by page."""
    with aws.translated(f"listing s3://{bucket}/{prefix}"):
        pages = aws.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for page in pages:
            for item in page.get("Contents", []):
                yield StoredObject(
                    key=item["Key"], size=item["Size"], modified=item["LastModified"]
                )


def look(*, bucket: str, prefix: str) -> datetime | None:
    """Ask for one key below ``prefix``, within seconds; raises an AwsError where it cannot be.

    Gives S3's time, to the second. It needs no right but to list that prefix, which the portal's
    role has (docs/aws.md).
    """
    with aws.translated(f"looking into s3://{bucket}/{prefix}"):
        answer = aws.s3(aws.GLANCE).list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    return aws.date_of(answer["ResponseMetadata"]["HTTPHeaders"])
