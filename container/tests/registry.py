"""A registry of container images on the loopback: what a push needs of the distribution API (v2).

It asks for a password as ECR does, checks each digest, and keeps everything in a folder.
"""

import base64
import hashlib
import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20


class Registry(ThreadingHTTPServer):
    """``user`` and ``password`` are asked for; blobs and manifests lie in ``folder``."""

    daemon_threads = True

    def __init__(self, folder: Path, user: str, password: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.secret = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.manifests: dict[tuple[str, str], bytes] = {}
        self.refused = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def blob(self, digest: str) -> Path:
        return self.folder / digest.replace(":", "-")

    def manifest(self, repository: str, tag: str) -> dict[str, Any]:
        return json.loads(self.manifests[repository, tag])  # type: ignore[no-any-return]


class _Handler(BaseHTTPRequestHandler):
    server: Registry
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_HEAD(self) -> None:
        self.handle_one()

    do_GET = do_POST = do_PATCH = do_PUT = do_HEAD

    def handle_one(self) -> None:
        if self.headers.get("Authorization") != self.server.secret:
            self.server.refused += 1
            self.drain()
            self.answer(401, {"WWW-Authenticate": 'Basic realm="registry"'})
            return
        path, _, query = self.path.partition("?")
        if path == "/v2/":
            self.answer(200)
        elif found := re.fullmatch(r"/v2/(.+)/blobs/uploads/", path):
            self.drain()
            self.upload_here(found[1], uuid.uuid4().hex)
        elif found := re.fullmatch(r"/v2/(.+)/blobs/uploads/([0-9a-f]{32})", path):
            self.upload(found[1], found[2], query)
        elif found := re.fullmatch(r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})", path):
            blob = self.server.blob(found[2])
            if blob.exists():
                self.answer(200, {"Docker-Content-Digest": found[2]}, size=blob.stat().st_size)
            else:
                self.answer(404)
        elif found := re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", path):
            self.manifest(found[1], found[2])
        else:
            self.answer(404)

    def upload_here(self, repository: str, upload: str) -> None:
        place = f"/v2/{repository}/blobs/uploads/{upload}"
        self.answer(202, {"Location": place, "Docker-Upload-UUID": upload})

    def upload(self, repository: str, upload: str, query: str) -> None:
        part = self.server.folder / f"upload-{upload}"
        with part.open("ab") as file:
            for piece in self.pieces():
                file.write(piece)
        if self.command == "PATCH":
            self.upload_here(repository, upload)
            return
        digest = query.partition("digest=")[2].replace("%3A", ":")
        with part.open("rb") as file:
            real = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        if digest != real:
            self.answer(400)
            return
        part.rename(self.server.blob(digest))
        self.answer(201, {"Docker-Content-Digest": digest})

    def manifest(self, repository: str, tag: str) -> None:
        if self.command != "PUT":
            known = self.server.manifests.get((repository, tag))
            self.answer(404 if known is None else 200, size=len(known or b""))
            return
        body = b"".join(self.pieces())
        named = json.loads(body)
        missing = [
            each["digest"]
            for each in [named["config"], *named["layers"]]
            if not self.server.blob(each["digest"]).exists()
        ]
        if missing:
            self.answer(400)
            return
        self.server.manifests[repository, tag] = body
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        self.answer(201, {"Docker-Content-Digest": digest})

    def pieces(self) -> Iterator[bytes]:
        """The request's body."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0:
            piece = self.rfile.read(min(left, _CHUNK))
            if not piece:
                raise ConnectionError("the body is cut short")
            left -= len(piece)
            yield piece

    def drain(self) -> None:
        for _ in self.pieces():
            pass

    def answer(self, status: int, headers: dict[str, str] | None = None, size: int = 0) -> None:
        self.send_response(status)
        self.send_header("Docker-Distribution-API-Version", "registry/2.0")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what counts is what has arrived."""


@contextmanager
def registry(folder: Path, user: str, password: str) -> Iterator[Registry]:
    """One that serves until the block ends."""
    serving = Registry(folder, user, password)
    thread = threading.Thread(target=serving.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield serving
    finally:
        serving.shutdown()
        thread.join(timeout=10)
        serving.server_close()
