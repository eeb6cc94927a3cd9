"""A browser whose upload the web server refuses before it reads it says why."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmeportal.tests.web_server import PASSWORD, WebServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebServer]:
    made = WebServer(tmp_path, AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")
    with made.running():
        yield made


def test_who_was_logged_out_is_told_so_and_may_try_again(
    server: WebServer, browser: Any, tmp_path: Path
) -> None:
    archive = tmp_path / "large.tar.gz"
    with archive.open("wb") as file:
        os.truncate(file.fileno(), 300 << 20)
    page = browser.new_page()
    page.goto(f"{server.url}/login/")
    page.fill("[name=username]", "operator")
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"{server.url}/")
    page.goto(f"{server.url}/models/new/")
    page.set_input_files("#id_archive", archive)
    cookies = page.context.cookies()

    page.context.clear_cookies(name="mme_session")
    page.click("#send")
    page.wait_for_selector("#problem .callout")
    assert "You were logged out, and nothing was kept." in page.inner_text("#problem")
    assert list(server.temporary.iterdir()) == []

    page.context.add_cookies(cookies)
    page.click("#send")
    page.get_by_text("The store did not take the archive").wait_for(timeout=120_000)
    page.context.close()
