"""Who is not logged in: pages lead to the log-in, programs and forms are told 401."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from tests.artifacts import constant_archive

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def test_an_archive_that_is_posted_without_a_log_in_is_told_401(
    db: None, client: Client, archives: Path
) -> None:
    path = constant_archive(archives / "a.tar.gz", labels=["a"], answer=0)
    with path.open("rb") as file:
        answer = client.post(reverse("models_catalog:new"), {"name": "a", "archive": file})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"]
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.content.decode() == (
        "Log in first: there is no session, or it has ended. Nothing was changed or kept.\n"
    )


@pytest.mark.parametrize("headers", [{"Accept": "application/json"}, {"Authorization": "Bearer x"}])
def test_a_program_that_asks_is_told_401(db: None, client: Client, headers: dict[str, str]) -> None:
    answer = client.get("/models/", headers=headers)
    assert answer.status_code == 401
    if "Accept" in headers:
        assert answer.json()["error"].startswith("Log in first")
        assert answer.json()["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize("csrf", [False, True])
def test_a_form_whose_session_ended_is_told_so_on_a_page_that_leads_back(
    db: None, csrf: bool
) -> None:
    client = Client(enforce_csrf_checks=csrf)
    referer = "http://testserver/models/digits/delete/?a=1"
    answer = client.post("/models/digits/delete/", headers=PAGE | {"Referer": referer})
    page = answer.content.decode()
    assert answer.status_code == 401
    assert "there is no session, or it has ended. Nothing was changed or kept." in page
    assert 'href="/login/?next=/models/digits/delete/%3Fa%3D1"' in page
    elsewhere = client.post("/models/a/delete/", headers=PAGE | {"Referer": "http://evil.example/"})
    assert 'href="/login/?next=/"' in elsewhere.content.decode()


def test_the_log_in_itself_tells_of_a_stale_form(db: None) -> None:
    answer = Client(enforce_csrf_checks=True).post("/login/", headers=PAGE)
    assert answer.status_code == 403
    assert "This page is out of date" in answer.content.decode()


def test_a_stale_form_of_another_session_is_told_what_was_kept(
    user_in: Callable[[str], object],
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user_in("operator"))  # type: ignore[arg-type]
    answer = client.post("/models/new/", headers=PAGE)
    assert answer.status_code == 403
    assert "Nothing was changed, and nothing of the form was kept." in answer.content.decode()
