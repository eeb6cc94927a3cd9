"""What the containers of an endpoint tell of themselves: their pages for Prometheus, read as one.

They count each call that they answered, whoever made it (container/README.md, "Metrics"). Where the
setting CONTAINER_METRICS_URL names no address, as on AWS, nobody but SageMaker can read them.
"""

import logging
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from django.conf import settings
from django.db.models import Count, Q
from django.db.models import Sum as SumOf
from django.utils.translation import gettext_lazy as _
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from core import aws, clock, errors
from core.remembered import Shared
from core.sentences import phrase
from endpoints.models import Endpoint
from endpoints.tables import servable
from invocations import roll_ups
from invocations.models import Invocation, VersionHalfDay
from models_catalog.models import Version

logger = logging.getLogger(__name__)

#: A page of 100 models has 0.8 MB, so this is that of twenty instances.
MOST_BYTES: Final = 16 << 20
#: The models with the most calls that are told.
MOST_MODELS = 200
#: The versions that no container was called for that are named.
MOST_UNCALLED = 50
_LONGEST_SAID = 200
_NEVER = datetime.min.replace(tzinfo=UTC)

# Buckets are most of a page, and are not shown.
_BUCKET = re.compile(r"^\w+_bucket\{.*\n?", re.MULTILINE)
_SUMS = {"mme_model_calls_total": "calls", "mme_model_cold_calls_total": "cold"} | {
    "mme_model_load_seconds_count": "loads",
    "mme_model_worker_deaths_total": "deaths",
    "mme_model_queue_length": "queue",
    "mme_model_eviction_age_seconds_count": "evicted_idle",
}
_KINDS = {
    "mme_model_errors_total": ("errors", "kind"),
    "mme_model_evictions_total": ("evictions", "reason"),
}

#: What the kinds of the page are in words; others are shown as they are.
WORDS: Final = {
    "bad_request": _("400: bad input"),
    "not_loaded": _("404: not loaded"),
    "not_acceptable": _("406: no such type"),
    "too_large": _("413: too large"),
    "unsupported_media_type": _("415: unknown type"),
    "no_answer": _("500: no answer"),
    "queue_full": _("503: queue full"),
    "shutting_down": _("503: shutting down"),
    "prediction_failed": _("503: prediction failed"),
    "out_of_memory": _("507: out of memory"),
    "other": _("other"),
    "memory": _("memory was short"),
    "request": _("told to"),
    "worker_died": _("its worker died"),
}


@dataclass
class ContainerInstance:
    """An instance. ``up``: its page was read. Bytes and ``since`` are None where it does not say.

    ``since``: when its server was started, and so since when it counts.
    """

    name: str
    up: bool = True
    since: datetime | None = None
    models: int | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None


@dataclass
class ContainerModel:
    """What all instances together have counted of a model.

    ``target``: its target model; "" stands for those that the containers no longer tell singly, and
    before its first call it is the name that SageMaker gave it. ``memory_bytes`` (of all instances)
    and ``loaded_since`` are None while no instance has it in memory. ``own_calls``: the portal's.
    ``evicted_idle``: how often it was unloaded to make room, once somebody had called it;
    ``idle_s`` is how long nobody had called it then, all of these times together.
    """

    target: str
    version: Version | None = None
    calls: int = 0
    cold: int = 0
    loads: int = 0
    deaths: int = 0
    queue: int = 0
    load_s: float = 0.0
    evicted_idle: int = 0
    idle_s: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    evictions: Counter[str] = field(default_factory=Counter)
    memory_bytes: int | None = None
    loaded_since: datetime | None = None
    last_call_at: datetime | None = None
    own_calls: int | None = None

    @property
    def load_ms(self) -> float | None:
        """How long a load took on average; None where there was none."""
        return 1000 * self.load_s / self.loads if self.loads else None

    @property
    def failed(self) -> int:
        """How many calls were answered with an error."""
        return self.errors.total()

    @property
    def errors_said(self) -> list[tuple[Any, int]]:
        """The errors by kind, in words, most first."""
        return _in_words(self.errors)

    @property
    def evictions_said(self) -> list[tuple[Any, int]]:
        """The evictions by reason, in words, most first."""
        return _in_words(self.evictions)


def _in_words(counts: Counter[str]) -> list[tuple[Any, int]]:
    return [(WORDS.get(kind, kind), n) for kind, n in counts.most_common()]


@dataclass(frozen=True)
class ContainerFigures:
    """The pages of an endpoint's containers, read ``at`` a time; None: they were not read.

    ``elsewhere``: no address is known at which they could be. ``problem``: why they could not.
    ``uncalled``: versions in the store that no container was called for, at most MOST_UNCALLED.
    ``least_recent``: the model in memory that nobody has called for the longest time, which is
    unloaded next. ``eviction_age_ms``: for how long models had not been called, on average, when
    they were unloaded to make room; None where none was.
    """

    at: datetime | None = None
    elsewhere: bool = False
    problem: errors.AwsError | None = None
    instances: list[ContainerInstance] = field(default_factory=list)
    models: list[ContainerModel] = field(default_factory=list)
    models_left_out: int = 0
    uncalled: list[Version] = field(default_factory=list)
    more_uncalled: bool = False
    least_recent: ContainerModel | None = None
    eviction_age_ms: float | None = None

    @property
    def since(self) -> datetime | None:
        """Since when the first of them counts."""
        return min((one.since for one in self.instances if one.since is not None), default=None)

    @property
    def silent(self) -> list[ContainerInstance]:
        """Instances whose page could not be read."""
        return [one for one in self.instances if not one.up]

    @property
    def calls(self) -> int:
        """Calls that the containers have answered."""
        return sum(one.calls for one in self.models)


_SHARED: Shared[int, ContainerFigures] = Shared(keep_s=settings.METRICS_KEEP_S)


def figures(endpoint: Endpoint) -> ContainerFigures | None:
    """What its containers tell now; one look serves all who ask within METRICS_KEEP_S.

    None of an endpoint that is gone. Takes some seconds at most, and raises nothing of AWS's.
    """
    if endpoint.gone_at is not None:
        return None
    if not settings.CONTAINER_METRICS_URL:
        return ContainerFigures(elsewhere=True)
    return _SHARED.get(endpoint.pk, lambda: _ask(endpoint))


def _ask(endpoint: Endpoint) -> ContainerFigures:
    try:
        found = read(_page_of(endpoint))
    except errors.AwsError as problem:
        logger.warning("The containers of %s tell nothing: %s", endpoint.name, problem)
        return ContainerFigures(problem=problem)
    _name_versions(endpoint, found)
    called = [one.version.pk for one in found.models if one.version is not None and one.calls]
    idle = servable(endpoint).exclude(pk__in=called).select_related("model")
    idle = idle.defer("report", "model__description").order_by("-pk")
    uncalled = list(idle[: MOST_UNCALLED + 1])
    return replace(
        found, uncalled=uncalled[:MOST_UNCALLED], more_uncalled=len(uncalled) > MOST_UNCALLED
    )


def _page_of(endpoint: Endpoint) -> str:
    url = settings.CONTAINER_METRICS_URL.replace("{endpoint}", endpoint.name)
    with aws.translated(phrase("reading what the containers of an endpoint tell")):
        page = aws.signed_page(url, most_bytes=MOST_BYTES + 1)
    said = page.body.decode(errors="replace")
    if page.status == HTTPStatus.NOT_FOUND:
        raise errors.NotFound(phrase("No container of the endpoint runs at present."))
    if page.status != HTTPStatus.OK:
        short = " ".join(said[:_LONGEST_SAID].split())
        text = phrase(
            "Their page is not given: HTTP %(status)s. It says: “%(said)s”",
            status=page.status,
            said=short,
        )
        raise errors.Denied(text)
    if len(page.body) > MOST_BYTES:
        most = f"{MOST_BYTES >> 20}"
        raise errors.Invalid(phrase("Their page has more than %(most)s MB.", most=most))
    return said


def read(page: str) -> ContainerFigures:
    """The figures of a page in Prometheus' text format; raises Invalid where it is none."""
    instances: dict[str, ContainerInstance] = {}
    models: dict[str, ContainerModel] = {}
    try:
        for sample in _samples(page):
            if not math.isfinite(sample.value):
                continue
            name = sample.labels.get("instance", "")
            instance = instances.setdefault(name, ContainerInstance(name))
            if "target_model" in sample.labels:
                target = sample.labels["target_model"]
                _add(models.setdefault(target, ContainerModel(target)), sample)
            else:
                _add_of_server(instance, sample)
    except (ValueError, KeyError, IndexError) as error:
        said = phrase("Their page cannot be read: %(error)s", error=str(error)[:_LONGEST_SAID])
        raise errors.Invalid(said) from error
    told = sorted(models.values(), key=lambda one: (not one.target, -one.calls, one.target))
    told = [one for one in told if one.target or one.calls]
    evicted = sum(one.evicted_idle for one in told)
    return ContainerFigures(
        at=clock.now(),
        instances=sorted(instances.values(), key=lambda one: one.name),
        models=told[:MOST_MODELS],
        models_left_out=max(0, len(told) - MOST_MODELS),
        least_recent=_least_recent(told),
        eviction_age_ms=1000 * sum(one.idle_s for one in told) / evicted if evicted else None,
    )


def _least_recent(models: list[ContainerModel]) -> ContainerModel | None:
    held = [one for one in models if one.loaded_since is not None]
    return min(held, key=lambda one: one.last_call_at or _NEVER, default=None)


def _samples(page: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(_BUCKET.sub("", page)):
        yield from family.samples


def _add(model: ContainerModel, sample: Sample) -> None:
    """Add what one instance has counted."""
    value = max(0.0, sample.value)
    if sample.name in _SUMS:
        name = _SUMS[sample.name]
        setattr(model, name, getattr(model, name) + int(value))
    elif sample.name in _KINDS:
        name, label = _KINDS[sample.name]
        if value:
            getattr(model, name)[sample.labels.get(label, "")] += int(value)
    elif sample.name == "mme_model_load_seconds_sum":
        model.load_s += value
    elif sample.name == "mme_model_eviction_age_seconds_sum":
        model.idle_s += value
    elif sample.name == "mme_model_memory_bytes":
        model.memory_bytes = (model.memory_bytes or 0) + int(value)
    elif sample.name == "mme_model_loaded_timestamp_seconds":
        model.loaded_since = min(filter(None, (model.loaded_since, _time(value))), default=None)
    elif sample.name == "mme_model_last_call_timestamp_seconds":
        model.last_call_at = max(filter(None, (model.last_call_at, _time(value))), default=None)


def _add_of_server(instance: ContainerInstance, sample: Sample) -> None:
    if sample.name == "localaws_instance_up":
        instance.up = bool(sample.value)
    elif sample.name == "mme_server_start_timestamp_seconds":
        instance.since = _time(sample.value)
    elif sample.name == "mme_models_loaded":
        instance.models = int(sample.value)
    elif sample.name == "mme_memory_used_bytes":
        instance.memory_bytes = int(sample.value)
    elif sample.name == "mme_memory_limit_bytes":
        instance.memory_limit_bytes = int(sample.value)


def _time(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _name_versions(endpoint: Endpoint, found: ContainerFigures) -> None:
    """Say which versions the models are, and how often the portal called each."""
    prefix = f"{endpoint.prefix}/" if endpoint.prefix else ""
    keys = {f"{prefix}{one.target}": one for one in found.models if one.target}
    rows = Version.objects.filter(bucket=endpoint.bucket, prefix=endpoint.prefix)
    rows = rows.select_related("model").defer("report", "model__description")
    for version in rows.filter(key__in=keys):
        keys[version.key].version = version
    if found.since is not None:
        own = _own_calls(endpoint, found.since)
        for one in found.models:
            if one.version is not None:
                one.own_calls = own.get(one.version.pk, 0)


def _own_calls(endpoint: Endpoint, since: datetime) -> dict[int, int]:
    """The portal's calls of each version since then: of whole half days their sums."""
    summed = roll_ups.begin_of(since, roll_ups.HALF_DAY) + roll_ups.HALF_DAY
    single = Q(created_at__lt=summed) | Q(counted=False)
    calls = Invocation.everybodys.traffic().filter(single, endpoint=endpoint, created_at__gte=since)
    halves = VersionHalfDay.objects.filter(endpoint=endpoint, begin__gte=summed)
    counts = calls.order_by().values_list("version").annotate(Count("pk"))
    sums = halves.order_by().values_list("version").annotate(SumOf("calls"))
    found: Counter[int] = Counter()
    for version, n in counts.union(sums, all=True):
        found[version] += n
    return dict(found)
