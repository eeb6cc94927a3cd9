"""The calls of an endpoint that the portal made itself, in figures: by time, and by version."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import OuterRef, Subquery

from endpoints.models import Endpoint
from endpoints.tables import servable
from invocations.models import Invocation
from invocations.windows import Window
from models_catalog.models import Version

#: The newest calls of a window that are counted.
MOST_CALLS = 20_000
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

    @property
    def cold_share(self) -> float | None:
        """The share of cold starts, of 1; None where it is not known of any call."""
        return self.cold / self.cold_known if self.cold_known else None

    @property
    def p50_ms(self) -> float | None:
        """Half of the answered calls took no longer."""
        return nearest_rank(self.times, 50)

    @property
    def p99_ms(self) -> float | None:
        """99 of 100 answered calls took no longer."""
        return nearest_rank(self.times, 99)


@dataclass(frozen=True)
class VersionCalls:
    """The calls of one version."""

    version: Version
    tally: Tally


@dataclass(frozen=True)
class OwnCalls:
    """The portal's own calls of a window.

    ``bins``: one tally for each. ``versions``: those that were called, most calls first. ``idle``:
    some of those that were not, each with ``last_call_at``, None: never. ``complete``: whether all
    calls are counted, not the newest alone.
    """

    bins: Sequence[Tally]
    versions: Sequence[VersionCalls]
    idle: Sequence[Version]
    idle_count: int
    complete: bool

    @property
    def calls(self) -> int:
        """How many there are."""
        return sum(one.calls for one in self.bins)


def nearest_rank(times: Sequence[float], percent: int) -> float | None:
    """The percentile as a time that was really measured; None of nothing."""
    if not times:
        return None
    return sorted(times)[max(0, math.ceil(len(times) * percent / 100) - 1)]


def calls_of(endpoint: Endpoint, window: Window) -> OwnCalls:
    """The calls of ``endpoint`` in ``window``; four queries."""
    rows = Invocation.objects.traffic().filter(
        endpoint=endpoint, created_at__gte=window.begin, created_at__lt=window.end
    )
    columns = ("created_at", "state", "cold", "latency_ms", "version_id")
    found = list(rows.order_by("-created_at").values_list(*columns)[: MOST_CALLS + 1])
    bins = [Tally() for _ in range(window.bins)]
    by_version: dict[int, Tally] = defaultdict(Tally)
    for at, state, cold, latency_ms, version in found[:MOST_CALLS]:
        place = window.place(at)
        if place is not None:
            bins[place].add(at, state, cold, latency_ms)
            by_version[version].add(at, state, cold, latency_ms)
    known = Version.objects.select_related("model").defer("report", "model__description")
    versions = [VersionCalls(one, by_version[one.pk]) for one in known.filter(pk__in=by_version)]
    versions.sort(key=lambda one: (-one.tally.calls, one.version.model.name, one.version.number))
    idle = servable(endpoint).exclude(pk__in=by_version)
    of_version = Invocation.objects.traffic().filter(endpoint=endpoint, version=OuterRef("pk"))
    last = Subquery(of_version.order_by("-created_at").values("created_at")[:1])
    some = idle.select_related("model").defer("report", "model__description")
    return OwnCalls(
        bins=bins,
        versions=versions,
        idle=list(some.annotate(last_call_at=last).order_by("-pk")[:MOST_IDLE]),
        idle_count=idle.count(),
        complete=len(found) <= MOST_CALLS,
    )
