"""The calls of today in figures: how many, how many failed, how many were cold starts, how fast."""

from dataclasses import dataclass

from django.db.models import Count, Q
from django.utils import timezone

from invocations.models import Invocation, InvocationQuerySet


@dataclass(frozen=True)
class Calls:
    """The calls of a day; ``p50_ms`` is None where none was answered."""

    all: int
    failed: int
    cold: int
    p50_ms: float | None


def calls_since_midnight() -> InvocationQuerySet:
    """The calls since midnight in the reader's time zone, without those that only warm."""
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    return Invocation.everybodys.traffic().filter(created_at__gte=midnight)


def calls_today() -> Calls:
    """The calls since midnight in the reader's time zone, made on the portal's pages.

    Two queries. Calls that other programs made are known to AWS alone.
    """
    today = calls_since_midnight()
    answered = Q(state=Invocation.State.DONE, latency_ms__isnull=False)
    counts = today.aggregate(
        all=Count("pk"),
        failed=Count("pk", filter=Q(state=Invocation.State.FAILED)),
        cold=Count("pk", filter=Q(cold=True)),
        answered=Count("pk", filter=answered),
    )
    if not (of := counts.pop("answered")):
        return Calls(**counts, p50_ms=None)
    # The lower of the two in the middle: a time that was really measured.
    times = today.filter(answered).order_by("latency_ms").values_list("latency_ms", flat=True)
    middle = (of - 1) // 2
    return Calls(**counts, p50_ms=next(iter(times[middle : middle + 1]), None))
