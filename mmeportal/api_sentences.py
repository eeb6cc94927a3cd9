"""The sentences of the API's document, and the document in another language.

What the code says of the API is English. Each other language has a catalog of its own,
locale/LANGUAGE/LC_MESSAGES/api.po, that `make messages` keeps up to date by docs/openapi.json.
A description is translated by paragraphs; the first of an operation begins with its summary, which
is translated once.
"""

import gettext
from collections.abc import Callable
from pathlib import Path
from typing import Any

_LOCALE = Path(__file__).with_name("locale")
#: Of its catalogs, for gettext.
DOMAIN = "api"
#: The context of a tag in the catalogs.
TAG = "tag"
#: What a program sends, gets or compares: no sentences, whatever they look like.
_VALUES = frozenset({"example", "examples", "default", "enum", "const"})
#: Objects whose keys are names that the API gives: a field may be called ``default``.
_NAMED = frozenset({"schemas", "securitySchemes", "properties", "responses", "headers"})

#: From a sentence, and the place that it has in the document, to what is to be in its place.
Say = Callable[[str, str], str]


def translated(document: dict[str, Any], language: str) -> dict[str, Any]:
    """The document in this language. Names, values and examples are as they are.

    The tags, which are English words, get a description. Raises OSError where the catalog is not
    compiled.
    """
    catalog = gettext.translation(DOMAIN, _LOCALE, [language])
    found: dict[str, Any] = reworded(document, lambda text, _: catalog.gettext(text))
    found["tags"] = [
        {"name": tag, "description": catalog.pgettext(TAG, tag)} for tag in tags(document)
    ]
    return found


def tags(document: dict[str, Any]) -> list[str]:
    """The tags of the operations, in their order."""
    operations = (one for methods in document["paths"].values() for one in methods.values())
    return list(dict.fromkeys(tag for one in operations for tag in one["tags"]))


def reworded(node: Any, say: Say, place: str = "") -> Any:
    """A copy of the document, or of a part of it, in which ``say`` words each sentence."""
    if isinstance(node, list):
        return [reworded(item, say, place) for item in node]
    if not isinstance(node, dict):
        return node
    place = node.get("operationId", place)
    if "in" in node and "name" in node:  # a parameter
        place = _inside(place, node["name"])
    copy: dict[str, Any] = {}
    for key, value in node.items():
        if key in _NAMED and isinstance(value, dict):
            copy[key] = {
                name: reworded(one, say, _inside(place, name)) for name, one in value.items()
            }
        elif key in {"summary", "description"} and isinstance(value, str):
            copy[key] = _text(value, node.get("summary", ""), say, place)
        else:
            copy[key] = value if key in _VALUES else reworded(value, say, place)
    return copy


def _text(text: str, summary: str, say: Say, place: str) -> str:
    """The text, paragraph by paragraph; of one that begins with the summary, this by itself."""
    told = []
    for paragraph in text.split("\n\n"):
        line = " ".join(paragraph.split())
        rest = line.removeprefix(summary)
        parts = [summary, rest.strip()] if summary and rest != line else [line]
        told.append(" ".join(say(part, place) for part in parts if part))
    return "\n\n".join(told)


def _inside(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
