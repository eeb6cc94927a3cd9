"""Processes of their own for calls of models, and how the others hand them the connections.

While a page is rendered or a body of 200 MB is read, another thread of the same process waits for
Python's lock each time that it has sent or read something, so a warm call would take much longer
(docs/measured.md). So some of the server's processes answer calls of models, and the others all
else. Any of them accepts a connection. It looks at the first bytes of each request before it takes
them from the kernel, and hands the connection on where the request is for the others (SCM_RIGHTS,
unix(7)).

A connection that cannot be handed on, because the other processes stand still or end, is answered
where it is: they differ in nothing.
"""

import contextlib
import mmap
import os
import re
import socket
import struct
from typing import Any

from waitress import wasyncore

# The first bytes of a request that say what it is for: an endpoint's name has 63 at most.
_OPENING = 160
_CALL = re.compile(rb"POST /api/v1/endpoints/[^/? ]{1,63}/invocations[? ]")
# What a program asks beside its calls stays with them, so that it finds what it has just called;
# but not an archive that it sends.
_BESIDE_CALLS = re.compile(rb"[A-Z]+ /api/(?!v1/uploads|v1/models/[^/? ]+/versions[? ])")
_AT_ONCE = 16


class Exchange:
    """A socket for each process, on which it gets connections; made before they are forked.

    The last ``for_calls`` of ``processes`` answer calls.
    """

    def __init__(self, processes: int, for_calls: int) -> None:
        self._others = range(processes - for_calls)
        self._for_calls = range(processes - for_calls, processes)
        self._pairs = [
            socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(processes)
        ]
        for each in (one for pair in self._pairs for one in pair):
            each.setblocking(False)
        self._turns = mmap.mmap(-1, 8)  # of all processes

    def inbox(self, index: int) -> socket.socket:
        """Where a process gets what others hand it."""
        return self._pairs[index][0].dup()

    def is_for_calls(self, index: int) -> bool:
        """Whether a process is for calls of models."""
        return index in self._for_calls

    def keeps(self, index: int, connection: socket.socket) -> bool:
        """Whether a request, which has begun on a connection, is one of this process's."""
        try:
            opening = connection.recv(_OPENING, socket.MSG_PEEK)
        except OSError:
            return False
        called = _CALL.match(opening) is not None
        if index in self._for_calls:
            return called or _BESIDE_CALLS.match(opening) is not None
        return bool(opening) and not called

    def hand_on(self, index: int, connection: socket.socket) -> bool:
        """Whether a connection, on which a request has begun, is another process's now."""
        try:
            opening = connection.recv(_OPENING, socket.MSG_PEEK)
        except OSError:
            return False
        if index in self._for_calls:
            stays = not opening or _BESIDE_CALLS.match(opening) is not None
            return not stays and self._give(connection, self._others)
        return _CALL.match(opening) is not None and self._give(connection, self._for_calls)

    def _give(self, connection: socket.socket, to: range) -> bool:
        for _ in to:
            try:
                socket.send_fds(self._pairs[self._next(to)][1], [b"."], [connection.fileno()])
            except OSError:
                continue  # it has ten connections already that it has not taken
            return True
        return False

    def _next(self, to: range) -> int:
        """In turn; that two processes may take the same turn does no harm."""
        turn: int = struct.unpack("Q", self._turns[:8])[0]
        self._turns[:8] = struct.pack("Q", (turn + 1) % (1 << 63))
        return to[turn % len(to)]


class Inbox(wasyncore.dispatcher):  # type: ignore[misc]
    """Takes the connections that other processes hand to this one, into the server's loop."""

    def __init__(self, server: Any, inbox: socket.socket) -> None:
        self._server = server
        super().__init__(inbox, map=server._map)

    def readable(self) -> bool:
        """Whether there is room for a further connection.

        None for a process that ends: what it took then it would close as idle, unread. The one that
        takes its place has the same inbox.
        """
        has_room = len(self._server._map) < self._server.adj.connection_limit
        return bool(has_room) and not self._server.ending

    def writable(self) -> bool:
        """Nothing is sent here."""
        return False

    def handle_read(self) -> None:
        """Take what is there."""
        for _ in range(_AT_ONCE):
            try:
                _data, files, _flags, _address = socket.recv_fds(self.socket, 1, 1)
            except BlockingIOError:
                return
            for file in files:
                os.set_inheritable(file, False)
                connection = socket.socket(fileno=file)
                try:
                    address = connection.getpeername()
                except OSError:  # its client has gone
                    with contextlib.suppress(OSError):
                        connection.close()
                else:
                    self._server.welcome(connection, address)
