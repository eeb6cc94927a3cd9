"""What SageMaker measured of an endpoint: all calls, whoever made them. From CloudWatch."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from django.conf import settings

from core import aws, errors
from core.remembered import Shared
from core.sentences import phrase
from endpoints.models import Endpoint
from invocations.windows import Range, Window

logger = logging.getLogger(__name__)

Values = Sequence[float | None]
Unit = Literal["count", "ms", "share", "percent"]

_CALLS, _INSTANCES = "AWS/SageMaker", "/aws/sagemaker/Endpoints"


@dataclass(frozen=True)
class Metric:
    """A metric of CloudWatch with a statistic; its values times ``factor`` are in ``unit``."""

    name: str
    of: str
    statistic: str
    unit: Unit
    factor: float = 1.0
    namespace: str = _CALLS


def _times(name: str, of: str, **statistics: str) -> list[Metric]:
    """Times, which SageMaker measures in microseconds."""
    return [Metric(f"{name}_{key}", of, stat, "ms", 0.001) for key, stat in statistics.items()]


def _use(name: str, of: str) -> list[Metric]:
    return [
        Metric(f"{name}_average", of, "Average", "percent", namespace=_INSTANCES),
        Metric(f"{name}_maximum", of, "Maximum", "percent", namespace=_INSTANCES),
    ]


_PERCENTILES = {"p50": "p50", "p90": "p90", "p99": "p99"}
# Names and statistics are those of DG/multi-model-endpoint-cloudwatch-metrics and
# DG/monitoring-cloudwatch. The number of loads is that of the times which they took.
METRICS: Final[Sequence[Metric]] = (
    Metric("invocations", "Invocations", "Sum", "count"),
    Metric("errors_4xx", "Invocation4XXErrors", "Sum", "count"),
    Metric("errors_5xx", "Invocation5XXErrors", "Sum", "count"),
    *_times("model_latency", "ModelLatency", **_PERCENTILES),
    *_times("overhead_latency", "OverheadLatency", **_PERCENTILES),
    Metric("cache_hit", "ModelCacheHit", "Average", "share"),
    *_times("loading_wait", "ModelLoadingWaitTime", average="Average", maximum="Maximum"),
    Metric("downloads", "ModelDownloadingTime", "SampleCount", "count"),
    Metric("loads", "ModelLoadingTime", "SampleCount", "count"),
    Metric("unloads", "ModelUnloadingTime", "SampleCount", "count"),
    Metric("loaded_models", "LoadedModelCount", "Average", "count", namespace=_INSTANCES),
    *_use("cpu", "CPUUtilization"),
    *_use("memory", "MemoryUtilization"),
    *_use("disk", "DiskUtilization"),
)
# How many measurements an average is of, by its name: averages of hours are put together by them.
_SAMPLES: Final[Mapping[str, Metric]] = {
    one.name: Metric(f"{one.name}_samples", one.of, "SampleCount", "count", 1.0, one.namespace)
    for one in METRICS
    if one.statistic == "Average"
}
OF_AN_HOUR: Final[Sequence[Metric]] = (*METRICS, *_SAMPLES.values())
"""What is known of an hour, so that hours can be put together (`put_together`)."""
# Answers of one question; 28 days of hours come in one.
_MOST_PAGES = 20


@dataclass(frozen=True)
class Measured:
    """The values of each metric by its name, one for each bin; None: nothing was measured then.

    ``problem``: why there are none, or none but those that the portal keeps (measured_hours.py).
    """

    window: Window
    values: Mapping[str, Values]
    problem: errors.AwsError | None = None

    @property
    def any(self) -> bool:
        """Whether anything was measured."""
        return any(value is not None for row in self.values.values() for value in row)


_SHARED: Shared[tuple[int, Range, str], Measured] = Shared(keep_s=settings.METRICS_KEEP_S)


def measured(endpoint: Endpoint, range: Range, now: datetime, variant: str = "") -> Measured:
    """What was measured until ``now``; for all who look within METRICS_KEEP_S, one call.

    CloudWatch measures each variant by itself; without ``variant`` it is the first. Percentiles of
    several cannot be put together.

    Takes some seconds at most. A call that fails is not repeated earlier either.
    """
    variant = variant or endpoint.running.parts[0].name
    found = _SHARED.get(
        (endpoint.pk, range, variant), lambda: _ask(endpoint, variant, Window.until(now, range))
    )
    assert found is not None
    return found


def _ask(endpoint: Endpoint, variant: str, window: Window) -> Measured:
    try:
        return Measured(window, values_of(endpoint, variant, window, METRICS))
    except errors.AwsError as problem:
        logger.warning("The metrics of %s are not known: %s", endpoint.name, problem)
        return Measured(window, {metric.name: [None] * window.bins for metric in METRICS}, problem)


def values_of(
    endpoint: Endpoint, variant: str, window: Window, metrics: Sequence[Metric]
) -> dict[str, list[float | None]]:
    """The values of ``metrics`` by name, one for each bin; those of an earlier endpoint left out.

    Raises an AwsError where CloudWatch does not say all that it has.
    """
    dimensions = {"EndpointName": endpoint.name, "VariantName": variant}
    asked: dict[str, Any] = {
        "MetricDataQueries": [
            _query(dimensions, number, metric, window) for number, metric in enumerate(metrics)
        ],
        "StartTime": window.begin,
        "EndTime": window.end,
        "ScanBy": "TimestampAscending",
    }
    by_id = {_id(number): metric for number, metric in enumerate(metrics)}
    values: dict[str, list[float | None]] = {one.name: [None] * window.bins for one in metrics}
    with aws.translated(phrase("asking CloudWatch for the metrics of an endpoint")):
        for _page in range(_MOST_PAGES):
            answer = aws.cloudwatch().get_metric_data(**asked)
            for result in answer["MetricDataResults"]:
                # PartialData goes on in the next page.
                if result.get("StatusCode", "Complete") not in ("Complete", "PartialData"):
                    raise errors.AwsError(phrase("CloudWatch did not tell all that it measured."))
                metric = by_id[result["Id"]]
                _place(endpoint, metric, result, window, values[metric.name])
            if not answer.get("NextToken"):
                return values
            asked["NextToken"] = answer["NextToken"]
    raise errors.AwsError(phrase("CloudWatch did not tell all that it measured."))


def put_together(metric: Metric, hours: Sequence[Mapping[str, float]]) -> float | None:
    """The value of some hours, of which each is known by the names of OF_AN_HOUR.

    Sums add up; an average is that of all measurements, as CloudWatch has it of a longer period;
    a percentile is that of the hour where it was highest, as it cannot be had of percentiles.
    """
    known = [hour for hour in hours if metric.name in hour]
    if not known:
        return None
    values = [hour[metric.name] for hour in known]
    if metric.statistic in ("Sum", "SampleCount"):
        return sum(values)
    if metric.statistic != "Average":
        return max(values)
    samples = [hour.get(_SAMPLES[metric.name].name, 0.0) for hour in known]
    if not sum(samples):
        return sum(values) / len(values)
    return sum(value * n for value, n in zip(values, samples, strict=True)) / sum(samples)


def _id(number: int) -> str:
    """An id of a query begins with a small letter (CloudWatch API, MetricDataQuery)."""
    return f"m{number}"


def _query(
    dimensions: Mapping[str, str], number: int, metric: Metric, window: Window
) -> dict[str, Any]:
    return {
        "Id": _id(number),
        "MetricStat": {
            "Metric": {
                "Namespace": metric.namespace,
                "MetricName": metric.of,
                "Dimensions": [{"Name": key, "Value": dimensions[key]} for key in dimensions],
            },
            "Period": int(window.step.total_seconds()),
            "Stat": metric.statistic,
        },
    }


def _place(
    endpoint: Endpoint,
    metric: Metric,
    result: Mapping[str, Any],
    window: Window,
    values: list[float | None],
) -> None:
    """Put values into their bins. Those of an earlier endpoint of the same name are left out."""
    for at, value in zip(result.get("Timestamps", ()), result.get("Values", ()), strict=False):
        place = window.place(at)
        if place is None or at + window.step <= endpoint.created_at:
            continue
        if endpoint.gone_at is not None and at > endpoint.gone_at:
            continue
        values[place] = value * metric.factor
