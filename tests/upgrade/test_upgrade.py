"""An installation of an earlier commit keeps its rows, rights, events, addresses and jobs."""

import base64
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

HERE = Path(__file__).parent
ROOT = Path(settings.BASE_DIR)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A database of the commit d6910c9 that was migrated to today's tables."""
    database = tmp_path_factory.mktemp("upgrade") / "db.sqlite3"
    with closing(sqlite3.connect(database)) as made:
        made.executescript((HERE / "d6910c9.sql").read_text())
    environment = os.environ | {
        "SECRET_KEY": settings.SECRET_KEY,
        "DATABASE_URL": f"sqlite:///{database}",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "PYTHONPATH": str(ROOT),
    }
    _run(environment, "manage.py", "migrate")
    _run(environment, "manage.py", "migrate", "--check")
    return environment


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
        made.executescript((HERE / "d6910c9.sql").read_text())
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
                kept = str(value) if isinstance(value, bytes) else value
                assert kept == new[column], f"{table}.{column}: {value!r}, {new[column]!r}"


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


def test_a_right_of_a_user_follows_its_model_to_the_new_app(found: dict[str, Any]) -> None:
    assert "invocations.view_invocation" in found["permissions"]["auditor"]
    assert len(found["permissions"]["auditor"]) == 2


def test_old_events_keep_their_text_and_their_link(found: dict[str, Any]) -> None:
    assert ["Registered the model digits.", "/activity/model/1/"] in found["events"]
    assert ["The endpoint gone is gone.", "/activity/endpoint/8/"] in found["events"]
    assert len(found["events"]) == 5


def test_addresses_that_people_have_bookmarked_are_answered(found: dict[str, Any]) -> None:
    assert set(found["statuses"].values()) == {200}, found["statuses"]


def test_what_served_serves(found: dict[str, Any]) -> None:
    assert found["serving"] == ["serving", "updating"]


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
