"""The store as it is, beside what was published: what vanished, changed or appeared.

Each night a job lists each store. A version's object is right where its ETag is the one under which
its SHA-256 was found right; another ETag alone says nothing, so that object is read. What differs
is written to the version, told on Today and in the log, and taken back when it is right again. What
no version knows is kept as a StrayObject: importing.py registers it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from activity.models import Event
from activity.services import record
from core import backoff, clock, errors
from core.jobs import enqueue_on_commit
from core.lease import Lease, LeaseLost
from models_catalog import importing, s3
from models_catalog.models import Store, StoreComparison, StrayObject, Version

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
#: When nobody works, by the portal's clock.
HOUR = 3
AGAIN = timedelta(minutes=30)
#: At most this many events tell of single objects; more are counted.
TOLD = 20
_COLUMNS = ("bucket", "key", "number", "etag", "drift", "state", "size", "sha256",
            "published_sha256", "published_size", "model__name")  # fmt: skip


@dataclass(frozen=True)
class _Store:
    """A store as the subject of events, where it has no row and so no page."""

    name: str
    pk: int = 0
    activity_kind: str = "store"

    def __str__(self) -> str:
        return self.name


def prepare() -> None:
    """Have each store compared that versions are in, or that uploads can go to."""
    stores = set(Version.objects.order_by().values_list("bucket", "prefix").distinct())
    stores.add((settings.MODEL_BUCKET, settings.MODEL_PREFIX))
    stores.update(Store.objects.added().filter(retired_at=None).values_list("bucket", "prefix"))
    known = set(StoreComparison.objects.values_list("bucket", "prefix"))
    for bucket, prefix in stores - known:
        StoreComparison.objects.get_or_create(bucket=bucket, prefix=prefix)


def resume() -> None:
    """Queue each comparison that is due: of the night, or cut off."""
    for pk in StoreComparison.objects.due().values_list("pk", flat=True)[:10]:
        enqueue_on_commit("models_catalog.tasks.compare_store", pk)


def compare(*, comparison_pk: int) -> None:
    """Compare one store with the versions in it; idempotent. What fails is retried later."""
    row = StoreComparison.objects.claim(comparison_pk, lease=LEASE)
    if row is None:
        return
    lease = Lease(StoreComparison.objects.all(), row, LEASE)
    try:
        try:
            _compare(row, lease.keep)
        except errors.AwsError as problem:
            log.warning("The store %s could not be compared: %s", row, problem)
            said = problem.sentence
            pause = backoff.pause(row.attempts, first=timedelta(minutes=1), longest=AGAIN)
            lease.release(
                check_after=clock.now() + pause,
                attempts=row.attempts + 1,
                problem=said.english(),
                problem_code=said.as_json(),
            )
        else:
            now = clock.now()
            lease.release(
                check_after=_next_night(now),
                compared_at=now,
                attempts=0,
                problem="",
                problem_code=None,
            )
    except LeaseLost:
        log.warning("Another worker has taken over the comparison of %s.", row)


def _next_night(now: datetime) -> datetime:
    local = timezone.localtime(now, timezone.get_default_timezone())
    night = local.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    return night if night > local else night + timedelta(days=1)


def _compare(row: StoreComparison, beat: Callable[[], None]) -> None:
    # The rows are read before the objects: what is ready then must be listed. What is listed is
    # known by a row before it is written, so for strays the rows are read again afterwards.
    stored = Version.objects.filter(
        bucket=row.bucket, prefix=row.prefix, state__in=Version.STORED
    ).select_related("model")
    versions = list(stored.only(*_COLUMNS).order_by("pk"))
    listed: dict[str, s3.StoredObject] = {}
    for found in s3.listing(bucket=row.bucket, prefix=row.below):
        listed[found.key] = found
        beat()
    for version in versions:
        _judge(version, listed.get(version.key), beat)
        beat()
    _note_strays(row, list(listed.values()))


def _judge(version: Version, found: s3.StoredObject | None, beat: Callable[[], None]) -> None:
    """Write what the object of a version is now, where that is another thing than before."""
    drift, etag = Version.Drift.NONE, version.etag
    if found is None:
        drift = Version.Drift.GONE
    elif found.etag != version.etag:
        if found.size != version.served_size:
            drift = Version.Drift.CHANGED
        else:
            try:
                digest = s3.sha256(bucket=version.bucket, key=version.key, beat=beat)
            except errors.NotFound:
                drift = Version.Drift.GONE
            else:
                same = digest == version.current_sha256
                drift = Version.Drift.NONE if same else Version.Drift.CHANGED
                etag = found.etag if same else version.etag
    if (drift, etag) == (version.drift, version.etag):
        return
    changes: dict[str, object] = {"drift": drift, "etag": etag}
    if drift != version.drift:
        changes["drift_at"] = clock.now() if drift else None
    with transaction.atomic():
        # Not where it was deleted meanwhile, or where another job has written the same.
        same_row = Version.objects.filter(
            pk=version.pk, state__in=Version.STORED, drift=version.drift
        )
        if same_row.update(**changes) == 1 and drift != version.drift:
            record(
                action=_ACTIONS[drift],
                subject=version,
                parameters={"version": str(version), "uri": version.uri},
                level=Event.Level.ERROR if drift else Event.Level.SUCCESS,
            )


_ACTIONS = {
    Version.Drift.NONE: "version.object_right",
    Version.Drift.GONE: "version.object_gone",
    Version.Drift.CHANGED: "version.object_changed",
}


def _note_strays(row: StoreComparison, listed: list[s3.StoredObject]) -> None:
    """Keep what no version knows, and forget what is gone or was registered."""
    now = {found.key: found for found in importing.unknown(listed, row.bucket)}
    rows = StrayObject.objects.filter(bucket=row.bucket, key__startswith=row.below)
    # SQLite knows no capitals there, and two stores may differ by them alone.
    before = {key for key in rows.values_list("key", flat=True) if key.startswith(row.below)}
    appeared, left = sorted(now.keys() - before), sorted(before - now.keys())
    known = Store.objects.filter(bucket=row.bucket, prefix=row.prefix).first()
    store = known or _Store(str(row))
    with transaction.atomic():
        StrayObject.objects.bulk_create(
            StrayObject(bucket=row.bucket, key=key, size=now[key].size) for key in appeared
        )
        for start in range(0, len(left), 500):
            rows.filter(key__in=left[start : start + 500]).delete()
        for action, keys in (("store.appeared", appeared), ("store.cleared", left)):
            for key in keys[:TOLD]:
                parameters = {"uri": f"s3://{row.bucket}/{key}"}
                record(action=action, subject=store, parameters=parameters, level=_level(action))
            if len(keys) > TOLD:
                record(
                    action=f"{action}_more",
                    subject=store,
                    parameters={"store": str(row), "count": len(keys) - TOLD},
                    level=_level(action),
                )


def _level(action: str) -> str:
    return Event.Level.WARNING if action == "store.appeared" else Event.Level.INFO
