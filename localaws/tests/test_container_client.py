"""HTTP over a Unix socket: the same answers, timeouts and errors as over TCP."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from tempfile import TemporaryDirectory

import pytest

from localaws.container_client import ContainerClient, ContainerGone, ContainerTimeout
from localaws.tests.servers import wait_for

Speak = Callable[[socket.socket], object]


@contextlib.contextmanager
def serving(listener: socket.socket, speak: Speak) -> Iterator[list[int]]:
    """Answers each connection with ``speak`` in a thread; the list has an entry for each."""
    accepted: list[int] = []
    listener.listen(128)

    def one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            speak(connection)

    def run() -> None:
        while True:
            connection, _ = listener.accept()
            if over.is_set():
                connection.close()
                return
            accepted.append(1)
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    over = threading.Event()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield accepted
    finally:
        over.set()
        with socket.socket(listener.family) as last:
            last.connect(listener.getsockname())
        thread.join(10)
        listener.close()


@pytest.fixture(params=["unix", "tcp"])
def listener(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, str]]:
    """A bound socket and its address; both kinds must look the same to a caller."""
    if request.param == "tcp":
        found = socket.socket()
        found.bind(("127.0.0.1", 0))
        yield found, f"127.0.0.1:{found.getsockname()[1]}"
        return
    with TemporaryDirectory() as folder:
        found = socket.socket(socket.AF_UNIX)
        found.bind(f"{folder}/s")
        yield found, f"{folder}/s"


def polite(connection: socket.socket) -> None:
    """Answers each whole request until the other side ends the connection."""
    with connection.makefile("rb") as lines:
        while lines.readline():
            length = 0
            while (line := lines.readline()).strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            lines.read(length)  # it may come in a piece of its own
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok")


def test_it_answers_and_keeps_its_connection(listener: tuple[socket.socket, str]) -> None:
    with serving(listener[0], polite) as accepted:
        client = ContainerClient(listener[1])
        for _ in range(50):
            answer = client.invoke("m", b"body", {"X-B": "c"}, timeout=5)
            assert (answer.status, answer.body, answer.headers["x-a"]) == (200, b"ok", "b")
        assert len(accepted) == 1
        client.close()


@pytest.mark.not_quick
def test_many_threads_may_call_at_once(listener: tuple[socket.socket, str]) -> None:
    with serving(listener[0], polite):
        client = ContainerClient(listener[1])
        with ThreadPoolExecutor(100) as pool:
            found = pool.map(lambda _: client.invoke("m", b"x", {}, timeout=20).body, range(1000))
            assert set(found) == {b"ok"}
        client.close()


def test_an_answer_that_does_not_come_is_a_timeout(listener: tuple[socket.socket, str]) -> None:
    over = threading.Event()
    with serving(listener[0], lambda _: over.wait(20)):
        client = ContainerClient(listener[1])
        with pytest.raises(ContainerTimeout):
            client.invoke("m", b"x", {}, timeout=0.2)
        assert not client.ping(0.2)
        over.set()
        client.close()


def test_a_connection_that_breaks_may_have_been_heard(listener: tuple[socket.socket, str]) -> None:
    with serving(listener[0], lambda connection: connection.recv(65536)):
        client = ContainerClient(listener[1])
        with pytest.raises(ContainerGone) as caught:
            client.invoke("m", b"x", {}, timeout=5)
        assert caught.value.sent
        client.close()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "/nowhere/at/all"])
def test_a_connection_that_is_refused_was_not_heard(address: str) -> None:
    client = ContainerClient(address)
    with pytest.raises(ContainerGone) as caught:
        client.invoke("m", b"x", {}, timeout=5)
    assert not caught.value.sent


def test_a_caller_waits_where_the_server_has_no_time_yet() -> None:
    """A Unix socket that does not block is refused at once when the queue is full."""
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/s")
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(f"{folder}/s")
            client = ContainerClient(f"{folder}/s")
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(client.invoke, "m", b"x", {}, 20)
                wait_for(lambda: waiting.running(), 5)
                accepted = [listener.accept()[0] for _ in range(2)]
                for connection in accepted[1:]:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                assert waiting.result(20).status == 200
            client.close()
            for connection in accepted:
                connection.close()
