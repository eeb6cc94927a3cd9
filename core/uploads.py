"""Uploaded files, written to unnamed temporary files, so that none is left behind."""

import contextlib
import tempfile
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler


class NamelessFileUploadHandler(FileUploadHandler):
    """Writes each file to an unnamed temporary file.

    The kernel frees it when the process ends; Django's own handler gives it a name, and a killed
    server leaves it on the disk. The full name that the client gave is kept as ``whole_name``:
    Django truncates ``name`` to 255 characters, and so loses its extension.
    """

    whole_name: str

    def new_file(self, field_name: str, file_name: str, *args: Any, **kwargs: Any) -> None:
        """Open a file for the chunks that follow."""
        super().new_file(field_name, file_name, *args, **kwargs)
        self.whole_name = file_name
        # The handler outlives this method; `file_complete` hands the file on.
        self.file = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write the next bytes; raises OSError, and frees the file, where the disk is full."""
        with self._freed_on_error():
            self.file.write(raw_data)

    def file_complete(self, file_size: int) -> "UploadedFile[Any]":
        """Return the file, at its first byte; raises OSError where the disk is full."""
        with self._freed_on_error():
            self.file.flush()
        self.file.seek(0)
        uploaded: UploadedFile[Any] = UploadedFile(
            file=self.file,
            name=self.file_name,
            content_type=self.content_type,
            size=file_size,
            charset=self.charset,
            content_type_extra=self.content_type_extra,
        )
        uploaded.whole_name = self.whole_name  # type: ignore[attr-defined]
        return uploaded

    def upload_interrupted(self) -> None:
        """Free the file of an upload that was interrupted."""
        if hasattr(self, "file"):
            self.file.close()

    @contextlib.contextmanager
    def _freed_on_error(self) -> Iterator[None]:
        """Free the disk at once on an error, and not when the garbage collector runs."""
        try:
            yield
        except OSError:
            with contextlib.suppress(OSError):  # the buffer does not fit, either
                self.file.close()
            raise
