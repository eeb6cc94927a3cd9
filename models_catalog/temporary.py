"""Temporary folders of validations, and clearing away what killed processes left of them.

Each is locked by the process that works with it. The kernel lets go of a lock when its process
ends, however it ends, so what is old and not locked belongs to nobody.
"""

import contextlib
import fcntl
import logging
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from django.conf import settings

log = logging.getLogger(__name__)

# What a folder is for. Each name begins with its kind: beside them, in the system's folder, lie
# those of model servers and benchmarks, which hold no locks and are not for the portal to remove.
# "publish" is what earlier versions of the portal left.
Kind = Literal["check", "publish", "preflight"]
# A folder that is being made is locked a moment later; a check in another container of the same
# folder may hold locks that are not seen here (some network file systems keep them local).
_ROOM_S = 600


@contextlib.contextmanager
def folder(kind: Kind) -> Iterator[Path]:
    """A temporary folder of this process, removed at the end of the block."""
    path = tempfile.mkdtemp(prefix=_prefix(kind), dir=settings.FILE_UPLOAD_TEMP_DIR)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield Path(path)
    finally:
        _remove(Path(path))
        os.close(descriptor)


def clear(now: float | None = None) -> int:
    """Remove what is older than the longest check and belongs to no process; returns how many."""
    limit = (time.time() if now is None else now) - settings.PREFLIGHT_TIMEOUT_S - _ROOM_S
    within = Path(settings.FILE_UPLOAD_TEMP_DIR or tempfile.gettempdir())
    removed = 0
    for path in (path for kind in get_args(Kind) for path in within.glob(f"{_prefix(kind)}*")):
        try:
            if path.lstat().st_mtime < limit and _is_abandoned(path):
                _remove(path)
                removed += 1
        except FileNotFoundError:
            continue  # its process has removed it
        except OSError as error:
            log.warning("Could not remove what a killed process left, %s: %s", path, error)
    if removed:
        log.info("Removed %s temporary folders of processes that were killed.", removed)
    return removed


def _prefix(kind: str) -> str:
    return f"mme-{kind}-"


def _is_abandoned(path: Path) -> bool:
    """Whether ``path`` is a folder of this user's that no process has locked."""
    about = path.lstat()
    if about.st_uid != os.geteuid() or not stat.S_ISDIR(about.st_mode):
        return False
    if stat.S_IMODE(about.st_mode) & stat.S_IRWXU != stat.S_IRWXU:
        path.chmod(stat.S_IRWXU)  # an untrusted program closed it
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _remove(path: Path) -> None:
    try:
        shutil.rmtree(path)
    except (OSError, RecursionError):
        # An untrusted program may have closed folders, or made them deeper than Python follows.
        for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            subprocess.run([*command, "--", str(path)], capture_output=True, check=False)
        if path.exists():
            log.warning("Could not remove %s.", path)
