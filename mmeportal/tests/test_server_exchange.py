"""Processes that answer calls of models alone, and how they get the connections."""

import http.client
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mmeportal.server.exchange import Exchange
from mmeportal.tests.web_server import WebServer
from tests.servers import wait_until

CALL = "/api/v1/endpoints/demo/invocations?model=digits:2"
PAGE, PROGRAM = 0, 1


class WithCalls(WebServer):
    """A server with one process for calls, and one for all else."""

    @property
    def command(self) -> list[str]:
        return [*super().command, "--processes", "1", "--call-processes", "1"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WithCalls]:
    made = WithCalls(tmp_path_factory.mktemp("exchange"))
    with made.running():
        wait_until(lambda: len(made.processes()) == 2)
        yield made
        assert "uncaptured python exception" not in made.log(), made.log()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def asks(connection: http.client.HTTPConnection, method: str, path: str) -> int:
    connection.request(method, path, b"{}" if method == "POST" else None)
    return _answer(connection)


def _answer(connection: http.client.HTTPConnection) -> int:
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_calls_go_to_their_process_and_all_else_to_the_others(server: WithCalls) -> None:
    """One connection, whose requests are answered by one process and then by the other."""
    others, calls = server.processes()
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    with stopped(others):
        assert asks(client, "POST", CALL) == 401
        # What a program asks beside its calls stays where they are.
        assert asks(client, "GET", "/api/v1/invocations") == 401
        client.request("GET", "/healthz")
        _taken_from(calls, client.sock)
    assert _answer(client) == 200
    with stopped(calls):
        assert asks(client, "GET", "/healthz") == 200
        assert asks(client, "GET", "/api/v1/models") == 401
        client.request("POST", CALL, b"{}")
        _taken_from(others, client.sock)
    assert _answer(client) == 401
    with stopped(others):
        assert asks(client, "POST", CALL) == 401
    client.close()


def _taken_from(pid: int, client: socket.socket) -> None:
    """Wait until a process has the connection no more."""
    address = f"{client.getsockname()[1]:04X}"
    inodes = [
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[2].endswith(f":{address}")
    ]

    def has_none() -> bool:
        open_files = []
        for each in Path(f"/proc/{pid}/fd").iterdir():
            try:
                open_files.append(os.readlink(each))
            except FileNotFoundError:
                continue
        return not any(f"socket:[{inode}]" in open_files for inode in inodes)

    wait_until(has_none)


def test_a_large_body_that_reaches_the_process_for_calls_is_taken_by_another(
    server: WithCalls,
) -> None:
    others, _calls = server.processes()
    operator = server.visitor("operator")
    cookies = "; ".join(f"{name}={value}" for name, value in operator.cookies.items())
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    with stopped(others):
        client.connect()
        client.request("POST", "/models/new/", b"x" * (2 << 20), {"Cookie": cookies})
    assert _answer(client) == 403  # all of it was read, and it has no CSRF token


def test_calls_have_a_session_of_their_own_for_the_kernel(server: WithCalls) -> None:
    others, calls = server.processes()
    assert os.getsid(calls) == calls
    assert os.getsid(others) != others


def _opened(opening: bytes) -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection on which something has arrived."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=10)
        accepted, _ = listener.accept()
    client.sendall(opening)
    accepted.recv(1, socket.MSG_PEEK)
    return client, accepted


@pytest.mark.parametrize(
    ("asked", "has_it", "goes"),
    [
        (b"POST /api/v1/endpoints/demo/invocations?model=a HTTP/1.1\r\n", PAGE, True),
        (b"POST /api/v1/endpoints/demo/invocations HTTP/1.1\r\n", PAGE, True),
        (b"POST /api/v1/endpoints/demo/invocations HTTP/1.1\r\n", PROGRAM, False),
        (b"POST /api/v1/endpoints/demo/invocations-of HTTP/1.1\r\n", PAGE, False),
        (b"GET /api/v1/endpoints/demo/invocations HTTP/1.1\r\n", PAGE, False),
        (b"GET /endpoints/1/live/ HTTP/1.1\r\n", PAGE, False),
        (b"GET /endpoints/1/live/ HTTP/1.1\r\n", PROGRAM, True),
        (b"GET /api/v1/models HTTP/1.1\r\n", PROGRAM, False),
        (b"POST /api/v1/models/digits/versions HTTP/1.1\r\n", PROGRAM, True),
        (b"GET /api/v1/models/digits/versions/2 HTTP/1.1\r\n", PROGRAM, False),
        (b"PATCH /api/v1/uploads/1 HTTP/1.1\r\n", PROGRAM, True),
        (b"nonsense", PROGRAM, True),
    ],
)
def test_what_a_request_is_for_is_seen_by_its_first_line(
    asked: bytes, has_it: int, goes: bool
) -> None:
    client, accepted = _opened(asked)
    with client, accepted:
        assert Exchange(2, 1).hand_on(has_it, accepted) is goes


def test_a_connection_stays_where_the_others_take_none() -> None:
    exchange = Exchange(2, 1)
    client, accepted = _opened(b"GET / HTTP/1.1\r\n")
    with client, accepted:
        handed = 0
        while exchange.hand_on(PROGRAM, accepted):
            handed += 1
            assert handed < 1000, "the kernel keeps ten or some more"
        assert handed > 0


def test_calls_go_to_their_processes_in_turn() -> None:
    exchange = Exchange(3, 2)
    client, accepted = _opened(b"POST /api/v1/endpoints/demo/invocations HTTP/1.1\r\n")
    with client, accepted:
        for _ in range(4):
            assert exchange.hand_on(PAGE, accepted)
    for index, count in ((0, 0), (1, 2), (2, 2)):
        for _ in range(count):
            _data, files, *_ = socket.recv_fds(exchange.inbox(index), 1, 1)
            os.close(files[0])
        with pytest.raises(BlockingIOError):
            exchange.inbox(index).recv(1)
