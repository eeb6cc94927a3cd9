"""Every answer is in the reader's language, also where no page is reached; logs are in English."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from activity.models import Event
from activity.services import record
from core import errors, readiness
from core.sentences import Sentence, phrase
from endpoints.models import Endpoint
from mmeportal.server import guard
from mmeportal.server.refusals import Recipient, refusal

KOREAN = {"accept-language": "ko-KR,ko;q=0.9"}
HANGUL = re.compile("[가-힣]{2,}")


def _is_korean(answer: Any, words: str) -> None:
    text = answer.content.decode()
    assert '<html lang="ko"' in text
    assert words in text
    assert answer.headers["Content-Language"] == "ko"


@pytest.fixture
def viewer(client_of: Callable[[str], Client]) -> Client:
    client = client_of("viewer")
    client.raise_request_exception = False
    return client


def test_the_error_pages_are_in_the_readers_language(viewer: Client) -> None:
    _is_korean(viewer.get("/nope", headers=KOREAN), "페이지를 찾을 수 없습니다")
    _is_korean(
        viewer.get("/models/new/", headers=KOREAN),
        "현재 역할로는 할 수 없는 작업입니다: 모델 업로드.",
    )
    wrong_host = {**KOREAN, "host": "evil.example"}
    _is_korean(viewer.get("/models/", headers=wrong_host), "요청을 이해할 수 없습니다")


def test_a_form_that_is_out_of_date_is_answered_in_the_readers_language(db: None) -> None:
    client = Client(enforce_csrf_checks=True)
    _is_korean(client.post("/login/", {"username": "x"}, headers=KOREAN), "오래된 페이지입니다")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("secret"), "포털에서 문제가 발생했습니다"),
        (errors.StorageFull("XMinioStorageFull"), "저장소에 남은 공간이 없습니다."),
    ],
)
def test_a_page_that_failed_says_so_in_the_readers_language(
    viewer: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    words: str,
) -> None:
    def broken(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(Endpoint.objects, "shown", broken)
    _is_korean(viewer.get("/endpoints/", headers=KOREAN), words)


def test_a_session_that_cannot_be_read_is_told_in_the_readers_language(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails in middleware, before any view."""

    def locked(*arguments: Any, **options: Any) -> None:
        raise OperationalError("no such thing")

    monkeypatch.setattr("accounts.sessions.SessionStore.load", locked)
    _is_korean(viewer.get("/", headers=KOREAN), "포털에서 문제가 발생했습니다")


def test_the_log_is_in_english_whatever_its_reader_reads() -> None:
    from core.logging import Formatter
    from core.tests.test_logging import _record

    said = phrase("The portal's role is not allowed %(right)s.", right="s3:GetObject")
    lazy: Promise = gettext_lazy("There is nothing here")
    with translation.override("ko"):
        assert HANGUL.search(f"{said} {lazy}")
        for text in (said, lazy):
            assert not HANGUL.search(Formatter(as_json=True).format(_record("%s", text)))


def test_the_status_is_in_the_readers_language_and_for_programs_in_english(
    client_of: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> Sentence:
        raise readiness.Unhealthy(phrase("%(folder)s is read-only.", folder="/data"))

    checks = readiness.Checks(
        [readiness.Check("disk", full, vital=True, label=gettext_lazy("Disk"))]
    )
    monkeypatch.setattr(readiness, "shared_checks", lambda: checks)
    admin = client_of("admin")
    _is_korean(admin.get("/status/", headers=KOREAN), "읽기 전용 폴더입니다: /data")
    _is_korean(admin.get("/status/", headers=KOREAN), "<td>디스크</td>")
    told = admin.get("/status/", headers={**KOREAN, "accept": "application/json"}).json()
    assert told["parts"]["disk"]["sentence"] == "/data is read-only."


def test_an_event_of_an_error_is_read_in_the_readers_language(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker records it in English; who reads it chooses the language."""
    endpoint = Endpoint.objects.create(name="demo", state=Endpoint.State.CREATING)
    denied = errors.Denied(
        phrase("The portal's role is not allowed %(right)s.", right="sagemaker:CreateModel")
        + phrase("AWS says: %(text)s", text="User: x is not authorized")
    )
    record(action="endpoint.denied", subject=endpoint, parameters={"error": denied.sentence})
    event = Event.objects.get()
    assert "The portal's role is not allowed sagemaker:CreateModel." in event.sentence
    with translation.override("ko"):
        assert "포털의 역할에 권한이 없습니다: sagemaker:CreateModel" in event.sentence
        assert "AWS 메시지: User: x is not authorized" in event.sentence


def test_an_error_of_aws_is_told_in_the_readers_language_and_quoted_as_it_is() -> None:
    from botocore.exceptions import ClientError

    from core import aws

    response: Any = {
        "Error": {"Code": "NoSuchBucket", "Message": "The specified bucket does not exist"},
        "ResponseMetadata": {"HTTPStatusCode": 404},
    }
    doing = phrase("reading %(uri)s", uri="s3://b/k")
    error = aws.from_client_error(ClientError(response, "GetObject"), doing)
    assert str(error).startswith("There is no such bucket")
    kept = json.loads(json.dumps(error.sentence.as_json()))
    with translation.override("ko"):
        said = str(Sentence.from_json(kept))
        assert said.startswith("버킷이 없거나 다른 파티션에 있습니다.")
        assert "The specified bucket does not exist (NoSuchBucket, 작업: s3://b/k 읽기)" in said


# --- refusals of the server, which Django does not see -------------------------------------------


@pytest.mark.parametrize(
    ("headers", "language"),
    [
        ({}, "en"),
        ({"ACCEPT_LANGUAGE": "ko-KR,ko;q=0.9"}, "ko"),
        ({"ACCEPT_LANGUAGE": "ko", "COOKIE": "a=b; mme_language=en"}, "en"),
        ({"ACCEPT_LANGUAGE": "en", "COOKIE": "mme_language=ko"}, "ko"),
        ({"ACCEPT_LANGUAGE": "x" * 600, "COOKIE": "mme_language=../../x; ="}, "en"),
    ],
)
def test_a_refusal_of_the_server_is_in_the_readers_language(
    headers: dict[str, str], language: str
) -> None:
    recipient = Recipient.of_headers(headers, "/")
    assert recipient == Recipient.of_environ(
        {f"HTTP_{name}": told for name, told in headers.items()}
    )
    answer = refusal(413, guard.too_large(1 << 20), recipient=recipient)
    text = answer.body.decode()
    assert f'<html lang="{language}">' in text
    assert ("Content-Language", language) in answer.headers
    assert ("너무 큽니다" in text) == (language == "ko")
    assert translation.get_language() == "en"


def test_a_program_gets_the_sentence_as_json() -> None:
    recipient = Recipient.of_headers({"ACCEPT": "application/json", "ACCEPT_LANGUAGE": "ko"}, "/")
    answer = refusal(507, gettext_lazy("No room left"), recipient=recipient)
    assert json.loads(answer.body)["error"] == "남은 공간이 없습니다"
