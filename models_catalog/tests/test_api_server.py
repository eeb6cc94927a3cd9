"""A push by the real web server: in constant memory, and refused before it is read."""

import base64
import contextlib
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from mmeportal.tests.test_web_server import written
from mmeportal.tests.web_server import WebServer, rest
from tests.servers import REGION, new_bucket, wait_until

MB = 1 << 20


class Pushing:
    """A server with a store, and tokens that may upload or read."""

    def __init__(self, server: WebServer) -> None:
        self.server = server
        self.may, self.may_not = server.tokens["read upload"], server.tokens["read"]

    def head(self, token: str, **headers: object) -> bytes:
        lines = [
            "POST /api/v1/models/large/versions HTTP/1.1", "Host: 127.0.0.1",
            f"Authorization: Bearer {token}", "Content-Type: application/gzip",
            *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
        ]  # fmt: skip
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.fixture(scope="module")
def pushing(tmp_path_factory: pytest.TempPathFactory, s3_address: str) -> Iterator[Pushing]:
    made = WebServer(
        tmp_path_factory.mktemp("push"),
        AWS_ENDPOINT_URL_S3=s3_address,
        MODEL_BUCKET=new_bucket(s3_address),
        MAX_ARCHIVE_MB="300",
        AWS_REGION=REGION,
    )
    found = Pushing(made)
    with made.running():
        yield found


class Pieces:
    """``count`` pieces of a megabyte, as a file that nobody holds in memory."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.size = count * MB
        self.piece = bytes(range(256)) * (MB // 256)

    def __len__(self) -> int:
        return self.size

    def read(self, size: int = -1) -> bytes:
        if not self.left:
            return b""
        self.left -= 1
        return self.piece

    def digest(self) -> str:
        found = hashlib.sha256()
        for _ in range(self.size // MB):
            found.update(self.piece)
        return base64.b64encode(found.digest()).decode()


@pytest.mark.slow
def test_a_push_of_200_mb_takes_no_memory(pushing: Pushing) -> None:
    server = pushing.server
    headers = {
        "Authorization": f"Bearer {pushing.may}",
        "Content-Type": "application/gzip",
        "Content-Digest": f"sha-256=:{Pieces(200).digest()}:",
        "Idempotency-Key": "large",
    }
    url = f"{server.url}/api/v1/models/large/versions"
    warm = requests.post(
        url, b"x", headers={**headers, "Content-Digest": "", "Idempotency-Key": "w"}, timeout=60
    )
    assert warm.status_code == 202, warm.text
    before = server.memory_mb()
    highest = [before]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            highest.append(server.memory_mb())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        answer = requests.post(url, Pieces(200), headers=headers, timeout=300)
    finally:
        done.set()
        watching.join()
    assert answer.status_code == 202, answer.text
    assert answer.json()["size"] == 200 * MB
    assert f"{server.url}{answer.headers['Location']}".endswith("/versions/2")
    print(f"memory: {before:.0f} MB before, {max(highest):.0f} MB at most")
    assert max(highest) - before < 64
    wait_until(lambda: written(server) == 0)
    # The repetition is hashed in pieces, too, and makes nothing.
    again = requests.post(url, Pieces(200), headers=headers, timeout=300)
    assert (again.content, again.headers["Idempotent-Replayed"]) == (answer.content, "true")
    assert server.memory_mb() - before < 64


def test_a_token_that_may_not_upload_is_refused_before_the_body_is_read(pushing: Pushing) -> None:
    for token, status, code in (
        (pushing.may_not, b" 403 ", b"scope-missing"),
        ("mme_nothing", b" 401 ", b"bad-token"),
    ):
        for framing in (
            {"Content_Length": 250 * MB},
            {"Content_Length": 250 * MB, "Expect": "100-continue"},
        ):
            said = pushing.server.says(pushing.head(token, **framing))
            assert status in said.partition(b"\r\n")[0]
            assert code in said
            assert b"application/problem+json" in said
            assert b"100 Continue" not in said
    assert written(pushing.server) == 0


def test_more_than_is_allowed_is_refused_before_it_is_read(pushing: Pushing) -> None:
    said = pushing.server.says(pushing.head(pushing.may, Content_Length=300 * MB + 1))
    assert b" 413 " in said.partition(b"\r\n")[0]
    assert b"too-large" in said
    assert written(pushing.server) == 0


def test_a_push_in_chunks_arrives_whole(pushing: Pushing) -> None:
    def chunks() -> Iterator[bytes]:
        for number in range(30):
            yield bytes([number]) * 100_000

    answer = requests.post(
        f"{pushing.server.url}/api/v1/models/chunks/versions",
        chunks(),
        headers={"Authorization": f"Bearer {pushing.may}", "Content-Type": "application/gzip"},
        timeout=60,
    )
    assert answer.status_code == 202, answer.text
    whole = b"".join(chunks())
    assert answer.json()["size"] == len(whole)
    assert answer.json()["sha256"] == hashlib.sha256(whole).hexdigest()


def test_a_push_that_breaks_off_makes_nothing(pushing: Pushing, tmp_path: Path) -> None:
    with contextlib.closing(pushing.server.connect()) as client:
        client.sendall(pushing.head(pushing.may, Content_Length=20 * MB))
        client.sendall(b"x" * (5 * MB))
    wait_until(lambda: written(pushing.server) == 0)
    url = f"{pushing.server.url}/api/v1/versions?limit=200"
    listed = requests.get(url, headers={"Authorization": f"Bearer {pushing.may}"}, timeout=30)
    assert 20 * MB not in [one["size"] for one in listed.json()["items"]]
    with pushing.server.connect() as client:
        client.sendall(pushing.head(pushing.may, Content_Length=1, Connection="close") + b"x")
        assert b" 202 " in rest(client).partition(b"\r\n")[0]
