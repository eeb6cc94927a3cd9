"""The production variants of an endpoint: instances of a type each, among which calls are shared.

Most endpoints have one, named `ALONE`; its type and number are columns of the endpoint, and no
variants are written down. An endpoint with others has them as a list of these, in its order.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

#: The name of the only variant of an endpoint, where nobody gave it another one.
ALONE = "AllTraffic"
#: At most this many an endpoint may have: what its pages show and change.
MOST_VARIANTS = 2
HIGHEST_WEIGHT = 1000
#: SageMaker keeps 32 bits of a weight: these places survive, so that what it says can be compared.
_PLACES = 3
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")  # API: VariantName
_TYPES_LENGTH = 40


@dataclass(frozen=True)
class ProductionVariant:
    """A number of instances of a type, and their share of the calls: its weight among all weights.

    An empty type where SageMaker does not say.
    """

    name: str
    instance_type: str
    instance_count: int
    weight: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "weight", round(float(self.weight), _PLACES))

    def as_json(self) -> dict[str, Any]:
        """What a row keeps of it."""
        return {
            "name": self.name,
            "instance_type": self.instance_type,
            "instance_count": self.instance_count,
            "weight": self.weight,
        }


Variants = tuple[ProductionVariant, ...]


def from_json(kept: object) -> Variants:
    """What a row keeps; nothing where it keeps none."""
    if not isinstance(kept, list):
        return ()
    return tuple(ProductionVariant(**one) for one in kept)


def as_json(variants: Sequence[ProductionVariant]) -> list[dict[str, Any]] | None:
    """What a row keeps of them; None where there is only the plain one."""
    if not variants or is_plain(variants):
        return None
    return [one.as_json() for one in variants]


def is_plain(variants: Sequence[ProductionVariant]) -> bool:
    """Whether there is one alone, with the name that nobody gave."""
    return [one.name for one in variants] == [ALONE]


def count_of(variants: Iterable[ProductionVariant]) -> int:
    """The instances of all."""
    return sum(one.instance_count for one in variants)


def types_of(variants: Iterable[ProductionVariant]) -> str:
    """Their types, each once; a column takes 40 characters."""
    types = ", ".join(dict.fromkeys(one.instance_type for one in variants if one.instance_type))
    return types if len(types) <= _TYPES_LENGTH else types[: _TYPES_LENGTH - 1] + "…"


def share_of(variant: ProductionVariant, variants: Iterable[ProductionVariant]) -> int:
    """Which share of the calls it gets, in percent; without any weight all get the same."""
    rows = list(variants)
    whole = sum(one.weight for one in rows)
    return round(100 * (variant.weight / whole if whole else 1 / len(rows)))


def same_configs(one: Iterable[ProductionVariant], other: Iterable[ProductionVariant]) -> bool:
    """Whether they differ in counts and weights alone, which change without another config."""
    types = [{each.name: each.instance_type for each in rows} for rows in (one, other)]
    return types[0] == types[1]


def with_types(seen: Variants, known: Variants) -> Variants:
    """What was seen, with the types of those known by the same name, and in their order.

    SageMaker tells of the variants that serve without types, and in an order of its own.
    """
    types = {one.name: one.instance_type for one in known}
    names = list(types)
    rows = [replace(one, instance_type=types.get(one.name, "")) for one in seen]
    rows.sort(key=lambda one: names.index(one.name) if one.name in types else len(names))
    return tuple(rows)


def check(variants: Sequence[ProductionVariant]) -> None:
    """Raise ValidationError, of the field ``variants``, where they cannot be those of an endpoint.

    Types and counts are looked at where those of endpoints are.
    """
    problems = []
    names = [one.name for one in variants]
    if not 1 <= len(names) <= MOST_VARIANTS:
        problems.append(_("An endpoint has at most %(most)s variants.") % {"most": MOST_VARIANTS})
    if len({name.lower() for name in names}) < len(names):
        problems.append(_("Give the variants different names, whatever their case."))
    if any(_NAME.fullmatch(name) is None for name in names):
        problems.append(
            _(
                "Name each variant by 1 to 63 letters, digits and hyphens; begin and end with a "
                "letter or digit."
            )
        )
    if not all(0 <= one.weight <= HIGHEST_WEIGHT for one in variants):
        problems.append(_("A weight is a number from 0 to %(most)s.") % {"most": HIGHEST_WEIGHT})
    elif variants and not any(one.weight for one in variants):
        problems.append(_("Give at least one variant a weight above 0."))
    if problems:
        raise ValidationError({"variants": problems})


def weighed(variants: Variants, weights: Mapping[str, float]) -> Variants:
    """The same with other weights, by name; who is not named keeps its own.

    Raises ValidationError, of the field ``weights``, for a name that is none of theirs.
    """
    unknown = sorted(set(weights) - {one.name for one in variants})
    if unknown:
        said = _("There is no variant %(name)s. There are: %(names)s.")
        names = ", ".join(one.name for one in variants)
        raise ValidationError({"weights": said % {"name": unknown[0], "names": names}})
    return tuple(replace(one, weight=weights.get(one.name, one.weight)) for one in variants)
