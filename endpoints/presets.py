"""What an address presets in the forms of a new endpoint and of a change."""

from collections.abc import Mapping

from django.conf import settings


def of_instances(query: Mapping[str, str]) -> dict[str, str | int]:
    """The type and the number of instances that ``query`` names; what cannot be is left out."""
    found: dict[str, str | int] = {}
    kind, number = query.get("instance_type", ""), query.get("instance_count", "")
    if kind in settings.INSTANCE_TYPES:
        found["instance_type"] = kind
    if number.isascii() and number.isdigit() and 1 <= int(number[:5]) <= settings.MAX_INSTANCES:
        found["instance_count"] = int(number)
    return found
