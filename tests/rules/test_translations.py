"""What pages say is marked, is in the catalogs, and has a sound translation.

Rooms, templates, modules and scripts are found, so a new one is held without a list of ours.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from django.conf import settings
from django.utils import translation

from activity.models import Event
from core import catalogs
from endpoints.models import Endpoint, Resource
from tests import messages
from tests.rules import unmarked
from tests.rules.test_imports import APPS
from tests.rules.test_states import enumerations

ROOT = Path(__file__).resolve().parents[2]
_RUN = "Run `make messages`"
_HOW = "docs/development.md, Languages, says how."

ROOMS = [(room, language) for language in messages.LANGUAGES for room in messages.ROOMS]
by_room = pytest.mark.parametrize(("room", "language"), ROOMS)


def files(suffix: str) -> list[str]:
    """The files of all rooms that are held for what they show."""
    found = (path for room in messages.ROOMS for path in messages.files(ROOT, room))
    # Commands speak to a terminal, in English.
    return sorted(
        path.relative_to(ROOT).as_posix()
        for path in found
        if path.suffix == suffix and "management" not in path.parts
    )


SCRIPTS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "static").rglob("*.js"))


def entries(room: str, language: str) -> list[Message]:
    """The messages of a room's catalog."""
    found = messages.catalog(messages.catalog_path(ROOT, room, language))
    return [message for message in found if message.id]


# --- the catalogs --------------------------------------------------------------------------------


def test_every_room_and_every_language_has_a_catalog() -> None:
    assert set(messages.ROOMS) == set(APPS), "Name the app in ROOMS of tests/messages.py."
    languages = {code for code, _ in settings.LANGUAGES}
    assert languages == {"en", *messages.LANGUAGES}, "Name it in LANGUAGES of tests/messages.py."
    wanted = {messages.catalog_path(ROOT, *each) for each in ROOMS}
    # Of the API's document: test_api_translations.py holds it.
    wanted |= {messages.api_catalog_path(ROOT, each) for each in messages.LANGUAGES}
    assert set(catalogs.sources()) == wanted, f"{_RUN}."


@pytest.mark.not_quick
@by_room
def test_a_catalog_has_what_the_room_says_and_nothing_else(room: str, language: str) -> None:
    path = messages.catalog_path(ROOT, room, language)
    known = {messages.key(message) for message in entries(room, language)}
    said = messages.found_in(ROOT, room).keys()
    missing, stale = sorted(map(str, said - known)), sorted(map(str, known - said))
    assert not missing, f"{path} lacks {missing}. {_RUN}, and translate them."
    assert not stale, f"Nothing says these any more: {stale}. {_RUN}."
    elsewhere = messages.translations(ROOT, language)
    text = messages.update(ROOT, room, language, elsewhere)
    assert path.read_text(encoding="utf-8") == text, f"{path} is not as it is written. {_RUN}."


@by_room
def test_every_sentence_is_translated(room: str, language: str) -> None:
    path = messages.catalog_path(ROOT, room, language).relative_to(ROOT)
    missing = [each.id for each in entries(room, language) if not messages.translated(each)]
    assert not missing, f"{path}: translate {len(missing)}, or confirm what is fuzzy: {missing}"


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_a_sentence_has_one_translation(language: str) -> None:
    found: dict[object, dict[str, str]] = {}
    for room in messages.ROOMS:
        for message in entries(room, language):
            if messages.translated(message):
                found.setdefault(messages.key(message), {})[room] = str(message.string)
    several = {ident: told for ident, told in found.items() if len(set(told.values())) > 1}
    assert not several, (
        f"Django shows one of these on every page: {several}. Write the same, or tell them apart "
        "with a context (pgettext, or `{% translate … context … %}`)."
    )


@by_room
def test_the_portals_translation_is_the_one_that_pages_show(room: str, language: str) -> None:
    """Django's own apps translate some of the same words, and come first."""
    other: dict[str, str] = {}
    with translation.override(language):
        for message in entries(room, language):
            if not messages.translated(message) or not isinstance(message.id, str):
                continue
            shown = (
                translation.pgettext(message.context, message.id)
                if message.context
                else translation.gettext(message.id)
            )
            if shown != message.string:
                other[message.id] = shown
    assert not other, f"Django says these in its own words: {other}. Give them a context."


def _forms(message: Message) -> Iterator[tuple[str, str]]:
    """Each form of the translation, with the source that it must fit."""
    plural = isinstance(message.id, list | tuple)
    sources = list(message.id) if plural else [message.id]
    strings = message.string if isinstance(message.string, list | tuple) else [message.string]
    for place, told in enumerate(strings):
        # Korean has one form, that of many.
        yield sources[min(place, len(sources) - 1) if len(strings) > 1 else -1], told


_PLACE = re.compile(r"%%|%\(\w+\)[a-z]|%[sdi]|\{\w*\}|<[^>]*>")


@by_room
def test_a_translation_has_the_places_of_its_source(room: str, language: str) -> None:
    wrong = [
        f"{told!r} for {source!r}"
        for message in entries(room, language)
        if messages.translated(message)
        for source, told in _forms(message)
        if Counter(_PLACE.findall(source)) != Counter(_PLACE.findall(told))
        or [source[:1].isspace(), source[-1:].isspace()]
        != [told[:1].isspace(), told[-1:].isspace()]
    ]
    assert not wrong, f"Other parameters, markup or white space at the ends: {wrong}"


# A particle depends on the sound before it, which is not known of a parameter.
_PARTICLE = re.compile(
    r"(?:%\(\w+\)[a-z]|%[sdi]|\{\w*\})[\"'”’»)\]]*(?:은|는|이|가|을|를|와|과|으로|로)(?![가-힣])"
    r"|은\(는\)|는\(은\)|이\(가\)|가\(이\)|을\(를\)|를\(을\)|와\(과\)|과\(와\)|\(으\)로"
)


@pytest.mark.parametrize("room", messages.ROOMS)
def test_no_korean_particle_follows_a_parameter(room: str) -> None:
    wrong = [
        told
        for message in entries(room, "ko")
        for _, told in _forms(message)
        if _PARTICLE.search(told or "")
    ]
    assert not wrong, f"Word it around, so that nothing depends on the parameter: {wrong}"


@pytest.mark.parametrize("name", enumerations())
def test_each_label_has_a_translation(name: str) -> None:
    with translation.override(None):
        texts = {str(label) for label in enumerations()[name].labels}
    for language in messages.LANGUAGES:
        known = {text for _, text in messages.translations(ROOT, language)}
        missing = sorted(texts - known)
        assert not missing, (
            f"{language} lacks {missing}, labels of {name}: mark them with gettext_lazy. {_RUN}, "
            "and translate them."
        )


# --- what is not marked --------------------------------------------------------------------------


def _found(names: list[str], look: Callable[[str], list[str]]) -> dict[str, list[str]]:
    """What ``look`` finds in each of the files; those in which it finds nothing are left out."""
    assert names
    found = {name: look((ROOT / name).read_text(encoding="utf-8")) for name in names}
    return {name: texts for name, texts in found.items() if texts}


@pytest.mark.not_quick
def test_templates_mark_what_they_show() -> None:
    found = _found(files(".html"), unmarked.in_template)
    assert not found, f"These show this in English to everybody: {found}. {_HOW}"


@pytest.mark.not_quick
def test_modules_mark_what_a_page_may_show() -> None:
    found = _found(files(".py"), unmarked.in_python)
    assert not found, (
        f"These say this in English to everybody: {found}. Mark it (gettext, core/sentences.py); "
        "where only a log or a terminal has it, say so: `# untranslated: a terminal`."
    )


def test_scripts_hold_no_sentences() -> None:
    found = _found(SCRIPTS, unmarked.in_script)
    assert not found, f"Take these from data- attributes, translated there: {found}"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("<p>Nothing here</p>", 1),
        ("<p>{% translate 'Nothing here' %}</p>", 0),
        ("<p>{% blocktranslate trimmed %}Nothing here{% endblocktranslate %}</p>", 0),
        ("{% comment %}Nothing here{% endcomment %}<code>tar -xzf</code>", 0),
        ('<a title="Log out">{{ name }}</a>', 1),
        ("<a title=\"{% translate 'Log out' %}\">SageMaker</a>", 0),
        ('<p data-lost="The connection was lost."></p>', 1),
        ("{{ n }} file{{ n|pluralize }}", 2),
        ('{{ at|date:"j M Y" }}{{ at|date:"c" }}{{ at|date:"DATE_FORMAT" }}', 1),
        ('{{ name|default:"nobody" }}{{ name|default:"–" }}', 1),
        ('{% include "_card.html" with title="Latest calls" id="calls" %}', 1),
        ("{# untranslated file: for developers #}\n<p>Nothing here</p>", 0),
        ("<p>{% if a %}Yes sir{% else %}{{ b }}{% endif %}</p>", 1),
    ],
)
def test_the_rule_of_templates_finds(text: str, count: int) -> None:
    assert len(unmarked.in_template(text)) == count, unmarked.in_template(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('x = "The portal does not answer."', 1),
        ('x = f"The portal does not answer {y}."', 1),
        ('x = _("The portal does not answer.")', 0),
        ('x = _(f"The portal does not answer {y}.")', 1),
        ('def f():\n    """The portal does not answer."""', 0),
        ('log.info("The portal does not answer: %s", x)', 0),
        ('raise ValueError("The portal does not answer.")', 0),
        ('raise Refused("The portal does not answer.")', 1),
        (
            "class Refused(Exception):  # untranslated: the log\n    pass\n"
            'raise Refused("It is old now.")',
            0,
        ),
        ('print("The portal does not answer.")  # untranslated: a terminal', 0),
        ('# untranslated: a terminal\nprint("The portal does not answer.")', 0),
        ('x = 1  # untranslated: a terminal\nprint("The portal does not answer.")', 1),
        ('x = forms.CharField(label="Name")', 1),
        ('x = forms.CharField(label=_("Name"))', 0),
        ('messages.success(request, "Saved")', 1),
        ('register_link("Models", "model")', 1),
        ('x = Badge("ok", "fine" if x else _("bad"))', 1),
        ('with aws.translated(f"reading {key}"): pass', 1),
        ('with aws.translated(phrase("reading %(key)s", key=f"a {b}")): pass', 0),
        ('x = "SELECT name FROM rows WHERE x"', 0),
        ('x = "application/json; charset=utf-8"', 0),
    ],
)
def test_the_rule_of_modules_finds(text: str, count: int) -> None:
    assert len(unmarked.in_python(text)) == count, unmarked.in_python(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('tell("The portal does not answer.");', 1),
        ("tell(`It has ${n} of them now.`);", 1),
        ('button.textContent = "Copied";', 1),
        ('button.className = "callout warn";', 0),
        ('document.querySelector("main .card > p");', 0),
        ("// The portal does not answer.", 0),
        ('const text = node.dataset.lost; // "The portal does not answer."', 0),
        ('const quoted = /["\']/; x = "a";', 0),
    ],
)
def test_the_rule_of_scripts_finds(text: str, count: int) -> None:
    assert len(unmarked.in_script(text)) == count, unmarked.in_script(text)


# --- what is shown -------------------------------------------------------------------------------


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
