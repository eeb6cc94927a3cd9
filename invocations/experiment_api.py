"""The operations of experiments: many calls of several versions, and what came of them."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field

from activity.attempts import made_by
from core import waiting
from core.api import answers
from core.api.caller import Scope
from core.api.headers import set_header
from core.api.operations import operation
from core.api.paging import Page, page
from core.api.problems import Problem
from core.api.schema import Input, ListParameters, OneOf, Parameters, Schema
from core.permissions import actor
from endpoints.api import CostOut, shown_cost
from endpoints.models import Endpoint
from invocations.experiments import compared, document, drawing
from invocations.experiments import services as experiments
from invocations.experiments import targets as named_targets
from invocations.experiments.refused import ExperimentRefused
from invocations.experiments.services import ExperimentPlan, Wanted
from invocations.experiments.tally import MOST_LOADS
from invocations.models import EXPERIMENT_NAME_LENGTH, Experiment
from invocations.panels import DOING, MAY_INVOKE

router = Router(tags=["experiments"])

ExperimentState = Annotated[str, OneOf(Experiment.State)]
ExperimentPictures = Annotated[str, OneOf(Experiment.Pictures)]
Sha256 = Annotated[str, Field(min_length=64, max_length=64)]


class ExperimentIn(Input):
    """What to call, how often, and how."""

    endpoint: str = Field(max_length=63, description="Its name.")
    models: str = Field(
        max_length=named_targets.MAX_LENGTH,
        description="`digits:*` (all ready versions), `digits:1`, `digits@live`, `digits`, target "
        "models below a prefix (`demo-subfolder/*`), or several with commas between.",
    )
    calls: int = Field(100, description="1 to 10,000; the role may have a lower limit.")
    callers: int | None = Field(
        None, description="So many calls are under way at a time, 1 to 32; null: 8, or with a rate "
        "as many as the role may have.",
    )  # fmt: skip
    rate: float | None = Field(
        None,
        description="Calls a second (open loop: latency counts from the planned moment); null: "
        "each caller makes its next call when it has its answer (closed loop).",
    )
    draw: str = Field(
        drawing.UNIFORM,
        max_length=20,
        description="`uniform`; `zipf:1.1`: the target that is named first is called most; or "
        "`day:2026-11-27`: as the endpoint was called on that day (of UTC), in order of time.",
    )
    seed: int | None = Field(None, description="The same seed draws the same calls; null: any.")
    pictures: ExperimentPictures = Field(
        "samples",
        description="The samples of the portal, the test set of each model, the pictures of "
        "calls of the last day, which are kept, or those that are `given`.",
    )
    given: list[Sha256] = Field(
        [],
        max_length=200,
        description="Pictures of your own that were sent to `/pictures`, by the `sha256` that it "
        "answered; they are sent in place of `pictures`. `EXPERIMENT_PICTURES` says how many.",
    )
    name: str = Field("", max_length=EXPERIMENT_NAME_LENGTH)


class ExperimentName(Input):
    """A name for an experiment."""

    name: str = Field(max_length=EXPERIMENT_NAME_LENGTH, description="Empty: none.")


class PercentilesOut(Schema):
    """Latencies in ms of the calls that were answered, to 1 %; null: there was none."""

    p50: float | None
    p90: float | None
    p99: float | None


class LatenciesOut(Schema):
    """Latencies of all answered calls, of the cold, of the warm, and of each target."""

    all: PercentilesOut
    cold: PercentilesOut
    warm: PercentilesOut
    targets: dict[str, PercentilesOut]


class TargetResultOut(Schema):
    """What came of the calls of one target."""

    target_model: str
    calls: int
    succeeded: int
    failed: int
    unknown: int
    cold: int
    cold_share: float | None
    latency_ms: PercentilesOut


class AskedOut(Schema):
    """What was asked for."""

    models: str
    calls: int
    callers: int
    rate: float | None
    draw: str
    seed: int
    pictures: ExperimentPictures


class ExperimentItemOut(Schema):
    """An experiment, and its results in short."""

    id: str
    name: str = Field(description="Empty: none was given.")
    state: ExperimentState
    endpoint: str
    asked: AskedOut
    created_at: datetime
    created_by: str
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None = Field(description="Why it ended early.")
    calls: int = Field(description="Those that have ended: succeeded, failed and unknown.")
    succeeded: int
    failed: int
    unknown: int = Field(
        description="Calls that were under way when their process was killed. They are not made "
        "again."
    )
    cold: int = Field(description="Answered calls for which the model was loaded.")
    cold_share: float | None = Field(description="0 to 1; null: of no call is it known.")
    calls_per_second: float | None = Field(description="Ended calls; null: none has ended.")
    seconds: float = Field(description="How long calls were made.")


class LatencyBarOut(Schema):
    """A bar of the histogram: answered calls that took `from_ms` to `to_ms`."""

    from_ms: float
    to_ms: float
    cold: int
    warm: int = Field(description="The others; also those of which the container does not say it.")


class PartsOut(Schema):
    """Where the time of some calls went, in ms on average."""

    calls: int = Field(description="So many tell it: answered ones that SageMaker took at once.")
    network: float = Field(description="SageMaker and the network.")
    fetch: float | None = Field(
        description="Fetching and unpacking the archive: what cold calls took longer than their "
        "load and the network of warm ones. null: no warm call is known; then it is in `network`."
    )
    load: float
    decode: float
    infer: float


class PartsByKindOut(Schema):
    """Of cold calls, and of warm ones; null: none tells it."""

    cold: PartsOut | None
    warm: PartsOut | None


class ExperimentOut(ExperimentItemOut):
    """An experiment with all its results. Targets are named as `digits:2`."""

    latency_ms: LatenciesOut
    targets: dict[str, TargetResultOut]
    labels: dict[str, dict[str, int]] = Field(
        description="By target, how often each label came first; the most frequent ones first."
    )
    errors: dict[str, int] = Field(description="Failed calls by the code of the problem.")
    histogram: list[LatencyBarOut] = Field(
        description="Bars on a logarithmic scale, four to each doubling, without gaps; empty: no "
        "call was answered."
    )
    loads: dict[str, list[float]] = Field(
        description="By target, at which seconds of the experiment a call had its model loaded; "
        f"the first {MOST_LOADS} of each."
    )
    parts_ms: PartsByKindOut


class FigureOut(Schema):
    """A figure of two experiments."""

    name: str = Field(description="Where it is in their documents, as `latency_ms.all.p50`.")
    kind: Annotated[str, OneOf(compared.FigureKind)] = Field(
        description="`number`, `share` (0 to 1), or `ms`."
    )
    one: float | None
    other: float | None


class ComparedExperimentsOut(Schema):
    """Two experiments beside each other."""

    one: ExperimentItemOut
    other: ExperimentItemOut
    figures: list[FigureOut]


class OtherParameters(Parameters):
    """Which other one."""

    other: str = Field(
        "", max_length=EXPERIMENT_NAME_LENGTH,
        description="Its id, or its name: the newest one that has it. Empty: the newest other one "
        "on the same endpoint.",
    )  # fmt: skip


class ExpectedOut(Schema):
    """A target, and about how many calls it gets."""

    name: str
    target_model: str
    share: float
    calls: float
    memory_mb: float | None = Field(description="As its validation measured it.")


class ExperimentPlanOut(Schema):
    """What an experiment would do."""

    endpoint: str
    asked: AskedOut
    targets: list[ExpectedOut]
    seconds: float = Field(description="About so long, by what the validations measured.")
    cost: CostOut | None = Field(
        description="Of the endpoint's instances, called or not; calls themselves cost nothing. "
        "null: the price is not known, or nothing runs."
    )
    cost_meanwhile: str | None = Field(
        description="What they cost in these seconds; a decimal number, as text."
    )
    memory_mb: float | None = Field(
        description="What all targets take in an instance; null: it is not known of each."
    )
    other_models: int = Field(
        description="Versions on the endpoint that it does not call. They may be put out of memory "
        "for those that it calls; their next call is a cold start then."
    )


class ExperimentParameters(ListParameters):
    """Which experiments."""

    endpoint: str = Field("", max_length=63)
    state: ExperimentState | None = None


class ExperimentEndParameters(Parameters):
    """How long to wait."""

    wait: int = Field(0, ge=0, le=waiting.MOST_S, description="Seconds to wait until it has ended.")


def _begun_before(request: HttpRequest, attempt: str) -> HttpResponse | None:
    """The answer of an attempt that began one (core/api/idempotency.py)."""
    pk = made_by(attempt, "experiment.requested")
    experiment = Experiment.objects.listed().filter(pk=pk or 0).first()
    if experiment is None:  # none was begun, or it was deleted or is hidden by now
        return None
    where = {"Location": f"{request.path.rstrip('/')}/{experiment.uid}"}
    return answers.of(202, ExperimentOut, document.whole(experiment), headers=where)


@operation(
    router, "POST", "/experiments", id="experiments_create", scope=Scope.INVOKE,
    permission=MAY_INVOKE, doing=DOING, response={202: ExperimentOut},
    problems=(404, 409), resume=_begun_before,
)  # fmt: skip
def create(request: HttpRequest, body: ExperimentIn) -> Any:
    """Call versions many times, drawn at random, and count what comes of it.

    A process of its own makes the calls; ask the address that `Location` names with `wait`. How
    many calls and callers are allowed depends on the role. Each call is made once at most: after a
    killed process it goes on, and what was under way counts as unknown. Of the calls of each target
    the first and the last one are in the list of calls.
    """
    try:
        experiment = experiments.start(
            wanted=_wanted(body), endpoint=_endpoint(body.endpoint), actor=actor(request)
        )
    except ExperimentRefused as refused:
        raise _problem(refused) from None
    set_header(request, "Location", f"{request.path.rstrip('/')}/{experiment.uid}")
    return Status(202, document.whole(_experiment(experiment.uid)))


@operation(
    router, "POST", "/experiments/plan", id="experiments_preview", scope=Scope.READ,
    permission=MAY_INVOKE, doing=DOING, response={200: ExperimentPlanOut},
    problems=(404, 409), counts_as_change=False,
)  # fmt: skip
def preview(request: HttpRequest, body: ExperimentIn) -> Any:
    """What an experiment would do: calls by target, how long, and what it may put out of memory.

    It calls nothing. What `POST /experiments` would refuse is refused.
    """
    try:
        plan = experiments.plan(
            wanted=_wanted(body), endpoint=_endpoint(body.endpoint), actor=actor(request)
        )
    except ExperimentRefused as refused:
        raise _problem(refused) from None
    return _planned(plan)


@operation(
    router, "GET", "/experiments", id="experiments_list", scope=Scope.READ,
    permission=MAY_INVOKE, doing=DOING, response={200: Page[ExperimentItemOut]},
)  # fmt: skip
def list_experiments(request: HttpRequest, query: Query[ExperimentParameters]) -> Any:
    """The experiments of all people, the latest first."""
    rows = Experiment.objects.listed()
    if query.endpoint:
        rows = rows.filter(endpoint__name=query.endpoint)
    if query.state is not None:
        rows = rows.filter(state=query.state)
    found = page(request, rows, query, order=("-pk",))
    return {**found, "items": [document.short(row) for row in found["items"]]}


@operation(
    router, "GET", "/experiments/{id}", id="experiments_get", scope=Scope.READ,
    permission=MAY_INVOKE, doing=DOING, response={200: ExperimentOut},
)  # fmt: skip
def get(request: HttpRequest, id: str, query: Query[ExperimentEndParameters]) -> Any:
    """What came of an experiment so far; with `wait`, when it has ended."""
    experiments.wait_until_done(id, seconds=query.wait)
    return document.whole(_experiment(id))


@operation(
    router, "GET", "/experiments/{id}/comparison", id="experiments_compare", scope=Scope.READ,
    permission=MAY_INVOKE, doing=DOING, response={200: ComparedExperimentsOut},
)  # fmt: skip
def compare(request: HttpRequest, id: str, query: Query[OtherParameters]) -> Any:
    """An experiment beside another one: counts, cold starts and latencies of both, so far."""
    one = _experiment(id)
    other = compared.find(one, query.other)
    if other is None:
        said = _("There is no other experiment %(name)s.") % {"name": query.other}
        raise Problem("not-found", said if query.other else _("There is no other experiment."))
    return {
        "one": document.short(one),
        "other": document.short(other),
        "figures": [
            {"name": each.name, "kind": each.kind, "one": each.one, "other": each.other}
            for each in compared.figures(one, other)
        ],
    }


@operation(
    router, "PATCH", "/experiments/{id}", id="experiments_rename", scope=Scope.INVOKE,
    permission=MAY_INVOKE, doing=DOING, response={200: ExperimentOut}, problems=(409,),
)  # fmt: skip
def rename(request: HttpRequest, id: str, body: ExperimentName) -> Any:
    """Give an experiment another name."""
    experiment = _experiment(id)
    try:
        experiments.rename(experiment=experiment, name=body.name, actor=actor(request))
    except ExperimentRefused as refused:
        raise _problem(refused) from None
    return document.whole(experiment)


@operation(
    router, "POST", "/experiments/{id}/stop", id="experiments_stop", scope=Scope.INVOKE,
    permission=MAY_INVOKE, doing=DOING, response={200: ExperimentOut},
)  # fmt: skip
def stop(request: HttpRequest, id: str) -> Any:
    """Begin no further call. What is under way is waited for, and what was made is kept.

    One that has ended stays as it is.
    """
    experiment = _experiment(id)
    try:
        experiments.stop(experiment=experiment, actor=actor(request))
    except ExperimentRefused as refused:
        raise _problem(refused) from None
    return document.whole(experiment)


@operation(
    router, "GET", "/experiments/{id}/csv", id="experiments_csv", scope=Scope.READ,
    permission=MAY_INVOKE, doing=DOING, response={200: str},
    extra={"responses": {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}},
)  # fmt: skip
def as_csv(request: HttpRequest, id: str) -> Any:
    """The results for spreadsheets: a line for each target."""
    text = "".join(experiments.csv_of(_experiment(id)))
    return HttpResponse(text, content_type="text/csv; charset=utf-8")


def _wanted(body: ExperimentIn) -> Wanted:
    return Wanted(**body.model_dump(exclude={"endpoint"}))


def _endpoint(name: str) -> Endpoint:
    found = Endpoint.objects.filter(gone_at=None, name=name).first()
    if found is None:
        said = _("There is no endpoint %(name)s. Nothing was called.") % {"name": name}
        raise Problem("not-found", said)
    return found


def _problem(refused: ExperimentRefused) -> Problem:
    if refused.code == "invalid":
        return Problem("invalid", errors={refused.field or "models": [str(refused)]})
    return Problem(refused.code, str(refused))


def _experiment(uid: str) -> Experiment:
    found = Experiment.objects.listed().filter(uid=uid).first()
    if found is None:
        raise Problem("not-found", _("There is no experiment %(id)s.") % {"id": uid})
    return found


def _planned(plan: ExperimentPlan) -> dict[str, Any]:
    wanted = plan.wanted
    return {
        "endpoint": plan.endpoint.name,
        "asked": {
            "models": wanted.models,
            "calls": wanted.calls,
            "callers": wanted.callers,
            "rate": wanted.rate,
            "draw": wanted.draw,
            "seed": wanted.seed,
            "pictures": wanted.pictures,
        },
        "targets": [
            {
                "name": one.target.name,
                "target_model": one.target.target_model,
                "share": round(one.share, 4),
                "calls": one.calls,
                "memory_mb": one.memory_mb,
            }
            for one in plan.targets
        ],
        "seconds": round(plan.seconds, 1),
        "cost": shown_cost(plan.cost),
        "cost_meanwhile": plan.cost_meanwhile or None,
        "memory_mb": plan.memory_mb,
        "other_models": plan.others,
    }
