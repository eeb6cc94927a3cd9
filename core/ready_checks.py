"""The checks of what every app uses: database, disk, Redis, clocks, workers and beat."""

import copy
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache, partial
from pathlib import Path

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.utils import load_backend
from django.utils import timezone
from django.utils.functional import Promise, lazy
from django.utils.translation import gettext_lazy as _

from core import clock, errors, heartbeat, readiness, sentences
from core.readiness import Degraded, Unhealthy
from core.sentences import Sentence, phrase, plural

CLOCKS_APART_S = 5.0
_SIGNATURES_S = 300.0  # AWS takes signatures of the last five minutes
_FULL_BYTES = 10 << 20
_FULL_FILES = 100

_TEXTS = {
    "ready.migrations": plural(
        "%(count)s migration is not applied (%(names)s); run manage.py migrate.",
        "%(count)s migrations are not applied (%(names)s); run manage.py migrate.",
        "count",
    ),
    "ready.heartbeats": plural(
        "Reported %(seconds)s s ago; the clocks are %(apart)s s apart.",
        "Reported %(seconds)s s ago, %(hosts)s hosts; the clocks are %(apart)s s apart.",
        "hosts",
    ),
}


def register_all() -> None:
    """Register the checks, clocks and sentences of this module."""
    sentences.register(_TEXTS)
    readiness.register("database", probe_database, vital=True, label=_("Database"))
    readiness.register("disk", probe_disk, vital=True, label=_("Disk"))
    readiness.register("redis", probe_redis, vital=False, label="Redis")
    readiness.register("clock", probe_clock, vital=False, label=_("Clock"))
    for kind, label in (("worker", _("Worker")), ("beat", _("Beat"))):
        readiness.register(kind, partial(probe_heartbeats, kind), vital=False, label=label)
    readiness.register_clock(_("the database"), _time_of_database)
    readiness.register_clock("Redis", _time_of_redis)


@contextmanager
def _own_connection() -> Iterator[BaseDatabaseWrapper]:
    """A connection apart from those of the requests, with timeouts of a second."""
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


def probe_database() -> Sentence:
    """It answers, has all migrations, and a row can be written and deleted."""
    try:
        with _own_connection() as own:
            with own.cursor() as cursor:
                cursor.execute("SELECT app, name FROM django_migrations")
                missing = _migrations() - set(cursor.fetchall())
            if missing:
                names = ", ".join(sorted(f"{app}.{name}" for app, name in missing)[:3])
                raise Unhealthy(Sentence("ready.migrations", count=len(missing), names=names))
            _write(own)
    except DatabaseError as error:
        said = phrase("It does not take a row: %(error)s", error=str(error).strip())
        raise Unhealthy(said) from error
    return phrase("It has all migrations and takes a row.")


def _write(own: BaseDatabaseWrapper) -> None:
    """Write a row and delete it again, in one transaction that is committed.

    With a roll-back SQLite would write nothing, so that a full disk would not be noticed.
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


def probe_disk() -> Sentence:
    """There is free space in the folder of uploads, and in that of a SQLite database."""
    folders = [Path(settings.FILE_UPLOAD_TEMP_DIR or tempfile.gettempdir())]
    if connection.vendor == "sqlite":
        folders.append(Path(connection.settings_dict["NAME"]).parent)
    least = None
    for folder in dict.fromkeys(folders):
        try:
            disk = os.statvfs(folder)
        except OSError as error:
            said = phrase(
                "%(folder)s cannot be used: %(error)s.",
                folder=str(folder),
                error=error.strerror or str(error),
            )
            raise Unhealthy(said) from error
        free = disk.f_bavail * disk.f_frsize
        if disk.f_flag & os.ST_RDONLY:
            raise Unhealthy(phrase("%(folder)s is read-only.", folder=str(folder)))
        if free < _FULL_BYTES or (disk.f_files and disk.f_favail < _FULL_FILES):
            said = phrase(
                "The disk of %(folder)s is full: %(free)s MB are free.",
                folder=str(folder),
                free=f"{free >> 20:,}",
            )
            raise Unhealthy(said)
        least = free if least is None else min(least, free)
    assert least is not None
    if least < settings.MIN_FREE_MB << 20:
        raise Degraded(
            phrase(
                "%(free)s MB are free, less than the %(least)s of MIN_FREE_MB.",
                free=f"{least >> 20:,}",
                least=settings.MIN_FREE_MB,
            )
        )
    return phrase("%(free)s MB are free.", free=f"{least >> 20:,}")


def probe_redis() -> Sentence:
    """Redis answers and a key can be written, which fails if it is full or read-only."""
    try:
        with heartbeat.connect(1.0) as client:
            client.set(f"mme:ready:{os.uname().nodename}:{os.getpid()}", "", px=10_000)
    except redis.ResponseError as error:
        raise Unhealthy(
            phrase("It answers, but stores nothing. Jobs begin when it does again.")
            + _why_it_refuses(error)
        ) from error
    except redis.RedisError as error:
        raise Unhealthy(
            phrase(
                "It does not answer, so jobs begin only when beat has found them: %(error)s",
                error=str(error),
            )
        ) from error
    return phrase("It answers.")


def _why_it_refuses(error: redis.ResponseError) -> Sentence | str:
    if isinstance(error, redis.exceptions.ReadOnlyError):
        return phrase(
            "It is a replica, which can only be read. Make it the primary, or name that one."
        )
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return phrase("It is full (maxmemory). Give it more memory, or see who fills it.")
    return str(error)


def probe_clock() -> Sentence:
    """This host's clock, compared with the registered ones: of the database, Redis and S3.

    The portal does not depend on it, and requests to AWS are signed by AWS's clock (core/aws.py).
    But sessions, certificates and other programs of this host do.
    """
    apart = {}
    for name, look in readiness.clocks().items():
        began = time.time()
        try:
            theirs = look()
        except (DatabaseError, redis.RedisError, errors.AwsError):
            continue  # the check of that part reports it
        if theirs is not None:
            apart[name] = theirs - (began + time.time()) / 2
    if not apart:
        raise Degraded(phrase("No other clock could be asked."))
    others = _clocks_lazily(apart)
    worst = max(apart.values(), key=abs)
    if abs(worst) <= CLOCKS_APART_S:
        return phrase("This host's clock against others: %(clocks)s.", clocks=others)
    said = phrase(
        "This host's clock against others: %(clocks)s. Set up NTP on the host that is off.",
        clocks=others,
    )
    if abs(worst) > _SIGNATURES_S:
        said += phrase(
            "AWS refuses signatures that are so far off; the portal signs by AWS's clock."
        )
    raise Degraded(said)


def _clocks(apart: dict[Promise | str, float]) -> str:
    """How far this host's clock is from each, in seconds; in the reader's language."""
    said = []
    for name, seconds in apart.items():
        told = _("%(number)s s") % {"number": f"{round(-seconds, 1) + 0.0:+.1f}"}
        said.append(f"{name} {told}")
    return ", ".join(said)


_clocks_lazily = lazy(_clocks, str)


def _time_of_database() -> float | None:
    with _own_connection() as own:
        return clock.now(own).timestamp()


def _time_of_redis() -> float | None:
    with heartbeat.connect(1.0) as client:
        return clock.of_redis(client)


def probe_heartbeats(kind: str) -> Sentence:
    """At least one process of a kind has reported lately, and no clock is far from Redis's."""
    try:
        with heartbeat.connect(1.0) as client:
            found = heartbeat.read_all(client, kind)
    except redis.RedisError as error:
        said = phrase("Nothing is known of it, as Redis does not answer.")
        raise Unhealthy(said) from error
    if not found:
        said = phrase(
            "No %(kind)s has reported for %(seconds)s s.",
            kind=kind,
            seconds=f"{heartbeat.KEPT_S:.0f}",
        )
        raise Unhealthy(said)
    newest = found[0]
    if newest.late:
        said = phrase(
            "%(host)s reported %(seconds)s s ago, and no %(kind)s since.",
            host=newest.host,
            seconds=f"{newest.age_s:.0f}",
            kind=kind,
        )
        raise Unhealthy(said)
    for beat in found:
        if abs(beat.ahead_s) > CLOCKS_APART_S:
            facts = {"host": beat.host, "seconds": f"{abs(beat.ahead_s):.0f}"}
            if beat.ahead_s > 0:
                said = phrase("The clock of %(host)s is %(seconds)s s ahead of Redis's.", **facts)
            else:
                said = phrase("The clock of %(host)s is %(seconds)s s behind Redis's.", **facts)
            raise Unhealthy(said + phrase("Jobs do not depend on it; set up NTP anyway."))
    apart = max(abs(beat.ahead_s) for beat in found)
    return Sentence(
        "ready.heartbeats",
        seconds=f"{newest.age_s:.0f}",
        hosts=len(found),
        apart=f"{apart:.1f}",
    )
