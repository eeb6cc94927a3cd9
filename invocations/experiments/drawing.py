"""Which target each call of an experiment has: drawn once, by a seed.

The draw of a call depends on the seed and its number alone, so a process that goes on where another
one was killed draws the same.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from invocations.experiments.refused import ExperimentRefused

UNIFORM = "uniform"
_ZIPF = re.compile(r"zipf:([0-9]{1,2}(?:\.[0-9]{1,4})?)")
MOST_SKEW = 5.0
MOST_SEED = 2**53 - 1
"""Larger whole numbers are no exact numbers in JavaScript."""


@dataclass(frozen=True)
class Drawn:
    """What each call is, by its number: the index of its target, and a number for its picture."""

    targets: Sequence[int]
    pictures: Sequence[int]


def shares(draw: str, count: int) -> list[float]:
    """How often each of ``count`` targets is called, together 1; the first one most often.

    ``uniform``: all alike. ``zipf:S``: the one of rank r, from 1, in proportion to 1/r^S. Raises
    ExperimentRefused.
    """
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


def drawn(draw: str, *, seed: int, calls: int, targets: int) -> Drawn:
    """The draw of all calls."""
    chance = random.Random(seed)  # noqa: S311 - it is to be repeatable, and keeps no secret
    weights = shares(draw, targets)
    return Drawn(
        chance.choices(range(targets), weights, k=calls),
        [chance.getrandbits(30) for _number in range(calls)],
    )
