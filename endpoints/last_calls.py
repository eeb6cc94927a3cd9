"""When each endpoint was called last: the app that keeps the calls says how to ask for it.

The portal's own calls are in its database. Those that others made are in SageMaker's metrics alone:
who keeps these by the hour writes down when others called last (`Endpoint.others_called_at`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Case, CharField, Count, DateTimeField, Q, QuerySet, Value, When
from django.db.models.functions import Cast, Coalesce, Greatest, NullIf

# Endpoints that were never called are sorted before all others, on every database.
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)

#: What rows are sorted by.
ORDER = "last_call_order"


@dataclass(frozen=True)
class CallsToday:
    """The portal's calls of an endpoint since midnight, and how many of them were cold starts."""

    all: int = 0
    cold: int = 0

    @property
    def cold_percent(self) -> int:
        """The share of cold starts, in percent."""
        return round(100 * self.cold / self.all) if self.all else 0


_today: list[Callable[[], QuerySet[Any]]] = []
_expressions: list[Callable[[], Any]] = []
_measured: list[Callable[[Any, datetime], datetime | None]] = []


def register(expression: Callable[[], Any]) -> None:
    """Let lists ask for the time of the last call by ``expression()``.

    It is a database expression for one row of endpoints, such as a Subquery with
    ``OuterRef("pk")``; NULL where there was no call.
    """
    _expressions[:] = [expression]


def register_measured(ask: Callable[[Any, datetime], datetime | None]) -> None:
    """Let SageMaker's metrics be asked by ``ask(endpoint, since)``; see `measured_since`."""
    _measured[:] = [ask]


def register_today(calls: Callable[[], QuerySet[Any]]) -> None:
    """Let the calls since midnight be counted: rows with ``endpoint`` and ``cold``."""
    _today[:] = [calls]


def today(endpoints: Sequence[Any]) -> dict[int, CallsToday]:
    """The calls since midnight of each of these endpoints; one query."""
    found: dict[int, CallsToday] = {}
    if _today and endpoints:
        rows = _today[0]().filter(endpoint__in=[one.pk for one in endpoints]).order_by()
        counts = rows.values("endpoint").annotate(
            all=Count("pk"), colds=Count("pk", filter=Q(cold=True))
        )
        found = {row["endpoint"]: CallsToday(row["all"], row["colds"]) for row in counts}
    return {one.pk: found.get(one.pk, CallsToday()) for one in endpoints}


def today_by_temperature() -> tuple[QuerySet[Any] | None, Any, Any]:
    """The calls since midnight, with the expressions of their endpoint and of cold, as texts.

    For who counts other things by the same query.
    """
    cold = Case(When(cold=True, then=Value("cold")), default=Value(""), output_field=CharField())
    return _today[0]() if _today else None, Cast("endpoint", CharField()), cold


def measured_since(endpoint: Any, since: datetime) -> datetime | None:
    """The last call of an endpoint after ``since`` by SageMaker's metrics, whoever made it.

    None: there was none. One of the last minutes may not be in the metrics yet. Takes some seconds
    at most. Raises an AwsError where the metrics cannot be read.
    """
    return _measured[0](endpoint, since)


def columns() -> dict[str, Any]:
    """What ``annotate`` takes: ``last_call_at``, whoever called, and ORDER to sort by."""
    never = Value(_NEVER, output_field=DateTimeField())
    others = [Coalesce(name, never) for name in ("others_called_at", "idle_call_at")]
    last = Greatest(Coalesce(_own(), never), *others)
    return {"last_call_at": NullIf(last, never), ORDER: last}


def own_columns() -> dict[str, Any]:
    """As `columns`, with the portal's own calls alone: ``last_call_at``."""
    return {"last_call_at": _own()}


def _own() -> Any:
    return _expressions[0]() if _expressions else Value(None, output_field=DateTimeField())
