"""Files that come with a form: on disk once, without a name, so that none is ever left behind."""

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http.multipartparser import MultiPartParserError

_BLOCK = 1 << 20
_HEAD = 4096


class NamelessFileUploadHandler(FileUploadHandler):
    """Gives each file as a part of the body that the web server keeps on disk, or copies it.

    A large body is in a file of the server's already (``wsgi.input``); what Django finds in it is
    then not written a second time. Any other body's files are written to temporary ones. Neither
    has a name: the kernel frees it with the process, however that ends, where Django's own handler
    leaves the files of a killed server.

    The name that the client gave is kept whole as ``whole_name``: Django cuts ``name`` to 255
    letters, and with it the ending.
    """

    def handle_raw_input(  # type: ignore[override]  # the boundary is bytes, whatever the stubs say
        self,
        input_data: Any,
        META: dict[str, Any],
        content_length: int,
        boundary: bytes,
        encoding: str | None = None,
    ) -> None:
        """See whether the body is in a file; Django parses it either way."""
        body = META.get("wsgi.input")
        try:
            self._body: int | None = body.fileno()  # type: ignore[union-attr]
        except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError
            self._body = None
        self._delimiter = b"--" + boundary

    def new_file(self, field_name: str, file_name: str, *args: Any, **kwargs: Any) -> None:
        """Get ready for what follows."""
        super().new_file(field_name, file_name, *args, **kwargs)
        self.whole_name = file_name
        self._head = b""
        self._copy: Any = None
        if self._body is None:
            # The handler outlives this method; `file_complete` hands the file on.
            self._copy = tempfile.TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)  # noqa: SIM115

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Write the next bytes, or remember how the file begins; OSError where there is no room."""
        if self._copy is not None:
            try:
                self._copy.write(raw_data)
                self._copy.flush()
            except OSError:  # a full disk: what is there already must not keep it full
                with contextlib.suppress(OSError):
                    self._copy.close()
                raise
        elif start < _HEAD:
            self._head += raw_data[: _HEAD - start]

    def file_complete(self, file_size: int) -> "UploadedFile[Any]":
        """Hand the file on, from its first byte."""
        if self._body is None:
            file = self._copy
            file.seek(0)
        else:
            file = io.BufferedReader(
                _Part(self._body, self._start(self._body, file_size), file_size), 1 << 16
            )
        uploaded: UploadedFile[Any] = UploadedFile(
            file=file,
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
        if getattr(self, "_copy", None) is not None:
            self._copy.close()

    def _start(self, body: int, size: int) -> int:
        """Where in ``body`` the file is that Django has just read; MultiPartParserError if nowhere.

        Django does not say, but a file ends at a delimiter, which cannot be within one, begins
        after an empty line, and its size and first bytes are known.
        """
        for end in _backwards(body, self._delimiter):
            for line_end in (2, 1):  # Django takes a bare newline too
                start = end - line_end - size
                if start < 4:
                    continue
                around = os.pread(body, 4 + len(self._head), start - 4)
                if around[:4] == b"\r\n\r\n" and around[4:] == self._head:
                    return start
        raise MultiPartParserError("A file is not in the body as it was sent (encoded in base64?).")


def _backwards(body: int, needle: bytes) -> Iterator[int]:
    """Where ``needle`` is in ``body``, from the last place to the first."""
    high = os.fstat(body).st_size
    while high > 0:
        low = max(0, high - _BLOCK)
        block = os.pread(body, high - low + len(needle) - 1, low)
        at = len(block)
        while (at := block.rfind(needle, 0, at + len(needle) - 1)) >= 0:
            if at < high - low:
                yield low + at
        high = low


class _Part(io.RawIOBase):
    """``size`` bytes of an open file from ``start`` on, with a position of its own."""

    def __init__(self, body: int, start: int, size: int) -> None:
        self._file = os.dup(body)
        self._start, self._size, self._at = start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("A position before the beginning of the file.")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        most = max(0, min(len(buffer), self._size - self._at))
        count = os.preadv(self._file, [memoryview(buffer)[:most]], self._start + self._at)
        self._at += count
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._file)
        super().close()
