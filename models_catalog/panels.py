"""What the home page and the navigation show of models."""

from typing import Any

from django.http import HttpRequest

from core import panels
from models_catalog.models import RegisteredModel

MAY_LOOK = "models_catalog.view_model"


def register_all() -> None:
    """Register the panels of this module."""
    panels.register_link("Models", "model", "models_catalog:list", permission=MAY_LOOK, order=10)
    panels.register(
        "home", "models_catalog/_home.html", permission=MAY_LOOK, context=_models, order=20
    )
    panels.register(
        "home.actions",
        "models_catalog/_upload_button.html",
        permission="models_catalog.add_version",
        context=_nothing_more,
    )


def _models(request: HttpRequest) -> dict[str, Any]:
    return {"models": RegisteredModel.objects.with_latest_version()[:6]}


def _nothing_more(request: HttpRequest) -> dict[str, Any]:
    return {}
