"""What can be done with models and versions: register, upload, check, publish."""

import hashlib
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from django.db.models import Max

from activity.models import Event
from activity.services import record
from mmeportal import clock, errors
from mmeportal.jobs import enqueue_on_commit
from models_catalog import archive, s3, temporary, validation
from models_catalog.models import Model, Version

log = logging.getLogger(__name__)

# Whoever finds a lease that ran out may take the check over: the worker that had it is dead.
LEASE = timedelta(seconds=60)
MAX_ATTEMPTS = 20
STAGING_KEPT = timedelta(hours=24)
SANDBOX_PAUSE = timedelta(seconds=60)


class LeaseLost(Exception):
    """Somebody else has taken the version over; this check must write nothing more."""


def register_model(*, name: str, description: str, actor: User | None) -> Model:
    """Register a model; raises ValidationError where the name is taken or malformed."""
    model = Model(name=name, description=description, created_by=actor)
    model.full_clean()
    with transaction.atomic():
        model.save()
        record(
            action="model.registered",
            subject=model,
            text=f"Registered the model {name}.",
            actor=actor,
            level=Event.Level.SUCCESS,
        )
    return model


def upload_version(
    *,
    name: str,
    new: bool | None = None,
    description: str = "",
    note: str,
    file: IO[bytes],
    file_name: str,
    actor: User | None,
) -> Version:
    """Stage ``file`` and make it the next version of model ``name``, registering that if it is new.

    ``new`` says whether the user means a new model: ValidationError where it is there already,
    by somebody else's upload of the same minute. None takes it either way.

    Returns the version in state `uploaded`; a job then checks it. The bytes are staged before
    any row is written, so an upload that is cut off leaves no row, and what it left in staging
    is swept. Raises AwsError where S3 does not take the file: nothing is kept then.
    """
    bucket = settings.MODEL_BUCKET
    staging_key = f"{settings.STAGING_PREFIX}/{uuid.uuid4()}.tar.gz"
    hashed = _Hashed(file)
    s3.upload(bucket=bucket, key=staging_key, file=hashed)  # type: ignore[arg-type]
    try:
        with transaction.atomic():
            model = _model_for_upload(name=name, description=description, new=new, actor=actor)
            version = _next_version(model)
            version.note = note
            version.created_by = actor
            version.bucket, version.staging_key = bucket, staging_key
            version.file_name = file_name[:255]
            version.size, version.sha256 = hashed.size, hashed.hexdigest()
            version.full_clean()
            version.save()
            record(
                action="version.uploaded",
                subject=version,
                text=f"Uploaded {version} ({file_name}, {hashed.size:,} bytes).",
                actor=actor,
            )
            from models_catalog import tasks  # tasks import this module

            enqueue_on_commit(tasks.check, version.pk)
    except (ValidationError, DatabaseError):
        s3.delete(bucket=bucket, key=staging_key)  # nobody would ask for it
        raise
    return version


def _model_for_upload(
    *, name: str, description: str, new: bool | None, actor: User | None
) -> Model:
    """The model that an upload is for; locked, so that its next number is given once."""
    model = Model.objects.select_for_update().filter(name=name).first()
    if model is None:
        return register_model(name=name, description=description, actor=actor)
    if new:
        raise ValidationError({"name": f"A model {name} was registered in the meantime."})
    return model


def _next_version(model: Model) -> Version:
    last = model.versions.aggregate(last=Max("number"))["last"] or 0
    stem = f"{model.name}_v{last + 1}.tar.gz"
    prefix = settings.MODEL_PREFIX
    key = f"{prefix}/{stem}" if prefix else stem
    return Version(model=model, number=last + 1, prefix=prefix, key=key, check_after=clock.now())


class _Hashed:
    """A file that is hashed and counted while somebody else reads it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._hash.update(data)
        self.size += len(data)
        return data

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def resume_checks() -> None:
    """Queue a check for each version that is due: new ones that Redis lost, and cut-off ones."""
    from models_catalog import tasks

    for pk in Version.objects.due().values_list("pk", flat=True)[:50]:
        enqueue_on_commit(tasks.check, pk)


def check_version(*, version_pk: int) -> None:
    """Check one version and publish or reject it.

    1. claim the row: the lease keeps a second worker out, and runs out if this one dies
    2. read the staged object into a temporary file, and see that its SHA-256 is still the same
    3. read the archive through as an untrusted file; unpack nothing
    4. have the container's preflight load it and predict once, in a sandbox; where that is
       incomplete the version waits, for as long as it takes
    5. copy it to its final key, where nothing may be yet
    6. write the outcome and the event in one transaction; then delete the staged object

    Idempotent, and may be killed anywhere: each step looks before it acts.
    """
    if not Version.objects.claim(version_pk, lease=LEASE):
        return
    version = Version.objects.select_related("model").get(pk=version_pk)
    lease = _Lease(version)
    if version.attempts > MAX_ATTEMPTS:  # a check that kills its worker ends here
        _give_up(version, lease, None)
        return
    try:
        with temporary.folder("check") as folder:
            report = _validate(version, folder, lease)
        if report["ok"]:
            lease.step("Publishing")
            _publish(version, lease)
            _settle(version, lease, report=report)
        else:
            _reject(version, lease, reason=report["error"]["message"], report=report)
    except archive.ArchiveRefused as refusal:
        _reject(version, lease, reason=str(refusal))
    except LeaseLost:
        log.warning("Another worker has taken over the check of %s.", version)
        return
    except validation.SandboxIncomplete as problem:
        log.error("%s was not checked, as REQUIRE_SANDBOX is on: %s", version, problem)
        _wait_for_sandbox(version, lease, problem)
        return
    except Exception as problem:
        # AWS, the preflight, this machine's disk, or a fault of ours: not known to be the
        # archive's. It is said on the page, tried again, and given up in the end.
        log.exception("The check of %s could not be done (attempt %s)", version, version.attempts)
        _try_later(version, lease, problem)
        return
    s3.delete(bucket=version.bucket, key=version.staging_key)


class _Lease:
    """The right to write to one version, renewed while the check goes on.

    Whatever takes long calls :meth:`keep`, which is cheap, at least every few seconds.
    """

    def __init__(self, version: Version) -> None:
        self._pk = version.pk
        self._until: datetime = version.check_after
        self._renewed = time.monotonic()

    def renew(self, **changes: Any) -> None:
        """Prolong it, writing ``changes`` in the same UPDATE; raises LeaseLost."""
        until = clock.now() + LEASE
        mine = Version.objects.filter(
            pk=self._pk, check_after=self._until, state=Version.State.CHECKING
        )
        if mine.update(**{"check_after": until, **changes}) != 1:
            raise LeaseLost
        self._until = changes.get("check_after", until)
        self._renewed = time.monotonic()

    def step(self, text: str) -> None:
        """Say on the page what is being done."""
        self.renew(step=text)

    def keep(self) -> None:
        """Prolong it if half of it has gone by; cheap enough to call often."""
        if time.monotonic() - self._renewed > LEASE.total_seconds() / 2:
            self.renew()


def _validate(version: Version, folder: Path, lease: _Lease) -> dict[str, Any]:
    lease.step("Reading the archive")
    path = folder / "archive.tar.gz"
    try:
        digest = _fetch(version, version.staging_key, path, lease.keep)
    except errors.NotFound:
        return _rejection("The uploaded file is no longer in staging. Please upload it again.")
    if digest != version.sha256:
        return _rejection("The staged file is not the one that was uploaded: its SHA-256 differs.")
    archive.inspect(path, max_unpacked=settings.MAX_UNPACKED_MB << 20, beat=lease.keep)
    lease.step("Loading it in the container")
    report: dict[str, Any] = _storable(validation.run(path, beat=lease.keep))
    return report


def _storable(value: Any) -> Any:
    """The report without what no page and no PostgreSQL can hold: NUL and lone surrogates."""
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {_storable(key): _storable(item) for key, item in value.items()}
    return [_storable(item) for item in value] if isinstance(value, list) else value


def _rejection(message: str) -> dict[str, Any]:
    return {"ok": False, "error": {"code": "staging", "message": message}, "artifact": None}


def _fetch(version: Version, key: str, path: Path, beat: Callable[[], None]) -> str:
    """Download ``key`` to ``path``; return its SHA-256 in hex."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for part in s3.download(bucket=version.bucket, key=key):
            file.write(part)
            digest.update(part)
            beat()
    return digest.hexdigest()


def _publish(version: Version, lease: _Lease) -> None:
    """Put the archive at its final key; raises ArchiveRefused where another one is there.

    The same bytes at the key mean that a worker died between the copy and its commit.
    """
    try:
        s3.publish(bucket=version.bucket, source_key=version.staging_key, key=version.key)
    except errors.AlreadyExists:
        with temporary.folder("publish") as folder:
            digest = _fetch(version, version.key, folder / "published", lease.keep)
        if digest != version.sha256:
            raise archive.ArchiveRefused(
                f"Another object is at {version.uri} already; keys are never overwritten. "
                "Upload the archive again: it will get the next number."
            ) from None


def _shape(inputs: list[dict[str, Any]]) -> str:
    """The first input as a person reads it."""
    return f"{inputs[0]['name']}: {' × '.join(str(size) for size in inputs[0]['shape'])}"[:200]


def _settle(version: Version, lease: _Lease, *, report: dict[str, Any]) -> None:
    with transaction.atomic():
        lease.renew(
            state=Version.State.READY,
            report=report,
            parameters=report["artifact"]["parameters"],
            input_shape=_shape(report["artifact"]["inputs"]),
            step="",
            settled_at=clock.now(),
        )
        record(
            action="version.published",
            subject=version,
            text=f"Checked {version} and published it as {version.target_model}.",
            level=Event.Level.SUCCESS,
        )


def _reject(
    version: Version, lease: _Lease, *, reason: str, report: dict[str, Any] | None = None
) -> None:
    with transaction.atomic():
        lease.renew(
            state=Version.State.REJECTED,
            reason=reason,
            report=report or {},
            step="",
            settled_at=clock.now(),
        )
        record(
            action="version.rejected",
            subject=version,
            text=f"Rejected {version}: {reason}",
            level=Event.Level.ERROR,
        )


def _try_later(version: Version, lease: _Lease, problem: Exception) -> None:
    """The check could not be done, which is not the archive's fault: come back later."""
    if version.attempts >= MAX_ATTEMPTS:
        _give_up(version, lease, problem)
        return
    pause = timedelta(seconds=min(300, 5 * 2 ** min(version.attempts, 6)))
    lease.renew(
        check_after=clock.now() + pause,
        step=f"The check could not be done; trying again shortly. {_said(problem)}"[:200],
    )


def _wait_for_sandbox(version: Version, lease: _Lease, problem: Exception) -> None:
    """Nothing was checked, which counts as no attempt: it waits for as long as that takes."""
    lease.renew(
        check_after=clock.now() + SANDBOX_PAUSE,
        attempts=version.attempts - 1,
        step=f"Waiting for an admin to mend the worker. {_said(problem)} See docs/aws.md."[:200],
    )


def _give_up(version: Version, lease: _Lease, problem: Exception | None) -> None:
    why = f" ({_said(problem)})" if problem else ": each time the worker came to its end"
    _reject(
        version,
        lease,
        reason=f"The check could not be done in {MAX_ATTEMPTS} attempts{why}. Ask an admin to "
        "look at the worker's log, then upload the archive again.",
    )


def _said(problem: Exception) -> str:
    return str(problem) or type(problem).__name__


def clear_staging() -> None:
    """Delete staged objects of more than a day that no unsettled version waits for."""
    awaited = set(
        Version.objects.filter(state__in=Version.UNSETTLED).values_list("staging_key", flat=True)
    )
    limit = clock.now() - STAGING_KEPT
    for found in s3.listing(bucket=settings.MODEL_BUCKET, prefix=f"{settings.STAGING_PREFIX}/"):
        if found.modified < limit and found.key not in awaited:
            s3.delete(bucket=settings.MODEL_BUCKET, key=found.key)
