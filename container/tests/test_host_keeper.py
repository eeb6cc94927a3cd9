"""The entrypoint's keeper of the model host, where no process can be started."""

import subprocess
from pathlib import Path

import pytest

from container.tests.serving import REPOSITORY, container_python

PROGRAM = """
import subprocess, sys, time
sys.path.insert(0, sys.argv[1])
from container import entrypoint, memory, mms_server
mms_server.host_command = lambda *_, **__: ["false"]
memory.room_for_host = lambda: True
chosen = mms_server.settings()
mms_server.prepare_folders(chosen)
keeper = entrypoint.HostKeeper(chosen, {})
keeper.process.wait()
keeper.check()
real = subprocess.Popen
def refused(*_, **__):
    raise BlockingIOError(11, "Resource temporarily unavailable")
subprocess.Popen = refused
keeper.again_at = time.monotonic()
keeper.check()
assert keeper.failures == 2 and keeper.again_at > time.monotonic()
keeper.check()  # not before its time
subprocess.Popen = real
keeper.again_at = time.monotonic()
keeper.check()
assert keeper.again_at is None and keeper.process.wait() == 1
"""


@pytest.mark.processes
def test_the_server_goes_on_where_no_host_can_be_started(tmp_path: Path) -> None:
    done = subprocess.run(
        [container_python(), "-I", "-c", PROGRAM, str(REPOSITORY)],
        env={"MME_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"model_host_not_started"' in done.stdout + done.stderr
