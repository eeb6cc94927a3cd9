"""Parse one HTTP request as it arrives, with strict limits of form and size."""

import contextlib
import re
import tempfile
import time
from typing import IO, Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest, Error

from core.body_limits import OFFSET, SMALL
from mmeportal.server.guard import REST_BYTES, STRETCH_BYTES, Approval, too_large
from mmeportal.server.refusals import Recipient, Refusal, refusal

#: The longest request line, in bytes (RFC 9112, section 3, asks for 8000 at least).
MAX_REQUEST_LINE = 8 << 10
# Limits of a chunk's size line and of the trailer; waitress has none.
_MAX_CHUNK_LINE = 4096
_MAX_TRAILER = 16 << 10
#: The framing of a chunked body may have as many bytes as its content, and this many more.
_SPARE_FRAMING = 64 << 10
#: At most this much of an approved body is read at a time.
_BODY_READ_BYTES = 256 << 10
_FOLDED = re.compile(rb"\r\n[ \t]")
_TRANSFER_ENCODING = re.compile(rb"\r\ntransfer-encoding:[ \t]*([^\r\n]*)", re.IGNORECASE)


class Request(HTTPRequestParser):  # type: ignore[misc]
    """A request that takes at most `SMALL` bytes of body until it is approved.

    ``undecided``: the body is larger, and the guard has not decided yet. Bytes that arrive
    meanwhile, at most one read, are buffered in ``early``.
    """

    undecided = False
    early = b""
    approval: Approval | None = None
    error: Refusal | BadRequest | None = None

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self.began = time.monotonic()
        self._wants_continue = False

    @property
    def most(self) -> int:
        """The most bytes of body that it may send without a check."""
        return SMALL if self.chunked else min(self.content_length, SMALL)

    @property
    def in_body(self) -> bool:
        """Whether its headers are complete and its body is not."""
        return bool(self.headers_finished and not self.completed)

    @property
    def has_begun(self) -> bool:
        """Whether anything but line ends has come of it, which a client may send before it."""
        return bool(self.headers_finished or self.header_plus.strip())

    @property
    def stretch_bytes(self) -> int:
        """Of a body that is taken in stretches: how much of it waits to be handed on; else 0."""
        if self.approval is None or not self.approval.in_stretches or not self.in_body:
            return 0
        return len(self.body_rcv)

    @property
    def has_stretch(self) -> bool:
        """Whether enough has arrived to be handed on, and enough is to come after it."""
        return self.stretch_bytes >= STRETCH_BYTES and bool(self.body_rcv.remain >= REST_BYTES)

    def take_stretch(self, environ: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """The request of the stretch that has arrived, and its buffer, which is to be closed.

        What is left is then a request that begins behind it.
        """
        receiver = self.body_rcv
        buffer, receiver.buf = receiver.buf, Spool()
        begins, size = int(self.headers[OFFSET]), len(buffer)
        self.headers[OFFSET] = str(begins + size)
        self.headers["CONTENT_LENGTH"] = str(receiver.remain)
        own = {"CONTENT_LENGTH": str(size), f"HTTP_{OFFSET}": str(begins)}
        return environ | own | {"wsgi.input": buffer.getfile()}, buffer

    @property
    def most_at_once(self) -> int:
        """How much of it is read at a time: more of an approved body, up to its end."""
        if self.approval is None or self.chunked or not self.in_body:
            return int(self.adj.recv_bytes)
        left = int(self.body_rcv.remain)
        return max(int(self.adj.recv_bytes), min(_BODY_READ_BYTES, left))

    def received(self, data: bytes) -> int:
        """Take the bytes that belong to this request; returns their number."""
        if self.undecided:
            self.early += data
            return len(data)
        if self.body_rcv is None:
            opening = self.header_plus + data
            if _line_is_too_long(opening):
                self._refuse_opening(414, opening, _("The request line is longer than 8 KB."))
                return len(data)
            count: int = super().received(data)
            if isinstance(self.error, Error):
                self._as_problem(self.error, Recipient.of_opening(opening))
            if self.error or self.body_rcv is None:
                self.expect_continue = False  # there is nothing to go on with
            elif self.content_length > SMALL:
                self.hold()
            return count
        if self.approval is None:
            data = data[: SMALL - self.body_bytes_received]
        count = super().received(data)
        if isinstance(self.error, Error):
            self._as_problem(self.error, self.recipient)
        if self.chunked and not self.error:
            self._look_at_chunks()
        return count

    @property
    def recipient(self) -> Recipient:
        """Who reads a refusal of it; its headers are complete."""
        return Recipient.of_headers(self.headers, self.path)

    def _refuse_opening(self, status: int, opening: bytes, sentence: Promise) -> None:
        # What waitress and the access log read of any request.
        self.parse_header(b"GET / HTTP/1.0\r\n")
        self.headers_finished = True
        self.refuse(refusal(status, sentence, recipient=Recipient.of_opening(opening)))

    def _as_problem(self, error: Any, recipient: Recipient) -> None:
        """Say below /api/ what waitress says in plain text as a problem document."""
        if recipient.of_api:
            self.error = refusal(error.code, "", recipient=recipient)

    def _look_at_chunks(self) -> None:
        receiver, arrived = self.body_rcv, self.body_bytes_received
        framing = arrived - len(receiver)
        if (
            len(receiver.control_line) > _MAX_CHUNK_LINE
            or len(receiver.trailer) > _MAX_TRAILER
            or framing > len(receiver) + _SPARE_FRAMING
        ):
            self.refuse(BadRequest("The chunks are too small, or their lines too long"))
            self._as_problem(self.error, self.recipient)
        elif self.approval is not None and arrived > self.approval.size:
            message = self.approval.too_large or too_large(self.approval.size)
            self.refuse(refusal(413, message, recipient=self.recipient))
        elif self.approval is None and arrived >= SMALL and not self.completed:
            self.hold()

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the header; refuses what two servers may interpret differently.

        Raises ParsingError for folded lines, more than one length, and transfer encodings but
        `chunked` (RFC 9112, sections 5.2 and 6.1 to 6.3).
        """
        if _FOLDED.search(header_plus):
            raise ParsingError("Header lines must not be folded")
        encodings = [found.strip().lower() for found in _TRANSFER_ENCODING.findall(header_plus)]
        super().parse_header(header_plus)
        if self.version not in ("1.0", "1.1"):
            raise ParsingError("The version of HTTP is not 1.0 or 1.1")
        if not encodings:
            return
        if encodings != [b"chunked"] or self.version == "1.0" or "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Only one of Content-Length and Transfer-Encoding: chunked is taken")

    def hold(self) -> None:
        """Take no more, and send no 100 Continue, until the guard has decided."""
        self.undecided = True
        self._wants_continue, self.expect_continue = self.expect_continue, False

    def approve(self, approval: Approval) -> None:
        """Continue with the body."""
        self.approval = approval
        if approval.in_stretches and not len(self.body_rcv):
            self.body_rcv.buf = Spool()
        self.undecided = False
        self.expect_continue = self._wants_continue

    def refuse(self, error: "Refusal | BadRequest") -> None:
        """Respond with ``error``, whatever may still arrive."""
        self.undecided = self.expect_continue = False
        self.early = b""
        self.error = error
        self.completed = True

    def environ(self, server_port: int, address: str) -> dict[str, Any]:
        """The WSGI environment of its headers, as waitress makes it."""
        environ = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": "/" + self.path.lstrip("/") if self.path.startswith("/") else self.path,
            "QUERY_STRING": self.query,
            "REMOTE_ADDR": address,
            "SERVER_NAME": self.adj.server_name,
            "SERVER_PORT": str(server_port),
            "SERVER_PROTOCOL": f"HTTP/{self.version}",
            "CONTENT_TYPE": self.headers.get("CONTENT_TYPE", ""),
            "wsgi.url_scheme": self.adj.url_scheme,
        }
        return environ | {f"HTTP_{name}": value for name, value in self.headers.items()}

    def close(self) -> None:
        """Free its body, and release its slot."""
        with contextlib.suppress(OSError):  # the buffer may not fit on a full disk
            super().close()
        if self.approval is not None:
            self.approval.give_back()


class Spool:
    """A part of a body in a file without a name; waitress's own seeks three times for each read."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - until `close`
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def append(self, data: bytes) -> None:
        """Add what has arrived; raises OSError where the disk is full."""
        left = memoryview(data)
        while left:
            count = self._file.write(left)
            self._size += count
            left = left[count:]

    def getfile(self) -> IO[bytes]:
        """It, at its beginning; nothing is added any more."""
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Free it."""
        self._file.close()


def _line_is_too_long(opening: bytes) -> bool:
    line = opening.lstrip(b"\r\n")
    if len(line) <= MAX_REQUEST_LINE:
        return False
    return not 0 <= line.find(b"\n") <= MAX_REQUEST_LINE + 1
