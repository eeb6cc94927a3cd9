"""A page whose session ended while it polls leads to the login, and from there back to itself."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

PAGE = "/endpoints/5/?a=1&b=2"


@pytest.mark.parametrize(
    ("page", "leads_to"),
    [
        (f"http://testserver{PAGE}", PAGE),
        ("http://elsewhere.example/endpoints/5/", "/"),
        (None, "/"),
    ],
)
def test_a_part_sends_its_page_to_the_login_and_back(
    db: None, client: Client, page: str | None, leads_to: str
) -> None:
    headers = {"HX-Request": "true"} | ({"HX-Current-URL": page} if page else {})
    answer = client.get("/models/", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    login = answer.headers["HX-Redirect"]
    assert login.startswith("/login/?next=/")
    User.objects.create_user("me", password="a good long password")
    form = {"username": "me", "password": "a good long password"}
    assert client.post(login, form).headers["Location"] == leads_to


def test_a_page_is_redirected_as_ever(db: None, client: Client) -> None:
    answer = client.get("/models/")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/login/?next=/models/"


def test_who_is_logged_in_notices_nothing(client_of: Callable[[str], Client]) -> None:
    answer = client_of("viewer").get("/models/", headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert "HX-Redirect" not in answer.headers
