"""Tags of a model: short words of one's own that models are found by, each in one spelling."""

import re
import unicodedata
from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MOST, MOST_CHARACTERS = 20, 40
# Letters and digits of any script. No comma: it stands between tags.
_TAG = re.compile(r"\w(?:[\w.:/-]*\w)?")
_BLANKS = re.compile(r"\s+")


def normal(text: str) -> str:
    """A tag in its one spelling: composed, in small letters, hyphens for blanks."""
    text = unicodedata.normalize("NFKC", text).lower().strip()
    return unicodedata.normalize("NFC", _BLANKS.sub("-", text))


def read(texts: Iterable[str]) -> list[str]:
    """Tags in their one spelling, sorted, each once; empty ones are left out.

    Raises ValidationError for what is no tag, and for more than a model may have.
    """
    found = {normal(text) for text in texts if text.strip()}
    for tag in found:
        if len(tag) > MOST_CHARACTERS or _TAG.fullmatch(tag) is None:
            said = _(
                "“%(tag)s” is no tag. Use letters, digits, hyphens, dots, colons and slashes, "
                "%(most)s characters at most; begin and end with a letter or digit."
            )
            raise ValidationError(said % {"tag": tag[:MOST_CHARACTERS], "most": MOST_CHARACTERS})
    if len(found) > MOST:
        raise ValidationError(_("A model may have %(most)s tags.") % {"most": MOST})
    return sorted(found)


def framed(tags: Iterable[str]) -> str:
    """Tags as they are kept: each between line breaks, so that one is found whole."""
    lines = "\n".join(tags)
    return f"\n{lines}\n" if lines else ""


def unframed(kept: str) -> list[str]:
    """The tags of what is kept."""
    return kept.split()
