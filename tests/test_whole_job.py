"""The whole job, upload to teardown, in a browser without JavaScript and by keyboard alone."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from tests.artifacts import constant_archive
from tests.stack import Stack

LIVE_S = 90
MOST_STOPS = 120
LABELS = ["cat", "dog", "fish", "bird", "cow", "ant"]


class Hands:
    """How a person without JavaScript works: with a mouse, and by loading a page again."""

    name = "without-javascript"
    options: dict[str, Any] = {"java_script_enabled": False}

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, control: Locator) -> None:
        """Follow a link, or press a button."""
        control.click()

    def type(self, field: Locator, text: str) -> None:
        """Write a text into a field."""
        field.fill(text)

    def choose(self, field: Locator, text: str) -> None:
        """Choose the option that has the text."""
        option = field.locator("option").filter(has_text=text).first
        field.select_option(value=option.get_attribute("value"))

    def attach(self, field: Locator, file: Path) -> None:
        """Choose a file."""
        field.set_input_files(file)

    def wait(self, shown: Callable[[], Locator]) -> None:
        """Load the page again until something is on it."""
        for _ in range(LIVE_S * 2):
            if shown().count():
                return
            self.page.wait_for_timeout(500)
            self.page.reload()
        raise AssertionError(f"{self.page.url} never showed {shown()}.")


class Keyboard(Hands):
    """A person without a mouse: Tab, Enter, Space and letters; pages change by themselves."""

    name = "keyboard"
    options: dict[str, Any] = {}

    def _reach(self, control: Locator) -> None:
        expect(control).to_be_visible()
        for _ in range(MOST_STOPS):
            if control.evaluate("(one) => one === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not reach {control} on {self.page.url}.")

    def press(self, control: Locator) -> None:
        self._reach(control)
        self.page.keyboard.press("Enter")

    def type(self, field: Locator, text: str) -> None:
        self._reach(field)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def choose(self, field: Locator, text: str) -> None:
        if field.get_attribute("role") == "combobox":
            self.type(field, text)
            listed = self.page.locator("[role=listbox]:not([hidden]) [role=option]")
            expect(listed.first).to_contain_text(text)
            self.page.keyboard.press("Enter")
            return
        self._reach(field)
        self.page.keyboard.type(text)

    def attach(self, field: Locator, file: Path) -> None:
        self._reach(field)
        # What the dialog of the browser does when a file was chosen in it.
        field.set_input_files(file)

    def wait(self, shown: Callable[[], Locator]) -> None:
        expect(shown().first).to_be_visible(timeout=LIVE_S * 1000)


@pytest.fixture(params=[Hands, Keyboard], ids=lambda kind: kind.name)
def hands(browser: Browser, stack: Stack, request: pytest.FixtureRequest) -> Iterator[Hands]:
    context = browser.new_context(base_url=stack.url, **request.param.options)
    context.set_default_timeout(20_000)
    yield request.param(context.new_page())
    context.close()


@pytest.mark.browser
def test_the_whole_job(hands: Hands, stack: Stack, tmp_path: Path) -> None:
    page, name = hands.page, hands.name
    archive = constant_archive(tmp_path / "a.tar.gz", labels=LABELS, answer=2)
    picture = tmp_path / "picture.jpg"
    Image.new("RGB", (64, 48), "orange").save(picture)

    def link(text: str) -> Locator:
        return page.get_by_role("main").get_by_role("link", name=re.compile(text)).first

    def button(text: str) -> Locator:
        return page.get_by_role("main").get_by_role("button", name=re.compile(text)).first

    def menu(text: str) -> Locator:
        navigation = page.get_by_role("navigation", name="Main")
        return navigation.get_by_role("link", name=re.compile(text)).first

    page.goto("/login/")
    hands.type(page.get_by_label("User name"), "admin")
    hands.type(page.get_by_label("Password"), stack.admin_password)
    hands.press(page.get_by_role("button", name="Log in"))
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Log in")

    hands.press(menu("Models"))
    hands.press(link("Upload a model"))
    hands.attach(page.get_by_label("Archive", exact=True), archive)
    if page.get_by_label("Name", exact=True).is_visible():
        hands.type(page.get_by_label("Name", exact=True), name)
        hands.press(page.get_by_role("button", name="Upload", exact=True))
    else:  # the script has a line for each file
        hands.type(page.get_by_label("Name of the model of a.tar.gz"), name)
        hands.press(page.get_by_role("button", name="Upload", exact=True))
        hands.press(page.locator("#lines").get_by_role("link", name=f"{name} v1").first)
    page.wait_for_url(f"**/models/{name}/v1/")
    hands.wait(lambda: page.locator("#state").filter(has_text=re.compile("ready", re.I)))

    hands.press(menu("Endpoints"))
    hands.press(link("Create an endpoint"))
    hands.type(page.get_by_role("textbox", name="Name"), name)
    hands.press(button("^Create"))
    page.wait_for_url(re.compile(r"/endpoints/\d+/"))
    endpoint = page.url
    in_service = re.compile("In ?service", re.I)
    hands.wait(lambda: page.locator("main .badge").filter(has_text=in_service))

    hands.press(menu("Invoke|Call"))
    # With scripts, a field with a search stands where the select was.
    hands.choose(page.get_by_role("combobox", name="Version"), f"{name} v1")
    hands.choose(page.get_by_role("combobox", name="Endpoint"), name)
    hands.attach(page.locator("#picture"), picture)
    hands.press(button("^(Invoke|Call the model)$"))
    answer = page.locator("#answer")
    hands.wait(lambda: answer.filter(has_text="fish"))

    page.goto(endpoint)
    hands.press(link("Tear down"))
    hands.type(page.get_by_role("main").get_by_role("textbox"), name)
    hands.press(button("Tear down"))
    page.wait_for_url(re.compile(r"/endpoints/\d+/$"))
    hands.wait(lambda: page.get_by_text("Torn down").first)

    hands.press(page.get_by_role("button", name=re.compile("Account")))
    hands.press(page.get_by_role("button", name="Log out"))
    page.wait_for_url("**/login/")
