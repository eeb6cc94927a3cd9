"""The operations of the site itself: how it stands, and what is to be known today."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from core import readiness, where
from core.api.caller import Scope
from core.api.operations import operation
from core.api.schema import Schema
from core.version import VERSION
from core.worker_watch import WATCH
from mmeportal.today import RunningToday, today

router = Router(tags=["site"])


class PartOut(Schema):
    """The state of a part of the portal."""

    name: str
    state: str = Field(description="ok, degraded or down")
    sentence: str


class StatusOut(Schema):
    """How the portal stands."""

    version: str = Field(description="Of the portal.")
    where: str = Field(description="The local stack, or the account of AWS.")
    local: bool = Field(description="It is a local stack: nothing costs money.")
    region: str
    store: str = Field(description="Where published archives lie, as s3://BUCKET/PREFIX/.")
    worker_problem: str = Field(description="Why no job is done; empty: jobs are done.")
    parts: list[PartOut] | None = Field(description="For admins; null for others.")


@operation(router, "GET", "/status", id="status_get", scope=Scope.READ, response={200: StatusOut})
def status(request: HttpRequest) -> Any:
    """How the portal stands: its version, where it works, and its parts.

    The parts are told to admins alone, as on the page Status.
    """
    parts = None
    if request.user.has_perm("auth.change_user"):
        report = readiness.shared_checks().report()
        parts = [
            {"name": part.name, "state": part.state.value, "sentence": part.sentence}
            for part in report.parts
        ]
    return {
        "version": VERSION,
        "where": where.chip().text,
        "local": where.is_local(),
        "region": settings.AWS_REGION,
        "store": f"s3://{settings.MODEL_BUCKET}/{settings.MODEL_PREFIX}/",
        "worker_problem": str(WATCH.problem() or ""),
        "parts": parts,
    }


class TodayNeedItemOut(Schema):
    """One thing that needs somebody."""

    text: str = Field(description="A short sentence.")
    more: str = Field(description="Why; may be what AWS said. Empty: there is no more to say.")
    page: str = Field(description="The path of the page where one acts.")
    command: str | None = Field(
        description="What the caller may do about it at once, as a command. null: nothing."
    )


class TodayNeedOut(Schema):
    """Things of one kind that need somebody."""

    summary: str = Field(description="Counts them.")
    error: bool = Field(description="Something does not work.")
    items: list[TodayNeedItemOut] = Field(description="The first five.")


class EndTodayOut(Schema):
    """When an endpoint is torn down."""

    endpoint: str
    at: datetime
    idle: bool = Field(description="As nobody calls it; false: by its end date.")


class MonthTodayOut(Schema):
    """What the present month cost so far: an estimate, at most some minutes old."""

    cost: str = Field(description="A decimal number, as are all costs.")
    forecast: str = Field(description="What the whole month will cost, as things are now.")
    currency: str
    unpriced_types: list[str] = Field(description="Instance types without a price: left out.")


class RunningTodayOut(Schema):
    """The endpoints that are not torn down, and what they cost."""

    all: int = Field(description="How many there are.")
    cost_per_hour: str
    cost_per_month: str = Field(description="Of 730 hours.")
    currency: str
    unpriced: int = Field(description="Endpoints without a price: they are left out.")
    month: MonthTodayOut | None = Field(description="null: nothing was added up yet.")
    ends: list[EndTodayOut] = Field(description="The soonest first, 20 at most.")


class CallsOfDayOut(Schema):
    """The portal's calls since midnight, without those that only warm models."""

    all: int
    failed: int
    cold: int
    p50_ms: float | None = Field(description="null: none was answered.")


class TodayOut(Schema):
    """What the page Today shows."""

    needs: list[TodayNeedOut] = Field(description="What needs the caller. Empty: all is quiet.")
    endpoints: RunningTodayOut | None = Field(description="null for who may not see endpoints.")
    calls: CallsOfDayOut | None = Field(description="null for who may not call models.")


@operation(router, "GET", "/today", id="today_get", scope=Scope.READ, response={200: TodayOut})
def get_today(request: HttpRequest) -> Any:
    """What the page Today shows: what needs somebody, what runs and costs, what was called."""
    found = today(request, request.user)
    return {
        "needs": [
            {
                "summary": group.summary,
                "error": group.error,
                "items": [
                    {
                        "text": one.text,
                        "more": one.more,
                        "page": one.url,
                        "command": one.act.command if one.act else None,
                    }
                    for one in group.items
                ],
            }
            for group in found.needs
        ],
        "endpoints": _running_out(found.endpoints) if found.endpoints else None,
        "calls": asdict(found.calls) if found.calls else None,
    }


def _running_out(found: RunningToday) -> dict[str, Any]:
    cost, month = found.total.cost, found.month
    return {
        "all": found.count,
        "cost_per_hour": cost.hourly,
        "cost_per_month": str(cost.per_month),
        "currency": cost.currency,
        "unpriced": found.total.unknown,
        "month": month
        and {
            "cost": month.cost,
            "forecast": month.forecast,
            "currency": month.currency,
            "unpriced_types": list(month.unpriced_types),
        },
        "ends": [asdict(one) for one in found.ends],
    }
