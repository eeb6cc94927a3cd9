"""Locks of the database, for tests of two who write at a time."""

from collections.abc import Callable

from django.db import connection

from tests.servers import wait_until


def wait_for_waiter(or_until: Callable[[], bool] = lambda: False) -> None:
    """Return when another connection waits for a lock, or ``or_until`` is true.

    At once on SQLite, which has one lock for all and does not tell who waits for it.
    """
    if connection.vendor == "postgresql":
        wait_until(
            lambda: _somebody_waits() or or_until(), "that another connection waits for a lock"
        )


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])
