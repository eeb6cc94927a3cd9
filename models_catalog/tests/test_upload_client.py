"""The client pushes large archives by tus: through a proxy that takes 1 MB, over cuts and kills."""

import hashlib
import http.client
import os
import signal
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import mme_client
from mme_client import resuming
from mmeportal.tests.web_server import WebServer
from models_catalog.tests.test_api_server import MB
from models_catalog.tests.test_upload_server import Uploading, some, uploading

__all__ = ["uploading"]


class Proxy:
    """A proxy that takes bodies up to 1 MB, as nginx does where nobody says otherwise.

    ``cuts``: of so many requests with a body it closes the connection in place of an answer.
    """

    def __init__(self, server: WebServer) -> None:
        self.sent = self.refused = self.cuts = 0
        self.sizes: list[int] = []  # of bodies, the refused ones too
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                proxy.sizes += [length] if length else []
                if length > MB:
                    proxy.refused += 1
                    self.close_connection = True
                    body = b"<html>413 Request Entity Too Large</html>"
                    self.send_response(413)
                    self.send_header("Content-Length", str(len(body)))
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.wfile.write(body)
                    return
                body = self.rfile.read(length)
                if len(body) < length:  # who sent it is gone
                    self.close_connection = True
                    return
                proxy.sent += length
                behind = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name != "Host"}
                behind.request(self.command, self.path, body, headers)
                found = behind.getresponse()
                content = found.read()
                behind.close()
                if length and proxy.cuts:
                    proxy.cuts -= 1
                    self.close_connection = True
                    return
                self.send_response(found.status)
                for name, value in found.getheaders():
                    if name not in ("Connection", "Content-Length"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = answer

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def proxy(uploading: Uploading) -> Iterator[Proxy]:
    made = Proxy(uploading.server)
    yield made
    made.close()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "by-client.tar.gz"
    path.write_bytes(some(5 * MB))
    return path


def test_a_push_gets_through_a_proxy_that_takes_one_megabyte(
    uploading: Uploading, proxy: Proxy, archive: Path
) -> None:
    proxy.cuts = 2
    with mme_client.Portal(proxy.url, uploading.token) as portal:
        version = portal.models.push(archive, "by-proxy", note="small", metadata={"accuracy": 0.9})
    assert version.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert (version.number, version.note, version.metadata) == (1, "small", {"accuracy": 0.9})
    assert proxy.refused
    assert proxy.sent == archive.stat().st_size  # a cut lost an answer, and no byte was sent twice


def test_requests_grow_while_they_are_quick_until_one_is_refused(
    uploading: Uploading, proxy: Proxy, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kb = 1 << 10
    monkeypatch.setattr(resuming, "FIRST_BYTES", 256 * kb)
    with mme_client.Portal(proxy.url, uploading.token) as portal:
        version = portal.models.push(archive, "by-growing")
        assert version.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
        left = (5 * 1024 - 256 - 512) * kb
        grown = [256 * kb, 512 * kb, MB, 2 * MB]  # the last is refused
        assert proxy.sizes == [*grown, *[MB] * 3, left - 4 * MB]
        proxy.sizes.clear()
        monkeypatch.setattr(resuming, "MOST_BYTES", 512 * kb)
        portal.models.push(archive, "by-bounded")
        assert proxy.sizes == [256 * kb, *[512 * kb] * 9, 256 * kb]
        proxy.sizes.clear()
        monkeypatch.setattr(resuming, "_MOMENT_S", 0)
        portal.models.push(archive, "by-slow")
        assert proxy.sizes == [256 * kb] * 20


class _KilledError(Exception):
    pass


def test_a_push_that_was_killed_goes_on_and_its_state_is_for_its_user_alone(
    uploading: Uploading, proxy: Proxy, archive: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "state" / "uploads.json"

    def die(sent: int, of: int) -> None:
        if proxy.sent and sent > of // 2:  # not in the body that the proxy refuses
            raise _KilledError

    with mme_client.Portal(proxy.url, uploading.token) as portal:
        with pytest.raises(_KilledError):
            portal.models.push(archive, "by-killed", progress=die, kept=kept)
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert 0 < proxy.sent < archive.stat().st_size
        version = portal.models.push(archive, "by-killed", kept=kept)
    assert version.number == 1
    assert version.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert proxy.sent == archive.stat().st_size
    assert kept.read_text() == "{}"


def test_a_push_goes_on_with_a_portal_that_was_killed(uploading: Uploading, tmp_path: Path) -> None:
    archive = tmp_path / "restarted.tar.gz"
    archive.write_bytes(some(40 * MB))
    killed: list[int] = []

    def kill(sent: int, of: int) -> None:
        if sent > of // 2 and not killed:
            killed.extend(uploading.server.processes())
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    with mme_client.Portal(uploading.server.url, uploading.token) as portal:
        version = portal.models.push(archive, progress=kill)
    assert killed
    assert version.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert version.number == 1
