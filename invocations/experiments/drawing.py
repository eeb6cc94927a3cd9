"""Which target each call of an experiment has: drawn once, by a seed.

The draw of a call depends on the seed and its number alone, so a process that goes on where another
one was killed draws the same.
"""

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.utils.translation import gettext as _

from invocations.experiments.recorded_day import Recorded
from invocations.experiments.refused import ExperimentRefused

UNIFORM = "uniform"
_ZIPF = re.compile(r"zipf:([0-9]{1,2}(?:\.[0-9]{1,4})?)")
_DAY = re.compile(r"day:([0-9]{4}-[0-9]{2}-[0-9]{2})")
MOST_SKEW = 5.0
MOST_SEED = 2**53 - 1
"""Larger whole numbers are no exact numbers in JavaScript."""


@dataclass(frozen=True)
class Drawn:
    """What each call is, by its number: the index of its target, and a number for its picture."""

    targets: Sequence[int]
    pictures: Sequence[int]


def day_of(draw: str) -> date | None:
    """The day of ``day:2026-11-27``, as whose calls are drawn; None of another draw.

    Raises ExperimentRefused where there is no such day.
    """
    match = _DAY.fullmatch(draw)
    if match is None:
        return None
    try:
        return date.fromisoformat(match[1])
    except ValueError:
        said = _("%(day)s is no day. Write it as in day:2026-11-27.") % {"day": match[1]}
        raise ExperimentRefused(said, "invalid", "draw") from None


def shares(draw: str, count: int, recorded: Recorded | None = None) -> list[float]:
    """How often each of ``count`` targets is called, together 1; the first one most often.

    ``uniform``: all alike. ``zipf:S``: the one of rank r, from 1, in proportion to 1/r^S. With
    ``recorded``, of a day: as on that. Raises ExperimentRefused.
    """
    if recorded is not None:
        calls: Counter[int] = Counter()
        for piece in recorded:
            calls.update(dict(piece))
        return [calls[target] / calls.total() for target in range(count)]
    skew = 0.0
    if draw != UNIFORM:
        match = _ZIPF.fullmatch(draw)
        skew = float(match[1]) if match else 0.0
        if match is None or not 0 < skew <= MOST_SKEW:
            said = _("Draw by uniform or by zipf:S, such as zipf:1.1; S is at most %(most)s.")
            raise ExperimentRefused(said % {"most": MOST_SKEW}, "invalid", "draw")
    weights = [rank**-skew for rank in range(1, count + 1)]
    whole = sum(weights)
    return [weight / whole for weight in weights]


def drawn(
    draw: str, *, seed: int, calls: int, targets: int, recorded: Recorded | None = None
) -> Drawn:
    """The draw of all calls; as ``recorded`` in order of time, each piece with its share."""
    chance = random.Random(seed)  # noqa: S311 - it is to be repeatable, and keeps no secret
    if recorded is None:
        chosen = chance.choices(range(targets), shares(draw, targets), k=calls)
    else:
        chosen = _as_recorded(recorded, chance, calls)
    return Drawn(chosen, [chance.getrandbits(30) for _number in range(calls)])


def _as_recorded(recorded: Recorded, chance: random.Random, calls: int) -> list[int]:
    whole = sum(count for piece in recorded for _target, count in piece)
    chosen: list[int] = []
    before = 0
    for piece in recorded:
        indexes, counts = zip(*piece, strict=True)
        before += sum(counts)
        chosen += chance.choices(indexes, counts, k=calls * before // whole - len(chosen))
    return chosen
