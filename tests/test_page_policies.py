"""What browsers are told of each page, in a real one: no `unsafe-`, nothing kept at a log-out."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect

from core import aws
from endpoints.models import Endpoint, Resource
from invocations.models import Invocation
from models_catalog.models import RegisteredModel, Version
from tests.conftest import chromium

PASSWORD = "a good long password"
REPORT = {
    "ok": True,
    "load_ms": 10,
    "first_ms": 2,
    "warm_ms": 1,
    "sample": {
        "image": "digit",
        "predictions": [
            {"label": "label 1", "probability": 0.8},
            {"label": "label 2", "probability": 0.2},
        ],
    },
    "memory_mb": 90,
    "artifact": {
        "inputs": [{"name": "data", "shape": [1, 1, 28, 28]}],
        "outputs": [{"name": "prob", "shape": [1, 10]}],
        "parameters": 1000,
        "parameter_bytes": 4000,
        "preprocess": None,
        "layers": {"Convolution": 4, "Activation": 1},
        "label_count": 50,
        "labels": [f"label {number}" for number in range(50)],
        "output": {
            "name": "prob",
            "index": 0,
            "kind": "probabilities",
            "chosen": "probes",
            "others": [],
        },
    },
    "archive": {
        "files": [
            {"name": "x-symbol.json", "bytes": 10, "packed": True, "read": True},
            {"name": "log", "bytes": 2000000, "packed": False, "read": False},
        ],
        "notes": [{"code": "left_out", "message": "log is left out."}],
    },
    "packing": {
        "choice": "auto",
        "stored_bytes": 1000,
        "compressed_bytes": 900,
        "exact": True,
        "stored_s": 0.0,
        "compressed_s": 0.1,
        "sampled_bytes": 1000,
        "tar_bytes": 1000,
    },
}
# Notes each violation where the test can read it; a violation is no exception.
LISTEN = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""


@pytest.fixture(scope="module", autouse=True)
def _database_beside_playwright() -> Iterator[None]:
    """Playwright runs an event loop in this thread, which never waits for the database."""
    patch = pytest.MonkeyPatch()
    patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    yield
    patch.undo()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """As everybody else's, with the cache that Back uses; Playwright turns that off."""
    with chromium(without=("--disable-back-forward-cache",)) as launched:
        yield launched


@contextmanager
def _opened(
    browser: Browser, url: str, user: User | None = None, **options: Any
) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=url, **options)
    context.set_default_timeout(15_000)
    context.add_init_script(LISTEN)
    if user is not None:
        log_in(context, url, user)
    yield context
    context.close()


def log_in(context: BrowserContext, url: str, user: User) -> None:
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])


@pytest.fixture
def filled(transactional_db: None) -> Invocation:
    """One of everything that a page can show."""
    model = RegisteredModel.objects.create(name="digits", description="small")
    RegisteredModel.objects.create(name="empty")
    version = Version.objects.create(
        model=model,
        number=1,
        size=1,
        sha256="a" * 64,
        published_sha256="b" * 64,
        content_sha256="c" * 64,
        published_size=1000,
        packing="stored",
        key="models/digits_v1.tar.gz",
        original_key="originals/digits_v1-a.tar.gz",
        state=Version.State.READY,
        report=REPORT,
        parameters=1000,
    )
    Version.objects.create(
        model=model,
        number=2,
        key="2",
        size=1,
        state=Version.State.REJECTED,
        reason="It is too big.",
    )
    Version.objects.create(model=model, number=3, key="3", size=1, state=Version.State.CHECKING)
    endpoint = Endpoint.objects.create(name="demo", state=Endpoint.State.IN_SERVICE)
    Endpoint.objects.create(name="coming", state=Endpoint.State.CREATING, hint="It takes minutes.")
    gone = Endpoint.objects.create(
        name="gone", state=Endpoint.State.GONE, wanted="absent", gone_at=timezone.now()
    )
    for each, state in ((endpoint, Resource.State.CREATED), (gone, Resource.State.GONE)):
        for kind in ("model", "config", "endpoint"):
            Resource.objects.create(endpoint=each, kind=kind, name=f"{kind}-r1", state=state)
    return Invocation.objects.create(
        endpoint=endpoint,
        version=version,
        target_model="t",
        state=Invocation.State.DONE,
        cold=False,
        attempts=1,
        latency_ms=40.0,
        timings={"decode_ms": 10.0, "infer_ms": 10.0},
        predictions=[
            {"label": "seven", "probability": 0.8},
            {"label": "one", "probability": 0.2},
        ],
        picture_name="seven.png",
    )


def _walk(page: Page, addresses: list[str]) -> dict[str, list[str]]:
    found = {}
    for address in addresses:
        page.goto(address)
        page.wait_for_load_state()
        if violations := page.evaluate("window.violations"):
            found[address] = violations
    return found


def test_no_page_breaks_the_policy(
    browser: Browser, live_server: Any, filled: Invocation, user_in: Callable[[str], User]
) -> None:
    boss = User.objects.create_superuser("boss", password=PASSWORD)
    other = user_in("viewer")
    ids = {endpoint.name: endpoint.pk for endpoint in Endpoint.objects.all()}
    ours = [
        *("/models/?q=aaaaaa", "/models/?q=nothing", "/admin/models_catalog/version/"),
        *("/", "/models/", "/models/new/", "/models/digits/", "/models/digits/upload/"),
        *("/models/empty/", "/models/digits/v1/", "/models/digits/v2/", "/models/digits/v3/"),
        *("/endpoints/", "/endpoints/new/", f"/endpoints/{ids['demo']}/"),
        *(f"/endpoints/{ids['coming']}/", f"/endpoints/{ids['gone']}/"),
        *(f"/endpoints/{ids['demo']}/teardown/", "/invoke/", f"/calls/{filled.pk}/"),
        *("/activity/", "/password/", "/status/", "/nope/"),
    ]
    admins = [
        *("/admin/", "/admin/auth/", "/admin/auth/user/", "/admin/auth/user/add/"),
        *(f"/admin/auth/user/{other.pk}/{what}/" for what in ("change", "history")),
        f"/admin/auth/user/{other.pk}/password/",
        *("/admin/auth/group/", "/admin/auth/user/?q=view&is_active__exact=1"),
        *("/admin/password_change/", "/admin/nope/"),
    ]
    with _opened(browser, live_server.url, boss) as context:
        page = context.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        assert _walk(page, ours + admins) == {}
        page.goto("/admin/auth/user/")
        page.locator("#nav-filter").fill("gr")
        assert page.evaluate("window.violations") == []
        assert wrong == []
    with _opened(browser, live_server.url) as context:
        assert _walk(context.new_page(), ["/login/", "/nope/", "/admin/"]) == {}


def test_a_browser_downloads_what_is_served_and_what_was_uploaded(
    browser: Browser,
    live_server: Any,
    store: str,
    filled: Invocation,
    user_in: Callable[[str], User],
) -> None:
    """By a redirect to S3, which no policy of the pages keeps it from following."""
    version = Version.objects.get(number=1)
    Version.objects.filter(pk=version.pk).update(bucket=store)
    with _opened(browser, live_server.url, user_in("operator")) as context:
        page = context.new_page()
        page.goto("/models/digits/v1/")
        for link, key, name in (
            ("Download", version.key, "digits_v1.tar.gz"),
            ("Download as uploaded", version.original_key, "digits_v1-as-uploaded.tar.gz"),
        ):
            aws.s3().put_object(Bucket=store, Key=key, Body=key.encode())
            with page.expect_download() as coming:
                page.get_by_role("link", name=link, exact=True).click()
            assert coming.value.suggested_filename == name
            assert coming.value.path().read_text() == key
        assert page.url.endswith("/models/digits/v1/")
        assert page.evaluate("window.violations") == []


def test_the_policy_has_no_unsafe_part_and_the_listener_hears(
    browser: Browser, live_server: Any, filled: Invocation, user_in: Callable[[str], User]
) -> None:
    with _opened(browser, live_server.url, user_in("viewer")) as context:
        page = context.new_page()
        answer = page.goto("/")
        assert answer is not None
        assert "unsafe" not in answer.headers["content-security-policy"]
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\">')")
        page.wait_for_function("window.violations.length > 0")


@pytest.mark.parametrize("scripts", [True, False])
def test_bars_are_as_long_as_what_they_show(
    browser: Browser,
    live_server: Any,
    filled: Invocation,
    user_in: Callable[[str], User],
    scripts: bool,
) -> None:
    """They are widths of their own, not of a style, and need no script."""
    viewer = user_in("viewer")

    def shares(page: Page, bars: str, around: str) -> list[float]:
        widths = [
            each.bounding_box()["width"]  # type: ignore[index]
            for each in page.locator(bars).all()
        ]
        whole = page.locator(around).first.bounding_box()
        assert whole is not None
        return [round(width / whole["width"], 1) for width in widths]

    with _opened(browser, live_server.url, viewer, java_script_enabled=scripts) as context:
        page = context.new_page()
        page.goto(f"/calls/{filled.pk}/")
        # The first label is the headline, without a bar.
        assert shares(page, ".bars .bar > svg", ".bars .bar") == [0.2]
        assert shares(page, ".split > svg", ".split") == [0.5, 0.2, 0.2]
        page.goto("/models/digits/v1/")
        assert shares(page, ".bars .bar > svg", ".bars .bar") == [0.2]


def test_back_after_a_log_out_shows_nothing_of_before(
    browser: Browser, live_server: Any, filled: Invocation, user_in: Callable[[str], User]
) -> None:
    user_in("viewer")
    with _opened(browser, live_server.url) as context:
        page = context.new_page()
        page.goto("/login/")
        page.get_by_label("User name").fill("viewer-user")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/")
        page.get_by_role("link", name="Activity", exact=True).click()
        page.get_by_role("link", name="Models", exact=True).click()
        expect(page.locator("main")).to_contain_text("digits")
        page.get_by_role("button", name="Account").click()
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login/")
        for _ in range(3):
            page.go_back()
            expect(page.get_by_role("button", name="Log in")).to_be_visible()
            expect(page.get_by_text("digits")).to_have_count(0)
            expect(page.get_by_text("viewer-user")).to_have_count(0)


@pytest.mark.not_quick
def test_what_each_answer_says_of_itself(client_of: Callable[[str], Client], settings: Any) -> None:
    client = client_of("admin")
    for address in ("/", "/models/", "/invoke/", "/activity/", "/status/", "/admin/", "/nope/"):
        headers = client.get(address).headers
        assert "no-store" in headers["Cache-Control"], address
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "camera=()" in headers["Permissions-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    static = client.get("/static/portal.css").headers
    assert "no-store" not in static.get("Cache-Control", "")
    assert "Access-Control-Allow-Origin" not in static
    assert static["Cross-Origin-Resource-Policy"] == "same-origin"
    out = client.post("/logout/")
    assert out.headers["Clear-Site-Data"] == '"cache"'


def test_cookies_are_for_the_server_alone(user_in: Callable[[str], User], settings: Any) -> None:
    user_in("viewer")
    client = Client()
    client.get("/login/")
    client.post("/login/", {"username": "viewer-user", "password": PASSWORD})
    for cookie in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME):
        assert client.cookies[cookie]["httponly"]
        assert client.cookies[cookie]["samesite"] == "Lax"


def test_over_https_cookies_and_the_browser_stay_there() -> None:
    program = (
        "import mmeportal.settings as s; print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, "
        "s.SECURE_SSL_REDIRECT, s.SECURE_HSTS_SECONDS, s.SECURE_HSTS_INCLUDE_SUBDOMAINS)"
    )
    bare = {"PATH": os.environ["PATH"], "HTTPS": "1", "SECRET_KEY": settings.SECRET_KEY}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=settings.BASE_DIR,
        env=bare,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "True True True 31536000 True\n"
