"""What the home page and the navigation show of endpoints."""

from typing import Any

from django.http import HttpRequest

from core import panels
from endpoints.models import Endpoint

MAY_LOOK = "endpoints.view_endpoint"


def register_all() -> None:
    """Register the panels of this module."""
    panels.register_link("Endpoints", "endpoint", "endpoints:list", permission=MAY_LOOK, order=20)
    panels.register(
        "home", "endpoints/_home.html", permission=MAY_LOOK, context=_endpoints, order=10
    )


def _endpoints(request: HttpRequest) -> dict[str, Any]:
    return {"endpoints": Endpoint.objects.shown()[:6]}
