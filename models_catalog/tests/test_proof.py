"""The preflight is run as a program that may fail in every way a program can."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from models_catalog import proof

GOOD = {"ok": True, "error": None, "artifact": {"inputs": [{"name": "data", "shape": [1]}]}}


@pytest.fixture
def says(settings: Any, tmp_path: Path) -> Any:
    """Let a Python program stand where the preflight is expected."""

    def use(code: str) -> dict[str, Any]:
        script = tmp_path / "preflight.py"
        script.write_text(f"import json, os, signal, sys, time\n{code}\n")
        settings.PREFLIGHT_COMMAND = [sys.executable, str(script)]
        return proof.run(tmp_path / "a.tar.gz", beat=lambda: None)

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
    with pytest.raises(proof.PreflightBroken, match=reason):
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
