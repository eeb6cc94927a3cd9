"""The S3 server of the stack takes its keys only: attacks without them, and with half of them."""

import datetime
import hashlib
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from localaws.tests.servers import KEY, REGION, SECRET, s3_server

SECRET_TEXT = "a text that nobody may read"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("doors") / "objects"
    (folder / "bucket").mkdir(parents=True)
    (folder / "bucket" / "kept.txt").write_text(SECRET_TEXT)
    with s3_server(folder) as url:
        yield url, folder / "bucket"


def ask(
    url: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, str, str]:
    """Status, headers and body of the answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, body, named, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, str(answer.headers).lower(), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, str(error.headers).lower(), error.read().decode()


def untouched(bucket: Path) -> bool:
    return [one.name for one in bucket.iterdir()] == ["kept.txt"] and (
        bucket / "kept.txt"
    ).read_text() == SECRET_TEXT


UNSIGNED = {
    "read": ("GET", "/bucket/kept.txt", None),
    "list": ("GET", "/bucket", None),
    "list buckets": ("GET", "/", None),
    "write": ("PUT", "/bucket/new.txt", b"x"),
    "overwrite": ("PUT", "/bucket/kept.txt", b"x"),
    "remove": ("DELETE", "/bucket/kept.txt", None),
    "remove many": (
        "POST",
        "/bucket?delete",
        b"<Delete><Object><Key>kept.txt</Key></Object></Delete>",
    ),
    "a bucket": ("PUT", "/another", None),
    "outside": ("GET", "/bucket/../../../etc/hostname", None),
    "an old signature": (
        "GET",
        f"/bucket/kept.txt?AWSAccessKeyId={KEY}&Signature=a&Expires=9999999999",
        None,
    ),
    "half a signature": ("GET", "/bucket/kept.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256", None),
}


@pytest.mark.parametrize("what", UNSIGNED)
@pytest.mark.parametrize("origin", [{}, {"Origin": "http://evil.example"}])
def test_nothing_is_done_without_a_signature(
    server: tuple[str, Path], what: str, origin: dict[str, str]
) -> None:
    url, bucket = server
    method, path, body = UNSIGNED[what]
    status, headers, text = ask(url + path, method, body, Content_Type="text/plain", **origin)
    assert status in (400, 403), text
    assert "access-control-" not in headers
    assert SECRET_TEXT not in text
    assert untouched(bucket)


def test_a_preflight_is_not_answered(server: tuple[str, Path]) -> None:
    status, headers, _ = ask(
        f"{server[0]}/bucket/kept.txt",
        "OPTIONS",
        Origin="http://evil.example",
        Access_Control_Request_Method="PUT",
        Access_Control_Request_Headers="authorization,x-amz-date",
    )
    assert status in (400, 403)
    assert "access-control-" not in headers


def test_a_form_of_a_page_is_not_taken(server: tuple[str, Path]) -> None:
    url, bucket = server
    form = (
        b'--B\r\nContent-Disposition: form-data; name="key"\r\n\r\nplanted\r\n--B\r\n'
        b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--B--\r\n'
    )
    status, _, _ = ask(
        f"{url}/bucket", "POST", form, Content_Type="multipart/form-data; boundary=B"
    )
    assert status in (400, 403)
    assert untouched(bucket)


@pytest.mark.parametrize("host", ["evil.example", "bucket.evil.example"])
def test_another_name_opens_nothing(server: tuple[str, Path], host: str) -> None:
    status, _, text = ask(f"{server[0]}/bucket/kept.txt", Host=host)
    assert status in (400, 403)
    assert SECRET_TEXT not in text


def client(url: str, key: str, secret: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, signature_version="s3v4"),
    )


@pytest.mark.parametrize(
    ("key", "secret", "code"),
    [(KEY, SECRET + "x", "SignatureDoesNotMatch"), ("AKNOBODY", SECRET, "InvalidAccessKeyId")],
)
def test_a_forged_signature_is_refused(
    server: tuple[str, Path], key: str, secret: str, code: str
) -> None:
    url, bucket = server
    forger = client(url, key, secret)
    for call in (
        lambda: forger.get_object(Bucket="bucket", Key="kept.txt"),
        lambda: forger.put_object(Bucket="bucket", Key="new.txt", Body=b"x"),
        lambda: forger.delete_object(Bucket="bucket", Key="kept.txt"),
        lambda: forger.list_buckets(),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == code
    presigned = forger.generate_presigned_url(
        "get_object", Params={"Bucket": "bucket", "Key": "kept.txt"}
    )
    assert ask(presigned)[0] in (400, 403)
    assert untouched(bucket)


def signed(url: str, method: str, path: str, body: bytes, payload: str, age: int = 0) -> AWSRequest:
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=age)
    headers = {"X-Amz-Content-SHA256": payload, "X-Amz-Date": now.strftime("%Y%m%dT%H%M%SZ")}
    request = AWSRequest(method, url + path, headers=headers, data=body)
    request.context["timestamp"] = headers["X-Amz-Date"]
    auth = SigV4Auth(Credentials(KEY, SECRET), "s3", REGION)
    text = auth.string_to_sign(request, auth.canonical_request(request))
    auth._inject_signature_to_request(request, auth.signature(text, request))  # type: ignore[attr-defined]
    return request


def test_a_signature_holds_for_what_was_signed_alone(server: tuple[str, Path]) -> None:
    url, bucket = server
    empty = hashlib.sha256(b"").hexdigest()
    request = signed(url, "GET", "/bucket/kept.txt", b"", empty)
    headers = dict(request.headers.items())
    assert ask(request.url, "GET", None, **headers)[2] == SECRET_TEXT
    assert ask(request.url, "DELETE", None, **headers)[0] == 403
    assert ask(f"{url}/bucket/other.txt", "GET", None, **headers)[0] == 403
    assert ask(request.url, "GET", None, **(headers | {"Host": "evil.example"}))[0] == 403
    old = signed(url, "GET", "/bucket/kept.txt", b"", empty, age=3600)
    assert ask(old.url, "GET", None, **dict(old.headers.items()))[0] in (400, 403)
    assert untouched(bucket)


def test_a_body_is_not_taken_from_whoever_has_no_key(server: tuple[str, Path]) -> None:
    """100 MB are announced and not sent: the refusal comes at once."""
    url, bucket = server
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(
            f"PUT /bucket/new.txt HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            "Content-Length: 100000000\r\n\r\n".encode()
        )
        assert connection.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 403")
    assert untouched(bucket)
