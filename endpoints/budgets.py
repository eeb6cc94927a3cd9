"""Budgets of a month: of all endpoints, of those of an owner, or of those with a tag.

Beat adds up what the present month cost (spending.py), tells once a month each when half, most, and
all of a budget is used, and keeps the figures for the home page. A budget that is set anew is told
of anew. Nothing is stopped: what to do is a person's decision.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from activity.codes import Scalar
from activity.models import Event
from activity.services import record
from core import clock
from core.badges import Badge
from core.jobs import enqueue_on_commit
from endpoints import prices
from endpoints.models import Budget, MonthSoFar
from endpoints.months import Month
from endpoints.spending import Spending, Spent, spending

logger = logging.getLogger(__name__)

MAY_SET = "endpoints.set_budget"
#: Percent of a budget at which it is told of, once a month each.
TOLD_AT = (50, 80, 100)
LEAST, MOST = Decimal("0.01"), Decimal(1_000_000_000)
SWEEP = "endpoints.tasks.sweep_budgets"
_ROW = 1
_NOTHING = Spent()


@dataclass(frozen=True)
class BudgetStanding:
    """A budget, and what a month cost of it."""

    budget: Budget
    spent: Spent
    currency: str
    current: bool  # whether it is the present month

    @property
    def percent(self) -> int:
        """How much of it is used, in whole percent, rounded down."""
        return int(100 * self.spent.cost / self.budget.amount)

    @property
    def forecast_percent(self) -> int:
        """How much of it will be used at the end of the month."""
        return int(100 * (self.spent.cost + self.spent.expected) / self.budget.amount)

    @property
    def reached(self) -> int:
        """The highest of TOLD_AT that is reached; 0: none."""
        return max((level for level in TOLD_AT if self.percent >= level), default=0)

    @property
    def badge(self) -> Badge | None:
        """What is shown beside it: which level is reached, or that all will be used."""
        if self.reached:
            said = {50: _("half used"), 80: _("nearly all used"), 100: _("over budget")}
            return Badge("failed" if self.reached == TOLD_AT[-1] else "idle", said[self.reached])
        if self.current and self.forecast_percent >= 100:
            return Badge("idle", _("will go over budget"))
        return None

    @property
    def href(self) -> str:
        """The address of its form."""
        owner = self.budget.owner.get_username() if self.budget.owner is not None else ""
        query = urlencode({"owner": owner, "tag": self.budget.tag})
        return f"{reverse('endpoints:budget')}?{query}"

    @property
    def shown(self) -> int:
        """The percentage of a bar."""
        return min(self.percent, 100)


def standings(found: Spending) -> list[BudgetStanding]:
    """Every budget with what a month cost of it, that of all endpoints first; one query."""
    rows = Budget.objects.select_related("owner", "set_by").order_by("owner__username", "tag")
    made = [BudgetStanding(row, _spent(row, found), found.currency, found.current) for row in rows]
    return sorted(made, key=lambda one: (not one.budget.of_all, one.budget.owner is None))


def _spent(row: Budget, found: Spending) -> Spent:
    if row.owner is not None:
        return found.owners.get(row.owner.get_username(), _NOTHING)
    return found.tags.get(row.tag, _NOTHING) if row.tag else found.whole


@transaction.atomic
def set_budget(
    *, amount: Decimal, owner: User | None = None, tag: str = "", actor: User | None
) -> Budget:
    """Set what a month may cost, in the currency of the prices; idempotent.

    Of all endpoints, or of those of ``owner``, or of those with ``tag``, as key=value. Raises
    ValidationError, by field, with nothing changed.
    """
    _check(owner, tag)
    if not amount.is_finite() or not LEAST <= amount <= MOST:
        said = _("Give a number from %(least)s to %(most)s.") % {"least": LEAST, "most": MOST}
        raise ValidationError({"amount": said})
    amount = amount.quantize(Decimal("0.01"))
    values = {"amount": amount, "set_at": clock.now(), "set_by": actor}
    # Of two who set the first one at a time, the second finds that of the other.
    row, made = Budget.objects.select_for_update().get_or_create(
        owner=owner, tag=tag, defaults=values
    )
    if not made:
        if row.amount == amount:
            return row
        row.amount, row.set_at, row.set_by = amount, clock.now(), actor
        row.told_month, row.told_percent = "", 0
        row.save()
    facts: dict[str, Scalar] = {
        "what": row.what,
        "amount": str(amount),
        "currency": prices.known().currency,
    }
    record(action="budget.set", subject=row, actor=actor, parameters=facts)
    enqueue_on_commit(SWEEP)
    return row


@transaction.atomic
def remove_budget(*, owner: User | None = None, tag: str = "", actor: User | None) -> bool:
    """Remove a budget; False where there is none."""
    row = Budget.objects.select_for_update().filter(owner=owner, tag=tag).first()
    if row is None:
        return False
    record(action="budget.removed", subject=row, actor=actor, parameters={"what": row.what})
    row.delete()
    enqueue_on_commit(SWEEP)
    return True


def _check(owner: User | None, tag: str) -> None:
    if owner is not None and tag:
        raise ValidationError({"tag": _("A budget is of an owner or of a tag, not of both.")})
    if tag and not (tag.isprintable() and 0 < tag.find("=") < len(tag)):
        raise ValidationError({"tag": _("Give a tag as key=value.")})


def sweep() -> int:
    """Tell of the budgets that are used, and keep the figures of the month; how many were told of.

    What is told of is noted in the same transaction, so that it is told once however often this
    runs, and is told after a kill.
    """
    found = spending()
    all_of_them = standings(found)
    told = sum(_tell(one, found.month) for one in all_of_them if one.reached)
    MonthSoFar.objects.update_or_create(
        pk=_ROW, defaults={"until": found.month.end, "figures": _figures(found, all_of_them)}
    )
    return told


@transaction.atomic
def _tell(standing: BudgetStanding, month: Month) -> bool:
    row = Budget.objects.select_for_update().filter(pk=standing.budget.pk).first()
    if row is None or row.amount != standing.budget.amount:  # the next sweep reckons anew
        return False
    before = row.told_percent if row.told_month == str(month) else 0
    if before >= standing.reached:
        return False
    row.told_month, row.told_percent = str(month), standing.reached
    row.save(update_fields=["told_month", "told_percent"])
    spent, level = standing.spent, Event.Level.WARNING
    logger.info("budget %s of %s: %s percent are used", row.pk, month, standing.percent)
    record(
        action="budget.reached",
        subject=row,
        level=Event.Level.ERROR if standing.reached >= max(TOLD_AT) else level,
        parameters={
            "what": row.what,
            "month": str(month),
            "percent": standing.percent,
            "spent": str(spent.so_far),
            "forecast": str(spent.forecast),
            "amount": str(row.amount),
            "currency": standing.currency,
        },
    )
    return True


# --- what the home page says ---------------------------------------------------------------


@dataclass(frozen=True)
class BudgetSoFar:
    """A budget as it was last added up. ``owner`` and ``tag`` are empty for that of all."""

    owner: str
    tag: str
    amount: str
    cost: str
    percent: int

    @property
    def reached(self) -> int:
        """The highest of TOLD_AT that is reached; 0: none."""
        return max((level for level in TOLD_AT if self.percent >= level), default=0)

    @property
    def of_all(self) -> bool:
        """Whether it is that of all endpoints."""
        return not self.owner and not self.tag


@dataclass(frozen=True)
class CostSoFar:
    """What the present month cost, as it was last added up, at most some minutes ago."""

    cost: str
    forecast: str
    currency: str
    unpriced_types: Sequence[str]
    budgets: Sequence[BudgetSoFar]

    @property
    def budget(self) -> BudgetSoFar | None:
        """That of all endpoints; None: there is none."""
        return next((one for one in self.budgets if one.of_all), None)

    @property
    def reached(self) -> list[BudgetSoFar]:
        """The budgets of which at least half is used, the most used first."""
        found = [one for one in self.budgets if one.reached]
        return sorted(found, key=lambda one: -one.percent)


def _figures(found: Spending, all_of_them: Sequence[BudgetStanding]) -> dict[str, Any]:
    return {
        "cost": str(found.whole.so_far),
        "forecast": str(found.whole.forecast),
        "currency": found.currency,
        "unpriced_types": found.whole.unpriced_types,
        "budgets": [
            {
                "owner": one.budget.owner.get_username() if one.budget.owner else "",
                "tag": one.budget.tag,
                "amount": str(one.budget.amount),
                "cost": str(one.spent.so_far),
                "percent": one.percent,
            }
            for one in all_of_them
        ],
    }


def so_far(figures: dict[str, Any] | None) -> CostSoFar | None:
    """What was kept; None where there is nothing."""
    if not figures:
        return None
    rest = {name: figures[name] for name in ("cost", "forecast", "currency", "unpriced_types")}
    return CostSoFar(**rest, budgets=[BudgetSoFar(**one) for one in figures["budgets"]])
