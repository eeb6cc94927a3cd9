"""A store whose bucket demands encryption: everything that the portal writes asks for it."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from core import aws, errors
from models_catalog import s3
from tests.servers import s3_server

KEY_ID = "arn:aws:kms:ap-northeast-2:123456789012:key/1111aaaa-22bb-33cc-44dd-5555eeee6666"
_LARGE = aws.TRANSFER.multipart_threshold + 1


@pytest.fixture(scope="module", params=["sse-s3", "sse-kms"])
def demanding(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """The encryption that a store demands, and its address."""
    folder = tmp_path_factory.mktemp("demanding") / "s3"
    options = ("--require-encryption", request.param)
    with s3_server(folder, "test-access-key", "test-secret-key", *options) as address:
        yield request.param, address


@pytest.fixture
def bucket(
    db: None, demanding: tuple[str, str], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> Iterator[str]:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", demanding[1])
    aws.s3.cache_clear()
    name = f"store-{os.urandom(4).hex()}"
    aws.s3().create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": settings.AWS_REGION}
    )
    yield name
    aws.s3.cache_clear()


def _encrypted_with(bucket: str, key: str) -> tuple[str, str]:
    found = aws.s3().head_object(Bucket=bucket, Key=key)
    return found["ServerSideEncryption"], found.get("SSEKMSKeyId", "")


@pytest.mark.parametrize("size", [10, _LARGE], ids=["in one", "in parts"])
def test_what_the_portal_uploads_publishes_and_copies_is_encrypted_as_the_settings_say(
    bucket: str,
    demanding: tuple[str, str],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    size: int,
) -> None:
    monkeypatch.setattr(s3, "_PART_BYTES", 5 << 20)
    monkeypatch.setattr(aws, "COPY", aws.TRANSFER)
    settings.S3_ENCRYPTION = demanding[0]
    settings.S3_KMS_KEY_ID = KEY_ID if demanding[0] == "sse-kms" else ""
    expected = ("AES256", "") if demanding[0] == "sse-s3" else ("aws:kms", KEY_ID)
    s3.upload(bucket=bucket, key="staging/a", file=io.BytesIO(b"x" * size))
    assert _encrypted_with(bucket, "staging/a") == expected
    client = aws.s3()
    source: Any = {"Bucket": bucket, "Key": "staging/a"}
    client.copy_object(Bucket=bucket, Key="models/a", CopySource=source)
    client.copy(source, bucket, "models/b", Config=aws.TRANSFER)
    client.put_object(Bucket=bucket, Key="models/c", Body=b"x")
    path = tmp_path / "served"
    path.write_bytes(b"x" * size)
    s3.publish(bucket=bucket, key="models/d", path=path, beat=lambda: None)
    s3.copy(bucket=bucket, source_key="staging/a", key="originals/a", beat=lambda: None)
    for key in ("models/a", "models/b", "models/c", "models/d", "originals/a"):
        assert _encrypted_with(bucket, key) == expected


def test_without_the_setting_it_is_refused_and_the_advice_names_the_setting(
    bucket: str, demanding: tuple[str, str], settings: Any
) -> None:
    settings.S3_ENCRYPTION = ""
    for size in (10, _LARGE):
        with pytest.raises(errors.Denied) as caught:
            s3.upload(bucket=bucket, key="staging/a", file=io.BytesIO(b"x" * size))
        assert "S3_ENCRYPTION" in caught.value.todo
        assert caught.value.todo in str(caught.value)
    assert list(s3.listing(bucket=bucket, prefix="")) == []
    s3.look(bucket=bucket, prefix="models/")  # /readyz needs no encryption


def test_a_caller_that_asks_for_an_encryption_of_its_own_gets_it(
    bucket: str, demanding: tuple[str, str], settings: Any
) -> None:
    settings.S3_ENCRYPTION = "sse-s3"
    refused = pytest.raises(ClientError) if demanding[0] == "sse-s3" else contextlib.nullcontext()
    with refused:
        aws.s3().put_object(Bucket=bucket, Key="a", Body=b"", ServerSideEncryption="aws:kms")


def test_a_plain_store_is_asked_for_nothing(store: str, settings: Any) -> None:
    assert aws.encryption() == {}
    s3.upload(bucket=store, key="staging/a", file=io.BytesIO(b"x"))
    assert "ServerSideEncryption" not in aws.s3().head_object(Bucket=store, Key="staging/a")
