"""An installation of an earlier commit keeps its rows, rights, events, addresses and jobs."""

import base64
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.urls import resolve

from endpoints.models import Resource
from endpoints.tests.test_old_status import ENDPOINTS
from tests.upgrade import postgresql

HERE = Path(__file__).parent
ROOT = Path(settings.BASE_DIR)
OLD_ROWS = (HERE / "d6910c9.sql").read_text() + (HERE / "more_words.sql").read_text()


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database of the commit d6910c9 that was migrated to today's tables; to be copied."""
    database = _old_database(tmp_path_factory.mktemp("migrated"))
    _migrated(f"sqlite:///{database}")
    return database


@pytest.fixture(scope="module")
def gone_back(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, gone back to tables from before content types moved; to be copied."""
    database = _copied(migrated, tmp_path_factory.mktemp("back"))
    _migrated_to(
        database, [("invocations", "zero"), ("models_catalog", "0006"), ("endpoints", "0004")]
    )
    return database


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def environment(
    request: pytest.FixtureRequest, migrated: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """A database of the commit d6910c9 that was migrated to today's tables."""
    folder = tmp_path_factory.mktemp("upgrade")
    if request.param == "sqlite":
        yield _environment(f"sqlite:///{_copied(migrated, folder)}")
        return
    database = _old_database(folder)
    if not postgresql.installed():
        pytest.skip("PostgreSQL is not installed here (apt-get install postgresql).")
    with postgresql.server() as url:
        _run(_environment(url), str(HERE / "copy_rows.py"), str(database))
        yield _migrated(url)


def _old_database(folder: Path) -> Path:
    database = folder / "db.sqlite3"
    with closing(sqlite3.connect(database)) as made:
        made.executescript(OLD_ROWS)
    return database


def _copied(database: Path, folder: Path) -> Path:
    copy = folder / database.name
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as made:
        source.backup(made)
    return copy


def _migrated(url: str) -> dict[str, str]:
    environment = _environment(url)
    _run(environment, "manage.py", "migrate")
    return environment


def _migrated_to(database: Path, targets: list[tuple[str, str]]) -> None:
    names = (part for target in targets for part in target)
    _run(_environment(f"sqlite:///{database}"), "-c", MIGRATE, *names)


def _environment(url: str) -> dict[str, str]:
    return os.environ | {
        "SECRET_KEY": settings.SECRET_KEY,
        "DATABASE_URL": url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "PYTHONPATH": str(ROOT),
    }


def _run(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def found(environment: dict[str, str]) -> dict[str, Any]:
    return json.loads(_run(environment, str(HERE / "found.py")).splitlines()[-1])


@pytest.fixture(scope="module")
def before() -> dict[str, list[dict[str, Any]]]:
    """The rows of d6910c9, by table."""
    with closing(sqlite3.connect(":memory:")) as made:
        made.row_factory = sqlite3.Row
        made.executescript(OLD_ROWS)
        tables = [
            name
            for (name,) in made.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name.startswith(("activity_", "models_catalog_", "endpoints_"))
        ]
        return {
            name: [dict(row) for row in made.execute(f'SELECT * FROM "{name}" ORDER BY id')]
            for name in tables
        }


def test_every_row_and_value_is_still_there(
    before: dict[str, list[dict[str, Any]]], found: dict[str, Any]
) -> None:
    assert len(before) == 7
    for table, rows in before.items():
        after = found["rows"][table]
        assert len(after) == len(rows) > 0, table
        for old, new in zip(rows, after, strict=True):
            for column, value in old.items():
                assert column in new, f"{table}.{column} is gone"
                assert _same(value, new[column]), f"{table}.{column}: {value!r}, {new[column]!r}"


def _same(old: Any, new: Any) -> bool:
    """Whether a value as SQLite stores it is one as Django reads it."""
    if isinstance(new, dict | list):
        return bool(json.loads(old) == new)
    if isinstance(old, bytes):
        return bool(str(old) == new)
    if isinstance(new, bool):
        return bool(old == int(new))
    if isinstance(old, str) and old[:2] == "20" and ":" in old:
        return bool(new.startswith(old[:19]))
    return bool(old == new)


# The rights that one user has beside the roles: app, model, permission.
AUDITOR = [
    "invocations.invocation.view_invocation",
    "models_catalog.registeredmodel.view_model",
]
ROLES = {
    "viewer-user": {
        "activity.view_event",
        "endpoints.invoke_endpoint",
        "endpoints.view_endpoint",
        "models_catalog.view_version",
    },
    "operator-user": {"endpoints.add_endpoint", "models_catalog.add_version"},
    "admin-user": {"auth.change_user", "endpoints.teardown_endpoint", "endpoints.add_endpoint"},
}


@pytest.mark.parametrize("name", ROLES)
def test_roles_keep_their_rights(name: str, found: dict[str, Any]) -> None:
    assert ROLES[name] <= set(found["permissions"][name])
    assert ROLES["viewer-user"] <= set(found["permissions"][name])


def test_users_keep_their_roles(found: dict[str, Any]) -> None:
    assert found["groups"] == {
        "viewer-user": ["viewer"],
        "operator-user": ["operator"],
        "admin-user": ["admin"],
        "auditor": [],
    }


def test_a_right_of_a_user_follows_its_model_to_its_new_app_and_name(found: dict[str, Any]) -> None:
    assert found["permissions"]["auditor"] == [
        "invocations.view_invocation",
        "models_catalog.view_model",
    ]
    assert found["direct"]["auditor"] == AUDITOR


def test_content_types_go_back_and_forth(gone_back: Path, tmp_path: Path) -> None:
    database = _copied(gone_back, tmp_path)
    assert _rights(tmp_path) == {"endpoints.invocation", "models_catalog.model"}
    _migrated_to(database, [("models_catalog", "0007"), ("invocations", "0001")])
    assert _rights(tmp_path) == {"invocations.invocation", "models_catalog.registeredmodel"}


MIGRATE = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")
import django
django.setup()
from django.core.management import call_command
for app, name in zip(sys.argv[1::2], sys.argv[2::2]):
    call_command("migrate", app, name)
"""


def _rights(folder: Path) -> set[str]:
    """What the auditor's own rights are of: app and model."""
    with closing(sqlite3.connect(folder / "db.sqlite3")) as database:
        return {
            f"{app}.{model}"
            for app, model in database.execute(
                "SELECT t.app_label, t.model FROM auth_user_user_permissions g"
                " JOIN auth_user u ON u.id = g.user_id JOIN auth_permission p"
                " ON p.id = g.permission_id JOIN django_content_type t ON t.id = p.content_type_id"
                " WHERE u.username = 'auditor'"
            )
        }


def test_content_types_that_were_never_made_are_made(gone_back: Path, tmp_path: Path) -> None:
    """And all migrations, from the tables that their ways back have left."""
    database = _copied(gone_back, tmp_path)
    with closing(sqlite3.connect(database)) as made:
        made.executescript(
            "DELETE FROM auth_user_user_permissions; DELETE FROM auth_group_permissions;"
            " DELETE FROM auth_permission; DELETE FROM django_content_type;"
        )
    environment = _migrated(f"sqlite:///{database}")
    _run(environment | {"ADMIN_PASSWORD": "x" * 20}, "manage.py", "ensure_admin")
    found = json.loads(_run(environment, str(HERE / "found.py")).splitlines()[-1])
    assert ROLES["viewer-user"] <= set(found["permissions"]["viewer-user"])
    assert set(found["statuses"].values()) == {200}, found["statuses"]


def test_old_events_keep_their_text_and_their_link(found: dict[str, Any]) -> None:
    assert ["Registered the model digits.", "/activity/model/1/"] in found["events"]
    assert ["The endpoint gone is gone.", "/activity/endpoint/8/"] in found["events"]
    assert len(found["events"]) == 5


def test_addresses_that_people_have_bookmarked_are_answered(found: dict[str, Any]) -> None:
    assert set(found["statuses"].values()) == {200}, found["statuses"]


# Every address of that commit's URL conf, also those that only forms and scripts ask for.
ADDRESSES = """
    / /login/ /logout/ /password/ /admin/ /admin/auth/user/1/change/
    /models/ /models/new/ /models/new/name/ /models/digits/ /models/digits/upload/
    /models/digits/live/ /models/digits/v3/ /models/digits/v3/live/
    /endpoints/ /endpoints/new/ /endpoints/3/ /endpoints/3/live/ /endpoints/3/check/
    /endpoints/3/teardown/
    /invoke/ /invoke/run/ /invoke/3/ /invoke/3/thumbnail/ /invoke/kept/aa/ /invoke/samples/a.png
    /activity/ /activity/endpoint/3/
"""


@pytest.mark.parametrize("path", ADDRESSES.split())
def test_every_address_of_that_commit_resolves(path: str) -> None:
    assert resolve(path).func.__name__ != "catch_all_view"  # Django's admin, for what is unknown


def test_what_served_serves(found: dict[str, Any]) -> None:
    assert found["serving"] == ["changing", "rolling", "serving", "stuck", "updating"]


# What the words of d6910c9 for the states of resources mean; for endpoints' there is ENDPOINTS.
RESOURCES = {
    ("model", "Waiting"): (Resource.State.WAITING, ""),
    ("model", "Created"): (Resource.State.CREATED, ""),
    ("config", "Deleting"): (Resource.State.DELETING, ""),
    ("config", "Kept"): (Resource.State.KEPT, ""),
    ("config", "Gone"): (Resource.State.GONE, ""),
    ("endpoint", "Deleting"): (Resource.State.DELETING, "Deleting"),
    ("endpoint", "InService"): (Resource.State.IN_SERVICE, "InService"),
    ("endpoint", "Dreaming"): (Resource.State.UNRECOGNIZED, "Dreaming"),
}


def test_states_are_what_the_words_before_them_meant(found: dict[str, Any]) -> None:
    rows = found["rows"]["endpoints_endpoint"]
    means = {(row["status"], row["state"], row["sagemaker_status"]) for row in rows}
    assert means == {(word, *state) for word, state in ENDPOINTS.items()}
    means = {
        (row["kind"], row["status"], row["state"], row["sagemaker_status"])
        for row in found["rows"]["endpoints_resource"]
    }
    assert means >= {(*word, *state) for word, state in RESOURCES.items()}


# The jobs that were in the queue, or that a beat of that commit sends.
JOBS = {
    "endpoints.tasks.advance": [3],
    "endpoints.tasks.sweep": [],
    "models_catalog.tasks.check": [1],
    "models_catalog.tasks.sweep": [],
    "models_catalog.tasks.sweep_staging": [],
}


@pytest.mark.parametrize("name", JOBS)
def test_queued_jobs_still_run(name: str, found: dict[str, Any]) -> None:
    from core import job_messages
    from core.tests.test_forged_messages import message
    from mmeportal.celery import app

    assert name in found["tasks"]
    app.loader.import_default_modules()
    read = job_messages.read(message(name, JOBS[name]), app.tasks)
    assert json.loads(base64.b64decode(read["body"]))[0] == JOBS[name]


def test_the_database_keeps_events_as_they_were_sealed(environment: dict[str, str]) -> None:
    """PostgreSQL refuses to change and to delete them; what SQLite lets through is noticed."""
    said = json.loads(_run(environment, "-c", CHANGE_EVENTS).splitlines()[-1])
    assert said.pop("sealed") > 0
    if environment["DATABASE_URL"].startswith("sqlite"):
        assert said["update"].endswith("says another thing than was sealed.")
        assert said["delete"].endswith("is gone.")
    else:
        assert "append-only" in said["update"]
        assert "append-only" in said["delete"]
    assert said["redaction"] == "right"
    assert said["user"] == "right"


CHANGE_EVENTS = """
import json, os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mmeportal.settings")
import django
django.setup()
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from activity import redaction, sealing
from activity.models import Event

said = {"sealed": sealing.seal()}
assert not sealing.verify().problems

def outcome(change):
    "What a change leads to; taken back."
    try:
        with transaction.atomic():
            change()
            sealing.seal()
            said = (sealing.verify().problems or ["right"])[0]
            transaction.set_rollback(True)
            return said
    except DatabaseError as error:
        return str(error)

def sql(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)

event = Event.objects.exclude(actor=None).order_by("pk").first()
row = f"WHERE id = {event.pk}"
said["update"] = outcome(lambda: sql(f"UPDATE activity_event SET actor_name = 'x' {row}"))
said["delete"] = outcome(lambda: sql(f"DELETE FROM activity_event {row}"))
admin = User.objects.get(username="admin-user")
said["redaction"] = outcome(lambda: redaction.redact(text=event.actor_name, actor=admin))
said["user"] = outcome(lambda: sql(f"UPDATE activity_event SET actor_id = NULL {row}"))
print(json.dumps(said))
"""
