"""What endpoints leave in the AWS account beside SageMaker's own three kinds of resources.

Scalable targets, alarms and log groups of endpoints that are gone, and objects in staging that
nobody's row names. orphans.py lists them with the rest, reconciler/orphan_steps.py deletes them.
None of them can be adopted: what they are of is not there.
"""

from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core import clock, errors
from endpoints import autoscaling, cloudwatch, log_groups, sagemaker
from endpoints.models import ALARM_PREFIX, Endpoint, EndpointAlarm, Orphan
from models_catalog import staged

#: An upload's object is there a moment before its row.
STAGED_TOO_NEW = timedelta(hours=1)
#: SageMaker's limit (BC: EndpointName); CloudWatch takes longer texts, which name no endpoint.
LONGEST_NAME = 63
_NAMESPACES = ("AWS/SageMaker", "/aws/sagemaker/Endpoints")
_ENDPOINT = "EndpointName"


@dataclass(frozen=True)
class Leftover:
    """One of them. ``of``: the endpoint whose it was, empty where it is of none.

    ``ours``: this portal made it, or what it is of; None: AWS does not say.
    """

    name: str
    arn: str
    created_at: datetime
    of: str = ""
    ours: bool | None = False
    size_bytes: int | None = None


def listed(kind: str, living: Set[str]) -> Iterator[Leftover]:
    """All of a kind whose endpoint is not in ``living``, names in lower case.

    Raises an AwsError.
    """
    found = [
        one
        for one in _LISTS[Orphan.Kind(kind)]("")
        if not one.of or (len(one.of) <= LONGEST_NAME and one.of.lower() not in living)
    ]
    if kind == Orphan.Kind.STAGED:
        return iter(found)
    was = _were_ours({one.of for one in found})
    return (replace(one, ours=bool(one.ours) or one.of.lower() in was) for one in found)


def find(kind: str, name: str) -> Leftover | None:
    """One of them by its name; None where it is gone. Raises an AwsError."""
    if kind == Orphan.Kind.STAGED:
        there = staged.find(name)
        return None if there is None else Leftover(there.key, there.key, there.modified)
    return next((one for one in _LISTS[Orphan.Kind(kind)](name) if one.name == name), None)


def delete(kind: str, name: str) -> None:
    """Delete one; raises NotFound where it is gone, and another AwsError."""
    match Orphan.Kind(kind):
        case Orphan.Kind.TARGET:
            endpoint, _dot, variant = name.partition(".")
            autoscaling.deregister(name=endpoint, variant=variant)
        case Orphan.Kind.ALARM:
            cloudwatch.delete_alarm(name)
        case Orphan.Kind.LOG_GROUP:
            log_groups.delete_log_group(name)
        case _:
            staged.delete(name)


def lives(of: str) -> bool:
    """Whether there is an endpoint of this name, in SageMaker or in the portal's rows."""
    if not of:
        return False
    if Endpoint.objects.filter(gone_at=None).named(of).exists():
        return True
    try:
        sagemaker.describe_endpoint(of)
    except errors.NotFound:
        return False
    return True


def _were_ours(names: Set[str]) -> set[str]:
    """Those of these names, in lower case, that an endpoint of the portal had."""
    rows = Endpoint.objects.exclude(gone_at=None).values_list("name", flat=True).distinct()
    return {name.lower() for name in names} & {name.lower() for name in rows}


def _targets(_name: str) -> Iterator[Leftover]:
    for one in autoscaling.listed_targets():
        name = f"{one.endpoint}.{one.variant}"
        yield Leftover(name, one.arn, one.created_at, of=one.endpoint)


def _alarms(name: str) -> Iterator[Leftover]:
    """Alarms of SageMaker's metrics of an endpoint, and all that have the portal's prefix."""
    wanted = {row.name for row in EndpointAlarm.objects.select_related("endpoint")}
    for one in cloudwatch.listed_alarms(name):
        own = one.name.startswith(ALARM_PREFIX)
        of = one.dimensions.get(_ENDPOINT, "")
        if one.name in wanted or not (own or (of and one.namespace in _NAMESPACES)):
            continue
        yield Leftover(one.name, one.arn, one.updated_at, of=of, ours=own)


def _log_groups(name: str) -> Iterator[Leftover]:
    for one in log_groups.listed_log_groups(name):
        yield Leftover(
            one.endpoint, one.arn, one.created_at, of=one.endpoint, size_bytes=one.size_bytes
        )


def _staged(_name: str) -> Iterator[Leftover]:
    for one in staged.unowned(before=clock.now() - STAGED_TOO_NEW):
        yield Leftover(one.key, one.key, one.modified, ours=True, size_bytes=one.size)


_LISTS: dict[Orphan.Kind, Callable[[str], Iterator[Leftover]]] = {
    Orphan.Kind.TARGET: _targets,
    Orphan.Kind.ALARM: _alarms,
    Orphan.Kind.LOG_GROUP: _log_groups,
    Orphan.Kind.STAGED: _staged,
}
