"""Pictures that were sent: kept for a while, so that they can be sent again, looked at or flagged.

PICTURES_KEPT_HOURS after it was last sent a picture is deleted, and THUMBNAILS_KEPT_DAYS after the
call its thumbnail.

Bytes up to 64 KB lie in the row, larger ones in S3 below ``PICTURES_PREFIX``, outside the stores
that endpoints serve. An object is written before its row, so a row that is there has its picture;
an object without a row, as a crash in between leaves it, is deleted by `sweep_objects`. A thread of
this process writes the objects, after the answer: a picture that S3 does not take is not kept.

The page makes thumbnail and preview while the model works. Those of what a program sent are made
when somebody first looks at them: decoding takes longer than the rest of a call.
"""

import io
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import DatabaseError, close_old_connections, models, transaction
from django.db.models import Q

from core import clock, guarded, threads
from core.errors import AwsError
from core.jobs import do_each
from invocations import decoding, seeing
from invocations.inserting import insert
from invocations.models import Invocation, LabelledPicture, Picture, PictureGiver
from invocations.payload import Payload
from invocations.pictures import NotAPicture, as_it_is, prepare
from models_catalog import s3

logger = logging.getLogger(__name__)

INLINE_BYTES = 64 * 1024
"""Larger pictures lie in S3: rows are read, backed up and replicated whole."""
# Of pictures that wait for S3: how many, and of how many bytes.
_MOST_WAITING, _MOST_BYTES = 64, 64 << 20
# How long who asks for a picture waits for one that is being written.
_WAIT_S, _LOOK_EVERY_S = 0.5, 0.02
# No upload takes so long, and no clocks differ by so much.
_ORPHANED_AFTER = timedelta(hours=25)
# Rows of one UPDATE: SQLite has one lock, and others want to write.
_THUMBNAILS_AT_ONCE = 500


def keep(payload: Payload, uid: str = "") -> Picture | None:
    """Keep a picture with its thumbnail; None where it cannot be read, which its model says.

    None also where it is forgotten meanwhile. ``uid``: of the call that it is sent with, if any.
    """
    rows = Picture.objects.filter(sha256=payload.sha256)
    known = rows.defer("data").first()
    whole = known if known is not None and known.thumbnail and known.preview else None
    # One that is deleted in this moment is kept anew.
    if whole is not None and rows.update(used_at=clock.now(), name=payload.name):
        whole.name = payload.name
        return whole
    if not payload.thumbnail:
        try:
            made = prepare(io.BytesIO(payload.data), payload.name)
        except NotAPicture:
            return None
        payload = replace(payload, thumbnail=made.thumbnail, preview=made.preview)
    picture, calls = payload.picture(used_at=clock.now()), {uid} if uid else set()
    if len(picture.data) > INLINE_BYTES:
        storing().put(picture, calls)
        return picture
    with transaction.atomic():
        if _is_forgotten(picture.sha256, calls):
            return None
        _write_rows([picture])
    return picture


def keep_all(pictures: list[Picture], calls: Mapping[str, list[str]]) -> None:
    """Write rows; those of large pictures after their objects, in a thread.

    ``calls``: the uids of the calls that they are sent with, by the picture's SHA-256.
    """
    small = [picture for picture in pictures if len(picture.data) <= INLINE_BYTES]
    if small:
        _write_rows(small)
    for picture in pictures:
        if len(picture.data) > INLINE_BYTES:
            storing().put(picture, calls.get(picture.sha256, ()))


def _write_rows(pictures: list[Picture]) -> None:
    # Where one is there already, what was made of it stays, unless this one has it.
    columns = ["used_at", "name"]
    insert([each for each in pictures if not each.thumbnail], key="sha256", update=columns)
    columns += ["thumbnail", "preview"]
    insert([each for each in pictures if each.thumbnail], key="sha256", update=columns)


def keep_now(payload: Payload, giver: Any) -> str:
    """Keep a picture for a day for who gives it, and return its SHA-256 when it is kept.

    Raises NotAPicture where it cannot be read, and AwsError where S3 does not take it.
    """
    # Not read before: one that is deleted in this moment would be told as kept.
    if Picture.objects.filter(sha256=payload.sha256).update(used_at=clock.now()):
        note_giver(giver, payload)
        return payload.sha256
    if not payload.thumbnail:
        made = prepare(io.BytesIO(payload.data), payload.name)
        payload = replace(payload, thumbnail=made.thumbnail, preview=made.preview)
    picture = payload.picture(used_at=clock.now())
    if len(payload.data) > INLINE_BYTES:
        _upload(picture)
    _write_rows([picture])
    note_giver(giver, payload)
    return payload.sha256


class Storing:
    """The thread that writes large pictures to S3, and then their rows.

    ``inline``: at once, in the thread that gives them; for tests.
    """

    def __init__(self, *, inline: bool = False) -> None:
        self._inline = inline
        self._waiting: queue.Queue[Picture] = queue.Queue()
        self._lock = threading.Lock()
        self._unwritten: dict[str, int] = {}
        self._calls: dict[str, set[str]] = {}
        self._thread: threading.Thread | None = None

    def put(self, picture: Picture, calls: Iterable[str]) -> None:
        """Have it written; where too much waits already, it is not kept.

        ``calls``: the uids of those that it is sent with.
        """
        if self._inline:
            _store(picture, lambda: set(calls))
            return
        with self._lock:
            bytes_waiting = sum(self._unwritten.values())
            if picture.sha256 in self._unwritten:
                self._calls[picture.sha256].update(calls)
                return
            if len(self._unwritten) >= _MOST_WAITING or bytes_waiting > _MOST_BYTES:
                logger.warning("A picture is not kept: too many wait for the store.")
                return
            if self._thread is None:
                self._thread = threads.started(self._work, name="pictures")
            if self._thread is None:
                logger.warning("A picture is not kept.")
                return
            self._unwritten[picture.sha256] = len(picture.data)
            self._calls[picture.sha256] = set(calls)
        self._waiting.put(picture)

    def _work(self) -> None:
        while True:
            picture = self._waiting.get()
            close_old_connections()
            try:
                _store(picture, partial(self._calls_of, picture.sha256))
            except DatabaseError as error:
                logger.warning("A picture is not kept: %s", error)
            except Exception:  # the thread must go on
                logger.exception("A picture is not kept.")
            finally:
                close_old_connections()
                with self._lock:
                    self._unwritten.pop(picture.sha256, None)
                    self._calls.pop(picture.sha256, None)

    def _calls_of(self, sha256: str) -> set[str]:
        with self._lock:
            return set(self._calls[sha256])


@cache
def storing() -> Storing:
    """This process's, made when it is first needed: threads do not survive a fork."""
    return Storing()


def _store(picture: Picture, calls: Callable[[], set[str]]) -> None:
    """The object first, then the row; a picture that is kept already is kept for longer.

    One that was forgotten meanwhile is not kept. ``calls`` gives the uids of those that it is sent
    with.
    """
    if Picture.objects.filter(sha256=picture.sha256).update(used_at=clock.now()):
        return
    try:
        _upload(picture)
    except AwsError as error:
        logger.warning("A picture is not kept, as the store did not take it: %s", error)
        return
    with transaction.atomic():
        forgotten = _is_forgotten(picture.sha256, calls())
        if not forgotten:
            _write_rows([picture])
    if forgotten:
        s3.delete(bucket=picture.bucket, key=picture.key)


def _is_forgotten(sha256: str, calls: set[str]) -> bool:
    """Whether the picture of all these calls was forgotten (forgetting.py).

    Their rows stay locked until the picture's is written: who forgets after that finds it. One that
    has no row yet was not forgotten.
    """
    rows = Invocation.everybodys.select_for_update(of=("self",)).filter(uid__in=calls)
    named = list(rows.values_list("picture_sha256", flat=True))
    return bool(calls) and len(named) == len(calls) and sha256 not in named


def _upload(picture: Picture) -> None:
    """Write the bytes to S3, and to the row where they are. Raises AwsError."""
    data = bytes(picture.data)
    key = f"{settings.PICTURES_PREFIX}/{uuid4().hex}"
    s3.upload(bucket=settings.MODEL_BUCKET, key=key, file=io.BytesIO(data))
    picture.data, picture.bucket, picture.key = b"", settings.MODEL_BUCKET, key


def note_giver(user: Any, payload: Payload) -> None:
    """Write down who gave a picture that is kept without a call of theirs; idempotent."""
    told = {"at": clock.now(), "name": payload.name[:255]}
    PictureGiver.objects.update_or_create(user=user, sha256=payload.sha256, defaults=told)


def seen_by(user: Any) -> models.QuerySet[Picture]:
    """The pictures that are kept, as far as somebody may see them: their own, or all."""
    rows = Picture.objects.all()
    if seeing.sees_all(user):
        return rows
    sent = Invocation.everybodys.filter(created_by=user).exclude(picture_sha256="")
    given = PictureGiver.objects.filter(user=user)
    return rows.filter(
        Q(sha256__in=sent.values("picture_sha256")) | Q(sha256__in=given.values("sha256"))
    )


def names_of(user: Any, pictures: Iterable[Picture]) -> dict[str, str]:
    """What these are called, by their SHA-256: to who sees no calls of others, as they named it.

    A picture is kept once, with the name by which it was sent last, whoever sent it.
    """
    names = {one.sha256: one.name for one in pictures}
    if not names or seeing.sees_all(user):
        return names
    calls = Invocation.everybodys.filter(created_by=user, picture_sha256__in=names)
    given = PictureGiver.objects.filter(user=user, sha256__in=names)
    mine = dict(calls.order_by("pk").values_list("picture_sha256", "picture_name"))
    mine |= dict(given.values_list("sha256", "name"))
    return {sha256: mine.get(sha256, "") for sha256 in names}


def may_see(sha256: str) -> bool:
    """Whether who reads may see this picture, and send it."""
    reader = guarded.reader()
    if reader is None or seeing.sees_all(reader):
        return True
    if Invocation.objects.filter(picture_sha256=sha256).exists():
        return True
    return PictureGiver.objects.filter(user=reader.pk, sha256=sha256).exists()


def find(sha256: str) -> Picture | None:
    """A picture that is kept, also where it was sent a moment ago."""
    rows = Picture.objects.filter(sha256=sha256)
    until = time.monotonic() + _WAIT_S
    while (found := rows.first()) is None and len(sha256) == 64 and time.monotonic() < until:
        time.sleep(_LOOK_EVERY_S)
    return found


def content(picture: Picture) -> bytes:
    """What was sent. Raises an AwsError where S3 does not give it."""
    if not picture.key:
        return bytes(picture.data)
    return b"".join(s3.download(bucket=picture.bucket, key=picture.key))


def payload_of(picture: Picture) -> Payload:
    """What is sent where a picture is sent again. Raises AwsError as `content`."""
    data = content(picture)
    try:
        sent_as = as_it_is(data)
    except (decoding.NoPicture, decoding.Unreadable):
        sent_as = None  # the model says what is wrong with it
    return Payload(
        name=picture.name,
        content_type=picture.content_type,
        data=data,
        kept_type=picture.content_type,
        thumbnail=bytes(picture.thumbnail),
        preview=bytes(picture.preview) if picture.preview else None,
        made_smaller=picture.made_smaller,
        sent_as=sent_as,
    )


def with_thumbnail(picture: Picture) -> Picture:
    """The picture with thumbnail and preview, which are made now where they are missing.

    Raises NotAPicture, and AwsError as `content`.
    """
    if not picture.thumbnail or not picture.preview:
        made = prepare(io.BytesIO(content(picture)), picture.name)
        picture.thumbnail, picture.preview = made.thumbnail, made.preview
        rows = Picture.objects.filter(pk=picture.pk)
        rows.update(thumbnail=picture.thumbnail, preview=picture.preview)
    return picture


def thumbnail_of(call: Invocation) -> bytes:
    """The small JPEG of what was sent; empty where there is none, or it is no longer kept."""
    if call.thumbnail or not call.picture_sha256:
        return bytes(call.thumbnail)
    picture = _readable(call.picture_sha256)
    if picture is None:
        return b""
    if call.created_at < _thumbnails_since():
        return bytes(picture.thumbnail)  # somebody has sent it again since
    # Not where the picture was forgotten meanwhile.
    rows = Invocation.objects.filter(pk=call.pk, picture_sha256=call.picture_sha256)
    rows.update(thumbnail=picture.thumbnail)
    return bytes(picture.thumbnail)


def preview_of(sha256: str) -> bytes:
    """The larger JPEG of what was sent, while it is kept; else empty."""
    picture = _readable(sha256)
    return bytes(picture.preview or b"") if picture is not None else b""


def _readable(sha256: str) -> Picture | None:
    rows = Picture.objects.filter(sha256=sha256)
    picture = rows.defer("data").first()
    if picture is None:
        return None
    try:
        return with_thumbnail(picture)
    except (NotAPicture, AwsError) as error:
        logger.warning("A kept picture cannot be shown: %s", error)
        return None


def delete(sha256: str, *, waits: bool = True) -> None:
    """Delete a picture now: its object, then its row. Raises AwsError; then both stay.

    ``waits``: for one that is being written, for half a second.
    """
    picture = find(sha256) if waits else Picture.objects.filter(sha256=sha256).first()
    if picture is None:
        return
    if picture.key:
        s3.delete(bucket=picture.bucket, key=picture.key)
    picture.delete()


def sweep() -> None:
    """Drop the pictures that were kept long enough.

    Their rows first: one that is sent again meanwhile stays, with its object. An object that S3
    does not delete is named by no row, and `sweep_objects` deletes it.
    """
    expired = Picture.objects.expired()
    # Asked first: a write that changes nothing takes SQLite's one lock all the same.
    if not expired.exists():
        return
    for picture in list(expired.exclude(key="").only("pk", "bucket", "key")[:1000]):
        if not expired.filter(pk=picture.pk).delete()[0]:
            continue
        try:
            s3.delete(bucket=picture.bucket, key=picture.key)
        except AwsError as error:
            logger.warning("The object of an old picture is deleted later: %s", error)
    expired.filter(key="").delete()
    old = PictureGiver.objects.filter(at__lt=clock.now() - Picture.kept_for())
    old.exclude(sha256__in=Picture.objects.values("sha256")).delete()


def _thumbnails_since() -> datetime:
    """Of calls before this the thumbnails are not kept."""
    return clock.now() - timedelta(days=settings.THUMBNAILS_KEPT_DAYS)


def sweep_thumbnails() -> int:
    """Drop the thumbnails of calls that are old enough; returns of how many calls."""
    gone = 0
    old = Invocation.objects.filter(created_at__lt=_thumbnails_since()).exclude(thumbnail=b"")
    while pks := list(old.values_list("pk", flat=True)[:_THUMBNAILS_AT_ONCE]):
        gone += Invocation.objects.filter(pk__in=pks).update(thumbnail=b"")
    return gone


def sweep_objects() -> None:
    """Delete what no row names, of pictures and of test sets.

    Only what is older than a day: a younger one may be about to get its row. Raises AwsError, when
    what could be deleted is.
    """
    do_each(
        partial(_sweep_below, settings.PICTURES_PREFIX, Picture),
        partial(_sweep_below, settings.TEST_SETS_PREFIX, LabelledPicture),
    )


def _sweep_below(prefix: str, kind: type[Picture] | type[LabelledPicture]) -> None:
    before = clock.now() - _ORPHANED_AFTER
    for found in s3.listing(bucket=settings.MODEL_BUCKET, prefix=f"{prefix}/"):
        rows = kind.objects.filter(key=found.key)
        if found.modified < before and not rows.exists():
            s3.delete(bucket=settings.MODEL_BUCKET, key=found.key)
