"""Bodies in chunks, signed or not, with trailers: as SDKs send them, and as nobody should."""

import base64
import datetime
import hashlib
import http.client
import socket
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from localaws.s3 import checksums
from localaws.tests.servers import KEY, REGION, SECRET, s3_server

TEXT = b"a stream of the JavaScript SDK, in one chunk and a trailer\n"
# What @aws-sdk/client-s3 3.1174.0 sent under Node.js 20 for `new PutObjectCommand({Body:
# fs.createReadStream(…), ContentLength: 59})`, after its headers: HTTP's chunks, and AWS's in them.
JAVASCRIPT = {
    "crc32": b"4\r\n3b\r\n\r\n3b\r\n" + TEXT + b"\r\n2\r\n\r\n\r\n3\r\n0\r\n\r\n"
    b"1f\r\nx-amz-checksum-crc32:G3cLsA==\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n",
    # with {highWaterMark: 20} and ChecksumAlgorithm: "CRC64NVME"
    "crc64nvme": b"4\r\n14\r\n\r\n14\r\na stream of the Java\r\n2\r\n\r\n\r\n4\r\n14\r\n\r\n14\r\n"
    b"Script SDK, in one c\r\n2\r\n\r\n\r\n4\r\n13\r\n\r\n13\r\nhunk and a trailer\n\r\n2\r\n\r\n"
    b"\r\n3\r\n0\r\n\r\n27\r\nx-amz-checksum-crc64nvme:tZiOEVV/F/A=\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("streams") / "objects"
    (folder / "bucket").mkdir(parents=True)
    with s3_server(folder) as url:
        yield urlsplit(url).netloc, folder / "bucket"


class Signer:
    """Signs a request's headers, and the chunks that follow it."""

    def __init__(self, host: str, path: str, headers: dict[str, str], method: str = "PUT") -> None:
        self.when = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        self.headers = {"X-Amz-Date": self.when, "Host": host} | headers
        request = AWSRequest(method, f"http://{host}{path}", headers=dict(self.headers))
        request.context["timestamp"] = self.when
        self._auth = S3SigV4Auth(Credentials(KEY, SECRET), "s3", REGION)
        text = self._auth.string_to_sign(request, self._auth.canonical_request(request))
        self.last = self._auth.signature(text, request)
        self._request = request
        self._auth._inject_signature_to_request(request, self.last)  # type: ignore[attr-defined]
        self.headers["Authorization"] = request.headers["Authorization"]

    def sign(self, kind: str, *digests: str) -> str:
        scope = f"{self.when[:8]}/{REGION}/s3/aws4_request"
        lines = [f"AWS4-HMAC-SHA256-{kind}", self.when, scope, self.last, *digests]
        self.last = self._auth.signature("\n".join(lines), self._request)
        return self.last

    def chunk(self, data: bytes) -> bytes:
        empty = hashlib.sha256(b"").hexdigest()
        signature = self.sign("PAYLOAD", empty, hashlib.sha256(data).hexdigest())
        head = f"{len(data):x};chunk-signature={signature}\r\n".encode()
        return head + data + (b"\r\n" if data else b"")

    def trailer(self, line: str) -> bytes:
        signature = self.sign("TRAILER", hashlib.sha256(f"{line}\n".encode()).hexdigest())
        return f"{line}\r\nx-amz-trailer-signature:{signature}\r\n\r\n".encode()


def send(host: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str]:
    """Status and body of the answer to exactly these bytes."""
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=20) as connection:
        lines = [f"PUT {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read().decode()


@pytest.mark.parametrize("algorithm", JAVASCRIPT)
def test_a_stream_of_the_javascript_sdk_is_read(server: tuple[str, Path], algorithm: str) -> None:
    host, bucket = server
    headers = {
        "x-amz-sdk-checksum-algorithm": algorithm.upper(),
        "content-type": "application/octet-stream",
        "content-encoding": "aws-chunked",
        "transfer-encoding": "chunked",
        "x-amz-decoded-content-length": str(len(TEXT)),
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-trailer": f"x-amz-checksum-{algorithm}",
        "x-amz-user-agent": "aws-sdk-js/3.1174.0",
        "amz-sdk-request": "attempt=1; max=1",
    }
    path = f"/bucket/{algorithm}.bin?x-id=PutObject"
    signed = Signer(host, path, headers).headers
    status, text = send(host, path, signed, JAVASCRIPT[algorithm])
    assert status == 200, text
    assert (bucket / f"{algorithm}.bin").read_bytes() == TEXT
    wrong = JAVASCRIPT[algorithm].replace(b"stream", b"STREAM")
    status, text = send(host, path, signed, wrong)
    assert (status, "BadDigest" in text) == (400, True), text
    assert (bucket / f"{algorithm}.bin").read_bytes() == TEXT


def signed_chunks(host: str, path: str, *, trailer: bool, length: int | None = None) -> Signer:
    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")
    headers = {
        "x-amz-content-sha256": kind,
        "x-amz-decoded-content-length": str(len(TEXT) if length is None else length),
        "content-encoding": "aws-chunked,gzip",
    }
    if trailer:
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"
    return Signer(host, path, headers)


CRC = "x-amz-checksum-crc32:" + base64.b64encode(zlib.crc32(TEXT).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("trailer", [False, True])
def test_signed_chunks_are_read(server: tuple[str, Path], trailer: bool) -> None:
    host, bucket = server
    signer = signed_chunks(host, "/bucket/signed", trailer=trailer)
    body = signer.chunk(TEXT[:30]) + signer.chunk(TEXT[30:]) + signer.chunk(b"")
    body += signer.trailer(CRC) if trailer else b"\r\n"
    headers = signer.headers | {"Content-Length": str(len(body))}
    status, text = send(host, "/bucket/signed", headers, body)
    assert status == 200, text
    assert (bucket / "signed").read_bytes() == TEXT


Bend = Callable[[Signer], bytes]


def swapped(signer: Signer) -> bytes:
    one, two = signer.chunk(TEXT[:30]), signer.chunk(TEXT[30:])
    return two + one + signer.chunk(b"") + signer.trailer(CRC)


def changed(signer: Signer) -> bytes:
    one = signer.chunk(TEXT).replace(b"stream", b"STREAM")
    return one + signer.chunk(b"") + signer.trailer(CRC)


def unsigned(signer: Signer) -> bytes:
    return b"%x\r\n%b\r\n0\r\n%b\r\n\r\n" % (len(TEXT), TEXT, CRC.encode())


def cut(signer: Signer) -> bytes:
    return signer.chunk(TEXT[:30]) + signer.chunk(b"") + signer.trailer(CRC)


def longer(signer: Signer) -> bytes:
    return signer.chunk(TEXT) + signer.chunk(b"more") + signer.chunk(b"") + signer.trailer(CRC)


def other_trailer(signer: Signer) -> bytes:
    return signer.chunk(TEXT) + signer.chunk(b"") + signer.trailer("x-amz-checksum-sha1:aaaa")


def wrong_sum(signer: Signer) -> bytes:
    return signer.chunk(TEXT) + signer.chunk(b"") + signer.trailer("x-amz-checksum-crc32:AAAAAA==")


def forged_trailer(signer: Signer) -> bytes:
    line = "x-amz-checksum-crc32:AAAAAA=="
    return (
        signer.chunk(TEXT)
        + signer.chunk(b"")
        + signer.trailer(CRC).replace(CRC.encode(), line.encode())
    )


def no_trailer(signer: Signer) -> bytes:
    return signer.chunk(TEXT) + signer.chunk(b"") + b"\r\n"


def bytes_after(signer: Signer) -> bytes:
    return signer.chunk(TEXT) + signer.chunk(b"") + signer.trailer(CRC) + b"GET / HTTP/1.1\r\n\r\n"


def no_size(signer: Signer) -> bytes:
    return b"-1\r\n" + signer.chunk(TEXT)


def endless_line(signer: Signer) -> bytes:
    return b"1" * 9000


@pytest.mark.parametrize(
    ("bend", "code"),
    [
        (swapped, "SignatureDoesNotMatch"),
        (changed, "SignatureDoesNotMatch"),
        (unsigned, "SignatureDoesNotMatch"),
        (cut, "IncompleteBody"),
        (longer, "IncompleteBody"),
        (other_trailer, "MalformedTrailerError"),
        (wrong_sum, "BadDigest"),
        (forged_trailer, "SignatureDoesNotMatch"),
        (no_trailer, "SignatureDoesNotMatch"),
        (bytes_after, "InvalidRequest"),
        (no_size, "InvalidRequest"),
        (endless_line, "InvalidRequest"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_chunks_that_are_not_as_signed_leave_the_object_as_it_was(
    server: tuple[str, Path], bend: Bend, code: str
) -> None:
    host, bucket = server
    (bucket / "kept").write_bytes(b"kept")
    signer = signed_chunks(host, "/bucket/kept", trailer=True)
    body = bend(signer)
    headers = signer.headers | {"Content-Length": str(len(body))}
    status, text = send(host, "/bucket/kept", headers, body)
    assert status in (400, 403), text
    assert f"<Code>{code}</Code>" in text
    assert (bucket / "kept").read_bytes() == b"kept"


def test_a_body_that_differs_from_its_signed_digest_is_refused(server: tuple[str, Path]) -> None:
    host, bucket = server
    (bucket / "kept").write_bytes(b"kept")
    declared = {"x-amz-content-sha256": hashlib.sha256(b"said").hexdigest()}
    headers = Signer(host, "/bucket/kept", declared).headers | {"Content-Length": "4"}
    status, text = send(host, "/bucket/kept", headers, b"sent")
    assert (status, "XAmzContentSHA256Mismatch" in text) == (400, True)
    assert (bucket / "kept").read_bytes() == b"kept"
    assert send(host, "/bucket/kept", headers, b"said")[0] == 200


def test_a_copy_source_may_have_its_slashes_encoded(server: tuple[str, Path]) -> None:
    """As encodeURIComponent("bucket/key") in JavaScript's documentation makes it."""
    host, bucket = server
    (bucket / "source").write_bytes(b"to copy")
    empty = {"x-amz-content-sha256": hashlib.sha256(b"").hexdigest()}
    for source in ("bucket%2Fsource", "/bucket/source", "%2Fbucket%2Fsource", "bucket/sourc%65"):
        (bucket / "copy").unlink(missing_ok=True)
        headers = Signer(host, "/bucket/copy", empty | {"x-amz-copy-source": source}).headers
        status, text = send(host, "/bucket/copy", headers | {"Content-Length": "0"}, b"")
        assert (status, "CopyObjectResult" in text) == (200, True), source
        assert (bucket / "copy").read_bytes() == b"to copy"


def test_a_body_without_a_length_is_refused(server: tuple[str, Path]) -> None:
    host, bucket = server
    declared = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    signed = Signer(host, "/bucket/none", declared).headers
    assert "MissingContentLength" in send(host, "/bucket/none", signed, b"")[1]
    chunked = signed | {"Transfer-Encoding": "chunked"}
    status, text = send(host, "/bucket/none", chunked, b"1\r\nx\r\n0\r\n\r\n")
    assert (status, "NotImplemented" in text) == (501, True)
    assert not (bucket / "none").exists()


VECTORS = {"crc32": "cbf43926", "crc32c": "e3069283", "crc64nvme": "ae8b14860a799888"}


@pytest.mark.parametrize("algorithm", VECTORS)
def test_checksums_are_those_of_their_standards_however_the_bytes_come(algorithm: str) -> None:
    """The check values of the CRC catalogue, of "123456789"."""
    digest = checksums.new(algorithm)
    digest.update(b"123456789")
    assert digest.digest().hex() == VECTORS[algorithm]
    data = hashlib.shake_128(b"seed").digest(300_007)
    whole = checksums.new(algorithm)
    whole.update(data)
    for sizes in ((1,), (7, 300, 4096), (65_536, 9, 262_144)):
        parts, at = checksums.new(algorithm), 0
        for size in sizes:
            parts.update(memoryview(data)[at : at + size])
            at += size
        parts.update(data[at:])
        assert parts.digest() == whole.digest()
    if isinstance(whole, checksums.ReflectedCrc):
        value = whole._by_table(data, (1 << whole._width) - 1) ^ ((1 << whole._width) - 1)
        assert whole.digest() == value.to_bytes(whole._width // 8, "big")
