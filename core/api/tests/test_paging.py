"""A list in pages: nothing is shown twice or left out while rows are added."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import RequestFactory

from core.api.headers import given
from core.api.paging import page
from core.api.problems import Problem
from core.api.schema import ListParameters

pytestmark = pytest.mark.django_db
START = datetime(2026, 1, 1, tzinfo=UTC)


def _request(query: str = "") -> HttpRequest:
    return RequestFactory().get(f"/api/v1/users?{query}")


def _make(count: int, *, first: int = 0) -> None:
    User.objects.bulk_create(
        # Two each have the same time, so that the order needs the second field.
        User(username=f"u{n:03}", date_joined=START + timedelta(minutes=n // 2))
        for n in range(first, first + count)
    )


def _names(found: dict[str, Any]) -> list[str]:
    return [user.username for user in found["items"]]


@pytest.mark.parametrize(
    "order", [("username",), ("-username",), ("date_joined", "pk"), ("-date_joined", "-pk")]
)
def test_all_pages_together_are_the_list(order: tuple[str, ...]) -> None:
    _make(23)
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = ListParameters(limit=5, cursor=cursor)
        found = page(_request(), User.objects.all(), query, order=order)
        seen += _names(found)
        cursor = found["next"]

    assert seen == [user.username for user in User.objects.order_by(*order)]


def test_rows_that_are_added_move_nothing() -> None:
    _make(10)
    order = ("-date_joined", "-pk")
    first = page(_request(), User.objects.all(), ListParameters(limit=4), order=order)
    _make(10, first=20)  # all come before the first page
    query = ListParameters(limit=4, cursor=first["next"])
    second = page(_request(), User.objects.all(), query, order=order)

    assert _names(first) == ["u009", "u008", "u007", "u006"]
    assert _names(second) == ["u005", "u004", "u003", "u002"]


def test_the_link_keeps_the_other_parameters() -> None:
    _make(3)
    request = _request("limit=2&q=u")
    found = page(request, User.objects.all(), ListParameters(limit=2), order=("username",))

    link = given(request)["Link"]
    assert link.endswith('>; rel="next"')
    assert "q=u" in link
    assert "limit=2" in link
    assert quote(found["next"], safe="") in link


def test_the_last_page_has_no_next() -> None:
    _make(2)
    request = _request()
    found = page(request, User.objects.all(), ListParameters(limit=2), order=("username",))

    assert found["next"] is None
    assert "Link" not in given(request)


def test_a_cursor_of_another_order_or_none_of_ours_is_refused() -> None:
    _make(5)
    query = ListParameters(limit=2)
    cursor = page(_request(), User.objects.all(), query, order=("username",))["next"]
    for bad, order in (
        (cursor, ("-username",)),
        ("surprise", ("username",)),
        (cursor + "x", ("username",)),
    ):
        with pytest.raises(Problem) as caught:
            page(_request(), User.objects.all(), ListParameters(cursor=bad), order=order)
        assert caught.value.errors is not None
        assert "cursor" in caught.value.errors
