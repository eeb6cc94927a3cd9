"""The calls of today in figures: how many, how many failed, how many were cold starts, how fast."""

from dataclasses import dataclass

from django.db.models import Count, Max, Q, Window
from django.db.models.functions import PercentRank
from django.utils import timezone

from invocations.models import Invocation


@dataclass(frozen=True)
class Calls:
    """The calls of a day; ``p50_ms`` is None where none was answered."""

    all: int
    failed: int
    cold: int
    p50_ms: float | None


def calls_today() -> Calls:
    """The calls since midnight in the reader's time zone, made on the portal's pages.

    One query. Calls that other programs made are known to AWS alone.
    """
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    answered = Q(state=Invocation.State.DONE, latency_ms__isnull=False)
    # From 0 for the fastest to 1 for the slowest of each state.
    place = Window(PercentRank(), partition_by="state", order_by="latency_ms")
    counts = (
        Invocation.objects.filter(created_at__gte=midnight)
        .annotate(place=place)
        .aggregate(
            all=Count("pk"),
            failed=Count("pk", filter=Q(state=Invocation.State.FAILED)),
            cold=Count("pk", filter=Q(cold=True)),
            # The lower of the two in the middle: a time that was really measured.
            p50_ms=Max("latency_ms", filter=answered & Q(place__lte=0.5)),
        )
    )
    return Calls(**counts)
