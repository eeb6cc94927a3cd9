"""The operation that plans instances for models and calls."""

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router
from pydantic import Field

from core.api.caller import Scope
from core.api.operations import operation
from core.api.problems import Problem
from core.api.schema import Parameters, Schema
from endpoints.models import Endpoint
from endpoints.rights import LOOKING, MAY_LOOK
from invocations.capacity import planner
from invocations.capacity.planner import CapacityPlan, CapacityRefused, WantedCapacity
from invocations.experiments import targets
from invocations.thrash_api import InstanceChoiceOut, shown_choice
from models_catalog.models import NAME_LENGTH

router = Router(tags=["endpoints"])


class CapacityParameters(Parameters):
    """What is to be served, and how it is called."""

    models: str = Field(
        "*",
        max_length=targets.MAX_LENGTH,
        description="`*` (all ready versions of the store), `digits:*`, `digits:1`, `digits@live`, "
        "or several with commas between; what is named first is called most.",
    )
    store: str = Field(
        "",
        max_length=NAME_LENGTH,
        description="Where they are; by default the store of `like`, or else of the settings.",
    )
    calls_per_hour: float = Field(600.0, description="More than 0.")
    draw: str = Field("zipf:1.1", max_length=20, description="`uniform`, or `zipf:1.1`.")
    like: str = Field(
        "", max_length=63, description="An endpoint: its calls lately, in place of `draw`."
    )
    cold_share: float = Field(
        0.01, description="Of 1: so many calls may wait until their model is loaded again."
    )
    most_instances: int = Field(3, description="1 to 10, and at most MAX_INSTANCES.")


class PlannedModelOut(Schema):
    """A version that is to be called."""

    name: str = Field(description="As `digits:2`.")
    share: float = Field(description="Of the calls.")
    memory_mb: float | None = Field(description="As its validation measured it; null: it did not.")


class PlannedChoiceOut(InstanceChoiceOut):
    """A number of instances of a type, and what the calls would meet there."""

    cold_per_hour: float = Field(description="Calls an hour that would wait for their model.")
    too_large: bool = Field(description="A model does not fit into memory even alone.")
    busy_share: float = Field(
        description="Of 1: how busy the processors are, by what a warm call took in validation."
    )
    fits: bool = Field(description="It has what is wanted, with processors at most 70 % busy.")
    recommended: bool = Field(description="The cheapest that has what is wanted.")


class CapacityOut(Schema):
    """Which instances would hold the models, at which cost, and which share of calls waits."""

    models: list[PlannedModelOut]
    needed_mb: float = Field(description="What all of them take in memory.")
    estimated: int = Field(
        description="Versions that were never measured; they are taken for the average."
    )
    load_ms: float | None = Field(
        description="How long loading took in validation, on average; null: it is not known."
    )
    choices: list[PlannedChoiceOut] = Field(description="The cheapest first.")
    estimate: str = Field(description="Where the prices come from, and what they leave out.")


@operation(
    router, "GET", "/capacity", id="capacity_plan", scope=Scope.READ,
    permission=MAY_LOOK, doing=LOOKING, response={200: CapacityOut}, problems=(404, 409),
)  # fmt: skip
def plan_capacity(request: HttpRequest, query: Query[CapacityParameters]) -> Any:
    """Plan instances: which types and numbers would hold these models under these calls.

    It is found by a simulation of SageMaker's cache, from the memory that each validation measured.
    Nothing is called, and nothing is made. `cold_share` counts the calls whose model had been
    unloaded for others; the first load of a model is not in it.
    """
    like = None
    if query.like:
        like = Endpoint.objects.known_as(query.like)
        if like is None:
            said = _("There is no endpoint %(name)s.") % {"name": query.like}
            raise Problem("not-found", said)
    wanted = WantedCapacity(
        models=query.models,
        store=query.store,
        calls_per_hour=query.calls_per_hour,
        draw=query.draw,
        like=like,
        cold_share=query.cold_share,
        most_instances=query.most_instances,
    )
    try:
        return _shown(planner.plan(wanted))
    except CapacityRefused as refused:
        if refused.code == "invalid" and refused.field:
            raise Problem("invalid", errors={refused.field: [str(refused)]}) from None
        raise Problem(refused.code, str(refused)) from None


def _shown(plan: CapacityPlan) -> dict[str, Any]:
    return {
        "models": [
            {"name": one.target.name, "share": one.share, "memory_mb": one.memory_mb}
            for one in plan.models
        ],
        "needed_mb": plan.needed_mb,
        "estimated": plan.estimated,
        "load_ms": plan.wait_ms,
        "choices": [
            shown_choice(one.choice)
            | {
                "cold_per_hour": plan.cold_per_hour(one.choice),
                "too_large": one.choice.too_large > 0,
                "busy_share": one.busy_share,
                "fits": one.fits,
                "recommended": one.recommended,
            }
            for one in plan.choices
        ],
        "estimate": plan.prices.estimate,
    }
