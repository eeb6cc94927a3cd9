"""What the pages of one app show of apps above it: buttons, sections, links of the navigation.

A page has slots (``{% panels "endpoint" endpoint %}``), and the app above registers what stands in
them when Django starts (``AppConfig.ready``). So no app's template needs to know those above it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from django.http import HttpRequest
from django.urls import reverse


class Viewer(Protocol):
    """Who sees a page: a user, also an anonymous one."""

    def has_perm(self, perm: str) -> bool:
        """Whether the user has a permission."""
        ...


@dataclass(frozen=True)
class Panel:
    """One thing that stands in a slot.

    ``template``: what is rendered, with request, user, perms and what ``context`` returns.
    ``permission``: who sees it (``app.codename``). ``context`` is called with the request and the
    arguments of the tag; where it returns None, nothing is shown. Panels of a slot are sorted by
    ``order``.
    """

    template: str
    permission: str
    context: Callable[..., Mapping[str, Any] | None]
    order: int


_slots: dict[str, list[Panel]] = {}


def register(
    slot: str,
    template: str,
    *,
    permission: str,
    context: Callable[..., Mapping[str, Any] | None],
    order: int = 0,
) -> None:
    """Let ``slot`` show a panel; see Panel for the rest."""
    found = _slots.setdefault(slot, [])
    found.append(Panel(template, permission, context, order))
    found.sort(key=lambda panel: panel.order)


def register_link(label: Any, icon: str, address: str, *, permission: str, order: int) -> None:
    """Add a link to the navigation: ``address`` is an URL's name.

    It is marked on each page of that app, and on those of other apps whose address is below it.

    ``label`` may be lazy, to be in the reader's language.
    """
    context = partial(_link, label=label, icon_name=icon, address=address)
    register("navigation", "_nav_link.html", permission=permission, context=context, order=order)


def _link(request: HttpRequest, *, label: Any, icon_name: str, address: str) -> dict[str, Any]:
    match = request.resolver_match  # None where no address was found
    href = reverse(address)
    current = match is not None and (
        match.app_name == address.partition(":")[0] or request.path.startswith(href)
    )
    return {"label": label, "icon_name": icon_name, "href": href, "current": current}


def visible(slot: str, user: Viewer) -> list[Panel]:
    """The panels of a slot that ``user`` may see, in their order."""
    return [panel for panel in _slots.get(slot, []) if user.has_perm(panel.permission)]
