"""Answers that are made beside ninja: what an attempt made that was cut off (idempotency.py)."""

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from ninja.responses import NinjaJSONEncoder

from core.api.schema import Schema


def of(
    status: int, schema: type[Schema], value: Any, *, headers: Mapping[str, str]
) -> HttpResponse:
    """The answer that an operation gives for ``value``, with these headers."""
    document = schema.model_validate(value).model_dump()
    return HttpResponse(
        json.dumps(document, cls=NinjaJSONEncoder),
        status=status,
        content_type="application/json; charset=utf-8",
        headers=dict(headers),
    )
