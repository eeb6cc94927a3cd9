"""The trained demo models, made once and kept from one run of the tests to the next."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from stack.layout import CONTAINER_VENV, ROOT

_KEPT = ROOT / ".pytest_cache" / "demo-models"


def made() -> Path:
    """The folder of the demo models; they are trained anew where what makes them has changed.

    One for all test processes: the others wait for who trains. Nobody may write into it. Raises
    subprocess.CalledProcessError where the training fails.
    """
    sources = [*sorted((ROOT / "demo").glob("*.py")), ROOT / "container" / "requirements.txt"]
    state = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    _KEPT.mkdir(parents=True, exist_ok=True)
    folder = _KEPT / state
    with (_KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for other in _KEPT.iterdir():
            if other.is_dir() and other != folder:
                shutil.rmtree(other)
        python = os.environ.get("CONTAINER_PYTHON", str(CONTAINER_VENV / "bin" / "python"))
        command = [python, "-m", "demo", "--out", str(folder)]
        # Half a minute by itself; minutes where many tests share the processors.
        subprocess.run(command, cwd=ROOT, check=True, timeout=600, stdout=subprocess.DEVNULL)
    return folder
