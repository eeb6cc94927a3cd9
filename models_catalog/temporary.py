"""Temporary files of uploads and checks, and clearing away what killed processes left of them.

Each is locked by the process that works with it. The kernel lets go of a lock when its process
ends, however it ends, so what is old and not locked belongs to nobody.
"""

import contextlib
import fcntl
import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, TemporaryFileUploadHandler

log = logging.getLogger(__name__)

PREFIX = "mme-"
# A file that is being made is locked a moment later; a check in another container of the same
# folder may hold locks that are not seen here (some network file systems keep them local).
_ROOM_S = 600


@contextlib.contextmanager
def folder(kind: str) -> Iterator[Path]:
    """A temporary folder of this process, removed at the end of the block."""
    path = tempfile.mkdtemp(prefix=f"{PREFIX}{kind}-", dir=settings.FILE_UPLOAD_TEMP_DIR)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield Path(path)
    finally:
        _remove(Path(path))
        os.close(descriptor)


class LockedUploadHandler(TemporaryFileUploadHandler):
    """Receives a file on disk, under a name of the portal's and locked."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Begin a file: see Django's TemporaryFileUploadHandler, whose file has no lock."""
        FileUploadHandler.new_file(self, *args, **kwargs)
        self.file = _LockedUpload(
            self.file_name, self.content_type, 0, self.charset, self.content_type_extra
        )


class _LockedUpload(TemporaryUploadedFile):
    def __init__(self, *about: Any) -> None:
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115  it is closed with the upload
            prefix=f"{PREFIX}upload-", suffix=".upload", dir=settings.FILE_UPLOAD_TEMP_DIR
        )
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        UploadedFile.__init__(self, file, *about)


def clear(now: float | None = None) -> int:
    """Remove what is older than the longest check and belongs to no process; returns how many."""
    limit = (time.time() if now is None else now) - settings.PREFLIGHT_TIMEOUT_S - _ROOM_S
    removed = 0
    for path in Path(settings.FILE_UPLOAD_TEMP_DIR or tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if path.lstat().st_mtime < limit and _unclaimed(path):
                _remove(path)
                removed += 1
        except FileNotFoundError:
            continue  # its owner was quicker
        except OSError as error:
            log.warning("Could not remove what a killed process left, %s: %s", path, error)
    if removed:
        log.info("Removed %s temporary files and folders of processes that were killed.", removed)
    return removed


def _unclaimed(path: Path) -> bool:
    """Whether ``path`` is ours to remove and no process has it locked."""
    about = path.lstat()
    if about.st_uid != os.geteuid() or path.is_symlink():
        return False
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _remove(path: Path) -> None:
    if not path.is_dir():
        path.unlink()
        return
    try:
        shutil.rmtree(path)
    except (OSError, RecursionError):
        # An untrusted program may have closed folders, or made them deeper than Python follows.
        for command in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            subprocess.run([*command, "--", str(path)], capture_output=True, check=False)
        if path.exists():
            log.warning("Could not remove %s.", path)
