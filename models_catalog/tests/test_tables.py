"""The catalog's tables: what they find, how they sort, how much they show on a screen."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from core.palette import search
from models_catalog.models import RegisteredModel, Version
from tests.test_page_policies import _database_beside_playwright, _opened, browser

__all__ = ["_database_beside_playwright", "browser"]

MODELS, VERSIONS = 44, 150
LEAST_ROWS = 16


def _model(name: str, count: int = 1, **fields: Any) -> RegisteredModel:
    model = RegisteredModel.objects.create(name=name, description=f"About {name}. " * 12)
    given = {
        "state": "ready", "parameters": 61_706, "input_shape": "data: 1 × 3 × 224 × 224",
        "published_size": 9_000_000, "packing": "stored",
    } | fields  # fmt: skip
    Version.objects.bulk_create(
        Version(
            model=model, number=number, key=f"{name}{number}", size=5, note=f"Note {number}. " * 20,
            sha256=f"{number:064x}", published_sha256=f"{model.pk:032x}{number:032x}", **given,
        )
        for number in range(1, count + 1)
    )  # fmt: skip
    return model


def _names(client: Client, **query: str) -> list[str]:
    page = client.get("/models/", query).content.decode()
    return re.findall(r'<td class="name" title="([^"]+)"', page)


@pytest.mark.not_quick
def test_the_list_is_sorted_filtered_and_paged_in_the_address(
    client_of: Callable[[str], Client], db: None
) -> None:
    for number in range(55):
        _model(f"m{number:02}", published_size=number + 1)
    _model("refused", state="rejected", parameters=None, published_size=None)
    RegisteredModel.objects.create(name="nothing")
    client = client_of("viewer")
    first = _names(client, sort="name")
    assert (len(first), first[0]) == (50, "m00")
    assert _names(client, sort="name", page="2")[-1] == "refused"
    assert _names(client, sort="-size", q="m")[:2] == ["m54", "m53"]
    assert _names(client, state="rejected") == ["refused"]
    assert _names(client, state="none") == ["nothing"]
    assert _names(client, state="validating") == []
    assert len(_names(client, state="no-such-state")) == 50


@pytest.mark.not_quick
def test_a_badge_is_shown_only_where_the_state_is_not_the_normal_one(
    client_of: Callable[[str], Client], db: None
) -> None:
    _model("fine")
    client = client_of("viewer")
    for url in ("/models/", "/models/fine/"):
        assert 'class="badge"' not in client.get(url).content.decode()
    Version.objects.update(state="checking")
    for url in ("/models/", "/models/fine/"):
        assert "Validating" in client.get(url).content.decode()


@pytest.mark.not_quick
def test_a_model_of_150_versions_is_paged_and_searched(
    client_of: Callable[[str], Client], db: None
) -> None:
    _model("many", VERSIONS)
    client = client_of("viewer")
    numbers = re.compile(r'href="/models/many/v(\d+)/"')

    def shown(**query: str) -> list[int]:
        page = client.get("/models/many/", query).content.decode()
        return [int(one) for one in numbers.findall(page)]

    assert shown() == list(range(150, 100, -1))
    assert shown(page="3") == list(range(50, 0, -1))
    assert shown(sort="version")[:2] == [1, 2]
    assert shown(q="Note 149") == [149]
    assert shown(q=f"{149:064x}") == [149]
    page = client.get("/models/many/").content.decode()
    assert f'title="{"Note 150. " * 20}"' in page, "the whole note is at hand"


def test_the_search_of_the_site_knows_models_and_versions(
    user_in: Callable[[str], User], db: None
) -> None:
    _model("digits", 3)
    viewer = user_in("viewer")
    found = {str(group.kind): [str(hit.label) for hit in group.hits] for group in search(
        viewer, "digits v2")}  # fmt: skip
    assert [label.partition(" ·")[0] for label in found["Version"]] == ["digits v2"]
    assert str(search(viewer, "digi")[0].hits[0].label) == "digits"
    Version.objects.filter(number=3).update(note="")
    Version.objects.filter(number=1).update(note="These are digits")
    (versions,) = [one.hits for one in search(viewer, "digits") if str(one.kind) == "Version"]
    assert [str(hit.label).partition(" ·")[0] for hit in versions] == ["digits v3", "digits v1"]
    assert not search(User.objects.create_user("nobody"), "digits")


@pytest.fixture
def page(browser: Browser, live_server: Any, admin_user: User) -> Iterator[Page]:
    for number in range(MODELS - 1):
        _model(f"a-model-with-a-name-of-some-length-{number}")
    _model("many", VERSIONS)
    with _opened(browser, live_server.url, admin_user) as opened:
        made = opened.new_page()
        made.set_viewport_size({"width": 1280, "height": 800})
        yield made


_ROWS = """rows => rows.map(row => row.getBoundingClientRect())
    .filter(box => box.bottom <= innerHeight).map(box => Math.round(box.height))"""


def test_a_screen_shows_16_models_and_the_table_fits(page: Page) -> None:
    page.goto("/models/")
    # No worker runs here, and a banner says so.
    page.locator("#worker-problem").evaluate_all("found => found.forEach(one => one.remove())")
    heights = page.locator("table.models tbody tr").evaluate_all(_ROWS)
    assert len(heights) >= LEAST_ROWS
    assert set(heights) == {40}
    fits = "box => box.scrollWidth <= box.clientWidth"
    assert page.locator(".table-scroll").evaluate(fits), "the table is wider than the page"
    page.goto("/models/many/")
    rows = page.locator("#versions tbody tr")
    assert rows.count() == 50
    assert set(rows.evaluate_all(_ROWS)) == {40}
    assert page.locator("#versions .table-scroll").evaluate(fits)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_no_page_scrolls_to_the_side(page: Page, width: int, language: str) -> None:
    page.context.set_extra_http_headers({"Accept-Language": language})
    page.set_viewport_size({"width": width, "height": 800})
    for url in ("/models/", "/models/many/", "/models/many/v7/", "/models/new/"):
        page.goto(url)
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wider) <= 0, url


def test_the_list_is_searched_while_somebody_types(page: Page) -> None:
    page.goto("/models/?state=ready")
    rows = page.locator("table.models tbody tr")
    field = page.locator("form[data-filters] input[name=q]")
    field.press_sequentially("many", delay=20)
    expect(rows).to_have_count(1)
    expect(page.locator("#found-count")).to_have_text("1 row")
    page.wait_for_url("**/models/?q=many&state=ready*")
    field.fill("nothing of this")
    expect(page.locator(".empty")).to_contain_text("No model has this")
    field.fill("")
    expect(rows).to_have_count(MODELS)
    assert field.evaluate("field => field === document.activeElement")
