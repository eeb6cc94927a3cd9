"""Code, comments, manuals and pages use the field's standard terms, so that a search finds them."""

import re
import subprocess
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[2]
# What is avoided, as a pattern, and what to say.
AVOIDED = {
    r"signs? of life": "heartbeat",
    r"mourn\w*": "on_exit, clean up after",
    r"doomed": "failing, to be refused",
    r"doors?( to| of)?": "entry point, the only importer, caller",
    r"strangers?('s)?": "an untrusted client, archive or user; somebody without an account",
    r"asleep|awake|wakes? the (model|endpoint)|falls? asleep": "cold, warm, cold start",
    r"toward_(absent|present)": "tear_down, create",
    r"found_or_none": "described, describe_if_exists",
    r"stand_still": "stop, give up",
    r"_?in_?our_?words|in our words": "as the portal's errors",
    r"vouch(es|ed)?( for)?": "trust, untrusted",
    r"a growing pause|growing pauses": "backoff",
    r"any number of times": "idempotent",
    r"hopeless(ly)?": "permanent, not retried",
    r"betray(s|ed)?": "reveal, show",
    r"(living|dead) and (living|dead)": "running and ended",
}
# What is avoided in what users read: pages, events, errors, the manual. The glossary has the words.
AVOIDED_ON_PAGES = {
    r"proofs?|proved?s?|proven": "validation, validated",
    r"mend(s|ed|ing)?": "fix, repair",
    r"at work": "Working…",
    r"asked (for the|to tear|once)": "requested, called once",
    r"checked .* and published": "validated",
    r"used up": "say what to do instead, such as: choose another number",
    r"(do|does) not fit together": "Wrong name or password",
    r"hostile": "untrusted",
    r"amiss": "what does not work",
    r"tells? of (each|it|them)": "shows, says",
}
# Sentences that say first what belongs to their end, in comments and docstrings of the code.
INVERTED = {
    r"So many (?!``)": "At most this many …",
    r"So much ": "At most this much …",
    r"So long ": "For this long …",
    r"Who \w+ \w+[^.?]*? (?:can|may|gets|has|sees|waits)\b": "Somebody who …, or name them",
}
_BEGINS = r'(?:^\s*(?:[rf]?"""|#:? )|[.] )'
_KINDS = {".py", ".html", ".js", ".css", ".md", ".sh", ".toml", ".yml"}
# Where the words are named, and where releases say what they were called.
_EXCEPT = {"tests/rules/test_words.py", "CHANGELOG.md"}
# An underscore and a capital begin a word as well: _mourn, test_strangers_are, theDoor.
_PATTERNS = {
    word: re.compile(rf"(?<![a-zA-Z])(?:{word})(?![a-z])", re.IGNORECASE) for word in AVOIDED
}


def texts() -> list[Path]:
    """Every committed text of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    paths = [ROOT / name for name in listed.split("\0") if name and name not in _EXCEPT]
    return [path for path in paths if path.suffix in _KINDS and path.is_file()]


def test_there_are_texts() -> None:
    assert {ROOT / "README.md", ROOT / "core" / "aws.py"} <= set(texts())


@pytest.mark.parametrize("word", AVOIDED)
def test_the_word_is_not_used(word: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if _PATTERNS[word].search(line)
    ]
    assert not found, f"Say instead: {AVOIDED[word]}.\n" + "\n".join(found)


@pytest.mark.not_quick
@pytest.mark.parametrize("words", INVERTED)
def test_no_comment_begins_with_what_belongs_to_the_end(words: str) -> None:
    pattern = re.compile(_BEGINS + words)
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in texts()
        if path.suffix == ".py" and not {"tests", "migrations"} & set(path.parts)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, f"Begin with: {INVERTED[words]}\n" + "\n".join(found)


def _for_users() -> list[tuple[str, str]]:
    """What users read, each with its place: sentences of the catalogs, templates, the manual."""
    found = []
    for path in sorted(ROOT.glob("*/locale/ko/LC_MESSAGES/django.po")):
        with path.open("rb") as file:
            for message in read_po(file):
                ids = message.id if isinstance(message.id, tuple | list) else (message.id,)
                found += [(str(path.relative_to(ROOT)), text) for text in ids if text]
    for path in texts():
        name = str(path.relative_to(ROOT))
        if name.startswith(("templates/", "docs/")) or name == "README.md":
            lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            found += [(f"{name}:{number}", re.sub(r"`[^`]*`", "", line)) for number, line in lines]
    return found


@pytest.mark.parametrize("word", AVOIDED_ON_PAGES)
def test_users_do_not_read_the_word(word: str) -> None:
    pattern = re.compile(rf"(?<![a-zA-Z_-])(?:{word})(?![a-z_-])", re.IGNORECASE)
    found = [f"{place}: {text[:100]}" for place, text in _for_users() if pattern.search(text)]
    assert not found, f"Say instead: {AVOIDED_ON_PAGES[word]}.\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("text", "avoided"),
    [
        ("def mourn(self):", True),
        ("self._mourn()", True),
        ("def test_strangers_are_sent_away", True),
        ("a sign of life", True),
        ("indoors, outdoorsy", False),
        ("estranged", False),
    ],
)
def test_words_are_found_in_names_and_not_within_words(text: str, avoided: bool) -> None:
    assert any(pattern.search(text) for pattern in _PATTERNS.values()) is avoided


# The glossary's Korean word for it, and what it is not called beside that.
AVOIDED_IN_KOREAN = {"스토어": "저장소"}


@pytest.mark.parametrize("word", AVOIDED_IN_KOREAN)
def test_one_thing_has_one_word_in_korean_too(word: str) -> None:
    paths = [*ROOT.glob("*/locale/ko/LC_MESSAGES/django.po"), ROOT / "README.ko.md"]
    paths += [ROOT / "docs/glossary.ko.md", ROOT / "client/src/mme_client/cli/korean.py"]
    found = [str(path.relative_to(ROOT)) for path in paths if word in path.read_text("utf-8")]
    assert not found, f"Say instead: {AVOIDED_IN_KOREAN[word]}."
