"""What the log looks like, and in which language."""

import json
import logging

import pytest
from django.utils import translation
from django.utils.translation import gettext_lazy

from core.logging import Formatter, is_json


def _record(message: object, *arguments: object, **more: object) -> logging.LogRecord:
    record = logging.LogRecord(
        "core.somewhere", logging.WARNING, "file", 1, message, arguments, None
    )
    record.__dict__.update(more)
    return record


def test_json_is_one_object_a_line_whatever_the_message():
    text = Formatter(as_json=True).format(_record("Refused %s", 'a\n"b"\x1b[31m 한국어', count=3))
    assert "\n" not in text
    assert "\x1b" not in text
    read = json.loads(text)
    assert read.pop("timestamp").endswith("Z")
    assert read == {
        "message": 'Refused a\n"b"\x1b[31m 한국어',
        "level": "warning",
        "logger": "core.somewhere",
        "count": 3,
    }


def test_json_has_the_traceback():
    try:
        raise ValueError("too many")
    except ValueError as error:
        record = _record("It failed.")
        record.exc_info = (type(error), error, error.__traceback__)
    read = json.loads(Formatter(as_json=True).format(record))
    assert read["exception"].endswith("ValueError: too many")


def test_the_console_has_the_message_as_it_is():
    text = Formatter(as_json=False).format(_record("The worker %s is away.", "a"))
    assert "The worker a is away." in text
    assert "core.somewhere" in text
    assert "warning" in text


@pytest.mark.parametrize("as_json", [True, False])
def test_the_log_is_in_english_whatever_the_reader_reads(as_json: bool):
    # One of Django's own texts, which has a Korean translation.
    with translation.override("ko"):
        text = Formatter(as_json=as_json).format(_record("%s", gettext_lazy("January")))
    assert "January" in text


@pytest.mark.parametrize("as_json", [True, False])
def test_no_secret_of_a_webhook_is_logged(as_json: bool):
    secret = "whsec_" + "aB3+/" * 8 + "abc="
    text = Formatter(as_json=as_json).format(_record("Signed with %s.", secret))
    assert "whsec_...." in text
    assert "aB3" not in text


@pytest.mark.parametrize(
    ("wanted", "debug", "terminal", "expected"),
    [
        ("json", True, True, True),
        ("console", False, False, False),
        ("auto", False, False, True),
        ("auto", True, False, False),
        ("auto", False, True, False),
    ],
)
def test_when_it_is_json(
    monkeypatch: pytest.MonkeyPatch, wanted: str, debug: bool, terminal: bool, expected: bool
):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
    assert is_json(wanted, debug=debug) is expected
