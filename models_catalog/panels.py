"""What Today and the navigation show of models."""

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core import attention, panels
from models_catalog import trying
from models_catalog.attention import MAY_LOOK, in_stores, rejected
from models_catalog.models import Version

SHOWN = 6


def register_all() -> None:
    """Register the panels of this module, and what needs somebody."""
    panels.register_link(_("Models"), "model", "models_catalog:list", permission=MAY_LOOK, order=10)
    panels.register(
        "home.more", "models_catalog/_home.html", permission=MAY_LOOK, context=_uploads, order=20
    )
    panels.register(
        "home.actions",
        "models_catalog/_upload_button.html",
        permission="models_catalog.add_version",
        context=_nothing_more,
    )
    panels.register(
        "first-steps.try",
        "models_catalog/_try.html",
        permission="models_catalog.add_version",
        context=_archives_to_try,
    )
    attention.register(in_stores, permission=MAY_LOOK, order=15)
    attention.register(rejected, permission=MAY_LOOK, order=20)


def _uploads(request: HttpRequest) -> dict[str, Any]:
    newest = Version.objects.defer("report").select_related("model", "created_by").order_by("-pk")
    return {"versions": newest[:SHOWN]}


def _nothing_more(request: HttpRequest) -> dict[str, Any]:
    return {}


def _archives_to_try(request: HttpRequest) -> dict[str, Any] | None:
    return {} if trying.available() else None
