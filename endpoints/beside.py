"""The endpoints that others made in this account, as the last look at it found them (orphans.py).

The list of endpoints shows them beside the portal's: what they cost, and since when. Nothing is
asked of AWS for that.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Subquery, Window

from core.natural import by_name
from endpoints import orphans
from endpoints.models import Orphan, OrphanLook, Resource
from endpoints.prices import Total

#: At most this many are in the list; the page *Orphans* has all.
SHOWN = 20
#: At most this many are loaded to find the dearest, and for what all cost together.
MOST = 1000


@dataclass(frozen=True)
class Beside:
    """``rows``: the dearest; ``count``: of all; ``total``: what they cost.

    ``looked_at``: when the account was last looked at as a whole; None: never, or there are none.
    """

    rows: list[Orphan]
    count: int
    total: Total
    looked_at: datetime | None


def last_look() -> datetime | None:
    """When the account was last looked at as a whole."""
    return OrphanLook.objects.order_by("pk").values_list("looked_at", flat=True).first()


def found(search: str = "") -> Beside:
    """Those whose name has ``search`` in it; one query."""
    looked_at = OrphanLook.objects.order_by("pk").values("looked_at")[:1]
    # One that the portal made under the name since the look is the portal's.
    own = Resource.objects.filter(kind=Resource.Kind.ENDPOINT, endpoint__gone_at=None)
    rows = Orphan.objects.there().filter(kind=Resource.Kind.ENDPOINT)
    rows = rows.exclude(name__in=own.values("name"))
    if search:
        rows = rows.filter(name__icontains=search)
    told = rows.annotate(looked_at=Subquery(looked_at), counted=Window(Count("*")))
    some = list(told.order_by(*by_name("name"))[:MOST])
    total = orphans.total_of(some)  # which tells each what it costs
    some.sort(key=_dearest_first)
    first = some[0] if some else None
    return Beside(
        rows=some[:SHOWN],
        count=getattr(first, "counted", 0),
        total=total,
        looked_at=getattr(first, "looked_at", None),
    )


def _dearest_first(row: Orphan) -> tuple[bool, float]:
    if row.cost is None:  # it does not run, or its price is not known
        return True, -float(row.instance_count or 0)
    return False, -float(row.cost.per_hour)
