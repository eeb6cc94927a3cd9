"""The operations of an endpoint's alarms: listed, made, changed, tested, removed."""

from datetime import datetime
from typing import Annotated, Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from pydantic import Field

from core import waiting
from core.api.caller import Caller, Scope
from core.api.operations import operation
from core.api.paging import Page, page
from core.api.problems import Problem
from core.api.schema import Input, ListParameters, OneOf, Parameters, Schema
from endpoints import alarms, planned_acts
from endpoints.alarm_presets import LONGEST_MINUTES, AlarmKind
from endpoints.api import EndpointPlanOut, shown_plan
from endpoints.models import Endpoint, EndpointAlarm
from endpoints.rights import LOOKING, MAY_LOOK

router = Router(tags=["endpoints"])

_MAY_CHANGE, _CHANGING = "endpoints.add_endpoint", "change endpoints"
AlarmState = Annotated[str, OneOf(EndpointAlarm.State)]
AlarmKindName = Annotated[str, OneOf(AlarmKind)]


class AlarmOut(Schema):
    """An alarm of CloudWatch that the portal makes for an endpoint."""

    name: str = Field(
        description="As in this path: the kind, or `KIND.VARIANT` of a variant with a name."
    )
    kind: AlarmKindName
    variant: str
    alarm_name: str = Field(description="CloudWatch's AlarmName, as deployment policies take it.")
    threshold: int = Field(
        description="Failed calls; ms; percent. Of `no-calls` it is 1 and without a meaning."
    )
    minutes: int = Field(description="The time that it looks at.")
    condition: str = Field(description="When it goes off, in the reader's language.")
    state: AlarmState = Field(
        description="`requested` until CloudWatch shows it as it was asked for, then its "
        "StateValue; `deleting` until it is gone."
    )
    reason: str = Field(description="CloudWatch's StateReason.")
    changed_at: datetime | None = Field(description="When its state changed last.")
    failure: str | None = Field(
        description="Why it is not as it was asked for, in the reader's language."
    )
    created_at: datetime
    created_by: str | None


class AlarmPage(Page[AlarmOut]):
    """The alarms of an endpoint, and how CloudWatch was looked at."""

    looked_at: datetime | None = Field(description="When CloudWatch last told the states of all.")
    problem: str | None = Field(description="Why it did not since, in the reader's language.")


class AlarmIn(Input):
    """When an alarm goes off; what is left out stays, or is preset."""

    threshold: int | None = Field(
        None, ge=1, le=2**31 - 1, description="Failed calls; ms; percent; of `no-calls` not read."
    )
    minutes: int | None = Field(None, ge=1, le=LONGEST_MINUTES)


class AlarmPlanIn(AlarmIn):
    """The same, or that it is to be deleted."""

    remove: bool = Field(False, description="Plan its deletion; then the rest is not read.")


class AlarmWait(Parameters):
    """How long to wait for CloudWatch."""

    wait: int = Field(
        0, ge=0, le=waiting.MOST_S,
        description="Seconds: while CloudWatch is being asked for it, or to delete it.",
    )  # fmt: skip


@operation(
    router, "GET", "/endpoints/{name}/alarms", id="alarms_list", scope=Scope.READ,
    permission=MAY_LOOK, doing=LOOKING, response={200: AlarmPage},
)  # fmt: skip
def list_alarms(request: HttpRequest, name: str, query: Query[ListParameters]) -> Any:
    """The alarms of an endpoint, with their states as last seen.

    The portal asks CloudWatch each minute. An alarm that goes off, or is over, is told by webhooks
    and mails of the kind `endpoint.alarm`.
    """
    endpoint, watch = _endpoint(name), alarms.the_watch()
    rows = EndpointAlarm.objects.filter(endpoint=endpoint)
    found = page(
        request,
        rows.select_related("endpoint", "created_by"),
        query,
        order=("kind", "variant", "pk"),
    )
    return {
        **found,
        "items": [_shown(one) for one in found["items"]],
        "looked_at": watch.looked_at,
        "problem": str(watch.problem_said) if watch.problem else None,
    }


@operation(
    router, "GET", "/endpoints/{name}/alarms/{alarm}", id="alarms_get", scope=Scope.READ,
    permission=MAY_LOOK, doing=LOOKING, response={200: AlarmOut},
)  # fmt: skip
def get(request: HttpRequest, name: str, alarm: str, query: Query[AlarmWait]) -> Any:
    """One of them: `p99`, or `p99.VARIANT`. One that was removed is 404 when it is gone."""
    endpoint = _endpoint(name)
    found = waiting.until(
        lambda: _alarm(endpoint, alarm), lambda one: not one.under_way, seconds=query.wait
    )
    return _shown(found)


@operation(
    router, "PUT", "/endpoints/{name}/alarms/{alarm}", id="alarms_put", scope=Scope.OPERATE,
    permission=_MAY_CHANGE, doing=_CHANGING, response={202: AlarmOut}, problems=(409,),
)  # fmt: skip
def put(request: HttpRequest, name: str, alarm: str, body: AlarmIn) -> Any:
    """Make an alarm, or have it go off at another time.

    `alarm` is `5xx`, `p99`, `cache-hits`, `memory` or `no-calls`; where the endpoint has several
    variants, `p99.VARIANT`. The answer comes at once, and a job asks CloudWatch: `wait` on the GET
    waits for it. Where AWS refuses, `failure` says why, and the portal tries again.
    """
    endpoint = _endpoint(name)
    kind, variant = _named(endpoint, alarm)
    row = alarms.set_alarm(
        endpoint=endpoint, kind=kind, variant=variant, actor=_caller(request).user, **body.dict()
    )
    return Status(202, _shown(row))


@operation(
    router, "POST", "/endpoints/{name}/alarms/{alarm}/plan", id="alarms_preview",
    scope=Scope.OPERATE, permission=_MAY_CHANGE, doing=_CHANGING,
    response={200: EndpointPlanOut}, problems=(409,), counts_as_change=False,
)  # fmt: skip
def preview(request: HttpRequest, name: str, alarm: str, body: AlarmPlanIn) -> Any:
    """What making an alarm, changing or deleting it would call in CloudWatch, and what it costs.

    Nothing is changed. What would be refused is refused.
    """
    endpoint, user = _endpoint(name), _caller(request).user
    if body.remove:
        row = _alarm(endpoint, alarm)
        return shown_plan(planned_acts.plan_alarm_removal(alarm=row, actor=user))
    kind, variant = _named(endpoint, alarm)
    plan = planned_acts.plan_alarm(
        endpoint=endpoint,
        kind=kind,
        variant=variant,
        threshold=body.threshold,
        minutes=body.minutes,
        actor=user,
    )
    return shown_plan(plan)


@operation(
    router, "POST", "/endpoints/{name}/alarms/{alarm}/test", id="alarms_test",
    scope=Scope.OPERATE, permission=_MAY_CHANGE, doing=_CHANGING, response={200: AlarmOut},
    problems=(409,),
)  # fmt: skip
def test(request: HttpRequest, name: str, alarm: str) -> Any:
    """Tell of it as if it went off, and say that it is a test: to webhooks, and by mail.

    CloudWatch is not asked, and its state stays.
    """
    row = _alarm(_endpoint(name), alarm)
    alarms.send_test(alarm=row, actor=_caller(request).user)
    return _shown(row)


@operation(
    router, "DELETE", "/endpoints/{name}/alarms/{alarm}", id="alarms_delete",
    scope=Scope.OPERATE, permission=_MAY_CHANGE, doing=_CHANGING, response={202: AlarmOut},
    problems=(409,),
)  # fmt: skip
def delete(request: HttpRequest, name: str, alarm: str) -> Any:
    """Have an alarm deleted; the answer comes at once. A teardown deletes all of an endpoint."""
    row = alarms.remove(alarm=_alarm(_endpoint(name), alarm), actor=_caller(request).user)
    return Status(202, _shown(row))


def _caller(request: HttpRequest) -> Caller:
    caller: Caller = request.caller  # type: ignore[attr-defined]
    return caller


def _endpoint(name: str) -> Endpoint:
    found = Endpoint.objects.known_as(name)
    if found is None:
        raise Problem("not-found", _("There is no endpoint %(name)s.") % {"name": name})
    return found


def _named(endpoint: Endpoint, key: str) -> tuple[str, str]:
    """The kind and the variant that a path means."""
    try:
        return alarms.parse_key(endpoint, key)
    except ValidationError as error:
        raise Problem("not-found", " ".join(error.messages)) from None


def _alarm(endpoint: Endpoint, key: str) -> EndpointAlarm:
    found = alarms.find(endpoint, key)
    if found is None:
        said = _("The endpoint %(name)s has no alarm %(alarm)s.")
        raise Problem("not-found", said % {"name": endpoint.name, "alarm": key})
    return found


def _shown(row: EndpointAlarm) -> dict[str, Any]:
    return {
        "name": row.key,
        "kind": row.kind,
        "variant": row.variant,
        "alarm_name": row.name,
        "threshold": row.threshold,
        "minutes": row.minutes,
        "condition": str(row.condition),
        "state": row.state,
        "reason": row.reason,
        "changed_at": row.changed_at,
        "failure": str(row.failure_said) if row.failure else None,
        "created_at": row.created_at,
        "created_by": row.created_by.get_username() if row.created_by else None,
    }
