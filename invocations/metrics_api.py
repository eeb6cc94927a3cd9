"""The operation that tells what is measured of an endpoint."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from ninja import Query, Router
from pydantic import Field

from core.api.caller import Scope
from core.api.operations import operation
from core.api.problems import Problem
from core.api.schema import OneOf, Parameters, Schema
from endpoints.models import Endpoint
from endpoints.panels import MAY_LOOK
from invocations import cloudwatch
from invocations.metrics import Metrics, metrics_of
from invocations.own_calls import Tally
from invocations.windows import Range
from models_catalog.models import Version

router = Router(tags=["endpoints"])

_LOOKING = gettext_noop("look at endpoints")

MetricsRange = Annotated[str, OneOf(Range)]


class MetricsParameters(Parameters):
    """How far back."""

    range: MetricsRange = Range.DAY
    variant: str = Field(
        "", max_length=63, description="Of which variant SageMaker's are; empty: of the first."
    )


class SeriesOut(Schema):
    """The values of a metric, one for each of `times`."""

    name: str = Field(description="It is stable.")
    statistic: str = Field(description="`Sum`, `Average`, `p99`, as CloudWatch names it.")
    unit: str = Field(description="`count`, `ms`, `share` (of 1) or `percent`.")
    values: list[float | None] = Field(description="null: nothing was measured then.")


class SageMakerMetricsOut(Schema):
    """What SageMaker measured of a variant: all its calls, whoever made them."""

    variant: str
    problem: str | None = Field(description="Why CloudWatch did not say. null: it did.")
    series: list[SeriesOut]


class OwnMetricsOut(Schema):
    """What the portal measured: the calls of its pages and its API, which are among all calls."""

    complete: bool = Field(description="false: there are so many that the newest are counted.")
    versions_begin_at: datetime = Field(
        description="The calls of `versions` are those since then: of a week and more, since a "
        "midnight or noon (UTC)."
    )
    versions_left_out: int = Field(
        description="So many more were called: those with the fewest calls."
    )
    series: list[SeriesOut]


class VersionCallsOut(Schema):
    """The portal's own calls of a version in this time."""

    model: str
    number: int
    calls: int
    failed: int
    cold_share: float | None = Field(description="Of 1. null: no container said it.")
    p50_ms: float | None
    p99_ms: float | None
    last_call_at: datetime | None = Field(description="null: the portal never called it.")


class MetricsChangeOut(Schema):
    """Something that happened to the endpoint."""

    at: datetime
    action: str = Field(description="The event's code.")
    sentence: str = Field(description="In the reader's language.")


class MetricsOut(Schema):
    """What is measured of an endpoint."""

    endpoint: str
    range: MetricsRange
    since: datetime
    until: datetime = Field(description="The end of the last bin, which is not over yet.")
    period_s: int = Field(description="The length of a bin, in seconds.")
    times: list[datetime] = Field(description="When each bin begins.")
    sagemaker: SageMakerMetricsOut
    portal: OwnMetricsOut
    versions: list[VersionCallsOut] = Field(
        description="At most 100, most calls first; then at most 50 that were not called."
    )
    changes: list[MetricsChangeOut]


@operation(
    router, "GET", "/endpoints/{name}/metrics", id="endpoints_metrics", scope=Scope.READ,
    permission=MAY_LOOK, doing=_LOOKING, response={200: MetricsOut},
)  # fmt: skip
def metrics(request: HttpRequest, name: str, query: Query[MetricsParameters]) -> Any:
    """What is measured of an endpoint: by SageMaker of all calls, by the portal of its own.

    Where CloudWatch does not answer, `sagemaker.problem` says why, and the rest is told. What
    CloudWatch said is kept for `METRICS_KEEP_S`.
    """
    endpoint = Endpoint.objects.known_as(name)
    if endpoint is None:
        raise Problem("not-found", _("There is no endpoint %(name)s.") % {"name": name})
    names = [one.name for one in endpoint.running.parts]
    variant = query.variant or names[0]
    if variant not in names:
        said = _("There is no variant %(name)s. There are: %(names)s.")
        said %= {"name": variant, "names": ", ".join(names)}
        raise Problem("invalid", said, errors={"variant": [said]})
    found = metrics_of(endpoint=endpoint, range=Range(query.range), variant=variant)
    return _shown(found, variant)


def _shown(found: Metrics, variant: str) -> dict[str, Any]:
    window, measured, own = found.window, found.measured, found.own
    return {
        "endpoint": found.endpoint.name,
        "range": window.range,
        "since": window.begin,
        "until": window.end,
        "period_s": int(window.step.total_seconds()),
        "times": window.times,
        "sagemaker": {
            "variant": variant,
            "problem": None if measured.problem is None else str(measured.problem),
            "series": [
                _series(one.name, one.statistic, one.unit, measured.values[one.name])
                for one in cloudwatch.METRICS
            ],
        },
        "portal": {
            "complete": own.complete,
            "versions_begin_at": own.versions_since,
            "versions_left_out": own.versions_left_out,
            "series": _own_series(own.bins),
        },
        "versions": [_version(one.version, one.tally) for one in own.versions]
        + [_version(one, Tally(last_call_at=_last_call(one))) for one in own.idle],
        "changes": [
            {"at": event.at, "action": event.action, "sentence": event.sentence}
            for event in found.events
        ],
    }


def _last_call(version: Any) -> datetime | None:
    """An annotation of own_calls.calls_of()."""
    at: datetime | None = version.last_call_at
    return at


def _own_series(bins: Sequence[Tally]) -> list[dict[str, Any]]:
    return [
        _series("calls", "Sum", "count", [one.calls for one in bins]),
        _series("failed", "Sum", "count", [one.failed for one in bins]),
        _series("cold", "Sum", "count", [one.cold for one in bins]),
        _series("latency_p50", "p50", "ms", [one.p50_ms for one in bins]),
        _series("latency_p99", "p99", "ms", [one.p99_ms for one in bins]),
    ]


def _series(name: str, statistic: str, unit: str, values: Sequence[float | None]) -> dict[str, Any]:
    return {"name": name, "statistic": statistic, "unit": unit, "values": list(values)}


def _version(version: Version, tally: Tally) -> dict[str, Any]:
    return {
        "model": version.model.name,
        "number": version.number,
        "calls": tally.calls,
        "failed": tally.failed,
        "cold_share": tally.cold_share,
        "p50_ms": tally.p50_ms,
        "p99_ms": tally.p99_ms,
        "last_call_at": tally.last_call_at,
    }
