"""What instances cost in a month: what ran, and what goes on to run until its end.

What ran is in rows (instance_runs.py); the rest of the present month is a forecast: what runs now
goes on, until its end date and within its working hours. Each figure is an estimate by the prices
of today (prices.py). Months and days are those of UTC, as on AWS's bill.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Exists, Min, OuterRef, Q, TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core import clock
from endpoints import last_calls, prices
from endpoints.models import Endpoint, InstanceRun
from endpoints.months import Month, by_day
from endpoints.prices import PriceList

#: An endpoint that nobody has called for so long may have been forgotten.
IDLE_TOLD = timedelta(days=7)
_CENT = Decimal("0.01")
_TENTH = Decimal("0.1")
_HOUR = Decimal(3600)


class Grouping(TextChoices):
    """By what costs are shown."""

    ENDPOINT = "endpoint", gettext_lazy("By endpoint")
    OWNER = "owner", gettext_lazy("By owner")
    TAG = "tag", gettext_lazy("By tag")
    DAY = "day", gettext_lazy("By day")


@dataclass
class Spent:
    """Instance-hours and what they cost. ``unpriced``: hours of each type whose price is not known;
    they are in ``hours``, and in no cost.
    """

    hours: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    expected: Decimal = Decimal(0)
    unpriced: dict[str, Decimal] = field(default_factory=dict)

    @property
    def so_far(self) -> Decimal:
        """What it cost, to the cent."""
        return self.cost.quantize(_CENT)

    @property
    def forecast(self) -> Decimal:
        """What it will have cost at the end of the month, to the cent."""
        return (self.cost + self.expected).quantize(_CENT)

    @property
    def instance_hours(self) -> Decimal:
        """The hours that instances ran, to a tenth."""
        return self.hours.quantize(_TENTH)

    @property
    def unpriced_types(self) -> list[str]:
        """The types whose price is not known."""
        return sorted(self.unpriced)

    def add(self, piece: "_Piece", length: timedelta, price: Decimal | None) -> None:
        """Count a part of a piece."""
        if not piece.expected:
            self.count(piece.instance_type, piece.instance_count, length, price)
            return
        self.expected += _hours(piece.instance_count, length) * (price or 0)
        if price is None:
            self.unpriced.setdefault(piece.instance_type, Decimal(0))

    def count(self, kind: str, instances: int, length: timedelta, price: Decimal | None) -> None:
        """Count instances of a type that ran for so long, at their price an hour."""
        hours = _hours(instances, length)
        self.hours += hours
        self.cost += hours * (price or 0)
        if price is None:
            self.unpriced[kind] = self.unpriced.get(kind, Decimal(0)) + hours


def _hours(instances: int, length: timedelta) -> Decimal:
    return Decimal(instances) * Decimal(length.total_seconds()) / _HOUR


@dataclass
class SpendingLine:
    """What one endpoint, owner, tag or day cost.

    ``name`` is empty for what has no owner, or no tag. ``endpoint`` is None but for an endpoint's
    line; ``idle``: how long that one runs without a call, None where nothing runs.
    """

    name: str
    spent: Spent = field(default_factory=Spent)
    endpoint: Endpoint | None = None
    idle: timedelta | None = None

    @property
    def forgotten(self) -> bool:
        """Whether it runs, and nobody has called it for a week."""
        return self.idle is not None and self.idle >= IDLE_TOLD

    @property
    def idle_days(self) -> int | None:
        """Whole days without a call."""
        return None if self.idle is None else self.idle.days


@dataclass(frozen=True)
class Spending:
    """What a month cost. ``months``: those that can be asked for, the present one first."""

    month: Month
    now: datetime
    grouping: Grouping
    prices: PriceList
    whole: Spent
    lines: Sequence[SpendingLine]
    days: Sequence[SpendingLine]
    owners: dict[str, Spent]
    tags: dict[str, Spent]
    months: Sequence[Month]

    @property
    def current(self) -> bool:
        """Whether the month goes on, so that its end is a forecast."""
        return self.month == Month.of(self.now)

    @property
    def currency(self) -> str:
        """Of all figures."""
        return self.prices.currency

    @property
    def estimate(self) -> str:
        """What the figures are, and what they leave out."""
        said = _(
            "Instance-hours are those that the portal saw, in UTC, at the prices of today. Data "
            "capture, and what others made in this account, are left out, too."
        )
        return f"{self.prices.estimate} {said}"


@dataclass(frozen=True)
class _Piece:
    """A number of instances of a type from a time to a time; ``expected``: not yet."""

    endpoint: int
    instance_type: str
    instance_count: int
    begin: datetime
    end: datetime
    expected: bool = False


def so_far(endpoints: Iterable[Endpoint], now: datetime | None = None) -> dict[int, Spent]:
    """What each endpoint cost since it was created, by its primary key; one query."""
    known, found = prices.known(), {one.pk: Spent() for one in endpoints}
    for run in InstanceRun.objects.filter(endpoint__in=found).lasted(now):
        found[run["endpoint_id"]].count(
            run["instance_type"],
            run["instance_count"],
            max(run["length"], timedelta(0)),
            known.per_hour.get(run["instance_type"]),
        )
    return found


def month_named(text: str, now: datetime) -> Month | None:
    """The month that is written as 2026-11; the present one where nothing is.

    None where it is no month, or is still to come.
    """
    present = Month.of(now)
    month = Month.parse(text) if text else present
    return month if month is not None and month <= present else None


def spending(
    *,
    month: Month | None = None,
    grouping: Grouping = Grouping.ENDPOINT,
    now: datetime | None = None,
) -> Spending:
    """What a month cost, the present one by default; three queries."""
    now = now or clock.now()
    month = month or Month.of(now)
    known = prices.known()
    endpoints = {one.pk: one for one in _endpoints_of(month)}
    runs = list(InstanceRun.objects.between(month.begin, min(month.end, now)))
    pieces = _pieces(runs, month, now)
    if month == Month.of(now):
        pieces += _expected(endpoints.values(), runs, now, month.end)
    sums = _Sums(known, month, endpoints)
    for piece in pieces:
        sums.add(piece)
    lines = sums.lines(grouping)
    if grouping == Grouping.ENDPOINT:
        running = {run.endpoint_id for run in runs if run.ended_at is None}
        for line in lines:
            if line.endpoint is not None and line.endpoint.pk in running:
                line.idle = max(now - _last_used(line.endpoint), timedelta(0))
    return Spending(
        month=month,
        now=now,
        grouping=grouping,
        prices=known,
        whole=sums.whole,
        lines=_sorted(lines, grouping),
        days=sums.lines(Grouping.DAY),
        owners=sums.by[Grouping.OWNER],
        tags=sums.by[Grouping.TAG],
        months=_months(month, now),
    )


def _endpoints_of(month: Month) -> Iterable[Endpoint]:
    """Those that ran in a month, and those that are there: a paused one may run again."""
    ran = InstanceRun.objects.between(month.begin, month.end).filter(endpoint=OuterRef("pk"))
    rows = Endpoint.objects.filter(Q(Exists(ran)) | Q(gone_at=None))
    return rows.select_related("owner", "created_by").annotate(**last_calls.columns())


def _last_used(endpoint: Endpoint) -> datetime:
    """Its last call, whoever made it, as far as it is known; else when it was created."""
    return endpoint.last_call_at or endpoint.created_at


def _months(chosen: Month, now: datetime) -> list[Month]:
    """From the present month back to that of the first run; the chosen one is among them."""
    first = InstanceRun.objects.aggregate(first=Min("begun_at"))["first"]
    last = min(Month.of(first) if first else Month.of(now), chosen)
    month = max(Month.of(now), chosen)
    found = [month]
    while month > last:
        month = month.before
        found.append(month)
    return found


def _pieces(runs: Iterable[InstanceRun], month: Month, now: datetime) -> list[_Piece]:
    """What ran in the month."""
    until = min(month.end, now)
    found = []
    for run in runs:
        begin, end = max(run.begun_at, month.begin), min(run.ended_at or until, until)
        if begin < end:
            piece = _Piece(run.endpoint_id, run.instance_type, run.instance_count, begin, end)
            found.append(piece)
    return found


def _expected(
    endpoints: Iterable[Endpoint], runs: Iterable[InstanceRun], now: datetime, end: datetime
) -> list[_Piece]:
    """What will run until the end of the month, if nobody changes anything."""
    going_on: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for run in runs:
        if run.ended_at is None:
            going_on[run.endpoint_id].append((run.instance_type, run.instance_count))
    found = []
    for endpoint in endpoints:
        running = going_on.get(endpoint.pk, [])
        sizes = running or [
            (one.instance_type, one.instance_count) for one in endpoint.requested.parts
        ]
        for begin, until in expected_times(endpoint, running=bool(running), now=now, end=end):
            found += [_Piece(endpoint.pk, *size, begin, until, expected=True) for size in sizes]
    return found


def expected_times(
    endpoint: Endpoint, *, running: bool, now: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """When an endpoint will run from now to ``end``: until its end date, in its working hours.

    One that is idle ends then, too, where somebody was told of it: before, a call may come. What
    does not run, and resumes at no known time, is not expected to.
    """
    if endpoint.gone_at is not None or endpoint.tearing_down:
        return
    if endpoint.expires_at is not None:
        end = min(end, endpoint.expires_at)
    if endpoint.idles and endpoint.idle_ends_at is not None:
        end = min(end, endpoint.idle_ends_at)
    hours, at = endpoint.working_hours, now
    if running and not endpoint.to_pause:
        until = end if hours is None else endpoint.pauses_at or hours.closes_after(now)
    elif endpoint.to_pause and endpoint.resumes_at is not None:
        at = max(now, endpoint.resumes_at)
        until = end if hours is None else hours.closes_after(at)
    else:
        return
    while at < end:
        if at < until:
            yield at, min(until, end)
        if hours is None:
            return
        at = hours.opens_after(max(until, now))
        until = hours.closes_after(at)


class _Sums:
    """The pieces of a month, added up in each way."""

    def __init__(self, known: PriceList, month: Month, endpoints: dict[int, Endpoint]) -> None:
        self.whole = Spent()
        self.by: dict[Grouping, dict[Any, Spent]] = {
            one: defaultdict(Spent) for one in (Grouping.ENDPOINT, Grouping.OWNER, Grouping.TAG)
        }
        self.by[Grouping.DAY] = {day: Spent() for day in month.days}
        self._known, self._endpoints = known, endpoints

    def add(self, piece: _Piece) -> None:
        """Count a piece."""
        endpoint = self._endpoints.get(piece.endpoint)
        if endpoint is None:  # it began a moment ago
            return
        price = self._known.per_hour.get(piece.instance_type)
        length = piece.end - piece.begin
        sums = [self.whole, self.by[Grouping.ENDPOINT][endpoint.pk]]
        sums.append(self.by[Grouping.OWNER][owner_of(endpoint)])
        sums += [self.by[Grouping.TAG][tag] for tag in tags_of(endpoint) or [""]]
        for one in sums:
            one.add(piece, length, price)
        for day, part in by_day(piece.begin, piece.end):
            self.by[Grouping.DAY][day].add(piece, part, price)

    def lines(self, grouping: Grouping) -> list[SpendingLine]:
        """What was added up."""
        if grouping != Grouping.ENDPOINT:
            return [SpendingLine(_name(key), spent) for key, spent in self.by[grouping].items()]
        found = self.by[grouping].items()
        endpoints = self._endpoints
        return [SpendingLine(endpoints[pk].name, spent, endpoints[pk]) for pk, spent in found]


def owner_of(endpoint: Endpoint) -> str:
    """The name of who answers for its cost; empty where nobody is known."""
    return endpoint.owned_by.get_username() if endpoint.owned_by is not None else ""


def tags_of(endpoint: Endpoint) -> list[str]:
    """Its tags, as key=value."""
    return [f"{key}={value}" for key, value in endpoint.chosen.tags.items()]


def _name(key: str | date) -> str:
    return key.isoformat() if isinstance(key, date) else key


def _sorted(lines: list[SpendingLine], grouping: Grouping) -> list[SpendingLine]:
    """Days in their order; else what was forgotten first, the longest idle before; then by cost.

    What is shown as the same cost is sorted by name.
    """
    if grouping == Grouping.DAY:
        return lines

    def rank(line: SpendingLine) -> Any:
        idle = line.idle if line.forgotten and line.idle is not None else timedelta(0)
        return -idle, -line.spent.forecast, line.name

    return sorted(lines, key=rank)
