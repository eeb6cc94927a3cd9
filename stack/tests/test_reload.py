"""`make dev`: a changed file restarts its part, and a mistake in it does not end the stack."""

import os
import signal
from pathlib import Path

import pytest

from stack import reload
from stack.layout import Layout
from stack.parts import parts
from stack.stack_error import StackError
from stack.tests.conftest import Driven, gone, wait_until

ENDLESS = "import time\nprint('up', flush=True)\nwhile True: time.sleep(60)\n"


def _save(driven: Driven, name: str, program: str) -> None:
    (driven.folder / f"{name}.py").write_text(program)


@pytest.fixture
def reloading(driven: Driven) -> Driven:
    """A store that is not watched, and two services that are."""
    driven.plan["reloads"] = True
    driven.service("store", reloads=False)
    driven.service("worker", after=["store"])
    driven.service("web", after=["store"])
    driven.start()
    driven.wait_ready()
    return driven


def test_a_changed_file_restarts_its_part_and_no_other(reloading: Driven) -> None:
    web, others = reloading.pid_of("web"), [reloading.pid_of(name) for name in ("store", "worker")]

    _save(reloading, "web", f"print('second version')\n{ENDLESS}")

    wait_until(lambda: "web is back." in reloading.says(), "the restart")
    assert "web.py changed; restarting web." in reloading.says()
    assert gone(web)
    assert [reloading.pid_of(name) for name in ("store", "worker")] == others
    assert "second version" in (reloading.stack_dir / "logs" / "web.log").read_text()


def test_a_mistake_is_told_and_the_next_save_starts_the_part_again(reloading: Driven) -> None:
    _save(reloading, "web", "def broken(:\n")
    wait_until(lambda: "Failed: web" in reloading.says(), "the failure")
    said = reloading.says()
    assert "Failed: web did not start: it ended with exit code 1." in said
    assert "SyntaxError" in said
    assert not reloading.ended()
    assert not gone(reloading.pid_of("worker"))

    _save(reloading, "web", ENDLESS)

    wait_until(lambda: "web is back." in reloading.says(), "the restart")
    reloading.send(signal.SIGTERM)
    assert reloading.wait_ended() == 0
    assert not reloading.left()


def test_a_mistake_that_was_there_at_the_start_can_be_mended(driven: Driven) -> None:
    driven.plan["reloads"] = True
    driven.add("migrate", "def broken(:\n", once=True)
    driven.service("web", after=["migrate"])
    driven.start()
    wait_until(lambda: "Failed: migrate failed" in driven.says(), "the failure")

    _save(driven, "migrate", "pass\n")

    driven.wait_ready()


def test_a_step_runs_again_before_the_parts_that_wait_for_it(driven: Driven) -> None:
    order = driven.folder / "order"
    write = f"open({str(order)!r}, 'a').write"
    driven.plan["reloads"] = True
    driven.add("migrate", f"{write}('migrate ')", once=True)
    driven.service("web", f"{write}('web ')", after=["migrate"])
    driven.start()
    driven.wait_ready()

    # Both in one step, as `git checkout` does.
    program = (driven.folder / "web.py").read_text()
    _save(driven, "web", f"{program}\n")
    _save(driven, "migrate", f"import time; time.sleep(0.3)\n{write}('migrate-2 ')")

    wait_until(lambda: "web is back." in driven.says(), "the restart")
    assert "migrate has run again." in driven.says()
    assert order.read_text().split() == ["migrate", "web", "migrate-2", "web"]


def test_what_a_part_that_failed_had_started_is_ended_before_it_starts_again(
    reloading: Driven,
) -> None:
    """It may hold the port of the next run."""
    child = reloading.folder / "child"
    write = f"open({str(child)!r}, 'w').write(str(child.pid))"
    start = f"import subprocess\nchild = subprocess.Popen(['sleep', '600'])\n{write}\n"
    _save(reloading, "web", f"{start}raise SystemExit('a mistake')\n")
    wait_until(lambda: "Failed: web did not start" in reloading.says(), "the failure")
    left = reloading.pid_in("child")
    _save(reloading, "web", ENDLESS)
    wait_until(lambda: "web is back." in reloading.says(), "the restart")
    assert gone(left)


def test_a_part_that_ignores_sigterm_is_killed_and_started_again(driven: Driven) -> None:
    driven.plan["reloads"] = True
    driven.service("web", "signal.signal(signal.SIGTERM, signal.SIG_IGN)", stop_within_s=0.3)
    driven.start()
    driven.wait_ready()
    first = driven.pid_of("web")

    _save(driven, "web", ENDLESS)

    wait_until(lambda: "web is back." in driven.says(), "the restart")
    assert gone(first)


def test_a_part_that_crashes_is_still_restarted_by_itself(reloading: Driven) -> None:
    os.kill(reloading.pid_of("web"), signal.SIGKILL)
    wait_until(lambda: "web is back." in reloading.says(), "the restart")
    assert "web ended with signal SIGKILL; starting it again" in reloading.says()


@pytest.mark.parametrize(
    ("path", "restarted"),
    [
        ("endpoints/views.py", {"web", "worker", "beat"}),
        ("a_new_app/services.py", {"web", "worker", "beat"}),
        ("accounts/migrations/0009_more.py", {"migrate", "web", "worker", "beat"}),
        ("endpoints/locale/ko/LC_MESSAGES/django.po", {"migrate", "web"}),
        ("endpoints/locale/ko/LC_MESSAGES/django.mo", set()),
        ("localaws/server.py", {"localaws", "s3"}),
        ("localaws/s3/server.py", {"s3"}),
        ("container/preflight.py", {"localaws"}),
        ("endpoints/tests/test_pages.py", set()),
        ("endpoints/.views.py.swp.py", set()),
        ("templates/base.html", set()),
        ("static/app.css", set()),
    ],
)
def test_which_parts_a_file_restarts(path: str, restarted: set[str], tmp_path: Path) -> None:
    layout = Layout.from_environment({"LOCAL_DIR": str(tmp_path)})
    layout.make_folders()
    found = parts(layout, reloads=True)
    assert {part.name for part in found if part.reload_on and part.reload_on(Path(path))} == (
        restarted
    )
    assert not any(part.reload_on for part in parts(layout))


def test_without_the_development_packages_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StackError, match="start it with `make dev`"):
        reload.Changes(tmp_path, [])


def test_the_portals_packages_are_found_and_nothing_else() -> None:
    found = set(reload.portal_packages())
    assert {"accounts", "endpoints", "models_catalog"} <= found
    assert not found & {"localaws", "stack", "tests", "demo", "bench", "container"}
