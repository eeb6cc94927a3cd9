"""The real web server under clients that are slow, large, unknown or dishonest."""

import contextlib
import json
import os
import re
import resource
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from waitress.adjustments import Adjustments

from mmeportal.server.channel import PortalChannel
from mmeportal.server.parser import Request
from mmeportal.tests.web_server import (
    PASSWORD,
    WebServer,
    WithCalls,
    ended,
    head,
    rest,
    token_of,
)
from tests.servers import free_port, running, wait_until

MB = 1 << 20
#: Nothing of these declares that it takes more than 1 MB; `/nope` is not even there.
CLOSED = ("/", "/login/", "/nope", "/admin/login/", "/endpoints/new/", "/models/", "/healthz")
FORM = "multipart/form-data; boundary=b"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, s3_address: str) -> Iterator[WebServer]:
    made = WebServer(
        tmp_path_factory.mktemp("web"),
        AWS_ENDPOINT_URL_S3=s3_address,
        MODEL_BUCKET="web-server-tests",
        MAX_ARCHIVE_MB="700",
    )
    with made.running():
        yield made
        for fault in ("uncaptured python exception", "The guard of", "ended with", "hangs"):
            assert fault not in made.log(), made.log()


def part(name: str, file: str = "") -> bytes:
    named = f'; filename="{file}"' if file else ""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode()


def written(server: WebServer) -> int:
    """Bytes in files that the server's processes have open in its temporary folder, or left."""
    found = sum(path.stat().st_size for path in server.temporary.iterdir())
    for pid in server.processes():
        for at in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.readlink(at).startswith(str(server.temporary)):
                    found += at.stat().st_size
    return found


def push(client: socket.socket, most: int) -> int:
    """Send up to ``most`` bytes for as long as nothing comes back; returns how many went."""
    sent, block = 0, b"x" * 65536
    while sent < most:
        readable, writable, _ = select.select([client], [client], [], 60)
        if readable:
            break
        try:
            sent += client.send(block) if writable else 0
        except OSError:
            break
    return sent


# --- slow clients ------------------------------------------------------------------------


def many(server: WebServer, count: int, opening: bytes) -> list[socket.socket]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + 200:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 500), hard))
    clients = []
    for _ in range(count):
        client = server.connect()
        client.sendall(opening)
        clients.append(client)
    return clients


def test_a_thousand_half_sent_requests_silence_nothing_and_are_closed(server: WebServer) -> None:
    clients = []
    try:
        for opening in (
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-a: ",  # half a header
            b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n\r\nx",
            b"GET /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",  # answered, and then nothing
            b"",
            b"\r\n\r\n",
        ):
            clients += many(server, 200, opening)
        assert server.is_well()
        assert server.visitor("viewer", logs_in=True)

        waiting = {client.fileno(): client for client in clients}
        poll = select.poll()
        for client in clients:
            client.setblocking(False)
            poll.register(client, select.POLLIN)

        def all_closed() -> bool:
            assert server.is_well()
            for number, _ in poll.poll(250):
                try:
                    closed = waiting[number].recv(65536) == b""
                except ConnectionResetError:
                    closed = True
                if closed:
                    poll.unregister(number)
                    del waiting[number]
            return not waiting

        wait_until(all_closed, seconds=90)
    finally:
        for client in clients:
            client.close()


@dataclass
class Slow:
    """Clients that the server gives some seconds to: their time runs at once."""

    dripping: list[socket.socket]
    """They send a byte now and then."""
    reader: socket.socket
    """It takes nothing of its answers."""


@pytest.fixture(scope="module")
def slow(server: WebServer) -> Iterator[Slow]:
    drops = {
        b"GET / HTTP/1.1\r\nX-a: ": b"1",
        b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n\r\n": b"1",
        b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n": b"1",
        b"": b"\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n": b"\r\n",
    }
    stop = threading.Event()

    def drip(client: socket.socket, drop: bytes) -> None:
        with contextlib.suppress(OSError):
            while not stop.wait(0.5):
                client.sendall(drop)

    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in drops]
        reader = stack.enter_context(socket.socket())
        stack.callback(stop.set)
        for client, (opening, drop) in zip(clients, drops.items(), strict=True):
            client.sendall(opening)
            threading.Thread(target=drip, args=(client, drop), daemon=True).start()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        reader.connect(("127.0.0.1", server.port))
        # More pages than the kernel's buffers hold.
        reader.sendall(b"GET /static/js/upload.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 1500)
        yield Slow(clients, reader)


def test_clients_that_drip_a_byte_now_and_then_are_closed(slow: Slow) -> None:
    for client in slow.dripping:
        rest(client)  # a server that does not close it makes this time out


def test_line_ends_alone_are_no_request_that_begins() -> None:
    """Who drips them would have a new one at each check, which never is too old."""
    request = Request(Adjustments())
    request.received(b"\r\n")
    channel = object.__new__(PortalChannel)
    channel.will_close, channel._served, channel._quiet_since = False, False, 0.0
    request.began = 100.0
    channel._check_headers(100.5, request, full=False)
    assert channel.will_close
    channel.will_close = False
    request.received(b"GET / HTTP/1.1\r\n")
    channel._check_headers(100.5, request, full=False)
    assert not channel.will_close
    channel._check_headers(111.0, request, full=False)
    assert channel.will_close


def test_a_client_that_takes_its_answer_slowly_is_closed(server: WebServer, slow: Slow) -> None:
    def closed() -> bool:
        mine = slow.reader.getsockname()[1]
        table = Path("/proc/net/tcp").read_text()
        pair = f":{server.port:04X} 0100007F:{mine:04X} 01 "  # 01: established
        return pair not in table

    wait_until(closed)
    assert server.is_well()


# --- large bodies --------------------------------------------------------------------------


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("user", ["", "operator"])
def test_a_post_of_400_mb_is_refused_before_it_is_read(
    server: WebServer, path: str, user: str
) -> None:
    visitor = server.visitor(user)
    with server.connect() as client:
        client.sendall(head(visitor, path, Content_Length=400 * MB, Content_Type=FORM))
        assert push(client, 400 * MB) < 70 * MB
        said = rest(client)

    assert said.startswith(b"HTTP/1.1 413 ")
    assert b"larger than 1 MB, the most that this address takes" in said
    assert b'<a class="button primary" href="/">' in said  # a page of the portal, with a way back
    assert b"style-src 'self'" in said
    assert written(server) == 0


@pytest.mark.parametrize("path", CLOSED)
def test_a_chunked_post_is_cut_off_at_1_mb(server: WebServer, path: str) -> None:
    with server.connect() as client:
        client.sendall(head(server.visitor(), path, Transfer_Encoding="chunked"))
        client.sendall(b"%x\r\n" % (400 * MB))
        assert push(client, 400 * MB) < 70 * MB
        assert rest(client).startswith(b"HTTP/1.1 413 ")
    assert written(server) == 0


def test_a_client_that_reads_json_gets_json(server: WebServer) -> None:
    for path, status in (("/login/", 413), ("/models/new/", 401)):
        answer = requests.post(
            server.url + path,
            headers={"Accept": "application/json", "Expect": "100-continue"},
            data=b"x" * 2 * MB,
            timeout=60,
        )
        assert answer.status_code == status
        assert answer.json()["error"].endswith("kept.")


@pytest.mark.parametrize("path", ["/models/new/", "/invoke/run/"])
@pytest.mark.parametrize(
    "length", [{"Content_Length": 400 * MB}, {"Transfer_Encoding": "chunked"}], ids=str
)
def test_nobody_uploads_without_a_session(
    server: WebServer, path: str, length: dict[str, object]
) -> None:
    anonymous = server.visitor()
    anonymous.cookies["mme_session"] = "a" * 32
    with server.connect() as client:
        client.sendall(head(anonymous, path, Content_Type=FORM, **length))
        client.sendall(b"%x\r\n" % (400 * MB))
        push(client, 400 * MB)
        said = rest(client)

    assert said.startswith(b"HTTP/1.1 401 ")
    assert b"Log in first: there is no session, or it has ended." in said
    assert written(server) == 0


def test_a_viewer_uploads_nothing(server: WebServer) -> None:
    viewer = server.visitor("viewer")
    with server.connect() as client:
        client.sendall(head(viewer, "/models/new/", Content_Length=400 * MB, Content_Type=FORM))
        push(client, 400 * MB)
        said = rest(client)

    assert said.startswith(b"HTTP/1.1 403 ")
    assert b"Your role does not allow you to upload models." in said
    assert written(server) == 0
    told = "Refused viewer, who needs models_catalog.add_version: POST /models/new/"
    wait_until(lambda: told in server.log())


def test_who_was_deactivated_uploads_nothing(server: WebServer) -> None:
    gone = server.visitor("gone")
    with contextlib.closing(sqlite3.connect(server.database, timeout=60)) as database, database:
        database.execute("UPDATE auth_user SET is_active = 0 WHERE username = 'gone'")
    said = server.says(head(gone, "/models/new/", Content_Length=9 * MB))

    assert said.startswith(b"HTTP/1.1 401 ")


def test_a_wrong_token_in_the_header_is_refused_before_the_body(server: WebServer) -> None:
    operator = server.visitor("operator")
    said = server.says(head(operator, "/models/new/", Content_Length=9 * MB, X_CSRFToken="b" * 32))
    assert said.startswith(b"HTTP/1.1 403 ")


def test_more_than_the_address_declares_is_refused(server: WebServer) -> None:
    operator = server.visitor("operator")
    said = server.says(head(operator, "/models/new/", Content_Length=702 * MB))

    assert said.startswith(b"HTTP/1.1 413 ")
    assert b"The archive is larger than 700 MB" in said


def test_a_client_that_asks_first_is_told_to_go_on_or_not(server: WebServer) -> None:
    operator = server.visitor("operator")
    for path, answer in (("/models/new/", b"100 Continue"), ("/login/", b"413 ")):
        with server.connect() as client:
            asks = head(operator, path, Content_Length=9 * MB, Expect="100-continue")
            client.sendall(asks)
            assert client.recv(65536).startswith(b"HTTP/1.1 " + answer)


def test_one_user_sends_four_archives_at_once_and_not_five(server: WebServer) -> None:
    operator = server.visitor("operator")
    asks = head(operator, "/models/new/", Content_Length=9 * MB, Expect="100-continue")

    def goes_on(client: socket.socket) -> bool:
        client.sendall(asks)
        return client.recv(65536).startswith(b"HTTP/1.1 100 ")

    with contextlib.ExitStack() as stack:
        # Their connections are spread over the server's processes.
        four: list[socket.socket] = []

        def one_more() -> bool:
            for each in four:  # none of them is too slow, and none comes to its end
                each.sendall(b"x" * 20_000)
            client = stack.enter_context(server.connect())
            if goes_on(client):
                four.append(client)
            return len(four) == 4

        wait_until(one_more)  # what the test before had may not be free yet
        with server.connect() as fifth:
            fifth.sendall(asks)
            said = rest(fifth)
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 10" in said

    def is_free() -> bool:
        with server.connect() as client:
            return goes_on(client)

    wait_until(is_free)


def test_a_large_upload_arrives_and_takes_no_memory(server: WebServer, tmp_path: Path) -> None:
    operator = server.visitor("operator")
    token = token_of(operator, f"{server.url}/models/new/")
    before = server.memory_mb()
    highest = [before]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            highest.append(server.memory_mb())

    watching = threading.Thread(target=watch)
    watching.start()
    fields = {"csrfmiddlewaretoken": token, "name": "large", "note": "", "description": ""}
    opening = b"".join(part(name) + value.encode() + b"\r\n" for name, value in fields.items())
    opening += part("archive", "large.tar.gz")
    ending = b"\r\n--b--\r\n"
    size = 600 * MB
    try:
        with server.connect() as client:
            length = len(opening) + size + len(ending)
            headers = {"Content_Length": length, "Content_Type": FORM, "Connection": "close"}
            client.sendall(head(operator, "/models/new/", **headers) + opening)
            assert push(client, size) == size
            client.sendall(ending)
            said = rest(client)
    finally:
        done.set()
        watching.join()

    # The bucket is not there: that the portal says so shows that the whole of it reached the view.
    assert said.startswith(b"HTTP/1.1 502 ")
    assert b"The archive could not be stored" in said
    print(f"memory: {before:.0f} MB before, {max(highest):.0f} MB at most")
    assert max(highest) - before < 100
    assert written(server) == 0


def test_a_crowd_of_large_bodies_is_bounded_and_hurts_no_log_in(server: WebServer) -> None:
    operator = server.visitor("operator")
    token = token_of(operator, f"{server.url}/invoke/")
    crowd = []
    try:
        for _ in range(250):
            client = server.connect()
            crowd.append(client)
            client.sendall(head(requests.Session(), "/login/", Content_Length=900_000))
            client.sendall(b"x" * 70_000)
        wait_until(lambda: len(_refused(crowd)) >= 90)  # of 64 MB in each of two processes
        assert len(_refused(crowd)) < 200
        assert server.visitor("viewer", logs_in=True)
        # Who is logged in is asked, and let through.
        answer = operator.post(
            f"{server.url}/invoke/run/",
            {"csrfmiddlewaretoken": token},
            files={"picture": ("a.jpg", b"x" * 500_000)},
            headers={"HX-Request": "true"},
            timeout=60,
        )
        assert answer.status_code == 200
        assert "Choose an endpoint." in answer.text
    finally:
        for client in crowd:
            client.close()


def _refused(clients: list[socket.socket]) -> list[socket.socket]:
    found = []
    for client in clients:
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            if client.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 503":
                found.append(client)
    return found


def test_a_full_disk_is_told_before_the_body_is_read(server: WebServer, tmp_path: Path) -> None:
    full = WebServer(tmp_path, UPLOAD_DISK_RESERVE_MB=str(1 << 30))
    with full.running():
        said = full.says(head(full.visitor("operator"), "/models/new/", Content_Length=9 * MB))
    assert said.startswith(b"HTTP/1.1 507 ")
    assert b"Retry-After: 60" in said


def test_a_disk_that_is_full_meanwhile_is_told_and_nothing_is_kept(killed: WebServer) -> None:
    own = killed
    operator = own.visitor("operator")
    for pid in own.processes():  # no file may grow further than that
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (5 * MB, 5 * MB))
    with own.connect() as client:
        client.sendall(head(operator, "/models/new/", Content_Length=20 * MB, Content_Type=FORM))
        push(client, 20 * MB)
        said = rest(client)

    assert said.startswith(b"HTTP/1.1 507 ")
    assert b"Nothing was kept" in said
    assert b"Retry-After: 60" in said
    assert written(own) == 0
    assert own.is_well()
    assert "uncaptured python exception" not in own.log()
    _kill_all(own)


# --- two servers, one request ---------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: +5",
        "Content-Length: 5 5",
        "Content-Length:\r\n 5",
        "X-a: b\r\n\tc",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked ;a",
        "Content-Length : 5",
        "X-a: b\nContent-Length: 5",
    ],
)
def test_a_request_that_two_servers_may_read_differently_is_refused(
    server: WebServer, lines: str
) -> None:
    smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    opening = f"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n\r\n".encode()
    said = server.says(opening + smuggled)

    assert said[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 501", b"HTTP/1.0 400"), said
    assert said.count(b"HTTP/1.") == 1, "what followed was not taken for a request"


def test_old_versions_of_http_have_no_chunks(server: WebServer) -> None:
    opening = b"POST /login/ HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n"
    assert server.says(opening + b"\r\n0\r\n\r\n").startswith(b"HTTP/1.0 400")


def test_chunks_of_a_byte_and_endless_lines_between_them_are_refused(server: WebServer) -> None:
    opening = b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    for body in (b"1\r\nx\r\n" * 60_000, b"1;a=" + b"x" * 200_000, b"0\r\n" + b"a: b\r\n" * 9000):
        with server.connect() as client:
            with contextlib.suppress(OSError):
                client.sendall(opening + body)
            assert rest(client).startswith(b"HTTP/1.1 400"), body[:20]


def test_headers_are_bounded(server: WebServer) -> None:
    said = server.says(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-a: " + b"a" * 40_000)
    assert said[9:12] == b"431"


# --- what any server has to do --------------------------------------------------------------


def test_requests_in_one_go_are_answered_in_order(server: WebServer) -> None:
    said = server.says(
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        b"HEAD /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    )
    first, second = said.split(b"HTTP/1.1 ")[1:]
    assert first.startswith(b"200 OK")
    assert b'"status"' in first
    assert second.startswith(b"200 OK")
    assert b"<html" not in second

    # One whose body is refused waits for the answer before it.
    refused = head(requests.Session(), "/login/", Content_Length=9 * MB)
    said = server.says(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + refused + b"x" * 99)
    assert [answer[:3] for answer in said.split(b"HTTP/1.1 ")[1:]] == [b"200", b"413"]


def test_a_connection_stays_open_after_an_answer_without_a_body(server: WebServer) -> None:
    """Waitress closes it after 204 and 304, though they end with their headers."""
    path = next(
        word.split('"')[0]
        for word in requests.get(f"{server.url}/login/", timeout=30).text.split('href="')
        if word.split('"')[0].endswith(".css")
    )
    since = requests.get(f"{server.url}{path}", timeout=30).headers["Last-Modified"]
    same = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nIf-Modified-Since: {since}\r\n\r\n".encode()
    options = b"OPTIONS /api/v1/uploads/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    answers = server.says(options + same + options + last).split(b"HTTP/1.1 ")[1:]
    assert [answer[:3] for answer in answers] == [b"204", b"304", b"204", b"200"]
    assert all(b"Connection: close" not in answer for answer in answers[:3])

    closing = options.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    older = options.replace(b"HTTP/1.1", b"HTTP/1.0")
    for opening in (closing, older):
        said = server.says(opening + last)
        assert said.count(b"HTTP/1.") == 1, said
        assert b"Connection: close" in said


def test_the_headers_of_proxies_reach_django_as_they_came(tmp_path: Path) -> None:
    server = WebServer(tmp_path, HTTPS="1")
    with server.running():
        plain = requests.get(f"{server.url}/login/", timeout=30, allow_redirects=False)
        forwarded = requests.get(
            f"{server.url}/login/",
            headers={"X-Forwarded-Proto": "https"},
            timeout=30,
            allow_redirects=False,
        )
        assert plain.status_code == 301
        assert plain.headers["Location"].startswith("https://")
        assert forwarded.status_code == 200


def test_each_answer_has_a_line_in_the_log(server: WebServer) -> None:
    headers = {"User-Agent": b'a"\\n\xff', "X-Request-ID": "seen-by-a-proxy"}
    requests.get(f"{server.url}/healthz", headers=headers, timeout=30)
    server.says(b"GET /nonsense NOTHTTP\r\n\r\n")

    def found(**wanted: object) -> dict[str, object] | None:
        lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
        fits = (line for line in lines if wanted.items() <= line.items())
        return next(fits, None)

    line = wait_until(lambda: found(request_id="seen-by-a-proxy"))
    assert line["message"] == "GET /healthz HTTP/1.1"
    assert (line["status"], line["agent"]) == (200, "a\\x22\\x5cn\\xff")
    assert wait_until(lambda: found(status=400))["request_id"]


def test_on_a_terminal_the_line_is_in_the_combined_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_FORMAT", "console")
    server = WebServer(tmp_path)
    with server.running():
        headers = {"User-Agent": b'a"\\n\xff', "X-Request-ID": "seen"}
        requests.get(f"{server.url}/healthz", headers=headers, timeout=30)
        wait_until(lambda: '"GET /healthz HTTP/1.1" 200 ' in server.log())
    assert '"-" "a\\x22\\x5cn\\xff" "seen"' in server.log()


def test_what_the_server_refuses_by_itself_has_the_id(server: WebServer) -> None:
    headers = {"X-Request-ID": "too-much", "Content-Length": str(400 << 20)}
    for accept in ("text/html", "application/json"):
        answer = requests.post(
            f"{server.url}/login/", headers=headers | {"Accept": accept}, timeout=30
        )
        assert answer.status_code == 413
        assert answer.headers["X-Request-ID"] == "too-much"
        assert "too-much" in answer.text
        assert "(request id)" not in answer.text


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A server whose processes may be killed, and whose master may not."""
    server = WebServer(tmp_path_factory.mktemp("killed"))
    with server.running():
        wait_until(lambda: len(server.processes()) == 2)
        yield server


def _kill_all(server: WebServer) -> None:
    """Kill its processes, and return when two others are there."""
    before = server.processes()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(server.processes()) - set(before)) == 2)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[WebServer]:
    """A server of the test's own, which may be ended and killed."""
    server = WebServer(tmp_path)
    with server.running():
        wait_until(lambda: len(server.processes()) == 2)
        yield server


@pytest.mark.processes  # its server is asked for by name, where no one sees it beforehand
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_no_request_that_has_begun_is_lost_at_the_end(
    request: pytest.FixtureRequest, number: signal.Signals
) -> None:
    own: WebServer = request.getfixturevalue("killed" if number == signal.SIGHUP else "own")
    visitor = own.visitor()
    token = token_of(visitor, f"{own.url}/login/")
    form = f"csrfmiddlewaretoken={token}&username=operator&password={PASSWORD}".encode()
    kind = "application/x-www-form-urlencoded"
    asks = head(visitor, "/login/", Content_Length=len(form), Content_Type=kind) + form
    database = sqlite3.connect(own.database, isolation_level=None)
    with contextlib.ExitStack() as stack:
        stack.callback(database.close)
        runs, half = (stack.enter_context(own.connect()) for _ in range(2))
        database.execute("BEGIN IMMEDIATE")  # the new session cannot be written
        runs.sendall(asks)
        half.sendall(asks[:60])
        assert own.is_well()  # both have been read: the loop has gone on to a third
        assert own.process is not None
        own.process.send_signal(number)
        wait_until(lambda: _refuses(own) or number == signal.SIGHUP)
        half.sendall(asks[60:])
        database.execute("COMMIT")
        assert [client.recv(12) for client in (runs, half)] == [b"HTTP/1.1 302"] * 2
        if number == signal.SIGHUP:
            assert own.is_well()
        else:
            assert own.process.wait(30) == 0


def test_its_processes_add_up_what_they_count_and_leave_nothing(tmp_path: Path) -> None:
    port = free_port()
    server = WebServer(tmp_path, PROMETHEUS_BIND=f"127.0.0.1:{port}")
    left = server.temporary / "mme-portal-counts-killed"
    left.mkdir()

    def counted() -> float:
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=20).text
        (found,) = re.findall(r'^mme_portal_requests_total\{.*page="login".*\} (\S+)', text, re.M)
        return float(found)

    with server.running() as process:
        assert not left.exists()
        for _ in range(8):
            assert requests.get(f"{server.url}/login/", timeout=20).ok
        assert counted() == 8
        for pid in server.processes():
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(server.processes()) == 2 and server.is_well())
        assert requests.get(f"{server.url}/login/", timeout=20).ok
        assert counted() == 9
        process.terminate()
        assert process.wait(30) == 0
        assert not list(server.temporary.iterdir())


def _refuses(server: WebServer) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.port)) != 0


def test_a_killed_process_is_started_anew_and_leaves_nothing(killed: WebServer) -> None:
    own = killed
    operator = own.visitor("operator")
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            client = stack.enter_context(own.connect())
            client.sendall(head(operator, "/models/new/", Content_Length=90 * MB) + b"x" * MB)
            push(client, 4 * MB)
        wait_until(lambda: written(own) > 2 * MB)
        _kill_all(own)
        assert list(own.temporary.iterdir()) == []
        assert own.is_well()
        # The places of the killed are free again.
        asks = head(operator, "/models/new/", Content_Length=9 * MB, Expect="100-continue")
        another = stack.enter_context(own.connect())
        another.sendall(asks)
        assert another.recv(65536).startswith(b"HTTP/1.1 100 ")


def test_the_processes_end_with_their_master(own: WebServer) -> None:
    assert own.process is not None
    before = own.processes()
    assert ended(own.process, signal.SIGKILL) == -signal.SIGKILL
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in before))


# A server whose processes begin to work when their master is dead.
_LATE = """
import os, sys, time
from mmeportal.server import __main__ as server
fork, master = os.fork, os.getpid()
def late():
    pid = fork()
    while pid == 0 and os.getppid() == master:
        time.sleep(0.01)
    return pid
os.fork = late
sys.argv = sys.argv[:1] + sys.argv[3:]
server.main()
"""


def test_processes_end_whose_master_died_before_they_began(tmp_path: Path) -> None:
    server = WebServer(tmp_path)
    command = [sys.executable, "-c", _LATE, *server.command[1:]]
    with running(command, env=server.environment) as server.process:
        wait_until(lambda: len(server.processes()) == 2)
        begun = server.processes()
        assert ended(server.process, signal.SIGKILL) == -signal.SIGKILL
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in begun))


def test_a_taken_port_is_told_in_a_sentence(server: WebServer) -> None:
    done = subprocess.run(
        server.command, env=server.environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"The web server cannot listen on 127.0.0.1:{server.port}: Address already in use.\n"
    )
    assert server.is_well()


_PREPARED = """
from django.contrib.auth.models import User
from accounts import tokens
from endpoints.models import Endpoint, Resource
from models_catalog.models import RegisteredModel, Version
store = {"bucket": "b", "prefix": "models"}
Endpoint.objects.create(
    name="slow", revision=1, image="i", role_arn="r", instance_type="ml.m5.large",
    instance_count=1, state=Endpoint.State.IN_SERVICE, **store,
)
Version.objects.create(
    model=RegisteredModel.objects.create(name="digits"), number=1, key="models/d.tar.gz",
    file_name="d.tar.gz", size=1, sha256="0" * 64, state=Version.State.READY, **store,
)
Version.objects.create(
    model=RegisteredModel.objects.create(name="checked"), number=1, key="models/c.tar.gz",
    file_name="c.tar.gz", size=1, sha256="0" * 64, state=Version.State.CHECKING, bucket="b",
)
user = User.objects.get(username="operator")
print(tokens.make(user=user, name="t", scopes=["invoke", "read"])[1])
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A database to be copied: an endpoint in service, and a version that is being validated.

    And a token that may call and read.
    """
    server = WebServer(tmp_path_factory.mktemp("prepared"))
    token = server.manage("shell", "--no-imports", "-c", _PREPARED).strip()
    return server.database, token


@pytest.mark.parametrize(("kind", "wait"), [(WebServer, 2), (WithCalls, 4)])
def test_calls_of_models_that_load_leave_threads_for_everybody_else(
    tmp_path: Path, prepared: tuple[Path, str], kind: type[WebServer], wait: int
) -> None:
    """The runtime takes each connection and answers none, as while a model loads.

    Of four threads two of each process wait for it. A single process for calls has twice as many.
    """
    with socket.create_server(("127.0.0.1", 0)) as runtime:
        runtime.listen(64)
        address = f"http://127.0.0.1:{runtime.getsockname()[1]}"
        server = kind(
            tmp_path,
            AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME=address,
            AWS_ACCESS_KEY_ID="a",
            AWS_SECRET_ACCESS_KEY="b",
        )
        database, token = prepared
        server.begin_with(database)
        call = (
            "POST /api/v1/endpoints/slow/invocations?model=digits:1 HTTP/1.1\r\n"
            "Host: 127.0.0.1\r\nContent-Length: 3\r\nContent-Type: text/csv\r\n"
            f"Authorization: Bearer {token}\r\n\r\n1,2"
        ).encode()
        with server.running(), contextlib.ExitStack() as open_:
            clients = [open_.enter_context(server.connect()) for _ in range(24)]
            for client in clients:
                client.sendall(call)
            runtime.settimeout(30)
            waiting = [open_.enter_context(runtime.accept()[0]) for _ in range(wait)]
            refused, _, _ = select.select(clients, [], [], 30)
            assert b"503" in refused[0].recv(4096)
            more, _, _ = select.select([runtime], [], [], 0)
            assert kind is WebServer or not more  # of two processes each has its own
            for _ in range(8):  # both processes
                page = requests.get(f"{server.url}/login/", timeout=20)
                assert page.status_code == 200
            assert waiting
            runtime.close()  # or the calls are tried again, and the server waits for them


def _document(client: socket.socket) -> bytes:
    """One answer whose body is a JSON object, on a connection that stays open."""
    came = b""
    while not came.endswith(b"}"):
        data = client.recv(65536)
        assert data, came
        came += data
    return came


def _validating(folder: Path, prepared: tuple[Path, str]) -> tuple[WebServer, bytes]:
    """A server with a version that is being validated, and a request that waits for its end."""
    server = WebServer(folder)
    database, token = prepared
    server.begin_with(database)
    ask = (
        "GET /api/v1/models/checked/versions/1?wait=30 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    )
    return server, ask.encode()


def test_clients_that_wait_leave_threads_for_everybody_else(
    tmp_path: Path, prepared: tuple[Path, str]
) -> None:
    """Each of the two processes has four threads: one may wait, and is answered at a change."""
    server, ask = _validating(tmp_path, prepared)
    with server.running(), contextlib.ExitStack() as open_:
        clients = [open_.enter_context(server.connect()) for _ in range(24)]
        for client in clients:
            client.sendall(ask)
        waiting = set(clients)

        def answered() -> bool:
            for client in select.select(list(waiting), [], [], 1)[0]:
                assert b'"checking"' in _document(client)
                waiting.discard(client)
            return len(waiting) <= 2

        wait_until(answered, seconds=20)
        for _ in range(8):  # both processes
            assert requests.get(f"{server.url}/login/", timeout=20).status_code == 200
        assert waiting, "nobody waited"
        with contextlib.closing(sqlite3.connect(server.database)) as database:
            database.execute("UPDATE models_catalog_version SET state = 'ready'")
            database.commit()
        for client in waiting:
            client.settimeout(20)  # less than they would wait
        # Where one process took all clients, the last of two may have its answer on the way.
        assert any(b'"ready"' in _document(client) for client in waiting)


def test_clients_that_wait_are_answered_when_the_server_ends(
    tmp_path: Path, prepared: tuple[Path, str]
) -> None:
    server, ask = _validating(tmp_path, prepared)
    with server.running() as process, server.connect() as client:
        client.sendall(ask)
        assert select.select([client], [], [], 2)[0] == []  # it waits
        process.send_signal(signal.SIGTERM)
        assert b'"checking"' in rest(client)
        assert process.wait(30) == 0
