"""Below /api/ nothing is HTML, and refusals are problems in the reader's language."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from django.test import Client

from accounts import roles
from core import errors
from core.api import problems
from core.api.problems import CODES, CONTENT_TYPE, Problem
from core.version import VERSION

pytestmark = pytest.mark.django_db
STATUS = "/api/v1/status"


@pytest.fixture
def viewer() -> User:
    roles.ensure_roles()
    return User.objects.create_user("vera")


def _problem(answer: Any) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == CONTENT_TYPE
    document: dict[str, Any] = json.loads(answer.content)
    assert document["status"] == answer.status_code
    assert document["instance"] == answer.headers["X-Request-ID"]
    assert document["type"].removeprefix("/problems/") in CODES
    return document


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/api/", 404),
        ("get", "/api/v1/", 404),
        ("get", "/api/v1/nowhere", 404),
        ("get", "/api/v1/status/", 404),
        ("get", "/api/v1/<b>", 404),
        ("post", STATUS, 405),
        ("put", STATUS, 405),
        ("trace", STATUS, 405),
        ("get", STATUS, 401),
    ],
)
def test_what_django_refuses_is_a_problem(method: str, path: str, status: int) -> None:
    answer = getattr(Client(enforce_csrf_checks=True), method)(path)

    assert answer.status_code == status
    _problem(answer)
    if status == 405:
        assert answer.headers["Allow"] == "GET"
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_a_wrong_host_is_a_problem() -> None:
    _problem(Client(headers={"Host": "evil.example"}).get(STATUS))


def test_a_failure_of_the_portal_is_a_problem_and_tells_nothing(
    viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("mmeportal.site_api.where.chip", broken)
    client = Client(raise_request_exception=False)
    client.force_login(viewer)

    answer = client.get(STATUS)

    assert answer.status_code == 500
    assert _problem(answer)["type"] == "/problems/internal"
    assert b"secret of the house" not in answer.content


def test_the_language_is_that_of_the_header(viewer: User) -> None:
    client = Client()
    english = _problem(client.get(STATUS, headers={"Accept-Language": "en"}))
    korean = _problem(client.get(STATUS, headers={"Accept-Language": "ko"}))
    from_django = _problem(client.get("/api/v1/nowhere", headers={"Accept-Language": "ko"}))

    assert english["title"] == "Log in first"
    assert korean["title"] != english["title"]
    assert korean["type"] == english["type"]
    assert from_django["title"] != "Not found"


def test_the_version_is_that_of_the_project() -> None:
    with (Path(settings.BASE_DIR) / "pyproject.toml").open("rb") as file:
        assert tomllib.load(file)["project"]["version"] == VERSION


def test_a_session_is_enough_to_read(viewer: User) -> None:
    client = Client()
    client.force_login(viewer)
    answer = client.get(STATUS)

    assert answer.status_code == 200
    assert answer.headers["MME-Portal-Version"] == answer.json()["version"]
    assert answer.json()["parts"] is None


def test_an_unknown_parameter_is_refused_by_name(viewer: User) -> None:
    client = Client()
    client.force_login(viewer)
    document = _problem(client.get(f"{STATUS}?verbose=1"))

    assert list(document["errors"]) == ["verbose"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Http404(), "not-found"),
        (PermissionDenied("no"), "not-allowed"),
        (ValidationError({"name": ["taken"]}), "invalid"),
        (errors.Throttled("slow"), "unavailable"),
        (errors.StorageFull("full"), "no-space"),
        (errors.Denied("no"), "aws-denied"),
        (errors.Invalid("bad"), "aws-failed"),
        (Problem("conflict", "busy"), "conflict"),
    ],
)
def test_what_services_raise_becomes_a_problem(error: Exception, code: str) -> None:
    found = problems.of_exception(error)

    assert found is not None
    assert found.code == code


def test_a_fault_is_no_problem_of_ours() -> None:
    assert problems.of_exception(KeyError("x")) is None


@pytest.mark.parametrize("code", CODES)
def test_each_kind_says_by_itself_what_happened_and_what_to_do(code: str) -> None:
    detail = json.loads(Problem(code).response().content)["detail"]
    kind = CODES[code]
    assert detail == f"{kind.title}. {kind.todo}"
    assert not str(kind.title).endswith(".")


def test_a_code_that_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(ValueError, match="not in"):
        Problem("surprise")


@pytest.mark.not_quick
def test_each_kind_has_a_page_for_everybody() -> None:
    for code in CODES:
        page = Client().get(f"/problems/{code}")
        assert page.status_code == 200, code
        assert str(CODES[code].title) in page.content.decode()
    assert Client().get("/problems/surprise").status_code == 404
    page = Client().get("/problems/").content.decode()
    assert all(code in page for code in CODES)
    assert "<code>Authorization: Bearer mme_…</code>" in page
