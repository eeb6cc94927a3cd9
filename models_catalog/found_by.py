"""What models and versions are found and sorted by, as it is kept beside their rows.

Made of a row's columns alone, by these functions (`SearchText` and `VersionNumber` hold it).
"""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any


def folded(text: str) -> str:
    """A text as it is compared: composed, and without regard to small and large letters."""
    composed = unicodedata.normalize("NFC", text).casefold()
    return unicodedata.normalize("NFC", composed)


def text_of(words: Iterable[str], metadata: Mapping[str, Any] | None = None) -> str:
    """The words of a row, and its metadata as somebody writes it, folded; one a line."""
    pairs = (f"{key}={value}" for key, value in sorted((metadata or {}).items()))
    return folded("\n".join([*words, *pairs]))


def numbers_of(metadata: Mapping[str, Any] | None) -> dict[str, float]:
    """The numbers of metadata by key: not a text, whatever it says."""
    return {
        key: float(value)
        for key, value in (metadata or {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
