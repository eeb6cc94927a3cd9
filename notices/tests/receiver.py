"""A receiver of webhooks on loopback: it keeps what it is sent, and answers as it is told."""

import contextlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


@dataclass
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    def verified(self, secret: str) -> Any:
        """What it says, where its signature is right; else the library raises."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass
class Receiver:
    """``answers``: status, headers and body of the next ones; then 204."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    #: The body is sent byte by byte, each after this event was waited for as long.
    drip_s: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)

    def says(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Answer so, once."""
        self.answers.append((status, headers, body))


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        got = Got(self.path, dict(self.headers.items()), self.rfile.read(length))
        self.receiver.got.append(got)
        status, headers, body = (
            self.receiver.answers.pop(0) if self.receiver.answers else (204, {}, b"")
        )
        if self.receiver.drip_s:
            self._drip()
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):  # who reads no more than the beginning has gone
            self.wfile.write(body)

    def _drip(self) -> None:
        """A header line that never ends."""
        with contextlib.suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.receiver.ended.wait(self.receiver.drip_s):
                self.wfile.write(b"a")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


@contextmanager
def receiving(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver, for as long as it is needed."""
    receiver = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    with ThreadingHTTPServer((host, 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        port = server.server_address[1]
        scheme = "https" if tls else "http"
        receiver.url = f"{scheme}://{host}:{port}/hook?of=portal"
        thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.ended.set()
            server.shutdown()
            thread.join()
