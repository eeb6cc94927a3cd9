"""Test sets: pictures that a model answered wrongly, each with its right label.

Bytes up to 64 KB lie in the row, larger ones in S3 below ``TEST_SETS_PREFIX``, outside the stores
that endpoints serve. An object is written before its row, so a row that is there has its picture;
what a crash in between leaves is an object that nothing names, which is deleted after a day
(invocations/pictures_kept.py). Taking a picture out deletes its object before its row, so that a
refusal by S3 is told. An undo deletes the row first, as somebody may have flagged it again.
"""

import io
import logging
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.db import IntegrityError, transaction
from django.db.models import Count, QuerySet, Sum
from django.utils.translation import gettext as _

from activity.models import Event
from activity.services import record
from core import clock, spreadsheet
from core.errors import AwsError
from invocations import pictures_kept
from invocations.models import LABEL_LENGTH, Invocation, LabelledPicture, Picture
from invocations.pictures import NotAPicture
from invocations.pictures_kept import INLINE_BYTES
from models_catalog import s3
from models_catalog.models import RegisteredModel, Version

logger = logging.getLogger(__name__)

# What a flag writes to a row.
_WRITTEN = (
    *("version_id", "invocation_id", "label", "predicted", "probability"),
    *("flagged_at", "flagged_by_id", "flagged_by_name"),
)
_SUFFIX = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/bmp": "bmp",
    "image/webp": "webp",
}


MAY_EMPTY = "invocations.empty_test_set"
_UNDO = "invocations.labelled.undo"
UNDO_FOR = timedelta(days=1)
"""For this long the Undo of a flag counts: a page with its button may be left open."""


class FlagRefused(Exception):
    """The picture was not stored; ``str()`` says why, in the reader's language."""


class NothingToUndo(Exception):
    """A flag was not taken back; ``str()`` says why, in the reader's language."""


@dataclass(frozen=True)
class Flagged:
    """A picture that was flagged. ``new``: the set did not have it. ``undo``: for `take_back`."""

    row: LabelledPicture
    new: bool
    undo: str


def labels_of(version: Version) -> list[str]:
    """The labels that the version knows, each once, in their order."""
    return list(dict.fromkeys(version.labels))


def size_of(model: RegisteredModel) -> tuple[int, int]:
    """How many pictures the model's test set has, and how many bytes."""
    found = LabelledPicture.objects.filter(model=model).aggregate(n=Count("pk"), bytes=Sum("size"))
    return found["n"], found["bytes"] or 0


def flag(*, invocation: Invocation, label: str, actor: User) -> Flagged:
    """Store the call's picture and its right label.

    A picture has one right label in a model: flagged again, its label changes. Raises FlagRefused,
    with nothing stored, and AwsError where S3 does not take a picture.
    """
    label = label.replace("\0", "").strip()
    picture = _picture(invocation, label)
    values = {
        "version": invocation.version,
        "invocation": invocation,
        "label": label,
        "predicted": invocation.predictions[0]["label"],
        "probability": invocation.predictions[0]["probability"],
        "flagged_at": clock.now(),
        "flagged_by": actor,
        "flagged_by_name": actor.get_username(),
    }
    model = invocation.version.model
    same = LabelledPicture.objects.filter(model=model, sha256=picture.sha256)

    def tell() -> None:
        record(
            action="model.answer_flagged",
            subject=model,
            parameters={
                "version": str(invocation.version),
                "predicted": str(values["predicted"])[:LABEL_LENGTH],
                "label": label,
            },
            actor=actor,
        )

    def change() -> Flagged | None:
        """Change the label of a picture that the set has; None: it has it not."""
        with transaction.atomic():
            # Locked, so that an undo leads to what this flag replaced, and takes back no other one.
            row = same.select_for_update().defer("data", "thumbnail").first()
            if row is None:
                return None
            before = {name: getattr(row, name) for name in _WRITTEN}
            for name, value in values.items():
                setattr(row, name, value)
            row.save(update_fields=list(values))
            tell()
        return Flagged(row, False, _undo_of(row, actor, before))

    if (changed := change()) is not None:
        return changed
    data = pictures_kept.content(picture)
    _check_room(model, len(data))
    if (made := _create(model, picture, data, values, tell)) is not None:
        return Flagged(made, True, _undo_of(made, actor, None))
    if (changed := change()) is not None:
        return changed
    raise FlagRefused(_changed_meanwhile())


def _undo_of(row: LabelledPicture, actor: User, before: dict[str, Any] | None) -> str:
    """What takes this flag back, signed: who flagged what when, and what the row said before."""
    columns = {name: before[name] for name in _WRITTEN} if before else None
    if columns:
        columns["flagged_at"] = columns["flagged_at"].isoformat()
    told = {"pk": row.pk, "by": actor.pk, "at": row.flagged_at.isoformat(), "before": columns}
    return signing.dumps(told, salt=_UNDO, compress=True)


def take_back(*, undo: str, actor: User) -> LabelledPicture:
    """Undo a flag: the picture leaves the set, or has the label that it had before.

    Only who flagged it can, and only while nobody has flagged the picture again. Raises
    NothingToUndo; then nothing has changed. Returns the row as it was flagged.
    """
    row, before = _flagged_by(undo, actor)
    if before:
        calls = Invocation.objects.filter(pk=before["invocation_id"])
        people = User.objects.filter(pk=before["flagged_by_id"])
        # Either may be deleted by now; the row then keeps the name alone.
        before["invocation_id"] = calls.values_list("pk", flat=True).first()
        before["flagged_by_id"] = people.values_list("pk", flat=True).first()
        before["flagged_at"] = datetime.fromisoformat(before["flagged_at"])
        facts = {"name": row.model.name, "label": str(before["label"])}
        as_flagged = LabelledPicture.objects.filter(pk=row.pk, flagged_at=row.flagged_at)
        with transaction.atomic():
            if not as_flagged.update(**before):
                raise NothingToUndo(_changed_meanwhile())
            record(action="model.flag_restored", subject=row.model, parameters=facts, actor=actor)
    else:
        _undo_new(row, lambda: _tell_gone("model.flag_undone", row, actor))
    return row


def _undo_new(row: LabelledPicture, tell: Callable[[], None]) -> None:
    """Delete the row of a new flag, tell of it, then delete the picture.

    The row first: whoever flags the picture again meanwhile has the row, which needs the picture.
    """
    as_flagged = LabelledPicture.objects.filter(pk=row.pk, flagged_at=row.flagged_at)
    with transaction.atomic():
        if not _deleted(as_flagged):
            raise NothingToUndo(_changed_meanwhile())
        tell()
    if row.key:
        _discard(row.bucket, row.key)


def _deleted(rows: QuerySet[LabelledPicture]) -> int:
    """Delete the rows, in the caller's transaction, and return how many.

    Comparisons name them, so Django reads them, and then deletes by their ids alone: locked before,
    they are still what was asked for.
    """
    pks = list(rows.select_for_update().values_list("pk", flat=True))
    return LabelledPicture.objects.filter(pk__in=pks).delete()[0]


def _discard(bucket: str, key: str) -> None:
    """Delete an object that no row names; where S3 fails, the sweep does it later."""
    try:
        s3.delete(bucket=bucket, key=key)
    except AwsError as error:
        logger.warning("An object of no test set is deleted later: %s", error)


def _flagged_by(undo: str, actor: User) -> tuple[LabelledPicture, dict[str, Any] | None]:
    """The row of a flag, as long as it is as that flag has left it, and what it said before."""
    try:
        told = signing.loads(undo, salt=_UNDO, max_age=UNDO_FOR)
    except signing.BadSignature:
        raise NothingToUndo(_("This cannot be undone any more. Nothing was changed.")) from None
    if told["by"] != actor.pk:
        raise NothingToUndo(_("Somebody else flagged this answer. Nothing was changed."))
    rows = LabelledPicture.objects.filter(pk=told["pk"]).listed().select_related("model")
    row = rows.filter(flagged_at=datetime.fromisoformat(told["at"])).first()
    if row is None:
        raise NothingToUndo(_changed_meanwhile())
    return row, told["before"]


def _changed_meanwhile() -> str:
    return _("The picture was flagged again or taken out meanwhile. Nothing was changed.")


def may_remove(user: User, row: LabelledPicture) -> bool:
    """Whether the user may take this picture out: who flagged it, and who may empty the set."""
    return row.flagged_by_id == user.pk or user.has_perm(MAY_EMPTY)


def remove(*, row: LabelledPicture, actor: User) -> None:
    """Take one picture out of its model's test set. Raises AwsError; then the picture is kept."""
    _delete(row, lambda: _tell_gone("model.test_picture_removed", row, actor))


def _tell_gone(action: str, row: LabelledPicture, actor: User) -> None:
    facts = {"name": row.model.name, "label": row.label}
    record(action=action, subject=row.model, parameters=facts, actor=actor)


def _delete(row: LabelledPicture, tell: Callable[[], None] = lambda: None) -> int:
    """Delete a picture, then its row, and tell of it; 0 where somebody else just did."""
    if row.key:
        s3.delete(bucket=row.bucket, key=row.key)
    with transaction.atomic():
        gone = _deleted(LabelledPicture.objects.filter(pk=row.pk))
        if gone:
            tell()
    return gone


def _picture(invocation: Invocation, label: str) -> Picture:
    """The picture that was sent; FlagRefused where this answer cannot be flagged."""
    if not settings.TEST_SETS:
        raise FlagRefused(_("Test sets are switched off on this portal. Nothing was stored."))
    if not invocation.predictions:
        raise FlagRefused(_("This call has no answer that could be wrong. Nothing was stored."))
    if not label:
        raise FlagRefused(_("Choose or type the right label. Nothing was stored."))
    if len(label) > LABEL_LENGTH:
        raise FlagRefused(
            _("The label has more than %(most)s characters. Type a shorter one.")
            % {"most": LABEL_LENGTH}
        )
    if label == invocation.predictions[0]["label"].strip():
        raise FlagRefused(
            _("The model answered “%(label)s” itself. Choose another label; nothing was stored.")
            % {"label": label}
        )
    picture = pictures_kept.find(invocation.picture_sha256)
    if picture is None:
        raise FlagRefused(
            _(
                "The picture is no longer kept. Call the model with it again, then flag the new "
                "answer."
            )
        )
    return picture


def _check_room(model: RegisteredModel, more: int) -> None:
    count, size = size_of(model)
    if count >= settings.TEST_SET_PICTURES or size + more > settings.TEST_SET_MB << 20:
        raise FlagRefused(
            _(
                "The test set of %(model)s is full: %(count)s pictures, %(size)s MB. Nothing was "
                "stored. Ask an admin to download and empty it."
            )
            % {"model": model.name, "count": count, "size": size >> 20}
        )


def _create(
    model: RegisteredModel,
    picture: Picture,
    data: bytes,
    values: dict[str, object],
    tell: Callable[[], None],
) -> LabelledPicture | None:
    """Store a picture that the set did not have, and tell of it; None where somebody else just
    stored it."""
    thumbnail = bytes(picture.thumbnail)
    if not thumbnail:  # a program sent it, and nobody has looked at it
        try:
            thumbnail = bytes(pictures_kept.with_thumbnail(picture).thumbnail)
        except NotAPicture as problem:
            raise FlagRefused(str(problem)) from None
    bucket = key = ""
    if len(data) > INLINE_BYTES:
        bucket = settings.MODEL_BUCKET
        key = f"{settings.TEST_SETS_PREFIX}/{model.name}/{uuid4().hex}"
        s3.upload(bucket=bucket, key=key, file=io.BytesIO(data))
    try:
        with transaction.atomic():
            row = LabelledPicture.objects.create(
                model=model,
                sha256=picture.sha256,
                name=picture.name,
                content_type=picture.content_type,
                size=len(data),
                data=b"" if key else data,
                thumbnail=thumbnail,
                bucket=bucket,
                key=key,
                **values,
            )
            tell()
    except IntegrityError:
        if key:
            _discard(bucket, key)
        return None
    return row


def content(row: LabelledPicture) -> bytes:
    """The picture, as it was sent. Raises an AwsError where S3 does not give it."""
    if not row.key:
        return bytes(row.data)
    return b"".join(s3.download(bucket=row.bucket, key=row.key))


def empty(*, model: RegisteredModel, actor: User) -> int:
    """Delete the model's test set; returns how many pictures it had.

    Raises AwsError where S3 does not delete one: those before it are gone, the rest is kept, and
    the next call goes on. What is flagged meanwhile stays.
    """
    rows = LabelledPicture.objects.filter(model=model)
    gone = 0
    try:
        for row in rows.only("pk", "bucket", "key").order_by("pk"):
            gone += _delete(row)
    finally:
        if gone:
            record(
                action="model.test_set_emptied",
                subject=model,
                parameters={"name": model.name, "count": gone},
                actor=actor,
                level=Event.Level.WARNING,
            )
    return gone


def archive(model: RegisteredModel) -> Iterator[bytes]:
    """The test set as a zip, in parts: ``pictures/…``, and ``labels.csv`` with what is known.

    The names of files are made here and hold nothing that a user wrote. A picture that S3 does not
    give is named in the CSV with an empty file.
    """
    sink = _Sink()
    head = [
        "file",
        "label",
        "predicted",
        "probability",
        "version",
        "flagged_at",
        "flagged_by",
        "name",
    ]
    table: list[list[object]] = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as packed:
        rows = LabelledPicture.objects.filter(model=model).listed()
        for number, row in enumerate(rows.order_by("pk"), 1):
            suffix = _SUFFIX.get(row.content_type, "bin")
            file = f"pictures/{number:05}-{row.sha256[:12]}.{suffix}"
            try:
                packed.writestr(file, content(row))
            except LabelledPicture.DoesNotExist:  # it was taken out meanwhile
                continue
            except AwsError:
                file = ""
            table.append(
                [
                    file,
                    row.label,
                    row.predicted,
                    f"{row.probability:.6f}",
                    row.version,
                    row.flagged_at.isoformat(),
                    row.flagged_by_name,
                    PurePath(row.name).name,
                ]
            )
            yield sink.taken()
        packed.writestr("labels.csv", "".join(spreadsheet.lines(head, table)))
    yield sink.taken()


class _Sink(io.RawIOBase):
    """A file that can be written alone; what was written is taken from it in parts."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: object) -> int:
        """Keep the bytes until they are taken."""
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def taken(self) -> bytes:
        """What was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
