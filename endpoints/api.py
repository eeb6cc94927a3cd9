"""The operations of endpoints: create one, look at it, change it, and tear it down."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from typing import Annotated, Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from pydantic import AwareDatetime, Field

from activity.attempts import made_by
from core import waiting
from core.api import etags
from core.api.caller import Caller, Scope
from core.api.headers import set_header
from core.api.operations import operation
from core.api.paging import Page, page
from core.api.problems import Problem, of_validation_error
from core.api.schema import Input, ListParameters, OneOf, Parameters, Schema
from endpoints import (
    beside,
    drift,
    durations,
    execution_roles,
    expiry,
    idle_limits,
    idling,
    last_calls,
    pausing,
    planned_acts,
    planning,
    policies,
    presets,
    prices,
    scaling,
    services,
    tables,
    variants,
)
from endpoints.end_dates import MAY_TEAR_DOWN
from endpoints.limits import COOLDOWN_S, MOST_SCHEDULED, Limits, ScheduledLimits
from endpoints.models import Endpoint, Resource, Revision, Running
from endpoints.options import (
    LEAST_TIMEOUT_S,
    MOST_GROUPS,
    MOST_PERCENT,
    MOST_SUBNETS,
    MOST_TIMEOUT_S,
    MOST_VOLUME_GB,
    DeploymentOptions,
)
from endpoints.presets import Preset
from endpoints.prices import Cost
from endpoints.rights import LOOKING, MAY_LOOK
from endpoints.sagemaker import Call
from endpoints.spending import Spent, so_far
from models_catalog.models import REASON_LENGTH

router = Router(tags=["endpoints"])

_MAY_CREATE, _CREATING = "endpoints.add_endpoint", "create endpoints"
_MAY_CHANGE, _CHANGING = "endpoints.add_endpoint", "change endpoints"
_TEARING_DOWN = "tear endpoints down"

# The values of enumerations of rows; classes called State are other rooms', too.
EndpointState = Annotated[str, OneOf(Endpoint.State)]
ScalingState = Annotated[str, OneOf(Endpoint.Scaling)]
ResourceState = Annotated[str, OneOf(Resource.State)]
Wanted = Annotated[str, OneOf(Endpoint.Wanted)]
ResourceKind = Annotated[str, OneOf(Resource.Kind)]
PolicyChoice = Annotated[str, OneOf(policies.PolicyKind)]
RevisionState = Annotated[str, OneOf(Revision.State)]
# untranslated: OpenAPI is in English
_INSTEAD = "All that it is to have, two at most; in place of a type and a number of instances."
_REASON = Field("", max_length=REASON_LENGTH, description="Why; the history keeps it.")


class VariantOut(Schema):
    """A production variant: instances of a type, which get a share of the calls."""

    name: str
    instance_type: str = Field(description="Empty where SageMaker does not say.")
    instance_count: int
    weight: float = Field(description="Its share of the calls is this of the weights of all.")


class RunningOut(Schema):
    """What runs now, as last seen."""

    instance_type: str = Field(
        description="Empty where SageMaker does not say; of several variants the types of all."
    )
    instance_count: int = Field(description="Of all variants.")
    variants: list[VariantOut]


class CostOut(Schema):
    """What instances cost while they run, called or not: an estimate."""

    per_hour: str = Field(description="A decimal number, as text.")
    per_month: str = Field(description="The same for 730 hours.")
    currency: str


class SpentOut(Schema):
    """What instances cost since an endpoint was created, called or not: an estimate."""

    instance_hours: str = Field(description="That the portal saw; a decimal number, as text.")
    cost: str = Field(description="By the prices of today; a decimal number, as text.")
    currency: str
    unpriced_types: list[str] = Field(
        description="Instance types whose price is not known: they are in the hours, and not in "
        "the cost."
    )


class ProgressOut(Schema):
    """What is under way with an endpoint, and how long it usually takes."""

    work: Annotated[str, OneOf(durations.Work)]
    since: datetime = Field(description="When it was asked for.")
    usually_from_s: int | None = Field(
        description="Half of the times before took between so many seconds and `usually_to_s`. "
        "null: there were none."
    )
    usually_to_s: int | None
    said: str = Field(description="The same as a sentence, with how long it has taken.")


class CallsTodayOut(Schema):
    """The portal's calls of an endpoint since midnight, in its time zone."""

    all: int
    cold: int = Field(description="So many waited until their model was loaded.")


class ScheduledOut(Schema):
    """Other limits of autoscaling from a time of the week on."""

    when: str = Field(description="As `mon-fri 08:00`.")
    min_instances: int
    max_instances: int


class ScalingOut(Schema):
    """How AWS changes the number of instances (Application Auto Scaling)."""

    state: ScalingState
    min_instances: int
    max_instances: int
    calls_per_minute: int = Field(description="Calls a minute that each instance is to have.")
    in_cooldown_s: int
    out_cooldown_s: int
    schedule: list[ScheduledOut] = Field(description="Each holds until the next one.")
    zone: str = Field(description="The time zone of the schedule; empty: there is none.")
    cost_from: CostOut | None = Field(description="With the fewest. null: it is not known.")
    cost_up_to: CostOut | None = Field(description="With the most. null: it is not known.")


class ResourceOut(Schema):
    """One of the SageMaker resources that an endpoint owns."""

    kind: ResourceKind
    name: str
    arn: str = Field(description="Empty until it was created.")
    state: ResourceState


class PolicyOut(Schema):
    """How SageMaker was to make a change."""

    kind: PolicyChoice
    percent: int
    wait_s: int
    alarms: list[str]


class RefusedChangeOut(Schema):
    """A change that SageMaker refused or rolled back; the endpoint serves as before."""

    revision: int
    state: RevisionState
    failure: str = Field(description="Why, in the reader's language; AWS's words in its own.")
    failure_code: str | None = Field(
        description="The same, for programs: it is stable. null: AWS's words alone are known."
    )


class OptionsOut(Schema):
    """What else can be set of an endpoint; null and empty: as AWS presets it."""

    model_cache: bool = Field(description="Models stay in memory after their calls.")
    environment: dict[str, str] = Field(description="Of the container.")
    startup_timeout_s: int | None = Field(description="Until a container must be healthy.")
    download_timeout_s: int | None = Field(description="For a model, from S3 to the instance.")
    volume_gb: int | None = Field(description="Of each instance.")
    subnets: list[str]
    security_groups: list[str]
    kms_key: str = Field(description="It encrypts the volume.")
    capture_percent: int | None = Field(
        description="So many calls of a hundred are kept in S3, with their answers; null: none."
    )
    tags: dict[str, str] = Field(description="Besides the portal's own.")


class DifferenceOut(Schema):
    """A fact of the endpoint that is compared with what it would be."""

    name: str = Field(
        description="As in the endpoint: `instance_type`, `instance_count`, `variants`, `image`, "
        "`role_arn`, `store`, `owner`, `scaling`, `hours`, `state`, `alarm`; or one of its "
        "`options`."
    )
    before: str
    after: str


class RevisionOut(Schema):
    """What an endpoint was asked to be, and what came of it."""

    revision: int
    state: RevisionState
    instance_type: str
    instance_count: int
    variants: list[VariantOut]
    image: str
    role_arn: str
    options: OptionsOut
    reason: str
    differences: list[DifferenceOut] = Field(description="What served before, and this.")
    policy: PolicyOut | None = Field(description="null: all calls moved at once.")
    back_to: int | None = Field(description="The revision that it goes back to.")
    accepted_outside: bool = Field(
        description="Somebody made it outside the portal, and it was accepted here."
    )
    failure: str | None = Field(description="Why SageMaker did not make it.")
    failure_code: str | None = Field(description="The same, for programs: it is stable.")
    created_at: datetime
    created_by: str | None
    settled_at: datetime | None = Field(description="When its outcome was seen.")
    took_s: int | None = Field(
        description="Seconds from the request until it served, was refused or was rolled back. "
        "null: it is under way, was withdrawn or made outside the portal, or nobody knows."
    )


class EndpointOut(Schema):
    """An endpoint: what was asked for, and what SageMaker last said of it."""

    name: str
    revision: int = Field(
        description="What is wanted of it: each change, and each endpoint of this name, has one."
    )
    updating: bool = Field(description="A change was asked for, and SageMaker has not made it yet.")
    refused_change: RefusedChangeOut | None = Field(
        description="The last change, where it was refused or rolled back."
    )
    state: EndpointState
    wanted: Wanted
    settled: bool = Field(description="Nothing is under way: it serves, it stopped, or it is gone.")
    serving: bool = Field(description="It can be called now.")
    sagemaker_status: str = Field(description="SageMaker's EndpointStatus; empty: it has none.")
    instance_type: str = Field(description="Of several variants the types of all.")
    instance_count: int = Field(description="Of all variants.")
    variants: list[VariantOut] = Field(
        description="One, `AllTraffic`, where nobody asked for others."
    )
    running: RunningOut
    image: str = Field(description="The container's.")
    role_arn: str = Field(description="The execution role.")
    options: OptionsOut
    owner: str | None = Field(
        description="Who answers for its cost, and has the rights of one's own endpoint."
    )
    store: str = Field(description="SageMaker's ModelDataUrl: it serves all versions in there.")
    failure: str | None = Field(description="Why it stopped, in the reader's language.")
    failure_code: str | None = Field(description="The same, for programs: it is stable.")
    hint: str | None = Field(description="What is waited for, or what to do next.")
    hint_code: str | None = Field(description="The same, for programs: it is stable.")
    changed_outside: bool = Field(description="What runs is not what was asked for here.")
    hours: str = Field(
        description="Its working hours, as `mon-fri 08:00-19:00`; outside of them it is paused. "
        "Empty: it has none."
    )
    hours_zone: str = Field(description="The time zone of the working hours; empty: it has none.")
    pauses_at: datetime | None = Field(
        description="When it is paused next. null: it is paused, or never."
    )
    resumes_at: datetime | None = Field(
        description="When it resumes. null: it runs, or is paused until somebody resumes it."
    )
    deleted_outside_at: datetime | None = Field(
        description="When it was seen that somebody deleted it outside the portal. null: none did."
    )
    cost: CostOut | None = Field(
        description="What runs costs on AWS: an estimate. null: nothing runs, or the price is not "
        "known."
    )
    spent: SpentOut
    scaling: ScalingOut | None = Field(description="null: its number of instances is not scaled.")
    last_call_at: datetime | None = Field(
        description="The last call, whoever made it. Of others' calls it is the end of the hour in "
        "which SageMaker measured one, and is known half an hour later. null: it was never called."
    )
    last_call_by_others: bool = Field(
        description="Whether that was a call that the portal did not make."
    )
    calls_today: CallsTodayOut
    progress: ProgressOut | None = Field(description="null: nothing is under way.")
    expires_at: datetime | None = Field(
        description="Its end date: its teardown is requested then. null: it has none."
    )
    idle_hours: int | None = Field(
        description="Its teardown is requested after so many hours without a call. null: never."
    )
    idle_ends_at: datetime | None = Field(
        description="When that is, where nobody calls it. null: never, or it does not serve."
    )
    teardown_at: datetime | None = Field(
        description="When the teardown that was requested begins, at the earliest; until it has "
        "begun it can be undone. null: it has begun, or none was requested."
    )
    keep_config: bool = Field(description="Its teardown leaves its configuration.")
    keep_model: bool = Field(description="Its teardown leaves its SageMaker model.")
    idle_problem: str | None = Field(
        description="Why SageMaker's metrics do not tell whether it is idle: it is not torn down "
        "as that meanwhile. null: nothing is known to be wrong."
    )
    created_at: datetime
    created_by: str | None
    checked_at: datetime | None = Field(description="When SageMaker was last asked.")
    gone_at: datetime | None
    resources: list[ResourceOut]
    notes: list[str] = Field(
        description="Of what was just asked for: what to know of the account's quotas, each as a "
        "sentence. Elsewhere empty."
    )


class VariantIn(Input):
    """A production variant that is asked for."""

    name: str = Field(max_length=63, description="Letters, digits and hyphens.")
    instance_type: str = Field(min_length=1, max_length=40)
    instance_count: int = Field(1, ge=1, le=2**31 - 1)
    weight: float = Field(
        1, ge=0, le=variants.HIGHEST_WEIGHT, allow_inf_nan=False,
        description="Its share of the calls is this of the weights of all.",
    )  # fmt: skip


_Timeout = Annotated[
    int | None,
    Field(None, ge=LEAST_TIMEOUT_S, le=MOST_TIMEOUT_S, description="Seconds. null: AWS's preset."),
]


class OptionsIn(Input):
    """What else to set of an endpoint; what is left out is preset, or stays."""

    model_cache: bool | None = Field(
        None, description="false: a model leaves the memory after its calls."
    )
    environment: dict[str, str | None] | None = Field(
        None,
        description="Variables of the container. In a change, those that are not named stay, and "
        "null takes one out.",
    )
    startup_timeout_s: _Timeout
    download_timeout_s: _Timeout
    volume_gb: int | None = Field(None, ge=1, le=MOST_VOLUME_GB)
    subnets: list[str] | None = Field(None, max_length=MOST_SUBNETS)
    security_groups: list[str] | None = Field(None, max_length=MOST_GROUPS)
    kms_key: str | None = Field(None, max_length=2048)
    capture_percent: int | None = Field(
        None, ge=1, le=MOST_PERCENT, description="Keep so many calls of a hundred in S3."
    )
    tags: dict[str, str | None] | None = Field(
        None, description="Besides the portal's own. In a change as `environment`."
    )


class PolicyIn(Input):
    """How SageMaker is to make a change that needs another configuration."""

    kind: PolicyChoice
    percent: int = Field(
        0, ge=0, le=50, description="The share of the canary, of a step or of a batch."
    )
    wait_s: int = Field(
        0, ge=0, le=policies.LONGEST_WAIT_S, description="Seconds to watch after each step."
    )
    alarms: list[str] = Field(
        [], max_length=policies.MOST_ALARMS,
        description="Names of CloudWatch's alarms: one in ALARM sends all calls back.",
    )  # fmt: skip


class EndpointIn(Input):
    """What endpoint to create; the rest is preset."""

    name: str = Field(max_length=53, description="Letters, digits and hyphens.")
    instance_type: str = Field(
        "", max_length=40, description="One of INSTANCE_TYPES; empty: the first of them."
    )
    instance_count: int = Field(1, ge=1, le=2**31 - 1)
    variants: list[VariantIn] | None = Field(None, max_length=10, description=_INSTEAD)
    expires_at: AwareDatetime | None = Field(
        None,
        description="When its teardown is requested; null: never; left out: what the portal "
        "presets.",
    )
    idle_hours: int | None = Field(
        None, ge=0, le=idle_limits.MOST_HOURS,
        description="Its teardown is requested after so many hours without a call. 0 and null: "
        "never; left out: what the portal presets.",
    )  # fmt: skip
    warm_aliases: bool = Field(
        False, description="Once it serves, and after each change, the models that aliases point "
        "at are loaded (`/endpoints/{name}/warmth`)."
    )  # fmt: skip
    preset: Annotated[str, OneOf(Preset)] | None = Field(
        None, description="What it is for: fills what is left out."
    )
    image: str = Field(
        "", max_length=255, description="In ECR; for admins. Empty: that of the settings."
    )
    role_arn: str = Field(
        "", max_length=execution_roles.MOST,
        description="The execution role; for admins. Empty: that of the settings.",
    )  # fmt: skip
    options: OptionsIn | None = None
    store: str = Field(
        "", max_length=63, description="The name of the store that it serves; empty: the default."
    )
    owner: str = Field("", max_length=150, description="A user's name; empty: the caller.")
    reason: str = _REASON


class ExpiryIn(Input):
    """When an endpoint ends."""

    expires_at: AwareDatetime | None = Field(
        description="When its teardown is requested; null: it has no end date."
    )


class IdleIn(Input):
    """After how many hours without a call an endpoint ends."""

    idle_hours: int | None = Field(
        ge=0, le=idle_limits.MOST_HOURS,
        description="Its teardown is requested then; null and 0: it is not.",
    )  # fmt: skip


class ScheduledIn(Input):
    """Other limits of autoscaling from a time of the week on."""

    when: str = Field(max_length=60, description="As `mon-fri 08:00`.")
    min_instances: int = Field(ge=1, le=2**31 - 1)
    max_instances: int = Field(ge=1, le=2**31 - 1)


class ScalingIn(Input):
    """Between how many instances AWS scales an endpoint, and when."""

    min_instances: int = Field(ge=1, le=2**31 - 1)
    max_instances: int = Field(ge=1, le=2**31 - 1)
    calls_per_minute: int = Field(
        ge=1, le=2**31 - 1,
        description="Calls a minute that each instance is to have: with more there will be more "
        "instances, with less there will be fewer.",
    )  # fmt: skip
    in_cooldown_s: int = Field(
        COOLDOWN_S, ge=0, le=scaling.LONGEST_COOLDOWN_S,
        description="Seconds after fewer instances until there can be fewer again.",
    )  # fmt: skip
    out_cooldown_s: int = Field(
        COOLDOWN_S, ge=0, le=scaling.LONGEST_COOLDOWN_S,
        description="Seconds after more instances until there can be more again.",
    )  # fmt: skip
    schedule: list[ScheduledIn] = Field(
        [], max_length=MOST_SCHEDULED,
        description="Other limits at times of the week; each holds until the next one.",
    )  # fmt: skip
    zone: str = Field(
        "", max_length=64, description="The time zone of the schedule, as `Asia/Seoul`."
    )


class EndpointChange(Input):
    """What is to be different; what is left out stays."""

    instance_type: str | None = Field(None, min_length=1, max_length=40)
    instance_count: int | None = Field(None, ge=1, le=2**31 - 1)
    variants: list[VariantIn] | None = Field(None, max_length=10, description=_INSTEAD)
    image: str | None = Field(
        None, min_length=1, max_length=255, description="The container's; for admins."
    )
    role_arn: str | None = Field(
        None, min_length=1, max_length=execution_roles.MOST,
        description="The execution role; for admins.",
    )  # fmt: skip
    store: str | None = Field(
        None, min_length=1, max_length=63,
        description="The name of the store that it is to serve, in place of the one before.",
    )  # fmt: skip
    options: OptionsIn | None = None
    owner: str | None = Field(None, min_length=1, max_length=150, description="A user's name.")
    policy: PolicyIn | None = Field(None, description="null: all calls move at once.")
    reason: str = _REASON


# untranslated: OpenAPI is in English
_WEIGHTS = "By the names of variants, from 0 to 1000; who is not named keeps its weight."


class WeightsIn(Input):
    """How the calls are to be shared among the variants."""

    weights: dict[str, float] = Field(min_length=1, max_length=10, description=_WEIGHTS)
    reason: str = _REASON


class RollbackIn(Input):
    """Which revision to go back to."""

    revision: int = Field(ge=1, le=2**31 - 1)
    reason: str = _REASON


class EndpointPlanIn(EndpointChange):
    """A change to plan, or the revision to go back to; then the rest is not read."""

    weights: dict[str, float] | None = Field(
        None, min_length=1, max_length=10, description=_WEIGHTS
    )
    back_to: int | None = Field(None, ge=1, le=2**31 - 1)


class PlannedCallOut(Schema):
    """A call of an API of AWS that would be made."""

    action: str = Field(description="Its name in that API.")
    arguments: dict[str, Any]
    code: str = Field(
        description="The same as Python; `sagemaker`, `autoscaling` and `cloudwatch` are boto3's "
        "clients."
    )
    afterwards: bool = Field(
        description="It is made when the endpoint serves as it was asked for, or is gone."
    )


class EndpointPlanOut(Schema):
    """What a creation or a change would call in AWS, and what it would cost."""

    endpoint: str
    expires_at: datetime | None = Field(description="Its end date. null: it has none.")
    idle_hours: int | None = Field(
        description="It is torn down after so many hours without a call. null: it is not."
    )
    calls: list[PlannedCallOut] = Field(description="In their order; none: it is so already.")
    code: str = Field(description="The calls as one Python script for boto3.")
    differences: list[DifferenceOut]
    stays: list[DifferenceOut]
    chosen: list[DifferenceOut] = Field(
        description="Of a new endpoint: what was chosen that could be left out."
    )
    notes: list[str] = Field(
        description="What else to know, each as a sentence: of the image, and of quotas."
    )
    cost_before: CostOut | None = Field(
        description="What runs now costs. null: a new endpoint, or the price is not known."
    )
    cost: CostOut | None = Field(description="null: the price is not known.")
    cost_up_to: CostOut | None = Field(
        description="With as many instances as autoscaling may give it. null: it is not scaled, or "
        "the price is not known."
    )
    estimate: str = Field(description="Where the prices come from, and what they leave out.")
    meanwhile: str = Field(description="What serves while it is being made.")


class HoursIn(Input):
    """When an endpoint works; else it is paused."""

    hours: str = Field(max_length=60, description="As `mon-fri 08:00-19:00`; empty: always.")
    zone: str = Field("", max_length=64, description="The time zone of the hours, as `Asia/Seoul`.")


class DriftIn(Input):
    """Why what was changed outside the portal is accepted, or put back."""

    reason: str = _REASON


class TeardownIn(Input):
    """The name again, so that nobody tears down what they did not mean; and what is to stay."""

    name: str = Field(max_length=53)
    keep_config: bool = Field(
        False, description="Leave its configuration in the AWS account, and the model it needs."
    )
    keep_model: bool = Field(False, description="Leave its SageMaker model in the AWS account.")


class TeardownPlanIn(Input):
    """What a teardown is to leave in the AWS account."""

    keep_config: bool = Field(False, description="Its configuration, and the model it needs.")
    keep_model: bool = Field(False, description="Its SageMaker model.")


class TeardownPlanOut(Schema):
    """What a teardown deletes and what it leaves."""

    endpoint: str
    deletes: list[ResourceOut] = Field(description="In their order; each is confirmed gone.")
    keeps: list[ResourceOut] = Field(description="They are among the orphans afterwards.")
    store: str = Field(description="Its archives stay.")
    calls: list[PlannedCallOut] = Field(description="In their order, with its alarms.")
    code: str = Field(description="The calls as one Python script for boto3.")
    cost_before: CostOut | None = Field(
        description="What runs now costs, and then no more. null: the price is not known."
    )


class EndpointParameters(ListParameters):
    """Which endpoints."""

    gone: bool = Field(False, description="Those that were torn down, in place of the others.")
    state: EndpointState | None = None


class EndpointWait(Parameters):
    """How long to wait for a change."""

    wait: int = Field(
        0, ge=0, le=waiting.MOST_S,
        description="Seconds: until it is settled, or another than it was when the call began.",
    )  # fmt: skip


class ExtendParameters(Parameters):
    """How much longer an endpoint runs."""

    day: bool = Field(False, description="A day longer, in place of two hours.")


class OthersOut(Schema):
    """The endpoints in the AWS account that are not the portal's, as last seen."""

    endpoint_count: int
    cost: CostOut = Field(description="What all of them cost, as far as their price is known.")
    unpriced: int = Field(description="So many run whose price is not known.")
    looked_at: datetime | None = Field(
        description="When the account was last looked at as a whole. null: never."
    )


class EndpointPage(Page[EndpointOut]):
    """A page of endpoints, and what else is in the account."""

    others: OthersOut = Field(
        description="What this list leaves out: `GET /orphans?kind=endpoint&others=true` has them."
    )


@operation(
    router, "GET", "/endpoints", id="endpoints_list", scope=Scope.READ,
    permission=MAY_LOOK, doing=LOOKING, response={200: EndpointPage},
)  # fmt: skip
def list_endpoints(request: HttpRequest, query: Query[EndpointParameters]) -> Any:
    """The endpoints that are not torn down, the newest first.

    Those that others made in the AWS account are counted in `others`.
    """
    rows = Endpoint.objects.gone() if query.gone else Endpoint.objects.shown()
    if query.state is not None:
        rows = rows.in_state(query.state)
    order = ("-gone_at", "-pk") if query.gone else ("-pk",)
    found = page(request, rows.whole(), query, order=order)
    return {**found, "items": _all_shown(found["items"]), "others": shown_others()}


def shown_others() -> dict[str, Any]:
    """What others' endpoints cost, by the last look; AWS is not asked."""
    found = beside.found()
    return {
        "endpoint_count": found.count,
        "cost": shown_cost(found.total.cost),
        "unpriced": found.total.unknown,
        "looked_at": found.looked_at or beside.last_look(),
    }


def _created_before(request: HttpRequest, attempt: str) -> Any:
    """What an attempt created that was cut off (core/api/idempotency.py)."""
    pk = made_by(attempt, "endpoint.requested")
    found = None if pk is None else Endpoint.objects.whole().filter(pk=pk).first()
    return None if found is None else _created(request, found)


@operation(
    router, "POST", "/endpoints", id="endpoints_create", scope=Scope.OPERATE,
    permission=_MAY_CREATE, doing=_CREATING, response={201: EndpointOut}, problems=(502,),
    resume=_created_before,
)  # fmt: skip
def create(request: HttpRequest, body: EndpointIn) -> Any:
    """Create an endpoint. It serves all versions of its store that are ready, and later ones.

    The account's quota of each type is asked before: more than it allows is refused, and `notes`
    says what else to know of it. Its creation takes minutes on AWS. Where the name is taken, in the
    portal or in the AWS account, it is 409 `conflict`.
    """
    with _refusals_told():
        made = services.create_endpoint(**_asked(body), actor=_caller(request).user)
    return _created(request, made)


def _asked(body: EndpointIn) -> dict[str, Any]:
    """What to create, as the services take it: what the preset says, and what was given."""
    preset = presets.values(body.preset or "")
    if body.variants:  # which say both
        preset = {name: one for name, one in preset.items() if not name.startswith("instance_")}
    given = body.dict(exclude_unset=True)
    names = (
        *("name", "instance_type", "instance_count", "expires_at", "idle_hours", "image"),
        *("role_arn", "store", "owner", "reason", "warm_aliases"),
    )
    found = {name: given.get(name, preset.get(name, getattr(body, name))) for name in names}
    found["never_ends"] = "expires_at" in given and given["expires_at"] is None
    if "idle_hours" in given:
        found["idle_hours"] = given["idle_hours"] or idle_limits.NONE
    chosen = DeploymentOptions.of(preset).patched(given.get("options") or {})
    return found | {"options": chosen, "variants": _asked_variants(body.variants) or ()}


def _change(body: EndpointChange) -> services.SettingsChange:
    return services.SettingsChange(
        instance_type=body.instance_type,
        instance_count=body.instance_count,
        variants=_asked_variants(body.variants),
        image=body.image,
        role_arn=body.role_arn,
        store=body.store,
        policy=_policy(body.policy),
        reason=body.reason,
        options=body.options.dict(exclude_unset=True) if body.options else None,
        owner=body.owner,
    )


@operation(
    router, "POST", "/endpoints/plan", id="endpoints_preview", scope=Scope.OPERATE,
    permission=_MAY_CREATE, doing=_CREATING, response={200: EndpointPlanOut}, problems=(502,),
    counts_as_change=False,
)  # fmt: skip
def preview(request: HttpRequest, body: EndpointIn) -> Any:
    """What the creation of an endpoint would call in AWS, and what it would cost.

    Nothing is made. What the creation would refuse is refused.
    """
    with _refusals_told():
        return shown_plan(planning.plan_creation(**_asked(body), actor=_caller(request).user))


@operation(
    router, "GET", "/endpoints/{name}", id="endpoints_get", scope=Scope.READ,
    permission=MAY_LOOK, doing=LOOKING, response={200: EndpointOut}, etag=True,
)  # fmt: skip
def get(request: HttpRequest, name: str, query: Query[EndpointWait]) -> Any:
    """One endpoint: the one of this name that is not gone; else the last that was torn down.

    With `wait` it is answered at once where nothing is under way, else when it has changed.
    """
    began = _parts(_endpoint(name))
    found = waiting.until(
        lambda: _endpoint(name),
        lambda endpoint: endpoint.settled or _parts(endpoint) != began,
        seconds=query.wait,
    )
    return _tagged(request, found)


@operation(
    router, "POST", "/endpoints/{name}/check", id="endpoints_check", scope=Scope.OPERATE,
    permission=_MAY_CREATE, doing=_CREATING, response={202: EndpointOut},
)  # fmt: skip
def check(request: HttpRequest, name: str) -> Any:
    """Have SageMaker asked about it at once; one that stopped is tried again.

    The answer comes before SageMaker's. `checked_at` says when SageMaker was asked.
    """
    endpoint = _endpoint(name)
    services.check_now(endpoint=endpoint)
    return Status(202, _shown(endpoint))


@operation(
    router, "PATCH", "/endpoints/{name}", id="endpoints_update", scope=Scope.OPERATE,
    permission=_MAY_CHANGE, doing=_CHANGING, response={202: EndpointOut}, etag=True,
    problems=(409,),
)  # fmt: skip
def update(request: HttpRequest, name: str, body: EndpointChange) -> Any:
    """Change a living endpoint; it serves meanwhile.

    A change is a new revision. With `wait` on `GET /endpoints/{name}` it can be followed: it is
    done when `settled` is true and `revision` is still the one that this answered. Where that is
    the one before, `refused_change` says why. What it is already changes nothing. While SageMaker
    updates it, it is 409 `conflict`.
    """
    return _changed(request, name, _change(body))


@operation(
    router, "POST", "/endpoints/{name}/plan", id="endpoints_preview_change", scope=Scope.OPERATE,
    permission=_MAY_CHANGE, doing=_CHANGING, response={200: EndpointPlanOut},
    counts_as_change=False,
)  # fmt: skip
def preview_change(request: HttpRequest, name: str, body: EndpointPlanIn) -> Any:
    """What a change would call in AWS, what would be other, and what it would cost.

    Nothing is changed. What the change would refuse is refused.
    """
    endpoint = _endpoint(name)
    back_to = body.back_to
    if back_to is not None:
        change = _back_to(endpoint, back_to)
    else:
        change = replace(_change(body), weights=body.weights)
    user = _caller(request).user
    with _refusals_told():
        found = planning.plan_change(endpoint=endpoint, change=change, actor=user)
    return shown_plan(found)


@operation(
    router, "POST", "/endpoints/{name}/rollback", id="endpoints_rollback", scope=Scope.OPERATE,
    permission=_MAY_CHANGE, doing=_CHANGING, response={202: EndpointOut}, etag=True,
)  # fmt: skip
def rollback(request: HttpRequest, name: str, body: RollbackIn) -> Any:
    """Make an endpoint again what it was in an earlier revision: one more change."""
    change = _back_to(_endpoint(name), body.revision)
    return _changed(request, name, replace(change, reason=body.reason))


@operation(
    router, "PUT", "/endpoints/{name}/weights", id="endpoints_weigh", scope=Scope.OPERATE,
    permission=_MAY_CHANGE, doing=_CHANGING, response={202: EndpointOut}, etag=True,
    problems=(409,),
)  # fmt: skip
def weigh(request: HttpRequest, name: str, body: WeightsIn) -> Any:
    """Share the calls among the variants of an endpoint in another way.

    That is one more change; it needs no other configuration, and no instance is started or stopped.
    A plan of it is one of the change with `weights`.
    """
    change = services.SettingsChange(weights=body.weights, reason=body.reason)
    return _changed(request, name, change)


@operation(
    router, "PUT", "/endpoints/{name}/hours", id="endpoints_set_hours", scope=Scope.OPERATE,
    permission=_MAY_CHANGE, doing=_CHANGING, response={200: EndpointOut}, etag=True,
    problems=(409,),
)  # fmt: skip
def set_hours(request: HttpRequest, name: str, body: HoursIn) -> Any:
    """Give an endpoint working hours, other ones, or none.

    Outside of them it is paused: it is in SageMaker no more, and is made again under its name when
    they begin. The portal tells of it an hour before, and of the first pause by other hours a day
    before. Without the permission to tear endpoints down, you may give them only to your own.
    """
    _act(request, name, pausing.set_hours, hours=body.hours, zone=body.zone)
    return _tagged(request, _endpoint(name))


@operation(
    router, "POST", "/endpoints/{name}/hours/plan", id="endpoints_preview_hours",
    scope=Scope.OPERATE, permission=_MAY_CHANGE, doing=_CHANGING,
    response={200: EndpointPlanOut}, counts_as_change=False,
)  # fmt: skip
def preview_hours(request: HttpRequest, name: str, body: HoursIn) -> Any:
    """What other working hours would mean: when it pauses next, and what a month costs then.

    Nothing is changed, and setting hours calls nothing in AWS.
    """
    return _planned(request, name, planned_acts.plan_hours, hours=body.hours, zone=body.zone)


@operation(
    router, "POST", "/endpoints/{name}/pause", id="endpoints_pause", scope=Scope.OPERATE,
    permission=_MAY_CHANGE, doing=_CHANGING, response={202: EndpointOut}, etag=True,
)  # fmt: skip
def pause(request: HttpRequest, name: str) -> Any:
    """Pause an endpoint now: its instances stop, its configuration and its model stay.

    `state` is `paused` when it is; `resumes_at` says until when. Without the permission to
    tear endpoints down, you may pause only your own.
    """
    _act(request, name, pausing.pause_now)
    return Status(202, _tagged(request, _endpoint(name)))


@operation(
    router, "POST", "/endpoints/{name}/pause/plan", id="endpoints_preview_pause",
    scope=Scope.OPERATE, permission=_MAY_CHANGE, doing=_CHANGING,
    response={200: EndpointPlanOut}, counts_as_change=False,
)  # fmt: skip
def preview_pause(request: HttpRequest, name: str) -> Any:
    """What pausing would call in AWS, and what is saved. Nothing is changed."""
    return _planned(request, name, planned_acts.plan_pause)


@operation(
    router, "POST", "/endpoints/{name}/resume", id="endpoints_resume", scope=Scope.OPERATE,
    permission=_MAY_CHANGE, doing=_CHANGING, response={202: EndpointOut}, etag=True,
)  # fmt: skip
def resume(request: HttpRequest, name: str) -> Any:
    """Resume an endpoint now: it is made again under its name, which takes minutes on AWS.

    Outside of its working hours it is paused again two hours later. `notes` says what is known of
    the account's quotas.
    """
    return _noted(request, name, _act(request, name, pausing.resume_now))


@operation(
    router, "POST", "/endpoints/{name}/resume/plan", id="endpoints_preview_resume",
    scope=Scope.OPERATE, permission=_MAY_CHANGE, doing=_CHANGING,
    response={200: EndpointPlanOut}, counts_as_change=False,
)  # fmt: skip
def preview_resume(request: HttpRequest, name: str) -> Any:
    """What resuming would call in AWS, and what it costs. Nothing is changed."""
    return _planned(request, name, planned_acts.plan_resume)


@operation(
    router, "POST", "/endpoints/{name}/extend", id="endpoints_extend", scope=Scope.OPERATE,
    permission=_MAY_CHANGE, doing=_CHANGING, response={200: EndpointOut}, etag=True,
)  # fmt: skip
def extend(request: HttpRequest, name: str, query: Query[ExtendParameters]) -> Any:
    """Keep it running two hours longer this once; without working hours it is 409 `conflict`."""
    longer = pausing.A_DAY if query.day else pausing.LONGER
    _act(request, name, pausing.extend, longer=longer)
    return _tagged(request, _endpoint(name))


@operation(
    router, "POST", "/endpoints/{name}/accept", id="endpoints_accept", scope=Scope.OPERATE,
    permission=_MAY_CHANGE, doing=_CHANGING, response={202: EndpointOut}, etag=True,
    problems=(502,),
)  # fmt: skip
def accept(request: HttpRequest, name: str, body: DriftIn) -> Any:
    """Want what somebody changed outside the portal: a new revision.

    What the endpoint used before is deleted. Where the endpoint was deleted (`deleted_outside`), it
    ends: what it used is removed, and `state` becomes `gone`; that is for admins, and for who
    created it. Where nothing differs, or the portal could not have made what runs, it is 409
    `conflict`.
    """
    _act(request, name, drift.accept, reason=body.reason)
    return Status(202, _tagged(request, _endpoint(name)))


@operation(
    router, "POST", "/endpoints/{name}/accept/plan", id="endpoints_preview_accept",
    scope=Scope.OPERATE, permission=_MAY_CHANGE, doing=_CHANGING,
    response={200: EndpointPlanOut}, counts_as_change=False, problems=(502,),
)  # fmt: skip
def preview_accept(request: HttpRequest, name: str) -> Any:
    """What accepting would delete in AWS, and what is wanted then.

    Nothing is changed. What would be refused is refused.
    """
    return _planned(request, name, planned_acts.plan_accept)


@operation(
    router, "POST", "/endpoints/{name}/restore", id="endpoints_put_back", scope=Scope.OPERATE,
    permission=_MAY_CHANGE, doing=_CHANGING, response={202: EndpointOut}, etag=True,
)  # fmt: skip
def put_back(request: HttpRequest, name: str, body: DriftIn) -> Any:
    """Make it again as it is wanted here, after somebody changed or deleted it outside the portal.

    A change goes back by a change; one that was deleted is made again under its name. Where nothing
    differs it is 409 `conflict`. `notes` says what is known of the account's quotas.
    """
    return _noted(request, name, _act(request, name, drift.put_back, reason=body.reason))


@operation(
    router, "POST", "/endpoints/{name}/restore/plan", id="endpoints_preview_put_back",
    scope=Scope.OPERATE, permission=_MAY_CHANGE, doing=_CHANGING,
    response={200: EndpointPlanOut}, counts_as_change=False,
)  # fmt: skip
def preview_put_back(request: HttpRequest, name: str) -> Any:
    """What putting it back would call in AWS, what would be other, and what it costs.

    Nothing is changed. Where nothing differs it is 409 `conflict`.
    """
    return _planned(request, name, planned_acts.plan_put_back)


@operation(
    router, "PUT", "/endpoints/{name}/expiry", id="endpoints_expire", scope=Scope.OPERATE,
    permission=_MAY_CHANGE, doing=_CHANGING, response={200: EndpointOut}, etag=True,
    problems=(409,),
)  # fmt: skip
def expire(request: HttpRequest, name: str, body: ExpiryIn) -> Any:
    """Give an endpoint an end date, another one, or none.

    At the end date, to the minute, its teardown is requested. The portal tells of it a day and an
    hour before. Without the permission to tear endpoints down, you may only let your own end
    earlier.
    """
    _act(request, name, expiry.set_end, expires_at=body.expires_at)
    return _tagged(request, _endpoint(name))


@operation(
    router, "POST", "/endpoints/{name}/postpone", id="endpoints_postpone", scope=Scope.OPERATE,
    permission=_MAY_CHANGE, doing=_CHANGING, response={200: EndpointOut}, etag=True,
)  # fmt: skip
def postpone(request: HttpRequest, name: str) -> Any:
    """Move the end date of an endpoint a day later; without one it is 409 `conflict`."""
    _act(request, name, expiry.postpone)
    return _tagged(request, _endpoint(name))


@operation(
    router, "PUT", "/endpoints/{name}/idle", id="endpoints_set_idle", scope=Scope.OPERATE,
    permission=_MAY_CHANGE, doing=_CHANGING, response={200: EndpointOut}, etag=True,
    problems=(409,),
)  # fmt: skip
def set_idle(request: HttpRequest, name: str, body: IdleIn) -> Any:
    """Have an endpoint torn down after so many hours without a call, or no more.

    Calls are those of anybody: of the portal's pages and its API, and those that SageMaker's
    metrics tell of. The portal tells of it a day before, where the hours are more than a day, and
    an hour before. Without the permission to tear endpoints down, you may give fewer hours only
    to your own.
    """
    _act(request, name, idling.set_idle_hours, idle_hours=body.idle_hours)
    return _tagged(request, _endpoint(name))


@operation(
    router, "POST", "/endpoints/{name}/idle/postpone", id="endpoints_postpone_idle",
    scope=Scope.OPERATE, permission=_MAY_CHANGE, doing=_CHANGING, response={200: EndpointOut},
    etag=True,
)  # fmt: skip
def postpone_idle(request: HttpRequest, name: str) -> Any:
    """Let an endpoint be idle a day longer; without `idle_ends_at` it is 409 `conflict`."""
    _act(request, name, idling.postpone_idle)
    return _tagged(request, _endpoint(name))


@operation(
    router, "PUT", "/endpoints/{name}/scaling", id="endpoints_scale", scope=Scope.OPERATE,
    permission=_MAY_CHANGE, doing=_CHANGING, response={202: EndpointOut}, etag=True,
    problems=(409,),
)  # fmt: skip
def scale(request: HttpRequest, name: str, body: ScalingIn) -> Any:
    """Have AWS change its number of instances with the calls, or set other limits.

    It is done when `settled` is true. `running` says how many instances there are now. While it is
    scaled, a change of `instance_count` is refused.
    """
    return _scaled(request, name, _limits(body))


@operation(
    router, "DELETE", "/endpoints/{name}/scaling", id="endpoints_scale_off", scope=Scope.OPERATE,
    permission=_MAY_CHANGE, doing=_CHANGING, response={202: EndpointOut}, etag=True,
    problems=(409,),
)  # fmt: skip
def scale_off(request: HttpRequest, name: str) -> Any:
    """Switch its autoscaling off. It keeps the number of instances that it has."""
    return _scaled(request, name, None)


@operation(
    router, "POST", "/endpoints/{name}/scaling/plan", id="endpoints_preview_scaling",
    scope=Scope.OPERATE, permission=_MAY_CHANGE, doing=_CHANGING,
    response={200: EndpointPlanOut}, counts_as_change=False,
)  # fmt: skip
def preview_scaling(request: HttpRequest, name: str, body: ScalingIn) -> Any:
    """What autoscaling would call in AWS, and what it may cost.

    Nothing is changed. What would be refused is refused.
    """
    return _planned(request, name, planning.plan_scaling, limits=_limits(body))


@operation(
    router, "POST", "/endpoints/{name}/scaling/off/plan", id="endpoints_preview_scaling_off",
    scope=Scope.OPERATE, permission=_MAY_CHANGE, doing=_CHANGING,
    response={200: EndpointPlanOut}, counts_as_change=False,
)  # fmt: skip
def preview_scaling_off(request: HttpRequest, name: str) -> Any:
    """What switching its autoscaling off would call in AWS. Nothing is changed."""
    return _planned(request, name, planning.plan_scaling, limits=None)


def _limits(body: ScalingIn) -> Limits:
    return Limits(
        least=body.min_instances,
        most=body.max_instances,
        target=body.calls_per_minute,
        in_cooldown=body.in_cooldown_s,
        out_cooldown=body.out_cooldown_s,
        schedule=tuple(
            scaling.scheduled(one.when, one.min_instances, one.max_instances)
            for one in body.schedule
        ),
        zone=body.zone,
    )


def _scheduled(one: ScheduledLimits) -> dict[str, Any]:
    return {"when": one.when, "min_instances": one.least, "max_instances": one.most}


def _scaled(request: HttpRequest, name: str, limits: Limits | None) -> Any:
    return _noted(request, name, _act(request, name, scaling.set_scaling, limits=limits))


@operation(
    router, "GET", "/endpoints/{name}/revisions", id="endpoints_revisions", scope=Scope.READ,
    permission=MAY_LOOK, doing=LOOKING, response={200: Page[RevisionOut]},
)  # fmt: skip
def list_revisions(request: HttpRequest, name: str, query: Query[ListParameters]) -> Any:
    """What an endpoint was asked to be, the newest first, and what came of each."""
    endpoint = _endpoint(name)
    rows = endpoint.revisions.select_related("created_by")
    found = page(request, rows, query, order=("-number",))
    items = tables.with_differences(list(found["items"]))
    took = durations.of_revisions(endpoint)
    return {**found, "items": [_revision(row, took.get(row.number)) for row in items]}


@operation(
    router, "POST", "/endpoints/{name}/teardown", id="endpoints_teardown", scope=Scope.OPERATE,
    permission=MAY_TEAR_DOWN, doing=_TEARING_DOWN, response={202: EndpointOut}, etag=True,
)  # fmt: skip
def teardown(request: HttpRequest, name: str, body: TeardownIn) -> Any:
    """Tear an endpoint down. The archives in the store stay.

    `state` is `gone` when nothing is left of it in the AWS account, but for what was to be kept:
    that is among the orphans then. An endpoint that is being torn down, or is gone, is answered as
    it is. Until `teardown_at` it can be undone.
    """
    endpoint = _endpoint(name)
    try:
        services.request_teardown(
            endpoint=endpoint,
            typed_name=body.name,
            actor=_caller(request).user,
            require=lambda row: etags.require_match(request, *_parts(row)),
            keep_config=body.keep_config,
            keep_model=body.keep_model,
        )
    except ValidationError as error:
        if not hasattr(error, "error_dict"):
            raise
        said = of_validation_error(error)
        said.errors = {"name": error.messages}
        raise said from None
    return Status(202, _tagged(request, _endpoint(name)))


@operation(
    router, "POST", "/endpoints/{name}/teardown/plan", id="endpoints_preview_teardown",
    scope=Scope.READ, permission=MAY_LOOK, doing=LOOKING, response={200: TeardownPlanOut},
    counts_as_change=False,
)  # fmt: skip
def preview_teardown(request: HttpRequest, name: str, body: TeardownPlanIn) -> Any:
    """What the teardown of an endpoint would delete, and what would stay. Nothing is deleted."""
    endpoint = _endpoint(name)
    deleted, left = endpoint.to_be_torn_down(**body.dict())
    plan = shown_plan(planned_acts.plan_teardown(endpoint=endpoint, **body.dict()))
    return {
        **{key: plan[key] for key in ("calls", "code", "cost_before")},
        "endpoint": endpoint.name,
        "deletes": [_resource(one) for one in deleted],
        "keeps": [_resource(one) for one in left],
        "store": endpoint.store_url,
    }


@operation(
    router, "POST", "/endpoints/{name}/teardown/undo", id="endpoints_undo_teardown",
    scope=Scope.OPERATE, permission=MAY_TEAR_DOWN, doing=_TEARING_DOWN,
    response={202: EndpointOut}, etag=True,
)  # fmt: skip
def undo_teardown(request: HttpRequest, name: str) -> Any:
    """Undo a teardown that has not begun: `teardown_at` says when it begins at the earliest.

    Nothing was deleted then, and it goes on as before. One that has begun is 409 `conflict`.
    """
    _act(request, name, services.undo_teardown)
    return Status(202, _tagged(request, _endpoint(name)))


def _act(request: HttpRequest, name: str, service: Callable[..., Any], **values: Any) -> Any:
    """Have a service act on an endpoint for the caller, who may say which state they saw."""
    with _refusals_told():
        return service(
            endpoint=_endpoint(name),
            actor=_caller(request).user,
            require=lambda row: etags.require_match(request, *_parts(row)),
            **values,
        )


def _planned(
    request: HttpRequest,
    name: str,
    plan: Callable[..., planning.EndpointPlan],
    **values: Any,
) -> Any:
    """The plan of what a service would do for the caller."""
    with _refusals_told():
        found = plan(endpoint=_endpoint(name), actor=_caller(request).user, **values)
    return shown_plan(found)


def _back_to(endpoint: Endpoint, revision: int) -> services.SettingsChange:
    try:
        return services.back_to(endpoint=endpoint, number=revision)
    except Revision.DoesNotExist:
        said = _("The endpoint %(name)s has no revision %(revision)s. Nothing was changed.")
        told = {"name": endpoint.name, "revision": revision}
        raise Problem("not-found", said % told) from None


@contextmanager
def _refusals_told() -> Iterator[None]:
    try:
        yield
    except services.ChangeNotAllowed as refusal:
        raise Problem("not-allowed", str(refusal)) from None


def _changed(request: HttpRequest, name: str, change: services.SettingsChange) -> Any:
    return _noted(request, name, _act(request, name, services.request_change, change=change))


def _noted(request: HttpRequest, name: str, row: Endpoint) -> Any:
    """The endpoint as it is now, with what is to be known of what was just asked for."""
    endpoint = _endpoint(name)
    endpoint.quota_notes = row.quota_notes
    return Status(202, _tagged(request, endpoint))


def _policy(given: PolicyIn | None) -> policies.DeploymentPolicy | None:
    if given is None:
        return None
    return policies.DeploymentPolicy(given.kind, given.percent, given.wait_s, tuple(given.alarms))


def _asked_variants(given: list[VariantIn] | None) -> variants.Variants | None:
    if given is None:
        return None
    return tuple(variants.ProductionVariant(**one.dict()) for one in given)


def _variants(running: Running) -> list[dict[str, Any]]:
    return [one.as_json() for one in running.parts]


def _caller(request: HttpRequest) -> Caller:
    caller: Caller = request.caller  # type: ignore[attr-defined]
    return caller


def _endpoint(name: str) -> Endpoint:
    found = Endpoint.objects.whole().known_as(name)
    if found is None:
        raise Problem("not-found", _("There is no endpoint %(name)s.") % {"name": name})
    return found


def _created(request: HttpRequest, endpoint: Endpoint) -> Any:
    set_header(request, "Location", f"{request.path}/{endpoint.name}")
    return Status(201, _tagged(request, endpoint))


def _tagged(request: HttpRequest, endpoint: Endpoint) -> dict[str, Any]:
    etags.tag(request, *_parts(endpoint))
    return _shown(endpoint)


def _parts(endpoint: Endpoint) -> list[object]:
    """What its ETag is made of: all but its cost so far, its looks and calls, and the language."""
    shown = _facts(endpoint) | {
        "id": endpoint.pk,
        "checked_at": None,
        "last_call_at": None,
        "last_call_by_others": False,
        "idle_ends_at": None,
        "idle_problem": endpoint.idle_problem is None,
        "failure": endpoint.failure,
        "hint": endpoint.hint,
    }
    return [*shown.values()]


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    """All that is told of it."""
    return _all_shown([endpoint])[0]


def _all_shown(endpoints: Sequence[Endpoint]) -> list[dict[str, Any]]:
    """The same of several, with as many queries."""
    spent = so_far(endpoints)
    progress, calls = durations.progress(endpoints), last_calls.today(endpoints)
    return [
        _facts(row)
        | {
            "spent": _spent(spent[row.pk]),
            "calls_today": asdict(calls[row.pk]),
            "progress": _progress(progress.get(row.pk)),
            "notes": list(row.quota_notes),
        }
        for row in endpoints
    ]


def _spent(spent: Spent) -> dict[str, Any]:
    return {
        "instance_hours": str(spent.instance_hours),
        "cost": str(spent.so_far),
        "currency": prices.known().currency,
        "unpriced_types": spent.unpriced_types,
    }


def _progress(found: durations.Progress | None) -> dict[str, Any] | None:
    if found is None:
        return None
    usual = found.usual
    return {
        "work": found.work,
        "since": found.since,
        "usually_from_s": None if usual is None else round(usual.low),
        "usually_to_s": None if usual is None else round(usual.high),
        "said": found.said,
    }


def _facts(endpoint: Endpoint) -> dict[str, Any]:
    failure, hint = endpoint.failure_said, endpoint.hint_said
    running, refused = endpoint.running, endpoint.refused_change
    return {
        "name": endpoint.name,
        "revision": endpoint.revision,
        "updating": endpoint.updating,
        "refused_change": None
        if refused is None
        else {
            "revision": refused.number,
            "state": refused.state,
            "failure": str(refused.failure_said),
            "failure_code": refused.failure_said.stable_code,
        },
        "state": endpoint.state,
        "wanted": endpoint.wanted,
        "settled": endpoint.settled,
        "serving": endpoint.serving,
        "sagemaker_status": endpoint.sagemaker_status,
        "instance_type": endpoint.instance_type,
        "instance_count": endpoint.instance_count,
        "variants": _variants(endpoint.requested),
        "running": {
            "instance_type": running.instance_type,
            "instance_count": running.instance_count,
            "variants": _variants(running),
        },
        "image": endpoint.image,
        "role_arn": endpoint.role_arn,
        "options": _options(endpoint.chosen),
        "owner": endpoint.owned_by.get_username() if endpoint.owned_by else None,
        "store": endpoint.store_url,
        "failure": str(failure) if endpoint.failure else None,
        "failure_code": failure.stable_code if endpoint.failure else None,
        "hint": str(hint) if endpoint.hint else None,
        "hint_code": hint.stable_code if endpoint.hint else None,
        "changed_outside": endpoint.changed_outside,
        "hours": endpoint.hours,
        "hours_zone": endpoint.hours_zone,
        "pauses_at": endpoint.pauses_at,
        "resumes_at": endpoint.resumes_at,
        "deleted_outside_at": endpoint.deleted_outside_at,
        "cost": shown_cost(prices.known().of(endpoint)),
        "scaling": _scaling(endpoint),
        "last_call_at": endpoint.last_call_at,
        "last_call_by_others": endpoint.last_call_by_others,
        "expires_at": endpoint.expires_at,
        "idle_hours": endpoint.idle_hours,
        "idle_ends_at": endpoint.idle_ends_at,
        "teardown_at": endpoint.teardown_at if endpoint.may_be_undone else None,
        "keep_config": endpoint.keep_config,
        "keep_model": endpoint.keep_model,
        "idle_problem": str(endpoint.idle_problem_said) if endpoint.idle_unknown else None,
        "created_at": endpoint.created_at,
        "created_by": endpoint.created_by.get_username() if endpoint.created_by else None,
        "checked_at": endpoint.checked_at,
        "gone_at": endpoint.gone_at,
        "resources": [_resource(one) for one in endpoint.resources.all()],
    }


def _resource(one: Resource) -> dict[str, Any]:
    return {"kind": one.kind, "name": one.name, "arn": one.arn, "state": one.state}


def _options(chosen: DeploymentOptions) -> dict[str, Any]:
    return asdict(chosen)


def _scaling(endpoint: Endpoint) -> dict[str, Any] | None:
    limits = endpoint.limits
    if limits is None or endpoint.gone_at is not None:
        return None
    costs = prices.known().of_limits(endpoint) or (None, None)
    return {
        "state": endpoint.scaling,
        "min_instances": limits.least,
        "max_instances": limits.most,
        "calls_per_minute": limits.target,
        "in_cooldown_s": limits.in_cooldown,
        "out_cooldown_s": limits.out_cooldown,
        "schedule": [_scheduled(one) for one in limits.schedule],
        "zone": limits.zone,
        "cost_from": shown_cost(costs[0]),
        "cost_up_to": shown_cost(costs[1]),
    }


def shown_plan(plan: planning.EndpointPlan) -> dict[str, Any]:
    return {
        "endpoint": plan.name,
        "expires_at": plan.expires_at,
        "idle_hours": plan.idle_hours,
        "calls": [
            *(_call(one, afterwards=False) for one in plan.calls),
            *(_call(one, afterwards=True) for one in plan.afterwards),
        ],
        "code": plan.code,
        "differences": plan.differs,
        "stays": plan.stays,
        "chosen": plan.chosen,
        "notes": plan.notes,
        "cost_before": shown_cost(plan.before),
        "cost": shown_cost(plan.after),
        "cost_up_to": shown_cost(plan.up_to),
        "estimate": plan.estimate,
        "meanwhile": plan.meanwhile,
    }


def _call(call: Call, *, afterwards: bool) -> dict[str, Any]:
    return {
        "action": call.action,
        "arguments": call.arguments,
        "code": call.code,
        "afterwards": afterwards,
    }


def shown_cost(cost: Cost | None) -> dict[str, str] | None:
    if cost is None:
        return None
    return {
        "per_hour": cost.hourly,
        "per_month": str(cost.per_month),
        "currency": cost.currency,
    }


def _revision(row: Revision, took: float | None) -> dict[str, Any]:
    said = row.failure_said
    return {
        "revision": row.number,
        "state": row.state,
        "instance_type": row.instance_type,
        "instance_count": row.instance_count,
        "variants": _variants(row.size),
        "image": row.image,
        "role_arn": row.role_arn,
        "options": _options(row.chosen),
        "reason": row.reason,
        "differences": row.differs,
        "policy": row.policy,
        "back_to": row.back_to,
        "accepted_outside": row.accepted,
        "failure": str(said) if row.failure else None,
        "failure_code": said.stable_code if row.failure else None,
        "created_at": row.created_at,
        "created_by": row.created_by.get_username() if row.created_by else None,
        "settled_at": row.settled_at,
        "took_s": None if took is None else round(took),
    }
