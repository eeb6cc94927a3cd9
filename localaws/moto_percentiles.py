"""Percentiles for moto's CloudWatch, which has none: ``p50``, ``p99.9``.

A datum counts values rounded to three significant figures, so that it stays small (900 counts for
each power of ten); percentiles are exact to half a percent. moto itself fails for a statistic that
it does not know. Imported late, as importing moto takes a second.
"""

import math
import re
from collections import Counter, deque
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from moto.cloudwatch import models, responses
from moto.cloudwatch.exceptions import InvalidParameterValue

from .averages import mean

_KNOWN = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")


class Datum(models.MetricAggregatedDatum):  # type: ignore[misc] # moto has no types here
    """A metric's values in one minute, which may go on growing."""

    min: float
    max: float
    sum: float
    sample_count: float

    def __init__(self, **what: Any) -> None:
        super().__init__(
            min_stat=math.inf, max_stat=-math.inf, sample_count=0.0, sum_stat=0.0, **what
        )
        self.counts: Counter[float] = Counter()

    def add(self, value: float) -> None:
        self.min = min(self.min, value)
        self.max = max(self.max, value)
        self.sum += value
        self.counts[float(f"{value:.2e}")] += 1
        self.sample_count += 1  # last, so that a concurrent reader finds at least as many counts


# moto keeps every object for its web page; here that would fill the memory.
Datum.instances_tracked = deque(maxlen=0)


class Statistics(models.Statistics):  # type: ignore[misc]
    """moto's, with percentiles of what :class:`Datum` holds and of single values."""

    extended_statistics: dict[str, float] | None = None  # ExtendedStatistics of a Datapoint

    def get_statistics_for_type(self, stat: str) -> Any:
        known = stat in _KNOWN
        return super().get_statistics_for_type(stat) if known else self.percentile(stat)

    @property
    def average(self) -> float | None:
        """moto's, which rounding puts beyond the least or the largest value where all are equal."""
        found = super().average
        if found is None:
            return None
        single, datums = self.metric_single_values_list, self.metric_aggregated_list
        low = min([*single, *(datum.min for datum in datums)])
        high = max([*single, *(datum.max for datum in datums)])
        return mean(self.calc_sum(), self.calc_sample_count(), low, high)

    def percentile(self, stat: str) -> float:
        """The percentile that ``stat`` names; raises the error that the caller then gets."""
        match = _PERCENTILE.fullmatch(stat)
        if match is None:
            raise InvalidParameterValue(
                f"The statistic {stat} is not offered by localaws. Offered are: "
                f"{', '.join(_KNOWN)}, and percentiles such as p99."
            )
        single = self.metric_single_values_list
        datums = [one for one in self.metric_aggregated_list if isinstance(one, Datum)]
        counts: Counter[float] = Counter(single)
        for datum in datums:
            counts.update(dict(datum.counts))
        if not counts:
            raise InvalidParameterValue("There are no percentiles of sets of statistics.")
        percent = Decimal(match[1])  # with floats, 99.9 % of 9,000 would be more than 8,991
        low: float = min([*single, *(datum.min for datum in datums)])
        high: float = max([*single, *(datum.max for datum in datums)])
        if percent == 100:
            return high
        return min(max(nearest_rank(counts, percent), low), high)


def nearest_rank(counts: Mapping[float, int], percent: Decimal) -> float:
    """The smallest value with at least ``percent`` of all values not above it."""
    rank = max(1, math.ceil(percent / 100 * sum(counts.values())))
    for value in sorted(counts):
        rank -= counts[value]
        if rank <= 0:
            return value
    raise ValueError("no values")


_plain: Any = responses.CloudWatchResponse.get_metric_statistics


def _get_metric_statistics(self: Any) -> Any:
    """moto's GetMetricStatistics, which ignores ExtendedStatistics."""
    answer = _plain(self)
    wanted = self._get_param("ExtendedStatistics") or []
    for point in answer.result["Datapoints"]:
        point.extended_statistics = {stat: point.percentile(stat) for stat in wanted} or None
    return answer


# moto looks both up by these names at each request.
models.Statistics = Statistics
responses.CloudWatchResponse.get_metric_statistics = _get_metric_statistics
