"""The tabs above the lists of endpoints."""

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from core.ui import Tab


def list_tabs(request: HttpRequest, *, torn_down: int) -> list[Tab]:
    """Those that run, those torn down, what no endpoint owns, and what all of it costs."""
    running = reverse("endpoints:list")
    ended = reverse("endpoints:torn-down")
    orphaned = reverse("endpoints:orphans")
    cost = reverse("endpoints:cost")
    return [
        Tab(_("Current"), running, request.path == running),
        Tab(_("Torn down"), ended, request.path == ended, torn_down),
        Tab(_("Orphans"), orphaned, request.path == orphaned),
        Tab(_("Cost"), cost, request.path == cost),
    ]
