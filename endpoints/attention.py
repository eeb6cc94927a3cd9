"""Endpoints that need somebody, for Today: those that stopped, and those changed outside."""

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from core.attention import SHOWN, Item, ItemGroup
from endpoints.models import Endpoint

# So many are loaded: more than anybody runs, so that one query serves the list of what runs too.
MOST = 200


def running(request: HttpRequest) -> list[Endpoint]:
    """The endpoints that are not gone; queried once for a request."""
    known = getattr(request, "_running_endpoints", None)
    if known is None:
        known = list(Endpoint.objects.filter(gone_at=None).order_by("-id")[:MOST])
        request._running_endpoints = known  # type: ignore[attr-defined]
    return known


def stopped(request: HttpRequest) -> list[ItemGroup]:
    """The endpoints that failed or stopped, as Today shows them."""
    found = [endpoint for endpoint in running(request) if endpoint.failure]
    if not found:
        return []
    summary = ngettext(
        "%(count)s endpoint needs a decision", "%(count)s endpoints need a decision", len(found)
    ) % {"count": len(found)}
    return [ItemGroup(summary, [_item(one) for one in found[:SHOWN]], _all(found), error=True)]


def changed_outside(request: HttpRequest) -> list[ItemGroup]:
    """The endpoints that somebody changed outside the portal."""
    found = [endpoint for endpoint in running(request) if endpoint.changed_outside]
    if not found:
        return []
    summary = ngettext(
        "%(count)s endpoint changed outside the portal",
        "%(count)s endpoints changed outside the portal",
        len(found),
    ) % {"count": len(found)}
    items = [Item(str(one), one.get_absolute_url()) for one in found[:SHOWN]]
    return [ItemGroup(summary, items, _all(found))]


def _item(endpoint: Endpoint) -> Item:
    text = _("%(endpoint)s: %(state)s.") % {"endpoint": endpoint, "state": endpoint.badge.label}
    return Item(text, endpoint.get_absolute_url(), str(endpoint.failure_said))


def _all(found: list[Endpoint]) -> str:
    return reverse("endpoints:list") if len(found) > SHOWN else ""
