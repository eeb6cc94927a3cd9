"""Events are a code with parameters; what they say is made when they are read."""

from typing import Any

import pytest
from django.utils import timezone

from activity import codes
from activity.models import Event
from activity.services import record
from models_catalog.models import RegisteredModel

CODE = "test.sized"


@pytest.fixture
def subject(db: None, monkeypatch: pytest.MonkeyPatch) -> RegisteredModel:
    monkeypatch.setattr(codes, "_templates", dict(codes._templates))
    codes.register({CODE: "Sized %(name)s to %(count)s."})
    return RegisteredModel.objects.create(name="digits")


def test_the_sentence_is_made_from_the_code_and_its_parameters(subject: RegisteredModel) -> None:
    record(action=CODE, subject=subject, parameters={"name": "a %(count)s b", "count": 3})
    event = Event.objects.get()
    assert (event.text, event.parameters) == ("", {"name": "a %(count)s b", "count": 3})
    assert event.sentence == "Sized a %(count)s b to 3."


def test_a_time_in_it_is_the_readers(subject: RegisteredModel) -> None:
    parameters = {"name": "demo", "count": "2026-12-24 18:00 UTC"}
    event = record(action=CODE, subject=subject, parameters=parameters)
    assert event.sentence == "Sized demo to 2026-12-24 18:00 UTC."
    with timezone.override("Asia/Seoul"):
        assert event.sentence == "Sized demo to 2026-12-25 03:00 KST."
    assert event.parameters == parameters


def test_an_event_with_a_text_keeps_it(subject: RegisteredModel) -> None:
    assert record(action=CODE, subject=subject, text="Old words.").sentence == "Old words."


def test_an_event_whose_code_is_gone_is_still_shown(
    subject: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = record(action=CODE, subject=subject, parameters={"name": "x", "count": 3})
    monkeypatch.delitem(codes._templates, CODE)
    assert event.sentence == "test.sized (name: x, count: 3)"


@pytest.mark.parametrize(
    ("action", "arguments", "error"),
    [
        (CODE, {}, ValueError),
        (CODE, {"text": "both", "parameters": {"name": "x", "count": 1}}, ValueError),
        (CODE, {"parameters": {"name": "x"}}, ValueError),
        (CODE, {"parameters": {"name": "x", "count": 1, "more": 2}}, ValueError),
        (CODE, {"parameters": {"name": "x", "count": [1]}}, TypeError),
        ("test.unknown", {"parameters": {}}, ValueError),
    ],
)
def test_parameters_that_do_not_fit_are_refused(
    subject: RegisteredModel, action: str, arguments: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        record(action=action, subject=subject, **arguments)
    assert not Event.objects.exists()


def test_a_long_parameter_is_cut_and_a_nul_is_replaced(subject: RegisteredModel) -> None:
    record(action=CODE, subject=subject, parameters={"name": "a\0" + "b" * 5000, "count": None})
    parameters = Event.objects.get().parameters
    assert parameters is not None
    assert parameters["name"] == "a\N{REPLACEMENT CHARACTER}" + "b" * 297 + "…"


def test_a_code_has_one_template() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        codes.register({"user.made": "Something else."})
