"""The preflight is run as a program that may fail in every way a program can."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from models_catalog import validation

GOOD = {"ok": True, "error": None, "artifact": {"inputs": [{"name": "data", "shape": [1]}]}}


@pytest.fixture
def says(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let a Python program stand where the preflight is expected."""
    monkeypatch.setattr(validation, "GRACE_S", 0)

    def use(code: str) -> dict[str, Any]:
        script = tmp_path / "preflight.py"
        script.write_text(f"import json, os, signal, sys, time\n{code}\n")
        settings.PREFLIGHT_COMMAND = [sys.executable, str(script)]
        return validation.run(tmp_path / "a.tar.gz", beat=lambda: None)

    return use


def test_it_returns_the_report(says: Any) -> None:
    assert says(f"print({json.dumps(json.dumps(GOOD))})") == GOOD


def test_a_refusal_is_a_report_too(says: Any) -> None:
    report = {"ok": False, "error": {"code": "x", "message": "No."}}
    assert says(f"print({json.dumps(json.dumps(report))}); sys.exit(1)") == report


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("sys.exit('no mxnet here')", "refuses|lacks|JSON|no mxnet"),
        ("print('no json')", "not JSON"),
        ("print('[]')", "lacks `ok`"),
        ("print('{\"ok\": true}')", "what is inside"),
        ("print('{\"ok\": false}')", "without a reason"),
        ("print('bad', file=sys.stderr); sys.exit(3)", "bad"),
    ],
)
def test_a_broken_preflight_is_not_the_archives_fault(says: Any, code: str, reason: str) -> None:
    with pytest.raises(validation.PreflightBroken, match=reason):
        says(code)


@pytest.mark.parametrize(("signal", "code"), [("SIGKILL", "out_of_memory"), ("SIGSEGV", "load_")])
def test_a_model_that_kills_the_process_is_refused(says: Any, signal: str, code: str) -> None:
    report = says(f"os.kill(os.getpid(), signal.{signal})")
    assert report["ok"] is False
    assert report["error"]["code"].startswith(code)


def test_a_model_that_never_answers_is_ended_with_all_it_started(
    says: Any, settings: Any, tmp_path: Path
) -> None:
    settings.PREFLIGHT_TIMEOUT_S = 1
    pids = tmp_path / "pids"
    report = says(
        f"child = os.fork()\nopen({str(pids)!r}, 'a').write(f'{{os.getpid()}}\\n')\ntime.sleep(600)"
    )
    assert report["error"]["code"] == "timeout"
    for pid in pids.read_text().split():
        _wait_for_end(int(pid))


def _wait_for_end(pid: int) -> None:
    for _ in range(500):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or ") Z " in stat.read_text():
            return
        time.sleep(0.01)
    pytest.fail(f"process {pid} goes on")


def test_an_uploaded_model_sees_no_secrets(says: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "the site's secret")
    report = says(
        "print(json.dumps({'ok': False, 'error': {'code': 'x', 'message': str(dict(os.environ))}}))"
    )
    seen = report["error"]["message"]
    assert "the site's secret" not in seen
    assert "AWS_" not in seen
    assert "TMPDIR" in seen


def test_where_the_sandbox_is_incomplete_nothing_is_said_of_the_archive(says: Any) -> None:
    with pytest.raises(validation.SandboxIncomplete, match="does not hold: network"):
        says("sys.exit(print('The sandbox does not hold: network.', file=sys.stderr) or 4)")


def test_the_preflight_is_told_the_limits_and_whom_to_follow(says: Any, settings: Any) -> None:
    settings.PREFLIGHT_TIMEOUT_S = 77
    asked = "print(json.dumps({'ok': False, 'error': {'message': str(sys.argv[2:])}}))"
    words = says(asked)["error"]["message"]
    assert "'--wall-s', '77'" in words
    assert f"'--parent', '{os.getpid()}'" in words
    assert "--require-sandbox" in words
    settings.REQUIRE_SANDBOX = False
    assert "--require-sandbox" not in says(asked)["error"]["message"]


def test_it_is_asked_to_end_before_it_is_killed(says: Any, settings: Any, tmp_path: Path) -> None:
    """What it runs has a session of its own, which no signal to its group reaches."""
    settings.PREFLIGHT_TIMEOUT_S = 1
    tidied = tmp_path / "tidied"
    report = says(
        f"signal.signal(signal.SIGTERM, lambda *_: (open({str(tidied)!r}, 'w'), sys.exit(143)))\n"
        "time.sleep(600)"
    )
    assert report["error"]["code"] == "timeout"
    assert tidied.exists()


def test_no_message_carries_a_stack_trace(says: Any) -> None:
    with pytest.raises(validation.PreflightBroken) as caught:
        says("def f(): raise OSError('no libraries here')\ntry: f()\nexcept OSError:\n"
             "  import traceback; traceback.print_exc(); sys.exit(3)")  # fmt: skip
    assert str(caught.value) == "OSError: no libraries here"
