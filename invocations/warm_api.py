"""The operations that warm models of endpoints, and keep them warm."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from ninja import Query, Router
from ninja.responses import Status
from pydantic import Field

from core import waiting
from core.api.caller import Scope
from core.api.operations import operation
from core.api.problems import Problem
from core.api.schema import Input, OneOf, Parameters, Schema
from core.permissions import actor
from core.sentences import Sentence
from endpoints.models import Endpoint
from endpoints.rights import LOOKING, MAY_LOOK
from invocations.experiments import targets
from invocations.models import Warming, WarmSchedule
from invocations.panels import DOING, MAY_INVOKE
from invocations.thrash_views import MAY_CHANGE
from invocations.warming import chosen, keeping, running
from invocations.warming.running import WarmingRefused

router = Router(tags=["endpoints"])

_CREATING = gettext_noop("create endpoints")
# untranslated: OpenAPI is in English
_MODELS = (
    "`@*` (every version that an alias points at), `*` (all ready versions), `digits:*`, "
    "`digits:1`, `digits@live`, or several with commas between."
)


class WarmIn(Input):
    """What to warm now."""

    models: str = Field(chosen.ALL_ALIASES, max_length=targets.MAX_LENGTH, description=_MODELS)


class KeepWarmIn(Input):
    """What to keep warm, and how."""

    models: str = Field(chosen.ALL_ALIASES, max_length=targets.MAX_LENGTH, description=_MODELS)
    every_minutes: int | None = Field(
        None, description="1 to 10,080 (a week); null: not again and again."
    )
    after_change: bool = Field(True, description="After each deploy and change, too.")


class WarmedOut(Schema):
    """A version that was called."""

    name: str = Field(description="As `digits:2`.")
    cold: bool | None = Field(description="Whether it had to be loaded; null: not known.")
    latency_ms: float | None
    call: str = Field(description="The id of the call; empty: none was made.")
    error: str | None = Field(description="What went wrong, in the reader's language.")


class WarmingOut(Schema):
    """Versions that are called once, so that their models are in memory."""

    id: str
    endpoint: str
    models: str = Field(description="As they were named.")
    state: Annotated[str, OneOf(Warming.State)]
    reason: Annotated[str, OneOf(Warming.Reason)]
    versions: list[str] = Field(description="All that are to be called, in their order.")
    called: list[WarmedOut] = Field(description="What came of those that were called so far.")
    created_at: datetime
    created_by: str
    finished_at: datetime | None


class KeptWarmOut(Schema):
    """What of an endpoint is kept warm; only while it stands."""

    models: str
    every_minutes: int | None
    after_change: bool
    next_at: datetime | None = Field(description="null: not again and again.")
    calls_per_day: int | None = Field(
        description="What it costs in calls; null: it names no version that is served now."
    )
    changed_at: datetime
    changed_by: str


class WarmthOut(Schema):
    """What is kept warm of an endpoint, and the latest warmings."""

    kept: KeptWarmOut | None = Field(description="null: nothing.")
    latest: list[WarmingOut] = Field(description="The latest first, ten at most.")


class WarmingParameters(Parameters):
    """How long to wait."""

    wait: int = Field(0, ge=0, le=waiting.MOST_S, description="Seconds to wait until it has ended.")


@operation(
    router, "POST", "/endpoints/{name}/warmings", id="warmings_create", scope=Scope.INVOKE,
    permission=MAY_INVOKE, doing=DOING, response={202: WarmingOut}, problems=(404, 409, 422),
)  # fmt: skip
def create(request: HttpRequest, name: str, body: WarmIn) -> Any:
    """Warm models now: a job calls each version once, one after the other.

    The calls are in the lists of calls with `warming`, and count not as traffic. With several
    instances each model is in the memory of one of them.
    """
    try:
        made = running.start(endpoint=_endpoint(name), models=body.models, actor=actor(request))
    except WarmingRefused as refused:
        raise _problem(refused) from None
    return Status(202, _warming(made))


@operation(
    router, "GET", "/endpoints/{name}/warmings/{id}", id="warmings_get", scope=Scope.READ,
    permission=MAY_LOOK, doing=LOOKING, response={200: WarmingOut},
)  # fmt: skip
def get(request: HttpRequest, name: str, id: str, query: Query[WarmingParameters]) -> Any:
    """How far a warming is; with `wait`, when it has ended."""
    running.wait_until_done(id, seconds=query.wait)
    return _warming(_found(name, id))


@operation(
    router, "POST", "/endpoints/{name}/warmings/{id}/stop", id="warmings_stop",
    scope=Scope.INVOKE, permission=MAY_INVOKE, doing=DOING, response={200: WarmingOut},
)  # fmt: skip
def stop(request: HttpRequest, name: str, id: str) -> Any:
    """Call no further version; one that has ended stays as it is."""
    found = _found(name, id)
    running.stop(warming=found, actor=actor(request))
    return _warming(found)


@operation(
    router, "GET", "/endpoints/{name}/warmth", id="warmth_get", scope=Scope.READ,
    permission=MAY_LOOK, doing=LOOKING, response={200: WarmthOut},
)  # fmt: skip
def warmth(request: HttpRequest, name: str) -> Any:
    """What of an endpoint is kept warm, and what was warmed lately."""
    return _warmth(_endpoint(name))


@operation(
    router, "PUT", "/endpoints/{name}/warmth", id="warmth_put", scope=Scope.OPERATE,
    permission=MAY_CHANGE, doing=_CREATING, response={200: WarmthOut}, problems=(404, 409, 422),
)  # fmt: skip
def keep(request: HttpRequest, name: str, body: KeepWarmIn) -> Any:
    """Keep models warm from now on, in place of what was kept warm before.

    It goes on while the endpoint stands. `calls_per_day` says what it costs in calls.
    """
    endpoint = _endpoint(name)
    try:
        keeping.keep(endpoint=endpoint, actor=actor(request), **body.model_dump())
    except WarmingRefused as refused:
        raise _problem(refused) from None
    return _warmth(endpoint)


@operation(
    router, "DELETE", "/endpoints/{name}/warmth", id="warmth_delete", scope=Scope.OPERATE,
    permission=MAY_CHANGE, doing=_CREATING, response={200: WarmthOut},
)  # fmt: skip
def end(request: HttpRequest, name: str) -> Any:
    """Keep nothing warm any more; what is being warmed goes on."""
    endpoint = _endpoint(name)
    keeping.end(endpoint=endpoint, actor=actor(request))
    return _warmth(endpoint)


def _endpoint(name: str) -> Endpoint:
    found = Endpoint.objects.known_as(name)
    if found is None:
        raise Problem("not-found", _("There is no endpoint %(name)s.") % {"name": name})
    return found


def _found(name: str, uid: str) -> Warming:
    row = Warming.objects.listed().filter(endpoint=_endpoint(name), uid=uid).first()
    if row is None:
        raise Problem("not-found", _("There is no warming %(id)s.") % {"id": uid})
    return row


def _problem(refused: WarmingRefused) -> Problem:
    if refused.code == "invalid":
        return Problem("invalid", errors={"models": [str(refused)]})
    return Problem(refused.code, str(refused))


def _warming(row: Warming) -> dict[str, Any]:
    return {
        "id": row.uid,
        "endpoint": row.endpoint.name,
        "models": row.named,
        "state": row.state,
        "reason": row.reason,
        "versions": [one["name"] for one in row.targets],
        "called": [
            {key: one[key] for key in ("name", "cold", "latency_ms", "call")}
            | {"error": _said(one)}
            for one in row.results
        ],
        "created_at": row.created_at,
        "created_by": row.created_by_name,
        "finished_at": row.finished_at,
    }


def _said(result: dict[str, Any]) -> str | None:
    if not result["error"]:
        return None
    return str(Sentence.from_json(result["error_code"], result["error"]))


def _warmth(endpoint: Endpoint) -> dict[str, Any]:
    schedule = keeping.of_endpoint(endpoint)
    latest = Warming.objects.listed().filter(endpoint=endpoint)[:10]
    return {
        "kept": None if schedule is None else _kept(schedule),
        "latest": [_warming(row) for row in latest],
    }


def _kept(schedule: WarmSchedule) -> dict[str, Any]:
    return {
        "models": schedule.named,
        "every_minutes": schedule.every_minutes,
        "after_change": schedule.after_change,
        "next_at": schedule.next_at,
        "calls_per_day": keeping.calls_a_day(schedule),
        "changed_at": schedule.changed_at,
        "changed_by": schedule.changed_by_name,
    }
