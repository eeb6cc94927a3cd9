"""Read an uploaded archive through once as an untrusted file; unpack nothing.

What it must hold, and whether the container can load it, is for the container's own
preflight to say (models_catalog/validation.py). This says only whether unpacking it is safe.
"""

import gzip
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Self

MAX_MEMBERS = 1000
MAX_FOLDERS_DEEP = 32  # as the container has it (container/archive.py)
MAX_HEADER_BYTES = 1 << 20  # long names and pax records; tarfile reads one wholly into memory
_GZIP_MAGIC = b"\x1f\x8b"
_HEADERS = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


class ArchiveRefused(Exception):
    """The archive is not safe to unpack, or not an archive; ``str()`` is the reason."""


class _Counted:
    """Reads a stream and refuses to read more than a limit: the guard against gzip bombs."""

    def __init__(self, stream: IO[bytes], limit: int, beat: Callable[[], None]) -> None:
        self._stream = stream
        self._limit = limit
        self._beat = beat
        self.count = 0

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self.count += len(data)
        self._beat()
        if self.count > self._limit:
            raise _too_large(self._limit)
        return data


def _too_large(limit: int) -> ArchiveRefused:
    return ArchiveRefused(
        f"The archive unpacks to more than {limit >> 20:,} MB, the most that is allowed here "
        "(MAX_UNPACKED_MB)."
    )


class _Member(tarfile.TarInfo):
    """A tar header that is refused before what it announces fills the memory."""

    def _proc_member(self, tarfile_: tarfile.TarFile) -> Self:
        if self.type in _HEADERS and self.size > MAX_HEADER_BYTES:
            raise ArchiveRefused("The archive holds a header record larger than 1 MB.")
        if self.type == tarfile.GNUTYPE_SPARSE:
            # tarfile builds the whole map of a sparse file in memory, however long it is.
            raise ArchiveRefused("The archive holds a sparse file; pack it with plain tar -czf.")
        return super()._proc_member(tarfile_)  # type: ignore[misc,no-any-return]


def inspect(path: Path, *, max_unpacked: int, beat: Callable[[], None] = lambda: None) -> None:
    """Read the archive at ``path`` to its end; raise ArchiveRefused with the reason.

    ``max_unpacked`` is in bytes, of the whole tar stream and of the files that it announces.
    ``beat`` is called often while it reads. Memory stays within a few MB.
    """
    with path.open("rb") as file:
        if file.read(2) != _GZIP_MAGIC:
            raise ArchiveRefused(
                "The file is not gzip-compressed. Pack it with: tar -czf NAME.tar.gz -C FOLDER ."
            )
        file.seek(0)
        with gzip.GzipFile(fileobj=file) as stream:
            counted = _Counted(stream, max_unpacked, beat)  # type: ignore[arg-type]
            try:
                _check_members(counted, max_unpacked)
                while counted.read(1 << 20):  # to the end: gzip's checksum is there
                    pass
            except tarfile.ReadError as error:
                if counted.count == 0:
                    raise ArchiveRefused("The archive is empty.") from error
                raise ArchiveRefused(
                    f"What gzip unpacks to is not a readable tar archive ({error})."
                ) from error
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise ArchiveRefused(
                    f"The archive is damaged or was cut off; pack and upload it again ({error})."
                ) from error
            except RecursionError as error:  # header records that announce header records
                raise ArchiveRefused("The tar archive's headers are chained too deep.") from error
            except (tarfile.TarError, ValueError, OverflowError, MemoryError) as error:
                raise ArchiveRefused(f"The tar archive is malformed ({error}).") from error


def _check_members(stream: _Counted, max_unpacked: int) -> None:
    seen: set[str] = set()
    announced = 0
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as tar:  # type: ignore[call-overload]
        for number, member in enumerate(tar, start=1):
            if number > MAX_MEMBERS:
                raise ArchiveRefused(f"The archive holds more than {MAX_MEMBERS:,} files.")
            _check_member(member)
            announced += member.size
            if announced > max_unpacked:
                raise _too_large(max_unpacked)
            name = str(PurePosixPath(member.name))
            if name in seen and not member.isdir():
                raise ArchiveRefused(f"The archive holds {_shown(name)} twice.")
            seen.add(name)


def _check_member(member: tarfile.TarInfo) -> None:
    path = PurePosixPath(member.name)
    shown = _shown(member.name)
    if path.is_absolute() or member.name.startswith(("/", "\\")):
        raise ArchiveRefused(f"The archive holds an absolute path, {shown}.")
    if ".." in path.parts or "\\" in member.name:
        raise ArchiveRefused(f"The archive holds a path that leads outside, {shown}.")
    if len(path.parts) > MAX_FOLDERS_DEEP:
        raise ArchiveRefused(
            f"The archive holds a path that is more than {MAX_FOLDERS_DEEP} folders deep, {shown}."
        )
    if any(key.startswith("GNU.sparse") for key in member.pax_headers):
        raise ArchiveRefused(f"The archive holds a sparse file, {shown}; pack it with tar -czf.")
    if not member.name.isprintable():  # lone surrogates, which stand for no UTF-8, are not either
        raise ArchiveRefused(f"The archive holds a name that is not printable UTF-8, {shown}.")
    if member.issym() or member.islnk():
        raise ArchiveRefused(f"The archive holds a link, {shown}; pack the file itself.")
    if not (member.isreg() or member.isdir()):
        raise ArchiveRefused(f"The archive holds a device or other special file, {shown}.")


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 120 else f"{name[:120]}…")
