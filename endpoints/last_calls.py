"""When each endpoint was called last: the app that keeps the calls says how to ask for it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.db.models import DateTimeField, Value
from django.db.models.functions import Coalesce

# Endpoints that were never called are sorted before all others, on every database.
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)

#: What rows are sorted by.
ORDER = "last_call_order"

_expressions: list[Callable[[], Any]] = []


def register(expression: Callable[[], Any]) -> None:
    """Let lists ask for the time of the last call by ``expression()``.

    It is a database expression for one row of endpoints, such as a Subquery with
    ``OuterRef("pk")``; NULL where there was no call.
    """
    _expressions[:] = [expression]


def columns() -> dict[str, Any]:
    """What ``annotate`` takes: ``last_call_at``, and ORDER to sort by."""
    at = _expressions[0]() if _expressions else Value(None, output_field=DateTimeField())
    never = Value(_NEVER, output_field=DateTimeField())
    return {"last_call_at": at, ORDER: Coalesce(at, never)}
