"""The operation that says whether the models of an endpoint take turns in memory."""

from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Router
from pydantic import Field

from core.api.caller import Scope
from core.api.operations import operation
from core.api.problems import Problem
from core.api.schema import OneOf, Schema
from endpoints.api import CostOut
from endpoints.models import Endpoint
from endpoints.prices import Cost
from endpoints.rights import LOOKING, MAY_LOOK
from invocations.capacity import thrash
from invocations.capacity.choices import InstanceChoice
from invocations.capacity.thrash import CalledVersion, Thrash, Verdict

router = Router(tags=["endpoints"])


class InstanceChoiceOut(Schema):
    """A number of instances of a type, and what the calls would meet there."""

    instance_type: str
    instance_count: int
    room_mb: float = Field(description="Of one instance, for models.")
    cold_share: float = Field(
        description="Of 1: calls whose model had been unloaded for others, by the simulation."
    )
    holds_all: bool = Field(description="No model is unloaded for another.")
    cost: CostOut | None = Field(description="null: the price is not known.")


class CalledVersionOut(Schema):
    """A version that was called lately."""

    model: str
    number: int
    calls: int
    memory_mb: float | None = Field(description="As its validation measured it; null: it did not.")
    cold: int = Field(description="Cold starts, as the calls say.")
    again: int = Field(
        description="By the simulation: calls for which it was loaded again, after it had been "
        "unloaded for others."
    )


class ThrashOut(Schema):
    """Whether the models of an endpoint take turns in memory, and what would help."""

    endpoint: str
    verdict: Annotated[str, OneOf(Verdict)]
    sentences: list[str] = Field(description="The same in words, in the reader's language.")
    since: datetime
    until: datetime
    calls: int = Field(description="So many it is based on.")
    complete: bool = Field(description="false: there were more; the newest are counted.")
    instance_type: str
    instance_count: int
    room_mb: float | None = Field(
        description="Of one instance, for models; null: the type's memory is not known."
    )
    needed_mb: float | None = Field(description="What all called versions take; null: not known.")
    estimated: int = Field(
        description="Versions that were never measured; they are taken for the average."
    )
    held: int = Field(description="Versions in memory at a time, by the simulation.")
    predicted_share: float | None = Field(
        description="Of 1: calls whose model had been unloaded for others, by the simulation."
    )
    measured_share: float | None = Field(
        description="The same as the calls say, without a first load on each instance. null: no "
        "container says it."
    )
    wait_ms: float | None = Field(
        description="How much longer a cold call took than a warm one, by their medians."
    )
    better: InstanceChoiceOut | None = Field(
        description="The cheapest that would spare the waits; null: there is nothing to advise."
    )
    less: list[CalledVersionOut] = Field(
        description="The least called versions without which the others fit."
    )
    versions: list[CalledVersionOut] = Field(description="Most calls first.")


@operation(
    router, "GET", "/endpoints/{name}/thrash", id="endpoints_thrash", scope=Scope.READ,
    permission=MAY_LOOK, doing=LOOKING, response={200: ThrashOut},
)  # fmt: skip
def endpoint_thrash(request: HttpRequest, name: str) -> Any:
    """Whether its models take turns in memory, from the calls of the last day.

    It is found by a simulation of SageMaker's cache, from the memory that each validation measured
    and the calls that the portal knows: its own, and those of experiments. `verdict`: `thrash`,
    `fits`, `few-calls` (too few to say), `not-known` (the memory of the type or of the versions is
    not known) or `otherwise` (the simulation and the calls do not agree).
    """
    endpoint = Endpoint.objects.known_as(name)
    if endpoint is None:
        raise Problem("not-found", _("There is no endpoint %(name)s.") % {"name": name})
    return _shown(thrash.of_endpoint(endpoint))


def _shown(found: Thrash) -> dict[str, Any]:
    return {
        "endpoint": found.endpoint.name,
        "verdict": found.verdict.value,
        "sentences": found.sentences,
        "since": found.traffic.since,
        "until": found.traffic.until,
        "calls": found.calls,
        "complete": found.traffic.complete,
        "instance_type": found.instance_type,
        "instance_count": found.instance_count,
        "room_mb": found.room_mb,
        "needed_mb": found.needed_mb,
        "estimated": found.estimated,
        "held": found.held,
        "predicted_share": found.predicted,
        "measured_share": found.measured,
        "wait_ms": found.traffic.wait_ms,
        "better": None if found.better is None else shown_choice(found.better),
        "less": [_version(one) for one in found.less],
        "versions": [_version(one) for one in found.versions],
    }


def shown_choice(one: InstanceChoice) -> dict[str, Any]:
    """The fields of InstanceChoiceOut."""
    return {
        "instance_type": one.instance_type,
        "instance_count": one.instance_count,
        "room_mb": one.room_mb,
        "cold_share": one.cold_share,
        "holds_all": one.holds_all,
        "cost": _cost(one.cost),
    }


def _cost(cost: Cost | None) -> dict[str, str] | None:
    if cost is None:
        return None
    month = str(cost.per_month)
    return {"per_hour": cost.hourly, "per_month": month, "currency": cost.currency}


def _version(one: CalledVersion) -> dict[str, Any]:
    return {
        "model": one.model,
        "number": one.number,
        "calls": one.calls,
        "memory_mb": one.memory_mb,
        "cold": one.cold,
        "again": one.again,
    }
