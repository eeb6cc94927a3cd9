"""A simulation of SageMaker's cache of models; it knows neither Django nor AWS.

The rules are those of DG/multi-model-endpoints, as localaws has them:

- A model is loaded at its first call, on one instance. Where memory is short there, the least
  recently used model is unloaded.
- A call goes to the first instance that has the model in memory; where none has it, to the one with
  the fewest models.
- Where memory was short just now with so many models, one is unloaded before the next is tried, as
  asking costs time. So models of unequal size may leave some memory unused.

Calls are taken one after the other. What needs several at a time is left out: that a model in use
is not unloaded, and that one with many concurrent calls is loaded on a second instance.
"""

import random
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

FULL_S = 10.0
"""For so many seconds it is remembered with how many models the memory was short."""

Model = TypeVar("Model", bound=Hashable)


@dataclass
class ModelCounts:
    """The calls of one model: all, those that loaded it anew, and those that loaded it first."""

    calls: int = 0
    again: int = 0
    first: int = 0


@dataclass(frozen=True)
class CacheOutcome(Generic[Model]):
    """What the calls met. ``held``: models in memory at the end, of all instances.

    ``first``: calls of a model that was never loaded before, which no memory spares. ``again``:
    calls of a model that was loaded and had been unloaded for others. ``too_large``: calls of
    models that fit on no instance, which fail.
    """

    calls: int
    first: int
    again: int
    too_large: int
    held: int
    models: Mapping[Model, ModelCounts]

    @property
    def again_share(self) -> float:
        """The share of calls whose model had been unloaded for others."""
        return self.again / self.calls if self.calls else 0.0


@dataclass
class _Instance(Generic[Model]):
    """The models in the memory of an instance, the least recently used first."""

    room: float
    used: float = 0.0
    models: OrderedDict[Model, float] = field(default_factory=OrderedDict)
    #: When memory was short last, and with how many models.
    full: tuple[float, int] | None = None

    def load(self, model: Model, size: float, now: float) -> list[Model]:
        """Load a model, and say which were unloaded for it."""
        unloaded = []
        if self.full and now - self.full[0] < FULL_S and len(self.models) >= self.full[1]:
            unloaded.append(self._unload())
        while self.models and self.used + size > self.room:
            self.full = (now, len(self.models))
            unloaded.append(self._unload())
        self.models[model] = size
        self.used += size
        return unloaded

    def _unload(self) -> Model:
        gone, freed = self.models.popitem(last=False)
        self.used -= freed
        return gone


def simulate(
    calls: Iterable[Model],
    *,
    sizes: Mapping[Model, float],
    room: float,
    instances: int = 1,
    known: Iterable[Model] = (),
    pause_s: float = 0.0,
) -> CacheOutcome[Model]:
    """What ``calls``, in their order, meet on so many instances with ``room`` for models each.

    ``sizes``: what each model takes, in the unit of ``room``. ``known``: models that were called
    before, the latest last: they are loaded without being counted, so that what is counted is how
    it goes on. ``pause_s``: seconds from one call to the next. Raises KeyError for a model without
    a size.
    """
    places = [_Instance[Model](room) for _ in range(instances)]
    where: dict[Model, _Instance[Model]] = {}
    seen: set[Model] = set()
    counts: dict[Model, ModelCounts] = {}
    number = first = again = too_large = 0

    def load(model: Model, size: float) -> None:
        place = min(places, key=lambda one: len(one.models))
        for gone in place.load(model, size, number * pause_s):
            del where[gone]
        where[model] = place

    for model in known:
        seen.add(model)
        if model not in where and sizes[model] <= room:
            load(model, sizes[model])
    for model in calls:
        number += 1
        count = counts.get(model)
        if count is None:
            count = counts[model] = ModelCounts()
        count.calls += 1
        held = where.get(model)
        if held is not None:
            held.models.move_to_end(model)
            continue
        size = sizes[model]
        if size > room:
            too_large += 1
            continue
        if model in seen:
            again += 1
            count.again += 1
        else:
            seen.add(model)
            first += 1
            count.first += 1
        load(model, size)
    return CacheOutcome(number, first, again, too_large, len(where), counts)


def drawn(
    models: Sequence[Model], weights: Sequence[float], *, calls: int, seed: int
) -> list[Model]:
    """Calls of models, drawn in proportion to their weights; equal seeds give equal calls."""
    chance = random.Random(seed)  # noqa: S311 - it is to be repeatable, and keeps no secret
    return chance.choices(models, weights, k=calls)
