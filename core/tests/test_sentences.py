"""Sentences as codes with parameters: stored, and read in the reader's language."""

import json

import pytest
from django.utils import timezone, translation

from core import sentences
from core.sentences import Sentence, phrase


@pytest.fixture(autouse=True)
def _codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "_templates", dict(sentences._templates))
    sentences.register(
        {
            "test.warning": "Warning",  # the log's levels have a translation
            "test.error": "Error",
            "test.said": "It says: %(text)s",
            "test.files": sentences.plural("%(n)s file.", "%(n)s files.", "n"),
        }
    )


def test_it_is_read_in_the_readers_language_and_logged_in_english() -> None:
    said = Sentence("test.warning")
    assert str(said) == "Warning"
    with translation.override("ko"):
        assert str(said) == "경고"
        assert said.english() == "Warning"
        assert str(said) == "경고"


@pytest.mark.parametrize(
    ("zone", "text", "shown"),
    [
        ("UTC", "2026-12-24 18:00 UTC", "2026-12-24 18:00 UTC"),
        ("Asia/Seoul", "2026-12-24 18:00 UTC", "2026-12-25 03:00 KST"),
        ("America/New_York", "2026-12-24 18:00 UTC", "2026-12-24 13:00 EST"),
        ("Asia/Seoul", "at 2026-12-24 18:00 UTC", "at 2026-12-24 18:00 UTC"),
        ("Asia/Seoul", "2026-13-24 18:00 UTC", "2026-13-24 18:00 UTC"),  # there is no such month
        ("Asia/Seoul", "0001-01-01 00:00 UTC", "0001-01-01 08:27 LMT"),
        ("America/New_York", "0001-01-01 00:00 UTC", "0001-01-01 00:00 UTC"),  # before all time
    ],
)
def test_a_time_is_read_in_the_readers_zone_and_logged_in_utc(
    zone: str, text: str, shown: str
) -> None:
    said = Sentence("test.said", text=text)
    with timezone.override(zone):
        assert str(said) == f"It says: {shown}"
        assert said.english() == f"It says: {text}"
    assert said.as_json()["parameters"] == {"text": text}


def test_what_is_inside_and_behind_it_is_in_the_readers_language_too() -> None:
    said = Sentence("test.said", text=Sentence("test.error")) + Sentence("test.warning")
    assert str(said) == "It says: Error Warning"
    with translation.override("ko"):
        assert str(said) == "It says: 오류 경고"


def test_it_is_the_same_after_it_was_stored() -> None:
    said = Sentence("test.said", text=Sentence("test.error")) + "AccessDenied"
    back = Sentence.from_json(json.loads(json.dumps(said.as_json())))
    assert back == said
    with translation.override("ko"):
        assert str(back) == "It says: 오류 AccessDenied"


@pytest.mark.parametrize(
    "stored",
    [
        None,
        {},
        [],
        "x",
        {"code": "gone", "parameters": {}},
        {"code": "test.said", "parameters": {}},
    ],
)
def test_a_row_without_a_known_code_keeps_its_text(stored: object) -> None:
    assert str(Sentence.from_json(stored, "Of before.")) == "Of before."


def test_one_and_many() -> None:
    assert [str(Sentence("test.files", n=n)) for n in (1, 2)] == ["1 file.", "2 files."]


def test_a_percent_sign_of_somebody_else_is_no_place() -> None:
    text = "100 % of %(n)s"
    assert str(Sentence.verbatim(text)) == text
    assert str(Sentence("test.said", text=text)) == f"It says: {text}"


def test_a_code_has_its_parameters_and_no_others() -> None:
    with pytest.raises(ValueError, match="takes"):
        Sentence("test.said")
    with pytest.raises(ValueError, match="not registered"):
        Sentence("test.unknown")
    with pytest.raises(ValueError, match="two sentences"):
        sentences.register({"test.error": "Another"})
    sentences.register({"test.error": "Error"})


def test_a_long_text_is_cut_and_has_no_nul() -> None:
    stored = Sentence.verbatim("\0" + "x" * 5000).as_json()["parameters"]["text"]
    assert len(stored) == sentences.MAX_LENGTH
    assert "\0" not in stored


def test_a_phrase_has_a_name_that_programs_know() -> None:
    said = phrase("Warning").named("is-warned")
    kept = Sentence.from_json(json.loads(json.dumps(said.as_json())))
    assert (kept, kept.stable_code) == (said, "is-warned")
    assert (kept + "More.").stable_code == "is-warned"
    assert phrase("Warning").stable_code is None
    assert Sentence.verbatim("It says so.").stable_code is None
    assert Sentence("test.warning").stable_code == "test.warning"
