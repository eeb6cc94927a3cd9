"""Models and versions are sorted by a number of their metadata."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from core import remembered
from models_catalog.models import Version
from models_catalog.tests.test_api_reading import V1, got, made, viewer

__all__ = ["viewer"]


@pytest.fixture
def zoo(db: None) -> None:
    """Models with numbers of `accuracy`, of `a.b-c`, with texts, with none."""
    for number, accuracy in enumerate((0.5, 9, 10, 9), start=1):
        made("ant", number, metadata={"accuracy": accuracy, "a.b-c": -number})
    made("ant", 5, metadata={"accuracy": 99}, state=Version.State.REJECTED)
    made("bee", metadata={"accuracy": 9.5, "data": "May"})
    made("cat", metadata={"accuracy": "high"})
    made("cow", metadata={"accuracy": "99"})
    made("dog")
    for one in remembered.ALL:
        one.clear()


@pytest.mark.not_quick
@pytest.mark.usefixtures("zoo")
def test_models_are_sorted_by_the_best_of_their_ready_versions(viewer: Client) -> None:
    def found(sort: str, more: str = "") -> list[tuple[str, dict[str, Any]]]:
        items = got(viewer, f"/models?sort={sort}{more}")["items"]
        return [(one["name"], one["best"]) for one in items]

    assert found("meta.accuracy") == [
        ("ant", {"key": "accuracy", "value": 10.0, "number": 3}),
        ("bee", {"key": "accuracy", "value": 9.5, "number": 1}),
    ]
    assert found("least.accuracy") == [
        ("ant", {"key": "accuracy", "value": 0.5, "number": 1}),
        ("bee", {"key": "accuracy", "value": 9.5, "number": 1}),
    ]
    assert found("least.a.b-c") == [("ant", {"key": "a.b-c", "value": -4.0, "number": 4})]
    assert found("meta.data") == found("meta.none") == []
    assert found("meta.accuracy", "&search=bee")[0][0] == "bee"
    assert {best for _name, best in found("name")} == {None}


@pytest.mark.not_quick
@pytest.mark.usefixtures("zoo")
def test_the_order_goes_on_over_pages(viewer: Client) -> None:
    first = got(viewer, "/models?sort=meta.accuracy&limit=1")
    rest = got(viewer, f"/models?sort=meta.accuracy&limit=1&cursor={quote(first['next'])}")
    assert [one["name"] for one in first["items"] + rest["items"]] == ["ant", "bee"]
    assert rest["next"] is None
    cursor, numbers = "", []
    for _page in range(4):
        path = f"/models/ant/versions?sort=meta.accuracy&state=ready&limit=1&cursor={quote(cursor)}"
        found = got(viewer, path)
        numbers += [one["number"] for one in found["items"]]
        cursor = found["next"]
    assert numbers == [3, 4, 2, 1]
    assert cursor is None


@pytest.mark.usefixtures("zoo")
def test_versions_are_sorted_too(viewer: Client) -> None:
    found = got(viewer, "/models/ant/versions?sort=least.accuracy")["items"]
    assert [one["number"] for one in found] == [1, 4, 2, 3, 5]
    found = got(viewer, "/versions?sort=meta.accuracy")["items"]
    assert [f"{one['model']}:{one['number']}" for one in found][:3] == ["ant:5", "ant:3", "bee:1"]


@pytest.mark.parametrize(
    "sort", ["meta", "meta.", "meta.a b", "least.1a", "accuracy", "meta.a%22b"]
)
def test_what_is_no_order_is_refused(viewer: Client, sort: str) -> None:
    answer = viewer.get(f"{V1}/models?sort={sort}")
    assert answer.status_code == 422
    assert "sort" in answer.json()["errors"]


@pytest.mark.not_quick
@pytest.mark.usefixtures("zoo")
def test_the_list_shows_a_key_as_a_column(client_of: Callable[[str], Client]) -> None:
    browser = client_of("admin")

    def shown(query: str) -> list[tuple[str, str, str]]:
        page = browser.get(f"/models/{query}").content.decode()
        return re.findall(
            r'<td class="name" title="(\w+)".*?<td class="number">\s*([\d.,-]+)\s*'
            r'<a href="[^"]*/v(\d+)/">',
            page, re.DOTALL,
        )  # fmt: skip

    page = browser.get("/models/").content.decode()
    assert '<option value="accuracy"' in page
    assert '<option value="a.b-c"' in page
    assert shown("?meta=accuracy") == [("ant", "10", "3"), ("bee", "9.5", "1")]
    assert shown("?meta=accuracy&sort=best") == [("ant", "0.5", "1"), ("bee", "9.5", "1")]
    assert shown("?meta=nothing&sort=-best") == []
