"""How an endpoint was called on a day that is over: which version how often, in order of time.

A day is one of UTC, as sums of calls begin at its midnight and noon. It is read from the rows of
the calls, a quarter of an hour at a time; where these were deleted (CALLS_KEPT_DAYS), from their
sums of half days.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta

from django.utils.translation import gettext as _

from core import clock
from endpoints.models import Endpoint
from invocations.experiments.refused import ExperimentRefused
from invocations.experiments.targets import CallTarget
from invocations.models import Invocation, VersionHalfDay

PIECE = timedelta(minutes=15)
_DAY = timedelta(days=1)
#: The newest calls of a day that are read.
MOST_CALLS = 100_000

Recorded = Sequence[Sequence[tuple[int, int]]]
"""For each piece of the day that has calls: targets by their index, and how often each."""


def read(endpoint: Endpoint, day: date, targets: Sequence[CallTarget]) -> Recorded:
    """The calls of these targets on that day; those of other versions are left out.

    Raises ExperimentRefused where there was none, or the day is not over.
    """
    begin = datetime.combine(day, time(), UTC)
    if begin > clock.now() - _DAY:
        said = _("%(day)s is not over (in UTC). Name a day that is. Nothing was called.")
        raise ExperimentRefused(said % {"day": day.isoformat()}, "invalid", "draw")
    index = {one.version: number for number, one in enumerate(targets)}
    calls = Invocation.everybodys.traffic().filter(
        endpoint=endpoint, created_at__gte=begin, created_at__lt=begin + _DAY, version__in=index
    )
    rows = list(calls.order_by("-created_at").values_list("created_at", "version")[:MOST_CALLS])
    found = _pieces(((at - begin) // PIECE, index[version], 1) for at, version in rows)
    # One call a version may be left of those that were deleted.
    halves = VersionHalfDay.objects.filter(
        endpoint=endpoint, begin__gte=begin, begin__lt=begin + _DAY, version__in=index
    )
    sums = list(halves.values_list("begin", "version", "calls"))
    if sum(count for _begin, _version, count in sums) > len(rows) < MOST_CALLS:
        found = _pieces(((at - begin) // PIECE, index[version], n) for at, version, n in sums)
    if not found:
        said = _(
            "No call of these versions on %(endpoint)s is recorded of %(day)s (in UTC). Name "
            "another day, or draw by uniform or zipf:1.1. Nothing was called."
        )
        told = {"endpoint": endpoint.name, "day": day.isoformat()}
        raise ExperimentRefused(said % told, "invalid", "draw")
    return found


def _pieces(calls: Iterable[tuple[int, int, int]]) -> Recorded:
    """Calls by piece of the day, target and number, in order of time."""
    by_piece: dict[int, Counter[int]] = {}
    for piece, target, count in calls:
        by_piece.setdefault(piece, Counter())[target] += count
    return [sorted(by_piece[piece].items()) for piece in sorted(by_piece)]
