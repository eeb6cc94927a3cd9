"""The elements of /styleguide/ keep their measures; each works by keyboard and without scripts.

Sizes and overlaps are compared, not pixels: fonts differ from machine to machine.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect

from core import palette
from core.palette import Hit
from endpoints.models import Endpoint
from invocations.models import Invocation
from models_catalog.models import Version
from tests.rules import rows
from tests.rules.test_pages import AUDIT, axe_source, browser
from tests.test_page_policies import _database_beside_playwright, _opened

__all__ = ["_database_beside_playwright", "browser"]

ROW_PX = 40
#: The least size of what one clicks (WCAG 2.2, 2.5.8).
TARGET_PX = 24
SIZES = {"1280": (1280, 800), "390": (390, 844)}
LANGUAGES = ("en", "ko")

# What is too small to aim at; a link within a sentence may be as high as its line.
_SMALL = """
(least) => [...document.querySelectorAll(
  "a[href], button, input:not([type=hidden]), select, textarea, summary")].filter((one) => {
    if (!one.checkVisibility({visibilityProperty: true, opacityProperty: true})) return false;
    if (one.closest(".visually-hidden, .skip, p, li, dd") && one.matches("a")) return false;
    if (one.matches(".visually-hidden, .skip, .footer a")) return false;
    const box = one.getBoundingClientRect();
    // A checkbox of a table takes clicks around it as well.
    const after = getComputedStyle(one, "::after");
    const more = after.content !== "none" && after.position === "absolute"
      ? -2 * (parseFloat(after.top) || 0) : 0;
    return box.width + more < least || box.height + more < least;
  }).map((one) => `${one.localName}.${one.className} ${one.textContent.trim().slice(0, 30)}`)
"""
# Buttons, badges and heads whose text is longer than they are.
_CUT = """
() => [...document.querySelectorAll(
  ".button, .badge, .tabs a, .nav a, th:not(.select), .count")].filter((one) =>
    one.checkVisibility() && one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1
  ).map((one) => `${one.className} ${one.textContent.trim().slice(0, 30)}`)
"""
_WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def context(
    browser: Browser, live_server: Any, admin_user: User, request: Any
) -> Iterator[BrowserContext]:
    options = getattr(request, "param", {})
    with _opened(browser, live_server.url, admin_user, **options) as opened:
        yield opened


@pytest.fixture
def page(context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto("/styleguide/")
    return page


without_scripts = pytest.mark.parametrize(
    "context", [{"java_script_enabled": False}], indirect=True
)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_page_cut_or_too_small_to_aim_at(
    context: BrowserContext, size: str, language: str
) -> None:
    context.set_extra_http_headers({"Accept-Language": language})
    page = context.new_page()
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.goto("/styleguide/")
    assert page.evaluate(_WIDER) <= 0, "the page scrolls to the side"
    assert page.evaluate(_CUT) == []
    assert page.evaluate(_SMALL, TARGET_PX) == []


# As an account on AWS with a long name, a user with one, and more links would have it.
_FILL_THE_BAR = """
() => {
  const nav = document.querySelector(".nav");
  const link = nav.lastElementChild.cloneNode(true);
  link.lastChild.textContent = "People and roles";
  nav.append(link);
  document.querySelector(".where").textContent =
    "AWS · production-account-of-a-large-company · ap-northeast-2 · mme-portal-execution-role";
  document.querySelector(".who .name").textContent = "min-ji.kim.of.the.vision.team@example.com";
}
"""
_OVERLAPS = """
() => {
  const found = [];
  for (const row of [".topbar-inner", ".nav", ".who"]) {
    const boxes = [...document.querySelectorAll(`${row} > *`)]
      .filter((one) => one.checkVisibility() && !one.matches(".menu"))
      .map((one) => [one.textContent.trim().slice(0, 20), one.getBoundingClientRect()]);
    for (const [n, [name, a]] of boxes.entries()) {
      for (const [other, b] of boxes.slice(n + 1)) {
        if (a.left < b.right - 1 && b.left < a.right - 1
            && a.top < b.bottom - 1 && b.top < a.bottom - 1)
          found.push(`${name} | ${other}`);
      }
    }
  }
  return found;
}
"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_in_the_bar_overlaps_at_any_width(context: BrowserContext, language: str) -> None:
    context.set_extra_http_headers({"Accept-Language": language})
    page = context.new_page()
    page.goto("/styleguide/")
    page.evaluate(_FILL_THE_BAR)
    for width in (1600, 1280, 1241, 1240, 1100, 1021, 1020, 900, 768, 641, 640, 390, 360):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(_OVERLAPS) == [], width
        assert page.evaluate(_WIDER) <= 0, width
        assert page.evaluate("document.querySelector('.topbar').offsetHeight") < 120, width


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("size", SIZES)
def test_rows_are_40_px_high_whatever_they_hold(
    context: BrowserContext, size: str, language: str
) -> None:
    context.set_extra_http_headers({"Accept-Language": language})
    page = context.new_page()
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.goto("/styleguide/")
    found = page.locator(".table.dense tbody tr")
    heights = found.evaluate_all("rows => rows.map((row) => row.getBoundingClientRect().height)")
    assert len(heights) > 12
    assert {round(one) for one in heights} == {ROW_PX}


def test_the_head_of_a_table_stays_below_the_bar(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 500})
    page.locator("#tables tbody tr").nth(6).evaluate("row => row.scrollIntoView({block: 'center'})")
    head = page.locator("#tables th").nth(1).bounding_box()
    bar = page.locator(".topbar").bounding_box()
    assert head is not None
    assert bar is not None
    assert head["y"] == pytest.approx(bar["y"] + bar["height"], abs=1)


def test_a_table_without_room_scrolls_in_its_own_box(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    box = page.locator("#tables > .table-scroll")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    assert page.evaluate(_WIDER) <= 0


def test_the_list_of_44_models_shows_16_of_them_on_800_px(
    context: BrowserContext,
    admin_user: User,
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.context.WATCH.problem", lambda: "")  # no banner: no worker runs here
    settings.SAMPLES_DIR = str(tmp_path)
    rows.build(44, owner=admin_user, samples=tmp_path)
    page = context.new_page()
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto("/models/")
    ends = page.locator("main tbody tr").evaluate_all(
        "rows => rows.map((row) => row.getBoundingClientRect().bottom)"
    )
    assert len(ends) == 44
    assert sum(end <= 800 for end in ends) >= 16


@pytest.mark.parametrize("language", LANGUAGES)
def test_filters_and_count_of_models_are_one_line_with_a_metadata_key_too(
    context: BrowserContext, admin_user: User, tmp_path: Path, settings: Any, language: str
) -> None:
    settings.SAMPLES_DIR = str(tmp_path)
    rows.build(3, owner=admin_user, samples=tmp_path)
    Version.objects.filter(state=Version.State.READY).update(metadata={"accuracy": "0.9"})
    context.set_extra_http_headers({"Accept-Language": language})
    page = context.new_page()
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto("/models/?meta=accuracy")
    parts = page.locator(".page-head.one-row > .filters > :visible")
    middles = parts.evaluate_all(
        """all => all.map((one) => one.getBoundingClientRect())
          .map((box) => box.y + box.height / 2)"""
    )
    assert len(middles) > 5
    assert max(middles) - min(middles) < 4, middles


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_long_failure_leaves_room_for_all_columns_of_calls(
    context: BrowserContext, admin_user: User, tmp_path: Path, settings: Any, language: str
) -> None:
    settings.SAMPLES_DIR = str(tmp_path)
    rows.build(3, owner=admin_user, samples=tmp_path)
    endpoint = Endpoint.objects.first()
    assert endpoint is not None
    said = "The model cannot take this picture. The container says: " + "send a JPEG or PNG. " * 9
    Invocation.objects.update(endpoint=endpoint)
    # Not the oldest: who never had an answer has the first steps on Today, and no calls.
    newest = Invocation.objects.order_by("-pk")[:2].values_list("pk", flat=True)
    failed = Invocation.objects.filter(pk__in=list(newest))
    failed.update(state=Invocation.State.FAILED, error=said, predictions=[])
    context.set_extra_http_headers({"Accept-Language": language})
    page = context.new_page()
    page.set_viewport_size({"width": 1280, "height": 800})
    for path in ("/", "/invoke/", "/calls/", endpoint.get_absolute_url()):
        page.goto(path)
        first = page.locator("table.calls tbody tr").first
        expect(first, path).to_contain_text(said[:35])
        cut = page.locator(".table-scroll:has(table.calls)").evaluate_all(
            "all => all.map((one) => one.scrollWidth - one.clientWidth)"
        )
        assert cut == [0], path


def test_filters_and_count_of_the_activity_are_one_line(
    context: BrowserContext, admin_user: User, tmp_path: Path, settings: Any
) -> None:
    settings.SAMPLES_DIR = str(tmp_path)
    rows.build(60, owner=admin_user, samples=tmp_path)
    page = context.new_page()
    page.set_viewport_size({"width": 1280, "height": 800})
    for language in LANGUAGES:
        context.set_extra_http_headers({"Accept-Language": language})
        page.goto("/activity/")
        expect(page.locator("html")).to_have_attribute("lang", language)
        middles = page.locator("form.filters > :is(.search-field, .filters-count)").evaluate_all(
            """all => all.map((one) => {
              const box = one.getBoundingClientRect();
              return box.y + box.height / 2;
            })"""
        )
        assert len(middles) == 2
        assert max(middles) - min(middles) < 8, (language, middles)


def test_the_buttons_of_an_answer_are_one_row(
    context: BrowserContext, admin_user: User, tmp_path: Path, settings: Any
) -> None:
    settings.SAMPLES_DIR, settings.TEST_SETS = str(tmp_path), True
    rows.build(1, owner=admin_user, samples=tmp_path)
    call = Invocation.objects.filter(state=Invocation.State.DONE).latest("pk")
    page = context.new_page()
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(call.get_absolute_url())
    buttons = page.locator(".answer-actions .button")
    expect(buttons).to_have_text(
        [re.compile(text) for text in ("Call again", "Wrong", "Link", "Log", "Forget")]
    )
    tops = buttons.evaluate_all("all => all.map((one) => one.getBoundingClientRect().top)")
    assert len(set(tops)) == 1, tops


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_list_of_endpoints_leaves_room_for_the_button_of_each(
    context: BrowserContext, admin_user: User, tmp_path: Path, settings: Any, language: str
) -> None:
    settings.SAMPLES_DIR = str(tmp_path)
    rows.build(3, owner=admin_user, samples=tmp_path)
    endpoint = Endpoint.objects.filter(state=Endpoint.State.IN_SERVICE).first()
    assert endpoint is not None
    now = timezone.now()
    Invocation.objects.update(endpoint=endpoint, created_at=now)
    Endpoint.objects.filter(pk=endpoint.pk).update(
        hours="mon-fri 08:00-19:00",
        hours_zone="Asia/Seoul",
        pauses_at=now + timedelta(hours=2),
        expires_at=now + timedelta(days=12),
        owner=admin_user,
    )
    context.set_extra_http_headers({"Accept-Language": language})
    page = context.new_page()
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto("/endpoints/")
    expect(page.locator("td.actions-cell .button").first).to_be_visible()
    box = page.locator("#endpoints .table-scroll").first
    assert box.evaluate("one => one.scrollWidth - one.clientWidth") == 0


def test_numbers_end_at_one_line(page: Page) -> None:
    ends = page.locator("#tables tbody td.number:nth-child(4)").evaluate_all(
        """cells => cells.map((cell) => {
          const range = document.createRange();
          range.selectNodeContents(cell);
          return Math.round(range.getBoundingClientRect().right);
        })"""
    )
    assert len(ends) > 5
    assert len(set(ends)) == 1


# --- tables ---------------------------------------------------------------------------------------


def test_a_column_sorts_and_a_filter_stays(page: Page) -> None:
    page.get_by_role("searchbox", name="Name").fill("digits")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(re.compile(r"\?q=digits&"))
    page.get_by_role("link", name="Parameters").click()
    expect(page).to_have_url(re.compile(r"\?q=digits&sort=-size$"))
    expect(page.get_by_role("columnheader", name="Parameters")).to_have_attribute(
        "aria-sort", "descending"
    )
    first = page.locator("#tables tbody tr").first
    expect(first).to_contain_text("digits-119")
    page.get_by_role("link", name="Next").click()
    expect(page).to_have_url(re.compile(r"\?q=digits&sort=-size&page=2$"))
    page.get_by_role("link", name="Clear").click()
    expect(page).to_have_url(re.compile(r"\?sort=-size$"))


def test_a_choice_by_the_pointer_filters_at_once_and_by_the_keyboard_waits(page: Page) -> None:
    state = page.get_by_role("combobox", name="State").first
    state.focus()
    state.press("R")
    expect(page).to_have_url(re.compile(r"/styleguide/$"))
    state.evaluate("one => { one.value = ''; }")
    state.dispatch_event("pointerdown")
    state.select_option("ready")
    expect(page).to_have_url(re.compile("state=ready"))
    expect(page.locator("#tables > .table-scroll .badge")).to_have_text(["Ready"] * 12)


def test_ticked_rows_are_counted_and_all_are_ticked_at_once(page: Page) -> None:
    bar = page.locator(".bulk-bar")
    expect(bar).to_be_hidden()
    boxes = page.locator("#tables td.select input")
    boxes.nth(1).check()
    expect(bar).to_be_visible()
    expect(bar).to_contain_text("1 selected")
    everything = page.get_by_label("Select all rows of this page")
    assert everything.evaluate("box => box.indeterminate")
    everything.check()
    expect(bar).to_contain_text("12 selected")
    everything.uncheck()
    expect(bar).to_be_hidden()


@without_scripts
def test_without_scripts_the_bar_is_there_and_the_filters_work(page: Page) -> None:
    expect(page.locator(".bulk-bar")).to_be_visible()
    page.get_by_label("State", exact=True).first.select_option("ready")
    page.get_by_role("button", name="Filter").click()
    expect(page).to_have_url(re.compile("state=ready"))


# --- combobox -------------------------------------------------------------------------------------


def test_a_combobox_finds_one_of_150_by_keyboard(page: Page) -> None:
    field = page.get_by_role("combobox", name="Version, of 150")
    select = page.locator("#sg-version")
    expect(field).to_have_value("digits v3")
    field.focus()
    field.press_sequentially("v14")
    expect(page.get_by_role("option").filter(visible=True)).to_have_count(11)  # v14, v140 … v149
    field.press("ArrowDown")
    field.press("ArrowDown")
    field.press("Enter")
    expect(field).to_have_value("digits v141")
    expect(field).to_have_attribute("aria-expanded", "false")
    expect(select).to_have_value("digits v141")


def test_escape_and_leaving_keep_what_was_chosen(page: Page) -> None:
    field = page.get_by_role("combobox", name="Version, of 150")
    for leave in ("Escape", "Tab"):
        field.focus()
        field.press_sequentially("nothing like it")
        expect(page.get_by_text("Nothing matches")).to_be_visible()
        field.press(leave)
        expect(field).to_have_value("digits v3")
        expect(page.locator("#sg-version")).to_have_value("digits v3")


def test_an_option_is_chosen_by_the_pointer_and_told_to_the_page(page: Page) -> None:
    page.evaluate("""() => { window.told = [];
      document.getElementById("sg-version").addEventListener("change",
        (event) => window.told.push(event.target.value)); }""")
    page.get_by_role("combobox", name="Version, of 150").click()
    page.get_by_role("option", name="digits v5", exact=True).click()
    assert page.evaluate("window.told") == ["digits v5"]


@without_scripts
def test_without_scripts_a_combobox_is_a_select(page: Page) -> None:
    select = page.get_by_label("Version, of 150")
    select.select_option("digits v77")
    expect(select).to_have_value("digits v77")


# --- dialogs, help, toasts, copies ----------------------------------------------------------------


def test_a_dialog_opens_and_escape_leads_back_to_its_button(page: Page) -> None:
    opener = page.get_by_role("link", name="Tear down")
    opener.focus()
    opener.press("Enter")
    dialog = page.get_by_role("dialog", name="Tear down the endpoint demo?")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()


@without_scripts
def test_without_scripts_the_button_of_a_dialog_leads_to_its_page(page: Page) -> None:
    page.get_by_role("link", name="Tear down").click()
    expect(page).to_have_url(re.compile("/search/$"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("context", [{}, {"java_script_enabled": False}], indirect=True)
def test_help_opens_inside_the_window_by_keyboard_also_without_scripts(
    page: Page, size: str
) -> None:
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    mark = page.get_by_role("button", name="What is this: Warm")
    mark.focus()
    mark.press("Enter")
    text = page.get_by_role("note", name="Warm")
    expect(text).to_be_visible()
    box = text.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    page.keyboard.press("Escape")
    expect(text).to_be_hidden()


def test_a_success_goes_by_itself_and_an_error_stays(context: BrowserContext) -> None:
    page = context.new_page()
    page.clock.install()
    page.goto("/styleguide/")
    toasts = page.locator("[data-toast]")
    expect(toasts).to_have_count(4)
    page.clock.run_for(7_000)
    expect(toasts.filter(has_text="is being created")).to_have_count(0)
    expect(toasts.filter(has_text="is deleted")).to_have_count(1)  # one may still undo it
    page.clock.run_for(6_000)
    expect(toasts).to_have_count(2)
    toasts.filter(has_text="refused").get_by_role("button", name="Close").click()
    expect(toasts).to_have_count(1)


def test_a_success_stays_while_the_keyboard_is_in_it(context: BrowserContext) -> None:
    page = context.new_page()
    page.clock.install()
    page.goto("/styleguide/")
    undo = page.get_by_role("button", name="Undo")
    undo.focus()
    page.clock.run_for(60_000)
    expect(undo).to_be_visible()


# What is announced goes after a moment, which a busy machine may miss.
_NOTE_WHAT_IS_TOLD = """
() => {
  window.told = [];
  const note = () => {
    for (const one of document.querySelectorAll("[role=status]")) {
      const text = one.textContent.trim();
      if (text) window.told.push(text);
    }
  };
  new MutationObserver(note).observe(document.body, {subtree: true, childList: true});
}
"""


@pytest.mark.parametrize(
    "context", [{"permissions": ["clipboard-read", "clipboard-write"]}], indirect=True
)
def test_a_copy_button_copies_all_of_a_value_that_is_shown_short(page: Page) -> None:
    page.bring_to_front()  # only a page that has the focus may write to the clipboard
    shown = page.locator("#tables .copy").first
    assert len(shown.locator("code").inner_text()) == 13
    page.evaluate(_NOTE_WHAT_IS_TOLD)
    shown.get_by_role("button", name="Copy").click()
    page.wait_for_function("window.told.includes('Copied')")
    assert re.fullmatch("[0-9a-f]{64}", page.evaluate("navigator.clipboard.readText()"))
    page.locator(".snippet").last.get_by_role("button", name="Copy").click()
    page.wait_for_function("async () => (await navigator.clipboard.readText()) === 'make up'")


# --- the search -----------------------------------------------------------------------------------


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> None:
    def models(user: Any, query: str) -> list[Hit]:
        names = [f"digits-{n}" for n in range(3)] if query else []
        return [
            Hit(one, "/styleguide/?q=" + one, "model", "Model") for one in names if query in one
        ]

    monkeypatch.setattr(palette, "_sources", [models])


@pytest.mark.usefixtures("sources")
def test_ctrl_k_finds_by_keyboard(page: Page) -> None:
    page.keyboard.press("Control+k")
    dialog = page.get_by_role("dialog", name="Search")
    expect(dialog).to_be_visible()
    page.keyboard.type("dig")
    links = dialog.get_by_role("link")
    expect(links).to_have_count(3)
    page.keyboard.press("ArrowDown")
    expect(links.first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.type("its-2")
    expect(links).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("q=digits-2$"))


@pytest.mark.usefixtures("sources")
def test_the_search_opens_by_its_button_and_closes_by_escape_and_ctrl_k(page: Page) -> None:
    dialog = page.get_by_role("dialog", name="Search")
    page.locator(".search-button").click()
    page.keyboard.type("nothing like it")
    expect(dialog).to_contain_text("nothing like it")
    for key in ("Escape", "Control+k"):
        page.keyboard.press(key)
        expect(dialog).to_be_hidden()
        page.keyboard.press("Control+k")
        expect(dialog).to_be_visible()


@without_scripts
@pytest.mark.usefixtures("sources")
def test_without_scripts_the_search_is_a_page(page: Page) -> None:
    page.locator(".search-button").click()
    expect(page).to_have_url(re.compile("/search/$"))
    page.get_by_role("searchbox").fill("digits-1")
    page.get_by_role("main").get_by_role("button", name="Search").click()
    page.get_by_role("main").get_by_role("link", name="digits-1").click()
    expect(page).to_have_url(re.compile("q=digits-1$"))


# --- what opens -----------------------------------------------------------------------------------


def _open_menu(page: Page) -> None:
    page.get_by_role("button", name="Account: admin").click()


def _open_help(page: Page) -> None:
    page.get_by_role("button", name="What is this: Warm").click()


def _open_dialog(page: Page) -> None:
    page.get_by_role("link", name="Tear down").click()


def _open_combobox(page: Page) -> None:
    page.get_by_role("combobox", name="Version, of 150").click()


def _open_search(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.keyboard.type("digits")
    expect(page.get_by_role("dialog", name="Search").get_by_role("link")).to_have_count(3)


def _tick(page: Page) -> None:
    page.locator("#tables td.select input").first.check()


@pytest.mark.usefixtures("sources")
def test_what_opens_is_accessible_and_fits(page: Page) -> None:
    """In one context of the browser, which keeps what axe found nothing wrong with."""
    page.add_init_script(axe_source())
    page.emulate_media(reduced_motion="reduce")
    for open_it in (_open_menu, _open_help, _open_dialog, _open_combobox, _open_search, _tick):
        for size, (width, height) in SIZES.items():
            page.emulate_media(color_scheme="light")
            page.set_viewport_size({"width": width, "height": height})
            page.goto("/styleguide/")
            open_it(page)
            assert page.evaluate(AUDIT, False) == [], (open_it, size)
            page.emulate_media(color_scheme="dark")  # which changes colours alone
            assert page.evaluate(AUDIT, True) == [], (open_it, size)
