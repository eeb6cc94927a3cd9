"""What instances cost: by AWS's price list, or by hand, in prices.json or the file of PRICE_LIST.

The file of PRICE_LIST comes first, then what price_list.py read from AWS. Each figure is an
estimate. It is that of the instances alone: storage, data transfer, CloudWatch and taxes come on
top, and discounts are not known.
"""

import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from core import where
from core.remembered import Remembered
from core.sentences import Sentence
from endpoints.models import Endpoint, PriceLook, Running
from endpoints.working_hours import WorkingHours

#: As AWS's own calculator counts.
HOURS_A_MONTH = 730
_SECONDS_A_WEEK = 7 * 24 * 3600
_OURS = Path(__file__).with_name("prices.json")
#: Its prices are shown where a file has none of the portal's region.
_FALLBACK_REGION = "us-east-1"
#: Prices change once in years, and each page with a cost looks at them. In a tuple, as a row that
#: is not there is remembered, too.
_rows: Remembered[str, tuple[PriceLook | None]] = Remembered(keep_s=60)


@dataclass(frozen=True)
class PriceList:
    """Prices of instance types in one region, in ``currency`` an hour."""

    region: str
    currency: str
    #: The day on which they were collected, and from where; both as the file says.
    collected: str
    source: str
    per_hour: dict[str, Decimal]
    #: Whether AWS's price list said so.
    by_aws: bool = False
    #: Why AWS's price list is not what counts, in the reader's language; empty: nothing is wrong.
    problem: Sentence | str = ""

    def cost(self, instance_type: str, instance_count: int) -> "Cost | None":
        """What so many instances cost; None where the list does not have their type."""
        price = self.per_hour.get(instance_type)
        return None if price is None else Cost(price * instance_count, self.currency)

    def cost_of(self, running: Running) -> "Cost | None":
        """What all instances cost together; None where the price of one of them is not known."""
        costs = [
            self.cost(one.instance_type, one.instance_count)
            for one in running.parts
            if one.instance_count
        ]
        return None if None in costs or not costs else self.sum_of(costs)

    def of(self, endpoint: Endpoint) -> "Cost | None":
        """What runs of an endpoint costs; None where nothing runs, or the price is not known.

        A month of one with working hours has these alone.
        """
        cost = self.cost_of(endpoint.running) if endpoint.has_instances else None
        return in_hours(cost, endpoint.working_hours)

    def sum_of(self, costs: Iterable["Cost | None"]) -> "Cost":
        """All of them together; None costs nothing."""
        known = [one for one in costs if one is not None]
        whole = sum((one.per_hour for one in known), Decimal(0))
        month = sum((one.per_hour * one.hours for one in known), Decimal(0))
        return Cost(whole, self.currency, month / whole if whole else Decimal(HOURS_A_MONTH))

    def of_limits(self, endpoint: Endpoint) -> "tuple[Cost, Cost] | None":
        """What the fewest and the most instances cost that autoscaling may give an endpoint.

        None where it is not scaled, or the price is not known.
        """
        limits, kind = endpoint.limits, endpoint.running.instance_type
        if limits is None or kind not in self.per_hour or not endpoint.has_instances:
            return None
        price = self.per_hour[kind]
        low, high = price * limits.fewest, price * limits.highest
        return Cost(low, self.currency), Cost(high, self.currency)

    def total(self, endpoints: Iterable[Endpoint]) -> "Total":
        """What runs of all these costs."""
        paid = [one for one in endpoints if one.has_instances and one.running.instance_count]
        costs = [cost for one in paid if (cost := self.of(one)) is not None]
        return Total(self.sum_of(costs), counted=len(costs), unknown=len(paid) - len(costs))

    @property
    def by_type(self) -> list[tuple[str, str]]:
        """Instance types by name, and their prices without zeros at the end."""
        return [(kind, f"{price.normalize():f}") for kind, price in sorted(self.per_hour.items())]

    @property
    def estimate(self) -> str:
        """Where the prices come from, and what a cost leaves out."""
        told = {"region": self.region, "day": self.collected}
        said = (
            _(
                "An estimate: prices of %(region)s, read from AWS’s price list on %(day)s, for a "
                "month of 730 hours. Storage, data transfer, CloudWatch, taxes and discounts are "
                "left out."
            )
            if self.by_aws
            else _(
                "An estimate: prices of %(region)s, collected on %(day)s, for a month of 730 "
                "hours. Storage, data transfer, CloudWatch, taxes and discounts are left out."
            )
        )
        said %= told
        if self.region != settings.AWS_REGION:
            more = _("The list has no prices of %(region)s.") % {"region": settings.AWS_REGION}
            said = f"{said} {more}"
        if where.is_local():
            local = _("On this local stack it costs nothing; this is what it would cost on AWS.")
            said = f"{local} {said}"
        return said


# By hand, of us-east-1, in USD a month (the pricing pages of CloudWatch and S3): a standard alarm,
# and a GiB of log lines or of S3 Standard.
_ALARM_A_MONTH = Decimal("0.10")
_LOGS_A_MONTH = Decimal("0.03")
_S3_A_MONTH = Decimal("0.023")
_GIB = 1 << 30
_CENT = Decimal("0.01")


def of_alarm() -> "Cost":
    """What an alarm costs."""
    return _monthly(_ALARM_A_MONTH)


def of_log_lines(size_bytes: int) -> "Cost | None":
    """What log lines of so many bytes cost while they are kept; None: less than a cent a month."""
    return _if_seen(_LOGS_A_MONTH * size_bytes / _GIB)


def of_object(size_bytes: int) -> "Cost | None":
    """The same of an object in S3."""
    return _if_seen(_S3_A_MONTH * size_bytes / _GIB)


def _if_seen(per_month: Decimal) -> "Cost | None":
    return _monthly(per_month) if per_month >= _CENT else None


def _monthly(per_month: Decimal) -> "Cost":
    return Cost((per_month / HOURS_A_MONTH).quantize(Decimal("0.000001")), "USD")


@dataclass(frozen=True)
class Cost:
    """What instances cost while they run, whether they are called or not."""

    per_hour: Decimal
    currency: str
    #: How many hours of a month it runs.
    hours: Decimal = Decimal(HOURS_A_MONTH)

    @property
    def hourly(self) -> str:
        """``per_hour`` without zeros at its end."""
        return f"{self.per_hour.normalize():f}"

    @property
    def said(self) -> str:
        """Both in the reader's language."""
        told = {"hour": self.hourly, "month": self.per_month, "currency": self.currency}
        return _("%(hour)s %(currency)s an hour, %(month)s %(currency)s a month") % told

    @property
    def per_month(self) -> Decimal:
        """The same for a month of 730 hours, or for those that it works, to the cent."""
        return (self.per_hour * self.hours).quantize(Decimal("0.01"))


def in_hours(cost: Cost | None, hours: WorkingHours | None) -> Cost | None:
    """The same cost where instances run within working hours alone; None: always."""
    if cost is None or hours is None:
        return cost
    weekly = Decimal(int(hours.weekly.total_seconds()))
    return replace(cost, hours=HOURS_A_MONTH * weekly / _SECONDS_A_WEEK)


@dataclass(frozen=True)
class Total:
    """What several endpoints cost: ``counted`` of them, without ``unknown``, whose price is not
    known.
    """

    cost: Cost
    counted: int
    unknown: int


def check() -> None:
    """At the start, when the database may have no tables yet, so without a look at it.

    Raises ImproperlyConfigured, with what is wrong, where PRICE_LIST names no such file.
    """
    if settings.PRICE_LIST:
        _read(Path(settings.PRICE_LIST), settings.AWS_REGION)


def known() -> PriceList:
    """The prices of the portal's region; those of us-east-1 where there are none of it.

    Raises ImproperlyConfigured, with what is wrong, where PRICE_LIST names no such file.
    """
    region = settings.AWS_REGION
    if settings.PRICE_LIST:
        return _read(Path(settings.PRICE_LIST), region)
    ours = _read(_OURS, region)
    if not asks_aws():
        return ours
    found = _rows.get(region, lambda: (PriceLook.objects.filter(region=region).first(),))
    row = found[0] if found else None
    if row is None:
        return ours
    if row.read_at is None:
        return replace(ours, problem=row.problem_said)
    return PriceList(
        region=region,
        currency=row.currency,
        collected=row.read_at.date().isoformat(),
        source="AWS Price List",
        per_hour={kind: Decimal(price) for kind, price in row.per_hour.items()},
        by_aws=True,
        problem=row.problem_said if row.problem else "",
    )


def asks_aws() -> bool:
    """Whether AWS's price list is read: not where a file counts, and not on a local stack."""
    return settings.PRICES_FROM_AWS and not settings.PRICE_LIST and not where.is_local()


def forget() -> None:
    """Look at what was read from AWS again at the next use, in this process."""
    _rows.clear()


@functools.lru_cache(maxsize=4)
def _read(path: Path, region: str) -> PriceList:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        regions: dict[str, dict[str, str]] = data["regions"]
        chosen = region if region in regions else _FALLBACK_REGION
        prices = {kind: Decimal(price) for kind, price in regions.get(chosen, {}).items()}
        return PriceList(
            region=chosen,
            currency=data["currency"],
            collected=data["collected"],
            source=data["source"],
            per_hour=prices,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise ImproperlyConfigured(
            f"PRICE_LIST: {path} is no list of prices (see docs/settings.md): {error!r}"
        ) from error
