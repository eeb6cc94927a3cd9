"""Percentiles come out as if each value had been kept."""

import random

import pytest
from moto.cloudwatch.exceptions import InvalidParameterValue
from moto.cloudwatch.models import MetricAggregatedDatum, MetricDatum

from localaws.moto_percentiles import Datum, Statistics
from localaws.telemetry import Values

WHAT = {"namespace": "n", "name": "m", "dimensions": [], "timestamp": None}


def statistics(*data):
    found = Statistics(["Sum"], None)
    found.metric_data = list(data)
    return found


def datum(values):
    made = Datum(**WHAT)
    for value in values:
        made.add(value)
    return made


@pytest.mark.parametrize("percent", [0, 1, 50, 90, 99, 99.9, 100])
def test_they_are_true_to_half_a_percent_over_several_minutes(percent):
    chance = random.Random(7)
    minutes = [[chance.lognormvariate(10, 2) for _ in range(3000)] for _ in range(3)]
    data = [datum(values) for values in minutes]
    everything = sorted(value for values in minutes for value in values)
    rank = max(1, -int(-percent * len(everything) // 100))
    found = statistics(*data).get_statistics_for_type(f"p{percent}")
    assert found == pytest.approx(everything[rank - 1], rel=0.005)


@pytest.mark.not_quick
def test_what_is_kept_does_not_grow_with_the_calls():
    chance = random.Random(7)
    assert len(datum(chance.uniform(1, 1e6) for _ in range(100_000)).counts) < 6 * 900


def test_few_values_come_out_exactly():
    assert statistics(datum([3, 7, 5])).get_statistics_for_type("p50") == 5
    assert statistics(datum([1234567])).get_statistics_for_type("p90") == 1234567
    assert statistics(datum([0, 0, 1])).get_statistics_for_type("p50") == 0
    single = [MetricDatum(value=value, **WHAT) for value in (1, 2, 3, 4)]
    assert statistics(*single, datum([9])).get_statistics_for_type("p75") == 4


def test_an_average_of_equal_values_is_that_value():
    """A rounded sum of eleven of them, divided, is less or more."""
    value = 0.024931614291640737
    values = [value] * 11
    assert sum(values) / len(values) != value
    counted = Statistics(["Average"], None)
    counted.metric_data = [datum(values[:4]), datum(values[4:])]
    assert counted.average == value
    single = Statistics(["Average"], None)
    single.metric_data = [MetricDatum(value=value, **WHAT) for value in values]
    assert single.average == value
    assert Statistics(["Average"], None).average is None
    assert Values(sum(values), len(values), value, value).Average == value


def test_what_has_none_says_so():
    given = MetricAggregatedDatum(min_stat=1, max_stat=2, sample_count=2, sum_stat=3, **WHAT)
    with pytest.raises(InvalidParameterValue, match="no percentiles"):
        statistics(given).get_statistics_for_type("p50")
    with pytest.raises(InvalidParameterValue, match="p101 is not offered"):
        statistics(datum([1])).get_statistics_for_type("p101")
    assert statistics(given).get_statistics_for_type("Sum") == 3
