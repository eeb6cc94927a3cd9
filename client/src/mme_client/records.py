"""What the portal answers, as frozen dataclasses.

Each keeps the document it was made of in ``document``. A field that this version does not know is
there; one that an older portal does not send is empty.
"""

from __future__ import annotations

import types
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Self, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mme_client.portal import Portal

_OWN = {"document", "_portal"}
SETTLED = ("ready", "rejected", "retired", "deleted")


@dataclass(frozen=True, kw_only=True)
class Record:
    """The base: made by ``of`` of a JSON document."""

    document: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _portal: Any = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, document: Mapping[str, Any], portal: Portal | None = None) -> Self:
        """The record that a document is."""
        values = {
            name: _value(hint, document.get(name), portal)
            for name, hint in _hints(cls).items()  # type: ignore[arg-type] # mypy: no Hashable
        }
        return cls(document=dict(document), _portal=portal, **values)


@cache
def _hints(kind: type[Record]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {one.name: hints[one.name] for one in fields(kind) if one.name not in _OWN}


def _value(hint: Any, found: Any, portal: Portal | None) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        if found is None:
            return None
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    if get_origin(hint) is list:
        (inner,) = get_args(hint)
        return [_value(inner, one, portal) for one in found or []]
    if hint is datetime:
        return datetime.fromisoformat(found) if found else datetime.min  # noqa: DTZ901 - not sent
    if isinstance(hint, type) and issubclass(hint, Record):
        return hint.of(found or {}, portal)
    if get_origin(hint) is dict:
        return found or {}
    if found is None:
        return hint()
    return float(found) if hint is float else found


# --- aliases -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Alias(Record):
    """An alias, and where it points. ``etag`` is empty where it came in a list."""

    model: str
    name: str
    number: int
    target_model: str
    protected: bool
    moved_at: datetime
    moved_by: str | None
    reason: str
    differences: list[Difference]
    policy: Policy | None
    back_to: int | None
    etag: str


@dataclass(frozen=True, kw_only=True)
class AliasMove(Record):
    """A line of an alias's history; ``number`` is None where it was deleted."""

    name: str
    kind: str
    before: int | None
    number: int | None
    at: datetime
    by: str | None
    reason: str


# --- the site, who calls, tokens -----------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Part(Record):
    """A part of the portal: ``state`` is ok, degraded or down."""

    name: str
    state: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Status(Record):
    """How the portal stands. ``parts`` is None for who is no admin."""

    version: str
    where: str
    local: bool
    region: str
    store: str
    worker_problem: str
    parts: list[Part] | None


@dataclass(frozen=True, kw_only=True)
class NeedItem(Record):
    """One thing that needs somebody. ``page``: the path of the page where one acts.

    ``command``: what the caller may do about it at once; None: nothing.
    """

    text: str
    more: str
    page: str
    command: str | None


@dataclass(frozen=True, kw_only=True)
class Need(Record):
    """Things of one kind that need somebody; ``error``: something does not work."""

    summary: str
    error: bool
    items: list[NeedItem]


@dataclass(frozen=True, kw_only=True)
class EndOfEndpoint(Record):
    """When an endpoint is torn down: as nobody calls it (``idle``), or by its end date."""

    endpoint: str
    at: datetime
    idle: bool


@dataclass(frozen=True, kw_only=True)
class MonthSoFar(Record):
    """What the present month cost so far, and its forecast: decimal numbers, as text."""

    cost: str
    forecast: str
    currency: str
    unpriced_types: list[str]


@dataclass(frozen=True, kw_only=True)
class RunningEndpoints(Record):
    """The endpoints that are not torn down: how many, what they cost, which of them end when."""

    all: int
    cost_per_hour: str
    cost_per_month: str
    currency: str
    unpriced: int
    month: MonthSoFar | None
    ends: list[EndOfEndpoint]


@dataclass(frozen=True, kw_only=True)
class CallsOfToday(Record):
    """The portal's calls since midnight; ``p50_ms`` None: none was answered."""

    all: int
    failed: int
    cold: int
    p50_ms: float | None


@dataclass(frozen=True, kw_only=True)
class Today(Record):
    """What needs the caller, what runs, what was called. None: who calls may not see it."""

    needs: list[Need]
    endpoints: RunningEndpoints | None
    calls: CallsOfToday | None


@dataclass(frozen=True, kw_only=True)
class OwnToken(Record):
    """The token with which a call was made."""

    id: str
    name: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class Me(Record):
    """Who calls, and what they may do."""

    name: str
    role: str
    scopes: list[str]
    token: OwnToken | None
    language: str


@dataclass(frozen=True, kw_only=True)
class Token(Record):
    """A token; ``token`` is its secret, and empty but in the answer that made it."""

    id: str
    name: str
    person: str
    scopes: list[str]
    state: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    last_used_from: str | None
    token: str = field(repr=False)


# --- webhooks and mails --------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Mails(Record):
    """What the caller is told of by mail; ``offered``: what may be chosen."""

    kinds: list[str]
    only_own: bool
    offered: list[str]
    address: str
    possible: bool


@dataclass(frozen=True, kw_only=True)
class WebhookKind(Record):
    """Something that webhooks can be told of."""

    name: str
    label: str
    events: list[str]


@dataclass(frozen=True, kw_only=True)
class Webhook(Record):
    """A webhook; ``secret`` is empty but in the answer that made it."""

    id: str
    url: str
    note: str
    kinds: list[str]
    models: list[str]
    language: str
    paused: bool
    paused_by_portal: bool
    failing_since_at: datetime | None
    old_secret_ends_at: datetime | None
    created_at: datetime
    created_by: str | None
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class DeliveryAttempt(Record):
    """One attempt, and what the receiver answered; ``http_status`` None: nothing."""

    at: datetime
    ms: int
    http_status: int | None
    answer: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class Delivery(Record):
    """One message of a webhook."""

    id: str
    kind: str
    event: str
    sentence: str
    model: str | None
    state: str
    created_at: datetime
    settled_at: datetime | None
    next_attempt_at: datetime | None
    attempts: list[DeliveryAttempt]


# --- models and versions -------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LatestVersion(Record):
    """The newest version of a model that is ready."""

    number: int
    target_model: str
    size: int
    created_at: datetime
    created_by: str | None


@dataclass(frozen=True, kw_only=True)
class NewestVersion(Record):
    """The newest version of a model, whatever its state."""

    number: int
    state: str


@dataclass(frozen=True, kw_only=True)
class Fact(Record):
    """One line of a comparison; None: not known of that version."""

    name: str
    differs: bool

    @property
    def one(self) -> Any:
        """The value of the one version."""
        return self.document.get("one")

    @property
    def other(self) -> Any:
        """The value of the other version."""
        return self.document.get("other")


@dataclass(frozen=True, kw_only=True)
class Comparison(Record):
    """Two versions beside each other; ``labels`` has ``added``, ``removed`` and ``moved``.

    ``calls``: how both were called in the last ``calls_days`` days; empty where neither was.
    """

    facts: list[Fact]
    calls: list[Fact]
    calls_days: int
    metadata: list[Fact]
    layers: list[Fact]
    labels: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class NamedVersion(Record):
    """An alias of a model, and the version where it points."""

    name: str
    number: int


@dataclass(frozen=True, kw_only=True)
class Best(Record):
    """What a list of models is sorted by: the number of a key, and the version that has it."""

    key: str
    value: float
    number: int


@dataclass(frozen=True, kw_only=True)
class Model(Record):
    """A registered model."""

    name: str
    description: str
    tags: list[str]
    owner: str | None
    created_at: datetime
    created_by: str | None
    versions: int
    latest: LatestVersion | None
    newest: NewestVersion | None
    aliases: list[NamedVersion]
    last_call_at: datetime | None
    best: Best | None
    store: str
    deletable: bool


@dataclass(frozen=True, kw_only=True)
class Prediction(Record):
    """A label, and how probable the model holds it."""

    label: str
    probability: float


@dataclass(frozen=True, kw_only=True)
class Validation(Record):
    """What the container measured when it loaded and called a version."""

    load_ms: float | None
    first_ms: float | None
    warm_ms: float | None
    memory_bytes: int | None
    predictions: list[Prediction]


@dataclass(frozen=True, kw_only=True)
class Twin(Record):
    """Another version of the same bytes, or of the same content."""

    model: str
    number: int
    likeness: str


@dataclass(frozen=True, kw_only=True)
class FoundObject(Record):
    """An object in the store that is not registered; ``problem``: why it cannot be imported."""

    target_model: str
    uri: str
    model: str | None
    size: int
    modified_at: datetime
    problem: str | None


@dataclass(frozen=True, kw_only=True)
class PlannedCopy(Record):
    """A copy that is not made yet; ``problem``: what is in its way, None: nothing."""

    model: str
    target_model: str
    uri: str
    problem: str | None


@dataclass(frozen=True, kw_only=True)
class Use(Record):
    """What uses a version: ``kind`` is alias, endpoint or call; ``said`` is a sentence."""

    kind: str
    name: str
    said: str


@dataclass(frozen=True, kw_only=True)
class Version(Record):
    """A version of a model: an archive, its validation, and what is served of it.

    ``state``: uploaded, checking, ready or rejected; of a copy copying; later retired, deleting
    and deleted.
    """

    model: str
    number: int
    state: str
    step: str
    reason: str | None
    reason_code: str | None
    note: str
    metadata: dict[str, Any]
    file_name: str
    size: int
    sha256: str
    published_size: int | None
    published_sha256: str | None
    content_sha256: str | None
    packing: str
    target_model: str
    uri: str
    created_at: datetime
    created_by: str | None
    settled_at: datetime | None
    retired_at: datetime | None
    copied_from: str | None
    as_found: bool
    drift: str | None
    parameters: int | None
    input_shape: str
    validation: Validation | None
    same_as: list[Twin]

    @property
    def name(self) -> str:
        """As it is called: ``digits:2``."""
        return f"{self.model}:{self.number}"

    @property
    def settled(self) -> bool:
        """Whether the portal has nothing to do with it."""
        return self.state in SETTLED

    def wait(
        self, *, timeout: float | None = None, seen: Callable[[Version], None] | None = None
    ) -> Version:
        """Wait for its validation; ``seen`` gets it at each change.

        Raises Rejected where it was refused, and TimedOut. The validation goes on by itself.
        """
        version: Version = self._portal.models.wait(self, timeout=timeout, seen=seen)
        return version


@dataclass(frozen=True, kw_only=True)
class MadeVersion(Record):
    """The version that an upload became."""

    model: str
    number: int


@dataclass(frozen=True, kw_only=True)
class Upload(Record):
    """An archive on its way: ``offset`` of its ``length`` bytes have arrived."""

    id: str
    model: str
    file_name: str
    note: str
    length: int
    offset: int
    created_at: datetime
    expires_at: datetime
    made: MadeVersion | None
    problem: str | None

    def cancel(self) -> None:
        """Forget it, and delete what has arrived."""
        self._portal.uploads.cancel(self.id)


# --- redactions ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Place(Record):
    """Where a text is, or was: in how many rows."""

    name: str
    label: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class Redaction(Record):
    """Where a text is, or was, and in how many rows in all."""

    places: list[Place]
    rows: int


# --- storage -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Usage(Record):
    """Bytes that are taken up; ``quota``: bytes that may be, None where there is no limit."""

    used: int
    quota: int | None


@dataclass(frozen=True, kw_only=True)
class PersonUsage(Record):
    """What one person's uploads and copies take up; ``own_quota``: it is not the usual one."""

    name: str
    versions: int
    used: int
    quota: int | None
    own_quota: bool


@dataclass(frozen=True, kw_only=True)
class ModelUsage(Record):
    """What the versions of one model take up, in bytes."""

    name: str
    versions: int
    used: int


@dataclass(frozen=True, kw_only=True)
class StoreUsage(Record):
    """What the versions of one store take up, in bytes."""

    name: str
    versions: int
    used: int


@dataclass(frozen=True, kw_only=True)
class StorageUsage(Record):
    """What takes up the stores: in all, one's own, by store, by person, and the largest models."""

    store: Usage
    mine: Usage
    stores: list[StoreUsage]
    people: list[PersonUsage]
    largest: list[ModelUsage]


# --- stores --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class StoreRight(Record):
    """A right in a place, as the test found it: ``outcome`` is allowed, refused or unknown."""

    place: str
    right: str
    outcome: str
    needed: bool
    sentence: str


@dataclass(frozen=True, kw_only=True)
class StoreGroup(Record):
    """A group that a store names: its members see what is in it, and may write it or not."""

    name: str
    may_write: bool


@dataclass(frozen=True, kw_only=True)
class PeopleGroup(Record):
    """People who are named together; ``members`` are user names."""

    name: str
    members: list[str]


@dataclass(frozen=True, kw_only=True)
class Store(Record):
    """A bucket and a prefix; ``uses``: what is in it and on it, None where it came in a list.

    ``groups``: those whose members alone see it; none: everybody does.
    """

    name: str
    url: str
    bucket: str
    prefix: str
    region: str
    encryption: str
    kms_key_id: str
    retired_at: datetime | None
    tested_at: datetime | None
    rights: list[StoreRight]
    groups: list[StoreGroup]
    uses: list[str] | None


# --- endpoints -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class EndpointVariant(Record):
    """Instances of a type, which get a share of the calls: ``weight`` among the weights of all."""

    name: str
    instance_type: str
    instance_count: int
    weight: float


@dataclass(frozen=True, kw_only=True)
class Instances(Record):
    """What runs; of several variants the types and the number of all."""

    instance_type: str
    instance_count: int
    variants: list[EndpointVariant]


@dataclass(frozen=True, kw_only=True)
class Resource(Record):
    """A thing of SageMaker that belongs to an endpoint."""

    kind: str
    name: str
    arn: str
    state: str


@dataclass(frozen=True, kw_only=True)
class RefusedChange(Record):
    """A change that SageMaker refused or rolled back; the endpoint serves as before."""

    revision: int
    state: str
    failure: str
    failure_code: str | None


@dataclass(frozen=True, kw_only=True)
class Options(Record):
    """What else can be set of an endpoint; None and empty: as AWS presets it. Times in seconds."""

    model_cache: bool
    environment: dict[str, str]
    startup_timeout_s: int | None
    download_timeout_s: int | None
    volume_gb: int | None
    subnets: list[str]
    security_groups: list[str]
    kms_key: str
    capture_percent: int | None
    tags: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Policy(Record):
    """How SageMaker was to make a change: its steps, and the alarms that send all calls back."""

    kind: str
    percent: int
    wait_s: int
    alarms: list[str]


@dataclass(frozen=True, kw_only=True)
class Difference(Record):
    """What a field of an endpoint is now, and would be; of one that stays both are the same."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Revision(Record):
    """What an endpoint was asked to be, and what came of it."""

    revision: int
    state: str
    instance_type: str
    instance_count: int
    variants: list[EndpointVariant]
    image: str
    role_arn: str
    options: Options | None
    reason: str
    differences: list[Difference]
    policy: Policy | None
    back_to: int | None
    accepted_outside: bool
    failure: str | None
    failure_code: str | None
    created_at: datetime
    created_by: str | None
    settled_at: datetime | None
    took_s: int | None


@dataclass(frozen=True, kw_only=True)
class Series(Record):
    """The values of a metric, one for each of the metrics' times; None: nothing was measured."""

    name: str
    statistic: str
    unit: str
    values: list[float | None]


@dataclass(frozen=True, kw_only=True)
class SageMakerMetrics(Record):
    """What SageMaker measured of a variant; ``problem``: why CloudWatch did not say."""

    variant: str
    problem: str | None
    series: list[Series]


@dataclass(frozen=True, kw_only=True)
class OwnMetrics(Record):
    """What the portal measured of its own calls; ``complete``: whether all are counted.

    The calls of the versions are those since ``versions_begin_at``; of ``versions_left_out`` more,
    with fewer calls, nothing is told. A portal of the release before says neither.
    """

    complete: bool
    series: list[Series]
    versions_begin_at: datetime | None = None
    versions_left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class VersionCalls(Record):
    """The portal's own calls of a version in the time of the metrics."""

    model: str
    number: int
    calls: int
    failed: int
    cold_share: float | None
    p50_ms: float | None
    p99_ms: float | None
    last_call_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class InstanceTold(Record):
    """An instance as its container tells it; ``up`` False: its page could not be read."""

    instance: str
    up: bool
    started_at: datetime | None
    models: int | None
    memory_bytes: int | None
    memory_limit_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class ErrorCalls(Record):
    """Calls that a container answered with an error of a kind."""

    kind: str
    calls: int


@dataclass(frozen=True, kw_only=True)
class Evictions(Record):
    """Unloads of a model for a reason: ``memory``, ``request`` or ``worker_died``."""

    reason: str
    times: int


@dataclass(frozen=True, kw_only=True)
class ModelTold(Record):
    """What the containers together count of a model, whoever called it.

    ``portal_calls``: those by the portal; None where it knows no such version. ``memory_bytes``
    and ``loaded_at`` are None while it is not in memory. ``load_ms`` is an average.
    """

    target_model: str
    model: str | None
    number: int | None
    calls: int
    portal_calls: int | None
    cold: int
    errors: list[ErrorCalls]
    evictions: list[Evictions]
    loads: int
    load_ms: float | None
    memory_bytes: int | None
    loaded_at: datetime | None
    last_call_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class UncalledVersion(Record):
    """A version that the endpoint can serve, and that no container was called for."""

    model: str
    number: int


@dataclass(frozen=True, kw_only=True)
class ContainersTold(Record):
    """What the containers count themselves since they were started; ``problem``: why not."""

    read_at: datetime | None
    problem: str | None
    since: datetime | None
    least_recent: str | None
    least_recent_call_at: datetime | None
    eviction_age_ms: float | None
    instances: list[InstanceTold]
    models: list[ModelTold]
    models_left_out: int
    uncalled: list[UncalledVersion]


@dataclass(frozen=True, kw_only=True)
class MetricsChange(Record):
    """Something that happened to the endpoint in the time of the metrics."""

    at: datetime
    action: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Metrics(Record):
    """What is measured of an endpoint."""

    endpoint: str
    range: str
    since: datetime
    until: datetime
    period_s: int
    times: list[datetime]
    sagemaker: SageMakerMetrics
    portal: OwnMetrics
    versions: list[VersionCalls]
    changes: list[MetricsChange]
    #: None: the endpoint is gone, or the portal is of the release before.
    containers: ContainersTold | None = None


@dataclass(frozen=True, kw_only=True)
class LogLine(Record):
    """A line that a container of an endpoint wrote; ``level`` None: it does not say.

    ``target_model`` and ``request_id`` (of a call by the portal its ``id``) are empty where the
    line names none, or the portal is of the release before.
    """

    id: str
    at: datetime
    instance: str
    level: str | None
    event: str
    message: str
    text: str
    target_model: str = ""
    request_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Cost(Record):
    """What instances cost while they run: decimal numbers, as text. A month is 730 hours."""

    per_hour: str
    per_month: str
    currency: str


@dataclass(frozen=True, kw_only=True)
class Spent(Record):
    """What the instances of an endpoint cost since it was created: decimal numbers, as text.

    ``unpriced_types`` are in ``instance_hours`` and not in ``cost``: their price is not known.
    """

    instance_hours: str
    cost: str
    currency: str
    unpriced_types: list[str]


@dataclass(frozen=True, kw_only=True)
class CostItem(Record):
    """What one endpoint, owner, tag or day cost: decimal numbers, as text.

    ``name`` is empty for what has no owner, or no tag. ``unpriced_types`` are in ``instance_hours``
    and in no cost. ``idle_days``: of an endpoint that runs, since its last call.
    """

    name: str
    instance_hours: str
    cost: str
    forecast: str
    unpriced_types: list[str]
    idle_days: int | None


@dataclass(frozen=True, kw_only=True)
class InstancePrice(Record):
    """What an instance of a type costs an hour, as a decimal number in text."""

    instance_type: str
    per_hour: str


@dataclass(frozen=True, kw_only=True)
class PriceList(Record):
    """The prices that costs are estimated by; ``collected``: on which day, ``source``: from where.

    ``problem``: why AWS's price list was not read lately.
    """

    region: str
    currency: str
    collected: str
    source: str
    problem: str | None
    items: list[InstancePrice]


@dataclass(frozen=True, kw_only=True)
class CostBudget(Record):
    """What a month may cost, and has cost: of all, of ``owner``'s, or of those with ``tag``."""

    owner: str | None
    tag: str | None
    amount: str
    currency: str
    cost: str
    forecast: str
    percent: int
    set_at: datetime
    set_by: str | None


@dataclass(frozen=True, kw_only=True)
class CostReport(Record):
    """What a month cost on AWS, in UTC: an estimate. ``forecast``: at the end of the month.

    ``others``: what the endpoints that others made in the account cost now; no sum has it.
    """

    month: str
    since: datetime
    until: datetime
    by: str
    currency: str
    instance_hours: str
    cost: str
    forecast: str
    unpriced_types: list[str]
    items: list[CostItem]
    budgets: list[CostBudget]
    estimate: str
    others: OtherEndpoints | None = None


@dataclass(frozen=True, kw_only=True)
class Warmed(Record):
    """A version that was called to load its model; ``error``: what went wrong."""

    name: str
    cold: bool | None
    latency_ms: float | None
    call: str
    error: str | None


@dataclass(frozen=True, kw_only=True)
class Warming(Record):
    """Versions that are called once, so that their models are in memory."""

    id: str
    endpoint: str
    models: str
    state: str
    reason: str
    versions: list[str]
    called: list[Warmed]
    created_at: datetime
    created_by: str
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class KeptWarm(Record):
    """What of an endpoint is kept warm; ``calls_per_day``: what it costs in calls."""

    models: str
    every_minutes: int | None
    after_change: bool
    next_at: datetime | None
    calls_per_day: int | None
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True, kw_only=True)
class Warmth(Record):
    """What of an endpoint is kept warm, and the latest warmings."""

    kept: KeptWarm | None
    latest: list[Warming]


@dataclass(frozen=True, kw_only=True)
class InstanceChoice(Record):
    """A number of instances of a type, and which share of calls would wait for a model there."""

    instance_type: str
    instance_count: int
    room_mb: float
    cold_share: float
    holds_all: bool
    cost: Cost | None


@dataclass(frozen=True, kw_only=True)
class PlannedChoice(InstanceChoice):
    """The same with the calls an hour that would wait, and whether it has what is wanted."""

    cold_per_hour: float
    too_large: bool
    busy_share: float
    fits: bool
    recommended: bool


@dataclass(frozen=True, kw_only=True)
class PlannedModel(Record):
    """A version that is to be called: its share of the calls, and its memory."""

    name: str
    share: float
    memory_mb: float | None


@dataclass(frozen=True, kw_only=True)
class Capacity(Record):
    """Which instances would hold models, at which cost; ``choices``: the cheapest first."""

    models: list[PlannedModel]
    needed_mb: float
    estimated: int
    load_ms: float | None
    choices: list[PlannedChoice]
    estimate: str


@dataclass(frozen=True, kw_only=True)
class CalledVersion(Record):
    """A version that was called lately; ``again``: loads after it made room, by the simulation."""

    model: str
    number: int
    calls: int
    memory_mb: float | None
    cold: int
    again: int


@dataclass(frozen=True, kw_only=True)
class Thrash(Record):
    """Whether the models of an endpoint take turns in memory, and what would help."""

    endpoint: str
    verdict: str
    sentences: list[str]
    since: datetime
    until: datetime
    calls: int
    complete: bool
    instance_type: str
    instance_count: int
    room_mb: float | None
    needed_mb: float | None
    estimated: int
    held: int
    predicted_share: float | None
    measured_share: float | None
    wait_ms: float | None
    better: InstanceChoice | None
    less: list[CalledVersion]
    versions: list[CalledVersion]


@dataclass(frozen=True, kw_only=True)
class ScheduledScaling(Record):
    """Other limits of autoscaling from a time of the week on, as ``mon-fri 08:00``."""

    when: str
    min_instances: int
    max_instances: int


@dataclass(frozen=True, kw_only=True)
class Scaling(Record):
    """Between how many instances AWS scales an endpoint, and when.

    ``state`` is ``on`` when it does. The costs are with the fewest and with the most instances;
    None where the price is not known.
    """

    state: str
    min_instances: int
    max_instances: int
    calls_per_minute: int
    in_cooldown_s: int
    out_cooldown_s: int
    schedule: list[ScheduledScaling]
    zone: str
    cost_from: Cost | None
    cost_up_to: Cost | None


@dataclass(frozen=True, kw_only=True)
class Progress(Record):
    """What is under way with an endpoint: a creation, change, pause or teardown.

    Half of the times before took between so many seconds; None: there were none.
    """

    work: str
    since: datetime
    usually_from_s: int | None
    usually_to_s: int | None
    said: str


@dataclass(frozen=True, kw_only=True)
class CallsToday(Record):
    """The portal's calls of an endpoint since midnight, and how many of them were cold starts."""

    all: int
    cold: int


@dataclass(frozen=True, kw_only=True)
class Endpoint(Record):
    """An endpoint as it was asked for, and as it was last seen.

    ``notes``: of what was just asked for, what to know of the account's quotas; else empty.
    """

    name: str
    revision: int
    updating: bool
    refused_change: RefusedChange | None
    state: str
    wanted: str
    settled: bool
    serving: bool
    sagemaker_status: str
    instance_type: str
    instance_count: int
    variants: list[EndpointVariant]
    running: Instances | None
    image: str
    role_arn: str
    options: Options | None
    owner: str | None
    store: str
    failure: str | None
    failure_code: str | None
    hint: str | None
    hint_code: str | None
    changed_outside: bool
    hours: str
    hours_zone: str
    pauses_at: datetime | None
    resumes_at: datetime | None
    deleted_outside_at: datetime | None
    cost: Cost | None
    spent: Spent | None
    scaling: Scaling | None
    last_call_at: datetime | None
    last_call_by_others: bool
    calls_today: CallsToday | None
    progress: Progress | None
    expires_at: datetime | None
    idle_hours: int | None
    idle_ends_at: datetime | None
    idle_problem: str | None
    teardown_at: datetime | None
    keep_config: bool
    keep_model: bool
    created_at: datetime
    created_by: str | None
    checked_at: datetime | None
    gone_at: datetime | None
    resources: list[Resource]
    notes: list[str]

    def wait(
        self, *, timeout: float | None = None, seen: Callable[[Endpoint], None] | None = None
    ) -> Endpoint:
        """Wait until it serves; of one that is torn down, until it is gone.

        Raises EndpointFailed and TimedOut. The portal goes on by itself.
        """
        endpoint: Endpoint = self._portal.endpoints.wait(self, timeout=timeout, seen=seen)
        return endpoint

    def teardown(self) -> Endpoint:
        """Ask for its teardown."""
        endpoint: Endpoint = self._portal.endpoints.teardown(self.name)
        return endpoint


@dataclass(frozen=True, kw_only=True)
class Orphan(Record):
    """Something in the AWS account that no endpoint of the portal owns.

    ``kind``: model, config, endpoint, target, alarm, log_group or staged; the last four are not
    ``adoptable``. ``size_bytes``: what a log group or an object keeps. ``ours``: it bears the
    portal's tags, or is of an endpoint that was the portal's; None: AWS does not say.
    ``made_for``: the endpoint that its tag names, or that it is of. ``uses``: an endpoint's
    configuration, a configuration's model. ``cost`` is None where it costs nothing while it is
    there, or its price is not known.
    """

    kind: str
    name: str
    arn: str
    state: str
    ours: bool | None
    made_for: str
    adoptable: bool
    size_bytes: int | None
    uses: str
    sagemaker_status: str
    instance_type: str
    instance_count: int | None
    cost: Cost | None
    made_at: datetime
    found_at: datetime
    failure: str | None
    adopted_by: str | None


@dataclass(frozen=True, kw_only=True)
class OrphanList(Record):
    """What was found in the AWS account, and how the portal looked.

    ``looking``: a look is under way, and this is what was known before. ``problems``: what AWS did
    not answer, so that it is not in ``items``.
    """

    items: list[Orphan]
    looking: bool
    looked_at: datetime | None
    problems: list[str]
    cost: Cost | None


@dataclass(frozen=True, kw_only=True)
class OtherEndpoints(Record):
    """How many endpoints in the AWS account are not the portal's, and what they cost together.

    ``unpriced`` of them run on types whose price is not known. ``looked_at``: when the portal last
    looked; None: never.
    """

    endpoint_count: int
    cost: Cost | None
    unpriced: int
    looked_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class EndpointList(Record):
    """All endpoints of the portal, and what else is in the AWS account.

    ``others`` is None where an older portal does not say.
    """

    items: list[Endpoint]
    others: OtherEndpoints | None


@dataclass(frozen=True, kw_only=True)
class ContainerImage(Record):
    """A container image in ECR; ``image`` is its address by its digest."""

    image: str
    digest: str
    tags: list[str]
    pushed_at: datetime
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class ContainerImages(Record):
    """The images that an endpoint can be given; ``note``: why there are none."""

    items: list[ContainerImage]
    note: str | None


@dataclass(frozen=True, kw_only=True)
class Alarm(Record):
    """An alarm that the portal makes for an endpoint in CloudWatch.

    ``name``: as commands call it, ``alarm_name``: as CloudWatch does. ``threshold`` is of failed
    calls, ms or percent, as ``kind`` says. ``state``: requested, normal, in_alarm,
    insufficient_data or deleting. ``failure``: why it is not as it was asked for.
    """

    name: str
    kind: str
    variant: str
    alarm_name: str
    threshold: int
    minutes: int
    condition: str
    state: str
    reason: str
    changed_at: datetime | None
    failure: str | None
    created_at: datetime
    created_by: str | None


@dataclass(frozen=True, kw_only=True)
class AlarmList(Record):
    """The alarms of an endpoint; ``problem``: why CloudWatch did not tell their states last."""

    items: list[Alarm]
    looked_at: datetime | None
    problem: str | None


@dataclass(frozen=True, kw_only=True)
class PlannedCall(Record):
    """A call of an API of AWS that is not made yet; ``code`` is the same as Python for boto3.

    ``afterwards``: it is made when the endpoint serves as it was asked for, or is gone.
    """

    action: str
    arguments: dict[str, Any]
    code: str
    afterwards: bool


@dataclass(frozen=True, kw_only=True)
class EndpointPlan(Record):
    """What a creation or a change would call in AWS, and what it would cost; nothing is made.

    ``code``: the calls as one Python script for boto3; empty where it is so already. ``cost`` is
    None where the price is not known; ``cost_before`` also for a new endpoint. ``cost_up_to``: with
    as many instances as autoscaling may give it, None where it is not scaled. ``expires_at``: the
    end date. ``idle_hours``: it ends after so many without a call. ``chosen``: what was chosen of a
    new endpoint that could be left out.
    ``notes``: what else to know, of the image and of quotas.
    """

    endpoint: str
    expires_at: datetime | None
    idle_hours: int | None
    calls: list[PlannedCall]
    code: str
    differences: list[Difference]
    stays: list[Difference]
    chosen: list[Difference]
    notes: list[str]
    cost_before: Cost | None
    cost: Cost | None
    cost_up_to: Cost | None
    estimate: str
    meanwhile: str


@dataclass(frozen=True, kw_only=True)
class TeardownPlan(Record):
    """What a teardown deletes, in its order, and what of its resources it leaves in the account.

    ``calls``, and as one script ``code``: what is called in AWS. ``cost_before``: what it costs
    now; None: that is not known.
    """

    endpoint: str
    deletes: list[Resource]
    keeps: list[Resource]
    store: str
    calls: list[PlannedCall] | None = None
    code: str = ""
    cost_before: Cost | None = None


# --- calls ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Timings(Record):
    """Where the time of a call went, in ms; None where the container does not say."""

    portal_ms: float | None
    sagemaker_ms: float | None
    load_ms: float | None
    ready_ms: float | None
    fetch_ms: float | None = None
    decode_ms: float | None
    infer_ms: float | None


@dataclass(frozen=True, kw_only=True)
class SentPicture(Record):
    """What was sent."""

    name: str
    sha256: str
    size: int
    content_type: str | None
    width: int | None
    height: int | None
    turned: bool | None


@dataclass(frozen=True, kw_only=True)
class Invocation(Record):
    """A call of a model, with its answer."""

    id: str
    endpoint: str
    model: str
    number: int
    target_model: str
    variant: str
    asked_variant: str = ""
    state: str
    cold: bool | None
    put_out: list[str]
    put_out_count: int
    warming: bool
    predictions: list[Prediction]
    request_id: str
    created_at: datetime
    created_by: str | None
    latency_ms: float | None
    timings: Timings
    picture: SentPicture | None
    error: str | None
    error_code: str | None


@dataclass(frozen=True, kw_only=True)
class ForgottenPicture(Record):
    """What was forgotten: of so many ``calls``; ``others``: somebody else's calls keep it."""

    calls: int
    others: bool
    in_test_set: bool


@dataclass(frozen=True, kw_only=True)
class OneAnswer(Record):
    """What a version answered to a picture: the first label, or ``error``, what went wrong."""

    label: str
    probability: float | None
    latency_ms: float | None
    cold: bool | None
    call: str
    error: str | None
    error_code: str | None


@dataclass(frozen=True, kw_only=True)
class BothAnswers(Record):
    """Both answers to a picture; ``result``: ``differ``, ``error``, ``same`` or ``open``.

    Of one version alone: ``wrong``, ``error``, ``right``, ``answered`` or ``open``.
    """

    name: str
    source: str
    label: str
    result: str
    one: OneAnswer | None
    other: OneAnswer | None


@dataclass(frozen=True, kw_only=True)
class ComparedSide(Record):
    """One of the two versions; ``right`` of the answers to ``labelled`` pictures are right."""

    model: str
    number: int
    right: int
    labelled: int


@dataclass(frozen=True, kw_only=True)
class ListedComparison(Record):
    """A comparison of answers, without them; ``other`` empty: ``one`` is called alone."""

    id: str
    state: str
    endpoint: str
    one: str
    other: str
    created_at: datetime
    created_by: str
    finished_at: datetime | None
    total: int


@dataclass(frozen=True, kw_only=True)
class Mistake(Record):
    """A label that was given in place of the right one, and to how many pictures."""

    label: str
    answered: str
    pictures: int


@dataclass(frozen=True, kw_only=True)
class Confusion(Record):
    """How often a version gave which label to pictures of which right label.

    ``labels`` are those of the rows (right) and columns (answered) of ``counts``; of many labels
    both are empty. ``mistakes``: the commonest first.
    """

    labels: list[str]
    counts: list[list[int]]
    mistakes: list[Mistake]


@dataclass(frozen=True, kw_only=True)
class Confusions(Record):
    """The confusion of either version; None: the right label of no answer is known."""

    one: Confusion | None
    other: Confusion | None


@dataclass(frozen=True, kw_only=True)
class ComparedAnswers(Record):
    """Two versions that are called with the same pictures; ``pictures``: differences first.

    Where one is called alone, ``other`` is that version, too.

    ``same`` of the ``compared`` pictures that both answered have the same first label.
    """

    id: str
    state: str
    endpoint: str
    one: ComparedSide
    other: ComparedSide
    alone: bool
    created_at: datetime
    created_by: str
    finished_at: datetime | None
    total: int
    hidden: int
    sent: int
    errors: int
    left_out: int
    same: int
    compared: int
    confusion: Confusions
    pictures: list[BothAnswers]

    @property
    def running(self) -> bool:
        """Whether there are pictures left to send."""
        return self.state == "running"

    def wait(
        self,
        *,
        timeout: float | None = None,
        seen: Callable[[ComparedAnswers], None] | None = None,
    ) -> ComparedAnswers:
        """Wait until all pictures were sent; ``seen`` gets it every few seconds."""
        done: ComparedAnswers = self._portal.comparisons.wait(self, timeout=timeout, seen=seen)
        return done


@dataclass(frozen=True, kw_only=True)
class ExperimentItem(Record):
    """An experiment in a list: its results in short.

    ``calls`` have ended: ``succeeded``, ``failed`` and ``unknown``, of ``asked["calls"]``.
    """

    id: str
    name: str
    state: str
    endpoint: str
    asked: dict[str, Any]
    created_at: datetime
    created_by: str
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
    calls: int
    succeeded: int
    failed: int
    unknown: int
    cold: int
    cold_share: float | None
    calls_per_second: float | None
    seconds: float

    @property
    def running(self) -> bool:
        """Whether calls are left to be made."""
        return self.state in ("waiting", "running")


@dataclass(frozen=True, kw_only=True)
class LatencyBar(Record):
    """Answered calls that took up to ``to_ms``; ``warm``: all that are not known to be cold."""

    from_ms: float
    to_ms: float
    cold: int
    warm: int


@dataclass(frozen=True, kw_only=True)
class PartTimes(Record):
    """Where the time of so many calls went, in ms on average; ``fetch`` None: in ``network``."""

    calls: int
    network: float
    fetch: float | None
    load: float
    decode: float
    infer: float


@dataclass(frozen=True, kw_only=True)
class PartsByKind(Record):
    """Of cold and of warm calls; None: none tells it."""

    cold: PartTimes | None
    warm: PartTimes | None


@dataclass(frozen=True, kw_only=True)
class Experiment(ExperimentItem):
    """Many calls of several versions, and what came of them so far.

    ``latency_ms`` has ``all``, ``cold``, ``warm``, each with ``p50``, ``p90`` and ``p99``, and the
    same by target in ``targets``. ``targets`` and ``labels`` are by target, such as ``digits:2``,
    and ``loads``: the seconds at which its model was loaded. ``parts_ms``: where the time went.
    """

    latency_ms: dict[str, Any]
    targets: dict[str, Any]
    labels: dict[str, Any]
    errors: dict[str, Any]
    histogram: list[LatencyBar]
    loads: dict[str, Any]
    parts_ms: PartsByKind | None = None

    def wait(
        self,
        *,
        timeout: float | None = None,
        seen: Callable[[Experiment], None] | None = None,
    ) -> Experiment:
        """Wait until it has ended; ``seen`` gets it every few seconds."""
        done: Experiment = self._portal.experiments.wait(self, timeout=timeout, seen=seen)
        return done

    def stop(self) -> Experiment:
        """Begin no further call; what is under way is waited for."""
        stopped: Experiment = self._portal.experiments.stop(self.id)
        return stopped


@dataclass(frozen=True, kw_only=True)
class ExperimentFigure(Record):
    """A figure of two experiments, by its place in their documents, as ``latency_ms.all.p50``.

    ``kind`` is ``number``, ``share`` (0 to 1) or ``ms``; None: not known of that one.
    """

    name: str
    kind: str
    one: float | None
    other: float | None


@dataclass(frozen=True, kw_only=True)
class ComparedExperiments(Record):
    """Two experiments beside each other."""

    one: ExperimentItem
    other: ExperimentItem
    figures: list[ExperimentFigure]


@dataclass(frozen=True, kw_only=True)
class ExpectedCalls(Record):
    """A target of an experiment, and about how many calls it gets."""

    name: str
    target_model: str
    share: float
    calls: float
    memory_mb: float | None


@dataclass(frozen=True, kw_only=True)
class ExperimentPlan(Record):
    """What an experiment would do; ``seconds``: about so long.

    ``other_models`` on the endpoint are not called, and may be put out of memory. ``cost`` is that
    of the endpoint's instances, called or not, and ``cost_meanwhile`` of these seconds.
    """

    endpoint: str
    asked: dict[str, Any]
    targets: list[ExpectedCalls]
    seconds: float
    cost: Cost | None
    cost_meanwhile: str | None
    memory_mb: float | None
    other_models: int


@dataclass(frozen=True, kw_only=True)
class Sample(Record):
    """A picture that the portal has for trying models."""

    name: str
    title: str
    size: int
    content_type: str


@dataclass(frozen=True, kw_only=True)
class Subject(Record):
    """What an event is about."""

    kind: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Event(Record):
    """One line of the activity log; ``sentence`` is in the language that was asked for."""

    id: str
    at: datetime
    actor: str | None
    level: str
    action: str
    subject: Subject | None
    sentence: str
    request_id: str
    channel: str | None
    address: str | None
