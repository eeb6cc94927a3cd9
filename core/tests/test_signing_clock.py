"""Requests are signed by AWS's clock where this host's is far from it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from core import aws
from models_catalog import s3

AT_ONCE = 6
_REFUSAL = b"<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message></Error>"


class _Handler(BaseHTTPRequestHandler):
    """S3 with a clock of its own; answers the first requests all at the same time."""

    together = threading.Barrier(AT_ONCE)
    ahead = timedelta(minutes=20)
    refused = 0

    def do_GET(self) -> None:
        now = datetime.now(UTC) + self.ahead
        signed = datetime.fromisoformat(self.headers["X-Amz-Date"])
        right = abs(now - signed) < timedelta(minutes=15)
        if not right:
            type(self).refused += 1
            self.together.wait(20)
        body = b"data" if right else _REFUSAL
        self.send_response_only(200 if right else 403)
        self.send_header("Date", format_datetime(now, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def _s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(aws, "_ahead_s", 0.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
        aws.s3.cache_clear()
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield
        aws.s3.cache_clear()
        server.shutdown()
        thread.join()


def _read(number: int) -> bytes:
    return aws.s3().get_object(Bucket="store", Key=str(number))["Body"].read()


@pytest.mark.usefixtures("_s3")
def test_all_requests_that_were_refused_at_the_same_time_are_sent_again() -> None:
    """As the parts of one upload are."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        assert list(threads.map(_read, range(AT_ONCE))) == [b"data"] * AT_ONCE
    assert _Handler.refused == AT_ONCE, "none twice"


@pytest.mark.usefixtures("_s3")
@pytest.mark.parametrize("minutes", [3, -3])
def test_downloads_addresses_begin_by_the_stores_clock(
    db: None, minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They hold for a minute, so S3 would take one for over that it would not refuse otherwise."""
    monkeypatch.setattr(_Handler, "ahead", timedelta(minutes=minutes))
    assert _read(1) == b"data"
    address = s3.browser_address(bucket="store", key="k", name="k")
    (signed,) = parse_qs(urlsplit(address).query)["X-Amz-Date"]
    off = datetime.now(UTC) + _Handler.ahead - datetime.fromisoformat(signed)
    assert abs(off) < timedelta(seconds=20)


@pytest.mark.usefixtures("_s3")
def test_a_clock_that_is_put_right_signs_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(_Handler, "ahead", timedelta(minutes=3))
    _read(1)
    monkeypatch.setattr(_Handler, "ahead", timedelta(0))
    _read(2)
    assert aws._ahead_s == 0.0
    assert "agrees with AWS's again" in caplog.text
