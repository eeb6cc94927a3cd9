"""`make dev`: what is saved in a checkout is what runs, without a restart by hand."""

import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.layout import ROOT
from tests.stack import Stack

pytestmark = pytest.mark.stack

_PAGE = "/login/"
#: What is no error until Django checks the code; stack/tests/test_reload.py has one of syntax.
_MISTAKE = """
from django.core import checks
@checks.register
def mistake(**_):
    return [checks.Error("A mistake of the test.")]
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this checkout, which the tests change."""
    copy = tmp_path_factory.mktemp("dev") / "checkout"
    # With its bytecode: each part would compile all of it, and beat, worker and web at once.
    ignored = shutil.ignore_patterns(".*", "tests")
    shutil.copytree(ROOT, copy, ignore=ignored)
    for name in (".venv", ".venv-container"):
        (copy / name).symlink_to(ROOT / name)
    return copy


@pytest.fixture(scope="module")
def dev(checkout: Path) -> Iterator[Stack]:
    """What `make dev` starts, without the demo: no model is trained or deployed."""
    stack = Stack(checkout.parent, checkout=checkout, options=["--reload"])
    stack.local_dir.mkdir()
    (stack.local_dir / "demo-seeded").touch()
    stack.start()
    yield stack
    stack.stop()
    assert not stack.left()


def _get(
    stack: Stack, path: str = _PAGE, language: str = "en", body: bytes | None = None
) -> tuple[int, str]:
    """Status and page; of a POST where there is a body."""
    headers = {"Accept-Language": language}
    asked = urllib.request.Request(f"{stack.url}{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:  # between two starts of the web server
        return 0, ""


def _wait(condition: Callable[[], object], stack: Stack, what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what}:\n{stack.says()}"
        time.sleep(0.05)


def _back(stack: Stack, *names: str) -> Callable[[], bool]:
    """Whether these parts have come back once more than now."""
    before = {name: stack.says().count(f"{name} is back.") for name in names}
    return lambda: all(stack.says().count(f"{name} is back.") > before[name] for name in names)


def test_a_database_made_from_nothing_is_for_its_owner_alone(dev: Stack) -> None:
    assert (dev.local_dir / "db.sqlite3").stat().st_mode & 0o777 == 0o600


def test_a_changed_template_is_seen_at_the_next_request(dev: Stack, checkout: Path) -> None:
    web = dev.pid_of("web")
    assert _get(dev)[0] == 200
    page = checkout / "templates" / "base.html"

    page.write_text(page.read_text().replace("</body>", "<p>Changed template</p></body>"))

    status, text = _get(dev)
    assert (status, "Changed template" in text) == (200, True)
    assert dev.pid_of("web") == web, "nothing was restarted"


def test_a_changed_style_is_seen_at_the_next_request(dev: Stack, checkout: Path) -> None:
    style = next((checkout / "static").rglob("*.css"))
    path = f"/static/{style.relative_to(checkout / 'static').as_posix()}"
    assert _get(dev, path)[0] == 200

    style.write_text(f"{style.read_text()}\n/* changed style */\n")

    assert "changed style" in _get(dev, path)[1]


def test_changed_code_runs_after_some_seconds_and_a_mistake_is_mended_by_the_next_save(
    dev: Stack, checkout: Path
) -> None:
    others = {name: dev.pid_of(name) for name in ("redis", "s3", "localaws")}
    views = checkout / "accounts" / "views.py"
    sound = views.read_text()

    back = _back(dev, "web", "worker", "beat")
    (checkout / "templates" / "changed.html").write_text("Changed code")
    views.write_text(f"{sound}\n\nLoginView.template_name = 'changed.html'\n")
    _wait(back, dev, "the restart")
    assert _get(dev) == (200, "Changed code")

    views.write_text(f"{sound}{_MISTAKE}")
    _wait(lambda: "Failed: web did not start" in dev.says(), dev, "the failure")
    assert "A mistake of the test" in dev.says()

    back = _back(dev, "web")
    views.write_text(sound)
    _wait(back, dev, "the second restart")
    status, text = _get(dev)
    assert (status, "Changed code" in text) == (200, False)
    assert {name: dev.pid_of(name) for name in others} == others


def test_a_changed_translation_is_seen_after_some_seconds(dev: Stack, checkout: Path) -> None:
    worker, back = dev.pid_of("worker"), _back(dev, "web")
    catalog = checkout / "core" / "locale" / "ko" / "LC_MESSAGES" / "django.po"
    status, text = _get(dev, language="ko", body=b"no token")
    assert (status, "오래된 페이지입니다" in text) == (403, True)

    catalog.write_text(catalog.read_text().replace("오래된 페이지입니다", "바뀐 번역"))

    _wait(back, dev, "the restart")
    assert "바뀐 번역" in _get(dev, language="ko", body=b"no token")[1]
    assert dev.pid_of("worker") == worker


def test_changed_code_of_localaws_restarts_it_alone(dev: Stack, checkout: Path) -> None:
    web, back = dev.pid_of("web"), _back(dev, "localaws")
    admin = checkout / "localaws" / "admin_pages.py"

    text = admin.read_text()
    assert '{"status": "ok"}' in text
    admin.write_text(text.replace('{"status": "ok"}', '{"status": "changed"}'))

    _wait(back, dev, "the restart")
    with urllib.request.urlopen(f"{dev.layout.localaws_url}/_localaws/health") as answer:
        assert b"changed" in answer.read()
    assert dev.pid_of("web") == web
