"""Pages that change by themselves, in a real browser: the keyboard, the login, troubles, times."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from playwright.sync_api import Browser, Page, Route, expect

from core.sentences import phrase
from endpoints.models import Endpoint, Resource
from invocations.models import Invocation
from models_catalog.models import RegisteredModel, Version, valid_name
from tests.artifacts import constant_archive

PASSWORD = "a good long password"
MADE = datetime(2026, 1, 31, 20, 5, 9, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def _database_beside_playwright() -> Iterator[None]:
    """Playwright runs an event loop in this thread, which never waits for the database."""
    patch = pytest.MonkeyPatch()
    patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    yield
    patch.undo()


def open_page(browser: Browser, live_server: Any, user: User) -> Iterator[Page]:
    """A page of a user in Tokyo, whose every script error fails the test."""
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    context = browser.new_context(base_url=live_server.url, timezone_id="Asia/Tokyo")
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
def page(browser: Browser, live_server: Any, user_in: Callable[[str], User]) -> Iterator[Page]:
    """A page of an operator."""
    yield from open_page(browser, live_server, user_in("operator"))


@pytest.fixture
def endpoint(transactional_db: None) -> Endpoint:
    made = Endpoint.objects.create(
        name="demo", state=Endpoint.State.CREATING, hint="It takes minutes."
    )
    Resource.objects.create(
        endpoint=made, kind="model", name="demo-r1", state=Resource.State.CREATED, created_at=MADE
    )
    return made


@pytest.fixture
def version(transactional_db: None) -> Version:
    model = RegisteredModel.objects.create(name="digits")
    return Version.objects.create(
        model=model, number=1, size=1, state=Version.State.CHECKING, step=Version.READING
    )


@pytest.fixture
def call(endpoint: Endpoint, version: Version) -> Invocation:
    return Invocation.objects.create(endpoint=endpoint, version=version, target_model="t")


def _hint(text: str) -> None:
    Endpoint.objects.update(hint=text)


def _step(text: str) -> None:
    Version.objects.update(step=text)


def _note(text: str) -> None:
    Version.objects.update(note=text)


def _loading(text: str) -> None:
    Invocation.objects.update(state="loading", picture_name=text)


@pytest.mark.parametrize(
    ("address", "focused", "change"),
    [
        ("/endpoints/{endpoint}/", "#live [data-copy=demo-r1]", _hint),
        ("/models/digits/v1/", "#version .crumbs a[href='/models/digits/']", _step),
        ("/models/digits/", "#versions td a", _note),
        ("/calls/{call}/", "#answer a >> nth=1", _loading),
    ],
)
def test_the_keyboard_stays_where_it_was(
    page: Page,
    call: Invocation,
    address: str,
    focused: str,
    change: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Else the banner would come, and with it another answer, once Redis has been away for seconds.
    monkeypatch.setattr("core.context.WATCH.problem", lambda: "")
    page.goto(address.format(endpoint=call.endpoint_id, call=call.pk))
    # Counted once htmx has put them in: what else the page loads, such as pictures, is none.
    page.evaluate("""() => {
        const counted = document.documentElement.dataset;
        counted.answers = 0;
        const count = () => { counted.answers = Number(counted.answers) + 1; };
        document.addEventListener("htmx:afterOnLoad", count);
    }""")
    root = page.locator("html")
    element = page.locator(focused)
    element.focus()
    likeness = element.evaluate("node => [node.localName, node.textContent]")
    same = "document.activeElement === window.before"
    focus = "[document.activeElement.localName, document.activeElement.textContent]"
    expect(root).not_to_have_attribute("data-answers", "0")
    assert page.evaluate(focus) == likeness
    so_far = page.evaluate(
        "window.before = document.activeElement, document.documentElement.dataset.answers"
    )
    # Each after the first is the same.
    expect(root).not_to_have_attribute("data-answers", so_far)
    assert page.evaluate(same)
    change("Something else now")
    expect(page.locator("main")).to_contain_text("Something else now")
    assert page.evaluate(focus) == likeness
    assert not page.evaluate(same), "it was not put in anew, so nothing was tested"


def test_what_is_new_is_announced_once_and_the_seconds_are_not(
    page: Page, call: Invocation
) -> None:
    page.goto(f"/calls/{call.pk}/")
    # Not the banner, which is there once Redis has been away for some seconds.
    status = page.locator("[role=status].visually-hidden")
    seconds = page.locator("#answer [data-since]")
    expect(seconds).to_have_text(re.compile(r"^[1-9]\d* s$"))
    expect(status).to_have_text("")
    Invocation.objects.update(state="loading")
    expect(status).to_have_text("The model is loading")
    page.evaluate("document.querySelector('[role=status].visually-hidden').textContent = ''")
    shown = seconds.text_content()
    expect(seconds).not_to_have_text(shown or "")
    expect(status).to_have_text("")


@pytest.mark.parametrize(
    ("width", "language", "said", "advice"),
    [
        (1280, "en", "SageMaker could not start the endpoint: ", "Tear it down, then create it"),
        (
            390,
            "ko",
            "SageMaker가 엔드포인트를 시작하지 못했습니다: ",
            "삭제한 다음 다시 생성하세요.",
        ),
    ],
)
def test_a_creation_that_fails_is_told_whole_while_the_page_is_open(
    page: Page, endpoint: Endpoint, width: int, language: str, said: str, advice: str
) -> None:
    reason = "Unable to provision requested ML compute capacity. " * 3 + "InsufficientCapacity" * 4
    page.set_extra_http_headers({"Accept-Language": language})
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(endpoint.get_absolute_url())
    page.evaluate("window.same = true")
    Resource.objects.create(
        endpoint=endpoint, kind="endpoint", name="demo", state=Resource.State.FAILED
    )
    endpoint.state = Endpoint.State.FAILED
    endpoint.say(
        failure=phrase("SageMaker could not start the endpoint: %(reason)s", reason=reason),
        hint=phrase("A failed endpoint can only be deleted. Tear it down, then create it again."),
    )
    endpoint.save()
    told = page.locator("#live .callout.error")
    expect(told).to_contain_text(said + reason)
    expect(told).to_contain_text(advice)
    expect(page.locator("#live h1 .badge")).to_have_attribute("data-state", "failed")
    expect(page.locator("[role=status].visually-hidden")).to_contain_text(reason)
    assert page.evaluate("window.same"), "the page was loaded anew"
    cut = told.evaluate_all("all => all.map((one) => one.scrollWidth - one.clientWidth)")
    assert cut == [0]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Settled: nothing is asked each second any more.
    expect(page.locator("#live[hx-trigger='every 1s']")).to_have_count(0)


def test_the_banner_comes_and_goes_while_a_page_is_open(
    page: Page, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ""
    monkeypatch.setattr("core.context.WATCH.problem", lambda: told)
    page.goto(endpoint.get_absolute_url())
    banner = page.locator("#worker-problem")
    expect(page.locator("#live")).to_contain_text("It takes minutes.")
    expect(banner).to_have_text("")
    told = "No worker has reported."
    expect(banner).to_contain_text(told)
    page.evaluate("window.shown = document.querySelector('#worker-problem > *')")
    _hint("Something else now")  # the part is put in anew, and the banner stays
    expect(page.locator("#live")).to_contain_text("Something else now")
    assert page.evaluate("window.shown.isConnected")
    told = ""
    expect(banner).to_have_text("")


def test_a_session_that_ends_leads_to_the_login_and_back(page: Page, endpoint: Endpoint) -> None:
    page.goto(endpoint.get_absolute_url())
    Session.objects.all().delete()
    page.wait_for_url("**/login/**")
    page.get_by_label("User name").fill("operator-user")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{endpoint.get_absolute_url()}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo")


def test_a_trouble_is_told_until_it_is_over(page: Page, endpoint: Endpoint) -> None:
    page.goto(endpoint.get_absolute_url())
    page.route(re.compile("/live/"), lambda route: route.fulfill(status=502, body="bad gateway"))
    alert = page.locator("main > [role=alert]")
    expect(alert).to_contain_text("Something went wrong in the portal (502)")
    expect(alert).to_contain_text("tries again by itself")
    expect(alert.locator(".callout")).to_have_count(1)
    page.unroute(re.compile("/live/"))
    expect(alert.locator(".callout")).to_have_count(0)


def test_a_refused_form_says_to_reload(page: Page, endpoint: Endpoint, version: Version) -> None:
    Endpoint.objects.update(state=Endpoint.State.IN_SERVICE)
    Version.objects.update(state=Version.State.READY)
    page.goto("/invoke/")
    token = page.locator("#invoke-form [name=csrfmiddlewaretoken]")
    token.evaluate("node => { node.value = 'stale'; }")
    page.locator("#invoke-form").get_by_role("button", name="Call the model").click()
    alert = page.locator("main > [role=alert]")
    expect(alert).to_contain_text("Reload the page, then try again")


def test_times_are_the_readers(page: Page, endpoint: Endpoint) -> None:
    Endpoint.objects.update(checked_at=MADE)
    page.goto("/glossary/")  # the first page of a browser tells the server its zone
    page.goto(endpoint.get_absolute_url())
    checked = page.locator("#live dd time:not(.when)")
    expect(checked).to_have_text("1 Feb 2026, 05:05:09")
    _hint("Something else now")
    expect(page.locator("#live")).to_contain_text("Something else now")
    expect(checked).to_have_text("1 Feb 2026, 05:05:09")
    without = Client()
    without.force_login(User.objects.get())
    text = without.get(endpoint.get_absolute_url()).content.decode()
    assert "31 Jan 2026, 20:05:09" in text


def _choose(page: Page, *names: str) -> None:
    page.get_by_label("Archive").set_input_files(
        [{"name": one, "mimeType": "application/gzip", "buffer": b"x"} for one in names]
    )


def test_a_name_that_is_free_again_takes_the_sentence_away(page: Page, version: Version) -> None:
    page.goto("/models/new/")
    _choose(page, "a.tar.gz")
    line = page.locator("#lines > li")
    field, problems = line.get_by_label("Name of the model of a.tar.gz"), line.locator(".errors li")
    for _ in range(2):
        field.fill(version.model.name)
        expect(problems).to_have_text(f"There is a model {version.model.name} already.")
        field.fill("Not a name")
        expect(problems).to_contain_text("small letters")
        field.fill("free")
        expect(line).to_contain_text("becomes free v1, at models/free_v1.tar.gz")
        expect(problems).to_have_count(0)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("ResNet 18 (final)_v3.tar.gz", "resnet-18-final"),
        ("--a__b..c--.tgz", "a__b..c"),
        ("ü모델x😀y.tar.gz", "x-y"),
        (f"{'a' * 62}--b.tar.gz", "a" * 62),
    ],
)
def test_the_suggested_name_follows_the_rule_for_names(page: Page, file: str, name: str) -> None:
    page.goto("/models/new/")
    _choose(page, file)
    field = page.get_by_label(f"Name of the model of {file}")
    expect(field).to_have_value(name)
    assert field.evaluate("field => field.checkValidity()")
    valid_name(name)


def test_a_name_that_is_taken_becomes_a_version_or_another_name(
    page: Page, version: Version
) -> None:
    taken = version.model.name
    page.goto("/models/new/")
    _choose(page, f"{taken}_v2.tar.gz", "same.tar.gz")
    lines = page.locator("#lines > li")
    expect(lines.nth(0).locator(".errors")).to_have_text(f"There is a model {taken} already.")
    lines.nth(0).get_by_role("button", name=f"Upload it as {taken} v2").click()
    expect(lines.nth(0)).to_contain_text(f"becomes {taken} v2, at models/{taken}_v2.tar.gz")
    expect(lines.nth(0).locator(".errors li")).to_have_count(0)
    lines.nth(1).get_by_label("Name of the model").fill(taken)
    lines.nth(1).get_by_role("button", name=f"Name it {taken}-2").click()
    expect(lines.nth(1)).to_contain_text(f"becomes {taken}-2 v1")
    # Two of one new name.
    lines.nth(0).get_by_label("Name of the model").fill("twins")
    lines.nth(1).get_by_label("Name of the model").fill("twins")
    expect(lines.nth(1).locator(".errors")).to_contain_text("Another file of this list")
    lines.nth(1).get_by_role("button", name="Upload it as twins v2").click()
    expect(lines.nth(1)).to_contain_text("becomes twins v2")
    expect(lines.locator(".errors li")).to_have_count(0)


def _held(page: Page, pattern: str) -> Callable[[], Route]:
    """Hold the requests to these addresses; what is returned waits for the first one."""
    routes: list[Route] = []
    page.route(pattern, lambda route: routes.append(route))

    def first() -> Route:
        for _ in range(300):
            if routes:
                return routes[0]
            page.wait_for_timeout(50)
        raise AssertionError(f"Nothing was asked of {pattern}.")

    return first


def test_a_log_out_leads_to_the_login_alone(page: Page, endpoint: Endpoint) -> None:
    polls = _held(page, "**/live/**")
    log_outs = _held(page, "**/logout/")
    page.goto(f"/endpoints/{endpoint.pk}/")
    page.get_by_role("button", name="Account").click()
    log_out = page.get_by_role("button", name="Log out")
    expect(log_out).to_be_visible()
    poll = polls()
    log_out.click(no_wait_after=True)
    logged_out = log_outs()
    to_login = logged_out.fetch(max_redirects=0)
    with page.expect_response("**/live/**") as answer:
        poll.continue_()
    assert "next=" in answer.value.headers["hx-redirect"]
    logged_out.fulfill(response=to_login)
    page.wait_for_url(re.compile("/login/"))
    expect(page).to_have_url(re.compile("/login/$"))


def test_an_upload_goes_on_by_itself_after_a_new_log_in(
    page: Page, store: str, tmp_path: Path
) -> None:
    page.goto("/models/new/")
    page.get_by_label("Version note").fill("my note")
    archive = constant_archive(tmp_path / "animals.tar.gz", labels=["cat", "dog"], answer=0)
    page.get_by_label("Archive").set_input_files(archive)
    line = page.locator("#lines > li")
    expect(line).to_contain_text("becomes animals v1")
    Session.objects.all().delete()
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(line).to_contain_text("You were logged out.")
    with page.context.expect_page() as opened:
        line.get_by_role("link", name="Log in in a new tab").click()
    other = opened.value
    other.get_by_label("User name").fill("operator-user")
    other.get_by_label("Password").fill(PASSWORD)
    other.get_by_role("button", name="Log in").click()
    expect(other.get_by_role("heading", level=1)).to_be_visible()
    page.bring_to_front()
    page.evaluate("window.dispatchEvent(new Event('focus'))")  # headless pages get none
    line.get_by_role("link", name="animals v1").click()
    expect(page).to_have_url(re.compile("/models/animals/v1/$"))
    expect(page.locator("main")).to_contain_text("my note")
