"""HTTP client of a container: the multi-model API of DG/mms-container-apis."""

import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, NewConnectionError, ReadTimeoutError

_CONNECT_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class ContainerResponse:
    """An HTTP answer of the container."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def message(self) -> str:
        """The sentence in MMS's error body ``{"code":…, "type":…, "message":…}``, or the body."""
        try:
            return str(json.loads(self.body)["message"])
        except (ValueError, KeyError, TypeError):
            return self.text


class ContainerGone(Exception):
    """No answer: the connection was refused or broke.

    ``sent`` tells whether the container may have seen the request.
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class ContainerTimeout(Exception):
    """No answer within the time allowed."""


class _UnixConnection(HTTPConnection):
    """HTTP over a Unix socket, with the timeouts and errors of one over TCP."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def _new_conn(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            if self.timeout is not None:
                # Not settimeout(): connect() of a non-blocking socket fails at once where the
                # server's queue is full, instead of waiting (unix(7), EAGAIN).
                limit = struct.pack("ll", int(self.timeout), int(self.timeout % 1 * 1_000_000))
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            connection.connect(self._path)
            connection.settimeout(self.timeout)
        except OSError as error:
            connection.close()
            raise NewConnectionError(self, f"{self._path}: {error}") from error
        return connection


class _UnixPool(urllib3.HTTPConnectionPool):
    def __init__(self, path: str, *, maxsize: int) -> None:
        super().__init__("localhost", maxsize=maxsize, block=False, retries=False)
        self._path = path

    def _new_conn(self) -> _UnixConnection:
        self.num_connections += 1
        return _UnixConnection(self._path)


class ContainerClient:
    """HTTP to one container; keeps connections, safe to use from many threads.

    ``address`` is the path of a Unix socket, or HOST:PORT.
    """

    def __init__(self, address: str) -> None:
        if address.startswith("/"):
            self._pool: urllib3.HTTPConnectionPool = _UnixPool(address, maxsize=64)
            return
        host, _, port = address.rpartition(":")
        self._pool = urllib3.HTTPConnectionPool(
            host, int(port), maxsize=64, block=False, retries=False
        )

    def close(self) -> None:
        self._pool.close()

    def ping(self, timeout: float) -> bool:
        try:
            return self._request("GET", "/ping", timeout=timeout).ok
        except (ContainerGone, ContainerTimeout):
            return False

    def load(self, name: str, folder: str, timeout: float) -> ContainerResponse:
        """Load the model in ``folder``, a path inside the container."""
        body = json.dumps({"model_name": name, "url": folder}).encode()
        headers = {"Content-Type": "application/json"}
        return self._request("POST", "/models", body=body, headers=headers, timeout=timeout)

    def unload(self, name: str, timeout: float = 60.0) -> ContainerResponse:
        return self._request("DELETE", f"/models/{quote(name)}", timeout=timeout)

    def health_problem(self, timeout: float) -> str | None:
        """Why a container that was started is not healthy; None where it is.

        SageMaker also asks for the list of models; a container that answers 404 does not support
        multi-model endpoints (seen: gh:pytorch/serve#397).
        """
        if not self.ping(timeout):
            return "did not answer GET /ping with 200"
        try:
            listed = self._request("GET", "/models", timeout=timeout)
        except (ContainerGone, ContainerTimeout):
            return "did not answer GET /models"
        return "answered GET /models with 404" if listed.status == 404 else None

    def metrics(self, path: str, timeout: float) -> ContainerResponse:
        """The page that detailed observability reads; ``path`` begins with a slash."""
        accept = {"Accept": "text/plain;version=0.0.4"}
        return self._request("GET", path, headers=accept, timeout=timeout)

    def invoke(
        self, name: str, body: bytes, headers: Mapping[str, str], timeout: float
    ) -> ContainerResponse:
        path = f"/models/{quote(name)}/invoke"
        return self._request("POST", path, body=body, headers=headers, timeout=timeout)

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float,
    ) -> ContainerResponse:
        limits = urllib3.Timeout(connect=min(_CONNECT_TIMEOUT, timeout), read=timeout)
        try:
            response = self._pool.request(
                method, path, body=body, headers=dict(headers or {}), timeout=limits, retries=False
            )
        except ReadTimeoutError as error:
            raise ContainerTimeout(str(error)) from error
        except NewConnectionError as error:
            raise ContainerGone(str(error), sent=False) from error
        except (HTTPError, OSError) as error:
            raise ContainerGone(str(error)) from error
        return ContainerResponse(response.status, response.data, response.headers)
