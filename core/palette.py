"""Search for all that has a page: /search/, and the dialog that Ctrl+K opens.

Each app registers what it knows when Django starts (``AppConfig.ready``)::

    palette.register(models)

    def models(user, query):
        return [Hit(model.name, model.get_absolute_url(), "model", _("Model")) for model in …]
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils import translation

MOST_OF_A_SOURCE = 8
#: Longer texts are no name that anybody searches for.
MOST_SEARCHED = 100


@dataclass(frozen=True)
class Hit:
    """Something with a page. ``kind`` is what it is, as a word for people; ``icon`` its drawing."""

    label: Any
    url: str
    icon: str
    kind: Any


#: Gives what ``user`` may see that matches; with an empty text, what is useful to begin with.
Source = Callable[[Any, str], list[Hit]]

_sources: list[Source] = []


def register(source: Source) -> None:
    """Let the search ask ``source``, after those that are registered already."""
    _sources.append(source)


@dataclass(frozen=True)
class Group:
    """Hits of one kind."""

    kind: Any
    hits: list[Hit]


def search(user: Any, query: str) -> list[Group]:
    """What all sources find for ``user``, by kind; those whose name begins with the text first."""
    text = query.replace("\0", "").strip()[:MOST_SEARCHED]
    groups: dict[str, Group] = {}
    seen: set[str] = set()
    for source in _sources:
        hits = source(user, text)
        hits.sort(key=lambda hit: not str(hit.label).lower().startswith(text.lower()))
        for hit in hits[:MOST_OF_A_SOURCE]:
            if hit.url not in seen:
                seen.add(hit.url)
                group = groups.setdefault(str(hit.kind), Group(hit.kind, []))
                group.hits.append(hit)
    return list(groups.values())


def matches(label: Any, query: str) -> bool:
    """Whether a name has the text in it, in the reader's language or in English, whatever the case.

    Who reads Korean types what is on the keyboard as well: "endpoint". Every name has the empty
    text. ``label`` is lazy where it is translated.
    """
    if query.lower() in str(label).lower():
        return True
    with translation.override("en"):
        return query.lower() in str(label).lower()
