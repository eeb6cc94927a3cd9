"""What a webhook is sent: ``{type, timestamp, data}``, as Standard Webhooks advise."""

import json
from datetime import UTC
from typing import Any

from django.conf import settings
from django.utils import translation

from activity import codes
from notices import kinds
from notices.models import Delivery


def body(delivery: Delivery, language: str) -> str:
    """The JSON text of one delivery, the same in each attempt."""
    event = delivery.event
    with translation.override(language):
        data: dict[str, Any] = {
            "id": str(event.pk),
            "event": event.action,
            "sentence": event.sentence,
            "level": event.level,
            "actor": event.actor_name or None,
            "subject": {"kind": event.subject_kind, "name": event.subject_name},
            "model": delivery.model or None,
            "parameters": codes.readable(event.parameters or {}),
            "page": link(delivery.page),
            "api": link(delivery.api),
            "act": _act(delivery),
        }
    at = event.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    document = {"type": delivery.kind, "timestamp": at, "data": data}
    return json.dumps(document, ensure_ascii=False)


def _act(delivery: Delivery) -> dict[str, str | None] | None:
    act = kinds.act_of(delivery.event.action)
    if act is None:
        return None
    return {"label": str(act.label), "page": link(f"{delivery.page}{act.below}")}


def link(path: str) -> str | None:
    """A path of the portal as a link; the path alone where PORTAL_URL is not set."""
    return f"{settings.PORTAL_URL}{path}" if path else None
