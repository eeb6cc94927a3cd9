"""One run of the reconciler while it is under way: what was seen, and what follows from it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from django.conf import settings

from activity.models import Event
from core import aws, clock, errors
from endpoints import sagemaker
from endpoints.models import Endpoint, Resource

T = TypeVar("T")

# A little longer than the slowest single AWS call, and no more: after a crash nobody acts on the
# endpoint before it ends.
LEASE = timedelta(seconds=settings.AWS_CONNECT_TIMEOUT_S + aws.SAGEMAKER_READ_TIMEOUT_S + 3)
AT_ONCE = timedelta(0)
SOON = timedelta(seconds=1)
WHEN_SETTLED = timedelta(seconds=60)
WHEN_FAILED = timedelta(minutes=5)
# How long a read may still miss what was written (BC: CreateEndpoint on DescribeEndpointConfig).
READ_LAG = timedelta(seconds=60)
# No delete, update or rescale in these (BC: EndpointStatus).
IN_PROGRESS = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})

MODEL, CONFIG, ENDPOINT = Resource.Kind.MODEL, Resource.Kind.CONFIG, Resource.Kind.ENDPOINT
NOUN: dict[str, str] = {MODEL: "SageMaker model", CONFIG: "endpoint config", ENDPOINT: "endpoint"}


@dataclass(frozen=True)
class Seen:
    """One resource as AWS just answered; ``created_at`` only where a describe told it."""

    status: str
    arn: str = ""
    created_at: datetime | None = None


@dataclass
class Step:
    """What one run finds out, to be written in one transaction."""

    endpoint: Endpoint
    resources: dict[str, Resource]
    seen: dict[str, Seen] = field(default_factory=dict)
    news: list[tuple[str, str, str]] = field(default_factory=list)  # level, action, text
    status: str = ""
    failure: str = ""
    hint: str = ""
    again_in: timedelta = SOON
    stumbled: bool = False
    gone: bool = False

    def tell(self, level: str, action: str, text: str) -> None:
        """Add an event, to be recorded with the rest."""
        self.news.append((level, action, text))


class Refused(Exception):
    """What is there is not the portal's; the text says what, and what to do."""


def found_or_none(describe: Callable[[str], T], name: str) -> T | None:
    try:
        return describe(name)
    except errors.NotFound:
        return None


def see_endpoint(step: Step, found: sagemaker.Endpoint) -> None:
    see(step, ENDPOINT, Seen(found.status, found.arn, found.created_at))
    step.status = found.status
    before = step.resources[ENDPOINT].status
    if found.status == before:
        return
    if found.status == "Failed":
        reason = found.failure or "SageMaker gives no reason."
        step.tell(Event.Level.ERROR, "endpoint.failed", f"The endpoint failed: {reason}")


def see(step: Step, kind: str, seen: Seen) -> None:
    """Note what was seen, and the event where it differs from what was seen before."""
    resource = step.resources[kind]
    step.seen[kind] = seen
    before = resource.status
    known_since = resource.created_at
    if seen.status == before:
        if seen.created_at and known_since and seen.created_at != known_since:
            step.tell(
                Event.Level.WARNING,
                "endpoint.drift",
                f"The {NOUN[kind]} {resource.name} is not the one seen before: that one was "
                "deleted, and this one created, since the last look.",
            )
        return
    text = _news_of(step.endpoint, kind, resource.name, seen.status)
    if text:
        good = seen.status in {"InService", "Gone"}
        level = Event.Level.SUCCESS if good else Event.Level.INFO
        step.tell(level, f"endpoint.{kind}.{seen.status.lower()}", text)


def _news_of(endpoint: Endpoint, kind: str, name: str, status: str) -> str:
    noun = NOUN[kind]
    if status == "Gone":
        return f"The {noun} {name} is gone."
    if status == "Deleting":
        return f"The {noun} {name} is being deleted."
    if status == "Created" and kind == MODEL:
        return f"Created the {noun} {name}, which serves {endpoint.model_data_url}."
    if status == "Created":
        count, instance_type = endpoint.instance_count, endpoint.instance_type
        return f"Created the {noun} {name} with {count} × {instance_type}."
    if status == "InService":
        return f"The endpoint {name} is in service."
    if status in {"Failed", "Kept"}:
        return ""  # told with the reason
    return f"The endpoint {name} is {status}."


def hold(step: Step) -> None:
    """Renew the lease before a changing call.

    Raises LeaseLost, also where the user wants something else by now.
    """
    Endpoint.objects.filter(wanted=step.endpoint.wanted).renew(step.endpoint, lease=LEASE)


def patience(step: Step) -> timedelta:
    """How soon to look again at what AWS takes its time for: the longer it takes, the later."""
    now = clock.now()
    waited = (now - (step.resources[ENDPOINT].changed_at or now)).total_seconds()
    return timedelta(seconds=min(10.0, max(1.0, waited / 15)))


def stand_still(step: Step, failure: str, hint: str) -> None:
    step.failure, step.hint, step.again_in = failure, hint, WHEN_FAILED
