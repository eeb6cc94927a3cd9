"""Labels have a translation, and the compiled catalogs are those of their sources."""

import ast
import gettext
from pathlib import Path

import pytest
from django.utils import translation

from activity.models import Event
from endpoints.models import Endpoint, Resource
from tests.rules.test_states import enumerations

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "locale").rglob("*.po"))


def catalog(source: Path) -> dict[str, str]:
    """The texts of a .po file without plurals and contexts, which the portal does not use yet."""
    texts: dict[str, str] = {}
    which, parts = "", {"msgid": "", "msgstr": ""}
    for line in [*source.read_text(encoding="utf-8").splitlines(), 'msgid ""']:
        word, _, quoted = line.partition(" ")
        if word == "msgid" and which == "msgstr":
            texts[parts["msgid"]] = parts["msgstr"]
        if word in parts:
            which, parts[word] = word, str(ast.literal_eval(quoted))
        elif line.startswith('"'):
            parts[which] += str(ast.literal_eval(line))
        else:
            assert not line or line.startswith("#"), f"{source}: {line!r} is not understood here"
    return {text: told for text, told in texts.items() if told}


def test_there_is_a_korean_catalog() -> None:
    assert [path.parent.parent.name for path in SOURCES] == ["ko"]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.parent.parent.name)
def test_the_compiled_catalog_is_that_of_its_source(source: Path) -> None:
    with source.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    found = {text: compiled.gettext(text) for text in catalog(source)}
    count = len(compiled._catalog)  # type: ignore[attr-defined]
    assert (found, count) == (catalog(source), len(catalog(source))), (
        f"Compile {source.relative_to(ROOT)} anew, in its folder: msgfmt -o django.mo django.po"
    )


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.parent.parent.name)
@pytest.mark.parametrize("name", enumerations())
def test_each_label_has_a_translation(name: str, source: Path) -> None:
    with translation.override(None):
        texts = {str(label) for label in enumerations()[name].labels}
    missing = sorted(texts - catalog(source).keys())
    assert not missing, (
        f"{source.relative_to(ROOT)} lacks {', '.join(missing)}, labels of {name}: add them and "
        "compile it (msgfmt -o django.mo django.po). A label must be marked with gettext_lazy."
    )


@pytest.mark.django_db
def test_what_a_row_shows_is_in_the_readers_language() -> None:
    serving = Endpoint(name="demo", state=Endpoint.State.IN_SERVICE)
    stopped = Endpoint(name="demo", state=Endpoint.State.CREATING, failure="No.")
    resource = Resource(kind=Resource.Kind.MODEL, state=Resource.State.CREATED)
    rows = (serving, stopped, resource)
    assert [row.badge.label for row in rows] == ["InService", "Stopped", "Created"]
    with translation.override("ko"):
        assert [row.badge.label for row in rows] == ["서비스 중", "중단됨", "생성됨"]
        assert [str(level.label) for level in Event.Level] == ["정보", "성공", "경고", "오류"]
