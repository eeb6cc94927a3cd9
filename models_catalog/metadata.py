"""Metadata of a version: what its maker knows of it, written as ``accuracy=0.93``.

Keys are free. What reads as a number is one, and is compared as one.
"""

import json
import math
import re
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MOST, MOST_CHARACTERS = 30, 200
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,39}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

Metadata = dict[str, float | int | str]


class Plain(json.JSONEncoder):
    """Writes Korean as it is, so that a search in the database finds it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "ensure_ascii": False})


def read(lines: Iterable[str]) -> Metadata:
    """Metadata of ``key=value`` each; empty lines are left out. Raises ValidationError."""
    found: Metadata = {}
    for line in lines:
        if not line.strip():
            continue
        key, sign, value = (part.strip() for part in line.partition("="))
        if not sign or not value or _KEY.fullmatch(key) is None:
            raise ValidationError(
                _(
                    "Write it as accuracy=0.93, one a line. A key begins with a letter and has "
                    "letters, digits, dots, hyphens and underscores, 40 at most."
                )
            )
        if len(value) > MOST_CHARACTERS or not value.isprintable():
            said = _("The value of %(key)s may have %(most)s printable characters.")
            raise ValidationError(said % {"key": key, "most": MOST_CHARACTERS})
        if key in found:
            raise ValidationError(_("%(key)s is there twice.") % {"key": key})
        found[key] = _value(value)
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
