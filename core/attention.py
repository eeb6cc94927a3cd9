"""What needs somebody to act, for the page Today: each app registers a source of such items.

An app registers in ``AppConfig.ready``. A source makes one query at most, as Today asks all of
them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.http import HttpRequest

from core.panels import Viewer

SHOWN = 5
"""At most this many items of a group are shown; its summary has the number of all."""


@dataclass(frozen=True)
class Act:
    """What one click does about it: a POST to ``post``. ``command``: the same with ``mme``."""

    label: str
    post: str
    command: str


@dataclass(frozen=True)
class Item:
    """One thing that needs somebody.

    ``text``: a short sentence in the reader's language. ``url``: the page where one acts. ``more``:
    the reason, which may be what AWS said. ``dismiss``: where a POST takes it off the list, or "".
    ``act``: what the reader may do about it at once.
    """

    text: str
    url: str
    more: str = ""
    dismiss: str = ""
    act: Act | None = None


@dataclass(frozen=True)
class ItemGroup:
    """Things of one kind: ``summary`` counts them, ``error`` says whether something does not work.

    ``url`` leads to all of them; "" where the items are all.
    """

    summary: str
    items: Sequence[Item]
    url: str = ""
    error: bool = False


Source = Callable[[HttpRequest], Sequence[ItemGroup]]


@dataclass(frozen=True)
class _Registered:
    source: Source
    permission: str
    order: int


_sources: list[_Registered] = []


def register(source: Source, *, permission: str, order: int = 0) -> None:
    """Let Today show what ``source`` returns to who has the permission (``app.codename``)."""
    _sources.append(_Registered(source, permission, order))
    _sources.sort(key=lambda one: one.order)


def groups(request: HttpRequest, user: Viewer) -> list[ItemGroup]:
    """What needs ``user``, in the order of the sources; empty where all is quiet."""
    return [
        group for one in _sources if user.has_perm(one.permission) for group in one.source(request)
    ]
