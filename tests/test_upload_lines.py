"""The upload page: many files, cut connections, a page that is loaded anew, and lost answers."""

import hashlib
import http.client
import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from mmeportal.tests.web_server import WebServer
from models_catalog.tests.test_upload_server import some
from tests.rules.test_pages import AUDIT, axe_source
from tests.servers import wait_until
from tests.upload_page import (
    LONG,
    MB,
    Sent,
    Tab,
    choose,
    drop,
    is_stored,
    kept,
    line,
    opened,
    portal,
    send,
    slowly,
    tab,
    versions,
)  # fmt: skip

__all__ = ["tab"]

_TIMED_OUT = b"<html><head><title>504 Gateway Time-out</title></head><body>nginx</body></html>"


@pytest.fixture(scope="module")
def server(s3_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    made = portal(tmp_path_factory.mktemp("lines"), s3_address)
    with made.running():
        yield made


@pytest.fixture
def page(server: WebServer, tab: Tab) -> Iterator[Page]:
    with tab.opened(server.url) as page:
        yield page


def _file(folder: Path, name: str, size: int) -> Path:
    path = folder / name
    path.write_bytes(some(size))
    return path


def _said(server: WebServer, name: str) -> str:
    (found,) = (one for one in versions(server) if one.startswith(f"{name} "))
    return found


def _is(server: WebServer, name: str, path: Path) -> None:
    data = path.read_bytes()
    found = _said(server, name)
    assert f"{len(data)} {hashlib.sha256(data).hexdigest()}" in found


def test_an_empty_file_and_sizes_are_told_as_on_other_pages(page: Page) -> None:
    drop(page, {"nothing.tar.gz": "", "sized.tar.gz": "1" * 38_852})
    expect(line(page, "nothing.tar.gz")).to_contain_text(
        "nothing.tar.gz is empty. Choose another file."
    )
    expect(line(page, "sized.tar.gz")).to_contain_text("37.9 KB")


def test_a_file_that_was_chosen_before_the_script_came_is_taken(page: Page, tmp_path: Path) -> None:
    held: list[Any] = []
    page.route("**/upload*.js", lambda route: held.append(route))
    page.goto(page.url, wait_until="commit")
    choose(page, _file(tmp_path, "early.tar.gz", 2000))
    wait_until(lambda: bool(held))
    expect(page.locator("#lines > li")).to_have_count(0)
    held[0].continue_()
    expect(line(page, "early.tar.gz")).to_contain_text("2.0 KB")


def test_three_files_that_are_dropped_become_three_versions(server: WebServer, page: Page) -> None:
    page.get_by_label("Version note").fill("of the night")
    # A name is text, whatever it looks like.
    drop(page, {"<img src=x>.tar.gz": "x"}, on="#lines, main")
    expect(line(page, "<img src=x>.tar.gz")).to_have_count(1)
    assert page.locator("#lines img").count() == 0
    page.get_by_role("button", name="Remove <img src=x>.tar.gz from the list").click()
    drop(page, {"one_v7.tar.gz": "1" * 5000, "two.tgz": "2" * 5000, "three.tar.gz": "3" * 5000})
    expect(page.locator("#lines > li")).to_have_count(3)
    for name in ("one", "two", "three"):
        expect(page.locator("#lines")).to_contain_text(
            f"becomes {name} v1, at models/{name}_v1.tar.gz"
        )
    expect(page.locator("#for-all")).to_be_visible()
    send(page)
    for file, name in (("one_v7.tar.gz", "one"), ("two.tgz", "two"), ("three.tar.gz", "three")):
        is_stored(page, file, f"{name} v1")
        assert _said(server, f"{name} v1").endswith(" of the night")
    assert kept(page) == {}


def test_two_travel_at_a_time_and_of_one_model_one_after_the_other(
    server: WebServer, page: Page, browser: Any, tmp_path: Path
) -> None:
    first = _file(tmp_path, "queue.tar.gz", 3000)
    choose(page, first)
    send(page)
    is_stored(page, first.name, "queue v1")
    with opened(browser, server, "/models/queue/upload/") as own:
        slowly(own, 200_000)
        others = [_file(tmp_path, f"next-{n}.tar.gz", 300_000 + n) for n in range(3)]
        choose(own, *others)
        for n in range(3):
            expect(line(own, f"next-{n}.tar.gz")).to_contain_text(f"becomes queue v{n + 2}")
        send(own)
        expect(line(own, "next-0.tar.gz")).to_contain_text("Uploading")
        expect(line(own, "next-1.tar.gz")).to_contain_text("In line")
        expect(line(own, "next-2.tar.gz")).to_contain_text("In line")
        for n in range(3):
            is_stored(own, f"next-{n}.tar.gz", f"queue v{n + 2}")
            _is(server, f"queue v{n + 2}", others[n])
    slowly(page, 200_000)
    choose(page, *(_file(tmp_path, f"side-{n}.tar.gz", 400_000) for n in range(3)))
    send(page)
    expect(line(page, "side-1.tar.gz")).to_contain_text("Uploading")
    expect(line(page, "side-2.tar.gz")).to_contain_text("In line")
    assert page.get_by_text("Uploading", exact=True).count() == 2
    slowly(page, 0)
    is_stored(page, "side-2.tar.gz", "side-2 v1")


def test_an_upload_goes_on_by_itself_after_the_portal_was_killed(
    server: WebServer, page: Page, tmp_path: Path
) -> None:
    path = _file(tmp_path, "killed.tar.gz", 12 * MB)
    sent = Sent(page)
    slowly(page, 3 * MB)
    choose(page, path)
    send(page)
    wait_until(lambda: kept(page).get(path.name, 0) > MB)
    for pid in server.processes():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: server.is_well())
    slowly(page, 0)
    is_stored(page, path.name, "killed v1")
    _is(server, "killed v1", path)
    assert sent.offsets == sorted(sent.offsets)
    assert kept(page) == {}


def test_while_the_portal_is_away_the_line_says_what_is_kept(
    server: WebServer, tab: Tab, tmp_path: Path
) -> None:
    path = _file(tmp_path, "away.tar.gz", 12 * MB)
    with tab.opened(server.url) as page:
        slowly(page, 4 * MB)
        choose(page, path)
        send(page)
        wait_until(lambda: kept(page).get(path.name, 0) >= MB)
        page.route("**/api/v1/uploads/**", lambda route: route.abort())
        own = line(page, path.name)
        expect(own).to_contain_text("The connection was lost.", timeout=LONG)
        expect(own).to_contain_text("have arrived and are kept. It goes on by itself in")
        expect(own).to_contain_text("Interrupted")
        page.unroute("**/api/v1/uploads/**")
        slowly(page, 0)
        own.get_by_role("button", name="Try again").click()  # or it waits for up to half a minute
        is_stored(page, path.name, "away v1")
    _is(server, "away v1", path)


def test_after_a_reload_the_same_file_goes_on_where_it_stopped(
    server: WebServer, page: Page, tmp_path: Path
) -> None:
    path = _file(tmp_path, "reloaded.tar.gz", 8 * MB)
    slowly(page, 2 * MB)
    choose(page, path)
    page.get_by_label("Version note").fill("kept over a reload")
    send(page)
    wait_until(lambda: kept(page).get(path.name, 0) >= 3 * MB)
    page.reload()
    unfinished = line(page, path.name)
    expect(unfinished).to_contain_text("Unfinished")
    expect(unfinished).to_contain_text("Choose the same file again, and it goes on there.")
    # The server may still have been taking in the last request.
    settled = [0]

    def is_settled() -> bool:
        settled.append(kept(page)[path.name])
        return settled[-1] == settled[-2]

    wait_until(is_settled)
    assert settled[-1] >= 3 * MB

    slowly(page, 0)
    sent = Sent(page)
    choose(page, path)  # nothing else is clicked
    is_stored(page, path.name, "reloaded v1")
    assert sent.offsets[0] == settled[-1]
    assert min(sent.offsets) == settled[-1], "what had arrived was sent again"
    _is(server, "reloaded v1", path)
    assert _said(server, "reloaded v1").endswith("kept over a reload")
    assert page.locator("#lines > li").count() == 1


def test_another_file_of_the_same_name_and_size_is_not_mixed_in(
    server: WebServer, page: Page, tmp_path: Path
) -> None:
    path = _file(tmp_path, "mixed.tar.gz", 4 * MB)
    slowly(page, MB)
    choose(page, path)
    send(page)
    wait_until(lambda: kept(page).get(path.name, 0) >= MB)
    line(page, path.name).get_by_role("button", name="Pause", exact=True).click()
    page.reload()
    expect(line(page, path.name)).to_contain_text("Unfinished")
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    slowly(page, 0)
    choose(page, path)
    lines = page.locator("#lines > li")
    expect(lines).to_have_count(2)
    expect(lines.nth(1)).to_contain_text("the same name and size, but other bytes")
    # Nor is one that has another name, where the line asked for its own.
    with page.expect_file_chooser() as chooser:
        lines.nth(0).get_by_role("button", name="Choose the file again").click()
    chooser.value.set_files(_file(tmp_path, "other.tar.gz", 10))
    expect(lines.nth(0)).to_contain_text("This is another file. The unfinished one is mixed.tar.gz")
    expect(lines).to_have_count(2)
    lines.nth(0).get_by_role("button", name="Cancel mixed.tar.gz").click()
    expect(lines).to_have_count(1)
    assert kept(page) == {}
    send(page)
    is_stored(page, path.name, "mixed v1")
    _is(server, "mixed v1", path)


def test_an_upload_is_paused_goes_on_and_is_cancelled(
    server: WebServer, page: Page, tmp_path: Path
) -> None:
    path = _file(tmp_path, "paused.tar.gz", 5 * MB)
    slowly(page, MB)
    choose(page, path)
    send(page)
    own = line(page, path.name)
    expect(own).to_contain_text("/s,", timeout=LONG)  # how fast, and how long it takes
    expect(own).to_contain_text("left")
    wait_until(lambda: kept(page).get(path.name, 0) >= MB)
    own.get_by_role("button", name="Pause", exact=True).focus()
    page.keyboard.press("Enter")
    expect(own).to_contain_text("Paused.")
    expect(own.get_by_role("button", name="Go on")).to_be_focused()
    before = kept(page)[path.name]
    slowly(page, MB // 8)  # what is left may go in one request: it is not to end before Cancel
    sent = Sent(page)
    page.keyboard.press("Enter")
    expect(own).to_contain_text("Uploading")
    wait_until(lambda: path.name in kept(page) and sent.offsets)  # asking lets events come
    assert sent.offsets[0] >= before
    own.get_by_role("button", name="Cancel paused.tar.gz").click()
    expect(own).to_have_count(0)
    assert kept(page) == {}
    assert not [one for one in versions(server) if one.startswith("paused ")]
    # It can be chosen again, and is sent from the start.
    slowly(page, 0)
    choose(page, path)
    send(page)
    is_stored(page, path.name, "paused v1")


def test_what_is_refused_can_be_mended_in_the_line(
    server: WebServer, page: Page, tmp_path: Path
) -> None:
    choose(page, _file(tmp_path, "notes.zip", 10), _file(tmp_path, "mended.tar.gz", 5000))
    expect(line(page, "notes.zip")).to_contain_text("notes.zip is not named *.tar.gz.")
    page.get_by_label("Metadata").fill("no equals sign")
    send(page)
    own = line(page, "mended.tar.gz")
    expect(own.locator(".errors")).to_contain_text("Metadata: ")
    line(page, "notes.zip").get_by_role("button", name="Remove notes.zip from the list").click()
    page.get_by_label("Metadata").fill("accuracy=0.9")
    send(page)
    is_stored(page, "mended.tar.gz", "mended v1")
    # The same bytes again are known when they have arrived.
    choose(page, _file(tmp_path, "twice.tar.gz", 5000))
    send(page)
    own = line(page, "twice.tar.gz")
    expect(own).to_contain_text("The same file is mended v1 already.", timeout=LONG)
    own.get_by_role("link", name="mended v1").click()
    page.wait_for_url(f"{server.url}/models/mended/v1/")


@pytest.fixture
def own_page(server: WebServer, browser: Any) -> Iterator[Page]:
    """A page that is no other test's, as this one changes its size and its scheme."""
    with opened(browser, server) as page:
        yield page


def test_lines_in_each_state_are_accessible_in_each_scheme_and_size(
    own_page: Page, tmp_path: Path
) -> None:
    page = own_page
    names = ["a-sent", "b-sent", "in-line", "with-pause", "a-sent-2"]
    files = [_file(tmp_path, f"{name}.tar.gz", 900_000 + len(name)) for name in names]
    slowly(page, 100_000)
    choose(page, *files)
    send(page)
    expect(line(page, "b-sent.tar.gz")).to_contain_text("/s,", timeout=LONG)
    line(page, "a-sent-2.tar.gz").get_by_role("button", name="Cancel").click()
    line(page, "with-pause.tar.gz").get_by_role("button", name="Pause", exact=True).click()
    choose(page, _file(tmp_path, "of no use.zip", 5), _file(tmp_path, f"{'long-' * 40}.tar.gz", 5))
    line(page, f"{'long-' * 40}.tar.gz").get_by_label("Name of the model").fill("a-sent")
    expect(page.locator("#lines")).to_contain_text("Another file of this list")
    faults: list[str] = []

    def look(what: str) -> None:
        page.evaluate(axe_source())
        page.evaluate("window.violations ??= []")
        for scheme in ("light", "dark"):
            dark = scheme == "dark"  # which changes colours alone
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 900})
                faults.extend(
                    f"{what} {scheme} {width}: {one}" for one in page.evaluate(AUDIT, dark)
                )

    look("on the way")
    page.route("**/api/v1/uploads/**", lambda route: route.abort())
    for file in ("a-sent.tar.gz", "b-sent.tar.gz"):
        line(page, file).get_by_role("button", name="Pause", exact=True).click()
    expect(line(page, "in-line.tar.gz")).to_contain_text("Interrupted", timeout=LONG)
    look("interrupted")
    page.unroute("**/api/v1/uploads/**")
    page.reload()
    expect(line(page, "b-sent.tar.gz")).to_contain_text("Unfinished")
    slowly(page, 0)
    choose(page, files[1])
    is_stored(page, "b-sent.tar.gz", "b-sent v1")
    look("unfinished and stored")
    for file in sorted(kept(page)):
        line(page, file).get_by_role("button", name=f"Cancel {file}").click()
        expect(line(page, file)).to_have_count(0)
    assert kept(page) == {}
    assert not faults, "\n".join(faults)


# --- a proxy that loses answers ---


class Proxy(ThreadingHTTPServer):
    """Hands requests on to ``behind``, and spoils so many answers to some of them."""

    daemon_threads = True

    def __init__(self, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.spoils: list[tuple[str, str]] = []

    def spoilt(self, method: str, path: str) -> str:
        """How this request is to be spoilt; empty: it is not."""
        for one in self.spoils:
            if one[0] == f"{method} {path.rpartition('uploads/')[1] or path}":
                self.spoils.remove(one)
                return one[1]
        return ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _hand_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        assert isinstance(self.server, Proxy)
        how = self.server.spoilt(self.command, self.path)
        if how == "504":  # nothing of the answer, nor of the request, gets through
            self._answer(504, [("Content-Type", "text/html")], _TIMED_OUT)
            return
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name != "Connection"}
        upstream.request(self.command, self.path, body or None, headers)
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if how == "cut":
            self.close_connection = True
        elif how == "504 after it arrived":
            self._answer(504, [("Content-Type", "text/html")], _TIMED_OUT)
        else:
            self._answer(answer.status, answer.getheaders(), content)

    do_GET = do_POST = do_PATCH = do_DELETE = _hand_on

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
def proxy(server: WebServer) -> Iterator[Proxy]:
    with Proxy(server.port) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join(timeout=10)


@pytest.mark.parametrize(
    ("asked", "how"),
    [
        ("POST /models/new/begin/", "cut"),
        ("POST /models/new/begin/", "504 after it arrived"),
        ("POST /models/new/begin/", "504"),
        ("PATCH uploads/", "cut"),
        ("PATCH uploads/", "504 after it arrived"),
        ("PATCH uploads/", "504"),
        ("GET uploads/", "504"),
    ],
)
def test_an_answer_that_is_lost_makes_nothing_twice(
    server: WebServer, proxy: Proxy, tab: Tab, tmp_path: Path, asked: str, how: str
) -> None:
    name = f"{asked} {how}".lower().translate(str.maketrans(" /", "--")).replace("--", "-")
    path = _file(tmp_path, f"{name}.tar.gz", 3000)
    with tab.opened(proxy.url) as page:
        choose(page, path)
        expect(line(page, path.name)).to_contain_text("becomes")
        proxy.spoils = [(asked, how)]
        send(page)
        is_stored(page, path.name, f"{name} v1")
        assert not proxy.spoils
        assert path.name not in kept(page)
    _is(server, f"{name} v1", path)
