"""HTTP: one request with its retries, time limit, proxy and certificates."""

import json
import os
import random
import re
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import SplitResult, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NewConnectionError,
    SSLError,
)
from urllib3.util import Retry, Timeout, make_headers, parse_url

from mme_client import __version__, errors

API = "/api/v1"
KEY_HEADER = "Idempotency-Key"
VERSION_HEADER = "MME-Portal-Version"
JSON = "application/json"
PROBLEM = "application/problem+json"
#: Seconds until a connection stands; a portal that is there answers at once.
CONNECT_S = 10.0
#: The most that is waited before a retry, whatever Retry-After says.
MAX_PAUSE_S = 30.0
_FIRST_PAUSE_S = 0.2
_BLOCK_BYTES = 256 << 10
_TOKEN = re.compile(r"mme_[0-9A-Za-z]{20,}")
#: A refusal that passes by itself. 5xx of anything between (a proxy) is one, too.
_PASSING = {"unavailable", "too-many-calls", "too-many-requests", "repeat-in-progress"}
_FROM_BETWEEN = {
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
#: Errors of a connection by which nothing was sent.
_NEVER_SENT = (NewConnectionError, ConnectTimeoutError)
_REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True)
class Answer:
    """What came back of a request that was not refused."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def document(self) -> Any:
        """The JSON of the body; raises Unreachable where there is none: no portal answered."""
        if not _is(self.headers, JSON):
            raise errors.Unreachable("What answered is not the API of a portal: it sent no JSON.")
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise errors.Unreachable(f"The answer was cut off, or is no JSON: {error}") from None


class Body(Protocol):
    """A body that is sent, and sent again where that is needed, from its beginning."""

    @property
    def size(self) -> int:
        """Its bytes."""
        ...

    def open(self) -> IO[bytes]:
        """It, at its beginning."""
        ...


def _parts(url: str) -> SplitResult | None:
    """The parts of an address; None where a connection to it could not even be tried."""
    try:
        parts = urlsplit(url)
        parse_url(url)  # reads host and port as a connection does
        if parts.hostname and ":" not in parts.hostname:
            parts.hostname.encode("idna")  # its parts have 1 to 63 letters
    except (ValueError, LocationParseError):
        return None
    return parts


class Transport:
    """The connections to one portal, and what is sent with each request.

    ``timeout``: seconds without a byte after which a request is given up. ``retries``: how often a
    request is sent again. ``seen_version`` is called with what the portal says its version is.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float = 60.0,
        retries: int = 4,
        language: str = "",
        ca_bundle: str | os.PathLike[str] | None = None,
        seen_version: Callable[[str], None] | None = None,
    ) -> None:
        parts = _parts(url)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{_hidden(url)!r} is no address of a portal, such as https://HOST.")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("The address of a portal has no password, query or fragment.")
        if not re.fullmatch(r"[!-~]*", token):
            raise ValueError("The token has characters that no token has.")
        self.url = url.rstrip("/")
        self.token = token
        self.timeout = timeout
        self.retries = retries
        self.language = language
        self.deadline: float | None = None
        self._seen_version = seen_version
        self._answered = False
        self._tls = self._context(ca_bundle) if parts.scheme == "https" else None
        self._pool = self._made_pool(self.url)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    @contextmanager
    def within(self, seconds: float | None) -> Iterator[None]:
        """A time limit for all that is done inside; None: none besides one that is set already."""
        before = self.deadline
        if seconds is not None:
            limit = time.monotonic() + seconds
            self.deadline = limit if before is None else min(limit, before)
        try:
            yield
        finally:
            self.deadline = before

    def left_s(self) -> float | None:
        """Seconds until the time limit; raises TimedOut where it is over."""
        if self.deadline is None:
            return None
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise errors.TimedOut
        return left

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        document: Any = None,
        body: Body | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        retry_codes: frozenset[str] = frozenset(),
        redirects: bool = False,
        retries: int | None = None,
        gone_is_done: bool = False,
    ) -> Answer:
        """One operation of the API. Raises an MmeError where it is not done.

        Every POST has an Idempotency-Key of its own, so each request may be sent again: after a
        broken connection, and after a refusal that passes by itself (or is one of ``retry_codes``,
        which are retried until the time limit). ``redirects``: a redirect is an answer.
        ``retries``: how often, where that is not the transport's own. ``gone_is_done``: of a
        deletion whose first answer was lost, that it is not there (404) is an answer.
        """
        sent = {
            "Accept": JSON,
            "User-Agent": f"mme-client/{__version__}",
            **(headers or {}),
        }
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if self.language:
            sent["Accept-Language"] = self.language
        if method == "POST":
            sent.setdefault(KEY_HEADER, str(uuid.uuid4()))
        for name, value in sent.items():
            if not value.isascii():
                raise ValueError(f"The header {name} can hold ASCII alone, and not {value!r}.")
        if document is not None:
            body = json.dumps(document).encode()
            sent["Content-Type"] = JSON
        address = f"{self.url}{API}{path}{_query(query)}"
        perhaps_done = False
        for attempt in range(10_000):
            last = attempt >= (self.retries if retries is None else retries)
            try:
                answer = self._once(method, address, sent, body, timeout)
            except errors.Unreachable as error:
                if last or isinstance(error.__cause__, SSLError):
                    raise
                perhaps_done |= not isinstance(error.__cause__, _NEVER_SENT)
                self._pause(attempt, None, error)
                continue
            problem = _problem_of(answer, self.url, redirects=redirects)
            if problem is None:
                return answer
            if gone_is_done and perhaps_done and isinstance(problem, errors.NotFound):
                return answer
            code = problem.code if isinstance(problem, errors.ProblemError) else ""
            waits = self.deadline is not None and code in retry_codes
            passing = code in _PASSING or (not code and answer.status in _FROM_BETWEEN)
            if not (waits or (passing and not last)):
                raise problem
            perhaps_done |= not code  # something between has answered
            self._pause(attempt, answer.headers.get("Retry-After"), problem)
        raise AssertionError("unreachable")

    def fetch(self, address: str, to: Callable[[bytes, int], None]) -> None:
        """GET an address of another server (of a presigned link), without token or retries.

        ``to(piece, of)`` gets each piece, and how many bytes come in all (0: unknown).
        """
        pool = self._pool if address.startswith(self.url + "/") else self._made_pool(address)
        try:
            answer = pool.request(
                "GET",
                address,
                preload_content=False,
                redirect=False,
                retries=False,
                timeout=self._timeout(None),
            )
            if answer.status != HTTPStatus.OK:
                answer.drain_conn()
                raise errors.Unreachable(f"The store answered {answer.status}.")
            of = int(answer.headers.get("Content-Length") or 0)
            # As they are: an object that says it is packed by gzip is an archive all the same.
            for piece in answer.stream(_BLOCK_BYTES, decode_content=False):
                self.left_s()
                to(piece, of)
        except HTTPError as error:
            self.left_s()  # of two reasons the person's own limit is the one
            raise errors.Unreachable(f"The store: {_why(error)}") from error

    def _once(
        self,
        method: str,
        address: str,
        headers: dict[str, str],
        body: Body | bytes | None,
        timeout: float | None,
    ) -> Answer:
        opened: IO[bytes] | None = None
        content: bytes | IO[bytes] | None
        if body is None or isinstance(body, bytes):
            content = body
        else:
            content = opened = body.open()
            headers = {**headers, "Content-Length": str(body.size)}
        try:
            answer = self._pool.request(
                method,
                address,
                body=content,
                headers=headers,
                redirect=False,
                retries=Retry(0, redirect=False, raise_on_redirect=False),
                timeout=self._timeout(timeout),
                preload_content=False,
            )
            data = self._body_of(answer)
        except HTTPError as error:
            never = self._never_connected(_root(error))
            unreached = errors.Unreachable(f"{self.url}: {_why(error)}", never_connected=never)
            if not never:
                self.left_s()  # of two reasons the person's own limit is the one
            raise unreached from _root(error)
        finally:
            if opened is not None:
                opened.close()
        self._answered = True
        if self._seen_version is not None and VERSION_HEADER in answer.headers:
            self._seen_version(answer.headers[VERSION_HEADER])
        return Answer(answer.status, answer.headers, data)

    def _body_of(self, answer: urllib3.BaseHTTPResponse) -> bytes:
        """All of it. One that comes byte by byte has no time limit but the person's own."""
        if self.deadline is None:
            return answer.data
        pieces = []
        try:
            while piece := answer.read1(_BLOCK_BYTES):
                pieces.append(piece)
                self.left_s()
        except BaseException:
            answer.close()
            raise
        return b"".join(pieces)

    def _never_connected(self, error: BaseException | None) -> bool:
        """Whether nothing was ever reached: a longer time limit would not help."""
        return not self._answered and isinstance(error, _NEVER_SENT)

    def _timeout(self, wanted: float | None) -> Timeout:
        left = self.left_s()
        read = wanted or self.timeout
        if left is None:
            return Timeout(connect=CONNECT_S, read=read)
        return Timeout(connect=min(CONNECT_S, left), read=min(read, left))

    def _pause(self, attempt: int, retry_after: str | None, error: Exception) -> None:
        pause: float = _FIRST_PAUSE_S * 2 ** min(attempt, 6)
        pause *= random.uniform(0.75, 1.25)  # noqa: S311 - that callers do not come at once
        if retry_after and retry_after.isdigit():
            pause = max(pause, float(retry_after))
        self.pause(pause, error)

    def pause(self, seconds: float, error: Exception | None = None) -> None:
        """Wait before the next try, which ``error`` made needed.

        Raises TimedOut where the time limit is over before; ``error`` itself where it is of a
        portal that was never reached.
        """
        seconds = min(seconds, MAX_PAUSE_S)
        if self.deadline is not None and self.deadline - time.monotonic() <= seconds:
            if isinstance(error, errors.Unreachable) and error.never_connected:
                raise error
            raise errors.TimedOut(str(error or "")) from error
        time.sleep(seconds)

    def _made_pool(self, address: str) -> urllib3.PoolManager:
        """Connections as the environment wants them: HTTPS_PROXY, HTTP_PROXY, NO_PROXY."""
        parts = urlsplit(address)
        options: dict[str, Any] = {"blocksize": _BLOCK_BYTES, "maxsize": 4}
        if parts.scheme == "https":
            options["ssl_context"] = self._tls or self._context(None)
        proxy = getproxies().get(parts.scheme)
        if not proxy or proxy_bypass(parts.netloc):
            return urllib3.PoolManager(**options)
        if "://" not in proxy:
            proxy = f"http://{proxy}"
        who = parse_url(proxy).auth
        return urllib3.ProxyManager(
            proxy,
            proxy_headers=make_headers(proxy_basic_auth=who) if who else None,
            proxy_ssl_context=self._context(None) if proxy.startswith("https:") else None,
            **options,
        )

    def _context(self, bundle: str | os.PathLike[str] | None) -> ssl.SSLContext:
        """The system's authorities, and those of ``bundle`` or MME_CA_BUNDLE.

        SSL_CERT_FILE and SSL_CERT_DIR, which OpenSSL reads itself, replace the system's.
        """
        context = ssl.create_default_context()
        named = bundle or os.environ.get("MME_CA_BUNDLE")
        if named:
            path = Path(named)
            try:
                if path.is_dir():
                    context.load_verify_locations(capath=path)
                else:
                    context.load_verify_locations(cafile=path)
            except OSError as error:
                raise ValueError(f"{path} has no certificates: {error}") from None
        return context


def _query(values: Mapping[str, Any] | None) -> str:
    """``?…`` of what is set; True is ``true``, and a list is said once each."""
    known: dict[str, str | list[str]] = {}
    for name, value in (values or {}).items():
        if value is None or value == "" or value == []:
            continue
        if isinstance(value, list):
            known[name] = [str(one) for one in value]
        else:
            known[name] = str(value).lower() if isinstance(value, bool) else str(value)
    # A file's name may hold bytes that are no text.
    return f"?{urlencode(known, doseq=True, errors='replace')}" if known else ""


def _is(headers: Mapping[str, str], content_type: str) -> bool:
    found = headers.get("Content-Type", "")
    return found.partition(";")[0].strip().lower() == content_type


def _problem_of(answer: Answer, url: str, *, redirects: bool) -> errors.MmeError | None:
    """The exception that an answer is; None: it is none."""
    if answer.status in _REDIRECTS:
        if redirects:
            return None
        where = answer.headers.get("Location", "")
        return errors.Unreachable(f"{url} leads to {_hidden(where)}: use that address.")
    if answer.status < HTTPStatus.BAD_REQUEST:
        return None
    if _is(answer.headers, PROBLEM):
        try:
            found = json.loads(answer.body)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return errors.of_document(found, answer.status)
    return errors.Unreachable(
        f"{url} answered {answer.status}, and not as a portal does. Is the address right?",
        status=answer.status,
    )


def _root(error: BaseException) -> BaseException:
    reason = getattr(error, "reason", None)
    return _root(reason) if isinstance(reason, BaseException) else error


def _why(error: BaseException) -> str:
    """What is wrong, without urllib3's representation of a connection."""
    root = _root(error)
    said = str(root) or type(root).__name__
    return _hidden(
        re.sub(r"<[^<>]* object at 0x[0-9a-f]+>:? ?|^HTTPS?Connection\([^)]*\): ", "", said)
    )


def _hidden(text: str) -> str:
    """Without a token that somebody put into it."""
    return _TOKEN.sub("mme_...", text)
