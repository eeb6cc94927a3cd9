"""What users do with models and versions: register, upload, download.

The worker's part, from the upload to the published version, is models_catalog/publication.py.
"""

import hashlib
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import Max
from django.utils.translation import gettext

from activity.models import Event
from activity.services import record
from core import aws, guarded, waiting
from core.errors import AwsError, Denied, StorageFull, Throttled
from core.jobs import enqueue_on_commit
from core.lease import LeaseLost
from models_catalog import metadata as metadata_of
from models_catalog import s3, secrecy, storage, stores
from models_catalog.archives import most_bytes, too_large, valid_file_name
from models_catalog.metadata import Metadata
from models_catalog.models import (
    NAME_LENGTH,
    RegisteredModel,
    SearchText,
    Store,
    Version,
    VersionNumber,
    name_taken,
    valid_name,
)

if TYPE_CHECKING:
    from hashlib import _Hash

log = logging.getLogger(__name__)

#: Rows of one transaction where what they are found by is made anew.
_AT_ONCE = 500
#: Numbers that copies may have used up, and that `planned` looks for; more are a surprise.
_KEYS_PASSED_OVER = 20


def register_model(
    *, name: str, description: str, store: Store | None = None, actor: User | None
) -> RegisteredModel:
    """Register a model; raises ValidationError where the name is taken or malformed.

    ``store``: where its versions will go, for good; None: the default one. It is a field of the
    ValidationError where it is retired.
    """
    model = RegisteredModel(name=name, description=description, created_by=actor)
    model.full_clean(validate_unique=False)
    if store is not None:
        model.store = stores.row_of(store)
    secrecy.check_may_write(model.placed_in, actor)
    try:
        with transaction.atomic():
            stores.hold(model.placed_in)
            model.save()
            told = {"store": model.store.name} if model.store else {}
            record(
                action="model.registered_in" if told else "model.registered",
                subject=model,
                parameters={"name": name, **told},
                actor=actor,
                level=Event.Level.SUCCESS,
            )
    except IntegrityError:
        if is_taken(name):
            raise ValidationError({"name": name_taken(name)}, code="unique") from None
        raise
    return model


@guarded.as_portal()
def is_taken(name: str) -> bool:
    """Whether a model has the name, also one that who asks may not see: names are unique."""
    return "\0" not in name and RegisteredModel.objects.filter(name=name).exists()


@guarded.as_portal()
def free_name(name: str) -> str:
    """A name like this one that no model has: ``digits-2``. Empty where 99 are taken."""
    # One that was cut off may end in what no name ends in.
    stem = name[: NAME_LENGTH - 4].rstrip("-._")
    wanted = [f"{stem}-{number}" for number in range(2, 101)]
    taken = set(RegisteredModel.objects.filter(name__in=wanted).values_list("name", flat=True))
    return next((one for one in wanted if one not in taken), "")


@dataclass(frozen=True)
class Planned:
    """What an upload under a name would become, as things are now.

    ``taken`` is the sentence for who means a new model, where one has the name; ``free`` is then a
    name that is free. ``problem``: no model can have the name. ``number``: none is given then.
    """

    name: str
    number: int = 0
    key: str = ""
    taken: str = ""
    free: str = ""
    problem: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def planned(*, names: Sequence[str], store: str = "") -> list[Planned]:
    """What uploads under these names would become, one after the other: a name may come twice.

    ``store``: that of new models; empty: the default one. Raises ValidationError where there is
    none.
    """
    wanted = {name for name in names if "\0" not in name}
    rows = RegisteredModel.objects.filter(name__in=wanted).annotate(last=Max("versions__number"))
    found_rows = rows.values_list("name", "last", "store__bucket", "store__prefix")
    last = {name: number for name, number, _bucket, _prefix in found_rows}
    new, usual = stores.chosen(store), (settings.MODEL_BUCKET, settings.MODEL_PREFIX)
    places = {
        name: usual if bucket is None else (bucket, prefix)
        for name, _number, bucket, prefix in found_rows
    }
    for name in wanted - set(places):
        places[name] = (new.bucket, new.prefix)
    used = _used_keys(Counter(names), last, places)
    hidden: set[str] = set()
    if guarded.hidden() is not None:
        with guarded.as_portal():
            others = RegisteredModel.objects.filter(name__in=wanted - set(last))
        hidden.update(others.values_list("name", flat=True))
    given: dict[str, int] = {}
    found = []
    for name in names:
        if name not in last:
            try:
                valid_name(name)
            except ValidationError as error:
                found.append(Planned(name, problem=" ".join(error.messages)))
                continue
        number = given.get(name, last.get(name) or 0) + 1
        bucket, prefix = places[name]
        while (bucket, usual_key(name, number, prefix)) in used:
            number += 1
        taken = name_taken(name) if name in last or name in hidden else ""
        free = free_name(name) if taken or name in given else ""
        found.append(Planned(name, number, usual_key(name, number, prefix), taken, free))
        given[name] = number
    return found


def _used_keys(
    names: Counter[str], last: dict[str, int | None], places: dict[str, tuple[str, str]]
) -> set[tuple[str, str]]:
    """Of the keys that the next versions would have, those that a copy has (next_version).

    Each with its bucket; ``places``: bucket and prefix by name.
    """
    wanted = [
        usual_key(name, (last.get(name) or 0) + number, places[name][1])
        for name, times in names.items()
        for number in range(1, times + _KEYS_PASSED_OVER)
        if "\0" not in name
    ]
    buckets = {bucket for bucket, _prefix in places.values()}
    with guarded.as_portal():
        rows = Version.objects.filter(bucket__in=buckets, key__in=wanted)
    return set(rows.values_list("bucket", "key"))


def upload_version(
    *,
    name: str,
    new: bool | None = None,
    description: str = "",
    note: str,
    file: IO[bytes],
    file_name: str,
    actor: User | None,
    packing_choice: str = "",
    digests: Collection[tuple[str, bytes]] = (),
    metadata: Metadata | None = None,
    store: str = "",
    size: int | None = None,
    beat: Callable[[], None] | None = None,
    stage: Callable[[str, str, IO[bytes]], None] | None = None,
    hashed: "tuple[int, _Hash] | None" = None,
    made: Callable[[Version], None] = lambda version: None,
) -> Version:
    """Stage ``file`` and make it the next version of model ``name``, registering that if it is new.

    ``new`` says whether the user means a new model: ValidationError where it is there already,
    by somebody else's upload of the same minute, or is not there any more. None takes it either
    way. ``packing_choice`` is
    one of packing.CHOICES; without it the setting PACKING decides. ``digests``: what the bytes must
    have, each with hashlib's name of the algorithm; DigestMismatch where they have another.
    ``store``: where a new model goes; empty: the default one. ValidationError of that field where
    there is none, or the model is in another one.
    ``size``: the bytes of the file, which the quotas must have room for; None: they were asked
    before, when an upload began, or are not asked.
    ``beat`` is called every second while the bytes are staged. ``stage(bucket, key, file)`` has
    the object made there in place of sending the bytes, and reads ``file`` to its end, unless
    ``hashed`` gives its size and SHA-256; other ``digests`` are not asked then. ``made`` is
    called with the version in the transaction that makes it; what it raises of LeaseLost keeps
    that from being made.

    Returns the version in state `uploaded`; a job then checks it. The bytes are staged before
    any row is written, so an upload that is cut off leaves no row, and what it left in staging
    is swept. Raises NotStored where S3 does not take the file, or a quota would be passed: nothing
    is kept then.
    """
    if size is not None:
        with _as_not_stored():
            storage.check(size, user=actor)
    place = stores.for_upload(model=name, store=store, actor=actor)
    bucket = place.bucket
    staging_key = f"{settings.STAGING_PREFIX}/{uuid.uuid4()}.tar.gz"
    read = _Hashed(file, {algorithm for algorithm, _digest in digests}, hashed)
    try:
        if stage is None:
            s3.upload(bucket=bucket, key=staging_key, file=read, beat=beat)  # type: ignore[arg-type]
        else:
            stage(bucket, staging_key, read)  # type: ignore[arg-type]
    except AwsError as error:
        raise not_stored(error) from error
    try:
        read.check(digests)
        room = nullcontext() if size is None else storage.room_for(read.size, user=actor)
        with _as_not_stored(), transaction.atomic(), room:
            model = _model_for_upload(
                name=name, description=description, new=new, store=place, actor=actor
            )
            version = next_version(model)
            version.note = note
            version.metadata = metadata or None
            version.created_by = actor
            version.staging_key = staging_key
            version.file_name = file_name[:255]
            version.size, version.sha256 = read.size, read.hexdigest()
            version.packing_choice = packing_choice or settings.PACKING
            version.full_clean()
            version.save()
            record(
                action="version.uploaded",
                subject=version,
                parameters={
                    "version": str(version),
                    "file_name": file_name,
                    "size": f"{read.size:,}",
                },
                actor=actor,
            )
            made(version)
            enqueue_on_commit("models_catalog.tasks.check", version.pk)
    except (OperationalError, InterfaceError):
        # It may have been committed, where the connection was lost over that. What no row names
        # is swept (publication.clear_staging).
        raise
    except (ValidationError, DatabaseError, DigestMismatch, LeaseLost, NotStored):
        discard(bucket, staging_key)
        raise
    return version


def discard(bucket: str, key: str) -> None:
    """Delete an object in staging that no row names; where S3 fails, it is swept later."""
    try:
        s3.delete(bucket=bucket, key=key, timeouts=aws.PAGE)
    except AwsError as problem:  # it must not hide why the object is of no use
        log.warning("What is staged at %s stays a day: %s", key, problem)


class NotStored(Exception):
    """An archive was not taken, and nothing was kept; ``str()`` says why.

    ``code`` is that of the API's problem; the page has its status.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def _as_not_stored() -> Iterator[None]:
    try:
        yield
    except storage.OverQuota as over:
        raise NotStored(str(over), code=storage.OVER) from None


def not_stored(error: AwsError) -> NotStored:
    """Why the store did not take an archive, for whoever sent it."""
    if isinstance(error, StorageFull):
        code = "no-space"
        said = gettext(
            "The store has no room left, and nothing was kept. Ask an admin. %(problem)s"
        )
    elif isinstance(error, Throttled):
        code = "unavailable"
        said = gettext(
            "The store did not take the archive: it does not answer, or its disk is full. "
            "Nothing was kept; try again in a minute, then ask an admin. %(problem)s"
        )
    else:
        code = "aws-denied" if isinstance(error, Denied) else "aws-failed"
        said = gettext("The archive could not be stored, and nothing was kept. %(problem)s")
    return NotStored(said % {"problem": error}, code=code)


class DigestMismatch(Exception):
    """The bytes of an archive have not the digest that was sent with them; nothing was kept."""


def push_version(
    *,
    name: str,
    description: str,
    note: str,
    file: IO[bytes],
    size: int,
    file_name: str,
    packing_choice: str,
    digests: Collection[tuple[str, bytes]],
    actor: User | None,
    meta: Collection[str] = (),
    store: str = "",
) -> Version:
    """Take an archive that comes as bytes alone: the next version of ``name``, or a new model.

    What the form of the page asks of an upload is asked here, before any of it is stored. ``meta``:
    its metadata, as ``accuracy=0.93``. Raises
    ValidationError by field, and what :func:`upload_version` raises.
    """
    given = checked_for_push(name=name, file_name=file_name, size=size, meta=meta)
    return upload_version(
        name=name,
        description=description,
        note=note,
        file=file,
        file_name=file_name,
        actor=actor,
        packing_choice=packing_choice,
        digests=digests,
        metadata=given,
        store=store,
        size=size,
    )


def checked_for_push(*, name: str, file_name: str, size: int, meta: Collection[str]) -> Metadata:
    """What is asked of an archive before any of it is stored; returns its metadata.

    Raises ValidationError by field, and NotStored where it is too large.
    """
    wrong: dict[str, Any] = {}
    for field, check, value in (
        ("name", _name_for_upload, name), ("file_name", valid_file_name, file_name),
    ):  # fmt: skip
        try:
            check(value)
        except ValidationError as error:
            wrong[field] = error.messages
    given: Metadata = {}
    try:
        given = metadata_of.read(meta)
    except ValidationError as error:
        wrong["meta"] = error.messages
    if size == 0:
        wrong["body"] = [gettext("The body is empty. Send the archive.")]
    if wrong:
        raise ValidationError(wrong)
    if size > most_bytes():
        raise NotStored(too_large(), code="too-large")
    return given


def _name_for_upload(name: str) -> None:
    """Raise ValidationError where no model has the name, and none can have it."""
    if not is_taken(name):
        valid_name(name)


class NotDeletable(Exception):
    """A model has a version that was published, or that is being validated; nothing was deleted."""


def delete_model(
    *, name: str, actor: User | None, check: Callable[[], None] = lambda: None
) -> None:
    """Delete a model of which nothing was ever published, with its rejected versions.

    Its name is free then, and the numbers of its versions begin at 1 again. What is left of the
    uploads in staging goes too. ``check`` is called when nobody else can change the model any more;
    what it raises keeps all. Raises NotDeletable, and RegisteredModel.DoesNotExist.
    """
    with transaction.atomic():
        # Locked, so that no upload makes a version of it meanwhile.
        model = RegisteredModel.objects.select_for_update().get(name=name)
        secrecy.check_may_write(model.placed_in, actor)
        check()
        versions = list(model.versions.defer("report"))
        if any(version.state != Version.State.REJECTED for version in versions):
            raise NotDeletable(name)
        record(
            action="model.deleted",
            subject=model,
            parameters={"name": name, "versions": len(versions)},
            actor=actor,
            level=Event.Level.WARNING,
        )
        model.versions.all().delete()
        model.delete()
    for version in versions:
        try:
            if version.staging_key:  # a copy has none
                s3.delete(bucket=version.bucket, key=version.staging_key)
        except AwsError as problem:  # it is swept later (publication.clear_staging)
            log.warning("What is staged of %s %s stays a day: %s", name, version.number, problem)


def _model_for_upload(
    *, name: str, description: str, new: bool | None, store: Store, actor: User | None
) -> RegisteredModel:
    """The model that an upload is for; locked, so that its next number is given once.

    ``store`` is where its archive was staged: ValidationError where the model, which somebody made
    meanwhile, is in another one.
    """
    locked = RegisteredModel.objects.select_for_update().filter(name=name)
    model = locked.first()
    if model is None and new is False:
        raise ValidationError(
            gettext("The model %(name)s was deleted meanwhile. Upload it as a new model.")
            % {"name": name}
        )
    if model is None:
        try:
            return register_model(name=name, description=description, store=store, actor=actor)
        except ValidationError:
            model = locked.first()  # another upload may have registered it meanwhile
            if model is None:
                raise
    if new:
        raise ValidationError({"name": name_taken(name)}, code="unique")
    secrecy.check_may_write(model.placed_in, actor)
    stores.check_same(model, store.name)
    stores.hold(model.placed_in)
    return model


def next_version(model: RegisteredModel) -> Version:
    """The row of a model's next version, with its number, bucket and key; not saved."""
    number = (model.versions.aggregate(last=Max("number"))["last"] or 0) + 1
    bucket, prefix = model.placed_in.bucket, model.placed_in.prefix
    with guarded.as_portal():
        rows = Version.objects.filter(bucket=bucket)
    # A copy may have a key that looks like this one.
    while rows.filter(key=usual_key(model.name, number, prefix)).exists():
        number += 1
    key = usual_key(model.name, number, prefix)
    return Version(model=model, number=number, bucket=bucket, prefix=prefix, key=key)


def usual_key(name: str, number: int, prefix: str) -> str:
    """Where an uploaded version is stored, below the prefix of its store."""
    stem = f"{name}_v{number}.tar.gz"
    return f"{prefix}/{stem}" if prefix else stem


def wait_for_version(*, name: str, number: int, seconds: int) -> None:
    """Return when the state or step of a version has changed; at once where it is settled.

    After ``seconds`` at most, or where too many wait (core/waiting.py). No error where there is
    no such version.
    """
    rows = Version.objects.filter(model__name=name, number=number)
    if seconds:
        waiting.until_changed(
            lambda: rows.values_list("state", "step").first(),
            settled=lambda found: found is None or found[0] not in Version.UNDER_WAY,
            seconds=seconds,
        )


class _Hashed:
    """A file that is hashed and counted while it is read."""

    def __init__(
        self,
        file: IO[bytes],
        algorithms: Collection[str],
        before: "tuple[int, _Hash] | None",
    ) -> None:
        """``before``: the size and SHA-256 of what was read of it before: all of it."""
        self._file = file
        self.size, sha256 = before or (0, hashlib.sha256())
        self._hashes = {name: hashlib.new(name) for name in algorithms} | {"sha256": sha256}

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        for found in self._hashes.values():
            found.update(data)
        self.size += len(data)
        return data

    def hexdigest(self) -> str:
        return self._hashes["sha256"].hexdigest()

    def check(self, digests: Collection[tuple[str, bytes]]) -> None:
        """Raise DigestMismatch where the bytes that were read have another digest."""
        for algorithm, wanted in digests:
            found = self._hashes[algorithm].hexdigest()
            if found != wanted.hex():
                said = gettext(
                    "The bytes that arrived have the %(algorithm)s %(found)s, and %(wanted)s was "
                    "sent with them. Nothing was kept. Send the archive again."
                )
                raise DigestMismatch(
                    said % {"algorithm": algorithm, "found": found, "wanted": wanted.hex()}
                )


def download_address(version: Version, *, original: bool) -> str | None:
    """Where a browser may download what is served, or the file as uploaded, for a minute.

    None where there is no such object: the version is not published, or its original is not kept.
    """
    if not version.stored:
        return None
    stem = f"{version.model.name}_v{version.number}"
    if original:
        key, name = version.original_key, f"{stem}-as-uploaded.tar.gz"
    else:
        key, name = version.key, f"{stem}.tar.gz"
    if not key:
        return None
    return s3.browser_address(bucket=version.bucket, key=key, name=name)


def keep_found() -> int:
    """Have what all models and versions are found by say what they say; returns of how many not.

    The release before, which may go on for a while after an upgrade, writes rows and keeps nothing,
    and leaves what was kept of those that it deletes.
    """
    count = 0
    for kept in (SearchText, VersionNumber):
        kept._default_manager.exclude(model__in=RegisteredModel._base_manager.values("pk")).delete()
    kinds: tuple[type[RegisteredModel] | type[Version], ...] = (RegisteredModel, Version)
    for kind in kinds:
        last = 0
        rows = kind._base_manager.order_by("pk").values_list("pk", flat=True)
        while pks := list(rows.filter(pk__gt=last)[:_AT_ONCE]):
            with transaction.atomic():
                count += kind.keep_found(pks)
            last = pks[-1]
    if count:
        log.info("What %d models and versions are found by was made anew.", count)
    return count
