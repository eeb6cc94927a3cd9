"""Uploads through a real nginx: as it is where nobody says otherwise, and as docs/aws.md has it."""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

import mme_client
from mmeportal.tests.web_server import ROOT, WebServer
from models_catalog.tests.test_upload_server import some
from tests.servers import free_port, running, wait_for_port, wait_until
from tests.upload_page import (
    LONG,
    MB,
    Sent,
    Tab,
    choose,
    is_stored,
    kept,
    line,
    portal,
    send,
    slowly,
    tab,
    versions,
)

__all__ = ["tab"]
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="needs nginx (Debian: apt-get install nginx)")

_CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
{user}
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""
#: With bodies of 1 MB and time limits of 60 s, which are its own.
_PLAIN = """
server {
    listen 443 ssl;
    location / {
        proxy_pass http://127.0.0.1:8000;
        proxy_set_header Host $http_host;
    }
}
"""


class Nginx:
    """nginx before a portal, with a server block on a port of its own."""

    def __init__(self, folder: Path, behind: int, block: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        block = re.sub(r"listen .*;", f"listen 127.0.0.1:{self.port};", block)
        block = re.sub(r"(?m)^\s*(ssl_|server_name).*$", "", block)
        block = block.replace("127.0.0.1:8000", f"127.0.0.1:{behind}")
        user = "user root;" if os.geteuid() == 0 else ""
        text = _CONFIGURATION.format(folder=folder, user=user, server=block)
        (folder / "nginx.conf").write_text(text)

    @contextmanager
    def running(self) -> Iterator[None]:
        command = [str(NGINX), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]
        with (
            (self.folder / "log").open("ab") as log,
            running(command, stdout=log, stderr=log) as process,
        ):
            wait_for_port(self.port, process)
            yield

    def answers(self, method: str) -> list[int]:
        """The status of each request of a method, in order."""
        text = (self.folder / "access.log").read_text()
        return [int(one) for one in re.findall(rf'"{method} [^"]*" (\d+)', text)]


@pytest.fixture(scope="module")
def server(s3_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    made = portal(tmp_path_factory.mktemp("portal"), s3_address)
    with made.running():
        yield made


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "large.tar.gz"
    path.write_bytes(some(9 * MB))
    return path


def _is(server: WebServer, name: str, path: Path) -> None:
    data = path.read_bytes()
    (found,) = (one for one in versions(server) if one.startswith(f"{name} "))
    assert f"{len(data)} {hashlib.sha256(data).hexdigest()}" in found


def _documented() -> str:
    text = (ROOT / "docs" / "aws.md").read_text().split("<!-- nginx -->")[1]
    return text.split("```nginx\n")[1].split("```")[0]


def test_the_page_uploads_through_nginx_as_it_is(
    server: WebServer, tab: Tab, tmp_path: Path, archive: Path
) -> None:
    nginx = Nginx(tmp_path, server.port, _PLAIN)
    with nginx.running(), tab.opened(nginx.url) as page:
        sent = Sent(page)
        choose(page, archive)
        send(page)
        is_stored(page, archive.name, "large v1")
    _is(server, "large v1", archive)
    answers = nginx.answers("PATCH")
    assert 413 in answers, "it takes more than 1 MB: the test tests nothing"
    assert answers.count(204) >= 9
    # What was refused once is not tried again: hardly a byte travels in vain.
    assert answers.count(413) <= 2
    assert len(sent.offsets) == len(answers)


def test_nginx_is_restarted_in_the_midst_and_the_page_goes_on(
    server: WebServer, tab: Tab, tmp_path: Path
) -> None:
    path = tmp_path / "restarted.tar.gz"
    path.write_bytes(some(6 * MB))
    nginx = Nginx(tmp_path, server.port, _PLAIN)
    with ExitStack() as closing:
        with nginx.running():
            page = closing.enter_context(tab.opened(nginx.url))
            slowly(page, MB)
            choose(page, path)
            expect(line(page, path.name)).to_contain_text("becomes")
            send(page)
            wait_until(lambda: kept(page).get(path.name, 0) >= MB)
        expect(line(page, path.name)).to_contain_text("The connection was lost.", timeout=LONG)
        slowly(page, 0)
        with nginx.running():
            is_stored(page, path.name, "restarted v1")
    _is(server, "restarted v1", path)


def test_mme_push_gets_through_nginx_as_it_is(
    server: WebServer, tmp_path: Path, archive: Path
) -> None:
    nginx = Nginx(tmp_path, server.port, _PLAIN)
    with nginx.running(), mme_client.Portal(nginx.url, server.tokens["read upload"]) as through:
        version = through.models.push(archive, "pushed")
    assert version.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert 413 in nginx.answers("PATCH")


def test_the_configuration_of_the_docs_is_one_that_works(
    server: WebServer, tab: Tab, tmp_path: Path, archive: Path
) -> None:
    nginx = Nginx(tmp_path, server.port, _documented())
    with nginx.running(), tab.opened(nginx.url) as page:
        page.get_by_label("Version note").fill("as the docs have it")
        choose(page, archive)
        page.get_by_label("Name of the model").fill("documented")
        send(page)
        is_stored(page, archive.name, "documented v1")
    _is(server, "documented v1", archive)
    assert 413 not in nginx.answers("PATCH")
