"""Removing a folder that an untrusted network, or a stranger's archive, has filled."""

import shutil
import subprocess
from pathlib import Path


def remove(folder: Path) -> None:
    """Remove ``folder`` and all in it, as far as that can be done; none is no error.

    Folders may be closed, or lie deeper than Python follows.
    """
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        if not folder.exists():
            return
    except (OSError, RecursionError):
        pass
    else:
        return
    for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
        subprocess.run([*command, "--", str(folder)], capture_output=True, check=False)
