"""The search finds the site's pages and actions, each for who may use it, in both languages."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import translation

from core.icons import drawing
from mmeportal.destinations import ACTIONS, PAGES, Destination, actions, pages


def _labels(user: User, query: str = "") -> set[str]:
    return {str(hit.label) for hit in [*pages(user, query), *actions(user, query)]}


def test_each_role_finds_what_it_may_use(user_in: Callable[[str], User]) -> None:
    viewer, operator, admin = (_labels(user_in(role)) for role in ("viewer", "operator", "admin"))
    assert {"Today", "Models", "Endpoints", "Call a model", "Activity", "Glossary"} <= viewer
    assert operator - viewer == {"Upload a model", "Create an endpoint"}
    assert admin - operator == {"Status"}


def test_a_part_of_the_name_finds_it_in_the_readers_language(
    user_in: Callable[[str], User],
) -> None:
    user = user_in("admin")
    assert _labels(user, "gloss") == {"Glossary"}
    with translation.override("ko"):
        assert _labels(user, "용어") == {"용어집"}


def test_who_is_not_logged_in_finds_nothing() -> None:
    from django.contrib.auth.models import AnonymousUser

    assert pages(AnonymousUser(), "") == actions(AnonymousUser(), "") == []


@pytest.mark.parametrize("one", [*PAGES, *ACTIONS], ids=lambda one: one.address)
def test_each_icon_is_there(one: Destination) -> None:
    assert drawing(one.icon)


def test_the_page_of_the_search_shows_them(client_of: Callable[[str], Client]) -> None:
    page = client_of("viewer").get("/search/?q=glossary").content.decode()
    assert 'href="/glossary/"' in page
