"""The API's document in each language: all of it is translated, and nothing else differs.

The sentences are found by walking the document, so a new operation or field is held by itself.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Message
from django.conf import settings
from django.test import Client

from mmeportal import api, api_sentences
from tests import messages

ROOT = Path(settings.BASE_DIR)
_RUN = "Run `make openapi messages`"
by_language = pytest.mark.parametrize("language", messages.LANGUAGES)


def _document(language: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(api.document(language))
    return found


def _entries(language: str) -> list[Message]:
    found = messages.catalog(messages.api_catalog_path(ROOT, language))
    return [message for message in found if message.id]


# What is of the code is the same in every language: names, addresses, code.
_CODE = re.compile(r"`[^`]*`")
_ADDRESS = re.compile(r"\b\w+://[\w/…]*")
_NUMBER = re.compile(r"\d(?:[\d,.]*\d)?")
_NAME = re.compile(
    r"\b(?:\w+_\w+|\w*[a-z][A-Z]\w*|[A-Z]{3,}|[A-Z]\w*(?:-[A-Z]\w*)+|null|true|false)\b", re.ASCII
)
# Words of another language that look like names, by the English for which they stand.
_ABBREVIATIONS = {"CPU": "processor"}


def _without_code(text: str) -> str:
    return _ADDRESS.sub(" ", _CODE.sub(" ", text))


def _has_words(text: str) -> bool:
    return bool(re.search("[A-Za-z]{2}", _without_code(text)))


# --- the catalog ---------------------------------------------------------------------------------


@pytest.mark.not_quick
@by_language
def test_the_catalog_has_what_the_document_says_and_nothing_else(language: str) -> None:
    path = messages.api_catalog_path(ROOT, language)
    known = {messages.key(message) for message in _entries(language)}
    said = messages.found_in_api(_document("en")).keys()
    missing, stale = sorted(map(str, said - known)), sorted(map(str, known - said))
    assert not missing, f"{path} lacks {missing}. {_RUN}, and translate them."
    assert not stale, f"The document says these no more: {stale}. {_RUN}."
    text = messages.update_api(ROOT, language)
    assert path.read_text(encoding="utf-8") == text, f"{path} is not as it is written. {_RUN}."


@by_language
def test_every_sentence_is_translated(language: str) -> None:
    path = messages.api_catalog_path(ROOT, language).relative_to(ROOT)
    missing = [one.id for one in _entries(language) if not messages.translated(one)]
    assert not missing, f"{path}: translate {len(missing)}, or confirm what is fuzzy: {missing}"


@by_language
def test_a_translation_has_the_code_the_names_and_the_numbers_of_its_source(language: str) -> None:
    wrong = []
    for one in _entries(language):
        source, told = str(one.id), str(one.string)
        of_code = [Counter(_CODE.findall(text)) for text in (source, told)]
        plain = [_without_code(text) for text in (source, told)]
        words = {name for name, word in _ABBREVIATIONS.items() if word in plain[0]}
        names = [set(_NAME.findall(text)) - words for text in plain]
        # A translation may have a number where the source has a word: "a minute", "1분".
        numbers = [Counter(_NUMBER.findall(text)) for text in plain]
        if of_code[0] != of_code[1] or names[0] != names[1] or numbers[0] - numbers[1]:
            wrong.append(f"{told!r} for {source!r}")
    assert not wrong, f"Other code, names or numbers than the source: {wrong}"


@by_language
def test_a_translation_ends_as_its_source(language: str) -> None:
    wrong = [
        f"{one.string!r} for {one.id!r}"
        for one in _entries(language)
        if str(one.id).endswith(".") != str(one.string).endswith(".")
    ]
    assert not wrong, f"A full stop too many or too few: {wrong}"


def test_no_korean_particle_is_left_to_the_reader_or_follows_what_a_program_puts_in() -> None:
    either = r"은\(는\)|는\(은\)|이\(가\)|가\(이\)|을\(를\)|를\(을\)|와\(과\)|과\(와\)|\(으\)로"
    after = r"(?:\}|\b[A-Z]{2,}\.[A-Z]{2,})`?(?:은|는|이|가|을|를|와|과|으로|로)(?![가-힣])"
    wrong = [
        one.string for one in _entries("ko") if re.search(f"{either}|{after}", str(one.string))
    ]
    assert not wrong, f"Word it around: {wrong}"


# --- the document --------------------------------------------------------------------------------


@pytest.mark.not_quick
@by_language
def test_only_sentences_differ(language: str) -> None:
    english, other = (
        api_sentences.reworded(_document(each), lambda *_: "") for each in ("en", language)
    )
    # What a tag is called in the language: in English it says so itself.
    assert [tag["name"] for tag in other.pop("tags")] == api_sentences.tags(english)
    assert english == other


def _prose(node: Any, key: str = "") -> Iterator[str]:
    """Every text of the document that a person reads, whatever it is called.

    Examples are answers as programs get them, titles the names of fields. A field may have such a
    name itself.
    """
    if isinstance(node, dict):
        for name, value in node.items():
            if key == "properties" or name not in {"example", "examples", "title", "default"}:
                yield from _prose(value, name)
    elif isinstance(node, list):
        for item in node:
            yield from _prose(item, key)
    elif isinstance(node, str) and (key in {"summary", "description"} or node.count(" ") > 2):
        yield node


def test_all_that_a_person_reads_is_in_korean() -> None:
    english, korean = (list(_prose(_document(each))) for each in ("en", "ko"))
    assert len(korean) == len(english) + len(api_sentences.tags(_document("en"))) > 2000
    assert [text for text in english if re.search("[가-힣]", text)] == []
    left = {text for text in korean if _has_words(text) and not re.search("[가-힣]", text)}
    assert not left, f"The Korean document says these in English: {sorted(left)}"


@by_language
def test_it_is_served_and_the_default_is_english(language: str) -> None:
    path = "/api/v1/openapi.json"
    client = Client(headers={"Accept-Language": language})
    assert client.get(path).content == api.document("en")
    answer = client.get(path, {"language": language})
    assert answer.content == api.document(language) != api.document("en")
    assert api.document(language) is api.document(language), "It is made anew for each request."


def test_a_paragraph_is_a_sentence_and_a_summary_is_translated_once() -> None:
    document = {
        "paths": {
            "/x": {
                "get": {
                    "operationId": "x_get",
                    "summary": "One.",
                    "description": "One. Two\nthree.\n\nFour.",
                    "parameters": [{"in": "query", "name": "of", "description": "Five."}],
                    "responses": {"200": {"description": "OK", "example": {"description": "No."}}},
                }
            }
        },
        "components": {
            "schemas": {
                "XOut": {
                    "description": "Six.",
                    "properties": {
                        "default": {"description": "Seven.", "default": {"description": "No."}},
                        "description": {"type": "string"},
                    },
                }
            }
        },
    }
    assert messages.places_in_api(document) == {
        "One.": ["x_get", "x_get"],
        "Two three.": ["x_get"],
        "Four.": ["x_get"],
        "Five.": ["x_get.of"],
        "OK": ["x_get.200"],
        "Six.": ["XOut"],
        "Seven.": ["XOut.default"],
    }
    reworded = api_sentences.reworded(document, lambda text, _: text.upper())
    assert reworded["paths"]["/x"]["get"]["description"] == "ONE. TWO THREE.\n\nFOUR."
    assert reworded["components"]["schemas"]["XOut"]["properties"]["default"] == {
        "description": "SEVEN.",
        "default": {"description": "No."},
    }
