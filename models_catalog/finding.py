"""What the search of the whole site (Ctrl+K) knows of the catalog: models and versions."""

import re
from typing import Any

from django.utils.translation import gettext_lazy as _

from core.palette import MOST_OF_A_SOURCE, Hit
from models_catalog.attention import MAY_LOOK
from models_catalog.models import RegisteredModel, Version

_VERSION = re.compile(r"(\S+)\s+v?(\d{1,9})")


def models(user: Any, query: str) -> list[Hit]:
    """Models by a part of their name; the newest where nothing is asked."""
    if not user.has_perm(MAY_LOOK):
        return []
    found = RegisteredModel.objects.filter(name__icontains=query) if query else None
    rows = found.order_by("name") if found is not None else RegisteredModel.objects.newest_first()
    return [
        Hit(model.name, model.get_absolute_url(), "model", _("Model"))
        for model in rows[:MOST_OF_A_SOURCE]
    ]


def versions(user: Any, query: str) -> list[Hit]:
    """Versions by "name v3", by a part of their note, or by the beginning of a checksum."""
    if not query or not user.has_perm(MAY_LOOK):
        return []
    match = _VERSION.fullmatch(query)
    if match:
        found = Version.objects.filter(model__name__icontains=match[1], number=int(match[2]))
    else:
        found = Version.objects.filter(note__icontains=query)
        found |= Version.objects.with_checksum(query)
    return [
        Hit(_titled(version), version.get_absolute_url(), "file", _("Version"))
        for version in found.defer("report")
        .select_related("model")
        .order_by("-pk")[:MOST_OF_A_SOURCE]
    ]


def _titled(version: Version) -> str:
    return f"{version} · {version.note}" if version.note else str(version)
