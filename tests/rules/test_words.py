"""Code, comments, manuals and pages use the field's standard terms, so that a search finds them."""

import re
import subprocess
from pathlib import Path

import pytest

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
