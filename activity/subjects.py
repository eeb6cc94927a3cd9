"""What events are about: each app registers its kinds when Django starts (``AppConfig.ready``)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from core.guarded import GuardedManager


def _own_page(found: Any) -> str:
    return str(found.get_absolute_url())


@dataclass(frozen=True)
class Kind:
    """One kind of subject.

    ``model``: where its rows are; None for what has no page. ``url``: the address of a row's page.
    ``permission``: what a user needs to read events about it, beside the right to read events at
    all; empty where that is enough. ``doing`` names it in a refusal: "see users". ``label`` names
    the kind in the filter of the log; the kind is no choice there without one.
    """

    model: type[Model] | None
    url: Callable[[Any], str] = _own_page
    permission: str = ""
    doing: str = ""
    label: Any = ""


_kinds: dict[str, Kind] = {}


def register(
    name: str,
    model: type[Model] | None,
    *,
    url: Callable[[Any], str] = _own_page,
    permission: str = "",
    doing: str = "",
    label: Any = "",
) -> None:
    """Make a kind known: ``name`` is the ``activity_kind`` of its subjects. See Kind for the rest.

    A name that stands for another kind already is a ValueError.
    """
    kind = Kind(model, url, permission, doing, label)
    if _kinds.setdefault(name, kind) != kind:
        raise ValueError(f"The kind {name!r} is registered twice.")


def kind(name: str) -> Kind | None:
    """The kind of this name; None where no app registered it."""
    return _kinds.get(name)


def hidden_from(has_perm: Callable[[str], bool]) -> list[str]:
    """The kinds that somebody may not read events about."""
    return [name for name, k in _kinds.items() if k.permission and not has_perm(k.permission)]


def guarded() -> list[tuple[str, type[Model]]]:
    """The kinds of which not everybody may see each row (core/guarded.py), with their models."""
    return [
        (name, k.model)
        for name, k in _kinds.items()
        if k.model is not None and isinstance(k.model._default_manager, GuardedManager)
    ]


def labels(has_perm: Callable[[str], bool]) -> list[tuple[str, Any]]:
    """Name and label of each kind that somebody may read events about."""
    hidden = hidden_from(has_perm)
    return [(name, k.label) for name, k in _kinds.items() if k.label and name not in hidden]
