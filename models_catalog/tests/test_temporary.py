"""What killed workers leave on the disk is cleared away, and nothing else."""

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from models_catalog import tasks, temporary

# A process of the portal's that makes what it works with, and is killed in the middle of it.
KILLED = """
import os, sys
os.environ["SECRET_KEY"] = sys.argv[2]
os.environ["UPLOAD_TEMP_DIR"] = sys.argv[1]
os.environ["DJANGO_SETTINGS_MODULE"] = "mmeportal.settings"
import django
django.setup()
from models_catalog import temporary
with temporary.folder("check") as folder, temporary.folder("preflight"):
    (folder / "archive.tar.gz").write_bytes(b"x" * 1000)
    print("made", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def old(settings: Any, tmp_path: Path) -> float:
    """A moment at which all that is there now is older than the longest check."""
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path)
    return time.time() + settings.PREFLIGHT_TIMEOUT_S + 3600


def test_folders_of_killed_workers_are_removed_and_those_of_the_living_stay(
    old: float, tmp_path: Path
) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), django_settings.SECRET_KEY],
            cwd=django_settings.BASE_DIR, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]  # fmt: skip
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == b"made\n"
        assert len(list(tmp_path.iterdir())) == 4
        assert temporary.clear(old) == 0
        processes[0].kill()
        processes[0].wait()
        assert temporary.clear(time.time()) == 0, "it may have been made this minute"
        assert temporary.clear(old) == 2
        left = sorted(path.name.split("-")[1] for path in tmp_path.iterdir())
        assert left == ["check", "preflight"]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_what_other_programs_have_there_stays(old: float, tmp_path: Path) -> None:
    """As the folder of a model server's sockets, of a benchmark, or of an S3 client."""
    for name in ("mme-0-0123456789abcdef", "mme-run-a", "mme-bench-a", "check-1", "tmpabc"):
        (tmp_path / name).mkdir()
    for name in ("mme-check-file", "notes"):
        (tmp_path / name).write_text("x")
    os.symlink(tmp_path / "notes", tmp_path / "mme-check-link")
    assert temporary.clear(old) == 0


def test_a_folder_that_an_untrusted_program_closed_is_removed_too(
    old: float, tmp_path: Path
) -> None:
    closed = tmp_path / "mme-check-x" / "deep" / "closed"
    closed.mkdir(parents=True)
    (closed / "file").write_text("x")
    closed.chmod(0)
    (tmp_path / "mme-check-x" / "deep").chmod(0)
    assert temporary.clear(old) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_closed_itself_is_removed_too(
    old: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def as_of_no_root(path: Any, *arguments: Any, **options: Any) -> int:
        if isinstance(path, Path) and not path.stat().st_mode & stat.S_IRUSR:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *arguments, **options)

    (tmp_path / "mme-preflight-x").mkdir(mode=0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", as_of_no_root)
        assert temporary.clear(old) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.processes
def test_a_folder_deeper_than_python_follows_is_removed_too(old: float, tmp_path: Path) -> None:
    with temporary.folder("check") as folder:
        at = folder
        for _ in range(3):
            at = at.joinpath(*["a"] * 500)
            at.mkdir(parents=True)
    assert list(tmp_path.iterdir()) == []


def test_a_new_worker_and_the_hourly_sweep_clear_away(
    db: None, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(temporary, "clear", lambda: calls.append("cleared"))
    tasks.worker_ready.send(sender=None)
    tasks.sweep_staging()
    assert calls == ["cleared", "cleared"]
