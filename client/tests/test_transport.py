"""Retries, keys, time limits, proxies and certificates."""

import contextlib
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from client.tests.fake_portal import EXAMPLES, FakePortal, Request, Says, fake_portal, problem
from mme_client import MmeError, NotFound, Portal, ProblemError, TimedOut, Unreachable

ME = Says(document={"name": "somebody", "role": "viewer"})
CALL = Says(document=EXAMPLES["invocations_get"]["200"])
MODEL = EXAMPLES["invocations_get"]["200"]["model"]


@pytest.mark.parametrize(
    "passing",
    [
        problem("unavailable", 503),
        problem("too-many-requests", 429),
        problem("repeat-in-progress", 409),
        Says(drop=True),
        Says(502, body=b"bad gateway"),
    ],
)
def test_what_passes_is_sent_again_with_its_key(fake: FakePortal, passing: Says) -> None:
    fake.answers = [passing, passing, CALL]
    with Portal(fake.url, "mme_x") as portal:
        assert portal.invoke("demo", "digits:2", b"\xff\xd8\xff picture").model == MODEL
    keys = {request.headers["Idempotency-Key"] for request in fake.requests}
    assert (len(fake.requests), len(keys)) == (3, 1)
    assert {request.body for request in fake.requests} == {b"\xff\xd8\xff picture"}
    assert fake.requests[0].headers["Content-Type"] == "image/jpeg"
    with Portal(fake.url, "mme_x") as portal:
        portal.invoke("demo", "digits:2", b"x")
    assert fake.requests[-1].headers["Idempotency-Key"] not in keys, "each request has its own"


@pytest.mark.parametrize(("code", "status"), [("conflict", 409), ("model-failed", 502)])
def test_what_does_not_pass_is_raised_at_once(fake: FakePortal, code: str, status: int) -> None:
    fake.answers = [problem(code, status)]
    with Portal(fake.url, "mme_x") as portal, pytest.raises(ProblemError) as raised:
        portal.me()
    assert (raised.value.code, raised.value.status) == (code, status)
    assert raised.value.instance == "the-request"
    assert len(fake.requests) == 1


def test_retry_after_is_waited_for(fake: FakePortal) -> None:
    fake.answers = [problem("unavailable", 503, Retry_After="1"), ME]
    began = time.monotonic()
    with Portal(fake.url, "mme_x") as portal:
        portal.me()
    assert time.monotonic() - began >= 1


def test_a_model_that_is_loading_is_waited_for_within_a_time_limit(fake: FakePortal) -> None:
    fake.answers = [problem("model-loading", 504)] * 8 + [CALL]
    with Portal(fake.url, "mme_x", retries=1) as portal:
        with portal.within(60):
            assert portal.invoke("demo", "digits", b"x").number == CALL.document["number"]
        fake.answers = [problem("model-loading", 504)]
        with pytest.raises(ProblemError):
            portal.invoke("demo", "digits", b"x")
        with pytest.raises(TimedOut), portal.within(0.05):
            portal.invoke("demo", "digits", b"x")


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Portal(url, "mme_x", timeout=0.1, retries=0) as portal:
            with pytest.raises(Unreachable):
                portal.me()
            with pytest.raises(TimedOut), portal.within(0.05):
                portal.me()


@pytest.mark.parametrize("slow", [0.0, 0.6])
def test_a_portal_that_was_never_reached_is_unreachable_also_when_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch, slow: float
) -> None:
    def unknown(*_asked: object, **_how: object) -> None:
        time.sleep(slow)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    unreachable = pytest.raises(Unreachable, match=r"portal\.invalid")
    with Portal("http://portal.invalid", "mme_x") as portal, unreachable, portal.within(0.5):
        portal.me()


def test_a_portal_that_went_away_meanwhile_is_waited_for_until_the_time_is_over(
    fake: FakePortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.answers = [ME]
    with Portal(fake.url, "mme_x", retries=10_000) as portal:
        portal.me()
        monkeypatch.setattr(portal.transport, "url", "http://127.0.0.1:1")
        with pytest.raises(TimedOut), portal.within(0.3):
            portal.me()


def test_a_redirect_is_not_followed_and_gets_no_token(fake: FakePortal) -> None:
    with fake_portal() as other:
        fake.answers = [Says(301, headers={"Location": f"{other.url}/api/v1/me"})]
        with Portal(fake.url, "mme_x") as portal, pytest.raises(Unreachable, match=other.url):
            portal.me()
        assert other.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://h",
        "h:80",
        "https://",
        "https://me:secret@h",
        "http://h/?token=mme_x",
        "http://[::1",
        "http://a b",
        "http://h:99999",
        "http://h:x",
        "http://a..b",
        f"http://{'a' * 64}.example",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|MME_URL"):
        Portal(url, "")


def test_a_token_with_a_line_break_is_refused() -> None:
    with pytest.raises(ValueError, match="token"):
        Portal("http://h", "mme_x\r\nX: y")


def test_names_stay_one_part_of_the_address(fake: FakePortal) -> None:
    fake.answers = [ME]
    with Portal(fake.url, "mme_x") as portal:
        for name in ("../me", "a/b", "..", "a?b#c"):
            portal.endpoints.get(name)
    paths = [request.target for request in fake.requests]
    begin = "/api/v1/endpoints/"
    assert paths == [begin + end for end in ("..%2Fme", "a%2Fb", "%2E%2E", "a%3Fb%23c")]


# --- certificates and proxies --------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that no system trusts, and its key beside it."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return folder / "cert.pem"


@pytest.fixture
def secure(certificate: Path) -> Iterator[FakePortal]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with fake_portal(context) as made:
        made.answers = [ME]
        yield made


def test_a_certificate_that_nobody_trusts_is_refused_at_once(secure: FakePortal) -> None:
    with Portal(secure.url, "mme_x") as portal, pytest.raises(Unreachable, match="certificate"):
        portal.me()
    assert secure.requests == []


@pytest.mark.parametrize("name", ["MME_CA_BUNDLE", "SSL_CERT_FILE"])
def test_an_authority_of_ones_own_is_trusted(
    secure: FakePortal, certificate: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(certificate))
    with Portal(secure.url, "mme_x") as portal:
        assert portal.me().name == "somebody"


def test_a_bundle_without_certificates_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(ValueError, match=r"empty\.pem"):
        Portal("https://h", "mme_x", ca_bundle=empty)


@pytest.mark.parametrize("lost", [Says(drop=True), Says(502, body=b"a proxy")])
def test_what_a_lost_answer_may_have_deleted_is_deleted(fake: FakePortal, lost: Says) -> None:
    deletions: list[Callable[[Portal], None]] = [
        lambda portal: portal.models.delete("digits"),
        lambda portal: portal.aliases.delete("digits@live", etag='"seen"'),
        lambda portal: portal.comparisons.delete("c"),
        lambda portal: portal.groups.delete("team"),
        lambda portal: portal.uploads.cancel("u"),
        lambda portal: portal.webhooks.remove("w"),
        lambda portal: portal.costs.remove_budget(owner="somebody"),
    ]
    with Portal(fake.url, "mme_x") as portal:
        for delete in deletions:
            fake.answers = [lost, problem("not-found", 404)]
            delete(portal)
            fake.answers = [problem("not-found", 404)]
            with pytest.raises(NotFound):
                delete(portal)
            fake.answers = [problem("unavailable", 503), problem("not-found", 404)]
            with pytest.raises(NotFound):  # the portal has said that it did nothing
                delete(portal)


def test_an_answer_that_comes_byte_by_byte_ends_with_the_time_limit() -> None:
    ended = threading.Event()

    def serve() -> None:
        client, _ = server.accept()
        client.recv(65536)
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
        client.sendall(head.encode())
        with contextlib.suppress(OSError):
            while not ended.wait(0.1):
                client.sendall(b" ")
        client.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        with (
            Portal(f"http://127.0.0.1:{server.getsockname()[1]}", "mme_x") as portal,
            portal.within(0.5),
            pytest.raises(TimedOut),
        ):
            portal.me()
        ended.set()
        thread.join()


class Proxy:
    """An HTTP proxy with CONNECT; ``asked``: what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        came = b""
        while b"\r\n\r\n" not in came:
            came += client.recv(65536)
        self.asked.append(came.decode().splitlines()[0])
        host, port = came.split()[1].decode().removeprefix("http://").split("/")[0].split(":")
        with client, socket.create_connection((host, int(port))) as server:
            if came.startswith(b"CONNECT"):
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                server.sendall(came)
            back = threading.Thread(target=_pour, args=(server, client), daemon=True)
            back.start()
            _pour(client, server)
            back.join()


def _pour(a: socket.socket, b: socket.socket) -> None:
    try:
        while data := a.recv(65536):
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    made = Proxy()
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield made
    made.server.close()


def test_https_goes_through_the_proxy(
    proxy: Proxy, secure: FakePortal, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with Portal(secure.url, "mme_x", ca_bundle=certificate) as portal:
        assert portal.me().name == "somebody"
    assert [line.split()[:2] for line in proxy.asked] == [["CONNECT", secure.url[8:]]]


def test_no_proxy_goes_past_it(
    proxy: Proxy, fake: FakePortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.answers = [ME]
    monkeypatch.setenv("http_proxy", proxy.url)
    with Portal(fake.url, "mme_x") as portal:
        portal.me()
    assert len(proxy.asked) == 1
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Portal(fake.url, "mme_x") as portal:
        portal.me()
    assert len(proxy.asked) == 1


def test_failures_name_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "mme_" + "a" * 49
    with pytest.raises(ValueError, match="address") as raised:
        Portal(secret, secret)
    assert secret not in str(raised.value)
    portal = Portal("http://127.0.0.1:9", secret, retries=0)
    with portal, pytest.raises(MmeError) as failed:
        portal.me()
    assert secret not in str(failed.value)
    assert "object at" not in str(failed.value)


def test_a_page_of_a_list_is_asked_for_when_it_is_needed(fake: FakePortal) -> None:
    item = EXAMPLES["tokens_list"]["200"]["items"][0]

    def answer(request: Request) -> Says:
        last = "cursor=two" in request.target
        return Says(document={"items": [item, item], "next": None if last else "two"})

    fake.answers = [answer]
    with Portal(fake.url, "mme_x") as portal:
        found = portal.tokens.list()
        next(found)
        assert len(fake.requests) == 1
        assert len(list(found)) == 3
    assert len(fake.requests) == 2
    assert os.environ.get("MME_TOKEN") is None
