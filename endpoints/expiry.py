"""The end date of an endpoint: set, postponed, warned of, and kept.

An endpoint that nobody tears down costs money for every hour. So it may have an end date, at which
the portal requests its teardown. It tells of it a day and an hour before. Where the portal did not
run then, it tells late and waits for an hour: nothing is torn down that was not told of.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from activity.models import Event
from activity.services import record
from core import clock
from core.errors import CONFLICT
from endpoints import postponed, services
from endpoints.end_dates import MAY_TEAR_DOWN, checked, in_words, to_the_minute
from endpoints.models import Endpoint
from endpoints.services import ChangeNotAllowed

logger = logging.getLogger(__name__)

#: What "One day longer" adds.
POSTPONED_BY = timedelta(days=1)
A_DAY, AN_HOUR, ONE_MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
#: A warning so late is still one of an hour: beat sweeps each minute.
LATE = timedelta(minutes=5)


@transaction.atomic
def set_end(
    *,
    endpoint: Endpoint,
    expires_at: datetime | None,
    actor: User | None,
    require: Callable[[Endpoint], None] | None = None,
) -> Endpoint:
    """Give an endpoint an end date, another one, or none; idempotent.

    ``require`` is called with the locked row before anything is changed, and may raise. An end date
    is a teardown that comes later: who may tear down no endpoint may give an earlier one to their
    own alone, and ChangeNotAllowed is raised otherwise. Raises ValidationError, with nothing
    changed: by field, or with the code CONFLICT where it is torn down, or is being torn down.
    """
    row = services.locked(endpoint, require)
    if expires_at is not None:
        expires_at = to_the_minute(expires_at)
    if row.expires_at == expires_at:
        return row
    if not _may_give(row, expires_at, actor):
        raise ChangeNotAllowed(
            _(
                "Only admins, and the owner of the endpoint, may let it end earlier. Nothing was "
                "changed."
            )
        )
    return _give(row, checked(expires_at, actor=actor), actor)


@transaction.atomic
def postpone(
    *,
    endpoint: Endpoint,
    actor: User | None,
    require: Callable[[Endpoint], None] | None = None,
) -> Endpoint:
    """Move the end date of an endpoint a day later; ``undo`` of it takes that back.

    Raises as `set_end`.
    """
    row = services.locked(endpoint, require)
    if row.expires_at is None:
        said = _("The endpoint %(name)s has no end date. Nothing was changed.") % {"name": row.name}
        raise ValidationError(said, code=CONFLICT)
    before = postponed.seen(row, postponed.END)
    later = max(row.expires_at, clock.now()) + POSTPONED_BY
    row = _give(row, checked(later, actor=actor), actor)
    row.undo = postponed.undo_of(row, actor, before)
    return row


def _may_give(row: Endpoint, expires_at: datetime | None, actor: User | None) -> bool:
    if actor is None or actor.has_perm(MAY_TEAR_DOWN) or row.is_own(actor):
        return True
    if expires_at is None:
        return True
    return row.expires_at is not None and expires_at > row.expires_at


def _give(row: Endpoint, expires_at: datetime | None, actor: User | None) -> Endpoint:
    row.expires_at, row.end_told = expires_at, Endpoint.EndTold.NOTHING
    row.save(update_fields=["expires_at", "end_told"])
    facts = {"name": row.name}
    if expires_at is None:
        record(action="endpoint.end_removed", subject=row, actor=actor, parameters=facts)
    else:
        facts["end"] = in_words(expires_at)
        record(action="endpoint.end_set", subject=row, actor=actor, parameters=facts)
    return row


def sweep() -> int:
    """Tell of the end dates that come, and request the teardowns that are due; how many rows.

    What fails with one endpoint does not keep the others waiting; it is raised at the end.
    """
    now = clock.now()
    found = _due(now)
    problems: list[Exception] = []
    for pk in found:
        try:
            _act(pk, now)
        except Exception as problem:
            problems.append(problem)
    if problems:
        raise problems[0]
    return len(found)


def _due(now: datetime) -> list[int]:
    told = Endpoint.EndTold
    untold = Q(end_told=told.NOTHING, expires_at__lte=now + A_DAY)
    told_a_day_before = Q(end_told=told.DAY, expires_at__lte=now + AN_HOUR)
    over = Q(end_told=told.HOUR, expires_at__lte=now)
    rows = Endpoint.objects.filter(gone_at=None, wanted=Endpoint.Wanted.PRESENT)
    rows = rows.filter(untold | told_a_day_before | over).order_by("expires_at")
    return list(rows.values_list("pk", flat=True))


@transaction.atomic
def _act(pk: int, now: datetime) -> None:
    """Take the one step that is due of one endpoint; a step that is done is not taken again."""
    row = Endpoint.objects.select_for_update().filter(pk=pk).first()
    if row is None or row.expires_at is None or row.gone_at is not None or row.tearing_down:
        return
    told, left = Endpoint.EndTold, row.expires_at - now
    if left <= timedelta(0) and row.end_told == told.HOUR:
        logger.info("endpoint %s: its end date has come", row)
        _tell(row, "endpoint.expired")
        services.request_teardown(endpoint=row, typed_name=row.name, actor=None)
    elif left <= AN_HOUR and row.end_told != told.HOUR:
        if left < AN_HOUR - LATE:  # the portal did not run when it was to tell of it
            minute = to_the_minute(now + AN_HOUR)
            row.expires_at = minute if minute >= now + AN_HOUR else minute + ONE_MINUTE
        row.end_told = told.HOUR
        row.save(update_fields=["expires_at", "end_told"])
        _tell(row, "endpoint.expires_in_an_hour")
    elif left <= A_DAY and row.end_told == told.NOTHING:
        row.end_told = told.DAY
        row.save(update_fields=["end_told"])
        _tell(row, "endpoint.expires_in_a_day")


def _tell(row: Endpoint, code: str) -> None:
    assert row.expires_at is not None
    facts = {"name": row.name, "end": in_words(row.expires_at)}
    record(action=code, subject=row, actor=None, level=Event.Level.WARNING, parameters=facts)
