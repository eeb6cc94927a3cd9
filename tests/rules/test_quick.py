"""`make quick` leaves out what starts a process, and says so where a test does."""

import subprocess
import sys
from pathlib import Path

from tests import quick, servers

ROOT = Path(__file__).resolve().parents[2]
_RUN = """
import sys, pytest
from tests.quick import NoProcesses
options = ["-q", "-p", "no:cacheprovider", "-p", "no:django", "-c", *sys.argv[1:]]
sys.exit(pytest.main(options, plugins=[NoProcesses()]))
"""
_TESTS = """
import os, threading, pytest

def start():
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)

def test_it_starts_one():
    start()

def test_it_starts_one_in_a_thread():
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

@pytest.mark.slow
def test_it_is_slow():
    start()

def test_it_starts_none():
    pass
"""


def _plain() -> int:
    return len("plain")


def _by_a_helper() -> object:
    return servers.s3_server(Path(), "key", "secret")


def _by_an_import_within() -> object:
    from tests.servers import s3_server

    return s3_server(Path(), "key", "secret")


def test_a_test_that_starts_a_process_is_marked_by_itself() -> None:
    reach = quick.Reach()
    assert not reach.starts(_plain)
    assert reach.starts(_by_a_helper)
    assert reach.starts(_by_an_import_within)
    assert reach.starts(test_a_test_that_starts_a_process_unmarked_fails)


def test_a_test_that_starts_a_process_unmarked_fails(tmp_path: Path) -> None:
    file = tmp_path / "test_sample.py"
    file.write_text(_TESTS)
    options = tmp_path / "pytest.ini"
    options.write_text("[pytest]\nmarkers =\n  slow: takes seconds\n")
    said = subprocess.run(
        [sys.executable, "-c", _RUN, options, file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert "2 failed, 1 passed, 1 deselected" in said, said
    assert "Mark it, or its module: pytestmark = pytest.mark.processes" in said
