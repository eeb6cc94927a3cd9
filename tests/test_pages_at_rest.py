"""Pages on which nothing is under way: what others do shows up, and whoever reads is left alone."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Locator, Page, expect

from activity import services as activity
from core import clock, shared_parts
from core.sentences import phrase
from endpoints.models import Endpoint, EndpointAlarm, Resource
from models_catalog.models import RegisteredModel, Version
from tests.test_living_pages import _database_beside_playwright, open_page

__all__ = ["_database_beside_playwright"]


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_parts, "AT_REST_S", 1)


@pytest.fixture
def page(browser: Any, live_server: Any, user_in: Callable[[str], User]) -> Iterator[Page]:
    """A page of an admin, who may tear down."""
    yield from open_page(browser, live_server, user_in("admin"))


def _made(name: str) -> Endpoint:
    made = Endpoint.objects.create(
        name=name,
        state=Endpoint.State.IN_SERVICE,
        sagemaker_status="InService",
        config_in_use=f"{name}-r1",
        running_count=1,
        checked_at=clock.now(),
        check_after=clock.now(),
    )
    Resource.objects.create(endpoint=made, kind="endpoint", name=name, state=Resource.State.CREATED)
    return made


@pytest.fixture
def demo(transactional_db: None) -> Endpoint:
    return _made("demo")


def _asked(page: Page, address: str) -> None:
    """Wait until the page has asked again, and has the answer in it."""
    with page.expect_response(re.compile(address)) as answer:
        pass
    answer.value.finished()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def _same(element: Locator) -> None:
    """Note an element, so that ``_is_the_same`` finds one that was put in anew."""
    element.evaluate("node => { node.before = true; }")


def _is_the_same(element: Locator) -> bool:
    return bool(element.evaluate("node => node.before === true"))


#: Nobody sees the page from now on; counts what it would have asked.
_HIDDEN = """() => {
    window.hidden = true;
    let skipped = 0;
    Object.defineProperty(document, "hidden", { get: () => window.hidden });
    document.addEventListener("htmx:beforeRequest", () => {
        skipped += 1;
        document.documentElement.dataset.skipped = skipped;
    });
}"""


def _row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def test_what_others_do_to_endpoints_shows_in_the_list_and_what_is_ticked_stays(
    page: Page, demo: Endpoint
) -> None:
    other, gone = _made("other"), _made("to-go")
    page.goto("/endpoints/")
    ticked = page.get_by_label("Select other", exact=True)
    ticked.check()
    page.get_by_label("Select to-go").check()
    search = page.get_by_role("searchbox").first
    search.fill("somebody ty")
    expect(page.locator("[data-bulk-count]")).to_have_text("2")
    for element in (ticked, search, _row(page, "other"), page.locator(".filters")):
        _same(element)
    _asked(page, "/endpoints/$")
    # By somebody else: one more, one that scaled, one that failed, one that is gone.
    _made("newest")
    Endpoint.objects.filter(pk=other.pk).update(running_count=3)
    failed = demo
    failed.state = Endpoint.State.FAILED
    failed.say(
        failure=phrase("SageMaker could not start the endpoint: %(reason)s", reason="x"), hint=None
    )
    failed.save()
    Endpoint.objects.filter(pk=gone.pk).update(gone_at=clock.now(), wanted=Endpoint.Wanted.ABSENT)
    expect(_row(page, "newest")).to_be_visible()
    expect(_row(page, "to-go")).to_have_count(0)
    expect(_row(page, "demo")).to_contain_text("Failed")
    expect(_row(page, "other")).to_contain_text("3 ×")
    expect(page.get_by_label("Select other", exact=True)).to_be_checked()
    expect(page.get_by_label("Select newest")).not_to_be_checked()
    expect(page.locator("[data-bulk-count]")).to_have_text("1")
    expect(page.locator(".filters-count")).to_contain_text("3")
    expect(search).to_have_value("somebody ty")
    expect(search).to_be_focused()
    for element in (ticked, search, _row(page, "other"), page.locator(".filters")):
        assert _is_the_same(element)
    page.get_by_role("button", name="Tear down").click()
    expect(page.get_by_role("main")).to_contain_text("other")
    expect(page.get_by_role("main")).not_to_contain_text("newest")


def test_the_list_that_was_empty_shows_what_somebody_made(
    page: Page, transactional_db: None
) -> None:
    page.goto("/endpoints/")
    expect(page.get_by_role("main")).to_contain_text("No endpoint is running")
    _made("newest")
    page.get_by_label("Select newest").check()
    expect(page.locator("[data-bulk-count]")).to_have_text("1")


def test_what_others_do_shows_on_the_page_of_a_settled_endpoint(page: Page, demo: Endpoint) -> None:
    page.goto(demo.get_absolute_url())
    page.evaluate("window.loaded = true")
    page.locator("#live").get_by_role("link", name="Change", exact=True).first.focus()
    page.locator("#live dt button[popovertarget]").first.click()
    note = page.locator("#live [popover]").first
    expect(note).to_be_visible()
    _same(note)
    button = page.locator("#live dt button[popovertarget]").first
    _asked(page, "/live/")
    # Scaled and changed in AWS's console; warned of its end; and somebody asks a question of it.
    Endpoint.objects.update(
        running_count=4,
        config_in_use="by-hand",
        expires_at=clock.now(),
        end_told="day",
    )
    activity.record(
        action="endpoint.requested",
        subject=demo,
        parameters={"name": "demo", "instance_count": 1, "instance_type": "ml.m5.large"},
    )
    expect(page.locator("#live")).to_contain_text("4 ×")
    expect(page.get_by_label("Reason")).to_be_visible()
    expect(page.locator("#latest")).to_contain_text("Requested the endpoint demo")
    expect(note).to_be_visible()
    assert _is_the_same(note)
    expect(button).to_be_focused()
    said = page.locator("[role=status].visually-hidden")
    expect(said).not_to_have_text("")
    # What somebody types there stays, whatever comes; and the form is taken.
    page.get_by_label("Reason").fill("It was me")
    _same(page.get_by_label("Reason"))
    Endpoint.objects.update(running_count=5)
    expect(page.locator("#live")).to_contain_text("5 ×")
    expect(page.get_by_label("Reason")).to_have_value("It was me")
    expect(page.get_by_label("Reason")).to_be_focused()
    assert _is_the_same(page.get_by_label("Reason"))
    assert page.evaluate("window.loaded")
    page.keyboard.press("Escape")  # the note may lie above the button
    expect(note).to_be_hidden()
    page.get_by_role("button", name="Pause now", exact=True).click()
    expect(page.locator(".toasts, .callout").first).to_be_visible()
    assert Endpoint.objects.get().to_pause


def test_an_alarm_that_goes_off_shows_on_its_tab(page: Page, demo: Endpoint) -> None:
    row = EndpointAlarm.objects.create(
        endpoint=demo, kind="p99", variant="AllTraffic", threshold=2000, minutes=5, state="normal"
    )
    page.goto(f"{demo.get_absolute_url()}alarms/")
    expect(page.locator(f"#live tr[data-state={row.state}]")).to_be_visible()
    EndpointAlarm.objects.update(state=EndpointAlarm.State.ALARM, reason="Threshold Crossed.")
    expect(page.locator("#live tr[data-state=in_alarm]")).to_contain_text("Threshold Crossed.")


def _version(number: int, **values: Any) -> Version:
    model, _made = RegisteredModel.objects.get_or_create(name="digits")
    given = {"size": 1, "state": Version.State.READY, "key": f"digits_v{number}.tar.gz"} | values
    return Version.objects.create(model=model, number=number, **given)


def test_a_version_that_somebody_adds_shows_on_the_tab_of_models(
    page: Page, demo: Endpoint
) -> None:
    first = _version(1, bucket=demo.bucket, prefix=demo.prefix)
    page.goto(f"{demo.get_absolute_url()}models/")
    expect(page.locator("#models tbody tr")).to_have_count(1)
    search = page.get_by_role("searchbox").first
    search.fill("somebody ty")
    row = page.locator(f"#models tr[data-key='{first.pk}']")
    for element in (search, row):
        _same(element)
    _asked(page, "/live/")
    _version(2, bucket=demo.bucket, prefix=demo.prefix)
    expect(page.locator("#models tbody tr")).to_have_count(2)
    expect(page.locator("#models .filters-count")).to_contain_text("2")
    expect(search).to_have_value("somebody ty")
    expect(search).to_be_focused()
    for element in (search, row):
        assert _is_the_same(element)
    Version.objects.filter(pk=first.pk).update(state=Version.State.RETIRED)
    expect(page.locator("#models tbody tr")).to_have_count(1)
    expect(page.locator("#models")).to_contain_text("digits v2")


def test_the_tab_use_keeps_its_version_and_says_when_it_cannot_be_called(
    page: Page, demo: Endpoint
) -> None:
    _version(1, bucket=demo.bucket, prefix=demo.prefix)
    page.goto(f"{demo.get_absolute_url()}use/")
    use = page.locator("#use")
    expect(use).to_contain_text("digits_v1.tar.gz")
    code = use.locator("pre").first
    _same(code)
    _version(2, bucket=demo.bucket, prefix=demo.prefix)
    for _n in range(2):
        _asked(page, "/live/")
    expect(code).to_contain_text("digits_v1.tar.gz")
    assert _is_the_same(code)
    Endpoint.objects.update(to_pause=True, state=Endpoint.State.PAUSED, sagemaker_status="")
    expect(use).to_contain_text("cannot be called now")


def test_metrics_are_not_asked_for_where_nobody_sees_them(
    page: Page, demo: Endpoint, settings: Any
) -> None:
    settings.METRICS_KEEP_S = 1
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "range=" in one.url else None)
    page.goto(f"{demo.get_absolute_url()}metrics/")
    _asked(page, "range=")
    page.evaluate(_HIDDEN)
    before = len(asked)
    expect(page.locator("html")).to_have_attribute("data-skipped", re.compile("[4-9]"))
    assert len(asked) == before
    with page.expect_request(re.compile("range=")):
        page.evaluate("window.hidden = false")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_a_change_that_somebody_begins_is_followed_each_second(page: Page, demo: Endpoint) -> None:
    page.goto(demo.get_absolute_url())
    live = page.locator("#live")
    Endpoint.objects.update(wanted=Endpoint.Wanted.ABSENT, state=Endpoint.State.DELETING)
    expect(live).to_have_attribute("hx-trigger", "every 1s")
    Endpoint.objects.update(hint="It takes a while.")
    expect(live).to_contain_text("It takes a while.")
    Endpoint.objects.update(
        wanted=Endpoint.Wanted.PRESENT, state=Endpoint.State.IN_SERVICE, hint=""
    )
    expect(live).to_have_attribute("hx-trigger", re.compile("seen"))
    Endpoint.objects.update(running_count=7)
    expect(live).to_contain_text("7 ×")


def test_today_shows_what_needs_somebody_without_a_reload(page: Page, demo: Endpoint) -> None:
    model = RegisteredModel.objects.create(name="digits")
    Version.objects.create(model=model, number=1, size=1, state=Version.State.READY)
    page.goto("/")
    needs = page.locator(".needs")
    expect(needs).to_contain_text("All quiet")
    fold = page.locator("#today details").first
    opened = fold.evaluate("fold => { fold.open = !fold.open; return fold.open; }")
    _asked(page, "/$")
    demo.state = Endpoint.State.FAILED
    demo.say(
        failure=phrase("SageMaker could not start the endpoint: %(reason)s", reason="why"),
        hint=None,
    )
    demo.save()
    expect(needs).to_contain_text("1 endpoint needs a decision")
    assert fold.evaluate("fold => fold.open") == opened


def test_a_page_that_nobody_sees_asks_nothing_and_asks_once_it_is_seen(
    page: Page, demo: Endpoint
) -> None:
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "/live/" in one.url else None)
    page.goto(demo.get_absolute_url())
    _asked(page, "/live/")
    page.evaluate(_HIDDEN)
    before = len(asked)
    expect(page.locator("html")).to_have_attribute("data-skipped", "2")
    assert len(asked) == before
    Endpoint.objects.update(running_count=6)
    page.evaluate("window.hidden = false")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#live")).to_contain_text("6 ×")
