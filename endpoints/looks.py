"""Looks at many settled endpoints at once, by SageMaker's lists.

A look at one endpoint is three calls, and a page of a list has a hundred. So where many are due,
the account's endpoints, configs and models are listed: one whose times there are as they were last
seen was not changed by anybody, and is not described. Autoscaling, maintenance and changes outside
the portal all change the time of an endpoint. What does differ is looked at by itself.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from core import clock, errors
from endpoints import sagemaker
from endpoints.models import Endpoint, Resource
from endpoints.sagemaker import ListedResource

logger = logging.getLogger(__name__)

#: From so many on, lists of an account that has not much else are fewer calls.
LEAST = 10
#: Between two looks at one, as the reconciler has it.
EVERY = timedelta(minutes=1)
#: Where AWS does not list them, each is looked at by itself for so long.
PAUSE = timedelta(minutes=10)
# The database takes no more parameters.
_AT_ONCE = 500

Listed = Mapping[str, Mapping[str, ListedResource]]


class _Rest:
    """Since when this process asks for no lists."""

    until: datetime | None = None


def listed_now() -> bool:
    """Whether lists are asked for; False for a while after AWS gave none."""
    return _Rest.until is None or clock.now() >= _Rest.until


def fits(row: Endpoint) -> bool:
    """Whether lists tell that it is as it was: it serves as it is wanted, and was looked at."""
    as_wanted = row.state == Endpoint.State.IN_SERVICE and row.config_in_use == row.config_name
    return as_wanted and row.settled and not (row.failure or row.scales) and bool(row.modified_at)


def look() -> int:
    """Look at those that are due; how many differ, which the sweep finds due.

    Idempotent. One that is killed has the endpoints looked at a minute later.
    """
    due = Endpoint.objects.due().prefetch_related("resources")[:_AT_ONCE]
    rows = {row.pk: row for row in due if fits(row)}
    later = clock.now() + EVERY
    # Another worker, which has the same message, finds none that is due.
    if not rows or not Endpoint.objects.due().filter(pk__in=rows).update(check_after=later):
        return 0
    untouched = Endpoint.objects.filter(check_after=later, gone_at=None)
    try:
        found: Listed = {
            kind: {one.name: one for one in sagemaker.listed(kind)} for kind in Resource.Kind
        }
    except errors.AwsError as error:
        logger.warning("AWS does not list what there is; each is looked at by itself: %s", error)
        _Rest.until = clock.now() + PAUSE
        untouched.filter(pk__in=rows).update(check_after=clock.now())
        return len(rows)
    differing = [pk for pk, row in rows.items() if not _same(row, found)]
    now = clock.now()
    # Without its time it fits no list, until it was looked at by itself.
    untouched.filter(pk__in=differing).update(check_after=now, modified_at=None)
    untouched.filter(pk__in=rows.keys() - set(differing)).update(checked_at=now)
    return len(differing)


def _same(row: Endpoint, found: Listed) -> bool:
    """Whether all that it owns is in the lists, with the times that were last seen."""
    names = {
        Resource.Kind.MODEL: row.model_name,
        Resource.Kind.CONFIG: row.config_name,
        Resource.Kind.ENDPOINT: row.name,
    }
    seen = {(one.kind, one.name): one.created_at for one in row.resources.all() if one.exists}
    for kind, name in names.items():
        there = found[kind].get(name)
        if there is None or there.created_at != seen.get((kind, name)):
            return False
    endpoint = found[Resource.Kind.ENDPOINT][row.name]
    return endpoint.modified_at == row.modified_at and endpoint.status == row.sagemaker_status
