"""The operation that tells what is measured of an endpoint."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router
from pydantic import Field

from core.api.caller import Scope
from core.api.operations import operation
from core.api.problems import Problem
from core.api.schema import OneOf, Parameters, Schema
from endpoints.models import Endpoint
from endpoints.rights import LOOKING, MAY_LOOK
from invocations import cloudwatch
from invocations.container_page import ContainerFigures, ContainerModel
from invocations.metrics import Metrics, metrics_of
from invocations.own_calls import Tally
from invocations.windows import Range
from models_catalog.models import Version

router = Router(tags=["endpoints"])


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
    statistic: str = Field(
        description="`Sum`, `Average`, `p99`, as CloudWatch names it. Of SageMaker's series `p50`, "
        "`p90` and `p99` of a bin of several hours are those of the hour where they were highest."
    )
    unit: str = Field(description="`count`, `ms`, `share` (of 1) or `percent`.")
    values: list[float | None] = Field(description="null: nothing was measured then.")


class SageMakerMetricsOut(Schema):
    """What SageMaker measured of a variant: all its calls, whoever made them."""

    variant: str
    problem: str | None = Field(
        description="Why CloudWatch did not say. null: it did. Of `7d` and `28d` the hours that "
        "the portal keeps are told all the same."
    )
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


class ContainerInstanceOut(Schema):
    """An instance, as its container tells it."""

    instance: str
    up: bool = Field(description="false: its page could not be read.")
    started_at: datetime | None = Field(description="Since when it counts.")
    models: int | None = Field(description="How many are in memory.")
    memory_bytes: int | None
    memory_limit_bytes: int | None


class ErrorCallsOut(Schema):
    """Calls that were answered with an error."""

    kind: str = Field(description="`not_loaded`, `out_of_memory`, …, as the container says it.")
    calls: int


class EvictionsOut(Schema):
    """Unloads of a model."""

    reason: str = Field(description="`memory`, `request` or `worker_died`.")
    times: int


class ContainerModelOut(Schema):
    """What all containers together count of a model, whoever called it."""

    target_model: str = Field(
        description="Empty: those that are no longer told singly. Before its first call it is the "
        "name that SageMaker gave it."
    )
    model: str | None
    number: int | None
    calls: int
    portal_calls: int | None = Field(
        description="How often the portal called it since then; null: it knows no such version."
    )
    cold: int
    errors: list[ErrorCallsOut]
    evictions: list[EvictionsOut]
    loads: int
    load_ms: float | None = Field(description="On average. null: it was not loaded.")
    memory_bytes: int | None = Field(
        description="Of all instances (PSS). null: it is not in memory."
    )
    loaded_at: datetime | None = Field(description="null: it is not in memory.")
    last_call_at: datetime | None


class UncalledOut(Schema):
    """A version that the endpoint can serve, and that no container was called for."""

    model: str
    number: int


class ContainersOut(Schema):
    """What the containers count themselves since each was started, whoever called."""

    read_at: datetime | None = Field(description="null: their pages were not read.")
    problem: str | None = Field(
        description="Why not. On AWS SageMaker's detailed observability alone can read them."
    )
    since: datetime | None = Field(description="When the first of them was started.")
    least_recent: str | None = Field(
        description="The target model in memory that nobody has called for the longest time: it is "
        "unloaded next where memory is short. null: none is in memory."
    )
    least_recent_call_at: datetime | None = Field(
        description="When it was called last; null: never, or there is none."
    )
    eviction_age_ms: float | None = Field(
        description="How long models had not been called, on average, when they were unloaded to "
        "make room. Small beside the time between two calls of a model: they take turns. null: "
        "none was."
    )
    instances: list[ContainerInstanceOut]
    models: list[ContainerModelOut] = Field(description="Most calls first.")
    models_left_out: int = Field(description="So many more have fewer calls.")
    uncalled: list[UncalledOut] = Field(description="The newest 50.")


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
    containers: ContainersOut | None = Field(
        description="Not of the time above. null: the endpoint is gone."
    )
    changes: list[MetricsChangeOut]


@operation(
    router, "GET", "/endpoints/{name}/metrics", id="endpoints_metrics", scope=Scope.READ,
    permission=MAY_LOOK, doing=LOOKING, response={200: MetricsOut},
)  # fmt: skip
def metrics(request: HttpRequest, name: str, query: Query[MetricsParameters]) -> Any:
    """What is measured of an endpoint: by SageMaker of all calls, by the portal of its own.

    `containers` is what these count themselves since they were started, by model, whoever called.
    Where CloudWatch does not answer, `sagemaker.problem` says why, and the rest is told; so does
    `containers.problem`. What CloudWatch and the containers said is kept for `METRICS_KEEP_S`.
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
        "containers": None if found.containers is None else _containers(found.containers),
        "changes": [
            {"at": event.at, "action": event.action, "sentence": event.sentence}
            for event in found.events
        ],
    }


def _containers(told: ContainerFigures) -> dict[str, Any]:
    problem = None if told.problem is None else str(told.problem)
    if told.elsewhere:
        problem = _(
            "SageMaker's detailed observability alone can read what the containers themselves "
            "count."
        )
    oldest = told.least_recent
    return {
        "read_at": told.at,
        "problem": problem,
        "since": told.since,
        "least_recent": None if oldest is None else oldest.target,
        "least_recent_call_at": None if oldest is None else oldest.last_call_at,
        "eviction_age_ms": told.eviction_age_ms,
        "instances": [
            {
                "instance": one.name,
                "up": one.up,
                "started_at": one.since,
                "models": one.models,
                "memory_bytes": one.memory_bytes,
                "memory_limit_bytes": one.memory_limit_bytes,
            }
            for one in told.instances
        ],
        "models": [_container_model(one) for one in told.models],
        "models_left_out": told.models_left_out,
        "uncalled": [{"model": one.model.name, "number": one.number} for one in told.uncalled],
    }


def _container_model(one: ContainerModel) -> dict[str, Any]:
    return {
        "target_model": one.target,
        "model": None if one.version is None else one.version.model.name,
        "number": None if one.version is None else one.version.number,
        "calls": one.calls,
        "portal_calls": one.own_calls,
        "cold": one.cold,
        "errors": [{"kind": kind, "calls": n} for kind, n in one.errors.most_common()],
        "evictions": [{"reason": reason, "times": n} for reason, n in one.evictions.most_common()],
        "loads": one.loads,
        "load_ms": one.load_ms,
        "memory_bytes": one.memory_bytes,
        "loaded_at": one.loaded_since,
        "last_call_at": one.last_call_at,
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
