"""Objects as files: an earlier server's folder, odd keys, links, kills, readers and writers."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localaws.s3.object_store import ObjectAttributes, ObjectStore, link_or_copy
from localaws.tests.servers import KEY, REGION, ROOT, SECRET, S3Server, wait_for


def client(url: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(retries={"total_max_attempts": 1}, signature_version="s3v4"),
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    found = S3Server(tmp_path_factory.mktemp("store") / "objects")
    yield found.start()
    found.stop()


@pytest.fixture
def bucket(server: S3Server, request: pytest.FixtureRequest) -> Path:
    """The folder of a bucket of the test's own."""
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    path = server.folder / name
    path.mkdir()
    return path


def keys(s3: Any, bucket: str) -> list[str]:
    return [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def read(s3: Any, bucket: str, key: str) -> bytes:
    data: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return data


def test_the_objects_of_an_earlier_installation_are_still_there(
    server: S3Server, bucket: Path
) -> None:
    """`rclone serve s3` kept them as plain files, and left empty folders."""
    s3, name = client(server.url), bucket.name
    (bucket / "models" / "empty").mkdir(parents=True)
    archive = os.urandom(3_000_000)
    (bucket / "models" / "m.tar.gz").write_bytes(archive)
    (bucket / "note.txt").write_text("plain")
    os.utime(bucket / "note.txt", (1_700_000_000, 1_700_000_000))
    assert name in [one["Name"] for one in s3.list_buckets()["Buckets"]]
    assert keys(s3, name) == ["models/m.tar.gz", "note.txt"]
    folded = s3.list_objects_v2(Bucket=name, Delimiter="/", Prefix="models/")
    assert "CommonPrefixes" not in folded, "an empty folder is nothing in S3"
    head = s3.head_object(Bucket=name, Key="note.txt")
    assert (head["ContentLength"], head["ContentType"]) == (5, "text/plain")
    assert head["LastModified"].timestamp() == 1_700_000_000
    assert head["ETag"] == s3.get_object(Bucket=name, Key="note.txt")["ETag"]
    assert read(s3, name, "models/m.tar.gz") == archive
    s3.put_object_tagging(
        Bucket=name, Key="models/m.tar.gz", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]}
    )
    s3.copy_object(Bucket=name, Key="copy", CopySource={"Bucket": name, "Key": "models/m.tar.gz"})
    assert read(s3, name, "copy") == archive == read(s3, name, "models/m.tar.gz")
    for key in keys(s3, name):
        s3.delete_object(Bucket=name, Key=key)
    assert [path.name for path in bucket.rglob("*")] == ["models", "empty"]
    s3.delete_bucket(Bucket=name)
    assert not bucket.exists()


def test_a_file_that_is_written_by_hand_is_no_more_what_was_said_of_it(
    server: S3Server, bucket: Path
) -> None:
    s3 = client(server.url)
    put = s3.put_object(Bucket=bucket.name, Key="a.txt", Body=b"by S3", Metadata={"m": "1"})
    (bucket / "a.txt").write_bytes(b"by hand")
    found = s3.get_object(Bucket=bucket.name, Key="a.txt")
    assert found["Body"].read() == b"by hand"
    assert (found["Metadata"], found["ETag"] != put["ETag"]) == ({}, True)
    assert not [name for name in found if name.startswith("Checksum")]


ODD = [
    *("dir/", "dir//a", "/lead", "//", ".", "..", "../up", "a/../../b", "./here", "x/./y"),
    *("x" * 300, "é" * 500, "a\nb", "tab\t", "con\\trol", ".localaws-s3", ".localaws-s3/meta/x"),
    *("percent%2F%00", "plus+ space", "quote\"'<&>", "clash", "clash/below", "clash/below/more"),
    *("deep/" * 60 + "end", "emoji/\U0001f600"),
]


def test_keys_that_no_file_can_have_are_kept_all_the_same(server: S3Server, bucket: Path) -> None:
    s3, name = client(server.url), bucket.name
    outside = sorted(path.name for path in server.folder.parent.iterdir())
    for key in (*ODD, *reversed(ODD)):  # a clash in either order
        s3.put_object(Bucket=name, Key=key, Body=key.encode(), Metadata={"m": "1"})
    assert keys(s3, name) == sorted(ODD, key=str.encode)
    for key in ODD:
        assert read(s3, name, key) == key.encode()
        assert s3.head_object(Bucket=name, Key=key)["Metadata"] == {"m": "1"}
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=name, Delimiter="/", PaginationConfig={"PageSize": 2}
    )
    folded = [one["Prefix"] for page in pages for one in page.get("CommonPrefixes", [])]
    assert folded == sorted({key.partition("/")[0] + "/" for key in ODD if "/" in key})
    assert sorted(path.name for path in server.folder.parent.iterdir()) == outside
    for number, key in enumerate(ODD):
        s3.delete_object(Bucket=name, Key=key)
        assert keys(s3, name) == sorted(ODD[number + 1 :], key=str.encode)
    s3.delete_bucket(Bucket=name)


def test_the_name_of_an_odd_object_is_never_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is killed as it replaces such an object leaves it in the lists."""
    store = ObjectStore(tmp_path / "objects")
    store.create_bucket("bucket")

    def put() -> None:
        path = store.temporary()
        path.write_bytes(b"x")
        store.commit("bucket", "a//b", path, ObjectAttributes("etag"))

    put()
    written = Path.write_text

    def killed(self: Path, text: str) -> int:
        written(self, text[: len(text) // 2] if text == "a//b" else text)
        if text == "a//b":
            raise KeyboardInterrupt
        return len(text)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            put()
    assert list(store.listing("bucket")) == ["a//b"]
    store.close()


def test_a_key_that_is_too_long_is_refused(server: S3Server, bucket: Path) -> None:
    s3 = client(server.url)
    s3.put_object(Bucket=bucket.name, Key="k" * 1024, Body=b"x")
    with pytest.raises(ClientError, match="KeyTooLongError"):
        s3.put_object(Bucket=bucket.name, Key="k" * 1025, Body=b"x")


def test_links_lead_nowhere(server: S3Server, bucket: Path, tmp_path: Path) -> None:
    s3, name = client(server.url), bucket.name
    secret = tmp_path / "secret"
    secret.write_text("of nobody")
    (bucket / "file").symlink_to(secret)
    (bucket / "folder").symlink_to(tmp_path)
    (bucket / "self").symlink_to(bucket)
    os.mkfifo(bucket / "pipe")
    (server.folder / "linked-bucket").symlink_to(tmp_path)
    for key in ("file", "folder/secret", "self/file", "pipe"):
        with pytest.raises(ClientError, match="NoSuchKey"):
            s3.get_object(Bucket=name, Key=key)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.get_object(Bucket="linked-bucket", Key="secret")
    assert keys(s3, name) == []
    s3.put_object(Bucket=name, Key="folder/new/secret", Body=b"mine")
    s3.delete_object(Bucket=name, Key="folder/new/secret")
    s3.put_object(Bucket=name, Key="folder/secret", Body=b"mine")
    s3.put_object(Bucket=name, Key="file", Body=b"mine")
    assert read(s3, name, "folder/secret") == read(s3, name, "file") == b"mine"
    assert keys(s3, name) == ["file", "folder/secret"]
    s3.delete_object(Bucket=name, Key="folder/secret")
    assert secret.read_text() == "of nobody"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def half_a_put(server: S3Server, bucket: str, key: str, size: int) -> socket.socket:
    """A connection on which half of an object was sent."""
    url = urlsplit(
        client(server.url).generate_presigned_url(
            "put_object", Params={"Bucket": bucket, "Key": key}
        )
    )
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    connection.sendall(
        f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\n"
        f"Content-Length: {size}\r\n\r\n".encode()
        + b"x" * (size // 2)
    )
    return connection


def test_a_server_that_is_killed_half_way_leaves_the_object_as_it_was(tmp_path: Path) -> None:
    server = S3Server(tmp_path / "objects").start()
    try:
        s3 = client(server.url)
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="a", Body=b"before", Metadata={"m": "1"})
        upload = s3.create_multipart_upload(Bucket="bucket", Key="parts")["UploadId"]
        where = {"Bucket": "bucket", "Key": "parts", "UploadId": upload}
        part = s3.upload_part(**where, PartNumber=1, Body=b"kept")
        temporary = server.folder / ".localaws-s3" / "tmp"
        size = 8_000_000
        with half_a_put(server, "bucket", "a", size), half_a_put(server, "bucket", "new", size):
            wait_for(
                lambda: sum(path.stat().st_size for path in temporary.iterdir()) == size,
                20,
                "both halves",
            )
            assert read(s3, "bucket", "a") == b"before", "nobody sees half of an object"
            server.kill()
        server.start()
        assert list(temporary.iterdir()) == []
        assert keys(s3, "bucket") == ["a"]
        assert read(s3, "bucket", "a") == b"before"
        assert s3.head_object(Bucket="bucket", Key="a")["Metadata"] == {"m": "1"}
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        s3.complete_multipart_upload(**where, MultipartUpload=parts)
        assert read(s3, "bucket", "parts") == b"kept"
    finally:
        server.stop()


def test_a_client_that_breaks_off_leaves_nothing(server: S3Server, bucket: Path) -> None:
    temporary = server.folder / ".localaws-s3" / "tmp"
    with half_a_put(server, bucket.name, "a", 2_000_000):
        wait_for(lambda: list(temporary.iterdir()), 20, "the begin")
    wait_for(lambda: not list(temporary.iterdir()), 20, "the end")
    assert list(bucket.iterdir()) == []


def test_a_second_server_is_refused_the_folder(server: S3Server) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "localaws.s3", "--data", str(server.folder), "--port", "1"],
        cwd=ROOT,
        env=dict(os.environ) | {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "another server has the folder" in done.stderr


def test_whoever_reads_while_others_write_gets_one_object_whole(tmp_path: Path) -> None:
    """Bytes, ETag, metadata: all of one put, however writers, taggers and readers meet."""
    store = ObjectStore(tmp_path / "objects")
    store.create_bucket("bucket")
    stop = threading.Event()
    problems: list[str] = []

    def write(number: int) -> None:
        count = 0
        while not stop.is_set():
            count += 1
            body = f"{number} {count} ".encode() * (1 + count % 7)
            path = store.temporary()
            path.write_bytes(body)
            etag = hashlib.md5(body).hexdigest()
            store.commit("bucket", "a/b", path, ObjectAttributes(etag, metadata={"of": etag}))
            if count % 5 == 0:
                store.update_attributes("bucket", "a/b", tags={"t": str(count)})

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    path = store.temporary()
    path.write_bytes(b"")
    empty = hashlib.md5(b"").hexdigest()
    store.commit("bucket", "a/b", path, ObjectAttributes(empty, metadata={"of": empty}))
    for writer in writers:
        writer.start()
    try:
        for _ in range(400):
            found, file = store.open("bucket", "a/b")
            with file:
                etag = hashlib.md5(file.read()).hexdigest()
            if not etag == found.description.etag == found.description.metadata.get("of"):
                problems.append(f"{found} has {etag}")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
        store.close()
    assert problems == []
    kept = list((tmp_path / "objects/.localaws-s3/meta").rglob("*.json"))
    assert len(kept) == 1, "descriptions of what was replaced are gone"
    assert json.loads(kept[0].read_text())["etag"]


def test_an_object_that_becomes_a_part_is_not_copied_unless_another_program_may_write_into_it(
    server: S3Server, bucket: Path
) -> None:
    s3, name = client(server.url), bucket.name
    s3.put_object(Bucket=name, Key="ours", Body=b"ours")
    (bucket / "theirs").write_bytes(b"theirs")
    upload = s3.create_multipart_upload(Bucket=name, Key="joined")["UploadId"]
    for number, key in enumerate(("ours", "theirs"), 1):
        source = {"Bucket": name, "Key": key}
        s3.upload_part_copy(
            Bucket=name, Key="joined", UploadId=upload, PartNumber=number, CopySource=source
        )
    assert (bucket / "ours").stat().st_nlink == 2
    assert (bucket / "theirs").stat().st_nlink == 1
    s3.abort_multipart_upload(Bucket=name, Key="joined", UploadId=upload)
    assert (bucket / "ours").stat().st_nlink == 1
    assert read(s3, name, "ours") == b"ours"


def test_what_cannot_be_linked_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ObjectStore(tmp_path / "objects")
    store.create_bucket("bucket")
    for content in (b"first", b"second"):
        store.temporary().write_bytes(content)
        (written,) = (tmp_path / "objects" / ".localaws-s3" / "tmp").iterdir()
        if content == b"first":
            store.commit("bucket", "key", written, ObjectAttributes("1"))
            found, source = store.open("bucket", "key")
        else:  # the object is replaced while it is copied
            store.commit("bucket", "key", written, ObjectAttributes("2"))
    with source, (tmp_path / "replaced").open("wb", buffering=0) as target:
        link_or_copy(source, found, target)
    assert (tmp_path / "replaced").read_bytes() == b"first"
    assert (tmp_path / "replaced").stat().st_nlink == 1
    found, source = store.open("bucket", "key")

    def no_links(*_: object, **__: object) -> None:
        raise PermissionError("this file system has no hard links")

    monkeypatch.setattr(os, "link", no_links)
    with source, (tmp_path / "copied").open("wb", buffering=0) as target:
        link_or_copy(source, found, target)
    assert (tmp_path / "copied").read_bytes() == b"second"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["copied", "objects", "replaced"]
    store.close()
