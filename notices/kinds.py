"""What one can be told of: each app registers the kinds of news that its events are.

An app registers in ``AppConfig.ready``, a line for each::

    kinds.register(
        "version.rejected", _("A version was rejected"), ["version.rejected"],
        permission="models_catalog.view_model", concern=told.of_version,
    )

A webhook, and a person's mail, is for kinds. Their names are in the webhooks' bodies (``type``), so
they stay; an event that is no kind's is told to nobody.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True)
class Concern:
    """What the subject of an event is about.

    ``model``: the model's name, by which webhooks are narrowed; "": none. ``people``: the ids of
    the users whose own it is. ``page``, ``api``: the paths of its page and of its operation.
    """

    model: str = ""
    people: frozenset[int] = frozenset()
    page: str = ""
    api: str = ""


@dataclass(frozen=True)
class OfferedAct:
    """What one click does about some news: on a page below that of its subject.

    Nothing is changed by looking at the page, as programs that read mails do. ``permission``: what
    a person needs.
    """

    label: Any
    below: str
    permission: str


@dataclass(frozen=True)
class NewsKind:
    """One kind of news.

    ``codes``: of the events that it is (activity/codes.py). ``permission``: what a person needs to
    get it as mail. ``concern`` is called with the subject of the event, in its transaction.
    ``acts``: what to do about an event, by its code.
    """

    name: str
    label: Any
    codes: tuple[str, ...]
    permission: str
    concern: Callable[[Any], Concern]
    acts: Mapping[str, OfferedAct]


def api_path(*parts: str | int) -> str:
    """The path of an operation: ``api_path("models", "digits")``."""
    return "/".join(["/api/v1", *(quote(str(part), safe="") for part in parts)])


_kinds: dict[str, NewsKind] = {}
_by_code: dict[str, NewsKind] = {}


def register(
    name: str,
    label: Any,
    codes: Iterable[str],
    *,
    permission: str,
    concern: Callable[[Any], Concern],
    acts: Mapping[str, OfferedAct] | None = None,
) -> None:
    """Make a kind known; ``label`` may be lazy, to be in the reader's language.

    A name or a code that is another kind's already is a ValueError.
    """
    kind = NewsKind(name, label, tuple(codes), permission, concern, acts or {})
    if _kinds.setdefault(name, kind) is not kind:
        raise ValueError(f"The kind {name!r} is registered twice.")
    for code in kind.codes:
        if _by_code.setdefault(code, kind) is not kind:
            raise ValueError(f"The event {code!r} is of two kinds.")


def all_kinds() -> list[NewsKind]:
    """Every kind, by name."""
    return [_kinds[name] for name in sorted(_kinds)]


def of_event(code: str) -> NewsKind | None:
    """The kind that an event is; None: nobody is told of it."""
    return _by_code.get(code)


def act_of(code: str) -> OfferedAct | None:
    """What one may do about an event at once."""
    kind = _by_code.get(code)
    return None if kind is None else kind.acts.get(code)


def label(name: str) -> str:
    """What a kind is called, in the reader's language; its name where no app registers it now."""
    kind = _kinds.get(name)
    return name if kind is None else str(kind.label)


def is_known(name: str) -> bool:
    """Whether an app registers this kind."""
    return name in _kinds
