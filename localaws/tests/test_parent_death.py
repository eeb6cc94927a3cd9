"""Whatever localaws starts ends with it, also a container that knows nothing of that."""

import subprocess
import sys
from pathlib import Path

from localaws.parent_death import ending_with_parent
from localaws.tests.servers import ROOT, alive, wait_for

STARTER = """
import subprocess, time
from localaws.parent_death import ending_with_parent
print(subprocess.Popen(ending_with_parent(("sleep", "600"))).pid, flush=True)
time.sleep(600)
"""


def test_a_program_ends_with_a_killed_localaws():
    starter = subprocess.Popen([sys.executable, "-c", STARTER], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        pid = int(starter.stdout.readline())
        cmdline = Path(f"/proc/{pid}/cmdline")
        wait_for(lambda: cmdline.read_bytes() == b"sleep\x00600\x00", 20, "the program")
    finally:
        starter.kill()
        starter.wait(10)
        starter.stdout.close()
    wait_for(lambda: not alive(pid), 20, "its end")


def test_it_does_not_start_without_its_parent_nor_without_a_program():
    command = ending_with_parent(("sleep", "600"))
    orphan = [*command[:4], "1", *command[5:]]  # of a parent that died a moment ago
    result = subprocess.run(orphan, capture_output=True, text=True, timeout=20)
    assert (result.returncode, result.stderr) == (1, "its parent is gone\n")
    missing = ending_with_parent(("no-such-program",))
    result = subprocess.run(missing, capture_output=True, text=True, timeout=20)
    assert result.stderr == "cannot run no-such-program: No such file or directory\n"
