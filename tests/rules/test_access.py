"""Every address of the URL conf, with every method, as everybody: what mmeportal/access.py says.

A request without a CSRF token changes nothing, and GET and HEAD change nothing at all.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection

from invocations import seeing
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
    Access,
)
from tests.rules import rows as rows_of
from tests.rules.site import OTHER, VISITORS, Site, make, reads
from tests.rules.subjects import Address, addresses

# Thousands of requests, and the processors may be busy.
pytestmark = pytest.mark.timeout(900)

WHERE = "mmeportal/access.py"
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
SAFE = ("GET", "HEAD", "OPTIONS")
METHODS = (*SAFE, *UNSAFE)
LOG_IN, ADMIN_LOG_IN = "/login/?next=", "/admin/login/?next="


def entry(address: Address, arguments: dict[str, Any]) -> Access | None:
    """The address's line of the table; the one for these arguments, where there is one."""
    for name, value in arguments.items():
        found = ACCESS.get(f"{address.name} {name}={value}")
        if found is not None:
            return found
    return ACCESS.get(address.name)


@pytest.fixture
def site(db: None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Site:
    """One row of everything, an account in memory, and a queue that only notes what it is given."""
    return make(tmp_path, settings, monkeypatch)


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


@pytest.mark.slow
def test_every_method_of_every_address_answers_everybody_as_the_table_says(site: Site) -> None:
    wrong = []
    for _, access, url in _all(site):
        for visitor, method in product(VISITORS, METHODS):
            # HEAD is a GET without a body: of all who are let in, the one with the least role asks.
            if method == "HEAD" and _let_in(access, visitor) and visitor != access.least:
                continue
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_is_ones_own_is_not_shown_to_another_user(site: Site) -> None:
    wrong = []
    for address, access, url in _all(site):
        query, shown = site.rows.own(address) if access.own else ("", "")
        answers = [
            site.ask(who, "GET", f"{url}?{query}" if query else url, token=False)[0]
            for who in (OPERATOR, OTHER)
        ]
        statuses = [one.status_code for one in answers]
        # Where the entry names both, what is others' is refused, and not only left out.
        if statuses[0] != statuses[1] and not set(statuses) <= set(access.get):
            wrong.append(f"{url}: {statuses} for owner and other")
        if access.own:
            texts = [one.content.decode() for one in answers]
            if shown not in texts[0]:
                wrong.append(f"{url}?{query} does not show {shown} to its owner")
            if shown in texts[1]:
                wrong.append(f"{url}?{query} shows {shown} to another user")
    assert not wrong, _report(wrong, f"Mend these views, or `own` of their entries in {WHERE}.")


@pytest.mark.slow
def test_calls_of_others_are_there_for_who_may_see_them_alone(site: Site) -> None:
    asked = [
        (access, method, url)
        for _, access, url in _all(site)
        for method in (["GET"] if access.get else []) + (["POST"] if access.post else [])
    ]
    before = [site.ask(OTHER, method, url, token=True)[0].status_code for _, method, url in asked]
    Group.objects.get(name=OPERATOR).permissions.remove(
        Permission.objects.get(codename=seeing.MAY_SEE_ALL.partition(".")[2])
    )
    wrong = []
    for (access, method, url), status in zip(asked, before, strict=True):
        answer, written = site.ask(OTHER, method, url, token=True)
        expected = 404 if access.call else status
        if answer.status_code != expected or (access.call and written):
            wrong.append(f"{method} {url}: {answer.status_code}, not {expected}; wrote {written}")
        if access.call and status == 404:
            wrong.append(f"{method} {url}: 404 for who sees all calls")
    assert not wrong, _report(wrong, f"Mend these views, or `call` of their entries in {WHERE}.")


# What is there for nobody, by the value that is there: a number too large for any column; a name
# that is free; a text that PostgreSQL takes for none, since it holds a NUL.
STRANGE_TEXTS = ("nothing-of-this-name", "a\0b", "x" * 3000)


def _strange(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, value in arguments.items():
        for strange in (0, 10**30) if isinstance(value, int) else STRANGE_TEXTS:
            yield arguments | {name: strange}


@pytest.mark.slow
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


@pytest.mark.not_quick
def test_there_is_a_row_of_everything(site: Site) -> None:
    empty = [m.__name__ for m in rows_of.models_shown() if not m._default_manager.exists()]
    assert not empty, f"tests/rules/rows.py builds no rows of {empty}: add them to build()."


def _report(wrong: list[str], advice: str) -> str:
    return "\n".join([advice, *wrong])


@pytest.mark.parametrize(
    ("sql", "changes_nothing"),
    [
        ("SELECT 1", True),
        ("(SELECT 1) UNION (SELECT 2)", True),
        ("\n  WITH RECURSIVE names(name) AS (SELECT 1) SELECT name FROM names", True),
        ("WITH gone AS (DELETE FROM rows RETURNING id) SELECT id FROM gone", False),
        ('INSERT INTO "rows" VALUES (1)', False),
    ],
)
def test_a_statement_that_writes_is_known(sql: str, changes_nothing: bool) -> None:
    assert reads(sql) is changes_nothing
