"""`make messages`: what it finds, what it keeps, and what it removes."""

import json
import subprocess
from pathlib import Path

import pytest

from core import catalogs
from tests import messages


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two rooms with a module each, templates of both and of none, and a document of the API."""
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "said.py").write_text(
        'x = _("One")\ny = ngettext("%(n)s a", "%(n)s b", n)\n'
    )
    (tmp_path / "core" / "tests").mkdir()
    (tmp_path / "core" / "tests" / "test_said.py").write_text('x = _("Of a test")\n')
    (tmp_path / "endpoints").mkdir()
    (tmp_path / "endpoints" / "said.py").write_text(
        '@require_permission("a.b", "do it")\ndef f(): ...\n'
    )
    for name, text in {
        "base.html": "{% translate 'Of no room' %}",
        "endpoints/list.html": "{% blocktranslate trimmed %}\n  100 % of\n  {{ n }}\n{% "
        "endblocktranslate %}",
        "endpoints/new.html": "{% translate 'One' %}{% translate 'May' context 'month' %}",
    }.items():
        path = tmp_path / "templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    _document(tmp_path, "A token.")
    return tmp_path


def _document(tree: Path, said: str) -> None:
    path = tree / "docs" / "openapi.json"
    path.parent.mkdir(exist_ok=True)
    schemas = {"TokenOut": {"description": said}, "Scope": {"description": "A scope."}}
    path.write_text(json.dumps({"paths": {}, "components": {"schemas": schemas}}))


def _found(tree: Path, room: str) -> dict[messages.Ident, object]:
    path = messages.catalog_path(tree, room, "ko")
    return {messages.key(each)[1]: each.string for each in messages.catalog(path) if each.id}


def _translate(tree: Path, room: str, source: str, told: str) -> None:
    path = messages.catalog_path(tree, room, "ko")
    before = f'msgid "{source}"\nmsgstr ""'
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, f'msgid "{source}"\nmsgstr "{told}"'))


def test_each_room_has_what_its_code_and_its_templates_say(tree: Path) -> None:
    messages.main(tree)
    assert set(_found(tree, "core")) == {"One", ("%(n)s a", "%(n)s b"), "Of no room"}
    assert set(_found(tree, "endpoints")) == {"do it", "100 %% of %(n)s", "One", "May"}
    assert not _found(tree, "activity")


def test_a_second_time_changes_nothing(tree: Path) -> None:
    messages.main(tree)
    _translate(tree, "core", "Of no room", "방 없음")
    path = messages.catalog_path(tree, "core", "ko")
    text = path.read_text()
    (tree / "core" / "said.py").write_text(f"\n\n{(tree / 'core' / 'said.py').read_text()}")
    messages.main(tree)
    assert path.read_text() == text
    assert "방 없음" in text


def test_what_nobody_says_any_more_goes_and_nothing_is_guessed(tree: Path) -> None:
    messages.main(tree)
    _translate(tree, "core", "Of no room", "방 없음")
    (tree / "templates" / "base.html").write_text("{% translate 'Of no rooms' %}")
    messages.main(tree)
    assert _found(tree, "core")["Of no rooms"] == ""
    assert "방 없음" not in messages.catalog_path(tree, "core", "ko").read_text()


def test_a_sentence_that_another_room_has_translated_is_translated(tree: Path) -> None:
    messages.main(tree)
    _translate(tree, "endpoints", "One", "하나")
    messages.main(tree)
    assert _found(tree, "core")["One"] == "하나"


def test_what_the_api_says_otherwise_is_to_be_translated_anew(tree: Path) -> None:
    messages.main(tree)
    path = messages.api_catalog_path(tree, "ko")
    text = path.read_text()
    assert text.index("A token.") < text.index("A scope."), "In the order of the document."
    path.write_text(text.replace('"A token."\nmsgstr ""', '"A token."\nmsgstr "토큰."'))
    messages.main(tree)
    assert "토큰." in path.read_text()
    _document(tree, "A secret token.")
    messages.main(tree)
    text = path.read_text()
    assert '#: TokenOut\nmsgid "A secret token."\nmsgstr ""\n' in text
    assert "토큰." not in text


def test_it_compiles(tree: Path) -> None:
    messages.main(tree)
    sources = catalogs.sources(tree)
    assert len(sources) == len(messages.ROOMS) + 1
    assert all(source.with_suffix(".mo").exists() for source in sources)


def test_a_merge_takes_what_either_side_has_translated(tree: Path) -> None:
    def git(*arguments: str, check: bool = True) -> None:
        given = [
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.com",
            "-c",
            "core.hooksPath=/dev/null",
        ]
        subprocess.run(["git", *given, *arguments], cwd=tree, check=check, capture_output=True)

    messages.main(tree)
    git("init", "--initial-branch=main")
    git("add", "--all")
    git("commit", "--message=begin")
    git("checkout", "-b", "other")
    _translate(tree, "core", "One", "하나")
    git("commit", "--all", "--message=theirs")
    git("checkout", "main")
    _translate(tree, "core", "One", "일")
    _translate(tree, "core", "Of no room", "방 없음")
    git("commit", "--all", "--message=ours")
    git("merge", "other", check=False)
    assert "<<<<<<<" in messages.catalog_path(tree, "core", "ko").read_text()
    messages.main(tree)
    found = _found(tree, "core")
    assert (found["One"], found["Of no room"]) == ("일", "방 없음")
    assert "<<<<<<<" not in messages.catalog_path(tree, "core", "ko").read_text()
