"""README.ko.md says what README.md says: headings, commands, links and tables, in order.

And the pictures of both are there.
"""

import re
from pathlib import Path

import pytest
from django.utils import translation

from core.glossary import GLOSSARY

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, KOREAN = ROOT / "README.md", ROOT / "README.ko.md"
SAME = "Both READMEs must say the same; change README.md and README.ko.md together."


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _headings(page: Path) -> list[int]:
    """The levels of the headings."""
    return [len(marks) for marks in re.findall(r"^(#+) ", _text(page), re.MULTILINE)]


def _blocks(page: Path) -> list[str]:
    return re.findall(r"^```.*?^```", _text(page), re.MULTILINE | re.DOTALL)


def _code(page: Path) -> list[str]:
    """What stands between backticks, sorted within a paragraph: word order differs."""
    paragraphs = re.sub(r"^```.*?^```", "", _text(page), flags=re.M | re.S).split("\n\n")
    return [word for text in paragraphs for word in sorted(set(re.findall(r"`([^`]+)`", text)))]


def _links(page: Path) -> list[str]:
    """What is linked and shown; of a page in both languages, its English name."""
    found = re.findall(r"\]\(([^)]+)\)", _text(page))
    return [re.sub(r"\.ko\.(md|png|svg)", r".\1", link) for link in found]


def _rows(page: Path) -> list[int]:
    """The number of cells of each row of a table."""
    return [line.count("|") for line in _text(page).splitlines() if line.startswith("|")]


@pytest.mark.parametrize("what", [_headings, _blocks, _code, _links, _rows])
def test_both_have_the_same_in_the_same_order(what: object) -> None:
    assert callable(what)
    english, korean = what(ENGLISH), what(KOREAN)
    assert english == korean, SAME
    assert english


def test_they_lead_to_the_pages_of_their_language() -> None:
    for link in re.findall(r"\]\(([^)]+\.ko\.\w+)\)", _text(ENGLISH)):
        assert link == "README.ko.md", f"README.md leads to a Korean page: {link}"
    for link in re.findall(r"\]\(([^)#]+)\)", _text(KOREAN)):
        translated = ROOT / re.sub(r"\.(\w+)$", r".ko.\1", link)
        assert ".ko." in link or link == "README.md" or not translated.exists(), (
            f"README.ko.md leads to {link}; {translated.name} is there."
        )


def test_the_korean_one_is_korean() -> None:
    prose = re.sub(r"^```.*?^```", "", _text(KOREAN), flags=re.M | re.S)
    # A paragraph of one word is a name: the title, and the link to the English page.
    paragraphs = [text for text in prose.split("\n\n") if len(text.split()) > 3]
    foreign = [text for text in paragraphs if not re.search(r"[가-힣]", text)]
    assert len(paragraphs) > 15
    assert not foreign, f"Translate these: {foreign}"


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_picture_of_the_flow_has_the_words_of_the_glossary(language: str) -> None:
    name = "flow.svg" if language == "en" else f"flow.{language}.svg"
    picture = _text(ROOT / "docs" / "pictures" / name)
    with translation.override(language):
        for key in ("archive", "validation", "store", "endpoint"):
            assert f">{GLOSSARY[key].name}<" in picture


@pytest.mark.parametrize("page", [ENGLISH, KOREAN], ids=lambda page: page.name)
def test_its_pictures_are_there(page: Path) -> None:
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", _text(page))
    assert len(pictures) == 7
    missing = [name for name in pictures if not (ROOT / name).is_file()]
    assert not missing, f"Make them with `make pictures`: {missing}"
