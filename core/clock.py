"""The time of the database's clock, for all times that are stored and compared later.

A lease that one process writes is read by another, which may be on another host, and the clocks of
hosts differ. So both sides of such a comparison come from here: leases, due times, heartbeats of
calls, the throttle's windows. Times that only people read may be of the host that wrote them.
Durations are measured by the monotonic clock of one process, and keys in Redis expire by Redis's
clock.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    import redis

# SQLite has milliseconds. Rounded up, so that nothing written a moment ago is in the future.
_ROUNDED_UP = timedelta(microseconds=999)


def now(using: BaseDatabaseWrapper | None = None) -> datetime:
    """The present time in UTC, by the clock of the database. Raises DatabaseError.

    ``using``: another connection than this thread's own.
    """
    database = using or connection
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            # Not now(): that is when the transaction began.
            cursor.execute("SELECT clock_timestamp()")
            (at,) = cursor.fetchone()
            return at.astimezone(UTC)  # type: ignore[no-any-return]
        cursor.execute("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")
        (text,) = cursor.fetchone()
    return datetime.fromisoformat(text).replace(tzinfo=UTC) + _ROUNDED_UP


def of_redis(client: "redis.Redis") -> float:
    """Redis's time, in seconds since 1970; NoPermissionError where its user may not ask for it."""
    seconds, microseconds = client.time()
    return float(seconds) + float(microseconds) / 1e6
