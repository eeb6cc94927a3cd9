"""The operations of cost: what a month cost, by endpoint, owner, tag or day; budgets."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from pydantic import Field

from core import clock
from core.api.caller import Scope
from core.api.operations import operation
from core.api.problems import Problem, of_validation_error
from core.api.schema import Input, OneOf, Parameters, Schema
from endpoints import budgets, prices
from endpoints.api import OthersOut, shown_others
from endpoints.budgets import BudgetStanding
from endpoints.rights import LOOKING, MAY_LOOK
from endpoints.spending import Grouping, Spending, SpendingLine, month_named, spending

router = Router(tags=["cost"])

_SETTING = "set budgets"
# untranslated: OpenAPI is in English
_DECIMAL = "A decimal number, as text."
CostGrouping = Annotated[str, OneOf(Grouping)]


class CostParameters(Parameters):
    """Which month, and by what."""

    month: str = Field("", max_length=7, description="As `2026-11`; empty: the present one.")
    by: CostGrouping = Field(Grouping.ENDPOINT.value, description="What each item is.")


class CostLineOut(Schema):
    """What one endpoint, owner, tag or day cost."""

    name: str = Field(
        description="An endpoint, a person, a tag as `key=value`, or a day as `2026-11-03`. Empty: "
        "it has no owner, or no tag."
    )
    instance_hours: str = Field(description=_DECIMAL)
    cost: str = Field(description="Until now, or of the whole month that is over.")
    forecast: str = Field(description="At the end of the month, if nobody changes anything.")
    unpriced_types: list[str] = Field(
        description="Instance types whose price is not known: they are in the hours, and in no "
        "cost."
    )
    idle_days: int | None = Field(
        description="Of an endpoint that runs: days since its last call, or since its creation. "
        "null: nothing runs, or it is no endpoint."
    )


class PriceOut(Schema):
    """What an instance of a type costs."""

    instance_type: str
    per_hour: str = Field(description=_DECIMAL)


class PriceListOut(Schema):
    """The prices that all costs are estimated by."""

    region: str = Field(description="us-east-1 where there are none of the portal's own region.")
    currency: str
    collected: str = Field(description="The day on which they were collected, or read from AWS.")
    source: str = Field(description="From where, as the list says; `AWS Price List`: from AWS.")
    problem: str | None = Field(
        description="Why AWS's price list was not read lately, in the reader's language."
    )
    items: list[PriceOut] = Field(description="By instance type.")


class BudgetOut(Schema):
    """What a month may cost, and what the month has used of it."""

    owner: str | None = Field(description="Of the endpoints of this person. null: of all.")
    tag: str | None = Field(description="Of the endpoints with this tag, as `key=value`.")
    amount: str = Field(description=_DECIMAL)
    currency: str
    cost: str = Field(description="Until now, or of the whole month that is over.")
    forecast: str = Field(description="At the end of the month, if nobody changes anything.")
    percent: int = Field(description="How much of it is used; told of at 50, 80 and 100.")
    set_at: datetime
    set_by: str | None


class CostReportOut(Schema):
    """What a month cost on AWS, by the portal's prices: an estimate."""

    month: str
    since: datetime
    until: datetime = Field(description="The end of the month; months are those of UTC.")
    by: CostGrouping
    currency: str
    instance_hours: str = Field(description=_DECIMAL)
    cost: str = Field(description="Until now, or of the whole month that is over.")
    forecast: str = Field(description="At the end of the month, if nobody changes anything.")
    unpriced_types: list[str]
    items: list[CostLineOut] = Field(
        description="Endpoints that were forgotten come first, the longest idle before; then the "
        "dearest. Days are in their order. An endpoint with several tags is in the item of each."
    )
    budgets: list[BudgetOut] = Field(description="That of all endpoints comes first.")
    estimate: str = Field(description="Where the prices come from, and what they leave out.")
    others: OthersOut = Field(
        description="Endpoints that others made in the account: what they cost now. No sum has it."
    )


class BudgetParameters(Parameters):
    """Which budget; with neither that of all endpoints."""

    owner: str = Field("", max_length=150, description="Of this person's endpoints.")
    tag: str = Field("", max_length=400, description="Of those with this tag, as `key=value`.")


class BudgetIn(Input):
    """What a month may cost."""

    amount: Decimal = Field(
        ge=budgets.LEAST, le=budgets.MOST, decimal_places=2,
        description="In the currency of the prices.",
    )  # fmt: skip
    owner: str = Field("", max_length=150, description="Of this person's endpoints alone.")
    tag: str = Field("", max_length=400, description="Of those with this tag, as `key=value`.")


@operation(
    router, "GET", "/cost", id="cost_get", scope=Scope.READ,
    permission=MAY_LOOK, doing=LOOKING, response={200: CostReportOut},
)  # fmt: skip
def get_cost(request: HttpRequest, query: Query[CostParameters]) -> Any:
    """What the instances of a month cost: those that ran, and a forecast of the present month.

    Instances are counted from when the portal saw them run until it saw them gone, called or not;
    an endpoint that was torn down keeps its hours. On a local stack it is what they would cost on
    AWS.
    """
    now = clock.now()
    month = month_named(query.month, now)
    if month is None:
        said = _("Give a month that has begun, as 2026-11.")
        raise Problem("invalid", errors={"month": [said]})
    return shown(spending(month=month, grouping=Grouping(query.by), now=now))


@operation(
    router, "PUT", "/cost/budget", id="budgets_put", scope=Scope.OPERATE,
    permission=budgets.MAY_SET, doing=_SETTING, response={200: BudgetOut}, problems=(404,),
)  # fmt: skip
def put_budget(request: HttpRequest, body: BudgetIn) -> Any:
    """Set what a month may cost: of all endpoints, of an owner's, or of those with a tag.

    At 50, 80 and 100 % it is told of once a month each: on the pages, by webhooks and by mails. A
    budget with another amount is told of anew. Nothing is stopped.
    """
    owner = _person(body.owner)
    try:
        row = budgets.set_budget(
            amount=body.amount, owner=owner, tag=body.tag,
            actor=request.caller.user,  # type: ignore[attr-defined]
        )  # fmt: skip
    except ValidationError as error:
        raise of_validation_error(error) from None
    standings = budgets.standings(spending())
    return _budget(next(one for one in standings if one.budget.pk == row.pk))


@operation(
    router, "DELETE", "/cost/budget", id="budgets_delete", scope=Scope.OPERATE,
    permission=budgets.MAY_SET, doing=_SETTING, response={204: None}, problems=(404,),
)  # fmt: skip
def delete_budget(request: HttpRequest, query: Query[BudgetParameters]) -> Any:
    """Remove a budget: nobody is told of it any more."""
    owner, actor = _person(query.owner), request.caller.user  # type: ignore[attr-defined]
    if not budgets.remove_budget(owner=owner, tag=query.tag, actor=actor):
        raise Problem("not-found", _("There is no such budget. Nothing was changed."))
    return Status(204, None)


@operation(
    router, "GET", "/cost/prices", id="prices_list", scope=Scope.READ, permission=MAY_LOOK,
    doing=LOOKING, response={200: PriceListOut},
)  # fmt: skip
def list_prices(request: HttpRequest) -> Any:
    """The prices that costs are estimated by: AWS's price list, a file, or the portal's own."""
    found = prices.known()
    return {
        "region": found.region,
        "currency": found.currency,
        "collected": found.collected,
        "source": found.source,
        "problem": str(found.problem) or None,
        "items": [{"instance_type": kind, "per_hour": price} for kind, price in found.by_type],
    }


def _person(name: str) -> User | None:
    """The user of this name; None where none is named. Raises Problem where there is none."""
    if not name:
        return None
    found = None if "\0" in name else User.objects.filter(username=name).first()
    if found is None:
        raise Problem("not-found", _("There is no person %(name)s.") % {"name": name})
    return found


def shown(found: Spending) -> dict[str, Any]:
    """A month as the API has it."""
    return {
        "month": str(found.month),
        "since": found.month.begin,
        "until": found.month.end,
        "by": found.grouping.value,
        "currency": found.currency,
        "instance_hours": str(found.whole.instance_hours),
        "cost": str(found.whole.so_far),
        "forecast": str(found.whole.forecast),
        "unpriced_types": found.whole.unpriced_types,
        "items": [_line(one) for one in found.lines],
        "budgets": [_budget(one) for one in budgets.standings(found)],
        "estimate": found.estimate,
        "others": shown_others(),
    }


def _line(line: SpendingLine) -> dict[str, Any]:
    return {
        "name": line.name,
        "instance_hours": str(line.spent.instance_hours),
        "cost": str(line.spent.so_far),
        "forecast": str(line.spent.forecast),
        "unpriced_types": line.spent.unpriced_types,
        "idle_days": line.idle_days,
    }


def _budget(standing: BudgetStanding) -> dict[str, Any]:
    row, spent = standing.budget, standing.spent
    return {
        "owner": row.owner.get_username() if row.owner is not None else None,
        "tag": row.tag or None,
        "amount": str(row.amount),
        "currency": standing.currency,
        "cost": str(spent.so_far),
        "forecast": str(spent.forecast),
        "percent": standing.percent,
        "set_at": row.set_at,
        "set_by": row.set_by.get_username() if row.set_by is not None else None,
    }
