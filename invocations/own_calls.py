"""The calls of an endpoint that the portal made itself, in figures: by time, and by version."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db.models import Count, Max, OuterRef, Subquery, Value
from django.db.models import Sum as SumOf

from core.natural import natural_key
from endpoints.models import Endpoint
from endpoints.tables import servable
from invocations import roll_ups
from invocations.experiments import tally
from invocations.models import EndpointHour, Invocation, VersionHalfDay
from invocations.windows import Window
from models_catalog.models import Version

#: The newest calls of a window that are counted.
MOST_CALLS = 20_000
#: The versions with the most calls that are shown.
MOST_VERSIONS = 100
#: The versions without a call that are named.
MOST_IDLE = 50


@dataclass
class Tally:
    """Some calls. ``cold_known``: those of which the container says whether they were cold."""

    calls: int = 0
    failed: int = 0
    cold: int = 0
    cold_known: int = 0
    times: list[float] = field(default_factory=list)
    last_call_at: datetime | None = None
    #: Latencies of calls that were counted before (invocations/roll_ups.py).
    counted: Any = None

    def add(self, at: datetime, state: str, cold: bool | None, latency_ms: float | None) -> None:
        """Count one call."""
        self.calls += 1
        self.failed += state == Invocation.State.FAILED
        if cold is not None:
            self.cold_known += 1
            self.cold += cold
        if state == Invocation.State.DONE and latency_ms is not None:
            self.times.append(latency_ms)
        if self.last_call_at is None or at > self.last_call_at:
            self.last_call_at = at

    def add_sums(
        self, *, calls: int, failed: int, cold: int, cold_known: int, last_call_at: datetime
    ) -> None:
        """Count calls that were summed up before."""
        self.calls += calls
        self.failed += failed
        self.cold += cold
        self.cold_known += cold_known
        if self.last_call_at is None or last_call_at > self.last_call_at:
            self.last_call_at = last_call_at

    def add_times(self, encoded: str) -> None:
        """Add the latencies of calls that were summed up before."""
        if not encoded:
            return
        if self.counted is None:
            self.counted = tally.histogram()
        self.counted.decode_and_add(encoded.encode())

    @property
    def cold_share(self) -> float | None:
        """The share of cold starts, of 1; None where it is not known of any call."""
        return self.cold / self.cold_known if self.cold_known else None

    @property
    def p50_ms(self) -> float | None:
        """Half of the answered calls took no longer."""
        return self._percentile(50)

    @property
    def p99_ms(self) -> float | None:
        """99 of 100 answered calls took no longer."""
        return self._percentile(99)

    def _percentile(self, percent: int) -> float | None:
        """A time that was measured; where sums are read, to 1 %."""
        if self.counted is None:
            return nearest_rank(self.times, percent)
        return round(float(self._all_times.get_value_at_percentile(percent)) / 1000, 2)

    @cached_property
    def _all_times(self) -> Any:
        for time in self.times:
            tally.record(self.counted, time)
        return self.counted


@dataclass(frozen=True)
class VersionCalls:
    """The calls of one version."""

    version: Version
    tally: Tally


@dataclass(frozen=True)
class OwnCalls:
    """The portal's own calls of a window.

    ``bins``: one tally for each. ``versions``: those that were called, most calls first, but for
    ``versions_left_out``; their calls since ``versions_since``, some hours before the window where
    sums of half days are read. ``idle``: some of those that were not called, each with
    ``last_call_at``, None: never. ``complete``: all calls are counted, and not the newest alone.
    """

    bins: Sequence[Tally]
    versions: Sequence[VersionCalls]
    versions_since: datetime
    versions_left_out: int
    idle: Sequence[Version]
    idle_count: int
    complete: bool

    @property
    def calls(self) -> int:
        """How many there are."""
        return sum(one.calls for one in self.bins)


@dataclass(frozen=True)
class _Found:
    bins: list[Tally]
    by_version: dict[int, Tally]


def _read_sums(endpoint: Endpoint, window: Window, since: datetime, found: _Found) -> None:
    """Add what was counted before: by bin with its latencies, by version without."""
    hours = EndpointHour.objects.filter(
        endpoint=endpoint, begin__gte=window.begin, begin__lt=window.end
    )
    for at, times, last, *counts in hours.values_list(
        "begin", "times", "last_call_at", *roll_ups.COUNTS
    ):
        place = window.place(at)
        if place is not None:
            sums = dict(zip(roll_ups.COUNTS, counts, strict=True))
            found.bins[place].add_sums(**sums, last_call_at=last)
            found.bins[place].add_times(times)
    halves = VersionHalfDay.objects.filter(
        endpoint=endpoint, begin__gte=since, begin__lt=window.end
    )
    sums_of = [SumOf(name) for name in roll_ups.COUNTS]
    by_version = halves.values_list("version_id").annotate(Max("last_call_at"), *sums_of)
    for version, last, *counts in by_version:
        sums = dict(zip(roll_ups.COUNTS, counts, strict=True))
        found.by_version[version].add_sums(**sums, last_call_at=last)


def _read_times(
    endpoint: Endpoint, window: Window, since: datetime, found: _Found, versions: list[int]
) -> None:
    """Add the latencies of the calls that were counted before, of these versions."""
    halves = VersionHalfDay.objects.filter(
        endpoint=endpoint, begin__gte=since, begin__lt=window.end, version__in=versions
    )
    for version, times in halves.values_list("version_id", "times"):
        found.by_version[version].add_times(times)


def nearest_rank(times: Sequence[float], percent: int) -> float | None:
    """The percentile as a time that was really measured; None of nothing."""
    if not times:
        return None
    return sorted(times)[max(0, math.ceil(len(times) * percent / 100) - 1)]


def calls_of(endpoint: Endpoint, window: Window) -> OwnCalls:
    """The calls of ``endpoint`` in ``window``; at most four queries, or six of a week and more.

    Of bins of more than an hour those that were counted before are read as sums. Of a day all are
    read one by one: the sums by version are of half days.
    """
    found = _Found([Tally() for _ in range(window.bins)], defaultdict(Tally))
    summed = window.step > roll_ups.HOUR
    rows = Invocation.everybodys.traffic().filter(endpoint=endpoint, created_at__lt=window.end)
    since = window.begin
    if summed:
        since = roll_ups.begin_of(window.begin, roll_ups.HALF_DAY)
        rows = rows.filter(counted=False)
        _read_sums(endpoint, window, since, found)
    columns = ("created_at", "state", "cold", "latency_ms", "version_id")
    newest = rows.filter(created_at__gte=since).order_by("-created_at").values_list(*columns)
    single = list(newest[: MOST_CALLS + 1])
    for at, state, cold, latency_ms, version in single[:MOST_CALLS]:
        found.by_version[version].add(at, state, cold, latency_ms)
        place = window.place(at)
        if place is not None:
            found.bins[place].add(at, state, cold, latency_ms)
    called = sorted(found.by_version, key=lambda pk: (-found.by_version[pk].calls, pk))
    known = Version.objects.select_related("model").defer("report", "model__description")
    shown = {one.pk: one for one in known.filter(pk__in=called[:MOST_VERSIONS])}
    if summed:
        _read_times(endpoint, window, since, found, list(shown))
    versions = [VersionCalls(one, found.by_version[one.pk]) for one in shown.values()]
    versions.sort(
        key=lambda one: (-one.tally.calls, natural_key(one.version.model.name), one.version.number)
    )
    idle = servable(endpoint).exclude(pk__in=called)
    of_version = Invocation.everybodys.traffic().filter(endpoint=endpoint, version=OuterRef("pk"))
    last = Subquery(of_version.order_by("-created_at").values("created_at")[:1])
    some = idle.select_related("model").defer("report", "model__description")
    # The query that reads some of them counts them all, once.
    counted = idle.order_by().values(one=Value(1)).annotate(n=Count("pk")).values("n")
    told = some.annotate(last_call_at=last, of=Subquery(counted))
    named = list(told.order_by("-pk")[:MOST_IDLE])
    return OwnCalls(
        bins=found.bins,
        versions=versions,
        versions_since=since,
        versions_left_out=len(called) - len(versions),
        idle=named,
        idle_count=named[0].of if named else 0,  # type: ignore[attr-defined]
        complete=len(single) <= MOST_CALLS,
    )
