"""The preflight is run as a program that may fail in every way a program can."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from models_catalog import validation

pytestmark = pytest.mark.processes  # the programs that are tested

GOOD: dict[str, Any] = {
    "ok": True,
    "error": None,
    "artifact": {
        "inputs": [{"name": "data", "shape": [1]}],
        "outputs": [{"name": "prob", "shape": [1, 2]}],
        "parameters": 1,
        "parameter_bytes": 4,
        "labels": ["a", "b"],
        "label_count": 2,
        "layers": {"softmax": 1},
        "preprocess": None,
        "output": {
            "name": "prob",
            "index": 0,
            "kind": "probabilities",
            "chosen": "probes",
            "others": [],
        },
        "notes": [{"code": "epochs", "message": "The highest epoch is served."}],
    },
    "load_ms": 1.5,
    "first_ms": 1,
    "warm_ms": 0.5,
    "memory_mb": 10,
    "sample": {"image": "star", "predictions": [{"label": "a", "probability": 1.0000001}]},
}
READ: dict[str, Any] = {
    "ok": True,
    "error": None,
    "archive": {
        "files": [{"name": "a-symbol.json", "bytes": 3, "packed": True, "read": True}],
        "unpacked_bytes": 3,
        "packed_bytes": 3,
        "notes": [],
    },
}


@pytest.fixture
def says(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let a Python program stand where the preflight is expected."""
    monkeypatch.setattr(validation, "GRACE_S", 0)

    def use(code: str, tar: Path | None = None) -> dict[str, Any]:
        script = tmp_path / "preflight.py"
        script.write_text(f"import json, os, signal, sys, time\n{code}\n")
        settings.PREFLIGHT_COMMAND = [sys.executable, str(script)]
        archive = tmp_path / "a.tar.gz"
        if tar is not None:
            return validation.pack(archive, tar, beat=lambda: None)
        return validation.run(archive, beat=lambda: None)

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
        ("print('{\"ok\": true}')", "artifact.inputs"),
        ("print('{\"ok\": false}')", "error.message"),
        ('print(\'{"ok": false, "error": {"message": ""}}\')', "without a reason"),
        ("print('[' * 100000)", "not JSON"),
        ('print(\'{"ok": true, "x": NaN}\')', "NaN is no number"),
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


def _changed(report: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of ``report`` with another value at ``path``, e.g. ``artifact.inputs.0.name``."""
    changed: dict[str, Any] = json.loads(json.dumps(report))
    *within, last = path.split(".")
    place: Any = changed
    for key in within:
        place = place[int(key) if key.isdigit() else key]
    place[int(last) if last.isdigit() else last] = value
    return changed


def _nested(depth: int) -> Any:
    value: Any = 0
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("artifact", []),
        ("artifact.inputs", []),
        ("artifact.inputs", "data"),
        ("artifact.inputs.0.name", 1),
        ("artifact.inputs.0.shape", [True]),
        ("artifact.inputs.0.shape", [-1]),
        ("artifact.parameters", 2**63),
        ("artifact.parameters", 1.5),
        ("artifact.parameters", None),
        ("artifact.labels", [["a"]]),
        ("artifact.layers", {"softmax": "1"}),
        ("artifact.preprocess", "none"),
        ("artifact.output", "prob"),
        ("artifact.output.kind", 1),
        ("artifact.output.others", [1]),
        ("load_ms", 10**400),
        ("memory_mb", 1e300),
        ("artifact.notes", [{"code": "x"}]),
        ("artifact.notes", [{"code": "x", "message": "y"}] * (validation.MAX_NOTES + 1)),
        ("artifact.anything", _nested(validation.MAX_DEPTH)),
        ("artifact.anything", 1e300),
        ("load_ms", "1"),
        ("warm_ms", None),
        ("sample", None),
        ("sample", {"image": "star", "predictions": []}),
        ("sample", {"image": "star", "predictions": [{"label": "a", "probability": 2}]}),
        ("sample", {"image": "star", "predictions": [{"label": 1, "probability": 0.5}]}),
        ("sample", {"image": 1, "predictions": [{"label": "a", "probability": 0.5}]}),
        ("sandbox", "bubblewrap"),
        ("sandbox", {"files": 1}),
        ("sandbox", {"missing": "network"}),
        ("sandbox", {"missing": [1]}),
    ],
)
def test_a_report_of_another_form_is_none(says: Any, path: str, value: Any) -> None:
    forged = json.dumps(_changed(GOOD, path, value))
    with pytest.raises(validation.PreflightBroken, match="has not the form of one"):
        says(f"print({forged!r})")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("archive", None),
        ("archive.files", []),
        ("archive.files", [READ["archive"]["files"][0]] * (validation.MAX_FILES + 1)),
        ("archive.files.0.name", None),
        ("archive.files.0.bytes", -1),
        ("archive.files.0.packed", 1),
        ("archive.packed_bytes", True),
        ("archive.notes", [1]),
    ],
)
def test_a_report_of_another_form_is_none_of_run_1_either(
    says: Any, tmp_path: Path, path: str, value: Any
) -> None:
    tar = tmp_path / "plain.tar"
    forged = json.dumps(_changed(READ, path, value))
    with pytest.raises(validation.PreflightBroken, match="has not the form of one"):
        says(f"open({str(tar)!r}, 'w').write('x')\nprint({forged!r})", tar)


@pytest.mark.parametrize("ok", [True, False])
def test_a_report_cannot_say_what_the_portal_itself_says(says: Any, ok: bool) -> None:
    error = None if ok else {"code": "x", "message": "No."}
    forged = GOOD | {"ok": ok, "error": error, "packing": 1, "anything": 1}
    report = says(f"print({json.dumps(forged)!r})")
    assert report == GOOD | {"ok": ok, "error": error}


def test_a_refusals_findings_are_held_to_their_form_too(says: Any) -> None:
    refusal = {"ok": False, "error": {"code": "x", "message": "No."}, "artifact": {"layers": 1}}
    with pytest.raises(validation.PreflightBroken, match="has not the form of one"):
        says(f"print({json.dumps(refusal)!r})")


def test_run_1_gives_its_report_and_a_tar(says: Any, tmp_path: Path) -> None:
    tar = tmp_path / "plain.tar"
    report = says(
        "assert sys.argv[2] == '--pack', sys.argv\nopen(sys.argv[3], 'w').write('x')\n"
        f"print({json.dumps(READ)!r})",
        tar,
    )
    assert report == READ
    assert tar.read_bytes() == b"x"


@pytest.mark.parametrize(
    "writes", ["", "open({tar!r}, 'w')", "os.symlink('/etc/passwd', {tar!r})", "os.mkdir({tar!r})"]
)
def test_what_is_no_tar_is_not_taken_for_one(says: Any, tmp_path: Path, writes: str) -> None:
    tar = tmp_path / "plain.tar"
    with pytest.raises(validation.PreflightBroken, match="wrote no tar"):
        says(f"{writes.format(tar=str(tar))}\nprint({json.dumps(READ)!r})", tar)


def test_a_tar_larger_than_what_may_be_unpacked_is_not_taken(
    says: Any, settings: Any, tmp_path: Path
) -> None:
    settings.MAX_UNPACKED_MB = 1
    tar = tmp_path / "plain.tar"
    with pytest.raises(validation.PreflightBroken, match="larger than MAX_UNPACKED_MB"):
        says(f"open({str(tar)!r}, 'w').truncate(18 << 20)\nprint({json.dumps(READ)!r})", tar)


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
