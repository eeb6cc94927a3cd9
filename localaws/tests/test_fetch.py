"""Downloads from a real S3 server: in parallel ranges, unpacked on the way."""

import io
import random

import boto3
import pytest
from botocore.exceptions import ClientError

from localaws import fetch
from localaws.tests.conftest import Hosting
from localaws.tests.servers import KEY, REGION, SECRET, free_port
from tests.artifacts import pack


@pytest.fixture
def s3(s3_url, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the keys of its first use
    client = fetch.s3_client(REGION, s3_url)
    try:
        client.head_bucket(Bucket="fetch")
    except ClientError:
        client.create_bucket(Bucket="fetch")
    return client


def test_a_large_archive_comes_in_ranges(s3, tmp_path):
    files = {"weights": random.Random(3).randbytes(30_000_000), "sub/small": b"x"}
    path = pack(tmp_path / "a.tar.gz", files)
    assert path.stat().st_size > 3 * fetch._PART
    s3.upload_file(str(path), "fetch", "large")
    target = tmp_path / "out" / "model"
    target.parent.mkdir()
    claimed = []
    fetched = fetch.fetch_model(s3, "fetch", "large", target, max_bytes=10**9, claim=claimed.append)
    assert {name: (target / name).read_bytes() for name in files} == files
    assert claimed[-1] == 30_000_001
    assert fetched.download_ms > 0
    assert fetched.unpack_ms > 0
    assert [entry.name for entry in target.parent.iterdir()] == ["model"]


def test_an_object_overwritten_meanwhile_is_noticed(s3, tmp_path):
    s3.put_object(Bucket="fetch", Key="changing", Body=bytes(6 * fetch._PART))
    download = fetch.Download(s3, "fetch", "changing")
    s3.put_object(Bucket="fetch", Key="changing", Body=b"1" * (6 * fetch._PART))
    with pytest.raises(fetch.FetchError, match="overwritten") as caught:
        download.drain()
    assert caught.value.kind == "storage"  # which is tried again
    download.close()


@pytest.mark.parametrize(
    ("key", "content", "kind"),
    [("none", None, "missing"), ("empty", b"", "archive"), ("text", b"no archive", "archive")],
)
def test_what_is_no_model_leaves_nothing(s3, tmp_path, key, content, kind):
    if content is not None:
        s3.put_object(Bucket="fetch", Key=key, Body=io.BytesIO(content))
    with pytest.raises(fetch.FetchError) as caught:
        fetch.fetch_model(s3, "fetch", key, tmp_path / "model", max_bytes=1000)
    assert caught.value.kind == kind
    assert not list(tmp_path.iterdir())


def test_folders_that_an_instance_could_not_remove_are_not_made(s3, tmp_path):
    path = pack(tmp_path / "a.tar.gz", {"d/" * number + "x": b"x" for number in (400, 800, 1200)})
    s3.upload_file(str(path), "fetch", "deep")
    with pytest.raises(fetch.FetchError, match="32 folders deep") as caught:
        fetch.fetch_model(s3, "fetch", "deep", tmp_path / "model", max_bytes=10**6)
    assert caught.value.kind == "archive"
    assert list(tmp_path.iterdir()) == [path]


def test_without_s3_the_caller_is_told_whose_fault_it_is(start, s3_url):
    hosting = Hosting(start(), "no-s3")
    hosting.process.stop()
    nowhere = f"http://127.0.0.1:{free_port()}"
    hosting.process._command[hosting.process._command.index(s3_url)] = nowhere
    hosting.process.start()
    hosting.create("e")
    with pytest.raises(ClientError) as caught:
        hosting.invoke("e", "a.tar.gz")
    assert caught.value.response["Error"]["Code"] == "InternalDependencyException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 530
    assert "try again" in caught.value.response["Error"]["Message"]
