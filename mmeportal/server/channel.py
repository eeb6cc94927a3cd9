"""One connection: what is asked before a body is read, how fast it must be, and how it ends."""

import logging
import socket
import time
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask

from core import request_id
from core.body_limits import SMALL
from mmeportal.server import access
from mmeportal.server.answers import Refusal, refusal
from mmeportal.server.guard import Approval
from mmeportal.server.parser import Request

log = logging.getLogger(__name__)

HEADERS_S = 10.0  # for a request's headers, from its first byte, or from the connection's start
HURRIED_S = 1.0  # instead, and between two requests, where no further connection is taken
PACE_WINDOW_S = 10.0
PACE = 4096  # bytes a second, of bodies and of answers, over each window
DRAIN_S = 5.0
DRAIN_BYTES = 64 << 20
#: Bodies up to this size are taken from any number of connections …
FREE = 64 << 10
#: … and larger ones, up to `SMALL`, from anybody as long as all together have no more than this.
CROWD = 64 << 20


class _Logged:
    """Writes the access log's line when the answer is complete."""

    def service(self) -> None:
        try:
            super().service()  # type: ignore[misc]
        finally:
            access.write(self)

    def build_response_header(self) -> bytes:
        if self.channel.server.ending:  # type: ignore[attr-defined]
            self.set_close_on_finish()  # type: ignore[attr-defined]
        header: bytes = super().build_response_header()  # type: ignore[misc]
        return header


class Answer(_Logged, WSGITask):  # type: ignore[misc]
    """An answer of the portal."""


class ErrorAnswer(_Logged, ErrorTask):  # type: ignore[misc]
    """An answer of the server itself."""

    def execute(self) -> None:
        """Answer, with the request's id."""
        given = request_id.accepted(self.request.headers.get("X_REQUEST_ID"))
        error = self.request.error
        if isinstance(error, Refusal):
            self.request.error = error.naming(given)
        else:
            self.response_headers.append((request_id.HEADER, given))
        super().execute()


class Question:
    """A task for the server's threads: ask the guard about a connection's request."""

    def __init__(self, channel: "Channel", request: Request) -> None:
        self._channel = channel
        self._request = request

    def service(self) -> None:
        self._channel.ask(self._request)

    def cancel(self) -> None:
        self._channel.cancel()


class Channel(HTTPChannel):  # type: ignore[misc]
    """A connection that a slow client cannot hold, and that takes no body unasked."""

    close_when_flushed: bool = False
    parser_class = Request
    task_class = Answer
    error_task_class = ErrorAnswer

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        super().__init__(server, sock, addr, adj, map=map)
        self.asking = False
        self._quiet_since = time.monotonic()  # of requests; bytes alone do not count
        self._served = False
        self._counted: Request | None = None
        self._body_mark: tuple[Request, float, int] | None = None
        self._sent = 0
        self._sent_mark: tuple[float, int] | None = None
        self._drained: int | None = None  # bytes thrown away since the refusal was sent
        self._drain_until = 0.0

    # --- what comes in -----------------------------------------------------------------

    def readable(self) -> bool:
        """Whether more may be read now."""
        if self._drained is not None:
            return not self.will_close
        return not self.asking and bool(super().readable())

    def handle_read(self) -> None:
        """Read; what follows a refused body's headers is thrown away."""
        if self._drained is None:
            super().handle_read()
            return
        try:
            count = len(self.recv(self.adj.recv_bytes))
        except OSError:
            self.handle_close()
            return
        self._drained += count
        if not count or self._drained > DRAIN_BYTES:
            self.will_close = True

    def received(self, data: bytes) -> bool:
        """Take bytes; has the guard asked where the request needs it."""
        try:
            taken = bool(super().received(data))
        except OSError as error:
            self._has_no_room(error)
            return True
        request = self.request
        if request is not None and not request.undecided and self._is_one_too_many(request):
            request.hold()
        if request is not None and request.undecided:
            self.asking = True
            self.server.add_task(Question(self, request))
        else:
            self.asking = False
        return taken

    def _has_no_room(self, error: OSError) -> None:
        """Answer a request whose body cannot be written to the disk, and free what was."""
        request = self.request
        if request is None:
            raise error
        log.error("A body of %s could not be kept: %s", request.path, error)
        request.close()
        told = "The portal's disk is full, so that it takes no files. Nothing was kept; try later."
        accept = request.headers.get("ACCEPT", "")
        self._refuse(request, refusal(507, told, accept=accept, retry_after=60))

    def _refuse(self, request: Request, answer: Refusal) -> None:
        with self.requests_lock:
            request.refuse(answer)
            self.request = None
            self.requests.append(request)
            if len(self.requests) == 1:
                self.server.add_task(self)
            self.asking = False

    def _is_one_too_many(self, request: Request) -> bool:
        if request is self._counted or request.approval or request.body_bytes_received <= FREE:
            return False
        self._counted = request
        return bool(self.server.crowd() > CROWD)

    def crowding(self) -> int:
        """Bytes that bodies of this connection have or will have that nobody was asked about."""
        # A copy: threads take requests away meanwhile.
        requests = [*self.requests, *([self.request] if self.request else [])]
        return sum(
            request.most
            for request in requests
            if request.approval is None and request.body_bytes_received > FREE
        )

    def ask(self, request: Request) -> None:
        """Ask the guard, in a thread of the server's, and go on as it says."""
        environ = request.environ(self.server.effective_port, self.addr[0])
        length = None if request.chunked else request.content_length
        small = request.content_length <= SMALL and request.body_bytes_received < SMALL
        try:
            if small:  # one of a crowd
                decision = self.server.guard.may_send(environ, length)
            else:
                decision = self.server.guard.ask(environ, length)
        except Exception:
            log.exception("The guard of %s failed.", request.path)
            told = "Whether you may send this could not be found out. Try again in some seconds."
            decision = refusal(503, told, accept=request.headers.get("ACCEPT", ""), retry_after=10)
        self._decided(request, decision)

    def _decided(self, request: Request, decision: Approval | Refusal) -> None:
        if isinstance(decision, Refusal):
            self._refuse(request, decision)
            return
        early, request.early = request.early, b""
        with self.requests_lock:
            request.approve(decision)
            # Where an answer is on its way, `service` sends it after that.
            if request.expect_continue and not self.requests and not self.sent_continue:
                self.send_continue()
        # Nothing is read while `asking`, so this thread is alone with the request.
        if early:
            self.received(early)
        else:
            self.asking = False
        if self.connected:
            self.server.pull_trigger()
        else:
            request.close()  # it ended meanwhile, when there was no place yet to give back

    # --- what goes out ------------------------------------------------------------------

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send what the client takes now; returns how many bytes that were."""
        count: int = super().send(data, do_close=do_close)
        self._sent += count
        return count

    def service(self) -> None:
        """Answer the oldest request."""
        refused = self.requests[0].error is not None
        if refused and self._drained is None:
            self._drain_until = float("inf")
        try:
            super().service()
        finally:
            self._served = True
            self._quiet_since = time.monotonic()

    def handle_write(self) -> None:
        """Send; after a refusal, read on for a while, so that the client gets to see it.

        A connection that is closed with bytes unread is reset, and the reset overtakes the answer.
        """
        if self._drain_until and self._drained is None and self.close_when_flushed:
            self._flush_exception(self._flush_some)
            if self.will_close:
                self.handle_close()
            elif not self.total_outbufs_len:
                self.close_when_flushed = False
                self._drained = 0
                self._drain_until = time.monotonic() + DRAIN_S
                try:
                    self.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    self.handle_close()
            return
        super().handle_write()

    def handle_close(self) -> None:
        """Close, and free what an unfinished request has."""
        super().handle_close()
        request = self.request
        if request is not None and not self.asking:
            request.close()

    # --- pace -----------------------------------------------------------------------------

    def check_pace(self, now: float, *, hurried: bool) -> None:
        """Close the connection where it is too slow; called once a second, ``now`` is monotonic."""
        if self._drained is not None:
            if now > self._drain_until:
                self.will_close = True
            return
        if self._answer_is_taken_too_slowly(now):
            self.handle_close()  # not `will_close`: that waits for a socket that takes something
            return
        if self.requests or self.asking or self.total_outbufs_len:
            return
        request = self.request
        if request is None or not request.in_body:
            self._check_headers(now, request, hurried=hurried)
            return
        if self._body_mark is None or self._body_mark[0] is not request:
            self._body_mark = (request, now, request.body_bytes_received)
        _, since, had = self._body_mark
        if now - since >= PACE_WINDOW_S:
            if request.body_bytes_received - had < PACE_WINDOW_S * PACE:
                self.will_close = True
            self._body_mark = (request, now, request.body_bytes_received)

    def _check_headers(self, now: float, request: Request | None, *, hurried: bool) -> None:
        if request is not None:
            since, most = request.began, HEADERS_S
        else:
            since, most = self._quiet_since, self.server.keep_alive_s if self._served else HEADERS_S
        if now - since > (HURRIED_S if hurried else most):
            self.will_close = True

    def _answer_is_taken_too_slowly(self, now: float) -> bool:
        if not self.total_outbufs_len:
            self._sent_mark = None
            return False
        if self._sent_mark is None:
            self._sent_mark = (now, self._sent)
        since, had = self._sent_mark
        if now - since < PACE_WINDOW_S:
            return False
        self._sent_mark = (now, self._sent)
        return self._sent - had < PACE_WINDOW_S * PACE

    def is_idle(self) -> bool:
        """Whether closing it loses nothing that anybody waits for."""
        return not (self.requests or self.asking or self.request or self.total_outbufs_len)
