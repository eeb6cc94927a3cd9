"""One connection: the check before a body is read, minimum rates, timeouts, and its end."""

import logging
import select
import socket
import threading
import time
from typing import Any

from django.utils.translation import gettext_lazy as _
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask

from core import request_id
from core.body_limits import SMALL
from mmeportal.server import access_log
from mmeportal.server.guard import LONG_STRETCH_BYTES, Approval
from mmeportal.server.parser import Request
from mmeportal.server.refusals import Refusal, refusal

log = logging.getLogger(__name__)

HEADERS_S = 10.0  # timeout of a request's headers, from its first byte or the connection's start
FULL_HEADERS_S = 1.0  # the same, and between two requests, while the connection limit is reached
PACE_WINDOW_S = 10.0
PACE = 4096  # minimum rate of bodies and responses in each window, in bytes a second
DRAIN_S = 5.0
DRAIN_BYTES = 64 << 20
#: How long a thread waits for the next request of a connection that it has just answered, and how
#: long for the rest of one that has begun. The event loop has the connection then.
STAY_S = 1.0
WHOLE_S = 0.05
#: Bodies up to this size are accepted from any number of connections.
UNCOUNTED_BYTES = 64 << 10
#: Larger ones, up to `SMALL`, are accepted without a check while their sum is below this.
MAX_UNAPPROVED_BYTES = 64 << 20


class _Logged:
    """Writes the line of the access log when the response is complete."""

    wrote_header: bool
    content_length: int | None
    content_bytes_written: int

    def service(self) -> None:
        try:
            super().service()  # type: ignore[misc]
        finally:
            access_log.write(self)

    def build_response_header(self) -> bytes:
        if self.channel.server.ending:  # type: ignore[attr-defined]
            self.set_close_on_finish()
        self._ends_with_headers = self._stays_open_without_body()
        try:
            header: bytes = super().build_response_header()  # type: ignore[misc]
        finally:
            self._ends_with_headers = False
        return header

    def write(self, data: bytes) -> None:
        """Send the headers with the first part of the body: one packet that wakes the client once.

        What is sent later, or in chunks, waitress sends as it does.
        """
        whole = not self.wrote_header and self.content_length == len(data)
        if not (whole and data and self.complete and self.has_body):  # type: ignore[attr-defined]
            super().write(data)  # type: ignore[misc]
            return
        header = self.build_response_header()
        self.wrote_header = True
        self.content_bytes_written = len(data)
        self.channel.write_soon(header + data)  # type: ignore[attr-defined]

    _ends_with_headers = False

    def _stays_open_without_body(self) -> bool:
        """Whether it has no body by its status, and the client does not want to close.

        Waitress closes the connection after such a response, as it has no Content-Length; but 204
        and 304 end with their headers (RFC 9112, 6.3).
        """
        given = self.request.headers.get("CONNECTION", "").lower()  # type: ignore[attr-defined]
        is_newer = self.version == "1.1"  # type: ignore[attr-defined]
        return is_newer and given != "close" and not self.has_body  # type: ignore[attr-defined]

    def set_close_on_finish(self) -> None:
        """Close the connection after this response."""
        if not self._ends_with_headers:
            super().set_close_on_finish()  # type: ignore[misc]


class PortalTask(_Logged, WSGITask):  # type: ignore[misc]
    """A response of the portal."""


class RefusalTask(_Logged, ErrorTask):  # type: ignore[misc]
    """A response of the server itself."""

    def execute(self) -> None:
        """Respond, with the request's id."""
        given = request_id.accepted(self.request.headers.get("X_REQUEST_ID"))
        error = self.request.error
        if isinstance(error, Refusal):
            self.request.error = error.naming(given)
        else:
            self.response_headers.append((request_id.HEADER, given))
        super().execute()


class GuardTask:
    """A task for the server's threads: check a connection's request with the guard."""

    may_wait = False

    def __init__(self, channel: "PortalChannel", request: Request) -> None:
        self._channel = channel
        self._request = request

    def service(self) -> None:
        self._channel.ask(self._request)

    def comes_again(self, called: int) -> bool:
        return False

    def let_go(self) -> None:
        """Nobody waits for more."""

    def cancel(self) -> None:
        self._channel.cancel()


class StretchTask:
    """A task for the server's threads: hand on what has arrived of a body taken in stretches."""

    may_wait = False

    def __init__(
        self, channel: "PortalChannel", request: Request, stretch: tuple[dict[str, Any], Any]
    ) -> None:
        self._channel = channel
        self._request = request
        self._stretch = stretch
        channel.server.handing_on.add(self)

    def service(self) -> None:
        try:
            self._channel.hand_on(self._request, *self._stretch)
        finally:
            self._channel.server.handing_on.discard(self)

    def comes_again(self, called: int) -> bool:
        return False

    def let_go(self) -> None:
        """Nobody waits for more."""

    def cancel(self) -> None:
        self._channel.cancel()


class PortalChannel(HTTPChannel):  # type: ignore[misc]
    """A connection with minimum rates, whose large bodies are checked before they are read."""

    close_when_flushed: bool = False
    parser_class = Request
    task_class = PortalTask
    error_task_class = RefusalTask

    def __init__(self, server: Any, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        super().__init__(server, sock, addr, adj, map=map)
        # Waitress's own, but its thread may take it again: where a client is gone, sending
        # 100 Continue under it closes the connection.
        self.requests_lock = threading.RLock()
        self.waiting_for_guard = False
        self._stretch_under_way = False
        self._stretch_refused = False
        self._answer_waits = False  # for the stretch that is under way
        self._quiet_since = time.monotonic()  # since the last request; bytes alone do not count
        self._served = False
        self._counted: Request | None = None
        self._body_mark: tuple[Request, float, int] | None = None
        self._sent = 0
        self._sent_mark: tuple[float, int] | None = None
        self._drained: int | None = None  # bytes discarded since the refusal was sent
        self._drain_until = 0.0
        # The thread that answers, and then waits for the next request; the event loop reads nothing
        # meanwhile. None: nobody, or in a process that is not for calls.
        self._kept_by: int | None = None
        self.is_read_here = False  # by this thread, which serves what comes

    @property
    def may_wait(self) -> bool:
        """Whether the oldest request is htmx's, for a part of a page that is open already."""
        request = self.requests[0]
        method = getattr(request, "command", "")  # a refused one may have none
        return method == "GET" and request.headers.get("HX_REQUEST") == "true"

    # --- receiving -------------------------------------------------------------------

    def readable(self) -> bool:
        """Whether more may be read now."""
        if self._drained is not None:
            return not self.will_close
        if self._kept_by is not None:
            return False
        return not self.waiting_for_guard and bool(super().readable())

    def handle_read(self) -> None:
        """Read; discard what follows the headers of a refused body.

        A request that begins may be for another process (mmeportal/server/exchange.py).
        """
        if self._drained is None:
            begins = self.request is None and not self.requests
            if begins and self.server.is_handed_on(self.socket):
                self.handle_close()  # here alone; the connection stays
            else:
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

    def recv(self, buffer_size: int) -> bytes:
        """Read; of an approved body more at a time than of what may be anything."""
        request = self.request
        data: bytes = super().recv(request.most_at_once if request else buffer_size)
        return data

    def received(self, data: bytes) -> bool:
        """Take bytes; start the check of a request that needs it."""
        try:
            with self.requests_lock:
                if self._stretch_refused:
                    return False  # what follows is the rest of its body, and no request
                taken = bool(super().received(data))
        except OSError as error:
            self._refuse_no_space(error)
            return True
        request = self.request
        if request is not None and not request.undecided and self._exceeds_unapproved(request):
            request.hold()
        if request is not None and request.undecided:
            self.waiting_for_guard = True
            self.server.add_task(GuardTask(self, request))
        elif request is not None and request.has_stretch:
            with self.requests_lock:
                if self.request is request:  # and was not refused meanwhile
                    self._stretch_is_full(request)
        else:
            self.waiting_for_guard = False
        return taken

    def _stretch_is_full(self, request: Request) -> None:
        """Hand on what has arrived, and read on; where the one before is not stored yet, only read.

        When that is long no more is read: so a connection takes no more disk than two of them.
        Under ``requests_lock``.
        """
        long = request.stretch_bytes >= LONG_STRETCH_BYTES
        self.waiting_for_guard = self._stretch_under_way and long
        if not self._stretch_under_way:
            self._hand_on_soon(request)

    def _hand_on_soon(self, request: Request) -> None:
        self._stretch_under_way = True
        environ = request.environ(self.server.effective_port, self.addr[0])
        self.server.add_task(StretchTask(self, request, request.take_stretch(environ)))

    def _refuse_no_space(self, error: OSError) -> None:
        """Refuse a request whose body cannot be written to the disk, and free its part."""
        request = self.request
        if request is None:
            raise error
        log.error("A body of %s could not be kept: %s", request.path, error)
        request.close()
        message = _("The portal's disk is full, so it takes no files. Nothing was kept; try later.")
        recipient = request.recipient
        self._refuse(request, refusal(507, message, recipient=recipient, retry_after=60))

    def _refuse(self, request: Request, answer: Refusal) -> None:
        with self.requests_lock:
            request.refuse(answer)
            self.request = None
            self.requests.append(request)
            if len(self.requests) == 1:
                self.server.add_task(self)
            self.waiting_for_guard = False

    def _exceeds_unapproved(self, request: Request) -> bool:
        if (
            request is self._counted
            or request.approval
            or request.body_bytes_received <= UNCOUNTED_BYTES
        ):
            return False
        self._counted = request
        return bool(self.server.unapproved_bytes() > MAX_UNAPPROVED_BYTES)

    def unapproved_bytes(self) -> int:
        """The bytes of this connection's bodies that were not checked, including those to come."""
        # A copy, since threads remove requests meanwhile.
        requests = [*self.requests, *([self.request] if self.request else [])]
        return sum(
            request.most
            for request in requests
            if request.approval is None and request.body_bytes_received > UNCOUNTED_BYTES
        )

    def ask(self, request: Request) -> None:
        """Check the request with the guard, in a thread of the server, and apply its decision."""
        environ = request.environ(self.server.effective_port, self.addr[0])
        length = None if request.chunked else request.content_length
        small = request.content_length <= SMALL and request.body_bytes_received < SMALL
        try:
            if small:  # held only because of the sum of unchecked bodies
                decision = self.server.guard.may_send(environ, length)
            else:
                decision = self.server.guard.ask(environ, length)
        except Exception:
            log.exception("The guard of %s failed.", request.path)
            message = _(
                "Whether you may send this could not be found out. Try again in some seconds."
            )
            recipient = request.recipient
            decision = refusal(503, message, recipient=recipient, retry_after=10)
        self._decided(request, decision)

    def _decided(self, request: Request, decision: Approval | Refusal) -> None:
        if isinstance(decision, Refusal):
            self._refuse(request, decision)
            return
        early, request.early = request.early, b""
        with self.requests_lock:
            request.approve(decision)
            # While a response is being sent, `service` sends it after that.
            if request.expect_continue and not self.requests and not self.sent_continue:
                self.send_continue()
        # Nothing is read while `waiting_for_guard`, so no other thread uses the request.
        if early:
            self.received(early)
        else:
            self.waiting_for_guard = False
        if self.connected:
            self.server.pull_trigger()
        else:
            request.close()  # the connection ended before there was a slot to release

    def hand_on(self, request: Request, environ: dict[str, Any], buffer: Any) -> None:
        """Pass what has arrived of a body to the portal, as a request of its own, in a thread.

        The next bytes are read meanwhile, up to as many again; a slow connection holds no thread.
        What the portal refuses ends the whole request. Where the connection is cut, what arrived
        after these bytes is the last stretch.
        """
        try:
            refused = self._portal_says(environ, buffer)
        except Exception:
            log.exception("A stretch of %s was not taken.", request.path)
            refused = refusal(500, "", recipient=request.recipient)
        with self.requests_lock:
            self._stretch_under_way = False
            self._body_mark = None  # the client could perhaps send nothing meanwhile
            if not self.connected:
                if refused is None and request.stretch_bytes:
                    self._hand_on_soon(request)
                elif self.request is request:
                    request.close()
            elif refused is not None:
                self._refuse_stretch(request, refused)
            elif request.has_stretch:
                self._stretch_is_full(request)
            if self._answer_waits and not self._stretch_under_way:
                self._answer_waits = False
                self.server.add_task(self)
        if self.connected:
            self.server.pull_trigger()

    def _refuse_stretch(self, request: Request, answer: Refusal) -> None:
        """Refuse a request of which a stretch was refused. Under ``requests_lock``."""
        self._stretch_refused = True
        request.refuse(answer)
        if self.request is request:  # else all of it has arrived, and it waits to be answered
            self.request = None
            self.requests.append(request)
            if len(self.requests) == 1:
                self.server.add_task(self)
        self.waiting_for_guard = False

    def _portal_says(self, environ: dict[str, Any], buffer: Any) -> Refusal | None:
        """The answer to a stretch, where it is a refusal."""
        began: list[tuple[str, list[tuple[str, str]]]] = []
        try:
            answer = self.server.application(
                environ, lambda status, headers, *_: began.append((status, headers))
            )
            body = b"".join(answer)
            if hasattr(answer, "close"):
                answer.close()
        finally:
            buffer.close()
        status, headers = began[0]
        if status.startswith("2"):
            return None
        kept = [(name, value) for name, value in headers if name != "Content-Length"]
        return Refusal(status, kept, body)

    # --- sending ---------------------------------------------------------------------

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send what the client takes now; returns the number of bytes."""
        count: int = super().send(data, do_close=do_close)
        self._sent += count
        return count

    def _flush_some(self, do_close: bool = True) -> bool:
        """Send what is waiting, under the lock of what is waiting.

        Waitress's event loop takes no lock where no request is being answered. Here a thread may
        send 100 Continue then, and both would send it.
        """
        with self.outbuf_lock:
            return bool(super()._flush_some(do_close=do_close))

    def service(self) -> None:
        """Respond to the oldest request; after the stretch of it that is under way."""
        with self.requests_lock:
            if self._stretch_under_way:
                self._answer_waits = True
                return
        refused = self.requests[0].error is not None
        if refused and self._drained is None:
            self._drain_until = float("inf")
        if self.server.threads_stay:
            self._kept_by = threading.get_ident()
            self.server.serves(self)
        try:
            super().service()
        except BaseException:
            self.let_go()
            raise
        finally:
            self._served = True
            self._quiet_since = time.monotonic()

    # --- a thread that stays with its connection -------------------------------------------------

    def comes_again(self, called: int) -> bool:
        """Wait for the next request in this thread; whether it is there, and is to be served now.

        Else the event loop has the connection again: after a second, where ``called`` can be read,
        and where what comes is for others, slow, or to be checked first.
        """
        found = False
        try:
            found = self._may_be_kept() and self._has_come_whole(called)
        finally:
            if not found:
                self.let_go()
        return found

    def _has_come_whole(self, called: int) -> bool:
        wakes = select.poll()
        wakes.register(self.socket, select.POLLIN)
        wakes.register(called, select.POLLIN)
        until = time.monotonic() + STAY_S
        while self._may_be_kept() and (left := until - time.monotonic()) > 0:
            ready = [file for file, _event in wakes.poll(left * 1000)]
            if not ready or called in ready or not self._read_here():
                return False
            if self._is_to_be_served():
                return True
            until = min(until, time.monotonic() + WHOLE_S)
        return False

    def let_go(self) -> None:
        """Give the connection back to the event loop, if this thread has it."""
        with self.requests_lock:
            if self._kept_by != threading.get_ident():
                return
            self._kept_by = None
        self.server.serves(None)
        self.server.pull_trigger()

    def _may_be_kept(self) -> bool:
        return self.is_kept_quietly() and not (
            self.waiting_for_guard or self._drain_until or self.server.ending
        )

    def is_kept_quietly(self) -> bool:
        """Whether this thread has the connection, and nothing is left to do for the event loop."""
        return bool(
            self._kept_by == threading.get_ident()
            and self.connected
            and not (
                self.requests
                or self.total_outbufs_len
                or self.will_close
                or self.close_when_flushed
            )
        )

    def _read_here(self) -> bool:
        """Read what has come, if it is for this process; whether anything was."""
        if self.request is None and not self.server.is_of_this_process(self.socket):
            return False
        try:
            data = self.socket.recv(self.adj.recv_bytes)
        except OSError:
            return False  # the event loop meets the same
        if not data:
            return False
        self.last_activity = time.time()
        self.is_read_here = True
        try:
            self.received(data)
        except BaseException:
            self.is_read_here = False
            raise
        return True

    def _is_to_be_served(self) -> bool:
        """Whether a request is complete. Until this is asked no other thread is told of it."""
        with self.requests_lock:
            self.is_read_here = False
            return bool(self.requests)

    def handle_write(self) -> None:
        """Send; after a refusal, keep reading for a while, so that the client receives it.

        A connection that is closed with unread bytes is reset, and the client loses the response.
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
        """Close, and free the resources of an unfinished request.

        What has arrived of a body that is taken in stretches is handed on before.
        """
        super().handle_close()
        request = self.request
        with self.requests_lock:
            if request is None or self.waiting_for_guard or self._stretch_under_way:
                return
            if request.stretch_bytes:
                self._hand_on_soon(request)
            else:
                request.close()

    # --- rates and timeouts ------------------------------------------------------------

    def check_pace(self, now: float, *, full: bool) -> None:
        """Close the connection where it is too slow; called once a second, ``now`` is monotonic."""
        if self._drained is not None:
            if now > self._drain_until:
                self.will_close = True
            return
        if self._kept_by is not None and not self.requests:
            return  # a thread waits, for a second at most
        if self._answer_is_taken_too_slowly(now):
            self.handle_close()  # `will_close` would wait until the client takes something
            return
        if self.requests or self.waiting_for_guard or self.total_outbufs_len:
            return
        request = self.request
        if self.server.ending and request is not None and request.stretch_bytes:
            self.handle_close()  # the rest would not arrive in time, and its sender goes on later
            return
        if request is None or not request.in_body:
            self._check_headers(now, request, full=full)
            return
        if self._body_mark is None or self._body_mark[0] is not request:
            self._body_mark = (request, now, request.body_bytes_received)
        _, since, had = self._body_mark
        if now - since >= PACE_WINDOW_S:
            if request.body_bytes_received - had < PACE_WINDOW_S * PACE:
                self.will_close = True
            self._body_mark = (request, now, request.body_bytes_received)

    def _check_headers(self, now: float, request: Request | None, *, full: bool) -> None:
        # Line ends alone are no request: who drips them would begin another one each time.
        if request is not None and request.has_begun:
            since, most = request.began, HEADERS_S
        else:
            since, most = self._quiet_since, self.server.keep_alive_s if self._served else HEADERS_S
        if now - since > (FULL_HEADERS_S if full else most):
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
        """Whether no request is under way, so that it may be closed."""
        return self._kept_by is None and not (
            self.requests or self.waiting_for_guard or self.request or self.total_outbufs_len
        )
