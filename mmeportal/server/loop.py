"""One process of the server: its loop, and its end without the loss of a request."""

import logging
import os
import socket
import tempfile
import time
from collections.abc import Callable
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

from mmeportal.server.channel import Channel
from mmeportal.server.guard import Guard
from mmeportal.server.threads import Threads

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 3000
GRACE_S = 5.0
_TURN_S = 1.0
_SPARE_FILES = 512  # descriptors for bodies, the database, Redis, AWS


class Server(TcpWSGIServer):  # type: ignore[misc]
    """waitress on a socket that is bound already, with `Channel` for its connections."""

    channel_class = Channel

    def __init__(
        self,
        application: Any,
        bound: socket.socket,
        *,
        guard: Guard,
        threads: int,
        keep_alive_s: float,
        files: int,
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
            connection_limit=max(64, min(MOST_CONNECTIONS, files - _SPARE_FILES)),
            cleanup_interval=1,
            asyncore_use_poll=True,
            log_socket_errors=False,  # a client that goes away is no error of ours
            # Django decides about X-Forwarded-*: SECURE_PROXY_SSL_HEADER and the like.
            clear_untrusted_proxy_headers=False,
        )
        self.guard = guard
        self.keep_alive_s = keep_alive_s
        self.ending = False
        info = (bound.family, bound.type, bound.proto, bound.getsockname())
        super().__init__(
            complete(application),
            map={},
            _sock=bound,
            dispatcher=Threads(threads),
            adj=adjustments,
            bind_socket=False,
            sockinfo=info,
        )

    def maintenance(self, now: float) -> None:
        """Close the connections that are too slow; called once a second."""
        hurried = len(self._map) >= self.adj.connection_limit
        for channel in list(self.active_channels.values()):
            channel.check_pace(time.monotonic(), hurried=hurried)

    def crowd(self) -> int:
        """Bytes of the larger bodies that nobody was asked about, in this process."""
        return sum(channel.crowding() for channel in list(self.active_channels.values()))

    def serve(self, beat: Callable[[], None]) -> None:
        """Serve until `end` is called; ``beat`` is called at least once a second or so."""
        while not self.ending:
            beat()
            self._turn(_TURN_S)
        self._finish(beat)

    def end(self) -> None:
        """Take no new connection, and finish what is under way; may be called by a signal."""
        self.ending = True
        self.pull_trigger()

    def _turn(self, seconds: float) -> None:
        wasyncore.loop(timeout=seconds, use_poll=True, map=self._map, count=1)

    def _finish(self, beat: Callable[[], None]) -> None:
        for _ in range(self.adj.backlog):  # who is in the kernel's queue is let in
            before = len(self.active_channels)
            self.handle_accept()
            if len(self.active_channels) == before:
                break
        self.del_channel()
        self.socket.close()
        deadline = time.monotonic() + GRACE_S
        self._turn(0)
        while self.active_channels and time.monotonic() < deadline:
            beat()
            for channel in list(self.active_channels.values()):
                channel.check_pace(time.monotonic(), hurried=False)
                if channel.is_idle():
                    channel.will_close = True
            self._turn(0.05)
        if self.active_channels:
            log.warning("%d connections did not end in time.", len(self.active_channels))


def complete(application: Any) -> Any:
    """``application`` with what waitress leaves to it.

    An answer to HEAD has no body (RFC 9110, section 9.3.2); Django leaves that to the server too.
    And waitress closes the connection after an answer that has no Content-Length, which the
    answers of Django's outermost middleware have not.
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
    """Write bodies to ``folder``, which is made where it is not there."""
    if folder:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        tempfile.tempdir = folder
