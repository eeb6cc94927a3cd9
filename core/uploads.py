"""Files that come with a form: kept on disk without a name, so that none is ever left behind."""

import contextlib
import tempfile
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler


class NamelessFileUploadHandler(FileUploadHandler):
    """Writes each file to a temporary one that has no name.

    The kernel frees it with the process, however that ends; Django's own handler gives it a name,
    and a killed server leaves it. The name that the client gave is kept whole as
    ``whole_name``: Django cuts ``name`` to 255 letters, and with it the ending.
    """

    whole_name: str

    def new_file(self, field_name: str, file_name: str, *args: Any, **kwargs: Any) -> None:
        """Open a file for what follows."""
        super().new_file(field_name, file_name, *args, **kwargs)
        self.whole_name = file_name
        # The handler outlives this method; `file_complete` hands the file on.
        self.file = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write the next bytes; raises OSError where they do not fit, and keeps nothing."""
        with self._freed_on_error():
            self.file.write(raw_data)

    def file_complete(self, file_size: int) -> "UploadedFile[Any]":
        """Hand the file on, from its first byte; raises OSError where the last do not fit."""
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
        """Free what was written of a file that did not come to its end."""
        if hasattr(self, "file"):
            self.file.close()

    @contextlib.contextmanager
    def _freed_on_error(self) -> Iterator[None]:
        """Give the disk back at once: the garbage collector would leave a full one full."""
        try:
            yield
        except OSError:
            with contextlib.suppress(OSError):  # what is still to be written does not fit, either
                self.file.close()
            raise
