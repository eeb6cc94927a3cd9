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

from core import clock, errors, heartbeat, readiness
from core.readiness import Degraded, Unhealthy

CLOCKS_APART_S = 5.0
_SIGNATURES_S = 300.0  # AWS takes signatures of the last five minutes
_FULL_BYTES = 10 << 20
_FULL_FILES = 100


def register_all() -> None:
    """Register the checks and clocks of this module."""
    readiness.register("database", probe_database, vital=True)
    readiness.register("disk", probe_disk, vital=True)
    readiness.register("redis", probe_redis, vital=False)
    readiness.register("clock", probe_clock, vital=False)
    readiness.register("worker", partial(probe_heartbeats, "worker"), vital=False)
    readiness.register("beat", partial(probe_heartbeats, "beat"), vital=False)
    readiness.register_clock("the database", _time_of_database)
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


def probe_database() -> str:
    """It answers, has all migrations, and a row can be written and deleted."""
    try:
        with _own_connection() as own:
            with own.cursor() as cursor:
                cursor.execute("SELECT app, name FROM django_migrations")
                missing = _migrations() - set(cursor.fetchall())
            if missing:
                names = ", ".join(sorted(f"{app}.{name}" for app, name in missing)[:3])
                raise Unhealthy(
                    f"{len(missing)} migrations are not applied ({names}); run manage.py migrate."
                )
            _write(own)
    except DatabaseError as error:
        raise Unhealthy(f"It does not take a row: {str(error).strip()}") from error
    return "It has all migrations and takes a row."


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


def probe_disk() -> str:
    """There is free space in the folder of uploads, and in that of a SQLite database."""
    folders = [Path(settings.FILE_UPLOAD_TEMP_DIR or tempfile.gettempdir())]
    if connection.vendor == "sqlite":
        folders.append(Path(connection.settings_dict["NAME"]).parent)
    least = None
    for folder in dict.fromkeys(folders):
        try:
            disk = os.statvfs(folder)
        except OSError as error:
            raise Unhealthy(f"{folder} cannot be used: {error.strerror}.") from error
        free = disk.f_bavail * disk.f_frsize
        if disk.f_flag & os.ST_RDONLY:
            raise Unhealthy(f"{folder} is read-only.")
        if free < _FULL_BYTES or (disk.f_files and disk.f_favail < _FULL_FILES):
            raise Unhealthy(f"The disk of {folder} is full: {free >> 20:,} MB are free.")
        least = free if least is None else min(least, free)
    assert least is not None
    if least < settings.MIN_FREE_MB << 20:
        raise Degraded(
            f"{least >> 20:,} MB are free, less than the {settings.MIN_FREE_MB} of MIN_FREE_MB."
        )
    return f"{least >> 20:,} MB are free."


def probe_redis() -> str:
    """Redis answers and a key can be written, which fails if it is full or read-only."""
    try:
        with heartbeat.connect(1.0) as client:
            client.set(f"mme:ready:{os.uname().nodename}:{os.getpid()}", "", px=10_000)
    except redis.ResponseError as error:
        raise Unhealthy(
            "It answers, and takes nothing, so jobs begin only when it does again: "
            f"{_why_it_refuses(error)}"
        ) from error
    except redis.RedisError as error:
        raise Unhealthy(
            f"It does not answer, so jobs begin only when beat has found them: {error}"
        ) from error
    return "It answers."


def _why_it_refuses(error: redis.ResponseError) -> str:
    if isinstance(error, redis.exceptions.ReadOnlyError):
        return "it is a replica, which can only be read. Make it the primary, or name that one."
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return "it is full (maxmemory). Give it more memory, or see who fills it."
    return f"{error}"


def probe_clock() -> str:
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
        raise Degraded("No other clock could be asked.")
    others = ", ".join(
        f"{name} {round(-seconds, 1) + 0.0:+.1f} s" for name, seconds in apart.items()
    )
    worst = max(apart.values(), key=abs)
    if abs(worst) <= CLOCKS_APART_S:
        return f"This host's clock against others: {others}."
    more = ""
    if abs(worst) > _SIGNATURES_S:
        more = " AWS refuses signatures that are so far off; the portal signs by AWS's clock."
    raise Degraded(
        f"This host's clock against others: {others}. Set up NTP on the host that is off.{more}"
    )


def _time_of_database() -> float | None:
    with _own_connection() as own:
        return clock.now(own).timestamp()


def _time_of_redis() -> float | None:
    with heartbeat.connect(1.0) as client:
        return clock.of_redis(client)


def probe_heartbeats(kind: str) -> str:
    """At least one process of a kind has reported lately, and no clock is far from Redis's."""
    try:
        with heartbeat.connect(1.0) as client:
            found = heartbeat.read_all(client, kind)
    except redis.RedisError as error:
        raise Unhealthy("Nothing is known of it, as Redis does not answer.") from error
    if not found:
        raise Unhealthy(f"No {kind} has reported for {heartbeat.KEPT_S:.0f} s.")
    newest = found[0]
    if newest.late:
        raise Unhealthy(f"{newest.host} reported {newest.age_s:.0f} s ago, and no {kind} since.")
    for beat in found:
        if abs(beat.ahead_s) > CLOCKS_APART_S:
            side = "ahead of" if beat.ahead_s > 0 else "behind"
            raise Unhealthy(
                f"The clock of {beat.host} is {abs(beat.ahead_s):.0f} s {side} Redis's. "
                "Jobs do not depend on it; set up NTP anyway."
            )
    apart = max(abs(beat.ahead_s) for beat in found)
    hosts = f", {len(found)} hosts" if len(found) > 1 else ""
    return f"Reported {newest.age_s:.0f} s ago{hosts}; the clocks are {apart:.1f} s apart."
