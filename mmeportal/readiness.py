"""Whether the portal can do its work, part by part; asked by `/readyz` and the page `/status/`.

Each part is checked in a thread of its own, one at a time, whoever asks; what it found holds for
five seconds. So many who ask cost no more than one, and a part that hangs holds one thread and
keeps nobody longer than :data:`PATIENCE_S`: it counts as not well until its answer is there.
"""

import copy
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.utils import load_backend
from django.utils import timezone

from core import clock, errors, heartbeat
from endpoints import sagemaker
from models_catalog import s3

log = logging.getLogger(__name__)

HOLDS_S = 5.0
PATIENCE_S = 1.4
CLOCKS_APART_S = 5.0
_SIGNATURES_S = 300.0  # AWS takes signatures of the last five minutes
_FULL_BYTES = 10 << 20
_FULL_FILES = 100


class State(StrEnum):
    """How a part is."""

    OK = "ok"
    DEGRADED = "degraded"  # something is missing, but the portal does its work
    DOWN = "down"


class NotWell(Exception):
    """A check's finding: the sentence that says what is wrong."""


class Short(NotWell):
    """As NotWell, but of something with which the portal can still do its work."""


@dataclass(frozen=True)
class Found:
    """What a check found, and when (by the monotonic clock)."""

    name: str
    state: State
    sentence: str
    at: float

    @property
    def age_s(self) -> float:
        """Seconds since it was found."""
        return time.monotonic() - self.at


@dataclass(frozen=True)
class Report:
    """All parts at one time."""

    parts: list[Found]

    @property
    def state(self) -> State:
        """That of the part that is worst."""
        states = {part.state for part in self.parts}
        return next(state for state in (State.DOWN, State.DEGRADED, State.OK) if state in states)

    @property
    def ready(self) -> bool:
        """Whether the portal can do its work."""
        return self.state != State.DOWN

    def part(self, name: str) -> Found:
        """What was found of one part; KeyError where there is none of that name."""
        return {part.name: part for part in self.parts}[name]

    def as_json(self) -> dict[str, Any]:
        """For whoever may see it all."""
        return {
            "status": self.state.value,
            "parts": {
                part.name: {
                    "state": part.state.value,
                    "sentence": part.sentence,
                    "age_s": round(part.age_s, 1),
                }
                for part in self.parts
            },
        }


class Check:
    """One part: how it is looked at, and what was found last.

    ``look`` returns a sentence where all is well, and raises NotWell where it is not. ``vital``
    says whether the portal is down without it.
    """

    def __init__(self, name: str, look: Callable[[], str], *, vital: bool) -> None:
        self.name = name
        self._look = look
        self._vital = vital
        self._lock = threading.Lock()
        self._found: Found | None = None
        self._began: float | None = None  # of the look that is under way
        self._done = threading.Event()
        self._told = State.OK

    def begin(self) -> None:
        """See that what was found is fresh, or that somebody looks; does not wait."""
        with self._lock:
            fresh = self._found is not None and self._found.age_s < HOLDS_S
            if fresh or self._began is not None:
                return
            self._began = time.monotonic()
            self._done = threading.Event()
            thread = threading.Thread(target=self._run, name=f"ready-{self.name}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the machine has no thread left
                self._began = None
                self._found = Found(
                    self.name, State.DOWN, f"No thread could look: {error}.", time.monotonic()
                )

    def result(self) -> Found:
        """What was found; waits for a look that is under way, but only as long as it may take."""
        with self._lock:
            began, found, done = self._began, self._found, self._done
        if began is not None:
            done.wait(max(0.0, began + PATIENCE_S - time.monotonic()))
            with self._lock:
                found = self._found if self._began != began else None
        if found is not None:
            return found
        waited = time.monotonic() - (began or time.monotonic())
        late = Found(
            self.name, self._bad(), f"It has not answered for {waited:.1f} s.", time.monotonic()
        )
        self._tell(late)
        return late

    def _bad(self) -> State:
        return State.DOWN if self._vital else State.DEGRADED

    def _run(self) -> None:
        state, sentence = State.OK, ""
        try:
            sentence = self._look()
        except Short as finding:
            state, sentence = State.DEGRADED, str(finding)
        except NotWell as finding:
            state, sentence = self._bad(), str(finding)
        except Exception as error:
            # Nobody foresaw it, and the thread must say something; the log has the traceback.
            log.exception("The check of %s failed", self.name)
            state, sentence = self._bad(), f"It could not be checked: {type(error).__name__}."
        sentence = " ".join(sentence.split())  # a server's answer may have lines
        found = Found(self.name, state, sentence, time.monotonic())
        self._tell(found)
        with self._lock:
            self._found, self._began = found, None
            self._done.set()

    def _tell(self, found: Found) -> None:
        """Log a change; what stays as it is, is not said again every five seconds."""
        with self._lock:
            before, self._told = self._told, found.state
        if found.state != before:
            level = logging.INFO if found.state == State.OK else logging.WARNING
            log.log(level, "Ready check: %s is %s. %s", self.name, found.state, found.sentence)


class Board:
    """All checks of this process."""

    def __init__(self, checks: list[Check]) -> None:
        self._checks = checks

    def report(self) -> Report:
        """How all parts are; within :data:`PATIENCE_S`, whatever hangs."""
        for check in self._checks:
            check.begin()
        return Report([check.result() for check in self._checks])


def all_checks() -> Board:
    """A board with every part that the portal stands on."""
    return Board(
        [
            Check("database", look_at_database, vital=True),
            Check("disk", look_at_disk, vital=True),
            Check("store", look_at_store, vital=True),
            Check("redis", look_at_redis, vital=False),
            Check("clock", look_at_clock, vital=False),
            Check("worker", lambda: look_at_heartbeats("worker"), vital=False),
            Check("beat", lambda: look_at_heartbeats("beat"), vital=False),
            Check("sagemaker", look_at_sagemaker, vital=False),
        ]
    )


# --- the parts ------------------------------------------------------------------------------------


@contextmanager
def _own_connection() -> Iterator[BaseDatabaseWrapper]:
    """A connection beside those of the requests, which gives up after a second."""
    wanted = copy.deepcopy(connection.settings_dict)
    options = wanted.setdefault("OPTIONS", {})
    if connection.vendor == "sqlite":
        options["timeout"] = 1
    elif connection.vendor == "postgresql":
        options["connect_timeout"] = 2  # the least that libpq takes
        options["options"] = "-c statement_timeout=1000 -c lock_timeout=1000"
        options.pop("pool", None)
    wanted["CONN_MAX_AGE"] = 0
    made = load_backend(wanted["ENGINE"]).DatabaseWrapper(wanted, "ready")
    try:
        yield made
    finally:
        made.close()


@cache
def _migrations() -> frozenset[tuple[str, str]]:
    """All migrations of this program, by app and name."""
    return frozenset(MigrationLoader(None).graph.nodes)


def look_at_database() -> str:
    """It answers, has all migrations, and takes a row and gives it back."""
    try:
        with _own_connection() as own:
            with own.cursor() as cursor:
                cursor.execute("SELECT app, name FROM django_migrations")
                missing = _migrations() - set(cursor.fetchall())
            if missing:
                names = ", ".join(sorted(f"{app}.{name}" for app, name in missing)[:3])
                raise NotWell(
                    f"{len(missing)} migrations are not applied ({names}); run manage.py migrate."
                )
            _write(own)
    except DatabaseError as error:
        raise NotWell(f"It does not take a row: {str(error).strip()}") from error
    return "It has all migrations and takes a row."


def _write(own: BaseDatabaseWrapper) -> None:
    """Write a row and delete it again, in one transaction that is committed.

    A roll-back would write nothing to the disk in SQLite, so a full one would not be noticed.
    """
    row = f"readyz-{os.uname().nodename}-{os.getpid()}"[:40]
    table = own.ops.quote_name("django_session")
    own.set_autocommit(False)
    try:
        with own.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table} (session_key, session_data, expire_date)"  # noqa: S608
                " VALUES (%s, %s, %s)",
                [row, "", own.ops.adapt_datetimefield_value(timezone.now() + timedelta(hours=1))],
            )
            cursor.execute(f"DELETE FROM {table} WHERE session_key = %s", [row])  # noqa: S608
        own.commit()
    finally:
        own.rollback()


def look_at_disk() -> str:
    """There is room where uploads lie, and where the database is if that is a file."""
    folders = [Path(settings.FILE_UPLOAD_TEMP_DIR or tempfile.gettempdir())]
    if connection.vendor == "sqlite":
        folders.append(Path(connection.settings_dict["NAME"]).parent)
    least = None
    for folder in dict.fromkeys(folders):
        try:
            disk = os.statvfs(folder)
        except OSError as error:
            raise NotWell(f"{folder} cannot be used: {error.strerror}.") from error
        free = disk.f_bavail * disk.f_frsize
        if disk.f_flag & os.ST_RDONLY:
            raise NotWell(f"{folder} is read-only.")
        if free < _FULL_BYTES or (disk.f_files and disk.f_favail < _FULL_FILES):
            raise NotWell(f"The disk of {folder} is full: {free >> 20:,} MB are free.")
        least = free if least is None else min(least, free)
    assert least is not None
    if least < settings.MIN_FREE_MB << 20:
        raise Short(
            f"{least >> 20:,} MB are free, less than the {settings.MIN_FREE_MB} of MIN_FREE_MB."
        )
    return f"{least >> 20:,} MB are free."


def look_at_store() -> str:
    """The bucket of the store lists its prefix."""
    try:
        _look_into_store()
    except errors.AwsError as error:
        raise NotWell(str(error)) from error
    return "It lists its keys."


def _look_into_store() -> datetime | None:
    prefix = settings.MODEL_PREFIX
    return s3.look(bucket=settings.MODEL_BUCKET, prefix=f"{prefix}/" if prefix else "")


def look_at_sagemaker() -> str:
    """SageMaker's control plane answers."""
    try:
        sagemaker.look()
    except errors.AwsError as error:
        raise NotWell(str(error)) from error
    return "It answers."


def look_at_redis() -> str:
    """Redis answers, and takes a key: one that is full or can only be read does not."""
    try:
        with heartbeat.connect(1.0) as client:
            client.set(f"mme:ready:{os.uname().nodename}:{os.getpid()}", "", px=10_000)
    except redis.ResponseError as error:
        raise NotWell(
            "It answers, and takes nothing, so jobs begin only when it does again: "
            f"{_why_it_refuses(error)}"
        ) from error
    except redis.RedisError as error:
        raise NotWell(
            f"It does not answer, so jobs begin only when beat has found them: {error}"
        ) from error
    return "It answers."


def _why_it_refuses(error: redis.ResponseError) -> str:
    if isinstance(error, redis.exceptions.ReadOnlyError):
        return "it is a replica, which can only be read. Make it the primary, or name that one."
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return "it is full (maxmemory). Give it more memory, or see who fills it."
    return f"{error}"


def look_at_clock() -> str:
    """This host's clock beside those of the database, Redis and S3.

    Nothing of the portal's own depends on it, and AWS's requests are signed by AWS's clock
    (core/aws.py); but sessions, certificates and other programs of this host do.
    """
    apart = {}
    for name, look in _CLOCKS.items():
        began = time.time()
        try:
            theirs = look()
        except (DatabaseError, redis.RedisError, errors.AwsError):
            continue  # the check of that part says so
        if theirs is not None:
            apart[name] = theirs - (began + time.time()) / 2
    if not apart:
        raise Short("No other clock could be asked.")
    told = ", ".join(f"{name} {round(-seconds, 1) + 0.0:+.1f} s" for name, seconds in apart.items())
    worst = max(apart.values(), key=abs)
    if abs(worst) <= CLOCKS_APART_S:
        return f"This host's clock against others: {told}."
    more = ""
    if abs(worst) > _SIGNATURES_S:
        more = " AWS refuses signatures that are so far off; the portal signs by AWS's clock."
    raise Short(
        f"This host's clock against others: {told}. Set up NTP on the host that is off.{more}"
    )


def _time_of_database() -> float | None:
    with _own_connection() as own:
        return clock.now(own).timestamp()


def _time_of_redis() -> float | None:
    with heartbeat.connect(1.0) as client:
        return clock.of_redis(client)


def _time_of_store() -> float | None:
    date = _look_into_store()
    # It has whole seconds: half of one is right on average.
    return None if date is None else date.timestamp() + 0.5


_CLOCKS: dict[str, Callable[[], float | None]] = {
    "the database": _time_of_database,
    "Redis": _time_of_redis,
    "S3": _time_of_store,
}


def look_at_heartbeats(kind: str) -> str:
    """At least one of a kind reported lately, and no clock is far from Redis's."""
    try:
        with heartbeat.connect(1.0) as client:
            found = heartbeat.read_all(client, kind)
    except redis.RedisError as error:
        raise NotWell("Nothing is known of it, as Redis does not answer.") from error
    if not found:
        raise NotWell(f"No {kind} has reported for {heartbeat.KEPT_S:.0f} s.")
    newest = found[0]
    if newest.late:
        raise NotWell(f"{newest.host} reported {newest.age_s:.0f} s ago, and no {kind} since.")
    for beat in found:
        if abs(beat.ahead_s) > CLOCKS_APART_S:
            side = "ahead of" if beat.ahead_s > 0 else "behind"
            raise NotWell(
                f"The clock of {beat.host} is {abs(beat.ahead_s):.0f} s {side} Redis's. "
                "Jobs do not depend on it; set up NTP all the same."
            )
    apart = max(abs(beat.ahead_s) for beat in found)
    hosts = f", {len(found)} hosts" if len(found) > 1 else ""
    return f"Reported {newest.age_s:.0f} s ago{hosts}; the clocks are {apart:.1f} s apart."


BOARD = all_checks()
"""The checks that all requests of this process share."""
