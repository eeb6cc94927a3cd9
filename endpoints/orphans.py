"""What is in the AWS account and belongs to no endpoint of the portal: found, told of, deleted.

A teardown leaves what others use, a database may be older than the account, and others make
endpoints beside the portal. So a job lists the account's models, configs and endpoints each night,
and whenever somebody asks, and keeps what no row knows as an Orphan. The portal's own are those
with its tags; the others' are shown on request.

Whatever the portal creates has its row first. So the rows are read after the account was listed:
what was created meanwhile is known by them. reconciler/orphan_steps.py deletes, adopting.py adopts.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from activity.models import Event
from activity.services import record
from core import backoff, clock, errors
from core.errors import CONFLICT
from core.jobs import enqueue_on_commit
from core.lease import Lease, LeaseLost
from core.sentences import Sentence, phrase
from endpoints import leftovers, prices, sagemaker
from endpoints.models import Endpoint, Orphan, OrphanLook, OrphanQuerySet, Resource
from endpoints.old_status import state_value
from endpoints.prices import Total
from endpoints.sagemaker import ListedResource

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
#: When nobody works, by the portal's clock.
HOUR = 3
#: Whoever asks for the list sees what AWS said at most so long ago.
STALE = timedelta(minutes=1)
#: What was made a moment ago may belong to something that is being done.
TOO_NEW = timedelta(minutes=10)
#: What is gone, or was adopted, is shown for so long.
SHOWN_FOR = timedelta(days=1)
#: A list may show for so long what was deleted.
LAG = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(minutes=30)
#: At most this many are named in one event.
NAMED = 5
LOOK = "endpoints.tasks.look_for_orphans"
STEP = "endpoints.tasks.advance_orphan"
# One change at a time is enough, and the database takes no more parameters.
_AT_ONCE = 500
_ROW = 1


@dataclass(frozen=True)
class Account:
    """The AWS account as the subject of events; it has no page."""

    pk: int = 0
    activity_kind: str = "account"

    def __str__(self) -> str:
        return "AWS"


# --- the look at the account ---------------------------------------------------------------


def the_look() -> OrphanLook:
    """The row of the look; the first time, it is due in the night that comes."""
    found = OrphanLook.objects.first()
    if found is None:
        preset = {"check_after": _next_night(clock.now())}
        found, _made = OrphanLook.objects.get_or_create(pk=_ROW, defaults=preset)
    return found


def looking(row: OrphanLook) -> bool:
    """Whether a look is under way, or waits for a worker."""
    now = clock.now()
    return row.check_after <= now or (row.leased_until is not None and row.leased_until > now)


def look_if_old() -> OrphanLook:
    """The row of the look; one is queued where the last is older than STALE."""
    row, now = the_look(), clock.now()
    fresh = row.looked_at is not None and row.looked_at > now - STALE
    if not fresh and not row.attempts:
        waits = OrphanLook.objects.filter(pk=row.pk, check_after__gt=now)
        if waits.filter(Q(leased_until=None) | Q(leased_until__lte=now)).update(check_after=now):
            enqueue_on_commit(LOOK)
            row.check_after = now
    return row


def sweep() -> int:
    """Queue the look where it is due, and each deletion that is; returns how many those are."""
    the_look()
    if OrphanLook.objects.due().exists():
        enqueue_on_commit(LOOK)
    due = list(Orphan.objects.due().values_list("pk", flat=True)[:_AT_ONCE])
    for pk in due:
        enqueue_on_commit(STEP, pk)
    return len(due)


def look() -> None:
    """Look at the account, where that is due; idempotent. What fails is retried later.

    Where AWS denies one kind the others are looked at, and it is said.
    """
    row = OrphanLook.objects.claim(the_look().pk, lease=LEASE)
    if row is None:
        return
    lease = Lease(OrphanLook.objects.all(), row, LEASE)
    try:
        problems: list[Sentence] = []
        try:
            for kind in Resource.Kind:
                problems += _look_at(kind, lease.keep)
            problems += _look_at_leftovers(lease.keep)
            _forget()
            _tell_of_new()
        except errors.AwsError as problem:
            logger.warning("The account could not be looked at for orphans: %s", problem)
            pause = backoff.pause(row.attempts, first=timedelta(seconds=5), longest=LONGEST_PAUSE)
            lease.release(
                check_after=clock.now() + pause,
                attempts=row.attempts + 1,
                problems=[problem.sentence.as_json()],
            )
            return
        now = clock.now()
        lease.release(
            check_after=_next_night(now),
            looked_at=now,
            attempts=0,
            problems=[one.as_json() for one in problems],
        )
    except LeaseLost:
        logger.warning("Another worker has taken over the look for orphans.")


def _next_night(now: datetime) -> datetime:
    local = timezone.localtime(now, timezone.get_default_timezone())
    night = local.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return night if night > local else night + timedelta(days=1)


def known_names(kind: str) -> set[str]:
    """The names of this kind that endpoints of the portal own, or are about to make.

    In lower case: SageMaker does not tell names of endpoints apart by it.
    """
    rows = Resource.objects.filter(kind=kind, endpoint__gone_at=None)
    return {name.lower() for name in rows.values_list("name", flat=True)}


def _look_at(kind: Resource.Kind, beat: Callable[[], None]) -> list[Sentence]:
    """Note what is there of one kind; gives what AWS denied. Raises another AwsError.

    One that AWS does not describe, now or ever, is noted all the same, and keeps no others waiting.
    """
    listed, since = [], clock.now()
    try:
        for one in sagemaker.listed(kind):
            listed.append(one)
            beat()
    except errors.Denied as denied:
        return [denied.sentence]
    known = known_names(kind)
    unknown = {one.name: one for one in listed if one.name.lower() not in known}
    before = {row.name: row for row in Orphan.objects.filter(kind=kind)}
    found, refusals = [], []
    for one in unknown.values():
        beat()
        row = before.get(one.name)
        if row is not None and _still_deleted(row, one):
            continue
        if row is None or row.made_at != one.created_at:
            row = Orphan(
                pk=row.pk if row else None,
                kind=kind,
                name=one.name,
                made_at=one.created_at,
                found_at=row.found_at if row else clock.now(),
            )
        row.arn, row.sagemaker_status = one.arn, one.status
        try:
            if _describe(row):
                found.append(row)
        except (errors.Denied, errors.Invalid) as refused:
            refusals.append(refused.sentence)
            found.append(row)
        except errors.AwsError:
            _write(kind, found, unknown, since)  # the next look goes on from here
            raise
    _write(kind, found, unknown, since)
    return refusals[:1]


def _look_at_leftovers(beat: Callable[[], None]) -> list[Sentence]:
    """Note what endpoints left beside SageMaker's kinds; gives what AWS denied.

    Where the endpoints may not be listed nobody knows which are gone: that is said already.
    """
    problems = []
    try:
        there = {one.name.lower() for one in sagemaker.listed(Resource.Kind.ENDPOINT)}
    except errors.Denied:
        there = None
    for kind in Orphan.Kind:
        if kind in Resource.Kind.values or (there is None and kind != Orphan.Kind.STAGED):
            continue
        beat()
        since = clock.now()
        rows = Endpoint.objects.filter(gone_at=None).values_list("name", flat=True)
        living = (there or set()) | {name.lower() for name in rows}
        try:
            listed = {one.name: one for one in leftovers.listed(kind, living)}
        except errors.Denied as denied:
            problems.append(denied.sentence)
            continue
        before = {row.name: row for row in Orphan.objects.filter(kind=kind)}
        found = []
        for one in listed.values():
            row = before.get(one.name)
            if row is None or row.made_at != one.created_at:
                found_at = row.found_at if row else clock.now()
                pk = row.pk if row else None
                row = Orphan(
                    pk=pk, kind=kind, name=one.name, made_at=one.created_at, found_at=found_at
                )
            elif row.state == Orphan.State.GONE and row.over_at and clock.now() - row.over_at < LAG:
                continue
            row.arn, row.ours, row.made_for = one.arn, one.ours, one.of
            row.size_bytes = one.size_bytes
            found.append(row)
        _write(kind, found, listed, since)
    return problems


def _still_deleted(row: Orphan, one: ListedResource) -> bool:
    """Whether a list shows what was deleted a moment ago."""
    if row.state != Orphan.State.GONE or row.made_at != one.created_at or row.over_at is None:
        return False
    return clock.now() - row.over_at < LAG


def _describe(row: Orphan) -> bool:
    """Fill in whose it is and what it is; False where it is gone meanwhile.

    Tags are asked for once: nobody gives the portal's to what others made, and there may be
    thousands of these.
    """
    try:
        if row.ours is None:
            tags = sagemaker.tags_of(row.arn)
            row.made_for = tags.get(sagemaker.TAG, "")
            of = tags.get(sagemaker.PORTAL_TAG, "")
            row.ours = sagemaker.TAG in tags and of in ("", sagemaker.this_portal())
        if row.kind == Resource.Kind.ENDPOINT:
            _describe_endpoint(row)
        elif row.ours and not row.uses and row.kind == Resource.Kind.CONFIG:
            row.uses = sagemaker.describe_config(row.name).model_name
    except errors.NotFound:
        return False
    return True


def _describe_endpoint(row: Orphan) -> None:
    there = sagemaker.describe_endpoint(row.name)
    row.sagemaker_status, row.uses = there.status, there.config_name
    row.instance_type, row.instance_count = "", there.instance_count
    try:
        config = sagemaker.describe_config(there.config_name)
    except errors.NotFound:  # SageMaker goes on serving without it
        return
    row.instance_type = config.instance_type
    if not there.instance_count:  # SageMaker does not say, or none runs yet
        row.instance_count = config.instance_count


_SEEN = (
    *("arn", "sagemaker_status", "ours", "made_for", "uses", "instance_type", "instance_count"),
    "size_bytes",
)
_BEGUN = ("made_at", "state", "failure", "failure_code", "attempts", "told_at", "over_at")


@transaction.atomic
def _write(kind: str, found: Sequence[Orphan], listed: Iterable[str], since: datetime) -> None:
    """Keep what was found, and forget what is not there, or has an endpoint by now.

    What is being deleted is the business of reconciler/orphan_steps.py; what was deleted or adopted
    since the account was listed, at ``since``, stays so.
    """
    rows = Orphan.objects.select_for_update().filter(kind=kind)
    before = {row.pk: row for row in rows}
    new, changed = [], []
    for row in found:
        stored = before.get(row.pk) if row.pk else None
        if stored is None:
            row.pk = None
            new.append(row)
        elif stored.over_at is not None and stored.over_at >= since:
            continue
        elif stored.made_at != row.made_at or stored.state in Orphan.OVER:
            row.state = Orphan.State.FOUND
            row.told_at = row.over_at = None
            changed.append(row)
        else:
            for name in _BEGUN:
                setattr(row, name, getattr(stored, name))
            changed.append(row)
    Orphan.objects.bulk_create(new, batch_size=50)
    Orphan.objects.bulk_update(changed, [*_SEEN, *_BEGUN], batch_size=50)
    names = set(listed)
    left = [
        row.pk
        for row in before.values()
        if row.name not in names and row.state == Orphan.State.FOUND
    ]
    for start in range(0, len(left), _AT_ONCE):
        rows.filter(pk__in=left[start : start + _AT_ONCE]).delete()


def _forget() -> None:
    """Forget what is gone, or was adopted, some time ago."""
    since = clock.now() - SHOWN_FOR
    Orphan.objects.filter(state__in=Orphan.OVER, over_at__lte=since).delete()


@transaction.atomic
def _tell_of_new() -> None:
    """Tell of the portal's own that nobody was told of, once of each."""
    now = clock.now()
    rows = Orphan.objects.waiting().filter(told_at=None, made_at__lte=now - TOO_NEW)
    new = with_costs(list(rows.select_for_update().order_by("-kind", "name")))
    if not new:
        return
    # "model" comes last in "-kind"; what costs money comes first.
    named = sorted(new, key=lambda one: (one.cost is None, one.kind, one.name))[:NAMED]
    names = ", ".join(f"{one.kind} {one.name}" for one in named)
    if len(new) > NAMED:
        names = f"{names}, …"
    total = prices.known().sum_of([one.cost for one in new])
    record(
        action="orphans.found",
        subject=Account(),
        level=Event.Level.WARNING,
        parameters={
            "count": len(new),
            "names": names,
            "cost": f"{total.per_month} {total.currency}",
        },
    )
    Orphan.objects.filter(pk__in=[one.pk for one in new]).update(told_at=now)


# --- what people ask -----------------------------------------------------------------------


def with_costs(rows: list[Orphan]) -> list[Orphan]:
    """The rows, each with ``cost``: None where it costs nothing, or its price is not known."""
    known = prices.known()
    for row in rows:
        row.cost = None if row.state in Orphan.OVER else _kept_cost(row)
        if row.instance_count and _runs(row):
            row.cost = known.cost(row.instance_type, row.instance_count)
    return rows


def _runs(row: Orphan) -> bool:
    """Whether it has instances that AWS charges for."""
    serves = state_value(row.sagemaker_status) in Endpoint.SERVING
    return bool(row.instance_count) and serves and row.state not in Orphan.OVER


def _kept_cost(row: Orphan) -> prices.Cost | None:
    """What it costs as long as it is there, running or not."""
    match Orphan.Kind(row.kind):
        case Orphan.Kind.ALARM:
            return prices.of_alarm()
        case Orphan.Kind.LOG_GROUP:
            return prices.of_log_lines(row.size_bytes or 0)
        case Orphan.Kind.STAGED:
            return prices.of_object(row.size_bytes or 0)
    return None


def estimate() -> str:
    """Where the prices come from, and what a cost leaves out."""
    more = _("Alarms, log lines and objects in staging are counted by the prices of us-east-1.")
    return f"{prices.known().estimate} {more}"


def total_of(rows: "QuerySet[Any, Any] | Sequence[Orphan]") -> Total:
    """What all of them cost that are there."""
    if isinstance(rows, QuerySet):
        rows = list(rows.exclude(kind__in=(Resource.Kind.MODEL, Resource.Kind.CONFIG)))
    whole = with_costs(list(rows))
    costs = [row.cost for row in whole if row.cost is not None]
    unknown = sum(row.cost is None for row in whole if _runs(row))
    return Total(prices.known().sum_of(costs), counted=len(costs), unknown=unknown)


def shown(*, others: bool) -> OrphanQuerySet:
    """The portal's own; ``others``: those that others made, too."""
    rows = Orphan.objects.all()
    return rows if others else rows.filter(Q(ours=True) | ~Q(state=Orphan.State.FOUND))


def check_may_be_deleted(row: Orphan) -> None:
    """Raise ValidationError, as a conflict, where it was made a moment ago."""
    if clock.now() - row.made_at < TOO_NEW:
        said = _(
            "%(name)s was made less than ten minutes ago, and may belong to something that is "
            "being done. Nothing was deleted. Try again later."
        )
        raise ValidationError(said % {"name": row.name}, code=CONFLICT)


@transaction.atomic
def request_deletion(*, orphans: Iterable[Orphan], actor: User | None) -> list[Orphan]:
    """Record that they are to be deleted: all of them or none; a job does it. Idempotent.

    Raises ValidationError, as a conflict, for one that was made a moment ago, or was adopted.
    """
    asked = sorted({one.pk for one in orphans})
    rows = list(Orphan.objects.select_for_update().filter(pk__in=asked).order_by("pk"))
    for row in rows:
        if row.state == Orphan.State.ADOPTED:
            said = _("%(name)s belongs to an endpoint of the portal by now. Nothing was deleted.")
            raise ValidationError(said % {"name": row.name}, code=CONFLICT)
        if row.state != Orphan.State.FOUND:
            continue
        check_may_be_deleted(row)
        row.state, row.asked_by = Orphan.State.ASKED, actor
        row.failure, row.failure_code, row.attempts = "", None, 0
        row.check_after = clock.now()
        row.save()
        record(
            action="orphan.deletion_requested",
            subject=Account(),
            actor=actor,
            level=Event.Level.WARNING,
            parameters={"what": what(row)},
        )
        enqueue(row.pk)
    return rows


def enqueue(orphan_pk: int) -> None:
    """Queue the next step of a deletion."""
    enqueue_on_commit(STEP, orphan_pk)


def what(row: Orphan) -> Sentence:
    """Kind and name, as a part of sentences."""
    match Orphan.Kind(row.kind):
        case Orphan.Kind.MODEL:
            return phrase("SageMaker model %(name)s", name=row.name)
        case Orphan.Kind.CONFIG:
            return phrase("configuration %(name)s", name=row.name)
        case Orphan.Kind.TARGET:
            return phrase("scalable target %(name)s", name=row.name)
        case Orphan.Kind.ALARM:
            return phrase("alarm %(name)s", name=row.name)
        case Orphan.Kind.LOG_GROUP:
            return phrase("log group of the endpoint %(name)s", name=row.name)
        case Orphan.Kind.STAGED:
            return phrase("object %(name)s", name=row.name)
    return phrase("endpoint %(name)s", name=row.name)
