"""A page needs as many SQL queries for 60 rows of everything as for one, and no more than QUERIES.

QUERIES is in mmeportal/access.py. Where a page needs more, its entry there says how many, and why.
"""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts import roles
from core import remembered
from mmeportal.access import ACCESS, QUERIES
from tests.rules import rows
from tests.rules.subjects import addresses

MANY = 60
# Questions that change what a page asks the database, beside none.
QUESTIONS = {
    "models_catalog:list": ("q=digits", "q=000000", "meta=accuracy"),
    "activity:list": ("page=2",),
    "endpoints:metrics": ("range=24h", "range=28d"),
    "invocations:metrics": ("range=28d",),
    "invocations:experiment": ("other=Experiment%201",),
    "admin:auth_user_changelist": ("q=person", "all="),
    "admin:models_catalog_version_changelist": ("q=digits", "all="),
}


@pytest.fixture
def pages(db: None, tmp_path: Path, settings: Any, user_in: Any, remembering: None) -> "Pages":
    """The pages as an admin sees them; Django's admin as a superuser does."""
    settings.SAMPLES_DIR = str(tmp_path)
    return Pages(user_in(roles.ADMIN), user_in("superuser"), tmp_path)


class Pages:
    """Every address that answers a GET with HTML, as ``admin`` sees it, or ``superuser``."""

    def __init__(self, admin: User, superuser: User, samples: Path) -> None:
        self._admin = admin
        self._samples = samples
        self._client, self._of_superuser = Client(), Client()
        self._client.force_login(admin)
        self._of_superuser.force_login(superuser)

    def queries(self, count: int) -> dict[str, list[str]]:
        """The SQL of each page, by the address's name, with ``count`` rows of everything."""
        found = {}
        with transaction.atomic():
            built = rows.build(count, owner=self._admin, samples=self._samples)
            for address in addresses():
                questions = ("", *QUESTIONS.get(address.name, ()))
                for arguments, question in product(built.arguments(address), questions):
                    url = address.url(arguments) + (f"?{question}" if question else "")
                    asked = self._asked(url)
                    if asked is not None:
                        found[f"{address.name} {question}".strip()] = asked
            transaction.set_rollback(True)
        return found

    def _asked(self, url: str) -> list[str] | None:
        """The SQL of one page; None where the answer is no page."""
        client = self._of_superuser if url.startswith("/admin/") else self._client
        for kept in remembered.ALL:
            kept.clear()
        client.get(url)  # what is kept in memory (content types) is there now
        cache.clear()
        with CaptureQueriesContext(connection) as asked:
            answer = client.get(url)
        if answer.status_code != 200 or not answer.headers["Content-Type"].startswith("text/html"):
            return None
        return [one["sql"] for one in asked.captured_queries]


@pytest.mark.slow
def test_a_page_needs_as_many_queries_for_60_rows_as_for_one(pages: Pages) -> None:
    one, many = pages.queries(1), pages.queries(MANY)
    assert set(one) == set(many)
    assert len(one) > 20
    idle = sorted(set(QUESTIONS) - {name.partition(" ")[0] for name in one})
    assert not idle, f"QUESTIONS names pages that are none; mend it: {idle}"
    wrong = [
        f"{name}: {len(one[name])} queries for one row, {len(many[name])} for {MANY}:\n"
        + "\n".join(f"    {sql[:300]}" for sql in _repeated(many[name]))
        for name in one
        if len(one[name]) != len(many[name])
    ]
    advice = "Load with the rows what these ask for each (select_related, prefetch_related):"
    assert not wrong, "\n".join([advice, *wrong])
    asked = {name: len(queries) for name, queries in one.items()}
    allowed = {name: ACCESS[name.partition(" ")[0]].queries for name in asked}
    over = [f"{name}: {n} queries" for name, n in asked.items() if n > allowed[name]]
    advice = f"Ask less, or say in mmeportal/access.py why these need more than {QUERIES}:"
    assert not over, "\n".join([advice, *over])
    most: dict[str, int] = {}
    for name, n in asked.items():
        page = name.partition(" ")[0]
        most[page] = max(n, most.get(page, QUERIES))
    spare = [f"{name}: {n}" for name, n in most.items() if n < ACCESS[name].queries]
    assert not spare, "\n".join(["mmeportal/access.py allows these more than they need:", *spare])


def _repeated(asked: list[str]) -> list[str]:
    """One query of each form that was asked more than twice."""
    forms: dict[str, list[str]] = {}
    for sql in asked:
        forms.setdefault(sql.partition("WHERE")[0], []).append(sql)
    return [same[0] for same in forms.values() if len(same) > 2]
