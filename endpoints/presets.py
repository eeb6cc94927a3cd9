"""What presets the forms of a new endpoint and of a change: a purpose, or an address."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock
from endpoints import end_dates


class Preset(models.TextChoices):
    """What a new endpoint is for."""

    TRY = "try", _("Try it out")
    PRODUCTION = "production", _("Production")


_TRIED_FOR = timedelta(days=1)


def values(preset: str) -> dict[str, Any]:
    """What a preset says, by the names of the API; nothing for one that is not known.

    To try it out: one instance of the first of INSTANCE_TYPES, for a day. For production: two of
    the second, so that calls go on when one fails, and ten minutes to start and to download.
    """
    types = settings.INSTANCE_TYPES
    if preset == Preset.TRY:
        ends = end_dates.to_the_minute(clock.now() + _TRIED_FOR)
        return {"instance_type": types[0], "instance_count": 1, "expires_at": ends}
    if preset == Preset.PRODUCTION:
        return {
            "instance_type": types[min(1, len(types) - 1)],
            "instance_count": min(2, settings.MAX_INSTANCES),
            "startup_timeout_s": 600,
            "download_timeout_s": 600,
        }
    return {}


def of_instances(query: Mapping[str, str]) -> dict[str, str | int]:
    """The type and the number of instances that ``query`` names; what cannot be is left out."""
    found: dict[str, str | int] = {}
    kind, number = query.get("instance_type", ""), query.get("instance_count", "")
    if kind in settings.INSTANCE_TYPES:
        found["instance_type"] = kind
    if number.isascii() and number.isdigit() and 1 <= int(number[:5]) <= settings.MAX_INSTANCES:
        found["instance_count"] = int(number)
    return found
