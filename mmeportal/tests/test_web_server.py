"""The real web server under clients that are slow, large, unknown or dishonest."""

import contextlib
import os
import resource
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from mmeportal.tests.web_server import WebServer, ended, head, rest, token_of, wait_until

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
        assert server.visitor("viewer")

        waiting = set(clients)

        def all_closed() -> bool:
            assert server.is_well()
            for client in list(waiting):
                client.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    try:
                        if client.recv(65536) == b"":
                            waiting.discard(client)
                    except ConnectionResetError:
                        waiting.discard(client)
            return not waiting

        wait_until(all_closed, 90)
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    "opening",
    [
        b"GET / HTTP/1.1\r\nX-a: ",
        b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 900000\r\n\r\n",
        b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"",
    ],
)
def test_a_client_that_drips_a_byte_now_and_then_is_closed(
    server: WebServer, opening: bytes
) -> None:
    stop = threading.Event()
    with server.connect() as client:
        client.sendall(opening)

        def drip() -> None:
            byte = b"\r\n" if not opening else b"1"
            with contextlib.suppress(OSError):
                while not stop.wait(0.5):
                    client.sendall(byte)

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            rest(client)  # a server that does not close it makes this time out
        finally:
            stop.set()
            dripping.join()


def test_a_client_that_takes_its_answer_slowly_is_closed(server: WebServer) -> None:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.connect(("127.0.0.1", server.port))
    with client:
        # More pages than the kernel's buffers hold.
        client.sendall(b"GET /static/js/upload.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 1500)

        def closed() -> bool:
            mine = client.getsockname()[1]
            table = Path("/proc/net/tcp").read_text()
            pair = f":{server.port:04X} 0100007F:{mine:04X} 01 "  # 01: established
            return pair not in table

        wait_until(closed, 60)
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
    stranger = server.visitor()
    stranger.cookies["mme_session"] = "a" * 32
    with server.connect() as client:
        client.sendall(head(stranger, path, Content_Type=FORM, **length))
        client.sendall(b"%x\r\n" % (400 * MB))
        push(client, 400 * MB)
        said = rest(client)

    assert said.startswith(b"HTTP/1.1 302 ")
    assert f"Location: /login/?next={path}".encode() in said
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


def test_who_was_deactivated_uploads_nothing(server: WebServer) -> None:
    gone = server.visitor("gone")
    code = "from django.contrib.auth.models import User as U; U.objects.filter(username='gone')"
    server.manage("shell", "--no-imports", "-c", f"{code}.update(is_active=False)")
    said = server.says(head(gone, "/models/new/", Content_Length=9 * MB))

    assert said.startswith(b"HTTP/1.1 302 ")


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
    with contextlib.ExitStack() as stack:
        # Their connections are spread over the server's processes.
        for _ in range(4):
            client = stack.enter_context(server.connect())
            client.sendall(asks)
            assert client.recv(65536).startswith(b"HTTP/1.1 100 ")
        with server.connect() as fifth:
            fifth.sendall(asks)
            said = rest(fifth)
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 10" in said

    def is_free() -> bool:
        with server.connect() as client:
            client.sendall(asks)
            return client.recv(65536).startswith(b"HTTP/1.1 100 ")

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


def test_a_full_disk_is_told_before_the_body_is_read(server: WebServer, tmp_path: Path) -> None:
    full = WebServer(tmp_path, UPLOAD_DISK_RESERVE_MB=str(1 << 30))
    with full.running():
        said = full.says(head(full.visitor("operator"), "/models/new/", Content_Length=9 * MB))
    assert said.startswith(b"HTTP/1.1 507 ")
    assert b"Retry-After: 60" in said


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
    requests.get(f"{server.url}/healthz", headers={"User-Agent": b'a"\\n\xff'}, timeout=30)
    server.says(b"GET /nonsense NOTHTTP\r\n\r\n")

    wait_until(lambda: '"GET /healthz HTTP/1.1" 200 ' in server.log())
    wait_until(lambda: " 400 " in server.log())
    assert '"a\\x22\\x5cn\\xff"' in server.log()


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[WebServer]:
    """A server of the test's own; log-ins keep it busy, as each hashes a password."""
    server = WebServer(tmp_path)
    with server.running():
        yield server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_no_request_that_runs_is_lost_at_the_end(slow: WebServer, number: signal.Signals) -> None:
    visitor = slow.visitor()
    token = token_of(visitor, f"{slow.url}/login/")
    form = f"csrfmiddlewaretoken={token}&username=operator&password=wrong".encode()
    request = head(
        visitor,
        "/login/",
        Content_Length=len(form),
        Content_Type="application/x-www-form-urlencoded",
    )
    clients = [slow.connect() for _ in range(4)]
    half = [slow.connect() for _ in range(2)]
    try:
        for client in half:
            client.sendall(request[:40])
        for client in clients:
            client.sendall(request + form)  # each hashes a password: that takes a while
        assert slow.process is not None
        slow.process.send_signal(number)
        for client in half:  # who has begun is waited for
            client.sendall(request[40:] + form)
        answers = [client.recv(65536) for client in (*clients, *half)]
        assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 6
        if number == signal.SIGHUP:
            assert slow.is_well()
        else:
            assert slow.process.wait(30) == 0
    finally:
        for client in (*clients, *half):
            client.close()


def test_a_killed_process_is_started_anew_and_leaves_nothing(slow: WebServer) -> None:
    operator = slow.visitor("operator")
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            client = stack.enter_context(slow.connect())
            client.sendall(head(operator, "/models/new/", Content_Length=90 * MB) + b"x" * MB)
            push(client, 4 * MB)
        wait_until(lambda: written(slow) > 2 * MB)
        before = slow.processes()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(set(slow.processes()) - set(before)) == 2)
        assert list(slow.temporary.iterdir()) == []
        assert slow.is_well()
        # The places of the killed are free again.
        asks = head(operator, "/models/new/", Content_Length=9 * MB, Expect="100-continue")
        slow_client = stack.enter_context(slow.connect())
        slow_client.sendall(asks)
        assert slow_client.recv(65536).startswith(b"HTTP/1.1 100 ")


def test_the_processes_end_with_their_master(slow: WebServer) -> None:
    assert slow.process is not None
    before = slow.processes()
    assert ended(slow.process, signal.SIGKILL) == -signal.SIGKILL
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in before))


def test_a_taken_port_is_told_in_a_sentence(server: WebServer) -> None:
    done = subprocess.run(
        server.command, env=server.environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"The web server cannot listen on 127.0.0.1:{server.port}: Address already in use.\n"
    )
    assert server.is_well()
