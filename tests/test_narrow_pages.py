"""What a narrow window does to a page: buttons behind "More", and tables that show they go on."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from endpoints.models import Endpoint, EndpointAlarm
from tests.test_living_pages import _database_beside_playwright, open_page
from tests.test_pages_at_rest import demo

__all__ = ["_database_beside_playwright", "demo"]

NARROW, WIDE = {"width": 390, "height": 844}, {"width": 1280, "height": 800}


@pytest.fixture
def page(browser: Browser, live_server: Any, user_in: Callable[[str], User]) -> Iterator[Page]:
    yield from open_page(browser, live_server, user_in("admin"))


def _rows(buttons: Locator) -> int:
    """In how many rows the buttons stand that are seen."""
    boxes = [one.bounding_box() for one in buttons.all() if one.is_visible()]
    return len({round(box["y"]) for box in boxes if box})


def test_the_buttons_of_an_endpoint_are_one_row_and_the_others_behind_more(
    page: Page, demo: Endpoint
) -> None:
    page.goto(demo.get_absolute_url())
    head = page.locator(".page-head .actions").first
    buttons = head.locator(".button")
    more = head.locator("summary")
    tear_down = head.get_by_role("link", name="Tear down")
    page.set_viewport_size(WIDE)
    expect(tear_down).to_be_visible()
    expect(more).to_be_hidden()
    assert _rows(buttons) == 1
    page.set_viewport_size(NARROW)
    expect(head.get_by_role("link", name="Call a model")).to_be_visible()
    expect(tear_down).to_be_hidden()
    assert _rows(buttons) == 1
    before = more.bounding_box()
    more.click()
    expect(tear_down).to_be_visible()
    assert more.bounding_box() == before
    tear_down.click()
    page.wait_for_url("**/teardown/")


def test_the_buttons_stay_open_while_the_page_is_replaced_each_second(
    page: Page, demo: Endpoint
) -> None:
    demo.state = Endpoint.State.CREATING
    demo.save()
    page.set_viewport_size(NARROW)
    page.goto(demo.get_absolute_url())
    tear_down = page.locator(".page-head").get_by_role("link", name="Tear down")
    expect(tear_down).to_be_hidden()
    page.locator(".page-head summary").click()
    for _time in range(2):
        with page.expect_response("**/live/**"):
            pass
    expect(tear_down).to_be_visible()


def test_a_table_is_shaded_at_the_edge_beyond_which_there_is_more(
    page: Page, demo: Endpoint
) -> None:
    page.set_viewport_size(NARROW)
    page.goto("/endpoints/")
    box = page.locator(".table-scroll").first
    assert box.evaluate("one => one.scrollWidth > one.clientWidth + 60")
    assert _shaded(box) == (False, True)
    box.evaluate("one => { one.scrollLeft = 60; }")
    assert _shaded(box) == (True, True)
    box.evaluate("one => { one.scrollLeft = one.scrollWidth; }")
    assert _shaded(box) == (True, False)
    page.set_viewport_size({"width": 1900, "height": 800})
    assert _shaded(box) == (False, False)


def test_what_an_alarm_goes_off_at_and_the_badge_of_a_store_are_not_cut(
    page: Page, demo: Endpoint
) -> None:
    EndpointAlarm.objects.create(
        endpoint=demo, kind="p99", variant="AllTraffic", threshold=500, minutes=1, state="normal"
    )
    page.set_viewport_size(NARROW)
    page.goto(f"{demo.get_absolute_url()}alarms/")
    condition = page.locator("td.wide", has_text="the slowest percent of the calls above")
    assert _not_cut(condition)
    page.goto("/models/new/stores/")
    badge = page.get_by_text("of the settings", exact=True)
    assert _not_cut(badge.locator("xpath=ancestor::td"))


def _not_cut(cell: Locator) -> bool:
    """Whether a cell of a table has room for all that is in it."""
    return bool(cell.evaluate("one => one.scrollWidth <= one.clientWidth"))


def _shaded(box: Locator) -> tuple[bool, bool]:
    """Whether the left and the right edge are darker than the surface, above the head's words."""
    shot = Image.open(io.BytesIO(box.screenshot())).convert("L")
    surface = 250
    return shot.getpixel((3, 6)) < surface, shot.getpixel((shot.width - 4, 6)) < surface
