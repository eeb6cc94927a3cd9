"""A GET of the API needs as many SQL queries for 60 rows of everything as for one: 12 at most."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import roles, token_auth, tokens
from core import aws, remembered
from core.api.caller import Scope
from mmeportal.access import QUERIES
from tests.rules import rows
from tests.rules.api_subjects import Subject, subjects

MANY = 60


class _NoLines:
    """A client of CloudWatch Logs."""

    def filter_log_events(self, **_: Any) -> dict[str, Any]:
        return {"events": []}


@pytest.fixture
def admin(
    db: None,
    tmp_path: Path,
    settings: Any,
    user_in: Any,
    monkeypatch: pytest.MonkeyPatch,
    remembering: None,
) -> User:
    """Who owns all rows."""
    monkeypatch.setattr(aws, "logs", _NoLines)
    settings.SAMPLES_DIR = str(tmp_path)
    user: User = user_in(roles.ADMIN)
    return user


def _queries(count: int, admin: User, samples: Path) -> dict[str, list[str]]:
    """The SQL of each GET by the operation's id, with ``count`` rows; that of its token, too."""
    found = {}
    client = Client()
    with transaction.atomic():
        built = rows.build(count, owner=admin, samples=samples)
        _, secret = tokens.make(user=admin, name="rule", scopes=list(Scope))
        for subject in subjects():
            if subject.method != "GET":
                continue
            url = subject.url(built) + _all_of(subject)
            ask = {"headers": {"Authorization": f"Bearer {secret}"}}
            for kept in remembered.ALL:
                kept.clear()
            client.get(url, **ask)  # what is kept in memory (content types) is there now
            cache.clear()
            token_auth.CACHE.clear()
            with CaptureQueriesContext(connection) as asked:
                answer = client.get(url, **ask)
            assert answer.status_code < 400, f"{subject.rules.id}: {answer.status_code} for {url}"
            found[subject.rules.id] = [one["sql"] for one in asked.captured_queries]
        transaction.set_rollback(True)
    return found


def _all_of(subject: Subject) -> str:
    """The query string that has a list show all rows on one page."""
    names = {one["name"] for one in subject.documented["parameters"]}
    return "?limit=200" if "limit" in names else ""


@pytest.mark.slow
def test_a_get_needs_as_many_queries_for_60_rows_as_for_one(admin: User, tmp_path: Path) -> None:
    one, many = _queries(1, admin, tmp_path), _queries(MANY, admin, tmp_path)
    wrong = [
        f"{id}: {len(one[id])} queries for one row, {len(many[id])} for {MANY}: {many[id][-1]}"
        for id in one
        if len(one[id]) != len(many[id])
    ]
    advice = "Load with the rows what these ask for each (select_related, prefetch_related):"
    assert not wrong, "\n".join([advice, *wrong])
    over = [f"{id}: {len(asked)} queries" for id, asked in one.items() if len(asked) > QUERIES]
    assert not over, "\n".join([f"Ask for less: {QUERIES} queries are the most:", *over])
