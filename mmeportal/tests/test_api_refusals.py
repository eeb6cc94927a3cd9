"""What the web server itself answers below /api/ is a problem document, never HTML."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from mmeportal.server.parser import MAX_REQUEST_LINE
from mmeportal.server.refusals import Recipient, refusal
from mmeportal.tests.test_web_server import push, written
from mmeportal.tests.web_server import WebServer, head, rest

MB = 1 << 20
HOST = b"Host: 127.0.0.1\r\n"
KOREAN = b"Accept-Language: ko\r\nAccept: text/html\r\n"
_MAKE = """
from django.contrib.auth.models import User
from accounts import tokens
user = User.objects.get(username="operator")
print(tokens.make(user=user, name="t", scopes=["read"])[1])
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    folder = tmp_path_factory.mktemp("api-refusals")
    found = WebServer(folder, REPEATABLE_FOLDER=str(folder))
    found.environment["DJANGO_SETTINGS_MODULE"] = "core.api.tests.repeatable_settings"
    with found.running():
        yield found


def _problem(said: bytes) -> tuple[int, str, dict[str, Any]]:
    headers, _, body = said.partition(b"\r\n\r\n")
    lines = headers.decode().lower().split("\r\n")
    assert "content-type: application/problem+json" in lines, said[:2000]
    document = json.loads(body)
    assert f"x-request-id: {document['instance']}" in lines
    assert document["status"] == int(headers[9:12])
    return document["status"], document["type"].rpartition("/")[2], document


def _line(length: int, path: bytes = b"/api/v1/status") -> bytes:
    fixed = len(b"GET ?a= HTTP/1.1") + len(path)
    return b"GET %s?a=%s HTTP/1.1\r\n" % (path, b"a" * (length - fixed))


def test_request_lines_of_8_kb_are_taken_and_longer_ones_are_414(server: WebServer) -> None:
    for path in (b"/api/v1/status", b"/login/"):
        ends = HOST + b"Connection: close\r\n\r\n"
        assert server.says(_line(MAX_REQUEST_LINE, path) + ends)[9:12] in (b"401", b"200")
        assert server.says(_line(MAX_REQUEST_LINE + 1, path) + ends)[9:12] == b"414"
    # Also where the line does not end, and comes in pieces.
    with server.connect() as client:
        for piece in (b"GET /api/", b"a" * 5000, b"a" * 5000):
            client.sendall(piece)
        status, code, _ = _problem(rest(client))
    assert (status, code) == (414, "address-too-long")


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (_line(9000) + KOREAN + b"\r\n", 414, "address-too-long"),
        (
            b"GET /api/v1/me HTTP/1.1\r\n" + KOREAN + b"a: " + b"a" * 40_000,
            431,
            "headers-too-large",
        ),
        (b"GET /api/v1/me HTTP/1.1\r\n" + KOREAN + b"a b: c\r\n\r\n", 400, "bad-request"),
        (b"GET http://a/%61pi/v1/me HTTP/1.1\r\n" + KOREAN + b"a\r\n\r\n", 400, "bad-request"),
        (b"POST /api/v1/me HTTP/3\r\n" + KOREAN + b"\r\n", 400, "bad-request"),
        (
            b"POST /api/v1/me HTTP/1.1\r\n" + KOREAN + b"Transfer-Encoding: gzip\r\n\r\n",
            501,
            "bad-request",
        ),
        (
            b"POST /api/v1/me HTTP/1.1\r\n" + KOREAN + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            400,
            "bad-request",
        ),
        (
            b"POST /api/v1/me HTTP/1.1\r\n"
            + KOREAN
            + b"Transfer-Encoding: chunked\r\n\r\n1;a="
            + b"x" * 200_000,
            400,
            "bad-request",
        ),
        (
            b"POST /api/v1/me HTTP/1.1\r\n" + KOREAN + b"Content-Length: 99999999\r\n\r\n",
            413,
            "too-large",
        ),
    ],
    ids=["line", "headers", "name", "target", "version", "encoding", "chunk", "chunks", "body"],
)
def test_each_refusal_is_a_problem_in_the_language_of_the_request(
    server: WebServer, request_: bytes, status: int, code: str
) -> None:
    with server.connect() as client:
        with contextlib.suppress(OSError):
            client.sendall(request_)
        said = rest(client)
    assert _problem(said)[:2] == (status, code)
    title = _problem(said)[2]["title"]
    assert any("가" <= letter <= "힣" for letter in title), title


@pytest.mark.parametrize("length", ["Content_Length", "Transfer_Encoding"])
def test_a_large_anonymous_body_is_401_and_not_read(server: WebServer, length: str) -> None:
    value = {"Content_Length": 250 * MB, "Transfer_Encoding": "chunked"}[length]
    anonymous = server.visitor()
    with server.connect() as client:
        client.sendall(head(anonymous, "/api/try/files", **{length: value}))
        client.sendall(b"%x\r\n" % (250 * MB))
        assert push(client, 250 * MB) < 70 * MB
        said = rest(client)
    assert _problem(said)[:2] == (401, "not-authenticated")
    assert b"\r\nwww-authenticate: bearer" in said.lower()
    assert written(server) == 0


def test_who_may_not_send_it_is_told_before_the_body(server: WebServer) -> None:
    token = server.manage("shell", "--no-imports", "-c", _MAKE).strip()
    nobody = server.visitor()
    asks: dict[str, Any] = {"Content_Length": 250 * MB, "Expect": "100-continue"}
    for secret, wanted in (
        (token, (403, "not-allowed")),
        ("mme_wrong", (401, "bad-token")),
    ):
        with server.connect() as client:
            authorization = {"Authorization": f"Bearer {secret}"}
            client.sendall(head(nobody, "/api/try/files", **asks, **authorization))
            assert _problem(rest(client))[:2] == wanted
    # A session needs its CSRF token in a header.
    with server.connect() as client:
        client.sendall(head(server.visitor("operator"), "/api/try/files", **asks))
        assert _problem(rest(client))[:2] == (403, "csrf")
    # Other operations take no large body from anybody.
    with server.connect() as client:
        client.sendall(head(nobody, "/api/try/calls", **asks, Authorization=f"Bearer {token}"))
        assert _problem(rest(client))[:2] == (413, "too-large")


def test_who_may_send_it_is_told_to_go_on(server: WebServer, tmp_path: Path) -> None:
    may = (
        "from django.contrib.auth.models import Permission as P, User\n"
        "u = User.objects.get(username='viewer')\n"
        "u.user_permissions.add(P.objects.get(codename='view_group'))\n"
    )
    made = server.manage(
        "shell", "--no-imports", "-c", may + _MAKE.replace('"operator"', '"viewer"')
    )
    authorization = {"Authorization": f"Bearer {made.strip()}"}
    url = f"{server.url}/api/try/files"
    answer = requests.post(url, data=b"x" * 3 * MB, headers=authorization, timeout=60)
    assert (answer.status_code, answer.json()["id"]) == (201, 3 * MB)
    nobody = server.visitor()
    with server.connect() as client:
        asks = {"Content_Length": 3 * MB, "Expect": "100-continue"}
        client.sendall(head(nobody, "/api/try/files", **asks, **authorization))
        assert client.recv(65536).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"x" * 3 * MB)
        assert client.recv(65536).startswith(b"HTTP/1.1 201 ")
    said = head(nobody, "/api/try/files", Content_Length=301 * MB, **authorization)
    assert _problem(server.says(said))[:2] == (413, "too-large")


@pytest.mark.parametrize(
    ("status", "code"), [(503, "unavailable"), (507, "no-space"), (413, "too-large")]
)
def test_a_refusal_has_the_code_of_its_status(status: int, code: str) -> None:
    """Those of the guard and the channel; who wants JSON elsewhere gets what it got before."""
    headers = {"ACCEPT": "text/html", "ACCEPT_LANGUAGE": "ko"}
    made = refusal(
        status, "A sentence.", recipient=Recipient.of_headers(headers, "/api/v1/a"), retry_after=7
    )
    document = json.loads(made.naming("an-id").body)
    assert dict(made.headers)["Content-Type"] == "application/problem+json"
    assert dict(made.headers)["Retry-After"] == "7"
    assert (document["status"], document["type"]) == (status, f"/problems/{code}")
    assert (document["detail"], document["instance"]) == ("A sentence.", "an-id")
    page = refusal(status, "A sentence.", recipient=Recipient.of_headers(headers, "/apis"))
    assert dict(page.headers)["Content-Type"].startswith("text/html")
