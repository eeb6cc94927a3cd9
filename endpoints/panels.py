"""What Today and the navigation show of endpoints."""

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core import attention, panels, where
from endpoints import prices
from endpoints.attention import budgeted, month_so_far, orphaned, running, waiting
from endpoints.rights import MAY_LOOK

SHOWN = 8


def register_all() -> None:
    """Register the panels of this module, and what needs somebody."""
    panels.register_link(
        _("Endpoints"), "endpoint", "endpoints:list", permission=MAY_LOOK, order=20
    )
    panels.register(
        "home", "endpoints/_home.html", permission=MAY_LOOK, context=_endpoints, order=10
    )
    attention.register(waiting, permission=MAY_LOOK, order=10)
    attention.register(orphaned, permission=MAY_LOOK, order=11)
    attention.register(budgeted, permission=MAY_LOOK, order=12)


def _endpoints(request: HttpRequest) -> dict[str, Any]:
    found = running(request)
    known = prices.known()
    return {
        "endpoints": found[:SHOWN],
        "more": max(0, len(found) - SHOWN),
        "total": known.total(found),
        "estimate": known.estimate,
        "month": month_so_far(request),
        "is_local": where.is_local(),
    }
