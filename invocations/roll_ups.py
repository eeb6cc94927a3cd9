"""The portal's calls as sums by hour and half day, so that four weeks of them are read at once.

Each call that has ended is added to its endpoint's hour and its version's half day once: in the
transaction that marks its row as counted, names its answer for the filter of calls, and keeps when
its model was called last. So sums and rows that are not counted yet add up to all calls, whenever a
process is killed, and however late a row is written.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Exists, OuterRef, Value
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce, Left

from core import clock
from invocations.experiments import tally
from invocations.models import CallSum, EndpointHour, Invocation, VersionHalfDay
from models_catalog.models import RegisteredModel, Version

log = logging.getLogger(__name__)

HOUR, HALF_DAY = timedelta(hours=1), timedelta(hours=12)
#: A call is counted so long after it began: most of a minute's calls in one go.
AFTER = timedelta(minutes=1)
#: Rows of one transaction, and of one run; and how many are deleted in one.
BATCH, MOST, MOST_DELETED = 500, 50_000, 5_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The columns that count, and all that change.
COUNTS = [
    column.name
    for column in CallSum._meta.get_fields()
    if isinstance(column, models.PositiveIntegerField)
]
_CHANGED = [*COUNTS, "last_call_at", "times"]
_COLUMNS = (
    *("pk", "endpoint_id", "version_id", "created_at"),
    *("state", "cold", "latency_ms", "warming"),
)
Sum = TypeVar("Sum", bound=CallSum)


def begin_of(at: datetime, step: timedelta) -> datetime:
    """When the hour or half day begins that has this time."""
    return _EPOCH + (at - _EPOCH) // step * step


def roll_up() -> int:
    """Count the calls that have ended and are not counted yet; returns how many."""
    done = 0
    while done < MOST:
        try:
            counted = _count_some()
        except IntegrityError:  # another worker made the same row, and counts
            log.info("Another worker counts the same calls.")
            return done
        done += counted
        if counted < BATCH:
            break
    return done


def _count_some() -> int:
    with transaction.atomic():
        ended = Invocation.objects.exclude(state__in=Invocation.UNSETTLED).filter(
            counted=False, created_at__lt=clock.now() - AFTER
        )
        # Another worker's rows are left to it; on SQLite there is one writer.
        rows = list(
            ended.order_by("created_at")
            .select_for_update(skip_locked=True)
            .values_list(*_COLUMNS)[:BATCH]
        )
        label = Coalesce(Left(KT("predictions__0__label"), 200), Value(""))
        mine = Invocation.objects.filter(pk__in=[row[0] for row in rows])
        mine.update(counted=True, answer=label)
        hours: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
        halves: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
        for _pk, endpoint, version, at, state, cold, latency_ms, warming in rows:
            if warming:
                continue
            call = at, state, cold, latency_ms
            hours[endpoint, begin_of(at, HOUR)].append(call)
            halves[endpoint, begin_of(at, HALF_DAY), version].append(call)
        _add(EndpointHour, ("endpoint_id", "begin"), hours)
        _add(VersionHalfDay, ("endpoint_id", "begin", "version_id"), halves)
        # In the order of time: of each version the last one stays.
        _keep_last_calls({version: at for _pk, _endpoint, version, at, *_ in rows})
    return len(rows)


def _keep_last_calls(of_versions: dict[int, datetime]) -> None:
    """Keep when the models of these versions were called last."""
    latest: dict[int, datetime] = {}
    for version, model in Version.objects.filter(pk__in=of_versions).values_list("pk", "model_id"):
        at = of_versions[version]
        latest[model] = max(at, latest.get(model, at))
    RegisteredModel.objects.keep_last_calls(latest)


def find_last_calls() -> int:
    """Keep the last calls that are kept nowhere; returns of how many models.

    The release before, whose workers may go on for a while after an upgrade, counts calls and keeps
    none.
    """
    late = RegisteredModel.objects.late_calls()
    pks = sorted(late)
    for begin in range(0, len(pks), BATCH):
        with transaction.atomic():
            some = {pk: late[pk] for pk in pks[begin : begin + BATCH]}
            RegisteredModel.objects.keep_last_calls(some)
    return len(late)


def _add(kind: type[Sum], key: tuple[str, ...], calls: dict[tuple[Any, ...], list[Any]]) -> None:
    """Add the calls to the rows of their keys, and make those that are missing."""
    if not calls:
        return
    rows = kind._default_manager.select_for_update().filter(
        **{f"{name}__in": {one[at] for one in calls} for at, name in enumerate(key)}
    )
    found = {tuple(getattr(row, name) for name in key): row for row in rows.order_by("pk")}
    changed, made = [], []
    for one in sorted(calls, key=str):
        row = found.get(one)
        if row is None:
            row = kind(**dict(zip(key, one, strict=True)), last_call_at=calls[one][0][0])
            made.append(row)
        else:
            changed.append(row)
        _sum(row, calls[one])
    kind._default_manager.bulk_create(made)
    kind._default_manager.bulk_update(changed, _CHANGED)


def _sum(row: CallSum, calls: Iterable[tuple[datetime, str, bool | None, float | None]]) -> None:
    times = tally.histogram(row.times)
    for at, state, cold, latency_ms in calls:
        row.calls += 1
        row.failed += state == Invocation.State.FAILED
        if cold is not None:
            row.cold_known += 1
            row.cold += cold
        if state == Invocation.State.DONE and latency_ms is not None:
            tally.record(times, latency_ms)
        row.last_call_at = max(row.last_call_at, at)
    row.times = times.encode().decode() if times.get_total_count() else ""


def drop_old() -> int:
    """Delete the rows of calls that are older than ``CALLS_KEPT_DAYS``; returns how many.

    They are counted, so the sums stay. The last call of each version on an endpoint stays, too:
    pages say when that was.
    """
    if not settings.CALLS_KEPT_DAYS:
        return 0
    until = clock.now() - timedelta(days=settings.CALLS_KEPT_DAYS)
    later = Invocation.objects.filter(
        endpoint=OuterRef("endpoint"),
        version=OuterRef("version"),
        created_at__gt=OuterRef("created_at"),
    )
    old = Invocation.objects.filter(Exists(later), counted=True, created_at__lt=until)
    gone = 0
    while gone < MOST_DELETED and (pks := list(old.values_list("pk", flat=True)[:BATCH])):
        Invocation.objects.filter(pk__in=pks).delete()
        gone += len(pks)
    if gone:
        log.info("%d calls from before %s were deleted; their sums stay.", gone, until.date())
    return gone
