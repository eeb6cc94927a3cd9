"""A browser whose upload arrived, but whose answer a proxy lost, says what it finds out."""

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mmeportal.tests.web_server import PASSWORD, WebServer
from tests.artifacts import constant_archive

_TIMED_OUT = b"<html><head><title>504 Gateway Time-out</title></head><body>nginx</body></html>"
_TOO_LARGE = b"<html><head><title>413 Request Entity Too Large</title></head><body></body></html>"


class Proxy(ThreadingHTTPServer):
    """Hands requests on to ``behind``, and spoils the answers to uploads as ``fault`` says."""

    daemon_threads = True
    fault = ""

    def __init__(self, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._hand_on(b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Proxy)
        fault = self.server.fault if b'name="archive"' in body else ""
        if fault == "413":  # nginx's: the portal sees nothing
            self._answer(413, [("Content-Type", "text/html")], _TOO_LARGE)
        elif fault == "504":  # nothing of the answer, nor of the upload, gets through
            self._answer(504, [("Content-Type", "text/html")], _TIMED_OUT)
        elif fault == "504 after it arrived":
            self._ask(body)
            self._answer(504, [("Content-Type", "text/html")], _TIMED_OUT)
        elif fault == "413 after it arrived":
            self._ask(body)
            self._answer(413, [("Content-Type", "text/html")], _TOO_LARGE)
        elif fault == "the connection ends":
            self._ask(body)
            self.close_connection = True
        else:
            self._hand_on(body)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        assert isinstance(self.server, Proxy)
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name != "Connection"}
        upstream.request(self.command, self.path, body or None, headers)
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        return answer.status, answer.getheaders(), content

    def _hand_on(self, body: bytes) -> None:
        self._answer(*self._ask(body))

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name not in {"Connection", "Content-Length", "Transfer-Encoding", "Date", "Server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def proxy(s3_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy before a portal with a real store."""
    import boto3

    keys = {
        "AWS_ACCESS_KEY_ID": "test-access-key",
        "AWS_SECRET_ACCESS_KEY": "test-secret-key",
        "AWS_ENDPOINT_URL_S3": s3_address,
        "AWS_REGION": "ap-northeast-2",
        "MODEL_BUCKET": "behind-a-proxy",
    }
    s3 = boto3.client(
        "s3", endpoint_url=s3_address, region_name=keys["AWS_REGION"],
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )  # fmt: skip
    s3.create_bucket(
        Bucket=keys["MODEL_BUCKET"],
        CreateBucketConfiguration={"LocationConstraint": keys["AWS_REGION"]},
    )
    server = WebServer(tmp_path_factory.mktemp("portal"), **keys)
    with server.running(), Proxy(server.port) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join(timeout=10)


@pytest.fixture
def page(proxy: Proxy, browser: Any) -> Iterator[Any]:
    """The upload page, logged in, through the proxy."""
    proxy.fault = ""
    page = browser.new_page()
    page.goto(f"{proxy.url}/login/")
    page.fill("[name=username]", "operator")
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"{proxy.url}/")
    page.goto(f"{proxy.url}/models/new/")
    yield page
    page.context.close()


def _send(page: Any, archive: Path, name: str) -> None:
    page.set_input_files("#id_archive", archive)
    page.fill("#id_name", name)
    page.click("#send")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("the connection ends", "The connection ended after the last byte was sent"),
        ("504 after it arrived", "An answer 504 came that says nothing of the upload"),
        ("413 after it arrived", "answered that the archive is too large (413)"),
    ],
)
def test_an_upload_that_arrived_is_found_by_its_bytes(
    proxy: Proxy, page: Any, tmp_path: Path, fault: str, why: str
) -> None:
    archive = constant_archive(tmp_path / "digits.tar.gz", labels=["a", "b"], answer=0)
    name = fault.replace(" ", "-")
    proxy.fault = fault
    _send(page, archive, name)

    page.get_by_text(f"{name} v1 (Uploaded)").wait_for()
    assert why in page.inner_text("#problem")
    assert "Nothing was kept" not in page.inner_text("#problem")
    assert page.is_disabled("#send"), "a second click would upload it again"
    proxy.fault = ""
    page.get_by_role("link", name=f"Open {name} v1").click()
    page.wait_for_url(f"{proxy.url}/models/{name}/v1/")


def test_it_is_found_without_tls_too_where_a_browser_hashes_nothing(
    proxy: Proxy, page: Any, tmp_path: Path
) -> None:
    page.evaluate("Object.defineProperty(window.crypto, 'subtle', {value: undefined})")
    proxy.fault = "504 after it arrived"
    _send(page, constant_archive(tmp_path / "plain.tar.gz", labels=["a", "b"], answer=0), "plain")
    page.get_by_text("plain v1 (Uploaded)").wait_for()


def test_a_proxys_413_is_told_and_no_more_is_claimed_than_was_seen(
    proxy: Proxy, page: Any, tmp_path: Path
) -> None:
    proxy.fault = "413"
    _send(page, constant_archive(tmp_path / "large.tar.gz", labels=["a", "b"], answer=0), "large")
    page.get_by_text("The portal has no version of these").wait_for()
    said = page.inner_text("#problem")
    assert "A server in front of the portal answered that the archive is too large (413)" in said
    assert "othing was kept" not in said, "the bytes may have been handed on all the same"
    assert "look at the list of models before you upload them again" in said
    assert page.input_value("#id_name") == "large"

    proxy.fault = ""  # its limit was raised
    page.click("#send")
    page.wait_for_url(f"{proxy.url}/models/large/v1/")


def test_an_upload_that_is_nowhere_is_not_called_lost_for_good(
    proxy: Proxy, page: Any, tmp_path: Path
) -> None:
    page.clock.install()
    proxy.fault = "504"
    with page.expect_response(lambda answer: "/arrived/" in answer.url):
        _send(page, constant_archive(tmp_path / "gone.tar.gz", labels=["a", "b"], answer=0), "gone")
    page.clock.fast_forward(120_000)
    page.get_by_text("after 120 s").wait_for()
    said = page.inner_text("#problem")
    assert "The portal has no version of these" in said
    assert "look at the list of models before you upload them again" in said
    assert "othing was kept" not in said


def test_the_search_can_be_ended(proxy: Proxy, page: Any, tmp_path: Path) -> None:
    proxy.fault = "504"
    _send(page, constant_archive(tmp_path / "gone.tar.gz", labels=["a", "b"], answer=0), "gone")
    page.get_by_text("Looking whether it arrived").wait_for()
    page.click("#cancel")
    page.get_by_text("You ended the search").wait_for()
    assert page.is_enabled("#send")
