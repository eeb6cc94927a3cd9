"""What came of the calls of an experiment, by target: counts, labels, errors, latencies.

Latencies are in HdrHistograms (https://hdrhistogram.org): of any number of calls some kilobytes,
to 1 %, which can be added up. They are those of the calls that were answered.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hdrh.histogram import HdrHistogram

PERCENTILES = (50, 90, 99)
MOST_LABELS = 200
"""At most this many labels are counted by target; further ones together as OTHER."""
OTHER = "…"
MOST_LOADS = 200
"""Of so many cold calls of a target it is kept when they were."""
_LABEL_LENGTH = 200
# Microseconds, up to an hour.
_LARGEST_US = 3_600_000_000
_DIGITS = 2
#: Edges of the bars that are shown, in ms: four to each doubling, some 20 %.
_EDGE_FACTOR = 2 ** (1 / 4)


@dataclass(frozen=True)
class MadeCall:
    """How one call ended: ``label``, or with ``error`` the code of what went wrong.

    ``latency_ms``: from the moment at which it was to be made. ``at_s``: seconds of the experiment.
    ``told``: columns of Invocation for the calls that are listed (listed_calls.py), of an answer.
    """

    number: int
    at_s: float
    latency_ms: float
    cold: bool | None = None
    label: str = ""
    probability: float | None = None
    error: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)

    def as_list(self) -> list[Any]:
        """For a line of a file."""
        return [
            self.number, round(self.at_s, 2), round(self.latency_ms, 3), self.cold, self.label,
            self.probability, self.error, dict(self.told),
        ]  # fmt: skip


def histogram(encoded: str = "") -> Any:
    """An empty one, or one that was encoded."""
    made = HdrHistogram(1, _LARGEST_US, _DIGITS)
    if encoded:
        made.decode_and_add(encoded.encode())
    return made


def record(into: Any, latency_ms: float) -> None:
    """Add one latency; what is longer than an hour counts as an hour."""
    into.record_value(min(_LARGEST_US, max(1, round(latency_ms * 1000))))


def percentiles(of: Any) -> dict[str, float | None]:
    """p50, p90 and p99 in ms; None of nothing."""
    if not of.get_total_count():
        return {f"p{one}": None for one in PERCENTILES}
    found = of.get_percentile_to_value_dict(list(PERCENTILES))
    return {f"p{one}": round(found[one] / 1000, 2) for one in PERCENTILES}


#: By how a call was: cold, warm, or not known.
KINDS = ("cold", "warm", "unsaid")


@dataclass
class TargetTally:
    """What came of the calls of one target."""

    succeeded: int = 0
    failed: int = 0
    unknown: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    loads: list[float] = field(default_factory=list)
    times: dict[str, Any] = field(default_factory=dict)
    #: Of cold and of warm calls: how many tell where their time went, and sums of its parts.
    spent: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """Those that have ended, or were cut off."""
        return self.succeeded + self.failed + self.unknown

    def add(self, call: MadeCall) -> None:
        """Count a call that has ended."""
        if call.error:
            self.failed += 1
            self.errors[call.error] += 1
            return
        self.succeeded += 1
        kind = {True: "cold", False: "warm", None: "unsaid"}[call.cold]
        if kind not in self.times:
            self.times[kind] = histogram()
        record(self.times[kind], call.latency_ms)
        parts = _parts_of(call)
        if parts is not None:
            self.spent.setdefault(kind, Counter()).update(parts)
        if call.cold and len(self.loads) < MOST_LOADS:
            self.loads.append(round(call.at_s, 1))
        label = call.label[:_LABEL_LENGTH]
        if label not in self.labels and len(self.labels) >= MOST_LABELS:
            label = OTHER
        self.labels[label] += 1

    def count(self, kind: str) -> int:
        """How many answered calls were cold, warm, or unsaid."""
        return int(self.times[kind].get_total_count()) if kind in self.times else 0

    def all_times(self) -> Any:
        """The latencies of all answered calls."""
        return merged(self.times.values())

    def as_json(self) -> dict[str, Any]:
        """What a row stores."""
        return {
            "succeeded": self.succeeded,
            "failed": self.failed,
            "unknown": self.unknown,
            "labels": dict(self.labels),
            "errors": dict(self.errors),
            "loads": list(self.loads),
            "spent": {kind: dict(sums) for kind, sums in self.spent.items()},
            "times": {kind: one.encode().decode() for kind, one in self.times.items()},
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "TargetTally":
        """What a row has."""
        return cls(
            succeeded=stored["succeeded"],
            failed=stored["failed"],
            unknown=stored["unknown"],
            labels=Counter(stored["labels"]),
            errors=Counter(stored["errors"]),
            loads=list(stored["loads"]),
            # None of what a process of the release before has counted.
            spent={kind: Counter(sums) for kind, sums in stored.get("spent", {}).items()},
            times={kind: histogram(one) for kind, one in stored["times"].items()},
        )

    def shown(self) -> dict[str, Any]:
        """The part of the result."""
        cold, warm = self.count("cold"), self.count("warm")
        return {
            "calls": self.calls,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "unknown": self.unknown,
            "cold": cold,
            "cold_share": share(cold, cold + warm),
            "latency_ms": percentiles(self.all_times()),
        }


#: Where the time of a call goes, in the order of time; a warm call has neither fetch nor load.
PARTS = ("network", "fetch", "load", "decode", "infer")
_CALLS = "calls"


def _parts_of(call: MadeCall) -> dict[str, float] | None:
    """The parts of the time of a call, fetch among network; None where they are not known.

    Of a call that SageMaker took at once: of another one nobody knows what it waited for.
    """
    told = call.told.get("timings") or {}
    if call.cold is None or call.told.get("attempts") != 1 or "infer_ms" not in told:
        return None
    inside = {"decode": told.get("decode_ms", 0.0), "infer": told["infer_ms"]}
    rest = max(0.0, told.get("call_ms", 0.0) - sum(inside.values()))
    load = 0.0
    if call.cold:
        load = min(rest, told.get("ready_ms", told.get("load_ms", 0.0)))
    return {_CALLS: 1, "network": rest - load, "load": load, **inside}


def parts_of(tallies: Iterable[TargetTally]) -> dict[str, dict[str, Any] | None]:
    """Where the time of cold and of warm calls went, in ms on average; None: nobody knows.

    What a cold call takes longer than its load and the network of warm calls, its archive is
    fetched and unpacked. Without a warm call fetch is None, and is part of the network.
    """
    sums: dict[str, Counter[str]] = {"cold": Counter(), "warm": Counter()}
    for one in tallies:
        for kind, spent in one.spent.items():
            sums[kind].update(spent)
    means: dict[str, dict[str, Any] | None] = {}
    for kind, of in sums.items():
        calls = of[_CALLS]
        means[kind] = {name: of[name] / calls for name in PARTS} if calls else None
    cold, warm = means["cold"], means["warm"]
    if warm is not None:
        warm["fetch"] = warm["load"] = 0.0
    if cold is not None:
        cold["fetch"] = None
        if warm is not None:
            cold["fetch"] = max(0.0, cold["network"] - warm["network"])
            cold["network"] -= cold["fetch"]
    return {
        kind: None
        if found is None
        else {_CALLS: int(sums[kind][_CALLS])}
        | {name: None if ms is None else round(ms, 2) for name, ms in found.items()}
        for kind, found in means.items()
    }


def share(part: int, whole: int) -> float | None:
    """0 to 1; None of nothing."""
    return round(part / whole, 4) if whole else None


def merged(histograms: Iterable[Any]) -> Any:
    """The sum."""
    whole = histogram()
    for one in histograms:
        whole.add(one)
    return whole


def result(names: Sequence[str], tallies: Sequence[TargetTally], active_s: float) -> dict[str, Any]:
    """What came of an experiment so far, as the API gives it and the page shows it.

    ``active_s``: seconds in which calls were made. ``bars``: of the histogram (`bars_of`).
    """
    cold = merged(one.times["cold"] for one in tallies if "cold" in one.times)
    warm = merged(one.times["warm"] for one in tallies if "warm" in one.times)
    unsaid = merged(one.times["unsaid"] for one in tallies if "unsaid" in one.times)
    cold_calls, warm_calls = int(cold.get_total_count()), int(warm.get_total_count())
    succeeded, failed = (sum(getattr(one, name) for one in tallies) for name in _ENDED)
    unknown = sum(one.unknown for one in tallies)
    errors: Counter[str] = Counter()
    for one in tallies:
        errors += one.errors
    rate = (succeeded + failed) / active_s if active_s > 0 else None
    return {
        "calls": succeeded + failed + unknown,
        "succeeded": succeeded,
        "failed": failed,
        "unknown": unknown,
        "cold": cold_calls,
        "cold_share": share(cold_calls, cold_calls + warm_calls),
        "calls_per_second": None if rate is None else round(rate, 2),
        "seconds": round(active_s, 2),
        "latency_ms": {
            "all": percentiles(merged((cold, warm, unsaid))),
            "cold": percentiles(cold),
            "warm": percentiles(warm),
            "targets": {
                name: percentiles(one.all_times()) for name, one in zip(names, tallies, strict=True)
            },
        },
        "targets": {name: one.shown() for name, one in zip(names, tallies, strict=True)},
        "labels": {
            name: dict(one.labels.most_common()) for name, one in zip(names, tallies, strict=True)
        },
        "errors": dict(errors.most_common()),
        "bars": bars_of(cold, merged((warm, unsaid))),
        "loads": {name: one.loads for name, one in zip(names, tallies, strict=True)},
        "parts": parts_of(tallies),
    }


_ENDED = ("succeeded", "failed")


def bars_of(cold: Any, warm: Any) -> list[list[float]]:
    """The bars of a histogram: from and to in ms, cold calls, and the others; on a log scale."""
    counts: dict[int, list[int]] = {}
    for place, of in ((0, cold), (1, warm)):
        if not of.get_total_count():
            continue
        for item in of.get_recorded_iterator():
            bar = _bar(item.value_iterated_to / 1000)
            counts.setdefault(bar, [0, 0])[place] += item.count_at_value_iterated_to
    if not counts:
        return []
    return [
        [round(_edge(bar), 3), round(_edge(bar + 1), 3), *counts.get(bar, [0, 0])]
        for bar in range(min(counts), max(counts) + 1)
    ]


def _edge(bar: int) -> float:
    return float(_EDGE_FACTOR**bar)


def _bar(ms: float) -> int:
    """The bar that a latency lies in."""
    return math.floor(math.log(max(ms, 1e-3), _EDGE_FACTOR) + 1e-9)
