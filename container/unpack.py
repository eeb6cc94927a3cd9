"""Unpacking an archive that nobody vouches for, into an empty folder, within limits."""

import gzip
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from artifact import ArtifactError

MAX_FILES = 1_000
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class UnpackedFile:
    """One file of the archive: its name below the root, and its size in bytes."""

    name: str
    bytes: int


def unpack(archive: Path, target: Path, *, max_bytes: int) -> list[UnpackedFile]:
    """Unpack the ``.tar.gz`` at ``archive`` below ``target``; returns its files.

    Only plain files and folders are written, none outside ``target``, and never more than
    ``max_bytes`` in all. Raises :class:`ArtifactError`; what was written by then stays in
    ``target``, which the caller throws away.
    """
    with archive.open("rb") as file:
        magic = file.read(2)
        if magic != b"\x1f\x8b":
            raise ArtifactError(
                "not_gzip", f"{archive.name} is not gzip: pack it with `tar czf NAME.tar.gz`."
            )
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r|gz") as tar:
                return _members(tar, target, max_bytes)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ArtifactError(
                "not_gzip", f"{archive.name} is cut short or damaged: {error}. Upload it again."
            ) from error
        except tarfile.ReadError as error:
            damaged = "gzip" in str(error) or "CRC" in str(error) or "end of data" in str(error)
            raise ArtifactError(
                "not_gzip" if damaged else "not_tar",
                f"{archive.name} is gzip, but what is inside cannot be read as tar: {error}.",
            ) from error
        except (tarfile.TarError, UnicodeError, ValueError, OverflowError) as error:
            raise ArtifactError(
                "not_tar", f"{archive.name} is not a sound tar archive: {error}."
            ) from error


def _members(tar: tarfile.TarFile, target: Path, max_bytes: int) -> list[UnpackedFile]:
    files: dict[str, UnpackedFile] = {}
    entries = 0
    left = max_bytes
    for member in tar:
        entries += 1
        if entries > MAX_FILES:
            raise ArtifactError(
                "too_many_files", f"The archive holds more than {MAX_FILES:,} files; four will do."
            )
        path = _safe(member.name)
        if member.isdir():
            (target / path).mkdir(parents=True, exist_ok=True)
            continue
        if not member.isreg():
            raise ArtifactError(
                "link_or_device",
                f"{member.name!r} is a link or a device: only plain files are taken.",
            )
        if path == PurePosixPath("."):
            raise ArtifactError("unsafe_path", f"The name {member.name!r} names no file.")
        if str(path) in files:
            raise ArtifactError("unsafe_path", f"{member.name!r} is in the archive twice.")
        if member.size > left:
            raise _too_large(max_bytes)
        left -= member.size
        files[str(path)] = UnpackedFile(str(path), member.size)
        _write(tar, member, target / path, max_bytes)
    if not files:
        raise ArtifactError("missing_file", "The archive is empty.")
    return list(files.values())


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\x00" in name or "\\" in name:
        raise ArtifactError(
            "unsafe_path",
            f"The name {name!r} points outside the archive: pack it from within its folder.",
        )
    return path


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, max_bytes: int) -> None:
    source = tar.extractfile(member)
    if source is None:
        raise ArtifactError("not_tar", f"{member.name!r} cannot be read from the archive.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as out:
            while chunk := source.read(_CHUNK):
                out.write(chunk)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ArtifactError(
            "unsafe_path", f"{member.name!r} is a file and a folder at once."
        ) from error
    except OSError as error:
        if error.errno == 27:  # EFBIG: the preflight's limit on files
            raise _too_large(max_bytes) from error
        if error.errno == 36:  # ENAMETOOLONG
            message = f"The name {member.name[:60]!r}… is too long."
            raise ArtifactError("unsafe_path", message) from error
        raise


def _too_large(max_bytes: int) -> ArtifactError:
    return ArtifactError(
        "too_large",
        f"The archive unpacks to more than the {max_bytes / 1024**2:,.0f} MB that are allowed.",
    )
