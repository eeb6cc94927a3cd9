"""An endpoint that nobody calls is torn down after so many hours, if it has such a limit.

It is idle since its last call, whoever made it, or since it began to serve. The portal knows its
own calls, and asks SageMaker's metrics for those of others before it warns and before it tears
anything down. Where the metrics cannot be read, it says so on the page, tears nothing down, and
asks again: its own calls alone do not tell that nobody calls.

It tells a day and an hour before; where the limit is no longer than a day, an hour before. Where
it did not run then, it tells late and waits for an hour: nothing is torn down that was not told of.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from activity.codes import Scalar
from activity.models import Event
from activity.services import record
from core import clock, errors
from core.errors import CONFLICT
from core.sentences import Sentence
from endpoints import idle_limits, last_calls, postponed, services
from endpoints.end_dates import MAY_TEAR_DOWN, in_words, to_the_minute
from endpoints.models import Endpoint, EndpointQuerySet, Resource
from endpoints.services import ChangeNotAllowed

logger = logging.getLogger(__name__)

#: What "One day longer" adds.
POSTPONED_BY = timedelta(days=1)
A_DAY, AN_HOUR, ONE_MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
#: A warning so late is still one of an hour: beat sweeps each minute.
LATE = timedelta(minutes=5)
#: A call is in the metrics so long after it was made; the teardown waits for it.
METRICS_LAG = timedelta(minutes=5)
#: How often the metrics are asked of one that was told of, or whose metrics could not be read.
ASKED_EVERY = timedelta(minutes=5)
#: At most this many are asked for in one sweep, as each may take seconds; the rest in the next.
MOST_ASKED = 10
Require = Callable[[Endpoint], None]


@transaction.atomic
def set_idle_hours(
    *,
    endpoint: Endpoint,
    idle_hours: int | None,
    actor: User | None,
    require: Require | None = None,
) -> Endpoint:
    """Have an endpoint torn down after so many hours without a call, or with None no more.

    ``require`` is called with the locked row before anything is changed, and may raise. Idempotent.
    It is a teardown that comes later: who may tear down no endpoint may give fewer hours to their
    own alone, and ChangeNotAllowed is raised otherwise. Raises ValidationError, with nothing
    changed: by field, or with the code CONFLICT where it is torn down, or is being torn down.
    """
    row = services.locked(endpoint, require)
    idle_hours = idle_hours or None
    if row.idle_hours == idle_hours:
        return row
    if not _may_give(row, idle_hours, actor):
        raise ChangeNotAllowed(
            _(
                "Only admins, and the owner of the endpoint, may let it end earlier. Nothing was "
                "changed."
            )
        )
    row.idle_hours = idle_limits.checked(idle_hours, actor=actor)
    _forget(row)
    if row.idle_hours is not None and row.serving:
        row.idle_from = _began_to_serve(row)
        row.idle_ends_at = _ends_at(row)
    row.save(update_fields=["idle_hours", *_WATCHED])
    facts: dict[str, Scalar] = {"name": row.name}
    if row.idle_hours is None:
        record(action="endpoint.idle_removed", subject=row, actor=actor, parameters=facts)
    else:
        facts["hours"] = row.idle_hours
        record(action="endpoint.idle_set", subject=row, actor=actor, parameters=facts)
    return row


@transaction.atomic
def postpone_idle(
    *, endpoint: Endpoint, actor: User | None, require: Require | None = None
) -> Endpoint:
    """Have it torn down as idle a day later than it would be; ``undo`` of it takes that back.

    Raises as `set_idle_hours`.

    A conflict where it has no such limit, or does not serve; and where that is longer from now
    than ``actor`` may give idle hours.
    """
    row = services.locked(endpoint, require)
    if row.idle_hours is None or row.idle_ends_at is None:
        said = _(
            "The endpoint %(name)s has no time at which it is torn down as idle. Nothing was "
            "changed."
        )
        raise ValidationError(said % {"name": row.name}, code=CONFLICT)
    now, before = clock.now(), postponed.seen(row, postponed.IDLE)
    later, most = max(row.idle_ends_at, now) + POSTPONED_BY, idle_limits.most_for(actor)
    if most is not None:
        later = min(later, to_the_minute(now + timedelta(hours=most)))
        if later <= row.idle_ends_at:
            said = _("It may stay without a call for at most %(hours)s hours. Ask an admin.")
            raise ValidationError(said % {"hours": most}, code=CONFLICT)
    row.idle_not_before = row.idle_ends_at = later
    row.idle_told = Endpoint.EndTold.NOTHING
    row.save(update_fields=_WATCHED)
    facts: dict[str, Scalar] = {"name": row.name, "end": in_words(later)}
    record(action="endpoint.idle_postponed", subject=row, actor=actor, parameters=facts)
    row.undo = postponed.undo_of(row, actor, before)
    return row


_WATCHED = (
    *("idle_from", "idle_call_at", "idle_asked_at", "idle_not_before", "idle_ends_at"),
    *("idle_told", "idle_problem"),
)


def _may_give(row: Endpoint, hours: int | None, actor: User | None) -> bool:
    if actor is None or actor.has_perm(MAY_TEAR_DOWN) or row.is_own(actor):
        return True
    return hours is None or (row.idle_hours is not None and hours > row.idle_hours)


def _forget(row: Endpoint) -> None:
    """Nothing is known of when it is idle; unsaved."""
    row.idle_from = row.idle_call_at = row.idle_asked_at = None
    row.idle_not_before = row.idle_ends_at = row.idle_problem = None
    row.idle_told = Endpoint.EndTold.NOTHING


def _began_to_serve(row: Endpoint) -> datetime:
    """When it was seen to serve, or was changed last; now where that is not known."""
    seen = row.resources.filter(kind=Resource.Kind.ENDPOINT, state=Resource.State.IN_SERVICE)
    at = seen.values_list("changed_at", flat=True).first()
    return at or clock.now()


def _idle_since(row: Endpoint) -> datetime:
    assert row.idle_from is not None, "it serves"
    if row.last_call_at is None:
        row.last_call_at = _watched().get(pk=row.pk).last_call_at
    known = (row.idle_from, row.idle_call_at, row.last_call_at)
    return max(at for at in known if at is not None)


def _ends_at(row: Endpoint) -> datetime:
    """When it is torn down where nobody calls it, to the minute."""
    assert row.idle_hours is not None
    over = _minute_from(_idle_since(row) + timedelta(hours=row.idle_hours))
    return max(over, row.idle_not_before or over)


def _minute_from(moment: datetime) -> datetime:
    """The first full minute that is not before."""
    minute = to_the_minute(moment)
    return minute if minute == moment else minute + ONE_MINUTE


def _watched() -> EndpointQuerySet:
    return Endpoint.objects.annotate(**last_calls.own_columns())


@dataclass(frozen=True)
class _Answer:
    """The last call that the metrics tell of, None: there was none; or why it is not known."""

    at: datetime
    call_at: datetime | None = None
    problem: Sentence | None = None


def sweep() -> int:
    """Tell of endpoints that nobody calls, and request the teardowns that are due; how many rows.

    What fails with one endpoint does not keep the others waiting; it is raised at the end.
    """
    rows = _watched().filter(gone_at=None, wanted=Endpoint.Wanted.PRESENT)
    problems: list[Exception] = []
    acted, asked = 0, 0
    # Those that were asked for longest ago go first, so that each has its turn.
    by_turn = F("idle_asked_at").asc(nulls_first=True)  # as SQLite has them, PostgreSQL last
    for row in rows.exclude(idle_hours=None).order_by(by_turn, "pk"):
        try:
            answer = None
            if _must_ask(row, clock.now()):
                asked += 1
                if asked > MOST_ASKED:
                    continue
                answer = _ask(row)
            acted += _act(row.pk, answer)
        except Exception as problem:
            problems.append(problem)
    if problems:
        raise problems[0]
    return acted


class _Step(StrEnum):
    """What is due of an endpoint that nobody calls: the code of the event that tells of it."""

    NONE = ""
    DAY = "endpoint.idle_ends_in_a_day"
    HOUR = "endpoint.idle_ends_in_an_hour"
    TEARDOWN = "endpoint.idle_over"


def _due(row: Endpoint, left: timedelta) -> _Step:
    """What is due where it is idle still, so long before it is torn down."""
    told, hours = Endpoint.EndTold, row.idle_hours or 0
    if row.idle_told == told.HOUR:
        return _Step.TEARDOWN if left <= -METRICS_LAG else _Step.NONE
    if left <= AN_HOUR:
        return _Step.HOUR
    if row.idle_told == told.NOTHING and timedelta(hours=hours) > A_DAY and left <= A_DAY:
        return _Step.DAY
    return _Step.NONE


def _must_ask(row: Endpoint, now: datetime) -> bool:
    """Whether it must be known now if others called it."""
    if not row.serving or row.idle_from is None:
        return False
    long_ago = row.idle_asked_at is None or row.idle_asked_at <= now - ASKED_EVERY
    if _due(row, _ends_at(row) - now):
        return row.idle_problem is None or long_ago
    # Somebody was told: a call is to be seen soon.
    return bool(row.idle_told) and long_ago


def _ask(row: Endpoint) -> _Answer:
    """Ask the metrics, outside of a transaction: that takes seconds."""
    now = clock.now()
    try:
        return _Answer(now, last_calls.measured_since(row, _idle_since(row)))
    except errors.AwsError as error:
        logger.warning("endpoint %s: nobody can say whether it is idle: %s", row, error)
        return _Answer(now, problem=error.sentence)


@transaction.atomic
def _act(pk: int, answer: _Answer | None) -> bool:
    """Note what is known of one endpoint, and take the one step that is due; whether there was one.

    The row is read anew: a step that is done, or was made needless meanwhile, is not taken.
    """
    row = Endpoint.objects.select_for_update().filter(pk=pk).first()
    if row is None or row.idle_hours is None or row.gone_at is not None or row.tearing_down:
        return False
    before = [getattr(row, name) for name in _WATCHED]
    step = _Step.NONE
    if not row.serving:
        _forget(row)
    else:
        now = clock.now()
        row.idle_from = row.idle_from or now
        known = _note(row, answer)
        ends_at = _ends_at(row)
        if row.idle_ends_at is None or ends_at > row.idle_ends_at:
            row.idle_told = Endpoint.EndTold.NOTHING
        row.idle_ends_at = ends_at
        step = _due(row, ends_at - now)
        if not step:
            row.idle_problem = None
        elif not known:
            step = _Step.NONE
        _be_told(row, step, now)
    if [getattr(row, name) for name in _WATCHED] != before:
        row.save(update_fields=_WATCHED)
    if step:
        _tell(row, step)
    if step == _Step.TEARDOWN:
        logger.info("endpoint %s: nobody has called it for %s hours", row, row.idle_hours)
        services.request_teardown(endpoint=row, typed_name=row.name, actor=None)
    return step != _Step.NONE


def _note(row: Endpoint, answer: _Answer | None) -> bool:
    """Take an answer of the metrics over, unsaved; whether the calls of others are known now."""
    if answer is None:
        return False
    row.idle_asked_at = answer.at
    if answer.problem is not None:
        if row.idle_problem is None:
            facts: dict[str, Scalar] = {"name": row.name, "error": answer.problem}
            warned = Event.Level.WARNING
            record(action="endpoint.idle_unknown", subject=row, level=warned, parameters=facts)
        row.idle_problem = answer.problem.as_json()
        return False
    row.idle_problem = None
    if answer.call_at is not None:
        row.idle_call_at = max(answer.call_at, row.idle_call_at or answer.call_at)
    return True


def _be_told(row: Endpoint, step: _Step, now: datetime) -> None:
    """Note which warning is given, unsaved."""
    assert row.idle_ends_at is not None, "it was worked out"
    if step == _Step.DAY:
        row.idle_told = Endpoint.EndTold.DAY
    if step == _Step.HOUR:
        row.idle_told = Endpoint.EndTold.HOUR
        if row.idle_ends_at - now < AN_HOUR - LATE:  # nothing could be told of it before
            row.idle_not_before = row.idle_ends_at = _minute_from(now + AN_HOUR)


def _tell(row: Endpoint, step: _Step) -> None:
    assert row.idle_ends_at is not None, "it was worked out"
    facts: dict[str, Scalar] = {"name": row.name, "since": in_words(_idle_since(row))}
    if step == _Step.TEARDOWN:
        facts["hours"] = row.idle_hours
    else:
        facts["end"] = in_words(row.idle_ends_at)
    warned = Event.Level.WARNING
    record(action=step, subject=row, actor=None, level=warned, parameters=facts)
