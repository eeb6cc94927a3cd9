"""The upload page in a browser, before a portal with a real store: what its tests share."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Request, expect

from mmeportal.tests.web_server import PASSWORD, WebServer

MB = 1 << 20
#: How long a line may take, in ms, on a busy machine.
LONG = 60_000
_BUCKET = """
from core import aws
aws.s3().create_bucket(
    Bucket="{bucket}", CreateBucketConfiguration={{"LocationConstraint": "ap-northeast-2"}}
)
"""
_VERSIONS = """
from models_catalog.models import Version
for one in Version.objects.order_by("model__name", "number"):
    print(one, one.size, one.sha256, one.note)
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


def portal(folder: Path, s3_address: str, bucket: str, **variables: str) -> WebServer:
    """A web server with a bucket of its own; no worker, so that versions stay uploaded."""
    made = WebServer(
        folder,
        AWS_ENDPOINT_URL_S3=s3_address,
        MODEL_BUCKET=bucket,
        AWS_REGION="ap-northeast-2",
        **variables,
    )
    made.manage("shell", "--no-imports", "-c", _BUCKET.format(bucket=bucket))
    return made


def versions(server: WebServer) -> list[str]:
    """Each version as `digits v1 SIZE SHA256 NOTE`."""
    return server.manage("shell", "--no-imports", "-c", _VERSIONS).splitlines()


def log_in(page: Page, url: str) -> None:
    page.goto(f"{url}/login/")
    page.fill("[name=username]", "operator")
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(f"{url}/")


@contextmanager
def opened(browser: Any, url: str, path: str = "/models/new/") -> Iterator[Page]:
    """The upload page, in a browser of its own that is logged in."""
    page: Page = browser.new_page()
    log_in(page, url)
    page.goto(f"{url}{path}")
    yield page
    page.context.close()


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


def slowly(page: Page, bytes_a_second: int) -> None:
    """Let the browser send so many bytes in a second; 0: as many as it can."""
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")
    client.send(
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
