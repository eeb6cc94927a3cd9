"""A browser whose upload the web server refuses before it reads it says why."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from mmeportal.tests.web_server import WebServer
from tests.upload_page import choose, line, opened, send


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebServer]:
    made = WebServer(tmp_path, AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")
    with made.running():
        yield made


def test_who_was_logged_out_is_told_so_and_it_goes_on_after_a_log_in(
    server: WebServer, browser: Any, tmp_path: Path
) -> None:
    archive = tmp_path / "large.tar.gz"
    with archive.open("wb") as file:
        os.truncate(file.fileno(), 300 << 20)
    with opened(browser, server) as page:
        choose(page, archive)
        cookies = page.context.cookies()
        page.context.clear_cookies(name="mme_session")
        send(page)
        own = line(page, archive.name)
        expect(own).to_contain_text("You were logged out.")
        assert list(server.temporary.iterdir()) == []

        page.context.add_cookies(cookies)
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        # The store is away: what it says is shown, and it is tried again.
        expect(own).to_contain_text("The store did not take these bytes.", timeout=120_000)
        expect(own).to_contain_text("It goes on by itself in", timeout=120_000)
