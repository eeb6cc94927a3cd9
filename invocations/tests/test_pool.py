"""The pool of threads: bounded, and never in the way of a shutdown."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import dj_database_url
import pytest
from django.db import connection, connections

from invocations.pool import Pool, PoolFull
from tests.upgrade import postgresql


def test_calls_run_side_by_side_up_to_the_bound():
    pool = Pool(threads=2, waiting=1)
    gate, seen = threading.Event(), threading.Semaphore(0)

    def call():
        seen.release()
        assert gate.wait(10)

    futures = [pool.submit(call) for _ in range(3)]
    assert seen.acquire(timeout=10)
    assert seen.acquire(timeout=10)
    assert not seen.acquire(timeout=0.1)  # the third waits
    with pytest.raises(PoolFull):
        pool.submit(call)
    gate.set()
    for future in futures:
        future.result(timeout=10)
    pool.submit(lambda: None).result(timeout=10)


def test_what_a_call_raises_is_in_its_future_and_the_thread_lives_on():
    pool = Pool(threads=1, waiting=0)

    def fail():
        raise ValueError("so it is")

    assert isinstance(pool.submit(fail).exception(timeout=10), ValueError)
    pool.submit(lambda: None).result(timeout=10)


def test_idle_threads_are_used_again():
    pool = Pool(threads=8, waiting=8)
    names = set()
    for _ in range(20):
        pool.submit(lambda: names.add(threading.current_thread().name)).result(timeout=10)
    assert len(names) <= 2


def test_a_call_that_waits_does_not_hold_the_process():
    code = (
        "import django; from django.conf import settings; settings.configure(); "
        "import threading; from invocations.pool import Pool; "
        "Pool(threads=1, waiting=0).submit(threading.Event().wait); print('ends')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30, text=True)
    assert done.stdout == "ends\n", done.stderr


@pytest.mark.django_db(transaction=True)
def test_a_thread_keeps_its_connection_where_that_is_configured(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 60)
    pool, seen = Pool(threads=1, waiting=1), []

    def call():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        seen.append(connection.connection)

    for _ in range(3):
        pool.submit(call).result(10)
    assert seen[0] is seen[1] is seen[2] is not None
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    pool.submit(lambda: connection.close()).result(10)
    for _ in range(2):
        pool.submit(call).result(10)
    assert seen[3] is not seen[4]


@pytest.fixture
def unblocked(django_db_blocker: Any) -> Iterator[None]:
    """Connections to a database that is not the tests' own."""
    with django_db_blocker.unblock():
        yield


@pytest.mark.skipif(not postgresql.installed(), reason="PostgreSQL is not installed")
@pytest.mark.usefixtures("unblocked")
def test_a_connection_that_the_server_closed_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with postgresql.server() as url:
        kept = connection.settings_dict | {"OPTIONS": {}} | dj_database_url.parse(url)
        kept |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
        monkeypatch.setitem(connections.settings, "pg", kept)
        _check_a_closed_connection()


def _check_a_closed_connection() -> None:
    pool, seen = Pool(threads=1, waiting=1), []

    def call() -> None:
        with connections["pg"].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            seen.append(cursor.fetchone()[0])

    def end(pid: int) -> None:
        with connections["pg"].cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        connections["pg"].close()

    for _ in range(2):
        pool.submit(call).result(20)
    assert seen[0] == seen[1]
    Pool(threads=1, waiting=1).submit(lambda: end(seen[0])).result(20)
    for _ in range(2):
        pool.submit(call).result(20)
    assert seen[1] != seen[2] == seen[3]
    pool.submit(lambda: connections["pg"].close()).result(20)
