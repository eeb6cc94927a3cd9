"""HTTP for S3: connections, their limits, and the checks before an operation runs.

There is one thread for each connection. The body of a refused request is read for some seconds and
dropped, so that the client sees the error.
"""

import contextlib
import logging
import os
import re
import secrets
import socket
import threading
import time
import urllib.parse
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

from localaws.keys import KeyRing
from localaws.signature import Request

from .auth import authenticate, check_name_and_page, is_presigned
from .body import Body
from .object_store import ObjectStore
from .operations import S3Request, S3Response, Service, find_operation
from .s3_errors import S3Error
from .stream import BufferedConnection, ClientTooSlow, ConnectionClosed, MinimumRate

log = logging.getLogger(__name__)

_MAX_HEAD = 32 * 1024
_HEADER_SECONDS = 10
"""Seconds within which a request's headers, or the first byte of a connection, must arrive."""
_KEEP_ALIVE_SECONDS = 120
"""Seconds that a connection may be idle whose last request was signed."""
_SEND_SECONDS = 300
"""Seconds within which a client must take the next megabyte."""
_LINGER_SECONDS = 5
_LINGER_BYTES = 64 * 1024 * 1024
_MAX_CONNECTIONS = 512
_PIECE = 1024 * 1024
HEALTH = "/_localaws/health"
"""The only path without a signature; a bucket cannot have such a name."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_REQUEST = re.compile(r"([A-Z]{1,10}) (/[\x21-\x7e]*) HTTP/1\.([01])", re.ASCII)
# For browsers that navigate here: the answer is shown or saved, and runs no script.
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


@dataclass(slots=True)
class RequestHead:
    """A request's first line and headers."""

    request: Request
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    is_http_1_0: bool
    problem: S3Error | None = None


class Server:
    """S3 at an address. ``hosts``: the values of Host that are answered."""

    def __init__(
        self,
        store: ObjectStore,
        service: Service,
        keys: KeyRing,
        hosts: frozenset[str],
        listener: socket.socket,
    ) -> None:
        self.store = store
        self.service = service
        self.keys = keys
        self.hosts = hosts
        self._listener = listener
        self._slots = threading.BoundedSemaphore(_MAX_CONNECTIONS)

    def serve(self) -> None:
        """Accept connections until the listener is closed or an exception comes."""
        while True:
            try:
                connection, _ = self._listener.accept()
            except ConnectionError:
                continue
            except OSError as error:
                if self._listener.fileno() < 0:
                    return
                log.warning("no connection can be accepted: %s", error)
                time.sleep(0.1)
                continue
            if not self._slots.acquire(blocking=False):
                connection.close()
                continue
            thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
            try:
                thread.start()
            except RuntimeError:
                self._slots.release()
                connection.close()

    def _run(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Connection(self, connection).run()
        except (ConnectionClosed, ClientTooSlow, OSError):
            pass  # the client is gone or too slow: there is nobody to answer
        except Exception:
            log.exception("a connection ended")
        finally:
            self._slots.release()


class Connection:
    """One client's requests, one after the other."""

    def __init__(self, server: Server, connection: socket.socket) -> None:
        self._server = server
        self._connection = connection
        self._wire = BufferedConnection(connection)
        self._is_signed = False

    def run(self) -> None:
        while self._serve_one():
            pass

    def _serve_one(self) -> bool:
        """Answer one request; True where the connection can serve another."""
        head = self._read_head()
        if head is None:
            return False
        request_id = secrets.token_hex(8).upper()
        began = time.monotonic()
        self._body: Body | None = None
        try:
            operation, answer = self._answer(head)
        except S3Error as error:
            operation, answer = "-", _refusal(error, head, request_id)
        except ClientTooSlow:
            operation, answer = "-", _refusal(_timeout(), head, request_id)
        except ConnectionClosed:
            raise
        except Exception:
            log.exception("%s %r", head.request.method, head.path)
            operation, answer = "-", _refusal(_internal(), head, request_id)
        with contextlib.closing(answer.file) if answer.file else contextlib.nullcontext():
            is_whole = self._body is not None and self._body.is_read
            stays = is_whole and answer.status < 500 and not head.is_http_1_0
            stays &= head.headers.get("connection", "").lower() != "close"
            self._send(head, answer, request_id, stays=stays)
        log.info(
            "%s %s %s %s %.0f ms",
            operation,
            head.request.method,
            head.request.target.partition("?")[0][:300],
            answer.status,
            (time.monotonic() - began) * 1000,
        )
        if not stays:
            self._linger()
        return stays

    # --- reading ---------------------------------------------------------------------------------

    def _read_head(self) -> RequestHead | None:
        """The next request; None where the client closed the connection or sent no HTTP."""
        wire = self._wire
        idle = _KEEP_ALIVE_SECONDS if self._is_signed else _HEADER_SECONDS
        wire.read_timeout = lambda: idle
        if not wire.peek():
            return None
        deadline = time.monotonic() + _HEADER_SECONDS

        def read_timeout() -> float:
            left = deadline - time.monotonic()
            if left <= 0:
                raise ClientTooSlow
            return left

        wire.read_timeout = read_timeout
        lines: list[str] = []
        size = 0
        while True:
            line = _line(wire, _MAX_HEAD - size)
            size += len(line)
            if line == b"\r\n":
                if lines:
                    break
                continue  # an empty line before a request (RFC 9112, 2.2)
            if not line.endswith(b"\r\n"):
                return None
            lines.append(line[:-2].decode("latin-1"))
        wire.read_timeout = MinimumRate(wire)
        return _head(lines)

    def _answer(self, head: RequestHead) -> tuple[str, S3Response]:
        if head.problem is not None:
            raise head.problem
        server, request, query = self._server, head.request, head.query
        check_name_and_page(request, server.hosts, presigned=is_presigned(query))
        if request.target == HEALTH and request.method == "GET":
            return "health", S3Response(headers={"Content-Type": "text/plain"}, body=b"ok\n")
        signed = authenticate(request, query, server.keys)
        self._is_signed = True
        if is_presigned(query):
            _take_from_url(head)
        bucket, _, key = head.path[1:].partition("/")
        operation = find_operation(request.method, bucket, key, query, head.headers)
        body = Body(self._wire, head.headers, signed, is_described=not operation.about_object)
        self._body = body
        call = S3Request(
            request.method, bucket, key, query, head.headers, body, signed.claim.access_key
        )
        if head.headers.get("expect", "").lower() == "100-continue":
            body.before = self._send_continue
        return operation.name, server.service.answer(operation, call)

    def _send_continue(self) -> None:
        self._connection.settimeout(_SEND_SECONDS)
        self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    # --- sending ---------------------------------------------------------------------------------

    def _send(self, head: RequestHead, answer: S3Response, request_id: str, *, stays: bool) -> None:
        length = answer.length if answer.file else len(answer.body)
        headers = {
            "Date": formatdate(usegmt=True),
            "Server": "localaws",
            "x-amz-request-id": request_id,
            **answer.headers,
            **_SAFE,
        }
        if answer.status not in (204, 304):
            headers.setdefault("Content-Length", str(length))
        if not stays:
            headers["Connection"] = "close"
        phrase = HTTPStatus(answer.status).phrase
        lines = [f"HTTP/1.1 {answer.status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        data = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        self._connection.settimeout(_SEND_SECONDS)
        if head.request.method == "HEAD":
            self._connection.sendall(data)
            return
        if answer.file is None:
            self._connection.sendall(data + answer.body)
            return
        self._connection.sendall(data)
        # Faster than sendfile on the loopback, which sends one page at a time.
        buffer = memoryview(bytearray(min(answer.length, _PIECE)))
        start, left = answer.start, answer.length
        while left:
            count = os.preadv(answer.file.fileno(), [buffer[:left]], start)
            if not count:
                raise ConnectionClosed  # the file was truncated: the answer cannot be completed
            self._connection.sendall(buffer[:count])
            start += count
            left -= count

    def _linger(self) -> None:
        """Lingering close: closing a connection with unread bytes would lose the answer."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + _LINGER_SECONDS
            left = _LINGER_BYTES
            while left > 0 and (rest := deadline - time.monotonic()) > 0:
                self._connection.settimeout(rest)
                data = self._connection.recv(256 * 1024)
                if not data:
                    return
                left -= len(data)


def _line(wire: BufferedConnection, most: int) -> bytes:
    """The next line with its line end; without one where the line is too long or cut off."""
    found = bytearray()
    while len(found) < most:
        view = wire.peek()
        piece = bytes(view[: most - len(found)])
        if not piece:
            break
        end = piece.find(b"\n")
        piece = piece if end < 0 else piece[: end + 1]
        wire.take(len(piece))
        found += piece
        if end >= 0:
            break
    return bytes(found)


def _head(lines: list[str]) -> RequestHead | None:
    """A request's head, with ``problem`` where it must be refused; None where it is not HTTP."""
    match = _REQUEST.fullmatch(lines[0])
    if match is None:
        return None
    method, target, minor = match.groups()
    pairs = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        if not colon or not _is_header(name, value):
            return None
        pairs.append((name.lower(), value))
    request = Request(method, target, pairs)
    head = RequestHead(request, "", {}, dict(pairs), minor == "0")
    try:
        _read_target(head)
        _check_headers(head)
    except S3Error as error:
        head.problem = error
    return head


def _is_header(name: str, value: str) -> bool:
    return bool(_TOKEN.fullmatch(name)) and not re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value)


def _read_target(head: RequestHead) -> None:
    path, _, query = head.request.target.partition("?")
    try:
        head.path = urllib.parse.unquote(path, errors="strict")
        for pair in filter(None, query.split("&")):
            name, _, value = pair.partition("=")
            name = urllib.parse.unquote(name, errors="strict")
            if name in head.query:
                raise S3Error("InvalidArgument", f"The parameter {name[:100]!r} is there twice.")
            head.query[name] = urllib.parse.unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise S3Error("InvalidURI", "Couldn't parse the specified URI.") from None
    if "#" in head.request.target:
        raise S3Error("InvalidURI", "Couldn't parse the specified URI.")


def _check_headers(head: RequestHead) -> None:
    """Refuse a request that two parsers could read differently (request smuggling)."""
    names = [name for name, _ in head.request.headers]
    for name in set(names):
        is_one = name.startswith(("x-amz-", "if-", "content-")) or name in _ONCE
        if is_one and names.count(name) > 1:
            raise S3Error("InvalidRequest", f"The header {name} is there twice.")
    length, coding = head.headers.get("content-length"), head.headers.get("transfer-encoding")
    if length is not None and not re.fullmatch(r"\d{1,15}", length, re.ASCII):
        raise S3Error("InvalidRequest", "Content-Length is not a number.")
    if coding is not None and (
        coding.lower() != "chunked" or length is not None or head.is_http_1_0
    ):
        raise S3Error("NotImplemented", "This S3 server does not offer this Transfer-Encoding.")
    if head.headers.get("expect", "100-continue").lower() != "100-continue":
        raise S3Error("InvalidRequest", "This expectation cannot be met.")


def _take_from_url(head: RequestHead) -> None:
    """Take the S3 headers that a presigned URL has as parameters (S3 API)."""
    for name in [name for name in head.query if name.startswith("x-amz-")]:
        if name in head.headers:
            raise S3Error("InvalidRequest", f"{name} is there twice, as a header and in the URL.")
        # Decoded as header values are: as Latin-1.
        value = head.query.pop(name).encode().decode("latin-1")
        if not _is_header(name, value):
            raise S3Error("InvalidArgument", f"{name[:100]!r} in the URL cannot be a header.")
        head.headers[name] = value


_ONCE = ("host", "range", "authorization", "transfer-encoding", "expect", "date", "connection")


def _refusal(error: S3Error, head: RequestHead, request_id: str) -> S3Response:
    resource = head.request.target.partition("?")[0]
    headers = {"Content-Type": "application/xml", **error.headers}
    return S3Response(error.status, headers, error.document(resource, request_id))


def _timeout() -> S3Error:
    return S3Error(
        "RequestTimeout",
        "Your socket connection to the server was not read from or written to within the timeout "
        "period.",
    )


def _internal() -> S3Error:
    return S3Error("InternalError", "We encountered an internal error. Please try again.")
