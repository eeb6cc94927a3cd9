"""tus uploads by the real web server: cut off, killed, two at once, large, and by a tus client."""

import base64
import contextlib
import hashlib
import io
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from mmeportal.server.guard import MOST_STRETCH_BYTES, STRETCH_BYTES
from mmeportal.tests.test_web_server import written
from mmeportal.tests.web_server import WebServer
from models_catalog.tests.test_api_server import MB, Pieces
from tests.servers import REGION, new_bucket, wait_until


class Uploading:
    """A server with a store, and what a tus client says to it."""

    def __init__(self, server: WebServer) -> None:
        self.server = server
        self.token = server.tokens["read upload"]
        self.headers = {"Authorization": f"Bearer {self.token}", "Tus-Resumable": "1.0.0"}
        self.url = f"{server.url}/api/v1/uploads/"

    def begin(self, model: str, length: int) -> str:
        told = f"model {base64.b64encode(model.encode()).decode()}"
        headers = {**self.headers, "Upload-Length": str(length), "Upload-Metadata": told}
        answer = requests.post(self.url, headers=headers, timeout=30)
        assert answer.status_code == 201, answer.text
        return f"{self.server.url}{answer.headers['Location']}"

    def offset(self, url: str) -> int:
        answer = requests.head(url, headers=self.headers, timeout=30)
        assert answer.status_code == 200
        return int(answer.headers["Upload-Offset"])

    def send(self, url: str, data: Any, offset: int) -> requests.Response:
        headers = {
            **self.headers,
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
        }
        return requests.patch(url, data, headers=headers, timeout=300)

    def opening(self, url: str, offset: int, length: int) -> bytes:
        lines = [
            f"PATCH {url.removeprefix(self.server.url)} HTTP/1.1", "Host: 127.0.0.1",
            *(f"{name}: {value}" for name, value in self.headers.items()),
            "Content-Type: application/offset+octet-stream",
            f"Upload-Offset: {offset}", f"Content-Length: {length}",
        ]  # fmt: skip
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def version(self, url: str) -> dict[str, Any]:
        made = requests.get(url, headers=self.headers, timeout=30).json()["made"]
        where = f"{self.server.url}/api/v1/models/{made['model']}/versions/{made['number']}"
        found: dict[str, Any] = requests.get(where, headers=self.headers, timeout=30).json()
        return found


@pytest.fixture(scope="module")
def uploading(tmp_path_factory: pytest.TempPathFactory, s3_address: str) -> Iterator[Uploading]:
    made = WebServer(
        tmp_path_factory.mktemp("tus"),
        AWS_ENDPOINT_URL_S3=s3_address,
        MODEL_BUCKET=new_bucket(s3_address),
        MAX_ARCHIVE_MB="300",
        AWS_REGION=REGION,
    )
    found = Uploading(made)
    with made.running():
        yield found


def some(size: int) -> bytes:
    """Bytes of which no two stretches are the same."""
    return hashlib.shake_128(b"some").digest(size)


def test_what_arrived_before_a_cut_is_kept(uploading: Uploading) -> None:
    data = some(30 * MB)
    url = uploading.begin("cut", len(data))
    with contextlib.closing(uploading.server.connect()) as client:
        client.sendall(uploading.opening(url, 0, len(data)))
        client.sendall(data[: 19 * MB])
        # The first stretch is there while the request goes on.
        wait_until(lambda: uploading.offset(url) >= STRETCH_BYTES)
    wait_until(lambda: uploading.offset(url) == 19 * MB)
    wait_until(lambda: written(uploading.server) == 0)
    answer = uploading.send(url, data[19 * MB :], 19 * MB)
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(len(data)))
    assert answer.headers["Location"] == "/api/v1/models/cut/versions/1"
    assert uploading.version(url)["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_killed_server_loses_what_was_under_way_alone(uploading: Uploading) -> None:
    data = some(50 * MB)
    url = uploading.begin("killed", len(data))
    client = TusClient(uploading.url, headers={"Authorization": f"Bearer {uploading.token}"})
    with contextlib.closing(uploading.server.connect()) as cut:
        cut.sendall(uploading.opening(url, 0, len(data)))
        cut.sendall(data[: 36 * MB])
        wait_until(lambda: uploading.offset(url) >= 2 * STRETCH_BYTES)
        for pid in uploading.server.processes():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: uploading.server.is_well())
    kept = uploading.offset(url)
    assert kept >= 2 * STRETCH_BYTES
    uploader = client.uploader(file_stream=io.BytesIO(data), url=url, chunk_size=8 * MB)
    assert uploader.offset == kept
    uploader.upload()
    assert uploading.version(url)["sha256"] == hashlib.sha256(data).hexdigest()


def test_tuspy_uploads_with_checksums(uploading: Uploading) -> None:
    data = some(9 * MB)
    client = TusClient(uploading.url, headers={"Authorization": f"Bearer {uploading.token}"})
    uploader = client.uploader(
        file_stream=io.BytesIO(data),
        chunk_size=4 * MB,
        metadata={"model": "by-tuspy", "filename": "by-tuspy.tar.gz", "note": "한글"},
        upload_checksum=True,
    )
    uploader.upload()
    version = uploading.version(str(uploader.url))
    assert (version["note"], version["size"]) == ("한글", len(data))
    assert version["sha256"] == hashlib.sha256(data).hexdigest()
    with pytest.raises(TusCommunicationError):  # refused before a byte travels
        client.uploader(
            file_stream=io.BytesIO(data),
            metadata={"model": "by-tuspy", "filename": "by-tuspy.zip"},
        ).upload()


def test_two_requests_at_once_do_not_mix(uploading: Uploading) -> None:
    data = some(16 * MB)
    url = uploading.begin("two", len(data))
    answers: list[requests.Response] = []

    def send() -> None:
        answers.append(uploading.send(url, data, 0))

    both = [threading.Thread(target=send) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    statuses = [one.status_code for one in answers]
    assert set(statuses) <= {204, 409, 423}, statuses
    if 204 not in statuses:  # each was stopped by the other
        begins = uploading.offset(url)
        assert uploading.send(url, data[begins:], begins).status_code == 204
    assert uploading.version(url)["sha256"] == hashlib.sha256(data).hexdigest()
    assert uploading.version(url)["number"] == 1


def test_a_wrong_offset_is_refused_in_the_midst_of_the_body(uploading: Uploading) -> None:
    url = uploading.begin("wrong", 200 * MB)
    answer = uploading.send(url, Pieces(20), 5)
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/wrong-offset"
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    assert uploading.offset(url) == 0
    wait_until(lambda: written(uploading.server) == 0)


def test_nobody_sends_a_large_body_without_a_token(uploading: Uploading) -> None:
    url = uploading.begin("mine", 200 * MB)
    opening = uploading.opening(url, 0, 200 * MB).replace(uploading.token.encode(), b"mme_nothing")
    said = uploading.server.says(opening)
    assert b" 401 " in said.partition(b"\r\n")[0]
    assert b"bad-token" in said


def test_a_server_that_ends_keeps_what_arrived(uploading: Uploading, tmp_path: Path) -> None:
    data = some(5 * MB)
    url = uploading.begin("ended", len(data))
    server = uploading.server
    assert server.process is not None
    with contextlib.closing(server.connect()) as client:
        client.sendall(uploading.opening(url, 0, len(data)))
        client.sendall(data[: 4 * MB])
        wait_until(lambda: written(server) >= 3 * MB)
        server.process.send_signal(signal.SIGHUP)  # all processes end, and others take their place
        wait_until(lambda: uploading.offset(url) == 4 * MB)
    assert uploading.send(url, data[4 * MB :], 4 * MB).status_code == 204
    assert uploading.version(url)["sha256"] == hashlib.sha256(data).hexdigest()


@pytest.mark.slow
def test_an_upload_of_200_mb_takes_no_memory(uploading: Uploading) -> None:
    server = uploading.server
    warm = uploading.begin("large", 2 * MB)
    assert uploading.send(warm, Pieces(2), 0).status_code == 204
    before = server.memory_mb()
    highest, most_written = [before], [0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            highest.append(server.memory_mb())
            most_written.append(written(server))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        url = uploading.begin("large", 200 * MB)
        answer = uploading.send(url, Pieces(200), 0)
    finally:
        done.set()
        watching.join()
    assert answer.status_code == 204, answer.text
    found = uploading.version(url)
    assert (found["number"], found["size"]) == (2, 200 * MB)
    digest = base64.b64decode(Pieces(200).digest()).hex()
    assert found["sha256"] == digest
    print(f"memory: {before:.0f} MB before, {max(highest):.0f} MB at most")
    assert max(highest) - before < 64
    # No more than two stretches are on the disk: one arrives while the one before is stored.
    assert max(most_written) < 2 * MOST_STRETCH_BYTES + 2 * MB
