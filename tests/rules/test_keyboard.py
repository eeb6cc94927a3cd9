"""Whoever has no mouse reaches everything, sees where they are, and can do the job.

One page of each pattern that the crawler reaches is walked through with the Tab key.
"""

import re
from collections.abc import Generator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import Group, User
from django.urls import resolve
from playwright.sync_api import Browser, Page, expect

from accounts import roles
from endpoints.models import Endpoint
from tests.rules import rows
from tests.rules.test_pages import Crawl, admin, browser, context, crawl, found_by_links
from tests.test_page_policies import PASSWORD, _database_beside_playwright, _opened

__all__ = ["_database_beside_playwright", "admin", "browser", "context", "crawl"]

# Thousands of presses, and the processors may be busy.
pytestmark = pytest.mark.timeout(900)

#: Each page is walked through at these, in pixels.
WIDTHS = (1280, 390)
#: Presses of Tab after which a page counts as one without an end.
MOST_STOPS = 300
#: Presses in a row until it is asked where they led, after as many as the page should have stops.
PRESSES = 10

# What Tab must reach, each with a number and with how it looks while it has no focus.
_NUMBER = """
() => {
  window.looks = (one) => {
    const shown = [];
    let opacity = 1;
    for (let at = one; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    // A field that is laid over its box unseen: the box around it shows the focus.
    const from = opacity ? one : one.parentElement;
    for (let at = from, up = 0; at && up < 2; at = at.parentElement, up += 1) {
      const style = getComputedStyle(at);
      const outline = style.outlineStyle === "none" ? "" : style.outlineWidth + style.outlineColor;
      shown.push(outline, style.boxShadow, style.borderColor, style.backgroundColor);
    }
    return shown.join("|");
  };
  document.activeElement.blur();  // Tab goes on from there all the same
  for (const one of document.querySelectorAll("[data-stop]")) delete one.dataset.stop;
  const names = [];
  const wanted = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]";
  for (const one of document.querySelectorAll(wanted)) {
    if (one.disabled || one.tabIndex < 0 || !one.checkVisibility({visibilityProperty: true}))
      continue;
    if (one.type === "radio" && !one.checked) continue;  // the arrow keys reach these
    one.dataset.stop = names.length;
    one.dataset.unfocused = window.looks(one);
    const text = (one.getAttribute("aria-label") || one.innerText || one.name || "").trim();
    names.push(`${one.localName}.${one.className} "${text.slice(0, 40)}"`);
  }
  return names;
}
"""
_THERE = "() => [...document.querySelectorAll('[data-stop]')].map(one => Number(one.dataset.stop))"
_STOP = """
() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const box = one.getBoundingClientRect();
  const x = Math.min(Math.max(box.left + box.width / 2, 0), innerWidth - 1);
  return {
    stop: one.dataset.stop === undefined ? -1 : Number(one.dataset.stop),
    name: `${one.localName}.${one.className} "${(one.innerText || "").trim().slice(0, 40)}"`,
    parts: ["date", "datetime-local"].includes(one.type),  // Tab goes through day, month, hour
    marked: window.looks(one) !== one.dataset.unfocused,
    inside: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0
      && box.left < innerWidth,
    hidden: (() => {
      // The sticky bar at the top hides what is scrolled under it.
      const bar = document.querySelector(".topbar");
      return Boolean(bar) && !bar.contains(one) && !one.classList.contains("skip")
        && getComputedStyle(bar).position === "sticky"
        && box.bottom <= bar.getBoundingClientRect().bottom;
    })(),
  };
}
"""


# The page notes where each press led when the next one comes, so it need not be asked each time.
_NOTE = f"""
() => {{
  window.stopNow = {_STOP};
  const notes = () => window.stops.push(window.stopNow());
  if (!window.stops) addEventListener("keydown", notes, {{capture: true}});
  window.stops = [];
}}
"""
_NOTED = "() => [...window.stops.splice(0).slice(1), window.stopNow()]"
_TAB = {"type": "rawKeyDown", "windowsVirtualKeyCode": 9, "code": "Tab", "key": "Tab"}


def _stops(page: Page, expected: int) -> Generator[Any]:
    """Where each press of Tab leads, without an end.

    Keys are pressed by the protocol of the browser's tools: one message for each, where Playwright
    needs two and a question.
    """
    page.evaluate(_NOTE)
    tools = page.context.new_cdp_session(page)
    try:
        presses = expected
        while True:
            for _ in range(presses):
                tools.send("Input.dispatchKeyEvent", _TAB)
            yield from page.evaluate(_NOTED)
            presses = PRESSES
    finally:
        tools.detach()


def _walk(page: Page, path: str) -> list[str]:
    """What is wrong with the stops of Tab on the page as it is."""
    faults = []
    names = page.evaluate(_NUMBER)
    reached: list[int] = []
    ended = False
    stops = _stops(page, len(names) + 2)
    for at in islice(stops, MOST_STOPS):
        if at is None and not ended:
            ended = True  # a page that gives a field the focus has stops before it, too
            continue
        if at is not None and at["parts"] and reached[-1:] == [at["stop"]]:
            continue
        if at is None or at["stop"] in reached:
            break
        reached.append(at["stop"])
        if at["stop"] < 0:
            faults.append(f"{path}: Tab stops at {at['name']}, which is nothing to act on")
            break
        if not at["marked"]:
            faults.append(
                f"{path}: {at['name']} looks the same with the focus as without: let its style "
                "keep the outline of :focus-visible, or mark the box around it by :focus-within"
            )
        if not at["inside"]:
            faults.append(f"{path}: {at['name']} has the focus outside of the window")
        if at["hidden"]:
            faults.append(
                f"{path}: {at['name']} has the focus under the bar at the top: give html a "
                "scroll-padding-top of the height of the bar"
            )
    stops.close()
    # A message of success goes by itself, on a busy machine before Tab comes to its button.
    there = page.evaluate(_THERE)
    missed = [names[number] for number in there if number not in reached]
    if missed:
        faults.append(
            f"{path}: Tab never reaches {missed} ({len(reached)} stops of {len(names)}): it is "
            "held before, or the order is broken by a tabindex above 0"
        )
    return faults


@pytest.mark.browser
def test_tab_reaches_everything_and_shows_where_it_is(
    crawl: Crawl, admin: User, tmp_path: Path, settings: Any
) -> None:
    settings.SAMPLES_DIR = str(tmp_path)
    rows.build(2, owner=admin, samples=tmp_path)
    page = crawl.page
    page.emulate_media(reduced_motion="reduce")
    faults: list[str] = []
    walked = set()
    for path in sorted(found_by_links(admin, "/", "/password/", "/styleguide/")):
        pattern = resolve(urlsplit(path).path).route
        if pattern in walked:
            continue
        walked.add(pattern)
        page.goto(path)
        # The next page begins at the width at which this one ends.
        for width in WIDTHS if len(walked) % 2 else reversed(WIDTHS):
            page.set_viewport_size({"width": width, "height": 700})
            faults += [f"at {width} px: {fault}" for fault in _walk(page, path)]
    assert len(walked) >= 12, walked
    assert not faults, "\n".join([f"{len(faults)} faults.", *faults])


@pytest.mark.browser
def test_the_first_stop_skips_to_the_content(crawl: Crawl) -> None:
    page = crawl.page
    page.goto("/endpoints/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport(ratio=1)
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("main :focus")).to_have_count(1)


@pytest.mark.browser
def test_the_walk_finds_what_is_wrong(crawl: Crawl) -> None:
    """The rule can fail: a stop without a mark, one outside of the window, and a trap."""
    page = crawl.page
    page.goto("/endpoints/")
    page.evaluate(
        """() => {
          const made = (text) => {
            const one = document.createElement("button");
            one.textContent = text;
            document.querySelector("main").append(one);
            return one;
          };
          const outside = made("outside");
          outside.style.position = "fixed";
          outside.style.left = "-500px";
          made("unmarked").style.outline = "none";
          const trap = made("trap");
          trap.addEventListener("keydown", (event) => event.preventDefault());
          made("behind");
        }"""
    )
    faults = "\n".join(_walk(page, "/endpoints/"))
    assert '"unmarked" looks the same' in faults
    assert '"outside" has the focus outside' in faults
    assert "Tab never reaches" in faults
    assert "behind" in faults


def _tab_to(page: Page, role: Any, name: str) -> None:
    """Press Tab until the control has the focus."""
    wanted = page.get_by_role(role, name=name, exact=True).first
    expect(wanted).to_be_visible()
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        if wanted.evaluate("(one) => one === document.activeElement"):
            return
    raise AssertionError(f"Tab does not reach the {role} {name!r} on {page.url}.")


@pytest.mark.browser
def test_a_job_by_keyboard_alone(
    browser: Browser, live_server: Any, transactional_db: None, tmp_path: Path, settings: Any
) -> None:
    """Log in, tear an endpoint down after a mistake, log out: without a mouse."""
    settings.SAMPLES_DIR = str(tmp_path)
    roles.ensure_roles()
    user = User.objects.create_user("an-admin", password=PASSWORD)
    user.groups.add(Group.objects.get(name="admin"))
    name = rows.build(1, owner=user, samples=tmp_path).endpoint.name
    with _opened(browser, live_server.url) as own:
        page = own.new_page()
        page.goto("/login/")
        expect(page.get_by_label("User name")).to_be_focused()
        page.keyboard.type("an-admin")
        _tab_to(page, "textbox", "Password")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/")
        _tab_to(page, "link", "Endpoints")
        page.keyboard.press("Enter")
        page.wait_for_url("**/endpoints/")
        _tab_to(page, "link", name)
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/endpoints/\d+/$"))
        _tab_to(page, "link", "Tear down")
        page.keyboard.press("Enter")
        page.wait_for_url("**/teardown/")
        for typed in ("something else", name):
            _tab_to(page, "textbox", "Name of the endpoint")
            page.keyboard.press("Control+A")
            page.keyboard.type(typed)
            page.keyboard.press("Enter")
            if typed != name:
                expect(page.locator(".errors li").first).to_be_visible()
        page.wait_for_url(re.compile(r"/endpoints/\d+/$"))
        assert Endpoint.objects.get(name=name).wanted == Endpoint.Wanted.ABSENT
        _tab_to(page, "button", "Account: an-admin")
        page.keyboard.press("Enter")
        _tab_to(page, "button", "Log out")
        page.keyboard.press("Enter")
        page.wait_for_url("**/login/")
