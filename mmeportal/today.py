"""What the page Today shows, in figures: for the API, and for `mme today`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest

from core import attention
from core.attention import ItemGroup
from core.panels import Viewer
from endpoints import prices
from endpoints.attention import month_so_far, running
from endpoints.budgets import CostSoFar
from endpoints.models import Endpoint
from endpoints.prices import Total
from endpoints.rights import MAY_LOOK
from invocations.panels import MAY_INVOKE
from invocations.today import Calls, calls_today

#: At most this many ends are told, the soonest first.
MOST_ENDS = 20


@dataclass(frozen=True)
class ComingEnd:
    """When an endpoint is torn down: by its end date, or as nobody calls it (``idle``)."""

    endpoint: str
    at: datetime
    idle: bool


@dataclass(frozen=True)
class RunningToday:
    """The endpoints that are not torn down: how many, what they cost, which of them end when.

    ``month``: of the present month; None where nothing was added up yet.
    """

    count: int
    total: Total
    month: CostSoFar | None
    ends: Sequence[ComingEnd]


@dataclass(frozen=True)
class Today:
    """What needs the reader, what runs, and what was called since midnight.

    ``endpoints`` and ``calls`` are None for who may not see them.
    """

    needs: Sequence[ItemGroup]
    endpoints: RunningToday | None
    calls: Calls | None


def today(request: HttpRequest, reader: Viewer) -> Today:
    """All of it, by the functions that the page's panels call."""
    return Today(
        needs=attention.groups(request, reader),
        endpoints=_running(request) if reader.has_perm(MAY_LOOK) else None,
        calls=calls_today() if reader.has_perm(MAY_INVOKE) else None,
    )


def _running(request: HttpRequest) -> RunningToday:
    found = running(request)
    ends = sorted(filter(None, map(_end, found)), key=lambda one: one.at)
    return RunningToday(
        len(found), prices.known().total(found), month_so_far(request), ends[:MOST_ENDS]
    )


def _end(endpoint: Endpoint) -> ComingEnd | None:
    dated, idle = endpoint.expires_at, endpoint.idle_ends_at
    if dated is not None and (idle is None or dated <= idle):
        return ComingEnd(endpoint.name, dated, idle=False)
    return ComingEnd(endpoint.name, idle, idle=True) if idle is not None else None
