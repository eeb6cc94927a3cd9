"""Texts as every database stores them: PostgreSQL takes neither NUL nor half of a character."""

from collections.abc import Mapping
from typing import Any

_INSTEAD = "\N{REPLACEMENT CHARACTER}"


def storable(text: str) -> str:
    """The text with another character in place of each NUL and each lone surrogate.

    Of what others wrote: a model's answer, a file's name, an error of AWS. One such character in a
    row keeps a whole transaction from being written to PostgreSQL; SQLite stores a surrogate that
    it cannot read afterwards.
    """
    return text.replace("\0", _INSTEAD).encode(errors="replace").decode()


def all_storable(value: Any) -> Any:
    """A document with all its texts and keys storable."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {all_storable(key): all_storable(item) for key, item in value.items()}
    return [all_storable(item) for item in value] if isinstance(value, list | tuple) else value


def has_nul(value: Any) -> bool:
    """Whether there is a NUL in a text, or in one of a document."""
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, Mapping):
        return any(has_nul(key) or has_nul(item) for key, item in value.items())
    return isinstance(value, list | tuple) and any(has_nul(item) for item in value)
