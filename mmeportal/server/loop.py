"""One process of the server: its event loop, and its graceful end."""

import logging
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from core import waiting
from mmeportal.server.channel import PortalChannel
from mmeportal.server.exchange import Exchange, Inbox
from mmeportal.server.guard import Guard
from mmeportal.server.threads import Threads

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 3000
GRACE_S = 5.0
_POLL_S = 1.0
_SPARE_FILES = 512  # descriptors for bodies, the database, Redis, AWS


class Server(TcpWSGIServer):  # type: ignore[misc]
    """waitress on a bound socket, with `PortalChannel` for its connections."""

    channel_class = PortalChannel

    def __init__(
        self,
        application: Any,
        bound: socket.socket,
        *,
        guard: Guard,
        threads: int,
        keep_alive_s: float,
        files: int,
        exchange: Exchange | None = None,
        index: int = 0,
    ) -> None:
        adjustments = Adjustments(
            sockets=[bound],
            threads=threads,
            ident="",
            backlog=2048,
            recv_bytes=64 << 10,
            # Small bodies stay in memory; larger ones go to files without a name.
            inbuf_overflow=(1 << 20) + (64 << 10),
            max_request_header_size=32 << 10,
            max_request_body_size=1 << 62,  # Request and Guard bound it
            connection_limit=max(64, min(MAX_CONNECTIONS, files - _SPARE_FILES)),
            cleanup_interval=1,
            asyncore_use_poll=True,
            log_socket_errors=False,  # a client that disconnects is not an error of the server
            # Django decides about X-Forwarded-*: SECURE_PROXY_SSL_HEADER and the like.
            clear_untrusted_proxy_headers=False,
        )
        self.guard = guard
        self.keep_alive_s = keep_alive_s
        self.ending = False
        self._exchange, self._index = exchange, index
        # Which connection the thread serves that asks.
        self._serving = threading.local()
        self.threads_stay = exchange is not None and exchange.is_for_calls(index)
        self.handing_on: set[Any] = set()  # stretches of bodies that threads work on, or will
        info = (bound.family, bound.type, bound.proto, bound.getsockname())
        super().__init__(
            complete(application),
            map={},
            _sock=bound,
            dispatcher=Threads(threads, stay=self.threads_stay),
            adj=adjustments,
            bind_socket=False,
            sockinfo=info,
        )
        self._inbox = None if exchange is None else Inbox(self, exchange.inbox(index))

    def welcome(self, connection: socket.socket, address: Any) -> None:
        """Serve a connection that another process has accepted."""
        self.channel_class(self, connection, address, self.adj, map=self._map)

    def is_handed_on(self, connection: socket.socket) -> bool:
        """Whether a connection, on which a request begins, is another process's now."""
        if self._exchange is None or self.ending:
            return False
        return self._exchange.hand_on(self._index, connection)

    def is_of_this_process(self, connection: socket.socket) -> bool:
        """Whether the request that begins on a connection is answered here."""
        return self._exchange is None or self._exchange.keeps(self._index, connection)

    def serves(self, channel: PortalChannel | None) -> None:
        """Note which connection this thread has."""
        self._serving.channel = channel

    def add_task(self, task: Any) -> None:
        """Have a thread run ``task``, unless the one that reads its request does so itself."""
        if not getattr(task, "is_read_here", False):
            super().add_task(task)

    def pull_trigger(self) -> None:
        """Wake the event loop, unless this thread stays with its connection and needs it not."""
        channel = getattr(self._serving, "channel", None)
        if channel is None or not channel.is_kept_quietly():
            super().pull_trigger()

    def maintenance(self, now: float) -> None:
        """Close the connections that are too slow; called once a second."""
        full = len(self._map) >= self.adj.connection_limit
        for channel in list(self.active_channels.values()):
            channel.check_pace(time.monotonic(), full=full)

    def unapproved_bytes(self) -> int:
        """The bytes of larger bodies that were not checked, in this process."""
        return sum(channel.unapproved_bytes() for channel in list(self.active_channels.values()))

    def serve(self, heartbeat: Callable[[], None]) -> None:
        """Serve until `end` is called; calls ``heartbeat`` about once a second or more often."""
        while not self.ending:
            heartbeat()
            self._poll(_POLL_S)
        waiting.end()  # a long poll would outlast the time that requests have to finish
        self._finish(heartbeat)

    def end(self) -> None:
        """Accept no new connection, and finish the requests under way; safe in a signal handler."""
        self.ending = True
        self.task_dispatcher.call()
        self.pull_trigger()

    def _poll(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)

    def _finish(self, heartbeat: Callable[[], None]) -> None:
        for _ in range(self.adj.backlog):  # accept what is in the kernel's queue
            before = len(self.active_channels)
            self.handle_accept()
            if len(self.active_channels) == before:
                break
        if self._inbox is not None:
            self._inbox.handle_read()
        self.del_channel()
        self.socket.close()
        deadline = time.monotonic() + GRACE_S
        self._poll(0)
        while (self.active_channels or self.handing_on) and time.monotonic() < deadline:
            heartbeat()
            for channel in list(self.active_channels.values()):
                channel.check_pace(time.monotonic(), full=False)
                if channel.is_idle():
                    channel.will_close = True
            self._poll(0.05)
        if self.active_channels:
            log.warning("%d connections did not end in time.", len(self.active_channels))


def complete(application: Any) -> Any:
    """``application`` with bodies of HEAD removed and Content-Length added.

    A response to HEAD has no body (RFC 9110, section 9.3.2), which Django leaves to the server. And
    waitress closes the connection after a response without Content-Length, which responses of
    Django's outermost middleware do not have.
    """

    def completed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        began: list[Any] = []
        answer = application(environ, lambda *arguments: began.extend(arguments))
        status, headers, *rest = began
        if not getattr(answer, "streaming", True) and not answer.has_header("Content-Length"):
            headers = [*headers, ("Content-Length", str(len(answer.content)))]
        start_response(status, headers, *rest)
        if environ["REQUEST_METHOD"] == "HEAD":
            if hasattr(answer, "close"):
                answer.close()
            return []
        return answer

    return completed


def use_temporary_folder(folder: str | None) -> None:
    """Write bodies to ``folder``, and create it if needed."""
    if folder:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        tempfile.tempdir = folder
