"""How so many instances of a type would hold models, and at which cost."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from endpoints import instance_memory
from endpoints.prices import Cost, PriceList
from invocations import cache_simulation

Model = TypeVar("Model", bound=Hashable)


@dataclass(frozen=True)
class InstanceChoice:
    """A number of instances of a type. ``cost`` None: the price is not known.

    ``cold_share``: of the calls, those whose model had been unloaded for others. ``held``: models
    in memory at the end, of all instances; ``too_large``: calls whose model fits on none.
    """

    instance_type: str
    instance_count: int
    room_mb: float
    cost: Cost | None
    cold_share: float
    held: int
    too_large: int
    models: int

    @property
    def holds_all(self) -> bool:
        """Whether no model is unloaded for another."""
        return self.held == self.models

    @property
    def size(self) -> str:
        """Its type, with the number where there are more than one."""
        if self.instance_count == 1:
            return self.instance_type
        return f"{self.instance_count} × {self.instance_type}"

    @property
    def order(self) -> tuple[Decimal, float, str]:
        """The cheapest first; those without a price last."""
        price = Decimal("Infinity") if self.cost is None else self.cost.per_hour
        return (price, self.cold_share, self.size)


def weigh(
    calls: Sequence[Model],
    *,
    sizes: Mapping[Model, float],
    sets: Iterable[tuple[str, int]],
    prices: PriceList,
    known: Sequence[Model] = (),
    pause_s: float = 0.0,
) -> list[InstanceChoice]:
    """What the calls would meet on each of these instances, the cheapest first.

    ``sizes`` in MiB; the rest as of cache_simulation.simulate(). A type whose memory is not known
    is left out.
    """
    found = []
    models = len({*calls, *known})
    for kind, number in dict.fromkeys(sets):
        room = instance_memory.room_mb(kind)
        if room is None:
            continue
        met = cache_simulation.simulate(
            calls, sizes=sizes, room=room, instances=number, known=known, pause_s=pause_s
        )
        found.append(
            InstanceChoice(
                instance_type=kind,
                instance_count=number,
                room_mb=room,
                cost=prices.cost(kind, number),
                cold_share=met.again_share,
                held=met.held,
                too_large=met.too_large,
                models=models,
            )
        )
    return sorted(found, key=lambda one: one.order)
