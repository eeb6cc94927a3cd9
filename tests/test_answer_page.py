"""The page of an answer in a browser: what leads, "Wrong?" in place, versions found by name."""

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from core import worker_watch
from endpoints.models import Endpoint
from invocations import offered
from invocations.models import Invocation, LabelledPicture, Picture
from models_catalog.models import RegisteredModel, Version

SIZES = [(1280, "light"), (390, "dark")]


@pytest.fixture(scope="module", autouse=True)
def _database_beside_playwright() -> Iterator[None]:
    """Playwright runs an event loop in this thread, which never waits for the database."""
    patch = pytest.MonkeyPatch()
    patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    yield
    patch.undo()


@pytest.fixture
def page(browser: Browser, live_server: Any, user_in: Callable[[str], User]) -> Iterator[Page]:
    """A page of a viewer, whose every script error fails the test."""
    client = Client()
    client.force_login(user_in("viewer"))
    name = settings.SESSION_COOKIE_NAME
    context = browser.new_context(base_url=live_server.url)
    context.add_cookies(
        [{"name": name, "value": client.cookies[name].value, "url": live_server.url}]
    )
    context.set_default_timeout(15_000)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    yield opened
    context.close()
    assert wrong == []


@pytest.fixture
def call(transactional_db: None) -> Invocation:
    """An answer of the newest of 60 versions, whose picture is kept."""
    file = io.BytesIO()
    Image.new("RGB", (28, 28), "white").save(file, "JPEG")
    endpoint = Endpoint.objects.create(name="demo", state=Endpoint.State.IN_SERVICE)
    model = RegisteredModel.objects.create(name="digits")
    versions = [
        Version.objects.create(
            model=model,
            number=number,
            size=1,
            key=f"models/digits_v{number}.tar.gz",
            state=Version.State.READY,
            report={"artifact": {"labels": ["three", "eight", "nine"]}},
        )
        for number in range(1, 61)
    ]
    kept = {"content_type": "image/jpeg", "data": file.getvalue(), "thumbnail": file.getvalue()}
    Picture.objects.create(sha256="a" * 64, name="three.jpg", **kept)
    return Invocation.objects.create(
        endpoint=endpoint,
        version=versions[-1],
        target_model="digits_v60.tar.gz",
        state=Invocation.State.DONE,
        picture_name="three.jpg",
        picture_sha256="a" * 64,
        thumbnail=file.getvalue(),
        predictions=[
            {"label": "eight", "probability": 0.7},
            {"label": "three", "probability": 0.3},
        ],
        latency_ms=12.0,
        cold=False,
    )


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_the_winning_label_is_the_largest_text_of_the_page(
    page: Page, call: Invocation, width: int, scheme: Any
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(call.get_absolute_url())
    largest = page.evaluate(
        """() => [...document.querySelectorAll("main *")]
          .filter((one) => one.checkVisibility()
            && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
          .sort((a, b) => parseFloat(getComputedStyle(b).fontSize)
            - parseFloat(getComputedStyle(a).fontSize))[0].textContent"""
    )
    assert largest == "eight"
    picture = page.locator(".answer-picture img").bounding_box()
    assert picture is not None
    assert picture["width"] >= 240
    expect(page.locator(".answer-picture img")).to_have_class("pixels")  # 28 px, not blurred
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1280, 390])
def test_the_share_of_a_label_ends_at_the_edge_of_the_list(
    page: Page, call: Invocation, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(call.get_absolute_url())
    bars = page.locator(".answer ul.bars").first
    ends = bars.evaluate(
        "list => [list, ...list.querySelectorAll('.value')].map("
        "(one) => one.getBoundingClientRect().right)"
    )
    assert len(ends) == 2
    assert ends[1] == pytest.approx(ends[0], abs=1)


def test_wrong_is_said_in_place_by_one_of_the_other_labels_or_a_typed_one(
    page: Page, call: Invocation, settings: Any
) -> None:
    settings.TEST_SETS = True
    page.goto(call.get_absolute_url())
    page.get_by_role("link", name="Wrong?").click()
    page.get_by_label("Another label").fill("nine")
    page.get_by_role("button", name="Store the label").click()
    expect(page.locator("#wrong")).to_contain_text("this picture is “nine”")
    page.get_by_role("link", name="Wrong?").click()
    page.get_by_role("button", name="three", exact=True).click()
    expect(page.locator("#wrong")).to_contain_text("It is now “three”")
    assert LabelledPicture.objects.get().label == "three"
    page.get_by_role("link", name="Open the test set").click()
    expect(page.locator("tbody tr")).to_have_count(1)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_flag_is_undone_where_it_was_made(
    page: Page, call: Invocation, settings: Any, width: int
) -> None:
    settings.TEST_SETS = True
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(call.get_absolute_url())
    order = ["#answer .headline", "#wrong", "#invoke-form"]
    page.get_by_role("link", name="Wrong?").click()
    page.get_by_role("button", name="three", exact=True).click()
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_visible()
    boxes = [page.locator(one).bounding_box() for one in order]
    tops = [box["y"] for box in boxes if box is not None]
    assert len(tops) == 3
    if width == 390:  # the answer, what was said of it, then the form for the next call
        assert tops == sorted(tops)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    undo.click()
    expect(page.locator("#toasts")).to_contain_text("as it was before")
    expect(page).to_have_url(re.compile(f"{call.get_absolute_url()}$"))
    assert not LabelledPicture.objects.exists()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_shared_answer_comes_before_the_form(
    page: Page, call: Invocation, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also below the sentence that no worker is there, which a process of a minute shows."""
    monkeypatch.setattr(worker_watch.WATCH, "_well_at", float("-inf"))
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(call.get_absolute_url())
    answer, form = (
        page.locator("#answer").bounding_box(),
        page.locator("#invoke-form").bounding_box(),
    )
    assert answer is not None
    assert form is not None
    assert answer["x"] <= form["x"]
    assert answer["y"] <= form["y"]
    # Read first as well: the headline is on the first screen, and the form follows in the document.
    headline = page.locator(".headline").bounding_box()
    assert headline is not None
    assert headline["y"] + headline["height"] < 844
    assert page.evaluate(
        """() => document.querySelector("#answer")
          .compareDocumentPosition(document.querySelector("#invoke-form"))
          === Node.DOCUMENT_POSITION_FOLLOWING"""
    )


@pytest.mark.parametrize("logged_in", [True, False])
@pytest.mark.parametrize("width", [1280, 390])
def test_advice_on_problems_is_shown_whole(page: Page, width: int, logged_in: bool) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    if not logged_in:  # an answer of the API leads here, too
        page.context.clear_cookies()
    page.goto("/problems/")
    cut = page.evaluate(
        """() => [document.documentElement, ...document.querySelectorAll(".table-scroll, td")]
          .filter((one) => one.scrollWidth > one.clientWidth + 1)
          .map((one) => one.outerHTML.slice(0, 90))"""
    )
    assert cut == []
    heights = page.locator("tbody code").evaluate_all("all => all.map((one) => one.offsetHeight)")
    assert max(heights) < (30 if width == 1280 else 70)  # not letter by letter


@pytest.mark.parametrize("most", [100, 5])
def test_a_version_among_many_is_found_by_typing(
    page: Page, call: Invocation, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(offered, "MOST", most)  # with 5, the server looks for it
    page.goto("/invoke/")
    field = page.get_by_role("combobox", name="Version")
    field.fill("v17")
    page.get_by_role("option", name="digits v17").click()
    chosen = Version.objects.get(number=17).pk
    expect(page.locator("#version")).to_have_value(str(chosen))
    expect(field).to_have_value("digits v17")
    field.fill("nothing like it")
    expect(page.get_by_role("option", name="Nothing matches")).to_be_visible()
    page.keyboard.press("Escape")
    expect(field).to_have_value("digits v17")  # what was chosen stays
    expect(page.locator("#version")).to_have_value(str(chosen))
