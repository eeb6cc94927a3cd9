"""A database that is locked, full or away, a silent Redis: said, and over by itself."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import psycopg.errors
import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test import Client, RequestFactory

from activity.models import Event
from core import errors, shortage
from core.tests.locked import locked_by_another_program
from endpoints.models import Endpoint
from tests.servers import free_port, redis_server

PASSWORD = "a good long password"
ONLY_SQLITE = pytest.mark.skipif(connection.vendor != "sqlite", reason="of SQLite's own limits")
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def no_page_left() -> Iterator[None]:
    """The database takes not one page more: SQLite answers as on a full disk."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")  # free pages inside the file would be taken in spite of the limit
        cursor.execute("PRAGMA page_count")
        (pages,) = cursor.fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        try:
            yield
        finally:
            cursor.execute("PRAGMA max_page_count = 1073741823")


@pytest.fixture
def endpoint(transactional_db: None) -> Endpoint:
    return Endpoint.objects.create(name="demo", state=Endpoint.State.CREATING)


@pytest.fixture
def impatient(transactional_db: None) -> None:
    """Waits half a second for a lock, where the settings say eight."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 500")


@ONLY_SQLITE
def test_the_settings_wait_for_a_lock_as_long_as_a_user_does() -> None:
    assert 3 < connection.settings_dict["OPTIONS"]["timeout"] <= 10


def test_a_locked_database_is_503_with_a_sentence_and_then_all_goes_on(
    endpoint: Endpoint,
    client_of: Callable[[str], Client],
    impatient: None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = client_of("operator")
    with locked_by_another_program():
        answer = client.post(f"/endpoints/{endpoint.pk}/check/")
        text = answer.content.decode()
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "used by another program" in text
        assert "What was saved before is still there" in text
        assert client.get(f"/endpoints/{endpoint.pk}/").status_code == 200, "reading goes on"
    assert "Traceback" not in caplog.text
    assert f"POST /endpoints/{endpoint.pk}/check/: The database is being used" in caplog.text
    assert client.post(f"/endpoints/{endpoint.pk}/check/").status_code == 302


def test_htmx_gets_the_sentence_alone(
    endpoint: Endpoint, client_of: Callable[[str], Client], impatient: None
) -> None:
    client = client_of("operator")
    with locked_by_another_program():
        answer = client.post(f"/endpoints/{endpoint.pk}/check/", headers={"hx-request": "true"})
    assert answer.status_code == 503
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.content.decode().startswith("The database is being used by another program")


def test_a_log_in_at_a_locked_database_is_503(
    transactional_db: None, user_in: Callable[[str], Any], impatient: None
) -> None:
    user_in("viewer")
    client = Client()
    form = {"username": "viewer-user", "password": PASSWORD}
    with locked_by_another_program():
        assert client.post("/login/", form).status_code == 503
    assert client.post("/login/", form).status_code == 302


def test_a_session_that_cannot_be_written_is_503_and_no_lie(
    endpoint: Endpoint, client_of: Callable[[str], Client], impatient: None, settings: Any
) -> None:
    """A middleware writes it, after the view; Django then says that the session was deleted."""
    client = client_of("operator")
    settings.SESSION_SAVE_EVERY_REQUEST = True
    with locked_by_another_program():
        answer = client.get("/endpoints/")
    assert answer.status_code == 503
    assert "Nothing was changed or lost" in answer.content.decode()
    assert client.get("/endpoints/").status_code == 200


def test_what_fails_before_the_view_is_503_too(
    client_of: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user is read by a middleware; its failure passes no process_exception."""
    client = client_of("operator")
    client.raise_request_exception = False

    def away(*arguments: Any, **options: Any) -> Any:
        raise OperationalError("gone") from psycopg.OperationalError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr("accounts.sessions.SessionStore.load", away)
        answer = client.get("/endpoints/")
    assert answer.status_code == 503
    assert "The database does not answer." in answer.content.decode()


@pytest.mark.not_quick
@ONLY_SQLITE
def test_a_full_database_is_507_and_nothing_is_half_written(
    client_of: Callable[[str], Client], transactional_db: None
) -> None:
    client = client_of("operator")
    # As tests before leave it: with pages that are free, which a full disk would still give.
    Endpoint.objects.create(name="gone", failure="x" * 400_000).delete()
    form = {"name": "big", "instance_type": "ml.m5.large", "instance_count": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("endpoints.services._check_free_in_account", lambda name: None)
        # A row of 40 kB is more than any page that is there has left.
        patch.setattr("django.conf.settings.CONTAINER_IMAGE", "x" * 40_000)
        patch.setattr(Endpoint, "full_clean", lambda *arguments, **options: None)
        with no_page_left():
            answer = client.post("/endpoints/new/", form)
        assert answer.status_code == 507
        assert answer.headers["Retry-After"] == "60"
        assert "The disk of the database is full." in answer.content.decode()
        assert not Endpoint.objects.exists()
        assert not Event.objects.exists()
        assert client.post("/endpoints/new/", form).status_code == 302
    assert Endpoint.objects.get().resources.count() == 3


@pytest.mark.parametrize(
    ("code", "status"),
    [(errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EROFS, 503), (errno.EMFILE, 503)],
)
def test_what_the_system_says_of_a_disk(code: int, status: int) -> None:
    answer = shortage.shortage(OSError(code, os.strerror(code)))
    assert answer is not None
    assert answer.status == status


def test_what_is_no_shortage_is_a_fault_of_ours() -> None:
    for error in (
        ValueError("disk is full"),
        OperationalError("no such table: x"),
        OSError(errno.ENOENT, "gone"),
        errors.Denied("no"),
        None,
    ):
        assert shortage.shortage(error) is None


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "status", "word"),
    [
        (psycopg.errors.DiskFull("x"), 507, "full"),
        (psycopg.errors.TooManyConnections("x"), 503, "no connection left"),
        (psycopg.errors.ReadOnlySqlTransaction("x"), 503, "only be read"),
        (psycopg.errors.LockNotAvailable("x"), 503, "another program"),
        (psycopg.errors.QueryCanceled("x"), 503, "another program"),
        (psycopg.errors.AdminShutdown("x"), 503, "does not answer"),
        (psycopg.errors.CannotConnectNow("x"), 503, "does not answer"),
        (psycopg.errors.ConnectionFailure("x"), 503, "does not answer"),
        (psycopg.OperationalError("connection refused"), 503, "does not answer"),
        (psycopg.InterfaceError("the connection is closed"), 503, "does not answer"),
    ],
)
def test_what_postgresql_says(cause: Exception, status: int, word: str) -> None:
    kind = InterfaceError if isinstance(cause, psycopg.InterfaceError) else OperationalError
    found = shortage.shortage(_caused(kind("x"), cause))
    assert found is not None
    assert found.status == status
    assert word in found.what


def test_a_postgresql_that_is_away_is_a_shortage(db: None) -> None:
    from django.db.utils import load_backend

    wanted = connection.settings_dict | {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "x",
        "USER": "x",
        "PASSWORD": "x",
        "HOST": "127.0.0.1",
        "PORT": str(free_port()),
        "OPTIONS": {},
    }
    away = load_backend(wanted["ENGINE"]).DatabaseWrapper(wanted, "away")
    with pytest.raises(OperationalError) as refused:
        away.ensure_connection()
    found = shortage.shortage(refused.value)
    assert found is not None
    assert found.what == "The database does not answer."


@pytest.mark.parametrize("how", ["stopped", "away"])
def test_a_redis_that_does_not_answer_loses_no_job(
    how: str, endpoint: Endpoint, tmp_path: Path
) -> None:
    """The row is written, the page comes, and the sweep finds what is due."""
    port = free_port()
    program = """
import os, django
django.setup()
from endpoints import services
from endpoints.models import Endpoint
services.check_now(endpoint=Endpoint.objects.get(name="demo"))
print("went on", flush=True)
"""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "mmeportal.settings",
        "SECRET_KEY": "of-a-test-and-nothing-else-0123456789-abcdef",
        "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
        "REDIS_URL": f"redis://127.0.0.1:{port}/0",
    }
    Endpoint.objects.update(check_after="2100-01-01T00:00:00Z")
    with redis_server(port, tmp_path) as redis:
        if how == "stopped":
            os.kill(redis.pid, signal.SIGSTOP)
        else:
            redis.kill()
            redis.wait()
        try:
            done = subprocess.run(
                [sys.executable, "-c", program],
                cwd=ROOT,
                env=environment,
                timeout=60,
                check=False,
                capture_output=True,
                text=True,
            )
        finally:
            if how == "stopped":
                os.kill(redis.pid, signal.SIGCONT)
    assert done.stdout == "went on\n", done.stderr
    assert "the sweep will take up endpoints.tasks.advance" in done.stderr
    assert Endpoint.objects.due().count() == 1


def test_the_page_needs_no_database(client: Client) -> None:
    found = shortage.shortage(OSError(errno.ENOSPC, "full"))
    assert found is not None
    answer = shortage.page(RequestFactory().post("/models/new/"), found)
    assert answer.status_code == 507
    assert "ask an admin to make room" in answer.content.decode()
