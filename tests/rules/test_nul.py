"""No statement for the database holds a NUL, whatever address, query, form or body it comes from.

PostgreSQL refuses such a text with an error, and SQLite takes it. So the statements themselves are
looked at, on both.
"""

import inspect
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django import forms
from django.db import connection

from core.storable import has_nul
from core.tests import nul
from mmeportal.access import ADMIN, ANYBODY, SUPERUSER
from tests.rules.api_subjects import PREFIX, Subject, document, subjects
from tests.rules.site import Site, make
from tests.rules.subjects import Address, addresses
from tests.rules.test_api_access import Callers, callers

__all__ = ["callers"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
TEXT = "a\0b"
FORM = "application/x-www-form-urlencoded"
#: What a view reads by its name: of a query, of a form, or of either.
_READ = re.compile(r"""\b(GET|POST|given)(?:\.get\w*\(|\[)"([\w-]+)\"""")
#: The statuses of a refusal that says what is wrong.
REFUSED = {400, 404, 409, 415, 422}


@pytest.fixture
def site(db: None, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Site:
    """One row of everything, and a database that refuses NUL as PostgreSQL does."""
    made = make(tmp_path, settings, monkeypatch)
    made.answers_faults()
    monkeypatch.setattr(connection, "execute_wrappers", [*connection.execute_wrappers, nul.refuse])
    return made


@cache
def _read_in(file: Path) -> set[tuple[str, str]]:
    return set(_READ.findall(file.read_text(encoding="utf-8")))


def _read_by(address: Address) -> set[tuple[str, str]]:
    """What the module of a view reads, by which way."""
    file = inspect.getsourcefile(inspect.unwrap(getattr(address.view, "view_class", address.view)))
    return _read_in(Path(file)) if file and Path(file).is_relative_to(ROOT) else set()


def _fields() -> set[str]:
    """The names of the fields of all forms, of Django's and in templates."""
    found = set()
    for template in (ROOT / "templates").rglob("*.html"):
        found |= set(re.findall(r'\bname="([\w-]+)"', template.read_text(encoding="utf-8")))
    waiting: list[type] = [forms.BaseForm]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            found |= set(getattr(kind, "base_fields", {}))
    return found - {"csrfmiddlewaretoken"}


def _requests(site: Site) -> Iterator[tuple[str, str, str | None]]:
    """Method, address and form of requests to all pages: all names at once, and each alone.

    All at once are refused for the first that is wrong; one alone comes to where it is read.
    """
    every = urlencode(dict.fromkeys(sorted(_fields()), TEXT))
    for address in addresses():
        for arguments in site.rows.arguments(address):
            url = address.url(arguments)
            yield "GET", f"{url}?{every}", None
            yield "POST", url, every
            for way, name in sorted(_read_by(address)):
                one = urlencode({name: TEXT})
                if way != "POST":
                    yield "GET", f"{url}?{one}", None
                if way != "GET":
                    yield "POST", url, one
            for key, value in arguments.items():
                if isinstance(value, str):
                    yield "GET", address.url(arguments | {key: TEXT}), None


def test_pages(site: Site) -> None:
    wrong, asked = [], 0
    for method, url, form in _requests(site):
        content = (FORM, form.encode()) if form is not None else None
        answer, _ = site.ask(SUPERUSER, method, url, token=True, content=content)
        asked += 1
        if answer.status_code == 500:
            wrong.append(f"{method} {url} with {form}"[:150])
    assert asked > 300
    assert not wrong, "Ask core.storable.has_nul before these ask the database:\n" + "\n".join(
        wrong
    )


def _given(schema: dict[str, Any], depth: int = 0) -> Any:
    """Something of a schema, with a NUL in each text that may be anything."""
    if "$ref" in schema:
        return _given(document()["components"]["schemas"][schema["$ref"].split("/")[-1]], depth + 1)
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return _given(schema[choice][0], depth + 1)
    if "enum" in schema:
        return schema["enum"][0]
    if "properties" in schema:
        return {name: _given(one, depth + 1) for name, one in schema["properties"].items()}
    match schema.get("type"):
        case "object":
            return {TEXT: TEXT}
        case "array":
            return [_given(schema["items"], depth + 1)]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
    return TEXT


def _wrong(site: Site, subject: Subject, bearer: str) -> Iterator[str]:
    """What is wrong with the answers of an operation, to a NUL wherever it takes a text."""
    url = subject.url(site.rows)
    tries: list[tuple[str, str, tuple[str, bytes] | None]] = []
    if "{" in subject.rules.path:
        tries.append(("its path", PREFIX + re.sub(r"{[^}]+}", "%00", subject.rules.path), None))
    texts = {
        one["name"]: TEXT
        for one in subject.documented.get("parameters", ())
        if one["in"] == "query" and has_nul(_given(one["schema"]))
    }
    if texts:
        tries.append((f"its parameters {sorted(texts)}", f"{url}?{urlencode(texts)}", None))
    body = subject.documented.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None and has_nul(given := _given(body["schema"])):
        content = ("application/json", json.dumps(given).encode())
        tries.append((f"its body {sorted(given)}", url, content))
    for what, at, sent in tries:
        answer, written = site.ask(
            ANYBODY, subject.method, at, token=False, bearer=bearer, content=sent
        )
        if answer.status_code not in REFUSED or written:
            yield f"{subject.rules.id}, {what}: {answer.status_code}, wrote {written}"


def test_operations(site: Site, callers: Callers) -> None:
    bearer = callers.tokens[f"{ADMIN}'s token to all"]
    wrong = [said for subject in subjects() for said in _wrong(site, subject, bearer)]
    assert not wrong, "Make their bodies and parameters of core/api/schema.py:\n" + "\n".join(wrong)
