"""What the worker does with an uploaded version: validate, pack, publish; and what is left over.

check_version() is the one entry; each of its steps may be cut off and run again.
"""

import hashlib
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from activity.models import Event
from activity.services import record
from core import backoff, clock, errors
from core.jobs import enqueue_on_commit
from core.lease import Lease, LeaseLost
from core.sentences import Sentence
from core.storable import all_storable
from models_catalog import packing, reasons, s3, stores, temporary, validation
from models_catalog.models import LabelFile, Version, VersionQuerySet

log = logging.getLogger(__name__)

# A worker whose lease ran out counts as dead, and another one takes the validation over.
LEASE = timedelta(seconds=60)
MAX_ATTEMPTS = 20
STAGING_KEPT = timedelta(hours=24)
SANDBOX_PAUSE = timedelta(seconds=60)
# The file names that the preflight sees, and names in its sentences.
_UPLOAD, _SERVED = "archive.tar.gz", "served.tar.gz"


class VersionRejected(Exception):
    """The version is not to be published; ``str()`` is why. ``report`` is what was found out."""

    def __init__(self, reason: Sentence, report: dict[str, Any] | None = None) -> None:
        super().__init__(reason.english())
        self.reason = reason
        self.report = report


def resume_checks() -> None:
    """Queue a check for each version that is due: new ones that Redis lost, and cut-off ones."""
    for pk in _to_check().due().values_list("pk", flat=True)[:50]:
        enqueue_on_commit("models_catalog.tasks.check", pk)


def _to_check() -> VersionQuerySet:
    """All but those that are being deleted or copied: retiring.py's and copying.py's."""
    others = (Version.State.DELETING, Version.State.COPYING)
    return Version.objects.exclude(state__in=others)


def check_version(*, version_pk: int) -> None:
    """Check one version and publish or reject it.

    1. claim the row: the lease keeps a second worker out, and runs out if this one dies
    2. read the staged object into a temporary file, and see that its SHA-256 is still the same
    3. run 1 of the container's preflight, in a sandbox, reads it and writes what is to be served
       as a plain tar; where the sandbox is incomplete the version waits, for as long as it takes
    4. pack the tar, and hash both; no byte of it is parsed here
    5. run 2 loads that packed file and predicts once, in a sandbox
    6. write the report and the hashes to the row
    7. write that file to its final key, which must not exist yet
    8. copy the bytes as uploaded to where originals are kept, on S3's side
    9. write the outcome and the event in one transaction; then delete the staged object

    A version that was found in the store (importing.py) is read from its own key. It is served from
    there, so its bytes must be the ones that step 4 gives; nothing is written to the store.

    Idempotent: an earlier attempt may have been killed at any step, and each step looks first at
    what it left.
    """
    rows = _to_check()
    version = rows.select_related("model").claim(version_pk, lease=LEASE)
    if version is None:
        return
    try:
        settled = _check(version, Lease(rows, version, LEASE))
    except LeaseLost:
        log.warning("Another worker has taken over the check of %s.", version)
        return
    if settled and version.staging_key:
        s3.delete(bucket=version.bucket, key=version.staging_key)


def _check(version: Version, lease: Lease[Version]) -> bool:
    """Do what check_version() says; False where it is to be tried again. Raises LeaseLost."""
    if version.attempts > MAX_ATTEMPTS:  # each attempt so far has killed its worker
        _give_up(version, lease, None)
        return False
    try:
        if not _is_published(version, lease):
            with temporary.folder("check") as folder:
                if version.as_found:
                    _validate_found(version, folder, lease)
                else:
                    _publish(version, _validate(version, folder, lease), lease)
        _settle(version, lease, problem=_keep_original(version, lease))
    except VersionRejected as refusal:
        reject(version, lease, reason=refusal.reason, report=refusal.report)
    except LeaseLost:
        raise
    except validation.SandboxIncomplete as problem:
        log.error("%s was not checked, as REQUIRE_SANDBOX is on: %s", version, problem)
        _wait_for_sandbox(version, lease, problem)
        return False
    except Exception as problem:
        # AWS, the preflight, the disk or a bug of the portal: it is not known that the archive is
        # at fault. So the page says it, and it is retried a limited number of times.
        log.exception("The check of %s could not be done (attempt %s)", version, version.attempts)
        _try_later(version, lease, problem)
        return False
    return True


def _is_published(version: Version, lease: Lease[Version]) -> bool:
    """Whether an earlier attempt validated and published the version, and was killed then.

    The SHA-256 of what was validated is written to the row right before the publication.
    """
    if not version.published_sha256 or not s3.exists(bucket=version.bucket, key=version.key):
        return False
    return stored_sha256(version, lease.keep) == version.published_sha256


def _validate(version: Version, folder: Path, lease: Lease[Version]) -> Path:
    """Make the archive to serve from the staged bytes, load it and predict with it; return it.

    Writes the report and the hashes to the row. Raises VersionRejected.
    """
    lease.renew(step=Version.READING)
    upload = folder / _UPLOAD
    try:
        digest = _fetch(version, version.staging_key, upload, lease.keep)
    except errors.NotFound:
        raise VersionRejected(Sentence("rejected.not_staged")) from None
    if digest != version.sha256:
        raise VersionRejected(Sentence("rejected.staged_differs"))
    return _packed_and_loaded(version, upload, lease)


def _validate_found(version: Version, folder: Path, lease: Lease[Version]) -> None:
    """The same of an object that lies at the version's key already, and is to stay as it is."""
    lease.renew(step=Version.READING)
    upload = folder / _UPLOAD
    found = s3.find(bucket=version.bucket, key=version.key)
    try:
        digest = _fetch(version, version.key, upload, lease.keep)
    except errors.NotFound:
        found = None
    if found is None:
        raise VersionRejected(Sentence("rejected.found_gone", uri=version.uri))
    version.sha256, version.size = digest, upload.stat().st_size
    lease.renew(sha256=version.sha256, size=version.size)
    _packed_and_loaded(version, upload, lease)
    now = s3.find(bucket=version.bucket, key=version.key)
    if now is None or now.etag != found.etag:
        raise VersionRejected(Sentence("rejected.found_changed", uri=version.uri))


def _packed_and_loaded(version: Version, upload: Path, lease: Lease[Version]) -> Path:
    tar, archive = (upload.with_name(name) for name in ("plain.tar", _SERVED))
    read: dict[str, Any] = all_storable(validation.pack(upload, tar, beat=lease.keep))
    if not read["ok"]:
        raise VersionRejected(reasons.of_error(read["error"]), read)
    upload.unlink()  # at once, as it may be gigabytes
    lease.renew(step=Version.PACKING)
    choice = version.packing_choice
    if version.as_found:  # as it is packed, if the portal could have done it
        stored = version.size == packing.stored_size(tar.stat().st_size)
        choice = Version.PackingChoice.STORED if stored else Version.PackingChoice.COMPRESSED
    packed = packing.pack(tar, archive, choice=choice, beat=lease.keep)
    tar.unlink()
    archive.chmod(0o400)
    digest = packing.sha256(archive, beat=lease.keep)
    if version.as_found and digest != version.sha256:
        raise VersionRejected(Sentence("rejected.not_canonical"), read)
    lease.renew(step=Version.LOADING)
    loaded: dict[str, Any] = all_storable(validation.run(archive, beat=lease.keep))
    report = loaded | {"archive": read["archive"]}
    if not loaded["ok"]:
        raise VersionRejected(reasons.of_error(loaded["error"]), report)
    if packing.sha256(archive, beat=lease.keep) != digest:
        raise VersionRejected(Sentence("rejected.changed"), report)
    labels = report["artifact"].get("labels") or []
    facts: dict[str, Any] = {
        "packing": packed.packing,
        "content_sha256": packed.content_sha256,
        "published_sha256": digest,
        "published_size": archive.stat().st_size,
    }
    with transaction.atomic():  # what no version names may be deleted
        facts["label_file"] = LabelFile.of(labels)
        if facts["label_file"] is not None:  # in place of thousands of lines in each report
            report["artifact"] = {k: v for k, v in report["artifact"].items() if k != "labels"}
        facts["report"] = report | {"packing": packed.facts}
        lease.renew(**facts)
    for name, value in facts.items():
        setattr(version, name, value)
    return archive


def _fetch(version: Version, key: str, path: Path, beat: Callable[[], None]) -> str:
    """Download ``key`` to ``path``; return its SHA-256 in hex."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for part in s3.download(bucket=version.bucket, key=key):
            file.write(part)
            digest.update(part)
            beat()
    return digest.hexdigest()


def stored_sha256(version: Version, beat: Callable[[], None]) -> str:
    """The SHA-256 of what is at the version's key."""
    return s3.sha256(bucket=version.bucket, key=version.key, beat=beat)


def _publish(version: Version, archive: Path, lease: Lease[Version]) -> None:
    """Put ``archive`` at the version's key; raises VersionRejected where another object is there.

    The same bytes at the key mean that a worker was killed between the write and its commit.
    """
    lease.renew(step=Version.PUBLISHING)
    try:
        s3.publish(bucket=version.bucket, key=version.key, path=archive, beat=lease.keep)
    except errors.AlreadyExists:
        if stored_sha256(version, lease.keep) != version.published_sha256:
            raise VersionRejected(Sentence("rejected.key_taken", uri=version.uri)) from None


def _original_key(version: Version) -> str:
    """Where the bytes of a version as uploaded are kept, if they are."""
    # With the SHA-256, so that other bytes get another key, even after the database was lost.
    return f"{settings.ORIGINALS_PREFIX}/{version.original_stem}.tar.gz"


def _is_original_kept(version: Version) -> bool:
    """Whether an attempt has kept them whose answer was lost; False where S3 does not say it."""
    if not settings.KEEP_ORIGINALS or version.as_found:
        return False
    try:
        found = s3.opened(bucket=version.bucket, key=_original_key(version))
    except errors.AwsError:
        return False
    return found.size == version.size


def _keep_original(version: Version, lease: Lease[Version]) -> Sentence | None:
    """Copy the bytes as uploaded to where they are kept; return why not.

    The version is published already. So passing errors are retried, and after the last attempt the
    version is ready without the copy.
    """
    if not settings.KEEP_ORIGINALS or version.as_found:
        return None
    key = _original_key(version)
    for prefix in Version.objects.filter(bucket=version.bucket).values_list("prefix").distinct():
        if not prefix[0] or key.startswith(f"{prefix[0]}/"):
            store = prefix[0] or version.bucket
            return Sentence("validation.originals_in_store", store=store)
    try:
        s3.copy(bucket=version.bucket, source_key=version.staging_key, key=key, beat=lease.keep)
    except errors.Throttled as problem:
        if version.attempts < MAX_ATTEMPTS:
            raise
        if not _is_original_kept(version):
            return problem.sentence
    except errors.AwsError as problem:
        if not _is_original_kept(version):
            log.error("The bytes of %s as uploaded could not be kept: %s", version, problem)
            return problem.sentence
    version.original_key = key
    return None


def _shape(inputs: list[dict[str, Any]]) -> str:
    """The first input, for people: ``data: 1 × 3 × 224 × 224``."""
    return f"{inputs[0]['name']}: {' × '.join(str(size) for size in inputs[0]['shape'])}"[:200]


def _settle(version: Version, lease: Lease[Version], *, problem: Sentence | None) -> None:
    """Say that the version is ready; ``problem`` is why its bytes as uploaded are not kept."""
    inside = version.artifact
    with transaction.atomic():
        lease.release(
            state=Version.State.READY,
            parameters=inside["parameters"],
            input_shape=_shape(inside["inputs"]),
            original_key=version.original_key,
            step="",
            step_code=None,
            settled_at=clock.now(),
        )
        twin = Version.objects.twins(version).first()
        _record_published(version, twin, problem)


def _record_published(version: Version, twin: Version | None, problem: Sentence | None) -> None:
    code = "version.registered" if version.as_found else "version.published"
    parameters: dict[str, str | Sentence] = {
        "version": str(version),
        "target_model": version.target_model,
    }
    if version.as_found:
        twin = problem = None
    if twin:
        code += f"_{version.likeness(twin)}"
        parameters["twin"] = str(twin)
    if problem:
        code += "_without_upload"
        parameters["problem"] = problem
    level = Event.Level.WARNING if problem else Event.Level.SUCCESS
    record(action=code, subject=version, parameters=parameters, level=level)


def reject(
    version: Version,
    lease: Lease[Version],
    *,
    reason: Sentence,
    report: dict[str, Any] | None = None,
) -> None:
    """Write that nothing of it is served; without ``report`` the row keeps the report it has."""
    with transaction.atomic():
        lease.release(
            state=Version.State.REJECTED,
            reason=reason.english(),
            reason_code=reason.as_json(),
            report=version.full_report if report is None else report,
            label_file=None,
            published_sha256="",
            published_size=None,
            packing="",
            step="",
            step_code=None,
            settled_at=clock.now(),
        )
        record(
            action="version.rejected",
            subject=version,
            parameters={"version": str(version), "reason": reason},
            level=Event.Level.ERROR,
        )


def _try_later(version: Version, lease: Lease[Version], problem: Exception) -> None:
    """The check failed for a reason other than the archive: retry, up to the last attempt."""
    if version.attempts >= MAX_ATTEMPTS:
        _give_up(version, lease, problem)
    else:
        _pause(version, lease, problem)


def _pause(version: Version, lease: Lease[Version], problem: Exception) -> None:
    pause(version, lease, Sentence("validation.again", problem=_said(problem)))


def pause(version: Version, lease: Lease[Version], said: Sentence) -> None:
    """Give the version back until later, the later the more attempts there were; ``said``: why."""
    wait = backoff.pause(version.attempts, first=timedelta(seconds=5), longest=timedelta(minutes=5))
    lease.release(check_after=clock.now() + wait, step=said.english(), step_code=said.as_json())


def _wait_for_sandbox(version: Version, lease: Lease[Version], problem: Exception) -> None:
    """Wait until an admin has repaired the sandbox; this counts as no attempt."""
    said = Sentence("validation.no_sandbox", problem=_said(problem))
    lease.release(
        check_after=clock.now() + SANDBOX_PAUSE,
        attempts=version.attempts - 1,
        step=said.english(),
        step_code=said.as_json(),
    )


def _give_up(version: Version, lease: Lease[Version], problem: Exception | None) -> None:
    """After the last attempt: reject the version, or call it ready if it is published already.

    If it is published, only a later step has failed. While S3 does not say whether it is, the
    version waits.
    """
    try:
        published = _is_published(version, lease)
    except errors.AwsError as unknown:
        _pause(version, lease, unknown)
        return
    why = _said(problem) if problem else Sentence("validation.worker_ended")
    if published:
        kept = _is_original_kept(version)
        if kept:
            version.original_key = _original_key(version)
        _settle(version, lease, problem=None if kept else why)
        return
    reason = Sentence("rejected.gave_up", attempts=MAX_ATTEMPTS, problem=why)
    reject(version, lease, reason=reason)


def _said(problem: Exception) -> Sentence:
    if isinstance(problem, errors.AwsError):
        return problem.sentence
    return Sentence.verbatim(str(problem) or type(problem).__name__)


def clear_staging() -> None:
    """Delete staged objects of settled versions, and objects of no version that are a day old.

    The first were left by workers that were killed after they wrote the outcome. The second were
    left by uploads that were cut off: the row is written after the object.
    """
    stores.each_bucket(_clear_staging)


def clear_parts() -> None:
    """Give up writes in parts that are a day old: their workers were killed, and began anew.

    Only of keys that the portal writes. Where it may not list them, the bucket's lifecycle rules
    do it (docs/aws.md).
    """
    stores.each_bucket(_clear_parts)


def _clear_parts(bucket: str) -> None:
    folders = {
        settings.STAGING_PREFIX,
        settings.ORIGINALS_PREFIX,
        settings.TEST_SETS_PREFIX,
        settings.PICTURES_PREFIX,
    }
    folders.update(place.prefix for place in stores.listed() if place.bucket == bucket)
    limit = clock.now() - STAGING_KEPT
    for folder in sorted(folders):
        prefix = f"{folder}/" if folder else ""
        try:
            for upload in list(s3.unfinished(bucket=bucket, prefix=prefix)):
                if upload.begun < limit:
                    s3.give_up(bucket=bucket, upload=upload)
        except errors.Denied as problem:
            log.warning("The parts of uploads that were cut off are left to S3: %s", problem)
            return


def _clear_staging(bucket: str) -> None:
    staged = list(s3.listing(bucket=bucket, prefix=f"{settings.STAGING_PREFIX}/"))
    versions = Version.objects.filter(bucket=bucket, staging_key__in=[item.key for item in staged])
    settled = {version.staging_key: version.settled for version in versions.defer("report")}
    limit = clock.now() - STAGING_KEPT
    for found in staged:
        if settled.get(found.key, found.modified < limit):
            s3.delete(bucket=bucket, key=found.key)


def clear_labels() -> None:
    """Delete labels that no version has any more, as it was rejected after all, and its model went.

    A validation locks its labels, and writes the version that has them, in one transaction.
    """
    for pk in list(LabelFile.objects.filter(versions=None).values_list("pk", flat=True)):
        with transaction.atomic():
            row = LabelFile.objects.select_for_update().filter(pk=pk).first()
            if row is not None and not row.versions.exists():
                row.delete()
