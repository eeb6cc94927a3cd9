"""Uploads that survive a lost connection: what the tus operations of the API do (upload_api.py).

The bytes come in any number of requests. Each stretch of them becomes an object in staging, where
no TargetModel reaches, and then a row; so what has arrived is known to every process, and a killed
one loses at most the stretch that it was writing. When the last byte is there S3 joins them, and
they become a version, by the same service as every other upload. They are read only where they were
not hashed while they arrived (arriving.py), or are too small to be joined.
"""

import hashlib
import io
import logging
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    transaction,
)
from django.utils.translation import gettext

from core import aws, clock, waiting
from core.errors import CONFLICT, AwsError
from core.jobs import enqueue_on_commit
from core.lease import Lease, LeaseLost
from core.permissions import NotPermitted
from core.sentences import Sentence
from models_catalog import arriving, s3, services, storage, stores
from models_catalog.arriving import Arriving
from models_catalog.models import (
    DEFAULT_STORE,
    RegisteredModel,
    Stretch,
    Upload,
    UploadQuerySet,
    name_taken,
)

if TYPE_CHECKING:
    from hashlib import _Hash

log = logging.getLogger(__name__)

KEPT = timedelta(days=1)
#: A process that adds to an upload and dies keeps others out for so long.
LEASE = timedelta(seconds=15)
#: At most this much is written at once, over two connections where each half is large enough for a
#: part. The web server hands on up to 24 MiB (mmeportal/server/guard.py), and a little more.
STRETCH_BYTES = 25 << 20
MOST_STRETCHES, MOST_UNFINISHED = 20_000, 200
#: A larger one is made a version by a worker, and the last request waits for it so long.
AT_ONCE_BYTES, WAIT_S = 512 << 20, 20
#: By so many of its first bytes, and of the last that arrived, a file is known again.
KNOWN_BY_BYTES = 64 << 10
_AGAIN = timedelta(seconds=30)
ALGORITHMS = ("sha1", "sha256", "sha512")


class UploadLocked(Exception):
    """Another request works on the upload."""


class UploadExpired(Exception):
    """The upload is older than a day; nothing of it is kept."""


class ChecksumMismatch(Exception):
    """The bytes of a request have another checksum than was sent with them; none were kept."""


class WrongOffset(Exception):
    """The bytes do not begin where the upload goes on, or go on behind its end."""


@dataclass(frozen=True)
class Checksum:
    """What the bytes of one request must hash to; ``algorithm`` is one of ALGORITHMS."""

    algorithm: str
    digest: bytes


def create(
    *,
    owner: User,
    length: int,
    name: str,
    new: bool | None,
    file_name: str,
    note: str,
    description: str,
    packing_choice: str,
    meta: Collection[str],
    sha256: str = "",
    store: str = "",
    uid: str = "",
) -> Upload:
    """Begin an upload of ``length`` bytes; all that can be refused is refused now.

    ``sha256``: what the whole must have, else no version is made of it. ``store``: where a new
    model goes; empty: the default one. ``uid``: its id, which who
    asks made up at random: another try, whose answer was lost, gets the same upload.

    Raises ValidationError by field, and services.NotStored where it is too large, or a
    quota has no room for it.
    """
    begun = Upload.objects.filter(owner=owner, uid=uid)
    if uid and (found := begun.first()):
        return found
    metadata = services.checked_for_push(name=name, file_name=file_name, size=length, meta=meta)
    exists = RegisteredModel.objects.filter(name=name).exists()
    if new is not False and (new or not exists) and services.is_taken(name):
        raise ValidationError({"name": name_taken(name)}, code="unique")
    if new is False and not exists:
        said = gettext("There is no model %(name)s.")
        raise ValidationError({"name": said % {"name": name}})
    place = stores.for_upload(model=name, store=store, actor=owner)
    now = clock.now()
    upload = Upload(
        owner=owner,
        length=length,
        created_at=now,
        expires_at=now + KEPT,
        bucket=place.bucket,
        store=stores.row_of(place),
        name=name,
        new=new,
        file_name=file_name,
        note=note,
        description=description,
        packing_choice=packing_choice or settings.PACKING,
        metadata=metadata or None,
        sha256=sha256,
    )
    if uid:
        upload.uid = uid
    upload.full_clean(validate_unique=False)
    try:
        with transaction.atomic(), storage.room_for(length, user=owner):
            # The person's row is locked now. Another try of the same upload is told below.
            _check_unfinished(owner.uploads.exclude(uid=upload.uid), now)
            stores.hold(place)
            upload.save()
    except storage.OverQuota as over:
        raise services.NotStored(str(over), code=storage.OVER) from None
    except IntegrityError:
        if not uid:
            raise
        found = begun.first()
        if found is None:  # somebody else's has the id
            raise ValidationError({"uid": gettext("Choose another id, at random.")}) from None
        return found  # of two tries at once
    return upload


def _check_unfinished(uploads: UploadQuerySet, now: datetime) -> None:
    if uploads.unfinished().filter(expires_at__gt=now).count() >= MOST_UNFINISHED:
        said = gettext("You have %(count)s unfinished uploads. Finish or cancel some of them.")
        raise ValidationError({"name": [
            ValidationError(said % {"count": MOST_UNFINISHED}, code=CONFLICT)
        ]})  # fmt: skip


def find(*, owner: User, uid: str) -> Upload | None:
    """The upload of that id, if it is ``owner``'s. Raises UploadExpired."""
    found = Upload.objects.filter(owner=owner, uid=uid).select_related("version__model").first()
    if found is not None and found.version_id is None and found.expires_at <= clock.now():
        raise UploadExpired
    return found


def listed(*, owner: User) -> UploadQuerySet:
    """Those of ``owner`` of which there is no version yet, or for good; not what has expired."""
    return owner.uploads.listed(now=clock.now()).select_related("version__model")


def document(upload: Upload) -> dict[str, Any]:
    """What is said of an upload, by the API and to the page's script."""
    version = upload.version
    return {
        "id": upload.uid,
        "model": upload.name,
        "file_name": upload.file_name,
        "note": upload.note,
        "length": upload.length,
        "offset": upload.offset,
        "created_at": upload.created_at,
        "expires_at": upload.expires_at,
        "made": {"model": version.model.name, "number": version.number} if version else None,
        "problem": str(Sentence.from_json(upload.problem)) if upload.problem else None,
    }


def is_same(*, upload: Upload, offset: int, known_by: bytes) -> bool:
    """Whether a file is the one that has arrived up to ``offset``, as far as some bytes say.

    ``known_by``: its first bytes and, behind them, the last before ``offset``; KNOWN_BY_BYTES of
    each, or all of ``offset``. Raises WrongOffset where more or less has arrived, and AwsError.
    """
    each = min(offset, KNOWN_BY_BYTES)
    if offset != upload.offset or len(known_by) != 2 * each:
        raise WrongOffset
    if not each:
        return True
    return known_by == _Joined(upload).read(each) + _last_bytes(upload, each)


def _last_bytes(upload: Upload, most: int) -> bytes:
    found = b""
    for stretch in upload.stretches.order_by("-offset"):
        found = b"".join(s3.download(bucket=upload.bucket, key=stretch.key)) + found
        if len(found) >= most:
            break
    return found[-most:]


def receive(
    *, upload: Upload, offset: int, size: int, file: IO[bytes], checksum: Checksum | None
) -> Upload:
    """Add the ``size`` bytes of ``file``, which begin at ``offset``; returns the row as it is then.

    They are kept stretch by stretch as they are read; with a checksum only when all of them are
    right. With the last byte of the upload its version is made. Raises UploadLocked, WrongOffset,
    ChecksumMismatch, services.NotStored, ValidationError where no version can be made, and
    Upload.DoesNotExist where it is cancelled meanwhile.
    """
    if offset != upload.offset or offset + size > upload.length:
        raise WrongOffset
    if size:
        row = _claimed(upload)
        lease = Lease(Upload.objects.all(), row, LEASE)
        is_given_back = False
        try:
            if row.offset != offset:
                raise WrongOffset
            is_given_back = _keep(row, lease, file, size, checksum)
        except LeaseLost:
            raise UploadLocked from None
        finally:
            if not is_given_back:
                _give_back(lease)
    upload.refresh_from_db()
    if upload.complete:
        _finish_soon(upload)
        upload.refresh_from_db()
    return upload


def _claimed(upload: Upload) -> Upload:
    row = Upload.objects.claim(upload.pk, lease=LEASE)
    if row is None:
        raise UploadLocked
    return row


def _give_back(lease: Lease[Upload]) -> None:
    try:
        lease.release()
    except (LeaseLost, DatabaseError):
        log.info("The lease of an upload was lost.", exc_info=True)


def _keep(
    row: Upload, lease: Lease[Upload], file: IO[bytes], size: int, checksum: Checksum | None
) -> bool:
    """Write the bytes to staging and to rows; returns whether all came, and gave the lease back.

    Raises LeaseLost, ChecksumMismatch, NotStored.
    """
    if row.stretches.count() >= MOST_STRETCHES:
        said = gettext("The upload came in too many small parts. Begin it again.")
        raise ValidationError({"body": [ValidationError(said, code=CONFLICT)]})
    hashed = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
    uncommitted: list[Stretch] = []
    offset, left = row.offset, size
    try:
        while left:
            count = _keep_some(row, lease, file, offset, left, hashed, uncommitted)
            if not count:  # the body was shorter than it said
                break
            offset, left = offset + count, left - count
        if checksum is not None and hashed is not None:
            if hashed.digest() != checksum.digest:
                raise ChecksumMismatch
            _commit(row, lease, uncommitted, is_last=not left)
    except (OperationalError, InterfaceError):
        # They may be committed, where the connection was lost over that. What no row names goes
        # with the rest of the upload.
        uncommitted.clear()
        raise
    finally:
        if uncommitted:
            _delete(row.bucket, [stretch.key for stretch in uncommitted])
    return not left


def _keep_some(
    row: Upload,
    lease: Lease[Upload],
    file: IO[bytes],
    offset: int,
    left: int,
    hashed: "_Hash | None",
    uncommitted: list[Stretch],
) -> int:
    """Write the next of ``left`` bytes, and to rows unless ``hashed``; gives their number.

    Nothing holds them in memory when it returns.
    """
    pieces = _next_pieces(file, _share(left))
    count = sum(map(len, pieces))
    arrived = Arriving(row, offset, pieces)
    objects: dict[str, bytes] = {}
    for data in pieces:
        if hashed is not None:
            hashed.update(data)
        key = f"{row.prefix}{offset:015d}-{secrets.token_hex(4)}"
        uncommitted.append(Stretch(upload=row, offset=offset, size=len(data), key=key))
        objects[key] = data
        offset += len(data)
    if not pieces:
        return 0
    try:
        s3.put(bucket=row.bucket, objects=objects, beat=lease.keep, meanwhile=arrived.hash)
    except AwsError as error:
        said = gettext(
            "The store did not take these bytes. What arrived before is kept, and the "
            "upload can go on. %(problem)s"
        )
        code = services.not_stored(error).code
        raise services.NotStored(said % {"problem": error}, code=code) from error
    if hashed is None:
        _commit(row, lease, uncommitted, is_last=count == left)
        arrived.remember()
    return count


def _commit(row: Upload, lease: Lease[Upload], stretches: list[Stretch], *, is_last: bool) -> None:
    """Write that these have arrived, which empties the list. Raises LeaseLost.

    The last of a request give the lease back in the same UPDATE: who reads the new offset can go on
    from there at once, also where this process is killed now.
    """
    with transaction.atomic():
        Stretch.objects.bulk_create(stretches)
        row.offset += sum(one.size for one in stretches)
        if is_last:
            lease.release(offset=row.offset)
        else:
            lease.renew(offset=row.offset)
    stretches.clear()


def _share(left: int) -> int:
    """How many of so many bytes are written at once: a like share, so that the last is no scrap."""
    return -(-left // -(-left // STRETCH_BYTES))


def _next_pieces(file: IO[bytes], most: int) -> list[bytes]:
    """The next bytes of a file, in two halves if those are large enough for parts.

    They are fewer than ``most`` at the file's end alone, and none at all behind that.
    """
    halves = 2 if most >= 2 * s3.LEAST_PART_BYTES else 1
    each = -(-most // halves)
    pieces = [_next_bytes(file, min(each, most - begin)) for begin in range(0, most, each)]
    return [piece for piece in pieces if piece]


def _next_bytes(file: IO[bytes], most: int) -> bytes:
    """The next bytes of a file; fewer than ``most`` at its end alone."""
    data = file.read(most)
    while len(data) < most and (more := file.read(most - len(data))):
        data += more
    return data


def _finish_soon(upload: Upload) -> None:
    """Make the version now; of a large upload have a worker make it, and wait a while for that."""
    if upload.version_id is not None:
        return
    if upload.length <= AT_ONCE_BYTES:
        finish(upload_pk=upload.pk)
        return
    with transaction.atomic():
        enqueue_on_commit("models_catalog.tasks.finish_upload", upload.pk)
    rows = Upload.objects.filter(pk=upload.pk)
    waiting.until(
        lambda: rows.unfinished().exists(), lambda unfinished: not unfinished, seconds=WAIT_S
    )


def finish(*, upload_pk: int) -> None:
    """Make a version of an upload whose last byte has arrived; nothing where it was made before.

    Raises what services.upload_version raises. ValidationError, NotPermitted and DigestMismatch are
    final, and written to the row; after others the sweep tries again, until the upload expires.
    """
    row = Upload.objects.claim(upload_pk, lease=LEASE)
    if row is None:
        return
    lease = Lease(Upload.objects.all(), row, LEASE)
    if not row.complete:
        _give_back(lease)
        return
    try:
        _make_version(row, lease)
    except LeaseLost:
        # Also where it was refused, as the other has made its version, or it is gone.
        log.warning("Another process works on the upload %s, or it is gone.", row.uid)


def _make_version(row: Upload, lease: Lease[Upload]) -> None:
    """What `finish` does under the lease; raises LeaseLost, too."""
    joined = _Joined(row)
    hashed = arriving.of_all(row)
    stage = joined.stage(lease.keep, is_hashed=hashed is not None)
    try:
        services.upload_version(
            name=row.name,
            new=row.new,
            description=row.description,
            note=row.note,
            file=joined,  # type: ignore[arg-type]
            file_name=row.file_name,
            actor=row.owner,
            packing_choice=row.packing_choice,
            metadata=row.metadata,
            store=DEFAULT_STORE if row.store is None else row.store.name,
            digests=[("sha256", bytes.fromhex(row.sha256))] if row.sha256 else [],
            beat=lease.keep,
            stage=stage,
            hashed=None if stage is None or hashed is None else (row.length, hashed),
            made=lambda version: lease.release(version=version),
        )
    except (ValidationError, NotPermitted, services.DigestMismatch) as error:
        said = error.messages if isinstance(error, ValidationError) else [str(error)]
        lease.release(problem=Sentence.verbatim(" ".join(said)).as_json())
        _clear(row)
        raise
    except services.NotStored:
        lease.release(check_after=clock.now() + _AGAIN)
        raise
    _clear(row)


def finish_by_worker(*, upload_pk: int) -> None:
    """What `finish` does, for a job: who uploads reads in the row what could not be done."""
    try:
        finish(upload_pk=upload_pk)
    except (ValidationError, NotPermitted, services.NotStored, services.DigestMismatch) as problem:
        log.warning("No version was made of an upload: %s", problem)


class _Joined:
    """The bytes of an upload, in order, as one file; and the object that S3 makes of them."""

    def __init__(self, row: Upload) -> None:
        self._row = row
        self._stretches = list(row.stretches.all())
        self._download = s3.downloader(row.bucket)  # it is read in the threads of a transfer
        self._pieces = (piece for one in self._stretches for piece in self._download(one.key))
        self._piece = memoryview(b"")

    def stage(
        self, beat: Callable[[], None], *, is_hashed: bool
    ) -> Callable[[str, str, IO[bytes]], None] | None:
        """What has S3 make one object of the stretches, while they are read and hashed.

        ``is_hashed``: they were hashed when they arrived, and are not read. None where the bytes
        are few, or most came in stretches that are too small for parts: they are sent once more,
        then.
        """
        parts = _parts(self._stretches)
        sent = sum(one.size for part in parts if len(part) > 1 for one in part)
        if len(parts) < 2 or len(parts) > s3.MOST_PARTS or sent * 2 > self._row.length:
            return None

        def stage(bucket: str, key: str, file: IO[bytes]) -> None:
            join = s3.joiner(bucket, self._row.bucket)  # the setting may be another one by now
            keys = [self._one_object(part) for part in parts]

            def read() -> None:
                while file.read(1 << 20):
                    pass

            works = [lambda: join(keys, key), *([] if is_hashed else [read])]
            s3.beating(*works, beat=beat)

        return stage

    def _one_object(self, part: list[Stretch]) -> str:
        """The key of an object with the bytes of these; a new one where they are several."""
        if len(part) == 1:
            return part[0].key
        # Below the upload's prefix, so it goes with the stretches.
        key = f"{part[0].key}-{len(part)}"
        data = b"".join(piece for one in part for piece in self._download(one.key))
        s3.upload(bucket=self._row.bucket, key=key, file=io.BytesIO(data))
        return key

    def read(self, size: int = -1) -> bytes:
        """``size`` bytes, fewer only at the end: S3 takes no small part before the last."""
        pieces: list[memoryview] = []
        length = 0
        while size < 0 or length < size:
            if not self._piece:
                self._piece = memoryview(next(self._pieces, b""))
                if not self._piece:
                    break
            taken = len(self._piece) if size < 0 else size - length
            pieces.append(self._piece[:taken])
            length += len(pieces[-1])
            self._piece = self._piece[taken:]
        return b"".join(pieces)


def _parts(stretches: list[Stretch]) -> list[list[Stretch]]:
    """Stretches that follow each other, by parts that S3 takes: all but the last large enough."""
    parts: list[list[Stretch]] = [[]]
    for one in stretches:
        if sum(each.size for each in parts[-1]) >= s3.LEAST_PART_BYTES:
            parts.append([])
        parts[-1].append(one)
    return parts


def cancel(*, upload: Upload) -> None:
    """Forget an upload and delete what has arrived of it; the version made of it stays.

    Raises UploadLocked.
    """
    if upload.version_id is None and upload.problem is None:
        _claimed(upload)
    upload.delete()
    _clear(upload)


def _clear(upload: Upload) -> None:
    """Delete what is staged of an upload; where S3 fails, `clear` does it later."""
    arriving.forget(upload)
    try:
        listed = s3.listing(bucket=upload.bucket, prefix=upload.prefix, timeouts=aws.PAGE)
        staged = [found.key for found in listed]
        s3.delete_all(bucket=upload.bucket, keys=staged, timeouts=aws.PAGE)
    except AwsError as problem:
        log.warning("What is staged of an upload is deleted later: %s", problem)


def _delete(bucket: str, keys: list[str]) -> None:
    """Delete stretches that no row names, by one request, as a user waits for it."""
    try:
        s3.delete_all(bucket=bucket, keys=keys, timeouts=aws.PAGE)
    except AwsError as problem:
        log.warning("Stretches of an upload are deleted with the rest of it: %s", problem)


def resume() -> None:
    """Queue each upload that is complete, and of which a killed process made no version."""
    due = Upload.objects.due().received().filter(expires_at__gt=clock.now())
    for pk in due.values_list("pk", flat=True)[:50]:
        enqueue_on_commit("models_catalog.tasks.finish_upload", pk)


def clear() -> None:
    """Delete uploads that have expired, and staged objects of no upload that still takes bytes."""
    now = clock.now()
    Upload.objects.filter(expires_at__lte=now).delete()
    stores.each_bucket(_clear_bucket)


def _clear_bucket(bucket: str) -> None:
    prefix = f"{settings.STAGING_PREFIX}/uploads/"
    for found in list(s3.listing(bucket=bucket, prefix=prefix)):
        uid = found.key.removeprefix(prefix).partition("/")[0]
        if not Upload.objects.unfinished().filter(uid=uid).exists():
            s3.delete(bucket=bucket, key=found.key)
