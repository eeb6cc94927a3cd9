"""A token is in no log, no page and no mail about an error; one in an address is refused."""

import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from django.test import Client, RequestFactory
from django.views.debug import ExceptionReporter, get_exception_reporter_class

from accounts import tokens
from core import request_id
from core.logging import Formatter, address_without_secrets, without_secrets
from mmeportal.server.access_log import _Combined
from mmeportal.tests.web_server import WebServer

UserIn = Callable[[str], Any]


@pytest.fixture
def secret() -> str:
    return tokens.new_secret()


def _spellings(secret: str) -> list[str]:
    everything = "".join(f"%{ord(letter):02X}" for letter in secret)
    return [secret, secret.replace("_", "%5F"), secret.replace("_", "%5f"), everything]


# --- in an address -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/me?token={}",
        "/api/v1/me?access_token={}",
        "/api/v1/me?a=b&q=x{}y",
        "/api/v1/models/{}",
        "/api/v1/tokens/{}",
        "/api/v1/nothing/{}/more",
    ],
)
def test_a_token_in_an_address_of_the_api_is_refused(
    user_in: UserIn, path: str, caplog: Any
) -> None:
    _, secret = tokens.make(user=user_in("viewer"), name="ci", scopes=["read"])
    headers = {"Authorization": f"Bearer {secret}"}
    for spelling in _spellings(secret):
        answer = Client().get(path.format(spelling), headers=headers)
        assert answer.status_code == 400
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = json.loads(answer.content)
        assert problem["type"] == "/problems/token-in-address"
        assert secret not in answer.content.decode()
        assert "revoke this token" in problem["detail"]
    korean = Client().get(path.format(secret), headers={"Accept-Language": "ko"})
    assert korean.headers["Content-Language"] == "ko"
    assert secret not in "".join(Formatter(as_json=True).format(one) for one in caplog.records)


def test_also_what_only_calls_itself_a_token_is_refused(db: None) -> None:
    answer = Client().get("/api/v1/status?token=mme_abc")
    assert json.loads(answer.content)["type"] == "/problems/token-in-address"


def test_a_token_in_the_address_of_a_page_is_refused_with_a_page(
    client_of: Callable[[str], Client], secret: str, caplog: Any
) -> None:
    client = client_of("viewer")
    for path in (f"/models/?q={secret}", f"/activity/?token={secret}", f"/models/{secret}/"):
        answer = client.get(path)
        assert answer.status_code == 400
        assert answer.headers["Content-Type"].startswith("text/html")
        assert secret not in answer.content.decode()
    assert secret not in "".join(Formatter(as_json=False).format(one) for one in caplog.records)


def test_names_that_only_begin_like_a_token_are_left_alone(
    client_of: Callable[[str], Client],
) -> None:
    client = client_of("viewer")
    assert client.get("/models/?q=mme_classifier").status_code == 200
    assert without_secrets("cookie mme_session, mme8000_csrf") == "cookie mme_session, mme8000_csrf"


# --- in logs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("as_json", [True, False])
def test_no_line_of_the_log_holds_a_token(as_json: bool, secret: str) -> None:
    record = logging.LogRecord("a", logging.ERROR, "f", 1, "Bearer %s", (secret,), None)
    record.__dict__.update(header=f"Authorization: Bearer {secret}", parts=[secret])
    try:
        raise ValueError(f"no such token: {secret}")
    except ValueError:
        record.exc_info = sys.exc_info()
    text = Formatter(as_json=as_json).format(record)
    assert secret not in text
    assert secret[4:24] not in text
    assert "Bearer mme_..." in text


def test_the_access_log_holds_no_token_however_it_is_written(secret: str) -> None:
    for spelling in [*_spellings(secret), quote(f"x {secret}"), f"%20{secret}", secret[:30]]:
        shown = address_without_secrets(f"/api/v1/me?token={spelling}&b=%20")
        assert "mme" in shown
        assert secret[4:24] not in shown
        assert f"%{ord(secret[4]):02X}%{ord(secret[5]):02X}" not in shown
    assert address_without_secrets("/models/a%20b/?q=%25") == "/models/a%20b/?q=%25"
    record = logging.LogRecord("a", logging.INFO, "f", 1, f"GET /?a={secret} HTTP/1.1", (), None)
    names = ("client", "when", "status", "bytes", "referrer", "agent", "request_id")
    record.__dict__.update(dict.fromkeys(names, secret))
    line = _Combined("%(message)s %(agent)s %(referrer)s %(request_id)s").format(record)
    assert line == "GET /?a=mme_... HTTP/1.1 mme_... mme_... mme_..."


def test_a_token_is_taken_for_no_request_id(secret: str) -> None:
    assert not request_id.valid(secret)
    assert request_id.accepted(secret) != secret
    assert request_id.valid("mme_session")


def test_no_page_and_no_mail_about_an_error_holds_a_token(secret: str, settings: Any) -> None:
    settings.DEBUG = True  # worse than in production, where no page shows any of it
    request = RequestFactory().get(
        f"/?a={secret}", headers={"Authorization": f"Bearer {secret}", "X-Other": secret}
    )
    try:
        held = {"anything": [secret.encode(), (secret,)], "request": request}
        raise RuntimeError(f"something about {secret} and {len(held)}")
    except RuntimeError:
        report = get_exception_reporter_class(request)(request, *sys.exc_info())
    assert isinstance(report, ExceptionReporter)
    for text in (report.get_traceback_html(), report.get_traceback_text()):
        assert "something about" in text
        assert secret[4:24] not in text


# --- with the real server, in two processes -------------------------------------------------------

_MAKE = """
from django.contrib.auth.models import User
from accounts import tokens
for name in ("first", "second"):
    print(tokens.make(user=User.objects.get(username="operator"), name=name, scopes=["read"])[1])
"""


def test_a_revocation_counts_in_all_processes_within_a_second_and_no_log_has_the_token(
    tmp_path: Path,
) -> None:
    server = WebServer(tmp_path)
    made = server.manage("shell", "--no-imports", "-c", _MAKE)
    first, second = made.split()
    assert tokens.is_well_formed(first)
    assert tokens.is_well_formed(second)

    def ask(secret: str, path: str = "/api/v1/me", method: str = "GET") -> requests.Response:
        # A connection of its own, which either process may take.
        headers = {"Authorization": f"Bearer {secret}", "Connection": "close"}
        return requests.request(
            method, f"{server.url}{path}", headers=headers, timeout=30, allow_redirects=False
        )

    with server.running():
        for secret in (first, second) * 10:
            answer = ask(secret)
            assert answer.status_code == 200
            assert not answer.cookies
        assert len(server.processes()) == 2
        id_of_first = ask(first).json()["token"]["id"]
        assert ask(second, f"/api/v1/tokens/{id_of_first}", "DELETE").status_code == 204
        revoked = time.monotonic()
        late = []
        while len(late) < 20:
            began = time.monotonic()
            answer = ask(first)
            if began >= revoked + 1.0:
                late.append((answer.status_code, answer.json().get("type")))
        assert set(late) == {(401, "/problems/token-revoked")}
        assert ask(second).status_code == 200
        assert ask(second, f"/api/v1/me?token={second}").status_code == 400
        assert ask(second, "/api/v1/me?token=" + second.replace("_", "%5F")).status_code == 400
        assert ask(second, f"/{second}/nothing").status_code == 400
        odd = {"User-Agent": second, "Referer": f"http://a/?{second}", "X-Request-ID": second}
        assert requests.get(f"{server.url}/healthz", headers=odd, timeout=30).status_code == 200
    log = server.log()
    assert "GET /api/v1/me?token=mme_... HTTP/1.1" in log
    for secret in (first, second):
        assert secret[4:24] not in log
