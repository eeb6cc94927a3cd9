"""One connection of the web server, used by the event loop and by a thread."""

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from waitress.adjustments import Adjustments

from mmeportal.server.channel import PortalChannel


@pytest.fixture
def channel() -> Iterator[PortalChannel]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = SimpleNamespace(active_channels={})
        made = PortalChannel(server, ours, ("127.0.0.1", 1), Adjustments(), map={})
        made.request = SimpleNamespace(expect_continue=True, completed=False)
        yield made


def test_the_event_loop_and_a_thread_do_not_send_the_same_bytes(
    channel: PortalChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a client gets 100 Continue twice, and takes the second one for its answer."""
    free: list[bool] = []

    def look() -> None:
        free.append(channel.outbuf_lock.acquire(blocking=False))
        if free[-1]:
            channel.outbuf_lock.release()

    def send(data: bytes, do_close: bool = True) -> int:
        other = threading.Thread(target=look)
        other.start()
        other.join()
        return len(data)

    monkeypatch.setattr(channel, "send", send)
    channel.send_continue()
    channel.outbufs[-1].append(b"left over")
    channel.total_outbufs_len += len(b"left over")
    channel.handle_write()  # as the event loop does
    assert free == [False, False]
