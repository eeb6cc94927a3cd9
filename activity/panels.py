"""What the home page and the navigation show of events."""

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from activity.models import Event
from core import panels

MAY_LOOK = "activity.view_event"


def register_all() -> None:
    """Register the panels of this module."""
    panels.register_link(_("Activity"), "activity", "activity:list", permission=MAY_LOOK, order=40)
    panels.register("home.aside", "activity/_home.html", permission=MAY_LOOK, context=_events)


def _events(request: HttpRequest) -> dict[str, Any]:
    return {"events": Event.objects.newest().readable_by(request.user)[:8]}
