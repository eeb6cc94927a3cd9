"""A request is one write, and its answer is read however the server ends it."""

import socket
import threading

import pytest

from core import http_exchange

PLAIN = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Two: a\r\nx-two: b\r\n"
    b"Content-Length: 5\r\n\r\nhello"
)


def answered(*parts: bytes, ends: bool = False) -> http_exchange.ReadAnswer:
    """The answer that is read of a server that writes these parts, one after the other."""
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    got = []

    def serve() -> None:
        got.append(theirs.recv(1 << 16))
        for part in parts:
            theirs.sendall(part)
        if ends:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        header = http_exchange.head("POST", "/x", {"Host": "h", "Content-Length": "4"})
        return http_exchange.exchange(ours, header, b"body")
    finally:
        thread.join()
        ours.close()
        theirs.close()
        assert got == [b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"]


def in_bytes(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize("parts", [[PLAIN], [PLAIN[:-3], PLAIN[-3:]], in_bytes(PLAIN)])
def test_an_answer_with_a_length_is_read_to_its_end(parts):
    answer = answered(*parts)
    assert (answer.status_code, answer.content, answer.stays) == (200, b"hello", True)
    assert answer.headers["CONTENT-type"] == "application/json"
    assert answer.headers.get("x-two") == "a, b"
    assert answer.headers.get("x-none", "") == ""
    assert sorted(answer.headers) == ["Content-Length", "Content-Type", "x-two"]


@pytest.mark.parametrize(
    ("data", "ends", "status", "content", "stays"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
         False, 200, b"hello", True),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", True, 200, b"hello", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", False, 200, b"hello", False),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN, False, 200, b"hello", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False, 204, b"", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 5\r\n\r\nhello",
         False, 200, b"hello", False),
        (b"HTTP/1.1 424\r\nContent-Length: 0\r\n\r\n", False, 424, b"", True),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 5\r\n\r\nhello",
         False, 200, b"hello", True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("split", [False, True])
def test_any_other_answer_is_read_too(data, ends, status, content, stays, split):
    answer = answered(*(in_bytes(data) if split else [data]), ends=ends)
    assert (answer.status_code, answer.content, answer.stays) == (status, content, stays)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
        PLAIN[:-2],
        PLAIN + b"more",
        b"no answer\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhe",
        b"HTTP/1.1 200 OK\r\n" + b"A: " + b"a" * (300 << 10),
    ],
)
def test_what_is_no_whole_answer_is_said(data):
    with pytest.raises((http_exchange.Broken, ConnectionError)):
        answered(data, ends=True)


def test_a_server_that_says_nothing_is_waited_for_as_long_as_the_socket_says():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.05)
        with pytest.raises(TimeoutError):
            http_exchange.exchange(ours, b"POST / HTTP/1.1\r\n\r\n", b"")


def test_an_answer_that_came_before_the_body_was_taken_is_read():
    ours, theirs = socket.socketpair()
    with ours:
        theirs.sendall(PLAIN.replace(b"200 OK", b"413 Too Large"))
        theirs.close()
        assert http_exchange.exchange(ours, b"POST / HTTP/1.1\r\n\r\n", bytes(1)).status_code == 413


@pytest.mark.parametrize("value", ["a\r\nB: c", "a\nb", "a\rb", "a\0b"])
def test_no_value_begins_another_header(value):
    with pytest.raises(ValueError, match="line end"):
        http_exchange.head("POST", "/", {"A": value})
    with pytest.raises(ValueError, match="line end"):
        http_exchange.head("POST", value, {})
