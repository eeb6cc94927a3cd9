"""One POST to a webhook: to the address that was checked, with TLS for the host's own name.

No redirect is followed, and no proxy is asked. The whole takes TOTAL_S at most, however slowly the
receiver answers, and only the beginning of the answer is read.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from core.sentences import Sentence, phrase
from core.storable import storable
from core.version import VERSION
from notices import addresses
from notices.addresses import Address, AddressRefused, Target, Unresolved
from notices.models import KEPT_BYTES

CONNECT_S: Final = 5.0
TOTAL_S: Final = 10.0
_LEAST_S = 0.05


@dataclass(frozen=True)
class Answer:
    """What came of an attempt. ``status`` None: no answer came, and ``problem`` says why.

    ``final``: trying again does not help.
    """

    ms: int
    status: int | None = None
    text: str = ""
    problem: Sentence | None = None
    final: bool = False


def post(target: Target, headers: Mapping[str, str], body: bytes) -> Answer:
    """Send ``body``; whatever goes wrong is in the answer."""
    began = time.monotonic()

    def answer(
        problem: Sentence | None = None, *, status: int | None = None, text: str = ""
    ) -> Answer:
        ms = int((time.monotonic() - began) * 1000)
        return Answer(ms, status, text, problem)

    try:
        found = addresses.resolve(target)
        status, text = _exchange(target, found, headers, body)
    except (AddressRefused, Unresolved) as refusal:
        return answer(refusal.sentence)
    except _TooLate:
        return answer(
            phrase("There was no whole answer within %(seconds)s seconds.", seconds=int(TOTAL_S))
        )
    except ssl.SSLCertVerificationError as error:
        said = error.verify_message
        return answer(phrase("The certificate is not valid: %(said)s.", said=said))
    except TimeoutError:
        return answer(phrase("The receiver did not answer in time."))
    except (OSError, http.client.HTTPException) as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return answer(phrase("The connection failed: %(said)s.", said=said))
    problem = None
    if 300 <= status < 400:
        problem = phrase("It answered with a redirect, and redirects are not followed.")
    elif not 200 <= status < 300:
        problem = phrase("It answered %(status)s.", status=status)
    return answer(problem, status=status, text=text)


class _TooLate(Exception):
    """The time for the whole is over."""


def _exchange(
    target: Target, found: list[Address], headers: Mapping[str, str], body: bytes
) -> tuple[int, str]:
    """Status and the beginning of the body."""
    deadline = time.monotonic() + TOTAL_S
    with _Watch(deadline) as watch:
        connection = _Connection(target, found, watch)
        try:
            connection.connect()
            connection.putrequest("POST", target.path, skip_host=True, skip_accept_encoding=True)
            named = {
                "Host": target.shown,
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "User-Agent": f"MME-Portal/{VERSION}",
                "Connection": "close",
                **headers,
            }
            for name, value in named.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            if time.monotonic() >= deadline:  # its headers were cut off, which http.client takes
                raise _TooLate
            data = response.read(KEPT_BYTES)
        except (OSError, http.client.HTTPException):
            if time.monotonic() >= deadline:
                raise _TooLate from None
            raise
        finally:
            connection.close()
    # PostgreSQL stores no NUL in a text.
    return response.status, storable(data.decode(errors="replace"))


class _Connection(http.client.HTTPConnection):
    """Connects to addresses that are given, and asks TLS for the certificate of the host's name."""

    def __init__(self, target: Target, found: list[Address], watch: "_Watch") -> None:
        super().__init__(target.host, target.port)
        self._target = target
        self._found = found
        self._watch = watch

    def connect(self) -> None:
        """Try the addresses one after the other, for CONNECT_S in all."""
        until = min(self._watch.deadline, time.monotonic() + CONNECT_S)
        problem: OSError = TimeoutError()
        for address in self._found:
            left = until - time.monotonic()
            if left <= 0:
                break
            try:
                self.sock = _connected(address, self._target.port, left)
                break
            except OSError as error:
                problem = error
        if self.sock is None:
            raise problem
        if self._target.scheme == "https":
            self.sock = _context().wrap_socket(
                self.sock, server_hostname=self._target.host, do_handshake_on_connect=False
            )
        self._watch.over = self.sock
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.settimeout(max(_LEAST_S, until - time.monotonic()))
            self.sock.do_handshake()
        self.sock.settimeout(max(_LEAST_S, self._watch.deadline - time.monotonic()))


def _connected(address: Address, port: int, timeout: float) -> socket.socket:
    """A connection to this address; nothing is resolved here."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.settimeout(timeout)
        made.connect((str(address), port))
    except BaseException:
        made.close()
        raise
    return made


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.WEBHOOK_CA_BUNDLE)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class _Watch:
    """Ends a connection at the deadline: a receiver that sends a byte a second has no time limit
    of the socket's."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.over: socket.socket | None = None
        self._timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._end)
        self._timer.daemon = True

    def __enter__(self) -> "_Watch":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _end(self) -> None:
        if self.over is not None:
            with contextlib.suppress(OSError):  # it has ended already
                self.over.shutdown(socket.SHUT_RDWR)
