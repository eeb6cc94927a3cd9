"""A server that answers what a test tells it to, for what a real portal does not do on demand."""

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

#: Answers of the real API, as a test got them.
EXAMPLES: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "mmeportal" / "openapi_examples.json").read_text()
)
VERSION = "MME-Portal-Version"


@dataclass
class Request:
    """What came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Says:
    """An answer. ``drop``: the connection is closed in place of it. ``after_s``: it comes late."""

    status: int = 200
    document: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    drop: bool = False
    after_s: float = 0.0


def problem(code: str, status: int, **headers: str) -> Says:
    """A problem document of this code."""
    document = {"type": f"/problems/{code}", "title": code, "status": status}
    document |= {"detail": f"This is {code}.", "instance": "the-request"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Says(status, document, {"Content-Type": "application/problem+json", **named})


class FakePortal:
    """Its address, the requests that came, and what it answers next.

    ``answers``: what it says, in order; the last one is said again and again.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self.answers: list[Says | Callable[[Request], Says]] = [Says(document={})]
        self.version = "0.1.0"
        self._lock = threading.Lock()

    def next(self, request: Request) -> Says:
        with self._lock:
            self.requests.append(request)
            found = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        return found(request) if callable(found) else found


@contextlib.contextmanager
def fake_portal(tls: ssl.SSLContext | None = None) -> Iterator[FakePortal]:
    """A fake portal that listens."""
    portal = FakePortal()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path, dict(self.headers.items()), body)
            says = portal.next(request)
            if says.after_s:
                time.sleep(says.after_s)
            if says.drop:
                self.close_connection = True
                return
            content = says.body
            headers = {VERSION: portal.version, **says.headers}
            if says.document is not None:
                content = json.dumps(says.document).encode()
                headers.setdefault("Content-Type", "application/json")
            self.send_response(says.status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    portal.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    try:
        yield portal
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
