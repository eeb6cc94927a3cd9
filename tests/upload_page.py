"""The upload page in a browser, before a portal with a real store: what its tests share."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest
from playwright.sync_api import Page, Request, expect

from mmeportal.tests.web_server import WebServer
from tests.servers import REGION, new_bucket

MB = 1 << 20
#: How long a line may take, in ms, on a busy machine.
LONG = 60_000
_VERSIONS = """
SELECT model.name, version.number, version.size, version.sha256, version.note
FROM models_catalog_version version
JOIN models_catalog_model model ON model.id = version.model_id
ORDER BY model.name, version.number
"""
_DROP = """
([name, files]) => {
  const carrier = new DataTransfer();
  for (const [name, text] of files) carrier.items.add(new File([text], name));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    const event = new DragEvent(kind, { dataTransfer: carrier, bubbles: true, cancelable: true });
    document.querySelector(name).dispatchEvent(event);
  }
}
"""


def portal(folder: Path, s3_address: str, **variables: str) -> WebServer:
    """A web server with a bucket of its own; no worker, so that versions stay uploaded."""
    return WebServer(
        folder,
        AWS_ENDPOINT_URL_S3=s3_address,
        MODEL_BUCKET=new_bucket(s3_address),
        AWS_REGION=REGION,
        **variables,
    )


def versions(server: WebServer) -> list[str]:
    """Each version as `digits v1 SIZE SHA256 NOTE`."""
    return ["{} v{} {} {} {}".format(*row) for row in server.rows(_VERSIONS)]


class Tab:
    """One page of a browser, which is as a new one for each test that takes it.

    A new one takes processes of the browser: a second of a processor.
    """

    def __init__(self, browser: Any, server: WebServer) -> None:
        self.page: Page = browser.new_page()
        # It asks whether to leave where an upload is under way.
        self.page.on("dialog", lambda dialog: dialog.accept())
        # A session that is there, for each port of this host. The form of the log-in would have a
        # token of its own, and what the page of the test before still asks for could change it.
        self.page.context.add_cookies(
            [
                {"name": name, "value": value, "url": server.url}
                for name, value in server.cookies["operator"].items()
            ]
        )

    @contextmanager
    def opened(self, url: str, path: str = "/models/new/") -> Iterator[Page]:
        """The upload page, as the operator."""
        page = self.page
        page.unroute_all()
        page.goto(f"{url}{path}")  # what was under way ends here
        slowly(page, 0)
        assert page.url == f"{url}{path}"
        yield page


@pytest.fixture(scope="module")
def tab(browser: Any, server: WebServer) -> Tab:
    """The page of all tests of a module."""
    return Tab(browser, server)


@contextmanager
def opened(browser: Any, server: WebServer, path: str = "/models/new/") -> Iterator[Page]:
    """The upload page, in a context of its own that is logged in."""
    own = Tab(browser, server)
    with own.opened(server.url, path) as page:
        yield page
    own.page.context.close()


def line(page: Page, file: str) -> Any:
    """The line of a file."""
    return page.locator("#lines > li").filter(has=page.get_by_text(file, exact=True))


def choose(page: Page, *files: Path) -> None:
    page.get_by_label("Archive").set_input_files(files)


def drop(page: Page, files: dict[str, str], on: str = "#drop") -> None:
    """Drop files on an element, as from a folder."""
    page.evaluate(_DROP, [on, list(files.items())])


def send(page: Page) -> None:
    page.get_by_role("button", name="Upload", exact=True).click()


_SESSIONS: WeakKeyDictionary[Page, Any] = WeakKeyDictionary()


def slowly(page: Page, bytes_a_second: int) -> None:
    """Let the browser send so many bytes in a second; 0: as many as it can."""
    session = _SESSIONS.get(page)
    if session is None:
        if not bytes_a_second:
            return
        session = _SESSIONS[page] = page.context.new_cdp_session(page)
        session.send("Network.enable")
    session.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": bytes_a_second or -1,
        },
    )


class Sent:
    """The requests that carried bytes: where each began."""

    def __init__(self, page: Page) -> None:
        self.offsets: list[int] = []
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        if request.method == "PATCH":
            self.offsets.append(int(request.headers["upload-offset"]))


def kept(page: Page) -> dict[str, int]:
    """How much of each unfinished upload the portal has, by the file's name."""
    answer = page.request.get(re.sub(r"(//[^/]+)/.*", r"\1/api/v1/uploads/", page.url))
    return {one["file_name"]: one["offset"] for one in answer.json()["items"]}


def is_stored(page: Page, file: str, name: str) -> None:
    """Wait until a file is a version."""
    link = line(page, file).get_by_role("link", name=name)
    expect(link).to_be_visible(timeout=LONG)
