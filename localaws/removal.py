"""Removes folders with untrusted content, such as an unpacked archive."""

import shutil
import subprocess
from pathlib import Path


def remove(folder: Path) -> None:
    """Remove ``folder`` and its content, as far as possible. A missing folder is no error.

    Folders inside may lack permissions, or be nested deeper than shutil.rmtree can follow.
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
