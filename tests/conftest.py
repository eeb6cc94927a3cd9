"""What the tests across apps share: the whole stack, the demo models, a browser.

Tests that use ``stack`` all run in one xdist worker, one after the other, on one stack; the files
of all other tests are spread over the workers.
"""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests import demo_models as kept_models
from tests.stack import Stack

#: A missing browser is a failure (else its tests are skipped); so is any skipped test.
REQUIRE_BROWSER = os.environ.get("REQUIRE_BROWSER") == "1"
NO_SKIPS = os.environ.get("NO_SKIPS") == "1"
_TRAINED = {"stack", "small_stack", "demo_models", "trained"}
"""Fixtures for which the demo models are trained, by the first test that needs one of them."""
_LONG = ("stack", "slow", "processes")
"""Marks of tests that take long, the longest first."""
LONGEST = (
    "tests/rules/test_pages.py",
    "endpoints/tests/test_machine.py",
    "tests/test_kill_matrix.py",
    # Not at the very beginning, when the tests of the stack train the demo models for it as well.
    "tests/test_catalog_recipes.py",
    "tests/test_thrash_on_stack.py",
    "localaws/tests/test_soak.py",
    "mmeportal/tests/test_web_server.py",
    "tests/upgrade/test_upgrade.py",
    "demo/tests/test_zoo.py",
    "stack/tests/test_venvs.py",
    "tests/test_redis_lost.py",
    "tests/test_hidden_stores.py",
    "tests/rules/test_keyboard.py",
    "container/tests/test_preflight.py",
    "tests/test_living_pages.py",
    "localaws/tests/test_invoke_endpoint.py",
    "tests/test_clocks.py",
    "tests/test_upload_lines.py",
    "tests/test_behind_nginx.py",
    "container/tests/test_model_host.py",
    "tests/test_ending.py",
)
"""Modules that take longest; they begin after those of the stack. What takes 20 s and more in
`make test ARGS=--durations=150` belongs here, or one worker is idle while it runs as the last."""

_BROWSERS = (
    *("chromium-headless-shell", "chromium", "chromium-browser"),
    *("google-chrome", "google-chrome-stable"),
)
_NO_BROWSER = (
    "Browser tests need Chromium: install it (Debian: apt-get install chromium-headless-shell) "
    "or run `.venv/bin/playwright install chromium`."
)


@pytest.fixture(scope="session")
def demo_models() -> Path:
    """The trained demo models, kept from one run of the tests to the next."""
    return kept_models.made()


@pytest.fixture(scope="session")
def stack(demo_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A whole stack, ready, with the demo models in its catalog and the endpoint `demo`."""
    made = Stack(tmp_path_factory.mktemp("stack"), demo_models)
    try:
        made.start()
        yield made
        made.ends_whole(signal.SIGINT)  # as Ctrl-C; tests/test_make_up.py has SIGTERM and SIGKILL
    finally:
        made.stop()


@pytest.fixture(scope="session")
def small_stack(demo_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A whole stack whose instances have a part of their types' memory, for two modules.

    Of the smaller type's some 48 MB are for models of 10 MB, so that a model more or less does not
    matter. What others call may be deleted from its catalog.
    """
    made = Stack(tmp_path_factory.mktemp("small-stack"), demo_models)
    made.variables |= {
        "INSTANCE_MEMORY_PERCENT": "9",
        "INSTANCE_TYPES": "ml.m5.large,ml.c5.large",
        "METRICS_KEEP_S": "1",
    }
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, driven by Playwright.

    Not longer than a module: while Playwright runs, an event loop runs in this thread, and Django
    refuses to use the database beside one.
    """
    with chromium() as launched:
        yield launched


@contextlib.contextmanager
def chromium(*more: str, without: tuple[str, ...] = ()) -> Iterator[Any]:
    """A headless Chromium for the length of the block, with ``more`` options than usual and
    ``without`` some of Playwright's."""
    from playwright.sync_api import sync_playwright

    assert browser_path() is not None, _NO_BROWSER
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=browser_path(),
            ignore_default_args=list(without),
            # Root, as in a container, can have no sandbox; the rest keeps it from calling home.
            args=[
                *(["--no-sandbox"] if os.geteuid() == 0 else []),
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
                *more,
            ],
        )
        yield launched
        launched.close()


@cache
def browser_path() -> str | None:
    """An installed Chromium or Chrome, or Playwright's own; None where there is neither.

    Chromium's headless shell comes first: it draws no window of a browser around the page, and
    takes half of the processor's time.
    """
    for name in _BROWSERS:
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with contextlib.suppress(Exception), sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        return own if Path(own).exists() else None
    return None


def pytest_report_header() -> str:
    return f"browser: {browser_path() or f'none, so browser tests are skipped. {_NO_BROWSER}'}"


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        uses = getattr(item, "fixturenames", ())
        if "browser" in uses:
            item.add_marker(pytest.mark.browser)
        if item.get_closest_marker("browser") and browser_path() is None and not REQUIRE_BROWSER:
            item.add_marker(pytest.mark.skip(reason=_NO_BROWSER))
        if "stack" in uses:
            item.add_marker(pytest.mark.stack)
        if _TRAINED & set(uses) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(900))  # a fixture's time is its first test's
        if item.get_closest_marker("xdist_group") is None:
            group = "stack" if item.get_closest_marker("stack") else item.nodeid.split("::")[0]
            if "small_stack" in uses:
                group = "small_stack"
            item.add_marker(pytest.mark.xdist_group(group))


class LongestFirst:
    """The plugin that has the longest begin first, so that no worker is idle at the end."""

    # After pytest-django, which sorts by what tests need of the database.
    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=order_of)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(LongestFirst(), "longest-first")


def order_of(item: pytest.Item) -> tuple[bool, int, list[bool]]:
    """The place of a test in the order: what takes long has a low one."""
    stack, *others = (item.get_closest_marker(mark) is None for mark in _LONG)
    module = item.nodeid.split("::")[0]
    return stack, LONGEST.index(module) if module in LONGEST else len(LONGEST), others


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped and NO_SKIPS and not hasattr(config, "workerinput"):
        terminalreporter.write_line(f"{len(skipped)} skipped, and none may be.", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped") if reporter else None
    if skipped and NO_SKIPS and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
