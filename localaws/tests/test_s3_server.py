"""The S3 server of the stack takes its keys only: attacks without them, and with half of them."""

import base64
import contextlib
import datetime
import hashlib
import select
import socket
import threading
import urllib.request
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from localaws.keys import Key, KeyRing
from localaws.s3 import server as s3_http
from localaws.s3 import stream as s3_stream
from localaws.s3.object_store import ObjectStore
from localaws.s3.operations import Service
from localaws.tests.servers import KEY, REGION, SECRET, s3_server

SECRET_TEXT = "a text that nobody may read"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("ports") / "objects"
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
    "tags": ("PUT", "/bucket/kept.txt?tagging", b"<Tagging><TagSet/></Tagging>"),
    "a sub-resource": ("DELETE", "/bucket/kept.txt?tagging", None),
    "a path in another spelling": ("GET", "/bucket/%2e%2e/bucket/kept.txt", None),
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
    skewed = signed(url, "GET", "/bucket/kept.txt", b"", empty, age=1000)
    assert "RequestTimeTooSkewed" in ask(skewed.url, "GET", **dict(skewed.headers.items()))[2]
    near = signed(url, "GET", "/bucket/kept.txt", b"", empty, age=800)
    assert ask(near.url, "GET", None, **dict(near.headers.items()))[2] == SECRET_TEXT
    assert untouched(bucket)


def test_a_presigned_url_ends(server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    where = {"Bucket": "bucket", "Key": "kept.txt"}
    moment = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=70)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: moment.replace(tzinfo=None))
    mine = client(server[0], KEY, SECRET)
    over = mine.generate_presigned_url("get_object", Params=where, ExpiresIn=60)
    status, _, text = ask(over)
    assert (status, "Request has expired" in text) == (403, True)
    assert ask(mine.generate_presigned_url("get_object", Params=where, ExpiresIn=80))[0] == 200


@pytest.mark.parametrize(
    "parameter",
    ["x-amz-meta-a=1%0D%0AX-More:%201", "x-amz-meta-a%0D%0AX-More:=1", "x-amz-meta-%C3%A4=1"],
)
def test_a_presigned_url_brings_no_header_that_is_none(
    server: tuple[str, Path], parameter: str
) -> None:
    """What it names is said again with the object: a line break would add a header there."""
    request = AWSRequest("PUT", f"{server[0]}/bucket/new.txt?{parameter}")
    S3SigV4QueryAuth(Credentials(KEY, SECRET), "s3", REGION, expires=60).add_auth(request)
    status, _, text = ask(request.url, "PUT", b"x")
    assert (status, "cannot be a header" in text) == (400, True)
    assert untouched(server[1])


def test_metadata_of_a_presigned_url_is_that_of_a_header(server: tuple[str, Path]) -> None:
    request = AWSRequest("PUT", f"{server[0]}/bucket/new.txt?x-amz-meta-a=%C3%BC")
    S3SigV4QueryAuth(Credentials(KEY, SECRET), "s3", REGION, expires=60).add_auth(request)
    assert ask(request.url, "PUT", b"x")[0] == 200
    try:
        mine = client(server[0], KEY, SECRET)
        declared = mine.head_object(Bucket="bucket", Key="new.txt")["Metadata"]["a"]
        assert declared.encode("latin-1").decode() == "ü"
    finally:
        (server[1] / "new.txt").unlink()


def test_a_refusal_is_xml_whatever_was_asked_for(server: tuple[str, Path]) -> None:
    request = AWSRequest("GET", f"{server[0]}/bucket/kept.txt?%00%EF%BF%BF=1")
    S3SigV4QueryAuth(Credentials(KEY, SECRET), "s3", REGION, expires=60).add_auth(request)
    status, _, text = ask(request.url)
    assert (status, ET.fromstring(text).findtext("Code")) == (501, "NotImplemented")


def test_signature_version_2_is_refused_by_name(server: tuple[str, Path]) -> None:
    status, _, text = ask(f"{server[0]}/bucket/kept.txt", Authorization=f"AWS {KEY}:aaaa")
    assert (status, "Please use AWS4-HMAC-SHA256" in text) == (400, True)


NAVIGATION = {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "navigate"}


def test_a_browser_may_be_led_to_a_presigned_get_and_the_page_sees_nothing_of_it(
    server: tuple[str, Path],
) -> None:
    """As the portal leads it to a download."""
    url, bucket = server
    where = {"Bucket": "bucket", "Key": "kept.txt"}
    mine = client(url, KEY, SECRET)
    presigned = mine.generate_presigned_url("get_object", Params=where)
    status, headers, text = ask(presigned, **NAVIGATION)
    assert (status, text) == (200, SECRET_TEXT)
    assert "access-control-" not in headers
    for header in (
        "content-security-policy: default-src 'none'; sandbox",
        "cross-origin-resource-policy: same-origin",
        "x-content-type-options: nosniff",
    ):
        assert header in headers
    assert ask(presigned, **NAVIGATION | {"Sec_Fetch_Site": "cross-site"})[0] == 200
    for page in (
        NAVIGATION | {"Origin": "null"},
        NAVIGATION | {"Sec_Fetch_Mode": "no-cors"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "cors"},
    ):
        assert ask(presigned, **page)[0] == 403, page
    put = mine.generate_presigned_url("put_object", Params=where)
    assert ask(put, "PUT", b"x", **NAVIGATION)[0] == 403
    assert ask(presigned.replace("Signature=", "Signature=0"), **NAVIGATION)[0] == 403
    empty = hashlib.sha256(b"").hexdigest()
    with_header = signed(url, "GET", "/bucket/kept.txt", b"", empty)
    assert ask(with_header.url, **dict(with_header.headers.items()) | NAVIGATION)[0] == 403
    assert untouched(bucket)


def test_only_its_health_is_open(server: tuple[str, Path]) -> None:
    url, _ = server
    assert ask(f"{url}/_localaws/health")[0] == 200
    assert ask(f"{url}/_localaws/health", Host="evil.example")[0] == 403
    assert ask(f"{url}/_localaws/health", Origin="http://evil.example")[0] == 403
    assert ask(f"{url}/_localaws/health?list-type=2")[0] == 403
    assert ask(f"{url}/_localaws/health", "PUT", b"x")[0] == 403


RAW = {
    "two lengths": "Content-Length: 1\r\nContent-Length: 2",
    "a length and chunks": "Content-Length: 1\r\nTransfer-Encoding: chunked",
    "two hosts": "Host: evil.example",
    "a folded header": "X-A: 1\r\n 2",
    "a header with a space": "X-A : 1",
    "a bare line feed": "X-A: 1\nX-B: 2",
    "a NUL": "X-A: \0",
    "other chunks": "Transfer-Encoding: gzip, chunked",
    "a length that is none": "Content-Length: +1",
    "endless headers": "X-A: " + "a" * 40_000,
}


@pytest.mark.parametrize("what", RAW)
def test_what_two_readers_could_read_as_two_requests_is_refused(
    server: tuple[str, Path], what: str
) -> None:
    """Signed rightly otherwise; what follows is a request that must not be read as one."""
    url, bucket = server
    port = int(url.rpartition(":")[2])
    presigned = client(url, KEY, SECRET).generate_presigned_url(
        "get_object", Params={"Bucket": "bucket", "Key": "kept.txt"}
    )
    target = presigned.removeprefix(url)
    one = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"{one}{RAW[what]}\r\n\r\n{one}\r\n".encode())
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while data := connection.recv(65_536):
                answer += data
    assert SECRET_TEXT.encode() not in answer
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert untouched(bucket)


@pytest.mark.parametrize("path", ["/bucket/%FF", "/bucket/a%00b", "/bucket/%C3", "/bucket/a#b"])
def test_keys_that_are_no_text_are_refused(server: tuple[str, Path], path: str) -> None:
    url, bucket = server
    empty = hashlib.sha256(b"").hexdigest()
    headers = dict(signed(url, "GET", path, b"", empty).headers.items())
    port = int(url.rpartition(":")[2])
    lines = [f"PUT {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Length: 0"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert connection.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 403")
    assert untouched(bucket)


@pytest.fixture
def impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server in this process that waits a tenth of a second where it waits 10 s."""
    monkeypatch.setattr(s3_http, "_HEADER_SECONDS", 0.1)
    monkeypatch.setattr(s3_stream, "_READ_TIMEOUT_SECONDS", 0.1)
    store = ObjectStore(tmp_path / "objects")
    store.create_bucket("bucket")
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    ring = KeyRing([Key(KEY, SECRET)])
    hosts = frozenset({f"127.0.0.1:{port}"})
    running = s3_http.Server(store, Service(store, REGION), ring, hosts, listener)
    thread = threading.Thread(target=running.serve)
    thread.start()
    yield port
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    store.close()


def test_whoever_sends_too_slowly_is_let_go(impatient: int) -> None:
    url = f"http://127.0.0.1:{impatient}"
    where = {"Bucket": "bucket", "Key": "a"}
    put = client(url, KEY, SECRET).generate_presigned_url("put_object", Params=where)
    head = f"PUT {put.removeprefix(url)} HTTP/1.1\r\nHost: 127.0.0.1:{impatient}\r\n"
    for half in (
        "",
        head[:20],
        head,
        f"{head}Content-Length: 10\r\n\r\n12345",
    ):
        with socket.create_connection(("127.0.0.1", impatient), timeout=20) as connection:
            connection.sendall(half.encode())
            answer = b""
            while data := connection.recv(65_536):
                answer += data
            assert (b"RequestTimeout" in answer) == ("12345" in half), half
    with socket.create_connection(("127.0.0.1", impatient), timeout=20) as connection:
        connection.sendall(f"{head}Content-Length: 100000\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):  # it lets go in the midst of it
            for _ in range(400):
                connection.sendall(b"x")
                if select.select([connection], [], [], 0.02)[0]:
                    break
        assert b"RequestTimeout" in connection.recv(65_536)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_documents_with_declarations_are_refused(server: tuple[str, Path], encoding: str) -> None:
    """Entities that grow, or that name a file."""
    url, bucket = server
    body = (
        f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE Delete [<!ENTITY k "kept.txt">]>'
        "<Delete><Object><Key>&k;</Key></Object></Delete>"
    ).encode(encoding)
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    request = signed(url, "POST", "/bucket?delete", body, hashlib.sha256(body).hexdigest())
    headers = dict(request.headers.items()) | {"Content-MD5": digest}
    status, _, text = ask(request.url, "POST", body, **headers)
    assert (status, "MalformedXML" in text) == (400, True)
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
