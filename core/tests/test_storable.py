"""Texts of others are stored by every database, and read again as they were stored."""

import pytest
from django.db import connection

from core.sentences import phrase
from core.storable import all_storable, has_nul, storable


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("고양이 \N{SLICE OF PIZZA}\n", "고양이 \N{SLICE OF PIZZA}\n"),
        ("a\0b", "a\N{REPLACEMENT CHARACTER}b"),
        ("\ud800 cat", "? cat"),
    ],
)
def test_a_text(text: str, stored: str, db: None) -> None:
    assert storable(text) == stored
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s", [storable(text)])
        assert cursor.fetchone() == (stored,)


def test_a_document() -> None:
    given = {"a\0": ["b\0", 1, None, {"c": ("\udfff",)}]}
    new = "\N{REPLACEMENT CHARACTER}"
    assert all_storable(given) == {f"a{new}": [f"b{new}", 1, None, {"c": ["?"]}]}
    assert has_nul(given)
    assert not has_nul(all_storable(given))


def test_a_sentence_is_stored_in_english_as_with_its_parameters() -> None:
    said = phrase("The model said: %(text)s", text="a\0b \ud800")
    for stored in (said.english(), str(said.as_json())):
        assert "a\N{REPLACEMENT CHARACTER}b ?" in stored
