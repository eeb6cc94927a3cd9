"""Any payload as it is, and the answer as it came: the page and the API."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from core import aws, errors
from endpoints.models import Endpoint
from invocations import raw_views, runtime
from invocations.models import Invocation, Picture
from invocations.tests.test_invocations_api import Ask, Model, ask, model, version
from models_catalog.models import Version

__all__ = ["ask", "model", "version"]
PAGE = "/invoke/raw/"
HEADERS = {
    "Content-Type": "text/csv",
    "x-Amzn-Invoked-Production-Variant": "AllTraffic",
    "Content-Length": "9",
}


@pytest.fixture
def send(
    client_of: Callable[[str], Client], serving: Endpoint, version: Version, model: Model
) -> Callable[..., Any]:
    client = client_of("viewer")
    real = model.invoke
    model.invoke = lambda **call: replace(real(**call), headers=HEADERS)  # type: ignore[method-assign]

    def post(**told: Any) -> Any:
        form = {
            "version": str(version.pk), "endpoint": str(serving.pk), "content_type": "text/csv",
            "accept": "text/csv", "attributes": "", "body": "",
        }  # fmt: skip
        return client.post(PAGE, form | told)

    return post


def test_what_is_typed_is_sent_as_it_is_and_the_answer_shown_as_it_came(
    send: Callable[..., Any], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "invoke", model.invoke)
    model.body = b"<b>1</b>,2"
    page = send(body="1,2\r\n3,4", attributes="trace=7").content.decode()
    asked = model.asked[0]
    assert asked["body"] == b"1,2\n3,4"
    assert (asked["content_type"], asked["accept"]) == ("text/csv", "text/csv")
    assert asked["custom_attributes"] == "trace=7"
    assert "200 OK" in page
    assert "&lt;b&gt;1&lt;/b&gt;,2" in page
    assert "x-Amzn-Invoked-Production-Variant" in page
    assert "Content-Length" not in page
    assert "1,2\n3,4" in page.replace("\r\n", "\n")  # the form is as it was
    # The same in code, as it stands (tests/test_code_of_a_call.py runs it).
    for text in (
        "--custom-attributes trace=7", "TargetModel=&quot;digits_v1.tar.gz&quot;",
        "&#x27;Accept: text/csv&#x27;", "payload --raw --headers",
        "content_type=&quot;text/csv&quot;",
    ):  # fmt: skip
        assert text in page
    call = Invocation.objects.get()
    assert (call.state, call.predictions) == (Invocation.State.DONE, [])
    assert not Picture.objects.exists()


def test_a_file_is_sent_and_bytes_that_are_no_text_are_shown_in_hexadecimal(
    send: Callable[..., Any], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "invoke", model.invoke)
    model.body = b"\x93NUMPY\xff" * 300
    file = SimpleUploadedFile("rows.npy", b"\x93NUMPY\x00")
    page = send(file=file, content_type="application/x-npy").content.decode()
    assert model.asked[0]["body"] == b"\x93NUMPY\x00"
    assert "934e554d 5059ff93" in page
    assert "The beginning is shown" in page
    assert Invocation.objects.get().picture_name == "rows.npy"


def test_what_the_container_refuses_is_shown_with_its_status(
    send: Callable[..., Any], model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "invoke", model.invoke)
    model.errors = [errors.ModelFailed('{"code": 415, "message": "no csv"}', status=415)]
    answer = send(body="a")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "415 Unsupported Media Type" in page
    assert "&quot;message&quot;: &quot;no csv&quot;" in page
    assert Invocation.objects.get().state == Invocation.State.FAILED


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "The body is empty. Type one, or choose a file."),
        ({"body": "a", "file": SimpleUploadedFile("a", b"a")}, "and not both."),
        ({"body": "a", "content_type": "text/csv\r\nX-Evil: 1"}, "Enter a valid value."),
        ({"body": "a", "attributes": "é"}, "Enter a valid value."),
        ({"body": "a", "version": "0"}, "Choose a version."),
        ({"body": "a", "variant": "nope"}, "has no variant nope"),
    ],
)
def test_what_cannot_be_sent_is_said_and_nothing_is_called(
    send: Callable[..., Any], model: Model, told: dict[str, Any], said: str
) -> None:
    answer = send(**told)
    assert answer.status_code == 400
    assert said in answer.content.decode()
    assert not model.asked
    assert not Invocation.objects.exists()


def test_a_long_answer_is_cut_between_two_characters() -> None:
    long = raw_views.RawAnswer.of(200, {}, "숫자".encode() * 20_000)
    assert long.cut_off
    assert not long.binary
    assert set(long.text) == {"숫", "자"}
    assert raw_views.RawAnswer.of(299, {}, b"").reason == ""


def test_the_api_hands_attributes_on_in_both_directions(ask: Ask, model: Model) -> None:
    answer = ask(body=b"{}", content_type="application/json", Accept="*/*", **{
        aws.CUSTOM_ATTRIBUTES: "trace=7",
    })  # fmt: skip
    assert answer.status_code == 200
    assert model.asked[0]["custom_attributes"] == "trace=7"
    assert answer.headers[aws.CUSTOM_ATTRIBUTES].startswith("cold=1")
    assert aws.CUSTOM_ATTRIBUTES not in ask(body=b"{}", content_type="application/json").headers
    wrong = ask(body=b"{}", **{aws.CUSTOM_ATTRIBUTES: "x" * 1025})
    assert wrong.status_code == 422
    assert len(model.asked) == 2
