"""Metadata of a version: what its maker knows of it, written as ``accuracy=0.93``.

Keys are free. What reads as a number is one, and is compared as one. It may be changed later
(describing.py).
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MOST, MOST_CHARACTERS = 30, 200
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,39}")
#: How the API's lists are told to sort by a key.
SORTS = r"(meta|least)\.[A-Za-z][A-Za-z0-9_.\-]{0,39}"
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

Metadata = dict[str, float | int | str]


class Plain(json.JSONEncoder):
    """Writes Korean as it is, so that a search in the database finds it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "ensure_ascii": False})


#: What changes: a new value by key, None for a key that goes.
Changes = Mapping[str, float | int | str | None]


def read(lines: Iterable[str]) -> Metadata:
    """Metadata of ``key=value`` each; empty lines are left out. Raises ValidationError."""
    found: Metadata = {}
    for line in lines:
        if not line.strip():
            continue
        key, sign, value = (part.strip() for part in line.partition("="))
        if not sign or not value or not is_key(key):
            raise _malformed()
        if key in found:
            raise ValidationError(_("%(key)s is there twice.") % {"key": key})
        found[key] = _checked(key, value)
    return _counted(found)


def merged(before: Mapping[str, Any], changes: Changes) -> Metadata:
    """Metadata with what changes in it; a text that reads as a number is one.

    Raises ValidationError.
    """
    found: Metadata = dict(before)
    for key, value in changes.items():
        if value is None:
            found.pop(key, None)
        elif not is_key(key) or str(value).strip() == "":
            raise _malformed()
        else:
            found[key] = _checked(key, str(value).strip())
    return _counted(found)


def lines(metadata: Mapping[str, Any]) -> str:
    """Metadata as a form has it: ``key=value`` each."""
    return "\n".join(f"{key}={value}" for key, value in sorted(metadata.items()))


def sorted_by(sort: str) -> tuple[str, bool] | None:
    """Of ``meta.accuracy`` or ``least.loss``: the key, and whether the smallest comes first."""
    kind, _dot, key = sort.partition(".")
    return (key, kind == "least") if kind in ("meta", "least") and is_key(key) else None


def is_key(text: str) -> bool:
    """Whether it can be a key."""
    return _KEY.fullmatch(text) is not None


def _malformed() -> ValidationError:
    return ValidationError(
        _(
            "Write it as accuracy=0.93, one a line. A key begins with a letter and has "
            "letters, digits, dots, hyphens and underscores, 40 at most."
        )
    )


def _checked(key: str, value: str) -> float | int | str:
    if len(value) > MOST_CHARACTERS or not value.isprintable():
        said = _("The value of %(key)s may have %(most)s printable characters.")
        raise ValidationError(said % {"key": key, "most": MOST_CHARACTERS})
    return _value(value)


def _counted(found: Metadata) -> Metadata:
    if len(found) > MOST:
        raise ValidationError(_("A version may have %(most)s of these.") % {"most": MOST})
    return found


def _value(text: str) -> float | int | str:
    if _NUMBER.fullmatch(text) is None:
        return text
    try:
        # Of a long number, such as a run's, no digit may get lost.
        number = int(text)
    except ValueError:
        decimal = float(text)
        return decimal if math.isfinite(decimal) else text
    return number if abs(number) < 1 << 53 else text
