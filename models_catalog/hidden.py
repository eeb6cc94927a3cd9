"""What is hidden from somebody, as conditions on rows; from whom says models_catalog/secrecy.py."""

from dataclasses import dataclass

from django.db.models import Q, Value
from django.db.models.functions import Left
from django.db.models.lookups import Exact


@dataclass(frozen=True)
class Hidden:
    """The stores that somebody may not see: by id, and by place; and whether the default one is.

    ``added``: the places of all stores that were added, where the default one is hidden: what lies
    elsewhere was put into a default one, be it that of earlier settings.
    """

    stores: tuple[int, ...]
    places: tuple[tuple[str, str], ...]
    default: bool = False
    added: tuple[tuple[str, str], ...] = ()

    @property
    def parts(self) -> frozenset[str]:
        """A word for each: `core.guarded.hidden_parts`."""
        found = {f"store {pk}" for pk in self.stores}
        return frozenset(found | {"default"} if self.default else found)

    def of_store(self, field: str) -> Q:
        """Rows whose foreign key to a store is of a hidden one; none stands for the default one."""
        found = Q(**{f"{field}__in": self.stores})
        return found | Q(**{f"{field}__isnull": True}) if self.default else found

    def of_place(self, begin: str = "") -> Q:
        """Rows whose columns ``bucket`` and ``prefix`` are a hidden store's.

        ``begin``: what the names of the columns begin with.
        """
        found = _any(self.places, begin)
        return found | ~_any(self.added, begin) if self.default else found

    def of_key(self) -> Q:
        """Rows whose columns ``bucket`` and ``key`` are below a hidden store's prefix."""
        found = _below(self.places)
        return found | ~_below(self.added) if self.default else found


def _any(places: tuple[tuple[str, str], ...], begin: str) -> Q:
    found = Q(pk__in=())
    for bucket, prefix in places:
        found |= Q(**{f"{begin}bucket": bucket, f"{begin}prefix": prefix})
    return found


def _below(places: tuple[tuple[str, str], ...]) -> Q:
    found = Q(pk__in=())
    for bucket, prefix in places:
        below = f"{prefix}/" if prefix else ""
        # SQLite looks for the beginning in any case, and keys differ by theirs.
        same = Q(Exact(Left("key", len(below)), Value(below))) if below else Q()
        found |= Q(bucket=bucket, key__startswith=below) & same
    return found
