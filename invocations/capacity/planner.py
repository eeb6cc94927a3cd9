"""Which instances would hold given models under given calls, at which cost, before a deploy."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import F
from django.utils.translation import gettext as _

from endpoints import prices
from endpoints.models import Endpoint
from endpoints.prices import PriceList
from invocations import cache_simulation
from invocations.capacity import choices, traffic
from invocations.capacity.choices import InstanceChoice
from invocations.capacity.thrash import FEWEST_CALLS, with_average
from invocations.experiments import drawing, targets
from invocations.experiments.refused import ExperimentRefused
from invocations.experiments.targets import CallTarget
from models_catalog import stores
from models_catalog.models import Version

SIMULATED_CALLS = 4000
_SEED = 1
MOST_CALLS_PER_HOUR = 100_000_000
MOST_BUSY = 0.7
"""Instances whose processors would be busier than this are not recommended."""
MOST_INSTANCES = 10
# Where no validation says how long a warm call takes.
_UNTOLD_MS = 50.0
_SIZE = re.compile(r"\.(?:(\d+)?x)?(medium|large)$")


class CapacityRefused(Exception):
    """Nothing can be planned; ``str()`` says why. ``field``: which answer is wrong; empty: none.

    ``code`` is that of the API's problem.
    """

    def __init__(self, said: str, code: str = "invalid", field: str = "") -> None:
        super().__init__(said)
        self.code = code
        self.field = field


@dataclass(frozen=True, kw_only=True)
class WantedCapacity:
    """What is to be served. ``store``: where the models are, by its name; empty: that of ``like``,
    or else the default one. ``like``: the endpoint whose calls lately say how they are drawn, in
    place of ``draw``; None: no endpoint. ``cold_share``: the most that is wanted, of 1.
    """

    models: str
    store: str = ""
    calls_per_hour: float = 100.0
    draw: str = "zipf:1.1"
    like: Endpoint | None = None
    cold_share: float = 0.01
    most_instances: int = 3


@dataclass(frozen=True)
class PlannedModel:
    """A version that is to be called: its share of the calls, and its memory where measured."""

    target: CallTarget
    share: float
    memory_mb: float | None


@dataclass(frozen=True)
class PlannedChoice:
    """Instances with what the calls would meet there. ``busy_share``: how much of their processors'
    time the calls take, about; ``recommended``: the cheapest that has what is wanted.
    """

    choice: InstanceChoice
    busy_share: float
    fits: bool
    recommended: bool


@dataclass(frozen=True)
class CapacityPlan:
    """What so many instances of each type would do. ``needed_mb``: what all models take, of which
    ``estimated`` were never measured. ``wait_ms``: how long a cold call waits, as the validations
    measured the loads; None where they did not.
    """

    wanted: WantedCapacity
    models: Sequence[PlannedModel]
    needed_mb: float
    estimated: int
    wait_ms: float | None
    choices: Sequence[PlannedChoice]
    prices: PriceList

    @property
    def recommended(self) -> PlannedChoice | None:
        """The cheapest that has what is wanted; None where none has."""
        return next((one for one in self.choices if one.recommended), None)

    @property
    def frontier(self) -> list[InstanceChoice]:
        """For each cost the smallest cold share that it buys: the cheapest first."""
        found: list[InstanceChoice] = []
        for one in self.choices:
            choice = one.choice
            if choice.cost is None or choice.too_large:
                continue
            if not found or choice.cold_share < found[-1].cold_share:
                if found and _price(found[-1]) == _price(choice):
                    found.pop()
                found.append(choice)
        return found

    def cold_per_hour(self, choice: InstanceChoice) -> float:
        """How many calls an hour would wait for their model."""
        return choice.cold_share * self.wanted.calls_per_hour


def _price(choice: InstanceChoice) -> Decimal:
    return Decimal(0) if choice.cost is None else choice.cost.per_hour


@dataclass(frozen=True)
class _Measured:
    memory_mb: float | None
    warm_ms: float | None
    load_ms: float | None


def plan(wanted: WantedCapacity) -> CapacityPlan:
    """What instances of each type would do. Raises CapacityRefused."""
    _check(wanted)
    try:
        found = targets.resolve(wanted.models, _served(wanted))
    except ExperimentRefused as refused:
        raise CapacityRefused(str(refused), refused.code, "models") from None
    pks = [one.version for one in found]
    measured = _measured(pks)
    memory = {pk: one.memory_mb for pk, one in measured.items() if one.memory_mb is not None}
    if not memory:
        said = _(
            "No validation measured the memory of these versions. Upload or validate them again, "
            "or name others."
        )
        raise CapacityRefused(said, "invalid", "models")
    sizes = with_average(pks, memory)
    shares = _shares(wanted, pks)
    calls = _calls(wanted, shares)
    # The rarest first, so that what is called often was used last.
    known = sorted(shares, key=lambda pk: shares[pk])
    list_of_prices = prices.known()
    weighed = choices.weigh(
        calls,
        sizes=sizes,
        sets=[
            (kind, number)
            for kind in settings.INSTANCE_TYPES
            for number in range(1, wanted.most_instances + 1)
        ],
        prices=list_of_prices,
        known=known,
        pause_s=3600 / wanted.calls_per_hour,
    )
    warm_ms = sum(share * _warm(measured[pk]) for pk, share in shares.items())
    loads = [one.load_ms for one in measured.values() if one.load_ms is not None]
    rate = wanted.calls_per_hour / 3600
    rows: list[PlannedChoice] = []
    taken = False
    for one in weighed:
        busy = rate * warm_ms / 1000 / (processors(one.instance_type) * one.instance_count)
        fits = not one.too_large and one.cold_share <= wanted.cold_share and busy <= MOST_BUSY
        rows.append(PlannedChoice(one, busy, fits, recommended=fits and not taken))
        taken = taken or fits
    return CapacityPlan(
        wanted=wanted,
        models=[PlannedModel(one, shares[one.version], memory.get(one.version)) for one in found],
        needed_mb=sum(sizes.values()),
        estimated=len(pks) - len(memory),
        wait_ms=fmean(loads) if loads else None,
        choices=rows,
        prices=list_of_prices,
    )


def _served(wanted: WantedCapacity) -> Endpoint:
    """An endpoint on the store that the models are in: that of ``like``, or one that is not made.

    Raises CapacityRefused.
    """
    if wanted.like is not None and not wanted.store:
        return wanted.like
    try:
        store = stores.chosen(wanted.store)
    except ValidationError as refused:
        raise CapacityRefused(" ".join(refused.messages), "invalid", "store") from None
    place = {"bucket": store.bucket, "prefix": store.prefix}
    if wanted.like is None:
        return Endpoint(name=store.name, **place)
    if (wanted.like.bucket, wanted.like.prefix) != (store.bucket, store.prefix):
        said = _("The endpoint %(endpoint)s serves another store than %(store)s.")
        told = {"endpoint": wanted.like.name, "store": store.name}
        raise CapacityRefused(said % told, "invalid", "like")
    return wanted.like


def processors(instance_type: str) -> int:
    """How many virtual CPUs AWS gives a type: 2 to ``large``, 4 to ``xlarge``, 8 to ``2xlarge``."""
    found = _SIZE.search(instance_type)
    if found is None or "xlarge" not in instance_type:
        return 2
    return 4 * int(found[1] or 1)


def _check(wanted: WantedCapacity) -> None:
    if not 0 < wanted.calls_per_hour <= MOST_CALLS_PER_HOUR:
        said = _("The number of calls an hour is more than 0 and at most %(most)s.")
        raise CapacityRefused(said % {"most": MOST_CALLS_PER_HOUR}, "invalid", "calls_per_hour")
    if not 0 <= wanted.cold_share <= 1:
        raise CapacityRefused(_("A share is from 0 to 1."), "invalid", "cold_share")
    most = min(MOST_INSTANCES, settings.MAX_INSTANCES)
    if not 1 <= wanted.most_instances <= most:
        said = _("The number of instances is from 1 to %(most)s.")
        raise CapacityRefused(said % {"most": most}, "invalid", "most_instances")


def _shares(wanted: WantedCapacity, pks: Sequence[int]) -> dict[int, float]:
    """How often each version is called, together 1."""
    if wanted.like is None:
        try:
            shares = drawing.shares(wanted.draw, len(pks))
        except ExperimentRefused as refused:
            raise CapacityRefused(str(refused), "invalid", "draw") from None
        return dict(zip(pks, shares, strict=True))
    counts = traffic.lately(wanted.like).counts
    whole = sum(counts[pk] for pk in pks)
    if whole < FEWEST_CALLS:
        said = _(
            "%(endpoint)s had %(calls)s calls of these versions lately, which is too few to go by. "
            "Name a draw, such as zipf:1.1."
        )
        told = {"endpoint": wanted.like.name, "calls": whole}
        raise CapacityRefused(said % told, "conflict", "like")
    return {pk: counts[pk] / whole for pk in pks}


def _calls(wanted: WantedCapacity, shares: Mapping[int, float]) -> list[int]:
    """A sequence of calls: as they were recorded, or drawn."""
    if wanted.like is not None:
        recorded = [pk for pk in traffic.lately(wanted.like).versions if pk in shares]
        return recorded[-SIMULATED_CALLS:]
    models = list(shares)
    # Which model is the most called one says nothing of its place in memory.
    random.Random(_SEED).shuffle(models)  # noqa: S311 - it is to be repeatable
    weights = [shares[one] for one in models]
    return cache_simulation.drawn(models, weights, calls=SIMULATED_CALLS, seed=_SEED)


def _measured(pks: Sequence[int]) -> dict[int, _Measured]:
    rows = Version.objects.filter(pk__in=pks).values_list(
        "pk", F("report__memory_mb"), F("report__warm_ms"), F("report__load_ms")
    )
    return {pk: _Measured(*(_number(one) for one in told)) for pk, *told in rows}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _warm(one: _Measured) -> float:
    return _UNTOLD_MS if one.warm_ms is None else one.warm_ms
