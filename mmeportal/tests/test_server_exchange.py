"""Processes that answer calls of models alone, and how they get the connections."""

import http.client
import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mmeportal.server.__main__ import call_processes
from mmeportal.server.exchange import Exchange
from mmeportal.tests.web_server import WithCalls, ended, rest
from tests.servers import wait_until

CALL = "/api/v1/endpoints/demo/invocations?model=digits:2"
PAGE, PROGRAM = 0, 1


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


@pytest.mark.parametrize(("processors", "found"), [(1, 1), (2, 1), (3, 1), (4, 2), (64, 2)])
def test_the_machine_says_how_many_processes_calls_have(
    processors: int, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(processors)))
    assert call_processes("auto") == found
    assert call_processes("3") == 3


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


# --- a thread stays with the connection that it has answered ----------------------------------


def _switches(pid: int) -> int:
    """How often the first thread of a process, which has the event loop, has slept."""
    text = Path(f"/proc/{pid}/task/{pid}/status").read_text()
    return int(text.partition("voluntary_ctxt_switches:")[2].split()[0])


def test_the_event_loop_has_nothing_to_do_with_calls_that_follow_each_other(
    server: WithCalls,
) -> None:
    _others, calls = server.processes()
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    assert asks(client, "POST", CALL) == 401
    before = _switches(calls)
    for _ in range(40):
        assert asks(client, "POST", CALL) == 401
    assert _switches(calls) - before < 20  # it wakes by itself once a second
    client.close()


HEAD = f"POST {CALL} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n".encode()


@pytest.mark.parametrize("parts", [[HEAD + b"{}"], [HEAD, b"{}"], [HEAD[:9], HEAD[9:], b"{", b"}"]])
def test_a_request_that_comes_slowly_is_the_event_loops_again(
    server: WithCalls, parts: list[bytes]
) -> None:
    with server.connect() as client:
        for _ in range(3):
            for part in parts:
                client.sendall(part)
                # Longer than a thread waits for the rest of a request.
                assert not select.select([client], [], [], 0.1)[0] or part is parts[-1]
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 401")


def test_requests_in_one_go_are_answered_in_order_by_those_who_stay(server: WithCalls) -> None:
    beside = b"GET /api/v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    ends = HEAD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with server.connect() as client:
        client.sendall(HEAD + b"{}")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 401")
        client.sendall(20 * (HEAD + b"{}" + beside) + ends + b"{}")
        assert rest(client).count(b"HTTP/1.1 401") == 41


def test_those_who_stay_leave_threads_for_the_others_and_come_when_they_are_called(
    server: WithCalls,
) -> None:
    clients = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=20) for _ in range(12)]
    for _ in range(3):
        for client in clients:  # three times as many as there are threads
            assert asks(client, "POST", CALL) == 401
    for client in clients:
        client.close()


def test_a_client_that_goes_while_a_thread_waits_for_it_leaves_nothing(server: WithCalls) -> None:
    clients = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=20) for _ in range(8)]
    for client in clients:
        assert asks(client, "POST", CALL) == 401
    ports = {f"{client.sock.getsockname()[1]:04X}" for client in clients}
    for client in clients:
        client.close()

    def closed() -> bool:
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        # CLOSE_WAIT (8): our side of a connection whose other side has ended.
        return not any(
            line.split()[2].rpartition(":")[2] in ports and line.split()[3] == "08"
            for line in lines
        )

    wait_until(closed)


def test_the_server_ends_at_once_while_threads_wait(tmp_path: Path) -> None:
    server = WithCalls(tmp_path)
    with server.running() as process:
        wait_until(lambda: len(server.processes()) == 2)
        clients = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=20) for _ in "12"]
        for client in clients:
            assert asks(client, "POST", CALL) == 401
        began = time.monotonic()
        assert ended(process) == 0
        assert time.monotonic() - began < 4  # unfinished connections are waited for for 5 s
    assert "did not end in time" not in server.log(), server.log()


def test_no_call_is_lost_while_the_process_for_calls_is_replaced(tmp_path: Path) -> None:
    """The one that ends waits for a call that has begun, and takes no further ones."""
    server = WithCalls(tmp_path)
    with server.running():
        wait_until(lambda: len(server.processes()) == 2)
        others, calls = server.processes()
        with server.connect() as begun:
            begun.sendall(f"POST {CALL} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode())
            begun.sendall(b"Content-Length: 2\r\n\r\n{")
            _taken_from(others, begun)
            assert server.process is not None
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: others not in server.processes())
            for _ in range(60):
                client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
                assert asks(client, "POST", CALL) == 401
                client.close()
            assert os.path.exists(f"/proc/{calls}"), "it still waits"
            begun.sendall(b"}")
            assert begun.recv(12) == b"HTTP/1.1 401"
