"""Access checks of every request, before it reaches an application.

Web pages can send requests to this machine (by DNS rebinding under any name), and so can its other
users. So a request needs a known ``Host``, must not come from a web page (``Origin``,
``Sec-Fetch-Site``), and must be signed. This is checked when the headers have arrived: the body of
a refused request, or one that is too long, is not kept.
"""

import functools
import hmac
import ipaddress
import re
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, get_header_lines
from waitress.task import WSGITask

from . import error_responses
from .invoke_endpoint import payload_too_large
from .keys import KeyRing
from .naming import request_id
from .options import MAX_PAYLOAD_BYTES
from .signature import (
    Request,
    SignatureClaim,
    SignatureError,
    find_key,
    read_claim,
    unverified_claim,
    verify,
)

ADMIN_SERVICE = "localaws"
"""The service that a signature for the admin address names."""
TOKEN_HEADER = "x-localaws-token"  # noqa: S105 - its name
MAX_CONTROL_BYTES = 2 * 1024 * 1024
"""The largest CreateModel (100 variables of 2 KB, all escaped in JSON) has 1.2 MB."""
MAX_SERVICE_BYTES = 2 * 1024 * 1024
"""PutLogEvents and PutMetricData take 1 MiB, which JSON may make longer."""
MAX_ADMIN_BYTES = 1024 * 1024
MAX_BYTES = max(MAX_PAYLOAD_BYTES, MAX_CONTROL_BYTES, MAX_SERVICE_BYTES, MAX_ADMIN_BYTES)

CHANNEL_TIMEOUT = 10
"""Seconds within which headers must arrive, and for which a connection may be idle."""
_KEEP_ALIVE_SECONDS = 120
"""Seconds that a connection may be idle whose last request was signed."""
_MIN_BYTES_PER_SECOND = 16 * 1024
"""Bytes in a second, on average, that a body must bring."""
_LINGER_BYTES = 64 * 1024 * 1024
_LINGER_SECONDS = 5


class InvalidHostName(ValueError):
    """An invalid name in --answer-to."""


def addresses(host: str, port: int, others: Iterable[str]) -> frozenset[str]:
    """The accepted values of ``Host``: the bound address, localhost, and ``others``.

    Others are names or addresses, with a port where it is not ``port``. Raises InvalidHostName.
    """
    names = [host, "localhost"]
    if host == "0.0.0.0":  # noqa: S104 - that is what is asked
        names = ["127.0.0.1", "localhost"]
    elif host == "::":
        names = ["::1", "localhost"]
    names = [f"[{name}]" if ":" in name else name for name in names]
    found = set()
    for name in [*names, *others]:
        whole = name if re.search(r":\d+$", name) else f"{name}:{port}"
        normal = normal_host(whole)
        if normal is None:
            raise InvalidHostName(f"{name!r} is not a name or an address, with or without a port")
        found.add(normal)
    return frozenset(found)


@functools.lru_cache(maxsize=64)
def normal_host(value: str) -> str | None:
    """A normalized value of ``Host``, with its port; None where it is malformed.

    Names in lower case, IPv6 addresses as ipaddress writes them, port 80 where there is none. A
    name that ends with a dot is another name, as browsers treat it as another origin.
    """
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?", value, re.ASCII)
    if match is None:
        return None
    name, port = match[1].lower(), match[2]
    if name.startswith("["):
        try:
            name = f"[{ipaddress.IPv6Address(name[1:-1])}]"
        except ValueError:
            return None
    return f"{name}:{int(port) if port else 80}"


@dataclass(frozen=True, slots=True)
class RequestCheck:
    """The result of checking a request's headers: its kind, the limit of its body, a refusal."""

    request: Request
    kind: str
    limit: int
    claim: SignatureClaim | None = None
    refusal: error_responses.HttpResponse | None = None

    @property
    def unverified_claim(self) -> SignatureClaim | None:
        """The claim, verified or not; None where the request is not signed."""
        return self.claim or unverified_claim(self.request)

    @property
    def region(self) -> str | None:
        """The region that the request is signed for; None where it is not signed."""
        claim = self.unverified_claim
        return claim.region if claim else None


class Guard:
    """Checks requests; see the module.

    Without ``verify_signatures`` the admin address still requires a signature or the token.
    """

    def __init__(
        self, hosts: frozenset[str], keys: KeyRing, token: str, *, verify_signatures: bool = True
    ) -> None:
        self._hosts = hosts
        self._keys = keys
        self._token = token
        self._verifies = verify_signatures

    def check_headers(
        self, request: Request, path: str, authority: str, length: int
    ) -> RequestCheck:
        """Check the headers. ``authority`` is that of a target in absolute form."""
        kind = kind_of(request, path)
        limit = _LIMITS[kind]
        claim = None
        refusal = self._reject_browser(request, authority)
        if refusal is None:
            try:
                claim = self._claim(request, kind)
            except SignatureError as error:
                refusal = self._unsigned(error, request, kind)
        if refusal is None and length > limit:
            refusal = too_large(request, kind, claim)
        return RequestCheck(request, kind, limit, claim, refusal)

    def verify(self, verdict: RequestCheck, body: bytes) -> error_responses.HttpResponse | None:
        """Verify the signature with the body; a response where it does not match."""
        if verdict.claim is None:
            return None
        services = {"admin": ADMIN_SERVICE, "control": "sagemaker", "runtime": "sagemaker"}
        service = services.get(verdict.kind)
        try:
            verify(verdict.request, body, verdict.claim, self._keys, service=service)
        except SignatureError as error:
            return self._unsigned(error, verdict.request, verdict.kind, verdict.claim)
        return None

    def _reject_browser(
        self, request: Request, authority: str
    ) -> error_responses.HttpResponse | None:
        hosts = [value for name, value in request.headers if name == "host"]
        if authority:
            hosts.append(authority)
        if not hosts or any(normal_host(host) not in self._hosts for host in hosts):
            return error_responses.plain(
                403, "localaws does not answer to this name; --answer-to tells it others."
            )
        if request.header("origin") is not None:
            return error_responses.plain(
                403, "localaws does not answer to web pages (there is an Origin)."
            )
        if any(value != "none" for name, value in request.headers if name == "sec-fetch-site"):
            return error_responses.plain(
                403, "localaws does not answer to web pages (see Sec-Fetch-Site)."
            )
        if request.method == "OPTIONS":
            return error_responses.plain(405, "No operation of AWS's uses OPTIONS.")
        return None

    def _claim(self, request: Request, kind: str) -> SignatureClaim | None:
        """The claim of a request that must be signed; raises SignatureError."""
        if kind == "health":
            return None
        if kind == "admin":
            given = request.header(TOKEN_HEADER)
            if given is not None and hmac.compare_digest(given.encode(), self._token.encode()):
                return None
        elif not self._verifies:
            return None
        claim = read_claim(request)
        find_key(claim, self._keys)
        return claim

    def _unsigned(
        self,
        error: SignatureError,
        request: Request,
        kind: str,
        claim: SignatureClaim | None = None,
    ) -> error_responses.HttpResponse:
        if kind == "admin":
            return error_responses.plain(
                403,
                f"{error.message.rstrip('.')}. Sign the request for the service {ADMIN_SERVICE}, "
                f"or send {TOKEN_HEADER} with the token that lies in the data folder.",
            )
        return error_responses.not_signed(
            error, request, _service(request, kind, claim), request_id()
        )


_LIMITS = {
    "health": 0,
    "admin": MAX_ADMIN_BYTES,
    "control": MAX_CONTROL_BYTES,
    "runtime": MAX_PAYLOAD_BYTES,
    "service": MAX_SERVICE_BYTES,
}


def kind_of(request: Request, path: str) -> str:
    """The kind of a request: "health", "admin", "control", "runtime" or another "service"."""
    if path.startswith(("/_localaws/", "/moto-api", "/latest/")) or path == "/favicon.ico":
        health = path == "/_localaws/health" and request.method in ("GET", "HEAD")
        return "health" if health else "admin"
    if (request.header("x-amz-target") or "").startswith("SageMaker."):
        return "control"
    return "runtime" if path.startswith("/endpoints/") else "service"


def _service(request: Request, kind: str, claim: SignatureClaim | None) -> str:
    """The service's name, as far as the request has it."""
    if kind in ("control", "runtime"):
        return "sagemaker"
    if claim is not None:
        return claim.service
    named = re.search(r"/([a-z0-9-]+)/aws4_request", request.header("authorization") or "")
    return named[1] if named else "sts"


def too_large(
    request: Request, kind: str, claim: SignatureClaim | None
) -> error_responses.HttpResponse:
    """The response to a body that is longer than its operation allows."""
    if kind == "runtime":
        return error_responses.runtime_refusal(payload_too_large(), request_id())
    if kind in ("admin", "health"):
        return error_responses.plain(413, f"The body is longer than {_LIMITS[kind]} bytes.")
    return error_responses.too_large(
        _LIMITS[kind], request, _service(request, kind, claim), request_id()
    )


# --- in waitress -------------------------------------------------------------------------------


class GuardedParser(HTTPRequestParser):  # type: ignore[misc]
    """Asks the guard when the headers have arrived; the body of a refused request is dropped."""

    guard: Guard
    verdict: RequestCheck | None = None

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        lines = get_header_lines(header_plus.partition(b"\r\n")[2])
        pairs = (line.decode("latin-1").partition(":") for line in lines)
        headers = [(name.strip().lower(), value.strip(" \t")) for name, _, value in pairs]
        target = self.request_uri.encode("latin-1").decode("utf-8", "replace")
        authority = self.proxy_netloc
        if isinstance(authority, bytes):
            authority = authority.decode("latin-1")
        if authority:
            target = re.sub(r"^[^/]*//[^/?]*", "", target) or "/"
        request = Request(self.command.upper(), target.partition("#")[0], headers)
        self.verdict = self.guard.check_headers(
            request, wsgi_path(self.path), authority, self.content_length
        )
        if self.verdict.refusal is not None:
            self._drop_body()

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        verdict = self.verdict
        if verdict is None:
            return consumed
        if verdict.refusal is not None:
            return len(data)  # what follows is the body, not another request
        if self.chunked and self.body_rcv is not None and self.error is None:
            raw = self.body_bytes_received - 2 * verdict.limit - 65_536
            if len(self.body_rcv) > verdict.limit or raw > 0:
                self.body_rcv.getbuf().close()
                refusal = too_large(verdict.request, verdict.kind, verdict.claim)
                self.verdict = RequestCheck(
                    verdict.request, verdict.kind, verdict.limit, verdict.claim, refusal
                )
                self._drop_body()
                return len(data)
        return consumed

    def _drop_body(self) -> None:
        self.body_rcv = None
        self.content_length = 0
        self.chunked = False
        self.expect_continue = False
        self.connection_close = True
        self.headers.pop("CONTENT_LENGTH", None)
        self.completed = True


class GuardedTask(WSGITask):  # type: ignore[misc]
    """Passes the check's result to the application, as ``localaws.check``."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ["localaws.check"] = self.request.verdict
        environ["localaws.signed"] = self.channel.note_signed
        if self.request.verdict.refusal is not None:
            self.set_close_on_finish()
            self.channel.lingers = True
        return environ


class GuardedChannel(HTTPChannel):  # type: ignore[misc]
    """A connection with a minimum rate, and with a lingering close after a refusal.

    Closing a connection while the client still writes would lose the response, so the rest of the
    request is read and dropped first, up to a limit.
    """

    task_class = GuardedTask
    lingers = False
    _lingering_since: float | None = None
    _last = 0.0
    _began = 0.0
    _signed = False
    _left = 0

    def note_signed(self) -> None:
        """The last request of this connection was signed with one of our keys."""
        self._signed = True

    @property
    def last_activity(self) -> float:
        """The time that waitress compares with its channel_timeout."""
        now = time.time()
        if self.request is not None:
            late = now - self._began - CHANNEL_TIMEOUT
            if late > 0 and self.request.body_bytes_received < late * _MIN_BYTES_PER_SECOND:
                return 0.0
            return self._last
        return self._last + (_KEEP_ALIVE_SECONDS - CHANNEL_TIMEOUT if self._signed else 0)

    @last_activity.setter
    def last_activity(self, value: float) -> None:
        self._last = value

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self._began = time.time()
        return bool(super().received(data))

    def readable(self) -> bool:
        return self._lingering_since is not None or bool(super().readable())

    def writable(self) -> bool:
        return self._lingering_since is None and bool(super().writable())

    def handle_read(self) -> None:
        if self._lingering_since is None:
            super().handle_read()
            return
        try:
            data = self.recv(65_536)
        except OSError:
            data = b""
        self._left -= len(data)
        over = time.monotonic() - self._lingering_since > _LINGER_SECONDS
        if not data or self._left < 0 or over:
            super().handle_close()

    def handle_close(self) -> None:
        if not self.lingers or self._lingering_since is not None or not self.connected:
            super().handle_close()
            return
        self._lingering_since, self._left = time.monotonic(), _LINGER_BYTES
        self.will_close = False
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            super().handle_close()


def channel_class(guard: Guard) -> type[GuardedChannel]:
    """The class of connections that ask ``guard``."""
    parser = type("Parser", (GuardedParser,), {"guard": guard})
    return type("Channel", (GuardedChannel,), {"parser_class": parser})


def wsgi_path(path: str) -> str:
    """A path as waitress hands it to the application."""
    return "/" + path.lstrip("/") if path.startswith("/") else path


def without_cors(start_response: Callable[..., Any]) -> Callable[..., Any]:
    """A start_response that removes CORS headers, so that no web page can read the response."""

    def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        kept = [pair for pair in headers if not pair[0].lower().startswith("access-control-")]
        return start_response(status, kept, *more)

    return start
