"""The charts of an endpoint's metrics."""

from collections.abc import Callable, Sequence
from typing import Any

from django.utils.translation import gettext as _

from core import charts
from core.charts import Chart, Mark, Series
from invocations.metrics import Metrics
from invocations.own_calls import Tally


def marks(metrics: Metrics) -> list[Mark]:
    """What happened, numbered as in the list above the charts."""
    return [
        Mark(event.at, str(number), event.sentence)
        for number, event in enumerate(metrics.events, 1)
    ]


def of_sagemaker(metrics: Metrics) -> list[Chart]:
    """What SageMaker measured of all calls and of the instances."""
    values = metrics.measured.values

    def share(name: str) -> list[float | None]:
        return [None if one is None else 100 * one for one in values[name]]

    def draw(series: dict[Any, Any], **more: Any) -> Chart:
        drawn = [
            Series(label, values[one] if isinstance(one, str) else one)
            for label, one in series.items()
        ]
        return _over_time(metrics, drawn, **more)

    return [
        draw(
            {_("calls"): "invocations"},
            title=_("Calls"),
            unit_name=_per_bin(metrics),
            unit=charts.COUNT,
            style=charts.COLUMNS,
            empty=_("Nobody called this endpoint in this time."),
        ),
        draw(
            {_("5XX: of the server"): "errors_5xx", _("4XX: of the caller"): "errors_4xx"},
            title=_("Calls that failed"),
            unit_name=_per_bin(metrics),
            unit=charts.COUNT,
            style=charts.STACKED,
            empty=_("Nobody called this endpoint in this time."),
        ),
        draw(
            {"p50": "model_latency_p50", "p90": "model_latency_p90", "p99": "model_latency_p99"},
            title=_("Time in the container"),
            about=_("ModelLatency: from the request to the container until its answer."),
            unit=charts.MILLISECONDS,
        ),
        draw(
            {
                "p50": "overhead_latency_p50",
                "p90": "overhead_latency_p90",
                "p99": "overhead_latency_p99",
            },
            title=_("Time that SageMaker adds"),
            about=_(
                "OverheadLatency: from the request to SageMaker until its answer, less the above."
            ),
            unit=charts.MILLISECONDS,
        ),
        draw(
            {_("hits"): share("cache_hit")},
            title=_("Calls that found their model in memory"),
            about=_("ModelCacheHit: the rest are cold starts."),
            unit=charts.PERCENT,
        ),
        draw(
            {_("average"): "loading_wait_average", _("longest"): "loading_wait_maximum"},
            title=_("Wait for a model"),
            about=_("ModelLoadingWaitTime: how long a call waited for download and load."),
            unit=charts.MILLISECONDS,
        ),
        draw(
            {_("downloads"): "downloads", _("loads"): "loads", _("unloads"): "unloads"},
            title=_("Models that came and went"),
            about=_("Many unloads: the models do not all fit into memory."),
            unit_name=_per_bin(metrics),
            unit=charts.COUNT,
        ),
        draw(
            {_("models"): "loaded_models"},
            title=_("Models in memory"),
            about=_("LoadedModelCount: the average of an instance."),
            unit_name=_("models"),
            unit=charts.COUNT,
        ),
        draw(
            {_("average"): "cpu_average", _("highest"): "cpu_maximum"},
            title=_("Processors"),
            about=_("CPUUtilization of an instance: 100 % is one processor."),
            unit=charts.PERCENT,
        ),
        draw(
            {_("average"): "memory_average", _("highest"): "memory_maximum"},
            title=_("Memory"),
            about=_("MemoryUtilization of an instance."),
            unit=charts.PERCENT,
        ),
        draw(
            {_("average"): "disk_average", _("highest"): "disk_maximum"},
            title=_("Disk"),
            about=_("DiskUtilization of an instance."),
            unit=charts.PERCENT,
        ),
    ]


def of_portal(metrics: Metrics) -> list[Chart]:
    """What the portal knows of the calls that it made itself."""
    bins = metrics.own.bins
    empty = _("The portal called no model of this endpoint in this time.")

    def of_bins(value: Callable[[Tally], float | None]) -> Sequence[float | None]:
        return [value(one) if one.calls else None for one in bins]

    return [
        _over_time(
            metrics,
            [
                Series(_("warm"), of_bins(lambda one: one.calls - one.failed - one.cold)),
                Series(_("cold starts"), of_bins(lambda one: one.cold)),
                Series(_("failed"), of_bins(lambda one: one.failed)),
            ],
            title=_("Calls by the portal"),
            unit_name=_per_bin(metrics),
            unit=charts.COUNT,
            style=charts.STACKED,
            empty=empty,
        ),
        _over_time(
            metrics,
            [
                Series("p50", of_bins(lambda one: one.p50_ms)),
                Series("p99", of_bins(lambda one: one.p99_ms)),
            ],
            title=_("How long they took"),
            about=_("From the portal's request until the answer, waits included."),
            unit=charts.MILLISECONDS,
            empty=empty,
        ),
    ]


def _per_bin(metrics: Metrics) -> str:
    """What columns count: so many in each bin."""
    minutes = int(metrics.window.step.total_seconds()) // 60
    if minutes % 60:
        return _("in %(n)s min each") % {"n": minutes}
    return _("in %(n)s h each") % {"n": minutes // 60}


def _over_time(metrics: Metrics, series: Sequence[Series], **more: Any) -> Chart:
    window = metrics.window
    return charts.over_time(
        times=window.times, step=window.step, series=series, marks=marks(metrics), **more
    )
