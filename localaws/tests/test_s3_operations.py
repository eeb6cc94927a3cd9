"""The S3 operations that boto3, the AWS CLI, the JavaScript SDK and mlflow use, against the server.

Each row is what a client does and what S3 answers. What is not offered must be refused with
NotImplemented, and must leave the object as it was.
"""

import base64
import hashlib
import io
import itertools
import os
import random
import subprocess
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import OperationModel

from localaws.s3.operations import OPERATIONS
from localaws.tests.servers import KEY, REGION, SECRET, s3_server

BIG = random.Random(1).randbytes(9 * 1024 * 1024 + 1)
"""More than the 8 MB above which clients take several parts and ranges."""


def client(url: str, **config: Any) -> Any:
    options: dict[str, Any] = {"retries": {"total_max_attempts": 1}, "signature_version": "s3v4"}
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(**options | config),
    )


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_server(tmp_path_factory.mktemp("operations") / "objects") as found:
        yield found


@pytest.fixture(scope="module")
def s3(url: str) -> Any:
    return client(url)


@pytest.fixture(scope="module")
def plain(url: str) -> Any:
    """A client that sends whatever it is given."""
    return client(url, parameter_validation=False, inject_host_prefix=False)


_numbers = itertools.count(1)


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"operations-{next(_numbers)}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


def read(s3: Any, bucket: str, key: str, **more: Any) -> bytes:
    data: bytes = s3.get_object(Bucket=bucket, Key=key, **more)["Body"].read()
    return data


def code(call: Callable[[], object]) -> tuple[str, int]:
    """The code and status of the error that a call must raise."""
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def keys(s3: Any, bucket: str, **more: Any) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, **more).get("Contents", [])]


# --- tags and what is not offered ----------------------------------------------------------------


def test_tags_are_kept_beside_the_object_whose_bytes_stay(s3: Any, bucket: str) -> None:
    """As mlflow.sagemaker does it: the archive is uploaded, then tagged."""
    s3.upload_fileobj(io.BytesIO(BIG), bucket, "models/m.tar.gz")
    before = s3.head_object(Bucket=bucket, Key="models/m.tar.gz")
    tags = [{"Key": "SageMaker", "Value": "true"}]
    s3.put_object_tagging(Bucket=bucket, Key="models/m.tar.gz", Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket=bucket, Key="models/m.tar.gz")["TagSet"] == tags
    assert read(s3, bucket, "models/m.tar.gz") == BIG
    after = s3.head_object(Bucket=bucket, Key="models/m.tar.gz")
    assert (after["ETag"], after["LastModified"]) == (before["ETag"], before["LastModified"])
    assert after["TagCount"] == 1
    s3.delete_object_tagging(Bucket=bucket, Key="models/m.tar.gz")
    assert s3.get_object_tagging(Bucket=bucket, Key="models/m.tar.gz")["TagSet"] == []
    assert read(s3, bucket, "models/m.tar.gz") == BIG


def test_tags_come_with_a_put_and_go_with_a_copy(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x", Tagging="one=1&two=")
    expected = [{"Key": "one", "Value": "1"}, {"Key": "two", "Value": ""}]
    assert s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"] == expected
    s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"})
    assert s3.get_object_tagging(Bucket=bucket, Key="b")["TagSet"] == expected
    s3.put_object(Bucket=bucket, Key="a", Body=b"y")
    assert s3.get_object_tagging(Bucket=bucket, Key="a")["TagSet"] == []


def test_tags_of_what_is_not_there_or_of_no_sense_are_refused(s3: Any, bucket: str) -> None:
    one = {"TagSet": [{"Key": "a", "Value": "b"}]}
    assert code(lambda: s3.put_object_tagging(Bucket=bucket, Key="no", Tagging=one)) == (
        "NoSuchKey",
        404,
    )
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    many = {"TagSet": [{"Key": str(n), "Value": "b"} for n in range(11)]}
    assert code(lambda: s3.put_object_tagging(Bucket=bucket, Key="a", Tagging=many))[1] == 400
    twice = {"TagSet": [{"Key": "a", "Value": "b"}] * 2}
    assert code(lambda: s3.put_object_tagging(Bucket=bucket, Key="a", Tagging=twice)) == (
        "InvalidTag",
        400,
    )


_OFFERED = {one.name for one in OPERATIONS}
_MODEL = boto3.client("s3", region_name=REGION).meta.service_model
_OTHERS = sorted(
    name
    for name in _MODEL.operation_names
    # ListObjectVersions and so on; not those of other hosts, or that end in another operation.
    if name not in _OFFERED and name not in ("WriteGetObjectResponse", "ListDirectoryBuckets")
)


def _least(model: OperationModel, bucket: str) -> dict[str, Any]:
    """The members without which botocore makes no request."""
    values: dict[str, Any] = {"Bucket": bucket, "Key": "kept", "UploadId": "u", "VersionId": "v"}
    shape = model.input_shape
    assert shape is not None
    found = {}
    for name in shape.required_members:
        kind = shape.members[name].type_name
        made = {"list": [], "integer": 1, "boolean": True, "structure": None}.get(kind, "x")
        if kind == "structure":
            made = _of_structure(shape.members[name])
        if kind == "list":
            made = [_of_member(shape.members[name].member)]
        found[name] = values.get(name, made)
    return found


def _of_structure(shape: Any) -> dict[str, Any]:
    return {name: _of_member(shape.members[name]) for name in shape.required_members}


def _of_member(shape: Any) -> Any:
    if shape.type_name == "structure":
        return _of_structure(shape)
    if shape.type_name == "list":
        return [_of_member(shape.member)]
    return {"integer": 1, "boolean": True, "timestamp": 0}.get(
        shape.type_name, shape.enum[0] if getattr(shape, "enum", None) else "x"
    )


@pytest.mark.parametrize("name", _OTHERS)
def test_what_is_not_offered_is_refused_in_whole(s3: Any, plain: Any, name: str) -> None:
    """Every operation that botocore knows and the server does not offer."""
    bucket = "refused"
    if "refused" not in [one["Name"] for one in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="kept", Body=b"as it was")
    methods = plain.meta.method_to_api_mapping
    (call,) = [python for python, api in methods.items() if api == name]
    model = _MODEL.operation_model(name)
    assert code(lambda: getattr(plain, call)(**_least(model, bucket))) in {
        ("NotImplemented", 501)
    } | ({("501", 501)} if model.http["method"] == "HEAD" else set())
    assert read(s3, bucket, "kept") == b"as it was"
    assert keys(s3, bucket) == ["kept"]


@pytest.mark.parametrize(
    "more",
    [
        {"ACL": "public-read"},
        {"GrantRead": "id=1"},
        {"StorageClass": "GLACIER"},
        {"WebsiteRedirectLocation": "/x"},
        {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": "2030-01-01T00:00:00Z"},
        {"ObjectLockLegalHoldStatus": "ON"},
        {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32},
        {"ServerSideEncryption": "aws:kms:dsse"},
        {"WriteOffsetBytes": 3},
        {"IfNoneMatch": '"0cc175b9c0f1b6a831c399e269772661"'},
    ],
    ids=lambda more: next(iter(more)),
)
def test_a_header_that_asks_for_more_is_refused(s3: Any, bucket: str, more: dict[str, Any]) -> None:
    s3.put_object(Bucket=bucket, Key="kept", Body=b"as it was")
    assert code(lambda: s3.put_object(Bucket=bucket, Key="kept", Body=b"new", **more)) == (
        "NotImplemented",
        501,
    )
    assert read(s3, bucket, "kept") == b"as it was"


@pytest.mark.parametrize("call", ["get_object", "head_object", "delete_object"])
def test_versions_are_refused(s3: Any, bucket: str, call: str) -> None:
    s3.put_object(Bucket=bucket, Key="kept", Body=b"as it was")
    assert code(lambda: getattr(s3, call)(Bucket=bucket, Key="kept", VersionId="1"))[1] == 501
    assert read(s3, bucket, "kept") == b"as it was"


# --- reading -------------------------------------------------------------------------------------


def test_a_range_carries_no_checksum_of_the_whole(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="one.bin", Body=BIG)
    whole = s3.get_object(Bucket=bucket, Key="one.bin")
    assert whole["ChecksumCRC32"]
    for asked, expected in {
        "bytes=5-9": BIG[5:10],
        "bytes=-7": BIG[-7:],
        f"bytes={len(BIG) - 3}-": BIG[-3:],
        f"bytes=0-{len(BIG) + 9}": BIG,
        "bytes=0-0": BIG[:1],
    }.items():
        answer = s3.get_object(Bucket=bucket, Key="one.bin", Range=asked)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert not [name for name in answer if name.startswith("Checksum")], asked
        assert answer["Body"].read() == expected
        assert answer["ContentRange"].endswith(f"/{len(BIG)}")
    assert code(
        lambda: s3.get_object(Bucket=bucket, Key="one.bin", Range=f"bytes={len(BIG)}-")
    ) == ("InvalidRange", 416)
    for ignored in ("bytes=9-5", "lines=1-2", "bytes=0-1,4-5", "bytes=a-b"):
        answer = s3.head_object(Bucket=bucket, Key="one.bin", Range=ignored)
        assert answer["ContentLength"] == len(BIG), ignored


def test_what_was_put_in_one_part_is_downloaded_in_ranges(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="one.bin", Body=BIG)
    found = io.BytesIO()
    s3.download_fileobj(bucket, "one.bin", found)
    assert found.getvalue() == BIG


def test_an_object_is_described_as_it_was_put(s3: Any, bucket: str) -> None:
    s3.put_object(
        Bucket=bucket,
        Key="a",
        Body=b"hello",
        ContentType="text/x-a; charset=utf-8",
        CacheControl="no-store",
        ContentDisposition='attachment; filename="ü.txt"'.encode().decode("latin-1"),
        ContentEncoding="gzip",
        ContentLanguage="ko",
        Metadata={"Aa": "b C"},
    )
    found = s3.head_object(Bucket=bucket, Key="a")
    assert found["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert found["ContentLength"] == 5
    assert found["ContentType"] == "text/x-a; charset=utf-8"
    assert found["CacheControl"] == "no-store"
    assert found["ContentEncoding"] == "gzip"
    assert found["ContentLanguage"] == "ko"
    assert found["Metadata"] == {"aa": "b C"}
    assert found["AcceptRanges"] == "bytes"


def test_a_get_may_depend_on_what_is_there(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"x")["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="a")["LastModified"]

    def get(**conditions: Any) -> Any:
        return lambda: s3.get_object(Bucket=bucket, Key="a", **conditions)

    assert get(IfMatch=etag)()["ETag"] == etag
    assert code(get(IfMatch='"other"')) == ("PreconditionFailed", 412)
    assert code(get(IfNoneMatch=etag)) == ("304", 304)
    assert code(get(IfModifiedSince=modified)) == ("304", 304)
    assert get(IfUnmodifiedSince=modified)()["ETag"] == etag
    assert code(get(IfUnmodifiedSince="2001-01-01T00:00:00Z")) == ("PreconditionFailed", 412)
    assert get(IfMatch=etag, IfUnmodifiedSince="2001-01-01T00:00:00Z")()["ETag"] == etag


def test_a_get_may_override_headers(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"x")
    answer = s3.get_object(
        Bucket=bucket,
        Key="a",
        ResponseContentType="application/gzip",
        ResponseContentDisposition='attachment; filename="m.tar.gz"',
    )
    assert answer["ContentType"] == "application/gzip"
    assert answer["ContentDisposition"] == 'attachment; filename="m.tar.gz"'
    assert code(
        lambda: s3.get_object(Bucket=bucket, Key="a", ResponseContentType="a\r\nX-A: b")
    ) == ("InvalidArgument", 400)


def test_what_is_not_there_is_said(s3: Any, bucket: str) -> None:
    assert code(lambda: s3.get_object(Bucket=bucket, Key="no")) == ("NoSuchKey", 404)
    assert code(lambda: s3.head_object(Bucket=bucket, Key="no")) == ("404", 404)
    assert code(lambda: s3.get_object(Bucket="nowhere", Key="no")) == ("NoSuchBucket", 404)
    assert code(lambda: s3.head_bucket(Bucket="nowhere")) == ("404", 404)
    assert code(lambda: s3.put_object(Bucket="nowhere", Key="a", Body=b"")) == (
        "NoSuchBucket",
        404,
    )
    s3.delete_object(Bucket=bucket, Key="no")


# --- writing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256", "SHA512"])
def test_checksums_are_kept_and_wrong_ones_refused(s3: Any, bucket: str, algorithm: str) -> None:
    name = f"Checksum{algorithm}"
    made = s3.put_object(Bucket=bucket, Key="a", Body=b"hello", ChecksumAlgorithm=algorithm)[name]
    kept = s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert (kept[name], kept["ChecksumType"]) == (made, "FULL_OBJECT")
    s3.put_object(Bucket=bucket, Key="a", Body=b"hello", **{name: made})
    assert code(lambda: s3.put_object(Bucket=bucket, Key="a", Body=b"HELLO", **{name: made})) == (
        "BadDigest",
        400,
    )
    assert read(s3, bucket, "a") == b"hello"


def test_a_wrong_md5_is_refused(s3: Any, bucket: str) -> None:
    good = "XUFAKrxLKna5cZ2REBfFkg=="
    s3.put_object(Bucket=bucket, Key="a", Body=b"hello", ContentMD5=good)
    assert code(lambda: s3.put_object(Bucket=bucket, Key="b", Body=b"x", ContentMD5=good)) == (
        "BadDigest",
        400,
    )
    assert code(lambda: s3.put_object(Bucket=bucket, Key="b", Body=b"x", ContentMD5="x")) == (
        "InvalidDigest",
        400,
    )
    assert keys(s3, bucket) == ["a"]


def test_nothing_is_overwritten_where_that_is_asked(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "source"}
    s3.put_object(Bucket=bucket, Key="source", Body=b"source")
    s3.put_object(Bucket=bucket, Key="a", Body=b"first", IfNoneMatch="*")
    failed = ("PreconditionFailed", 412)
    assert (
        code(lambda: s3.put_object(Bucket=bucket, Key="a", Body=b"second", IfNoneMatch="*"))
        == failed
    )
    assert (
        code(lambda: s3.copy_object(Bucket=bucket, Key="a", CopySource=source, IfNoneMatch="*"))
        == failed
    )
    upload = s3.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="a", UploadId=upload, PartNumber=1, Body=b"third")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    assert (
        code(
            lambda: s3.complete_multipart_upload(
                Bucket=bucket, Key="a", UploadId=upload, MultipartUpload=parts, IfNoneMatch="*"
            )
        )
        == failed
    )
    assert read(s3, bucket, "a") == b"first"
    etag = s3.head_object(Bucket=bucket, Key="a")["ETag"]
    assert (
        code(lambda: s3.put_object(Bucket=bucket, Key="a", Body=b"x", IfMatch='"other"')) == failed
    )
    s3.put_object(Bucket=bucket, Key="a", Body=b"fourth", IfMatch=etag)
    assert code(lambda: s3.put_object(Bucket=bucket, Key="b", Body=b"x", IfMatch=etag))[1] == 404


def test_of_many_that_race_to_create_an_object_one_wins(url: str, s3: Any, bucket: str) -> None:
    racers = 8
    clients = [client(url) for _ in range(racers)]
    s3.put_object(Bucket=bucket, Key="source", Body=b"source")
    for round_ in range(5):
        key = f"race-{round_}"
        start = threading.Barrier(racers)
        won: list[bytes] = []
        losers: list[str] = []

        def race(number: int) -> None:
            body = bytes([65 + number]) * 70_000
            start.wait()  # noqa: B023
            try:
                if number == 0:
                    clients[0].copy_object(
                        Bucket=bucket,
                        Key=key,  # noqa: B023
                        CopySource={"Bucket": bucket, "Key": "source"},
                        IfNoneMatch="*",
                    )
                    body = b"source"
                else:
                    clients[number].put_object(
                        Bucket=bucket,
                        Key=key,  # noqa: B023
                        Body=body,
                        IfNoneMatch="*",
                    )
            except ClientError as error:
                losers.append(error.response["Error"]["Code"])  # noqa: B023
            else:
                won.append(body)  # noqa: B023

        threads = [threading.Thread(target=race, args=(number,)) for number in range(racers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert set(losers) == {"PreconditionFailed"}
        assert len(losers) == racers - 1
        assert read(s3, bucket, key) == won[0]


def test_copies_keep_or_replace_what_is_said_of_the_object(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "a b/ü%2F.bin"}
    s3.put_object(
        Bucket=bucket, Key=source["Key"], Body=b"x", ContentType="a/b", Metadata={"m": "1"}
    )
    answer = s3.copy_object(Bucket=bucket, Key="kept", CopySource=source)
    kept = s3.head_object(Bucket=bucket, Key="kept")
    assert (kept["ContentType"], kept["Metadata"]) == ("a/b", {"m": "1"})
    assert answer["CopyObjectResult"]["ETag"] == kept["ETag"]
    s3.copy_object(
        Bucket=bucket,
        Key="new",
        CopySource=source,
        MetadataDirective="REPLACE",
        ContentType="c/d",
        Metadata={"n": "2"},
    )
    new = s3.head_object(Bucket=bucket, Key="new")
    assert (new["ContentType"], new["Metadata"]) == ("c/d", {"n": "2"})
    assert code(lambda: s3.copy_object(Bucket=bucket, Key=source["Key"], CopySource=source)) == (
        "InvalidRequest",
        400,
    )
    for condition in ({"CopySourceIfMatch": '"no"'}, {"CopySourceIfNoneMatch": kept["ETag"]}):
        assert code(
            lambda c=condition: s3.copy_object(Bucket=bucket, Key="no", CopySource=source, **c)
        ) == ("PreconditionFailed", 412)
    assert code(lambda: s3.copy_object(Bucket=bucket, Key="no", CopySource=f"{bucket}/none")) == (
        "NoSuchKey",
        404,
    )


def copied_part(s3: Any, bucket: str, upload: str, number: int) -> Any:
    """Have the object ``number`` become the part after that of ``joined``; what S3 says of it."""
    return s3.upload_part_copy(
        Bucket=bucket,
        Key="joined",
        UploadId=upload,
        PartNumber=number + 1,
        CopySource={"Bucket": bucket, "Key": str(number)},
    )["CopyPartResult"]


def test_objects_that_become_parts_keep_their_checksums(s3: Any, bucket: str) -> None:
    pieces = [BIG[: 6 << 20], b"the end"]
    s3.put_object(Bucket=bucket, Key="0", Body=pieces[0], ChecksumAlgorithm="SHA256")
    s3.put_object(Bucket=bucket, Key="1", Body=pieces[1], ChecksumAlgorithm="CRC32")
    for algorithm in ("SHA256", "CRC32"):
        upload = s3.create_multipart_upload(
            Bucket=bucket, Key="joined", ChecksumAlgorithm=algorithm
        )["UploadId"]
        parts = []
        for n, piece in enumerate(pieces):
            part = copied_part(s3, bucket, upload, n)
            assert part["ETag"] == f'"{hashlib.md5(piece).hexdigest()}"'
            raw = {
                "SHA256": hashlib.sha256(piece).digest(),
                "CRC32": zlib.crc32(piece).to_bytes(4, "big"),
            }[algorithm]
            name = f"Checksum{algorithm}"
            assert part[name] == base64.b64encode(raw).decode()
            parts.append({"PartNumber": n + 1, "ETag": part["ETag"], name: part[name]})
        s3.complete_multipart_upload(
            Bucket=bucket, Key="joined", UploadId=upload, MultipartUpload={"Parts": parts}
        )
        assert read(s3, bucket, "joined") == b"".join(pieces)


def test_a_part_keeps_its_bytes_when_its_object_is_replaced_or_deleted(
    s3: Any, bucket: str
) -> None:
    pieces = [BIG[: 5 << 20], BIG[1 << 20 : 6 << 20], b"the end"]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="joined")["UploadId"]
    parts = []
    for n, piece in enumerate(pieces):
        s3.put_object(Bucket=bucket, Key=str(n), Body=piece)
        part = copied_part(s3, bucket, upload, n)
        parts.append({"PartNumber": n + 1, "ETag": part["ETag"]})
    s3.put_object(Bucket=bucket, Key="0", Body=b"another")
    s3.delete_object(Bucket=bucket, Key="1")
    s3.complete_multipart_upload(
        Bucket=bucket, Key="joined", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    s3.delete_object(Bucket=bucket, Key="2")
    assert read(s3, bucket, "joined") == b"".join(pieces)
    assert read(s3, bucket, "0") == b"another"


def test_big_objects_are_copied_in_parts(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="one.bin", Body=BIG, Tagging="a=b")
    s3.copy({"Bucket": bucket, "Key": "one.bin"}, bucket, "two.bin")
    assert read(s3, bucket, "two.bin") == BIG
    assert s3.head_object(Bucket=bucket, Key="two.bin")["ETag"].endswith('-2"')
    upload = s3.create_multipart_upload(Bucket=bucket, Key="three.bin")["UploadId"]
    part = s3.upload_part_copy(
        Bucket=bucket,
        Key="three.bin",
        UploadId=upload,
        PartNumber=1,
        CopySource={"Bucket": bucket, "Key": "one.bin"},
        CopySourceRange="bytes=10-19",
    )["CopyPartResult"]
    assert part["ETag"] == f'"{hashlib.md5(BIG[10:20]).hexdigest()}"'
    s3.complete_multipart_upload(
        Bucket=bucket,
        Key="three.bin",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    assert read(s3, bucket, "three.bin") == BIG[10:20]
    assert code(
        lambda: s3.upload_part_copy(
            Bucket=bucket,
            Key="three.bin",
            UploadId=upload,
            PartNumber=1,
            CopySource={"Bucket": bucket, "Key": "one.bin"},
        )
    ) == ("NoSuchUpload", 404)


# --- multipart uploads ---------------------------------------------------------------------------


def test_a_multipart_upload_from_begin_to_end(s3: Any, bucket: str) -> None:
    made = s3.create_multipart_upload(
        Bucket=bucket, Key="a", Metadata={"m": "1"}, ContentType="a/b", ChecksumAlgorithm="SHA256"
    )
    where = {"Bucket": bucket, "Key": "a", "UploadId": made["UploadId"]}
    bodies = {1: BIG[: 5 * 1024 * 1024], 3: b"last", 2: b"replaced"}
    bodies[2] = BIG[: 5 * 1024 * 1024 + 1]
    s3.upload_part(**where, PartNumber=2, Body=b"first try", ChecksumAlgorithm="SHA256")
    parts = [
        {
            "PartNumber": number,
            **s3.upload_part(**where, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256"),
        }
        for number, body in bodies.items()
    ]
    listed = s3.list_parts(**where, MaxParts=2)
    assert [(one["PartNumber"], one["Size"]) for one in listed["Parts"]] == [
        (1, len(bodies[1])),
        (2, len(bodies[2])),
    ]
    assert listed["IsTruncated"]
    rest = s3.list_parts(**where, PartNumberMarker=listed["NextPartNumberMarker"])
    assert [one["PartNumber"] for one in rest["Parts"]] == [3]
    assert [one["UploadId"] for one in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [
        made["UploadId"]
    ]
    assert keys(s3, bucket) == []
    names = ("PartNumber", "ETag", "ChecksumSHA256")
    chosen = sorted(
        ({name: part[name] for name in names} for part in parts), key=lambda one: one["PartNumber"]
    )
    whole = {"MultipartUpload": {"Parts": chosen}}
    wrong = {"MultipartUpload": {"Parts": chosen[::-1]}}
    assert code(lambda: s3.complete_multipart_upload(**where, **wrong)) == ("InvalidPartOrder", 400)
    other = {"MultipartUpload": {"Parts": [chosen[0] | {"ETag": chosen[1]["ETag"]}]}}
    assert code(lambda: s3.complete_multipart_upload(**where, **other)) == ("InvalidPart", 400)
    small = {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": chosen[0]["ETag"]}] * 0}}
    assert code(lambda: s3.complete_multipart_upload(**where, **small)) == ("MalformedXML", 400)
    for wrong_sum in (f"{base64.b64encode(bytes(32)).decode()}{end}" for end in ("", "-3")):
        asked = whole | {"ChecksumSHA256": wrong_sum}
        assert code(lambda more=asked: s3.complete_multipart_upload(**where, **more)) == (
            "BadDigest",
            400,
        )
    sums = b"".join(base64.b64decode(part["ChecksumSHA256"]) for part in chosen)
    whole["ChecksumSHA256"] = f"{base64.b64encode(hashlib.sha256(sums).digest()).decode()}-3"
    done = s3.complete_multipart_upload(**where, **whole)
    md5s = b"".join(hashlib.md5(bodies[n]).digest() for n in (1, 2, 3))
    assert done["ETag"] == f'"{hashlib.md5(md5s).hexdigest()}-3"'
    again = s3.complete_multipart_upload(**where, **whole)
    assert again["ETag"] == done["ETag"], "its answer may have been lost"
    elsewhere = where | {"Bucket": f"{bucket}-other"}
    s3.create_bucket(
        Bucket=elsewhere["Bucket"], CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    assert code(lambda: s3.complete_multipart_upload(**elsewhere, **whole))[0] == "NoSuchUpload"
    found = s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert (found["ContentType"], found["Metadata"]) == ("a/b", {"m": "1"})
    assert found["ChecksumSHA256"].endswith("-3")
    assert read(s3, bucket, "a") == bodies[1] + bodies[2] + bodies[3]
    assert read(s3, bucket, "a", PartNumber=2) == bodies[2]
    assert s3.head_object(Bucket=bucket, Key="a", PartNumber=1)["PartsCount"] == 3
    assert code(lambda: s3.get_object(Bucket=bucket, Key="a", PartNumber=4))[1] == 416
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_a_completion_that_is_asked_for_again_meanwhile_gets_the_same_answer(
    url: str, s3: Any, bucket: str
) -> None:
    """A client whose wait for the first answer is over asks again; the object is being made."""
    made = s3.create_multipart_upload(Bucket=bucket, Key="a")
    where = {"Bucket": bucket, "Key": "a", "UploadId": made["UploadId"]}
    parts = [
        {"PartNumber": n, "ETag": s3.upload_part(**where, PartNumber=n, Body=BIG)["ETag"]}
        for n in range(1, 6)
    ]
    clients = [client(url) for _ in range(6)]
    start = threading.Barrier(len(clients))

    def complete(one: Any) -> str:
        start.wait()
        etag: str = one.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})["ETag"]
        return etag

    with ThreadPoolExecutor(len(clients)) as pool:
        etags = set(pool.map(complete, clients))
    assert etags == {s3.head_object(Bucket=bucket, Key="a")["ETag"]}
    assert read(s3, bucket, "a") == BIG * 5


def test_small_parts_are_refused_but_the_last(s3: Any, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
    where = {"Bucket": bucket, "Key": "a", "UploadId": upload}
    parts = [
        {"PartNumber": n, "ETag": s3.upload_part(**where, PartNumber=n, Body=b"x")["ETag"]}
        for n in (1, 2)
    ]
    assert code(
        lambda: s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    ) == ("EntityTooSmall", 400)
    assert code(lambda: s3.upload_part(**where, PartNumber=10_001, Body=b"x")) == (
        "InvalidArgument",
        400,
    )


def test_an_aborted_upload_leaves_nothing(s3: Any, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="x/y")["UploadId"]
    where = {"Bucket": bucket, "Key": "x/y", "UploadId": upload}
    s3.upload_part(**where, PartNumber=1, Body=b"x")
    s3.abort_multipart_upload(**where)
    assert code(lambda: s3.upload_part(**where, PartNumber=1, Body=b"x")) == ("NoSuchUpload", 404)
    assert code(lambda: s3.abort_multipart_upload(**where)) == ("NoSuchUpload", 404)
    s3.delete_bucket(Bucket=bucket)


def test_a_bucket_with_an_unfinished_upload_can_be_deleted(s3: Any, bucket: str) -> None:
    s3.create_multipart_upload(Bucket=bucket, Key="x")
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


# --- lists, deletions, buckets -------------------------------------------------------------------

NAMES = ["a", "a!", "a-b", "a/1", "a/2/3", "a/b", "b c+d&e", "b/", "z/é\n", "日本/語"]


def test_lists_are_in_order_and_in_pages_however_they_are_asked_for(s3: Any, bucket: str) -> None:
    for name in reversed(NAMES):
        s3.put_object(Bucket=bucket, Key=name, Body=name.encode())
    for delimiter, prefix in itertools.product(("", "/", "2/"), ("", "a", "a/", "no")):
        expected: list[str] = []
        for name in NAMES:
            if not name.startswith(prefix):
                continue
            end = name.find(delimiter, len(prefix)) if delimiter else -1
            one = name if end < 0 else name[: end + len(delimiter)]
            if one not in expected:
                expected.append(one)
        for operation, size in itertools.product(("list_objects", "list_objects_v2"), (1, 3)):
            pages = s3.get_paginator(operation).paginate(
                Bucket=bucket,
                Prefix=prefix,
                **({"Delimiter": delimiter} if delimiter else {}),
                PaginationConfig={"PageSize": size},
            )
            found: list[str] = []
            for page in pages:
                contents = [one["Key"] for one in page.get("Contents", [])]
                folded = [one["Prefix"] for one in page.get("CommonPrefixes", [])]
                assert len(contents) + len(folded) <= size
                found += sorted(contents + folded, key=str.encode)
            assert found == expected, (operation, size, delimiter, prefix)


def test_a_list_says_what_it_is_asked(s3: Any, bucket: str) -> None:
    for name in ("a", "b", "c"):
        s3.put_object(Bucket=bucket, Key=name, Body=b"xyz")
    answer = s3.list_objects_v2(Bucket=bucket, StartAfter="a", MaxKeys=1, FetchOwner=True)
    (one,) = answer["Contents"]
    assert (one["Key"], one["Size"], one["StorageClass"]) == ("b", 3, "STANDARD")
    assert one["ETag"] == s3.head_object(Bucket=bucket, Key="b")["ETag"]
    assert one["Owner"]["ID"]
    assert (answer["KeyCount"], answer["IsTruncated"]) == (1, True)
    assert s3.list_objects_v2(Bucket=bucket, MaxKeys=0)["KeyCount"] == 0
    assert code(lambda: s3.list_objects_v2(Bucket=bucket, ContinuationToken="no!")) == (
        "InvalidArgument",
        400,
    )


def test_many_objects_are_deleted_at_once(s3: Any, bucket: str) -> None:
    for name in NAMES:
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    objects = [{"Key": name} for name in (*NAMES[1:], "never there")]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})
    assert [one["Key"] for one in answer["Deleted"]] == [one["Key"] for one in objects]
    assert keys(s3, bucket) == NAMES[:1]
    quiet = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "a", "VersionId": "1"}], "Quiet": True}
    )
    assert [one["Code"] for one in quiet["Errors"]] == ["NotImplemented"]
    assert keys(s3, bucket) == NAMES[:1]


def test_buckets_come_and_go(s3: Any, bucket: str) -> None:
    everything = [one["Name"] for one in s3.list_buckets()["Buckets"]]
    assert bucket in everything
    s3.create_bucket(Bucket=f"{bucket}-more")
    pages = s3.get_paginator("list_buckets").paginate(
        Prefix=bucket, PaginationConfig={"PageSize": 1}
    )
    assert [one["Name"] for page in pages for one in page["Buckets"]] == [bucket, f"{bucket}-more"]
    s3.delete_bucket(Bucket=f"{bucket}-more")
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == REGION
    head = s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
    assert head["x-amz-bucket-region"] == REGION
    assert code(lambda: s3.create_bucket(Bucket=bucket)) == ("BucketAlreadyOwnedByYou", 409)
    s3.put_object(Bucket=bucket, Key="a/b/c", Body=b"x")
    assert code(lambda: s3.delete_bucket(Bucket=bucket)) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket=bucket, Key="a/b/c")
    s3.delete_bucket(Bucket=bucket)
    assert code(lambda: s3.delete_bucket(Bucket=bucket)) == ("NoSuchBucket", 404)


@pytest.mark.parametrize("name", ["UPPER", "a..b", "127.0.0.1", "-ab", "a_b"])
def test_names_that_no_bucket_has_are_refused(s3: Any, name: str) -> None:
    assert code(lambda: s3.create_bucket(Bucket=name)) == ("InvalidBucketName", 400)


# --- encryption ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "right", "wrong"), [("sse-s3", "AES256", "aws:kms"), ("sse-kms", "aws:kms", "AES256")]
)
def test_a_bucket_that_demands_encryption_refuses_what_does_not_ask_for_it(
    tmp_path: Path, mode: str, right: str, wrong: str
) -> None:
    with s3_server(tmp_path / "objects", "--require-encryption", mode) as url:
        s3 = client(url)
        s3.create_bucket(Bucket="bucket")
        asked = {"ServerSideEncryption": right}
        if right == "aws:kms":
            asked["SSEKMSKeyId"] = "alias/mine"
        put = s3.put_object(Bucket="bucket", Key="source", Body=b"x", **asked)
        assert put["ServerSideEncryption"] == right
        head = s3.head_object(Bucket="bucket", Key="source")
        assert head["ServerSideEncryption"] == right
        assert head.get("SSEKMSKeyId") == asked.get("SSEKMSKeyId")
        source = {"Bucket": "bucket", "Key": "source"}
        s3.copy_object(Bucket="bucket", Key="copy", CopySource=source, **asked)
        s3.upload_fileobj(io.BytesIO(BIG), "bucket", "parts", ExtraArgs=asked)
        assert s3.head_object(Bucket="bucket", Key="parts")["ServerSideEncryption"] == right
        for given in ({}, {"ServerSideEncryption": wrong}):
            for call in (
                lambda g=given: s3.put_object(Bucket="bucket", Key="no", Body=b"x", **g),
                lambda g=given: s3.copy_object(Bucket="bucket", Key="no", CopySource=source, **g),
                lambda g=given: s3.create_multipart_upload(Bucket="bucket", Key="no", **g),
            ):
                assert code(call) == ("AccessDenied", 403)
        assert keys(s3, "bucket") == ["copy", "parts", "source"]


# --- the AWS CLI ---------------------------------------------------------------------------------


def test_the_cli_downloads_and_moves_big_objects(
    url: str, s3: Any, bucket: str, tmp_path: Path, aws_cli: Path
) -> None:
    (tmp_path / "one.bin").write_bytes(BIG)
    s3.put_object(Bucket=bucket, Key="one.bin", Body=BIG)

    def aws(*words: str) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_S3": url,
        }
        done = subprocess.run(
            [aws_cli / "aws", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    aws("s3", "cp", f"s3://{bucket}/one.bin", "down.bin")
    assert (tmp_path / "down.bin").read_bytes() == BIG
    aws("s3", "mv", f"s3://{bucket}/one.bin", f"s3://{bucket}/moved/two.bin")
    assert keys(s3, bucket) == ["moved/two.bin"]
    assert read(s3, bucket, "moved/two.bin") == BIG


# --- presigned URLs ------------------------------------------------------------------------------


def test_presigned_urls_read_and_write_until_they_end(s3: Any, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": "a b/ü.bin"}
    put = s3.generate_presigned_url("put_object", Params=where)
    request = urllib.request.Request(put, b"by url", method="PUT")
    assert urllib.request.urlopen(request).status == 200
    shown = where | {"ResponseContentDisposition": 'attachment; filename="m"'}
    get = s3.generate_presigned_url("get_object", Params=shown)
    with urllib.request.urlopen(get) as answer:
        assert answer.read() == b"by url"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="m"'
    for changed in (
        get.replace("filename", "filenames"),
        get.replace("X-Amz-Expires=3600", "X-Amz-Expires=7200"),
        get.replace("%C3%BC", "u"),
        put,
    ):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(changed)
        assert caught.value.code == 403
        caught.value.close()
