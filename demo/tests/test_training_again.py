"""A second run does nothing; what is damaged is made again; a killed run is picked up."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from .conftest import ROOT, Run

pytestmark = pytest.mark.timeout(600)


def children(pid: int) -> set[int]:
    """Process ids of all that descend from ``pid``."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | children(child)
    return found


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_second_run_changes_nothing(trained: Path, run: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*.*") if path.is_file()}
    done = run("-X", "importtime", "demo/train.py", "--out", trained)
    assert "there already" in done.stdout
    assert " argparse\n" in done.stderr
    assert " mxnet\n" not in done.stderr, "it takes 0.3 s, as not even MXNet is imported"
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_killed_run_is_picked_up_and_leaves_no_process(
    trained: Path, tmp_path: Path, container_python: str, run: Run
) -> None:
    out = tmp_path / "out"
    shutil.copytree(trained, out)
    name = "digits_v1.tar.gz"
    whole = (out / name).read_bytes()
    (out / name).write_bytes(whole[:1000])  # damaged: this one has to be made again

    process = subprocess.Popen(
        [container_python, "-m", "demo", "--out", str(out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        lines = iter(process.stdout.readline, "")
        assert any(line.startswith("Training digits version 1: epoch 1 of") for line in lines)
        workers = children(process.pid)
        assert workers
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
        process.stdout.close()
    deadline = time.monotonic() + 20
    while any(map(is_running, workers)):
        assert time.monotonic() < deadline, workers
        time.sleep(0.02)
    assert not (out / "manifest.json").exists()
    (out / f"{name}.99.part").write_bytes(b"half")  # as if killed while packing

    done = run("-m", "demo", "--out", out)

    assert "Keeping digits version 2 of an earlier run" in done.stdout
    assert "Training digits version 1" in done.stdout
    assert "Training shapes" not in done.stdout
    assert not list(out.glob("**/*.part"))
    # Equal seeds on one machine: what was trained again is the same, byte for byte.
    assert (out / name).read_bytes() == whole
    assert (out / "manifest.json").read_text() == (trained / "manifest.json").read_text()


def test_packing_is_deterministic(tmp_path: Path, run: Run) -> None:
    program = """
import os, sys, time
from pathlib import Path
from demo.archive import pack
out = Path(sys.argv[1])
for number, names in enumerate((["b.txt", "a.txt"], ["a.txt", "b.txt"])):
    folder = out / f"folder{number}"
    folder.mkdir()
    for name in names:
        (folder / name).write_text(name * 1000)
        os.utime(folder / name, (number * 1e6, number * 1e6))
        os.chmod(folder / name, 0o600 + 0o044 * number)
    pack(folder, out / f"{number}.tar.gz")
"""
    run("-c", program, tmp_path)
    first, second = tmp_path / "0.tar.gz", tmp_path / "1.tar.gz"
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes()[4:8] == bytes(4)  # gzip's own time stamp
