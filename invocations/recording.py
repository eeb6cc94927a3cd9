"""How calls get into rows: a line of the journal before the answer, the row after it.

A warm call takes milliseconds, and a row takes some of them: so the API's answer waits for a line
of a file alone (invocations/journal.py), and a thread of this process writes the rows of what was
answered, many in one transaction. A call that takes longer has a row at once, with a lease, as
before: where the model is loading, where a page looks at it, and after some seconds in any case.

- What is not in a row when the process is killed is read from its journal by another process, and
  becomes a row then (`replay`): once, as a row is known by its ``uid``.
- A call that was begun and not ended by a dead process has failed.
- Who asks for a call right after its answer waits for its row (`wait_for`).
- Where the journal cannot be written, each row is written before the answer.
"""

import atexit
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    close_old_connections,
    connection,
    transaction,
)

from core import clock, threads
from core.lease import LeaseLost
from endpoints.models import Endpoint
from invocations import journal, pictures_kept
from invocations.inserting import insert
from invocations.models import Invocation
from invocations.payload import Payload
from models_catalog.models import Version

logger = logging.getLogger(__name__)

#: The pause before a write is tried again, and for how long it is.
BETWEEN_TRIES_S = 1.0
WRITE_FOR_S = 120.0
# Calls that may wait for their rows, and the bytes of their pictures.
MOST_WAITING = 2000
MOST_BYTES = 64 << 20
_BATCH = 100
#: What the database raises of a row that it never takes, however often it is tried.
REFUSED = (IntegrityError, DataError, ValueError)
# How long the thread waits for further calls, so that many rows are one transaction.
LINGER_S = 0.1
# How long who asks for a call waits for its row.
_WAIT_S = 5.0
_OTHERS_WAIT_S, _LOOK_EVERY_S = 0.5, 0.02

# What a line of the journal has of a call when it begins, and when it ends.
_BEGINS = (
    "endpoint_id", "version_id", "target_model", "asked", "created_by_id", "picture_name",
    "picture_sha256", "sent_bytes", "scaled", "scaled_code", "sent_as", "warming",
    "asked_variant",
)  # fmt: skip
_ENDS = (
    "state", "error", "error_code", "predictions", "cold", "attempts", "latency_ms", "timings",
    "request_id", "variant", "put_out",
)  # fmt: skip


def write(change: Callable[[], int]) -> int:
    """Write to the database, and return what ``change`` does.

    Retried for two minutes where the database is locked, full or away: a backup that locks it must
    not lose an answer of SageMaker. Raises what the last try raised.
    """
    until = time.monotonic() + WRITE_FOR_S
    while True:
        try:
            return change()
        except (OperationalError, InternalError, InterfaceError) as error:
            if time.monotonic() > until:
                raise
            logger.warning("an answer waits for the database: %s", error)
            connection.close_if_unusable_or_obsolete()
        time.sleep(BETWEEN_TRIES_S)


class Recorded:
    """A call and its row, which may not be written yet. One thread makes the call."""

    def __init__(self, row: Invocation, payload: Payload | None = None) -> None:
        self.row = row
        self.uid = row.uid or ""
        #: Kept for a day, with the row; None where it is kept already, or is no picture.
        self.payload = payload
        self._lock = threading.RLock()
        self._dropped = False
        self.written = row.pk is not None

    def begin(self) -> None:
        """Note that the call is made now; where that is impossible, write the row."""
        line = self._columns(_BEGINS) | {"created_at": self.row.created_at.isoformat()}
        if not self.written and not recorder().note(self.uid, line):
            self.write_now()

    def _columns(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: getattr(self.row, name) for name in names}

    def write_if_unfinished(self) -> bool:
        """Write the row of a call that goes on, with a lease, if it is not there; whether it is.

        One that has ended meanwhile is written by who notes its end: written here too, it would be
        there twice.
        """
        with self._lock:
            if not self.row.settled and not self._dropped:
                self.write_now(patiently=False)
            return self.written

    def write_now(self, *, patiently: bool = True) -> None:
        """Write the row as it is now, if it is not there; unfinished, it has a lease."""
        with self._lock:
            if self.written:
                return
            if not self.row.settled:
                self.row.leased_until = clock.now() + Invocation.LEASE
            if patiently:
                write(self._insert)
            else:
                self._insert()
            self.written = True
            if self.row.settled:
                recorder().forget([self.uid])

    def _insert(self) -> int:
        try:
            self.row.save(force_insert=True)
        except IntegrityError:
            # It is there where the try before was written, and the connection lost over that.
            rows = Invocation.everybodys.filter(uid=self.uid).values_list("pk", flat=True)
            if (pk := rows.first()) is None:
                raise
            self.row.pk = pk
        return 1

    def change(self, **fields: object) -> None:
        """Write columns of a call that goes on. Raises LeaseLost where it was given up."""
        with self._lock:
            self._set(fields)
            if self.written:
                self._update(fields)
            else:
                self.write_now()

    def finish(self, **fields: object) -> None:
        """Note how the call ended. Raises LeaseLost where its row was given up.

        A row that is there is changed; one that is not is written by who asks for it
        (`write_now`), or by the thread (`Recorder.hand_over`).
        """
        with self._lock:
            self._set(fields | {"leased_until": None})
            noted = recorder().note(self.uid, self._columns(_ENDS))
            if self.written:
                try:
                    self._update(fields | {"leased_until": None})
                finally:
                    recorder().forget([self.uid])
            elif not noted:
                self.write_now()

    def set_thumbnail(self, thumbnail: bytes) -> None:
        """What the lists show of the picture."""
        with self._lock:
            self.row.thumbnail = thumbnail
            if self.written:
                # Not where the picture was forgotten meanwhile.
                named = {"pk": self.row.pk, "picture_sha256": self.row.picture_sha256}
                Invocation.objects.filter(**named).update(thumbnail=thumbnail)

    def drop(self) -> None:
        """The call is not made: nothing is left of it, and the heartbeat writes no row any more."""
        with self._lock:
            self._dropped = True
            if self.written:
                self.row.delete()
            recorder().forget([self.uid])

    def _set(self, fields: dict[str, Any]) -> None:
        for name, value in fields.items():
            setattr(self.row, name, value)

    def _update(self, fields: dict[str, Any]) -> None:
        mine = Invocation.objects.unfinished().filter(pk=self.row.pk)
        if write(lambda: mine.update(**fields)) != 1:
            raise LeaseLost


class Recorder:
    """The journal of this process, and the thread that writes what was answered into rows.

    ``inline``: rows are written at once, in the thread that hands them over; for tests.
    """

    def __init__(self, folder: Path, *, inline: bool = False) -> None:
        self._inline = inline
        self._waiting: queue.Queue[Recorded] = queue.Queue(MOST_WAITING)
        self._changed = threading.Condition()
        self._unwritten: set[str] = set()
        self._bytes = 0
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self._journal: journal.Journal | None = None
        self._complained = False
        try:
            self._journal = journal.Journal(folder)
        except OSError as error:
            self._complain(error)

    def note(self, uid: str, line: journal.Line) -> bool:
        """Write a line of the journal; False where that is impossible."""
        if self._journal is None:
            return False
        try:
            self._journal.write(uid, line)
        except OSError as error:
            self._complain(error)
            return False
        return True

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            logger.warning("No journal, so rows are written before the answers: %s", error)

    def forget(self, uids: list[str]) -> None:
        """The rows of these calls are written, or never will be."""
        if self._journal is None:
            return
        try:
            self._journal.forget(uids)
        except OSError as error:  # it grows on: a full disk, or its folder is gone
            logger.warning("The journal is not written anew: %s", error)

    def hand_over(self, recorded: Recorded) -> None:
        """Write the row of a call that has ended, soon; at once where too many wait for theirs."""
        size = len(recorded.payload.data) if recorded.payload is not None else 0
        if self._inline or not self._take(recorded, size):
            _write_rows([recorded])
            self.forget([recorded.uid])
            return
        self._waiting.put(recorded)

    def _take(self, recorded: Recorded, size: int) -> bool:
        with self._changed:
            if len(self._unwritten) >= MOST_WAITING or self._bytes + size > MOST_BYTES:
                return False
            if self._thread is None:
                self._thread = threads.started(self._work, name="calls")
            if self._thread is None:
                return False
            self._unwritten.add(recorded.uid)
            self._bytes += size
        return True

    def _work(self) -> None:
        while True:
            batch = [self._waiting.get()]
            if self._hurry.wait(LINGER_S):
                self._hurry.clear()
            while len(batch) < _BATCH:
                try:
                    batch.append(self._waiting.get_nowait())
                except queue.Empty:
                    break
            written = self._written(batch)
            uids = [each.uid for each in batch]
            if written:
                self.forget(uids)
            with self._changed:
                self._unwritten.difference_update(uids)
                self._bytes -= sum(len(each.payload.data) for each in batch if each.payload)
                self._changed.notify_all()

    def _written(self, batch: list[Recorded]) -> bool:
        """Whether the rows are there; what the database never took stays in the journal."""
        close_old_connections()
        try:
            _write_rows(batch)
        except Exception:  # the thread must go on
            logger.exception("The rows of %d calls stay in the journal.", len(batch))
            return False
        finally:
            close_old_connections()
        return True

    def wait_for(self, uid: str) -> bool:
        """Wait until the row of a call is written that this process has answered.

        True where it was such a call.
        """
        with self._changed:
            if uid not in self._unwritten:
                return False
            self._hurry.set()
            self._changed.wait_for(lambda: uid not in self._unwritten, _WAIT_S)
        return True

    def settle(self) -> None:
        """Wait until all that was handed over so far is written, some seconds at most."""
        with self._changed:
            before = set(self._unwritten)
            if before:
                self._hurry.set()
            self._changed.wait_for(lambda: not before & self._unwritten, _WAIT_S)

    def close(self) -> None:
        """End: write what waits, and give the journal back."""
        self.settle()
        if self._journal is not None:
            self._journal.close()


@cache
def recorder() -> Recorder:
    """This process's, made when it is first needed: threads do not survive a fork."""
    made = Recorder(Path(settings.JOURNAL_DIR))
    atexit.register(made.close)
    return made


os.register_at_fork(after_in_child=recorder.cache_clear)


def find(uid: str) -> Invocation | None:
    """The call of this id, also where it was answered a moment ago; None where there is none.

    The row of one that another process has answered is waited for, for half a second.
    """
    rows = Invocation.objects.listed().filter(uid=uid)
    recorder().wait_for(uid)
    found = rows.first()
    until = time.monotonic() + _OTHERS_WAIT_S
    while found is None and _is_uid(uid) and time.monotonic() < until:
        time.sleep(_LOOK_EVERY_S)
        found = rows.first()
    return found


def _is_uid(text: str) -> bool:
    return len(text) == 32 and text.isascii() and text.isalnum()


# --- rows ------------------------------------------------------------------------------------


def _write_rows(batch: list[Recorded]) -> None:
    """Write the rows of calls that have ended, and keep their pictures."""
    pictures = {each.payload.sha256: each.payload for each in batch if each.payload is not None}

    def written() -> int:
        with transaction.atomic():
            if pictures:
                now = clock.now()
                pictures_kept.keep_all(
                    [each.picture(used_at=now) for each in pictures.values()],
                    _calls_by_picture(batch),
                )
            insert([each.row for each in batch if not each.written])
        return len(batch)

    try:
        write(written)
    except REFUSED:
        for each in batch:
            _write_alone(each)
    for each in batch:
        each.written = True


def _calls_by_picture(batch: list[Recorded]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in batch:
        if each.payload is not None:
            found.setdefault(each.payload.sha256, []).append(each.uid)
    return found


def _write_alone(recorded: Recorded) -> None:
    """One row, where something that it names has gone meanwhile, or it is there already.

    One that the database does not take is left out, and keeps no other from being written.
    """
    values = {name: getattr(recorded.row, name) for name in (*_BEGINS, *_ENDS)}
    values["created_at"] = recorded.row.created_at

    def written() -> int:
        if recorded.payload is not None:
            with transaction.atomic():
                pictures_kept.keep_all(
                    [recorded.payload.picture(used_at=clock.now())], _calls_by_picture([recorded])
                )
        return recorded.written or _replayed(recorded.uid, dict(values))

    try:
        write(written)
    except REFUSED:
        logger.exception("The database does not take the call %s.", recorded.uid)


# --- after a kill ----------------------------------------------------------------------------


def replay() -> int:
    """Write the rows of the calls of processes that are gone; returns of how many.

    Beat has this called, and each process of the web server when it begins. Raises DatabaseError,
    after which the journal is still there.
    """
    count = 0
    for lines in journal.of_the_dead(Path(settings.JOURNAL_DIR)):
        calls: dict[str, dict[str, Any]] = {}
        for line in lines:
            calls.setdefault(str(line.pop("uid")), {}).update(line)
        for uid, values in calls.items():
            try:
                count += _replayed(uid, values)
            except (*REFUSED, KeyError):
                # Tried again it would keep all others from being written for good.
                logger.exception("The call %s of the journal becomes no row.", uid)
    if count:
        logger.warning("Wrote the rows of %d calls of a process that was killed.", count)
    return count


def _replayed(uid: str, values: dict[str, Any]) -> bool:
    """Write a row by what the journal has of it; False where it is there, or names what is gone."""
    given = {name: values[name] for name in (*_BEGINS, *_ENDS) if name in values}
    ended = "state" in given
    if not ended:
        given |= Invocation.given_up()
    rows = Invocation.objects.filter(uid=uid)
    with transaction.atomic():
        # Of one that has a row and had no end the lease runs out, and the sweep says so.
        if rows.exists():
            changes = {name: given[name] for name in _ENDS if name in given}
            return ended and rows.unfinished().update(**changes, leased_until=None) == 1
        if not _names_what_is_there(given):
            logger.warning("The call %s names an endpoint or a version that is gone.", uid)
            return False
        made = values["created_at"]
        if isinstance(made, str):
            made = datetime.fromisoformat(made)
        Invocation.objects.bulk_create(
            [Invocation(uid=uid, created_at=made, leased_until=None, **given)],
            ignore_conflicts=True,
        )
    return True


def _names_what_is_there(given: dict[str, Any]) -> bool:
    person = given["created_by_id"]
    if person is not None and not User.objects.filter(pk=person).exists():
        given["created_by_id"] = None
    endpoint = Endpoint.objects.filter(pk=given["endpoint_id"])
    return endpoint.exists() and Version.objects.filter(pk=given["version_id"]).exists()


def replay_when_it_begins() -> None:
    """In a thread of its own: `replay`, until the database takes it."""

    def run() -> None:
        try:
            while True:
                try:
                    replay()
                except DatabaseError as error:
                    logger.warning("A journal waits for the database: %s", error)
                    connection.close()
                    time.sleep(BETWEEN_TRIES_S)
                else:
                    return
        finally:
            connection.close()

    threading.Thread(target=run, name="calls-replay", daemon=True).start()
