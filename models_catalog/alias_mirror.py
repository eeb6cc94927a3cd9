"""The mirror of aliases in S3: a small JSON object for each, for who has rights there alone.

The objects lie below ALIASES_PREFIX, outside every store, so that no TargetModel reaches them. A
move marks the mirror's row as due; a job then reads the object and replaces it if it says anything
else. Each row is due again a day later, so whatever happens to an object is repaired.

A worker that was stopped and goes on writes nothing old: it renews its lease after it has read the
object, and S3 replaces only what was read (If-Match). The worker that took over has either taken
the lease before that, or has changed the object after it.
"""

import json
import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Case, F, When

from core import backoff, clock, errors
from core.jobs import enqueue_on_commit
from core.lease import Lease, LeaseLost
from core.sentences import Sentence, phrase
from models_catalog import s3, stores
from models_catalog.models import Alias, AliasMirror, AliasMove, RegisteredModel, Version

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
#: How often each object is compared with its alias.
COMPARED = timedelta(days=1)
#: Objects of no alias are left for so long.
ORPHANS_KEPT = timedelta(days=1)
_AT_ONCE = 50


def key_of(model: str, name: str) -> str:
    """Where the mirror of an alias lies in the bucket of its store."""
    return f"{settings.ALIASES_PREFIX}/{model}/{name}.json"


def want(*, model: RegisteredModel, name: str, move: AliasMove, bucket: str = "") -> None:
    """Have the mirror tell of ``move``, in the caller's transaction; a job does it.

    ``bucket``: where it belongs now; objects of the alias elsewhere, or under another prefix, go.
    """
    now = clock.now()
    rows = AliasMirror.objects.filter(model=model, name=name)
    rows.update(wanted=move.pk, check_after=now, attempts=0)
    if bucket:
        AliasMirror.objects.get_or_create(
            bucket=bucket,
            key=key_of(model.name, name),
            defaults={"model": model, "name": name, "wanted": move.pk, "check_after": now},
        )
    for pk in rows.values_list("pk", flat=True):
        enqueue_on_commit("models_catalog.tasks.mirror_alias", pk)


def resume() -> None:
    """Queue each mirror that is due: after a move that Redis lost, a kill, or a day."""
    for pk in AliasMirror.objects.due().values_list("pk", flat=True)[:_AT_ONCE]:
        enqueue_on_commit("models_catalog.tasks.mirror_alias", pk)


def mirror(*, mirror_pk: int) -> None:
    """Have one object say what its alias says; idempotent. What fails is retried, with pauses."""
    row = AliasMirror.objects.select_related("model").claim(mirror_pk, lease=LEASE)
    if row is None:
        return
    lease = Lease(AliasMirror.objects.all(), row, LEASE)
    try:
        try:
            kept = _write(row, lease)
        except errors.AwsError as problem:
            _try_later(row, lease, problem.sentence)
        else:
            _settle(row, lease, kept)
    except LeaseLost:
        log.warning("Another worker has taken over the mirror %s.", row)


def clear() -> None:
    """Delete objects of no alias that are a day old: what a restored database does not know."""
    stores.each_bucket(_clear_bucket)


def _clear_bucket(bucket: str) -> None:
    limit = clock.now() - ORPHANS_KEPT
    known = set(AliasMirror.objects.filter(bucket=bucket).values_list("key", flat=True))
    for found in s3.listing(bucket=bucket, prefix=f"{settings.ALIASES_PREFIX}/"):
        if found.key not in known and found.modified < limit and found.key.endswith(".json"):
            # The alias may have been made since, and the object be written for it.
            if AliasMirror.objects.filter(bucket=bucket, key=found.key).exists():
                continue
            log.warning("Deleting s3://%s/%s: there is no such alias.", bucket, found.key)
            s3.delete(bucket=bucket, key=found.key)


def content(alias: Alias) -> dict[str, Any]:
    """What the object says: enough to call the version, and to see that it is that one."""
    version = alias.version
    prefix = f"{version.prefix}/" if version.prefix else ""
    return {
        "model": alias.model.name,
        "alias": alias.name,
        "version": version.number,
        "target_model": version.target_model,
        "store": f"s3://{version.bucket}/{prefix}",
        "uri": version.uri,
        "sha256": version.published_sha256 or version.sha256,
        "moved_at": alias.move.at.isoformat(timespec="milliseconds"),
    }


def _write(row: AliasMirror, lease: Lease[AliasMirror]) -> bool:
    """Write or delete the object; whether there is to be one. Raises AwsError and LeaseLost."""
    _check_place(row)
    alias = Alias.objects.filter(model=row.model_id, name=row.name).listed().first()
    here = alias is not None and (row.bucket, row.key) == (
        alias.version.bucket,
        key_of(alias.model.name, alias.name),
    )
    found = s3.read(bucket=row.bucket, key=row.key)
    lease.renew()
    if alias is None or not here:
        if found is not None:
            s3.delete(bucket=row.bucket, key=row.key)
        return False
    data = (json.dumps(content(alias), ensure_ascii=False, indent=2) + "\n").encode()
    if found is None or found.data != data:
        s3.replace(bucket=row.bucket, key=row.key, data=data, found=found)
    return True


def _check_place(row: AliasMirror) -> None:
    """Raise where a store of this bucket would serve the object: of another setting, long ago."""
    stores = Version.objects.filter(bucket=row.bucket).order_by().values_list("prefix").distinct()
    for (prefix,) in stores:
        if not prefix or row.key.startswith(f"{prefix}/"):
            raise errors.Invalid(
                phrase(
                    "ALIASES_PREFIX lies in the store %(store)s. Nothing may lie there.",
                    store=f"s3://{row.bucket}/{prefix}",
                )
            )


def _settle(row: AliasMirror, lease: Lease[AliasMirror], kept: bool) -> None:
    """Say what was written. A move that came meanwhile leaves the row due."""
    if not kept and AliasMirror.objects.held(row).filter(wanted=row.wanted).delete()[0]:
        return
    lease.release(
        written=row.wanted,
        attempts=0,
        problem="",
        problem_code=None,
        check_after=_unless_moved(row, COMPARED),
    )


def _unless_moved(row: AliasMirror, pause: timedelta) -> Case:
    """When the row is due again: after ``pause``; at once where a move came meanwhile."""
    return Case(When(wanted=row.wanted, then=clock.now() + pause), default=F("check_after"))


def _try_later(row: AliasMirror, lease: Lease[AliasMirror], problem: Sentence) -> None:
    log.warning("The mirror %s could not be written: %s", row, problem.english())
    pause = backoff.pause(
        row.attempts + 1, first=timedelta(seconds=5), longest=timedelta(minutes=10)
    )
    lease.release(
        attempts=row.attempts + 1,
        problem=problem.english(),
        problem_code=problem.as_json(),
        check_after=_unless_moved(row, pause),
    )
