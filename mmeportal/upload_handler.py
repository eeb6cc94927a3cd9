"""Uploads while they are received."""

import contextlib
from pathlib import Path
from typing import Any

from django.core.files.uploadhandler import TemporaryFileUploadHandler


class CleanUploadHandler(TemporaryFileUploadHandler):
    """Django's handler for files on disk, which removes what it wrote where the disk is full.

    Django leaves the file to the garbage collector, so that a full disk stays full.
    """

    def receive_data_chunk(self, raw_data: bytes, start: int) -> Any:
        """Write a part of the file; raises OSError where it does not fit, and keeps nothing."""
        try:
            return super().receive_data_chunk(raw_data, start)
        except OSError:
            self._remove()
            raise

    def file_complete(self, file_size: int) -> Any:
        """The file, whole; raises OSError where its last bytes do not fit."""
        try:
            found = super().file_complete(file_size)
            self.file.flush()
        except OSError:
            self._remove()
            raise
        return found

    def _remove(self) -> None:
        path = Path(self.file.temporary_file_path())
        with contextlib.suppress(OSError):  # what is still to be written does not fit, either
            self.file.close()
        path.unlink(missing_ok=True)
