"""Every address of the URL conf, with every method, as everybody: what mmeportal/access.py says.

A request without a CSRF token changes nothing, and GET and HEAD change nothing at all.
"""

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from botocore.client import BaseClient
from botocore.exceptions import EndpointConnectionError
from celery import Celery
from celery.app.task import Task
from django.conf import settings as django_settings
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.test import Client

from accounts import roles
from endpoints.tests.account import Account
from mmeportal.access import (
    ACCESS,
    ADMIN,
    ANYBODY,
    LED_TO_LOG_IN,
    LEVELS,
    OPERATOR,
    QUERIES,
    SUPERUSER,
    UNAUTHORIZED,
    USER,
    Access,
)
from tests.rules import rows as rows_of
from tests.rules.rows import Rows
from tests.rules.subjects import Address, addresses

WHERE = "mmeportal/access.py"
TOKEN = "a" * 32
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
SAFE = ("GET", "HEAD", "OPTIONS")
METHODS = (*SAFE, *UNSAFE)
OTHER = "another operator"
# As whom each address is visited. All rows are the operator's; OTHER has the same role.
VISITORS = LEVELS
LOG_IN, ADMIN_LOG_IN = "/login/?next=", "/admin/login/?next="
# All that may be said to the database by a request that changes nothing.
READS = ("SELECT", "SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT", "PRAGMA", "EXPLAIN")


def entry(address: Address, arguments: dict[str, Any]) -> Access | None:
    """The address's line of the table; the one for these arguments, where there is one."""
    for name, value in arguments.items():
        found = ACCESS.get(f"{address.name} {name}={value}")
        if found is not None:
            return found
    return ACCESS.get(address.name)


class Site:
    """The site with one row of everything, as each visitor sees it."""

    def __init__(self, rows: Rows, sessions: dict[str, str]) -> None:
        self.rows = rows
        self.sessions = sessions
        self.sent: list[str] = []  # jobs, and calls of AWS that write
        # One for all: each new one reads the list of static files anew.
        self._client = Client(enforce_csrf_checks=True)

    def ask(self, visitor: str, method: str, url: str, *, token: bool) -> tuple[Any, list[str]]:
        """The answer, and what the request wrote: statements, jobs, calls. All is taken back.

        ``token``: whether the request brings a CSRF token.
        """
        client = self._client
        client.cookies.clear()
        if visitor in self.sessions:
            client.cookies[django_settings.SESSION_COOKIE_NAME] = self.sessions[visitor]
        headers = {}
        if token:
            client.cookies[django_settings.CSRF_COOKIE_NAME] = TOKEN
            headers["X-CSRFToken"] = TOKEN
        written: list[str] = []

        def watch(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
            if not sql.lstrip(" (").upper().startswith(READS):
                written.append(sql)
            return execute(sql, *rest)

        self.sent.clear()
        before = len(connection.run_on_commit)
        with transaction.atomic():
            with connection.execute_wrapper(watch):
                answer = getattr(client, method.lower())(url, headers=headers)
            written += [f"on commit: {one[1]!r}" for one in connection.run_on_commit[before:]]
            transaction.set_rollback(True)
        return answer, written + self.sent


@pytest.fixture
def site(db: None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Site:
    """One row of everything, an account in memory, and a queue that only notes what it is given."""
    settings.SAMPLES_DIR = str(tmp_path)
    Account().install(monkeypatch)
    sessions, operator = _visitors()
    site = Site(rows_of.build(1, owner=operator, samples=tmp_path), sessions)

    def queued(task: Any, *args: Any, **kwargs: Any) -> None:
        site.sent.append(f"job {getattr(task, 'name', args[:1])}")

    def called(client: Any, operation: str, parameters: Any) -> None:
        if not operation.startswith(("Describe", "Get", "Head", "List")):
            site.sent.append(f"AWS {operation}")
        raise EndpointConnectionError(endpoint_url="none in tests")

    monkeypatch.setattr(Task, "apply_async", queued)
    monkeypatch.setattr(Celery, "send_task", queued)
    monkeypatch.setattr(BaseClient, "_make_api_call", called)
    return site


def _visitors() -> tuple[dict[str, str], User]:
    """Sessions of all who have a log-in, and the operator."""
    roles.ensure_roles()
    sessions = {}
    users = {}
    for visitor in (*VISITORS[1:], OTHER):
        users[visitor] = user = User.objects.create_user(
            f"{visitor}-visitor", is_superuser=visitor == SUPERUSER
        )
        if visitor not in {USER, SUPERUSER}:
            user.groups.add(Group.objects.get(name=OPERATOR if visitor == OTHER else visitor))
        client = Client()
        client.force_login(user)
        sessions[visitor] = client.cookies[django_settings.SESSION_COOKIE_NAME].value
    return sessions, users[OPERATOR]


def _let_in(access: Access, visitor: str) -> bool:
    return LEVELS.index(visitor) >= LEVELS.index(access.least)


def _expected(access: Access, visitor: str, method: str) -> set[int]:
    """The status codes that the table allows, for a request with a CSRF token."""
    answers = {"GET": access.get, "HEAD": access.get, "POST": access.post}.get(method, ())
    if visitor == ANYBODY and access.leads_to_login:
        return set(answers) or {405}
    if visitor == ANYBODY and access.least != ANYBODY:
        return {LED_TO_LOG_IN} if method in SAFE else {UNAUTHORIZED}
    if not _let_in(access, visitor):
        return {access.refused} if answers else {access.refused, 405}
    return set(answers) or {405}


def _leads_to_log_in(answer: Any) -> bool:
    """Whether it leads to a log-in; or to the admin's first page, which does (Django's log-out)."""
    location = answer.headers["Location"]
    return location.startswith((LOG_IN, ADMIN_LOG_IN)) or location == "/admin/"


def _all(site: Site) -> list[tuple[Address, Access, str]]:
    """Every address with each set of arguments: its entry, and the path."""
    found, unknown = [], []
    for address in addresses():
        for arguments in site.rows.arguments(address):
            access = entry(address, arguments)
            if access is None:
                unknown.append(f"{address.name!r} (/{address.route})")
            else:
                found.append((address, access, address.url(arguments)))
    assert not unknown, _report(
        unknown, f"Add to ACCESS in {WHERE} who may use these addresses and what they answer."
    )
    return found


def test_every_method_of_every_address_answers_everybody_as_the_table_says(site: Site) -> None:
    wrong = []
    for _, access, url in _all(site):
        for visitor, method in product(VISITORS, METHODS):
            answer, written = site.ask(visitor, method, url, token=True)
            allowed = _expected(access, visitor, method)
            asked = f"{method} {url} as {visitor}"
            if answer.status_code not in allowed:
                wrong.append(f"{asked}: {answer.status_code}, not one of {sorted(allowed)}")
            refused = not _let_in(access, visitor)
            if refused and answer.status_code == 302 and not _leads_to_log_in(answer):
                wrong.append(f"{asked}: refused, and leads to {answer.headers['Location']}")
            if written and (refused or method in SAFE):
                wrong.append(f"{asked}: should change nothing, and wrote {written}")
    assert not wrong, _report(wrong, f"Mend these views, or their entries in {WHERE}.")


def test_nothing_is_changed_without_a_csrf_token(site: Site) -> None:
    wrong = []
    for _, access, url in _all(site):
        tried = [*product(VISITORS, ("POST",)), *product((ADMIN, SUPERUSER), UNSAFE[1:])]
        for visitor, method in tried:
            answer, written = site.ask(visitor, method, url, token=False)
            allowed = {403} if _let_in(access, visitor) else {access.refused, 403}
            if visitor == ANYBODY and access.least != ANYBODY and not access.leads_to_login:
                allowed = {UNAUTHORIZED}
            if not (method == "POST" and access.post):
                allowed.add(405)
            if answer.status_code not in allowed or written:
                wrong.append(f"{method} {url} as {visitor}: {answer.status_code}, wrote {written}")
    assert not wrong, _report(wrong, "Leave these to Django's CSRF check, or call csrf_protect.")


def test_what_is_ones_own_is_not_shown_to_another_user(site: Site) -> None:
    wrong = []
    for address, access, url in _all(site):
        query, shown = site.rows.own(address) if access.own else ("", "")
        answers = [
            site.ask(who, "GET", f"{url}?{query}" if query else url, token=False)[0]
            for who in (OPERATOR, OTHER)
        ]
        if answers[0].status_code != answers[1].status_code:
            wrong.append(f"{url}: {[one.status_code for one in answers]} for owner and other")
        if access.own:
            texts = [one.content.decode() for one in answers]
            if shown not in texts[0]:
                wrong.append(f"{url}?{query} does not show {shown} to its owner")
            if shown in texts[1]:
                wrong.append(f"{url}?{query} shows {shown} to another user")
    assert not wrong, _report(wrong, f"Mend these views, or `own` of their entries in {WHERE}.")


# What is there for nobody, by the value that is there: a number too large for any column; a name
# that is free; a text that PostgreSQL takes for none, since it holds a NUL.
STRANGE_TEXTS = ("nothing-of-this-name", "a\0b", "x" * 3000)


def _strange(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, value in arguments.items():
        for strange in (0, 10**30) if isinstance(value, int) else STRANGE_TEXTS:
            yield arguments | {name: strange}


def test_what_is_not_there_is_answered_with_404(site: Site) -> None:
    wrong, seen = [], 0
    for address in addresses():
        for known in site.rows.arguments(address):
            access = entry(address, known)
            for arguments in _strange(known):
                method = "GET" if access is None or access.get else "POST"
                url = quote(address.url(arguments))
                asked: list[Any] = []
                with connection.execute_wrapper(lambda do, *a, to=asked: to.append(a) or do(*a)):
                    answer, _ = site.ask(_highest(address), method, url, token=True)
                seen += 1
                if answer.status_code not in _not_there(address):
                    wrong.append(f"{method} {url[:100]}: {answer.status_code}")
                if any("\0" in str(value) for _, values, *_ in asked for value in values or ()):
                    wrong.append(f"{method} {url[:100]}: asks the database for a NUL")
    assert seen > 50
    assert not wrong, _report(wrong, "Raise Http404, or let a path converter refuse the text.")


def _highest(address: Address) -> str:
    """Who is let in at the address whatever its entry says."""
    return SUPERUSER if address.route.startswith("admin/") else ADMIN


def _not_there(address: Address) -> set[int]:
    """Django's admin leads to its first page, with a sentence, or refuses before it looks."""
    return {302, 403, 404} if address.route.startswith("admin/") else {404}


def test_every_entry_of_the_table_is_an_address() -> None:
    names = {one.name for one in addresses()}
    gone = [key for key in ACCESS if key.partition(" ")[0] not in names]
    assert not gone, f"{WHERE} has entries without an address; take them out: {gone}"


def test_every_exception_of_the_table_says_why() -> None:
    silent = [key for key, one in ACCESS.items() if one.queries > QUERIES and not one.why]
    assert not silent, f"Say in {WHERE} why these need more than {QUERIES} queries: {silent}"


def test_there_is_a_row_of_everything(site: Site) -> None:
    empty = [m.__name__ for m in rows_of.models_shown() if not m._default_manager.exists()]
    assert not empty, f"tests/rules/rows.py builds no rows of {empty}: add them to build()."


def _report(wrong: list[str], advice: str) -> str:
    return "\n".join([advice, *wrong])
