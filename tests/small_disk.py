"""A real disk of a few megabytes, for the length of a block."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import running


@contextmanager
def small_disk(at: Path, megabytes: int) -> Iterator[Path]:
    """A folder on a tmpfs of its own, which ends with the process that holds it.

    It is mounted in a mount namespace: neither the machine nor another test sees it, and where
    namespaces of users are allowed it needs no root.
    """
    at.mkdir()
    script = f"mount -t tmpfs -o size={megabytes}m,mode=700 tmpfs '{at}' && echo there && exec cat"
    refused = []
    for options in (["--mount"], ["--user", "--map-root-user", "--mount"]):
        command = ["unshare", *options, "sh", "-c", script]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with running(command, **pipes) as holder:
            assert holder.stdout is not None
            assert holder.stderr is not None
            if holder.stdout.readline() == b"there\n":
                yield Path(f"/proc/{holder.pid}/root{at}")
                return
            refused.append(holder.stderr.read().decode())
    raise AssertionError(f"No file system could be mounted, which this test needs: {refused}")
