"""What is kept of an answer, for how long, and what is not. Two at once: test_repeating.py."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.test import Client, RequestFactory

from accounts import tokens
from accounts.models import Token
from core import attempt, clock
from core.api import idempotency
from core.api.caller import Caller
from core.api.problems import Problem
from core.models import RepeatableCall
from core.tasks import sweep

pytestmark = pytest.mark.django_db
UserIn = Callable[[str], Any]


class Calls:
    """An operation that counts how often it ran."""

    def __init__(self, user: User, *, secret: bool = False, resume: Any = None) -> None:
        self.caller = Caller(user, None, "user:1")
        self.secret = secret
        self.resume = resume
        self.runs = 0
        self.answer: Callable[[], HttpResponseBase] = lambda: HttpResponse(
            f"run {self.runs}", status=201, content_type="text/x-odd", headers={"Location": "/a"}
        )

    def post(self, key: str = "k", path: str = "/a?b=c", body: bytes = b"body") -> HttpResponseBase:
        request = RequestFactory().post(
            path, body, content_type="application/json", headers={"Idempotency-Key": key}
        )
        return idempotency.run(
            request,
            operation_id="things_create",
            caller=self.caller,
            secret=self.secret,
            resume=self.resume,
            call=self._call,
        )

    def _call(self) -> HttpResponseBase:
        self.runs += 1
        return self.answer()


@pytest.fixture
def calls(user_in: UserIn) -> Calls:
    return Calls(user_in("operator"))


def _text(answer: HttpResponseBase) -> bytes:
    assert isinstance(answer, HttpResponse)
    return answer.content


def _code(calls: Calls, **more: Any) -> str:
    with pytest.raises(Problem) as refused:
        calls.post(**more)
    return refused.value.code


def _moved(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda *a: now(*a) + by)


@pytest.mark.slow
def test_an_answer_counts_for_a_day_and_is_then_swept(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _text(calls.post()) == b"run 1"
    with monkeypatch.context() as before:
        _moved(before, timedelta(hours=23, minutes=59))
        sweep()
        again = calls.post()
        assert (again.status_code, _text(again)) == (201, b"run 1")
        assert (again.headers["Content-Type"], again.headers["Location"]) == ("text/x-odd", "/a")
        assert _code(calls, body=b"other") == "key-reused"
    _moved(monkeypatch, timedelta(hours=24, minutes=1))
    # Over, though nothing has swept it: also for another body.
    assert _text(calls.post(body=b"other")) == b"run 2"
    assert RepeatableCall.objects.count() == 1
    _moved(monkeypatch, timedelta(hours=25))
    sweep()
    assert not RepeatableCall.objects.exists()


@pytest.mark.not_quick
def test_other_requests_with_the_key_are_refused(calls: Calls) -> None:
    calls.post()
    assert _code(calls, path="/a?b=d") == "key-reused"
    assert _code(calls, path="/other?b=c") == "key-reused"
    assert calls.runs == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 507])
def test_a_failure_is_not_kept_so_a_retry_runs(calls: Calls, status: int) -> None:
    calls.answer = lambda: HttpResponse(f"run {calls.runs}", status=status)
    assert _text(calls.post()) == b"run 1"
    assert _text(calls.post()) == b"run 2"


@pytest.mark.parametrize("status", [200, 204, 302, 400, 404, 409, 412, 422])
def test_every_other_answer_is_kept(calls: Calls, status: int) -> None:
    calls.answer = lambda: HttpResponse(status=status)
    assert calls.post().status_code == calls.post().status_code == status
    assert calls.runs == 1


def test_a_problem_that_was_raised_is_kept_and_a_fault_is_not(calls: Calls) -> None:
    def fail() -> HttpResponse:
        raise Problem("conflict", "Not now.") if calls.runs > 1 else RuntimeError

    calls.answer = fail
    with pytest.raises(RuntimeError):
        calls.post()
    first = calls.post()
    assert first.status_code == 409
    assert _text(first) == _text(calls.post())
    assert calls.runs == 2


def test_large_and_streamed_answers_are_not_kept(calls: Calls) -> None:
    calls.answer = lambda: HttpResponse(b"x" * idempotency.MAX_KEPT_BYTES)
    calls.post("most")
    calls.post("most")
    assert calls.runs == 1
    calls.answer = lambda: HttpResponse(b"x" * (idempotency.MAX_KEPT_BYTES + 1))
    calls.post("large")
    calls.post("large")
    assert calls.runs == 3
    calls.answer = lambda: StreamingHttpResponse([b"x"])
    calls.post("streamed")
    calls.post("streamed")
    assert calls.runs == 5


def test_what_belongs_to_one_answer_alone_is_not_repeated(calls: Calls) -> None:
    own = {"X-Request-ID": "a", "RateLimit-Remaining": "5", "Retry-After": "3"}
    calls.answer = lambda: HttpResponse(b"", headers=own | {"ETag": '"e"'})
    calls.post()
    again = calls.post()
    assert again.headers["ETag"] == '"e"'
    assert not set(own) & set(again.headers)


def test_a_retry_of_what_failed_after_its_commit_asks_resume(user_in: UserIn) -> None:
    seen: list[str] = []

    def resume(request: HttpRequest, found: str) -> HttpResponse:
        seen.append(found)
        return HttpResponse(b"found", status=201)

    calls = Calls(user_in("operator"), resume=resume)

    def fail() -> HttpResponse:
        seen.append(attempt.current())
        return HttpResponse(status=503)

    calls.answer = fail
    calls.post()
    assert _text(calls.post()) == b"found"
    assert seen[0] == seen[1] != ""
    assert attempt.current() == ""
    assert _text(calls.post()) == b"found"
    assert len(seen) == 2


def test_an_attempt_that_lost_its_lease_keeps_nothing(calls: Calls) -> None:
    def lose() -> HttpResponse:
        RepeatableCall.objects.update(holder="another")
        return HttpResponse(b"late")

    calls.answer = lose
    assert _text(calls.post()) == b"late"
    row = RepeatableCall.objects.get()
    assert (row.holder, row.status, row.body) == ("another", None, b"")


@pytest.mark.not_quick
def test_a_secret_is_shown_once_and_never_stored(user_in: UserIn) -> None:
    client = Client()
    client.force_login(user_in("operator"))

    def make(name: str = "t") -> Any:
        body = {"name": name, "scopes": ["read"]}
        return client.post(
            "/api/v1/tokens",
            json.dumps(body),
            content_type="application/json",
            headers={"Idempotency-Key": "k"},
        )

    first = make()
    assert first.status_code == 201
    secret = first.json()["token"]
    again = make()
    assert (again.status_code, again.json()["type"]) == (409, "/problems/secret-shown-once")
    assert make("other").json()["type"] == "/problems/key-reused"
    assert Token.objects.count() == 1
    for row in RepeatableCall.objects.values_list():
        assert secret[4:] not in str(row)
        assert not any(secret[4:].encode() in bytes(v) for v in row if isinstance(v, bytes))


def test_a_token_whose_secret_was_never_sent_is_not_made_again(user_in: UserIn) -> None:
    from accounts import api

    user = user_in("operator")
    calls = Calls(user, secret=True, resume=api._made_before)

    def cut_off() -> HttpResponse:
        tokens.make(user=user, name="t", scopes=["read"], days=None)
        raise ConnectionError

    calls.answer = cut_off
    with pytest.raises(ConnectionError):
        calls.post()
    assert _code(calls) == "secret-shown-once"
    assert _code(calls) == "secret-shown-once"
    assert (calls.runs, Token.objects.count()) == (1, 1)


def test_without_a_key_nothing_is_hashed_or_stored(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "fingerprint", None)
    request = RequestFactory().post("/a", b"x", content_type="text/plain")
    answer = idempotency.run(
        request, operation_id="a", caller=calls.caller, secret=False, resume=None, call=calls._call
    )
    assert answer.status_code == 201
    assert not RepeatableCall.objects.exists()
