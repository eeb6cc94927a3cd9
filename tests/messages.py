"""`make messages`: finds the sentences of each room, and brings its catalogs up to date.

A room is an app of the portal: it holds the sentences of its Python code and of its templates.
The API's document has a catalog of its own: its sentences are those of docs/openapi.json.
Babel reads Python, enmerkar the templates; gettext is not needed. A translation is kept where the
English sentence is unchanged, and never guessed from a similar one. What no code has any more is
removed. A new sentence that another room has translated gets that translation.

The files are in the order of their sentences, without line numbers and dates, so that a change
shows only what was changed. That of the API is in the order of the document: what a field says is
understood beside the other fields of its schema.
"""

import contextlib
import functools
import io
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.pofile import read_po, write_po

from core import catalogs
from mmeportal import api_sentences

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # enmerkar asks setuptools for its version
    from enmerkar.extract import extract_django

ROOT = Path(__file__).resolve().parents[1]
LANGUAGES = ("ko",)
# Each with those whose templates are in folders of other names.
ROOMS: dict[str, tuple[str, ...]] = {
    "core": ("ui", "styleguide"),
    "activity": (),
    "accounts": ("registration",),
    "notices": (),
    "models_catalog": (),
    "endpoints": (),
    "invocations": (),
    "mmeportal": (),
}
_ALIASES = dict.fromkeys(
    ("_", "N_", "gettext", "gettext_lazy", "gettext_noop", "noop"), None
) | dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2))
KEYWORDS = {
    **DEFAULT_KEYWORDS,
    **_ALIASES,
    # Of core/sentences.py, and what names an action in the refusal of a permission.
    "plural": (1, 2),
    "phrase": (1,),
    "require_permission": (2,),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3)),
}
_HEADER = """# {language} texts of {title}. `make messages` keeps it up to date.
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plurals};\\n"

"""

#: A sentence, or its singular and plural; and the context that tells two of the same text apart.
Ident = str | tuple[str, ...]
Key = tuple[str | None, Ident]


@dataclass
class Found:
    """One sentence in the source: the files that have it, and what they tell translators."""

    files: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)


def files(root: Path, room: str) -> list[Path]:
    """The files whose sentences a room's catalogs hold."""
    code = [
        path
        for path in (root / room).rglob("*.py")
        if not {"tests", "migrations"} & set(path.relative_to(root).parts)
        and not path.is_symlink()  # of the container, whose words are quoted as they are
    ]
    folders = [room, *ROOMS[room]]
    pages = [page for name in folders for page in (root / "templates" / name).rglob("*.html")]
    if room == "core":
        # Those of no app, and those of a folder that is no room's.
        rooms = {name for one, others in ROOMS.items() for name in (one, *others)}
        pages += [
            page
            for page in (root / "templates").rglob("*.html")
            if page.relative_to(root / "templates").parts[0] not in rooms
        ]
    return sorted({*code, *pages})


def found_in(root: Path, room: str) -> dict[Key, Found]:
    """Every sentence of the room that is marked for translation."""
    found: dict[Key, Found] = {}
    for path in files(root, room):
        for message, comments, context in _read(path):
            one = found.setdefault((context, message), Found())
            name = path.relative_to(root).as_posix()
            if name not in one.files:
                one.files.append(name)
            one.comments += [text for text in comments if text not in one.comments]
    return found


def _read(path: Path) -> Iterator[tuple[Ident, Sequence[str], str | None]]:
    for message, comments, context in _extracted(path, path.stat().st_mtime_ns):
        if message:
            yield (
                tuple(message) if isinstance(message, tuple | list) else message,
                comments,
                context,
            )


@functools.cache
def _extracted(path: Path, changed_at: int) -> list[tuple[Ident, Sequence[str], str | None]]:
    text = path.read_bytes()
    method = "python"
    if path.suffix == ".html":
        # Django looks a template's text up with its percent signs doubled.
        text = re.sub(rb"(?<!\{)%(?!\})", b"%%", text)
        method = extract_django
    with contextlib.redirect_stderr(io.StringIO()):  # Babel warns of f-strings in any argument
        found = list(extract(method, io.BytesIO(text), KEYWORDS, ("Translators:",)))
    return [(message, comments, context) for _, message, comments, context in found]


def catalog_path(root: Path, room: str, language: str) -> Path:
    """Where the room's catalog of a language is."""
    return root / room / "locale" / language / "LC_MESSAGES" / "django.po"


def api_catalog_path(root: Path, language: str) -> Path:
    """Where the catalog of the API's document is, of a language."""
    return catalog_path(root, "mmeportal", language).with_name(f"{api_sentences.DOMAIN}.po")


@functools.cache
def _parsed(path: Path, changed_at: int) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3], abort_invalid=True)


def catalog(path: Path) -> Catalog:
    """A .po file as it is; empty where there is none."""
    if not path.exists():
        return Catalog(locale=path.parts[-3])
    return _parsed(path, path.stat().st_mtime_ns)


def mend_conflict(path: Path) -> None:
    """Where a merge left both sides in a .po file, take what either has translated.

    Where both have, ours stands. The next step drops what no code says any more.
    """
    if not path.exists() or b"\n<<<<<<< " not in b"\n" + path.read_bytes():
        return
    ours, theirs = (
        read_po(io.BytesIO(_side(path, stage)), locale=path.parts[-3], abort_invalid=True)
        for stage in (2, 3)  # of git's index (git-show(1), gitrevisions(7))
    )
    for message in theirs:
        known = ours.get(message.id, message.context)
        if message.id and (known is None or not translated(known)):
            if known is not None:
                ours.delete(message.id, message.context)
            ours[message.id] = message
    with path.open("wb") as file:
        write_po(file, ours, width=100, sort_output=True, include_lineno=False)


def _side(path: Path, stage: int) -> bytes:
    name = f":{stage}:./{path.name}"
    done = subprocess.run(["git", "show", name], cwd=path.parent, check=True, capture_output=True)
    return done.stdout


def key(message: Message) -> Key:
    """What the sentence is found by."""
    text = message.id
    return message.context, tuple(text) if isinstance(text, list | tuple) else text


def translated(message: Message) -> bool:
    """Whether the message has all of its forms, and nobody doubts it."""
    strings = message.string if isinstance(message.string, list | tuple) else [message.string]
    return bool(strings) and all(strings) and not message.fuzzy


def update(root: Path, room: str, language: str, elsewhere: dict[Key, Message]) -> str:
    """The text of the room's catalog, up to date."""
    path = catalog_path(root, room, language)
    return _written(path, room, found_in(root, room), elsewhere, sort=True)


def update_api(root: Path, language: str) -> str:
    """The text of the catalog of the API's document, up to date."""
    document = json.loads((root / "docs" / "openapi.json").read_text(encoding="utf-8"))
    found = found_in_api(document)
    path = api_catalog_path(root, language)
    return _written(path, "the API's document", found, {}, sort=False)


def found_in_api(document: dict[str, Any]) -> dict[Key, Found]:
    """Each tag and each sentence of the API's document, with the first of its places."""
    found: dict[Key, Found] = {
        (api_sentences.TAG, tag): Found() for tag in api_sentences.tags(document)
    }
    for sentence, places in places_in_api(document).items():
        found[None, sentence] = Found(files=places[:1])
    return found


def places_in_api(document: dict[str, Any]) -> dict[str, list[str]]:
    """Each sentence of the API's document, in its order, with the places that have it."""
    found: dict[str, list[str]] = {}

    def note(text: str, place: str) -> str:
        found.setdefault(text, []).append(place)
        return text

    api_sentences.reworded(document, note)
    return found


def _written(
    path: Path, title: str, found: dict[Key, Found], elsewhere: dict[Key, Message], *, sort: bool
) -> str:
    language = path.parts[-3]
    old = {key(message): message for message in catalog(path) if message.id}
    new = Catalog(locale=language, fuzzy=False)
    for ident, one in found.items():
        context, text = ident
        known = old.get(ident)
        if known is None or not translated(known):
            known = elsewhere.get(ident, known)
        flags = known.flags - {"python-format", "python-brace-format"} if known else ()
        new.add(
            text,
            known.string if known else None,
            locations=[(name, None) for name in one.files],
            auto_comments=one.comments,
            user_comments=known.user_comments if known else (),
            flags=flags,
            context=context,
        )
    body = io.BytesIO()
    write_po(body, new, width=100, omit_header=True, sort_output=sort, include_lineno=False)
    header = _HEADER.format(language=language, title=title, plurals=new.plural_forms.rstrip(";"))
    return header + body.getvalue().decode().lstrip("\n")


def translations(root: Path, language: str, rooms: Iterable[str] = ROOMS) -> dict[Key, Message]:
    """What any room has translated; where two do, the first."""
    found: dict[Key, Message] = {}
    for room in rooms:
        for message in catalog(catalog_path(root, room, language)):
            if message.id and translated(message):
                found.setdefault(key(message), message)
    return found


def main(root: Path = ROOT) -> None:
    """Write every catalog, compile them, and say what there is to translate."""
    for language in LANGUAGES:
        rooms = {room: catalog_path(root, room, language) for room in ROOMS}
        api = api_catalog_path(root, language)
        for path in (*rooms.values(), api):
            mend_conflict(path)
        elsewhere = translations(root, language)
        for room, path in rooms.items():
            _write(root, path, update(root, room, language, elsewhere))
        _write(root, api, update_api(root, language))
    catalogs.compile_changed(root)


def _write(root: Path, path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    messages = [message for message in catalog(path) if message.id]
    missing = sum(not translated(message) for message in messages)
    print(f"{path.relative_to(root)}: {len(messages)} sentences, {missing} to translate")


if __name__ == "__main__":
    sys.exit(main())
