"""Unpacking an archive that nobody vouches for, into an empty folder, within limits."""

import gzip
import re
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from findings import ArtifactError

MAX_FILES = 1_000
# What walks or removes folders follows about a thousand; no network needs more than one.
MAX_FOLDERS_DEEP = 32
MAX_STRAY_BYTES = 1024 * 1024
"""Of files that no network needs: a README, a licence. Each instance keeps them with the model."""
MAX_EPOCHS = 4
"""How many times the size of its weights an archive may hold weights of other epochs, which are not
served either."""
_CHUNK = 1024 * 1024


@dataclass(frozen=True)
class UnpackedFile:
    """One file of the archive: its name below the root, and its size in bytes."""

    name: str
    bytes: int


def unpack(archive: Path, target: Path, *, max_bytes: int) -> list[UnpackedFile]:
    """Unpack the ``.tar.gz`` at ``archive`` below ``target``; returns its files.

    Only plain files and folders are written, none outside ``target``, and never more than
    ``max_bytes`` in all; files that a network does not need are limited further
    (``MAX_STRAY_BYTES``, ``MAX_EPOCHS``). Raises :class:`ArtifactError`; what was written by then
    stays in ``target``, which the caller throws away.
    """
    with archive.open("rb") as file:
        magic = file.read(2)
        if magic != b"\x1f\x8b":
            raise ArtifactError(
                "not_gzip", f"{archive.name} is not gzip: pack it with `tar czf NAME.tar.gz`."
            )
        file.seek(0)
        try:
            # Not tarfile's own "r|gz", which reads the first of several gzip streams in a file and
            # leaves the rest, which SageMaker and localaws unpack too.
            with (
                gzip.GzipFile(fileobj=file) as plain,
                tarfile.open(fileobj=plain, mode="r|", bufsize=_CHUNK) as tar,
            ):
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
    kinds = _Kinds()
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
        kinds.add(str(path), member.size)
        files[str(path)] = UnpackedFile(str(path), member.size)
        _write(tar, member, target / path, max_bytes)
    if not files:
        raise ArtifactError("missing_file", "The archive is empty.")
    kinds.hold_epochs()
    return list(files.values())


class _Kinds:
    """Tells the files of a network from others as their names come by."""

    def __init__(self) -> None:
        self._needed: dict[str, int] = {}
        self._epochs: dict[str, int] = {}
        self._stray: dict[str, int] = {}

    def add(self, name: str, size: int) -> None:
        """Raises :class:`ArtifactError` where there is too much that no network needs."""
        kind = _KIND.fullmatch(name)
        if kind is None or kind.lastgroup in self._needed:
            self._stray[name] = size
            if sum(self._stray.values()) > MAX_STRAY_BYTES:
                raise _unneeded(self._stray, f"at most {MAX_STRAY_BYTES // 1024**2} MB")
        elif kind.lastgroup == "epoch":
            self._epochs[name] = size
        else:
            assert kind.lastgroup is not None
            self._needed[kind.lastgroup] = size

    def hold_epochs(self) -> None:
        """Raises :class:`ArtifactError` where weights of other epochs are too much."""
        own = self._needed.get("params")  # where there is none, that is what is to be said
        if own is not None and sum(self._epochs.values()) > MAX_EPOCHS * own:
            raise _unneeded(
                self._epochs, f"weights of other epochs up to {MAX_EPOCHS} times its own"
            )


# One of each is needed. Names that begin with a dot are what macOS adds, and are read by nobody.
_KIND = re.compile(
    r"(?!\.)[^/]+(?:(?P<symbol>-symbol\.json)|(?P<params>-0000\.params)|(?P<epoch>-\d{4}\.params)"
    r"|(?P<shapes>-shapes\.json)|(?P<preprocess>-preprocess\.json))|(?P<labels>synset\.txt)",
    re.ASCII | re.DOTALL,
)


def _unneeded(files: dict[str, int], allowed: str) -> ArtifactError:
    largest = sorted(files, key=lambda name: (-files[name], name))[:3]
    rest = f" and {len(files) - 3} more" if len(files) > 3 else ""
    names = ", ".join(f"{name[-80:]} ({files[name] / 1024**2:,.1f} MB)" for name in largest)
    return ArtifactError(
        "too_large",
        f"The archive holds files that its network does not need: {names}{rest}. Beside the "
        f"network it may hold {allowed}.",
    )


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\x00" in name or "\\" in name:
        raise ArtifactError(
            "unsafe_path",
            f"The name {name!r} points outside the archive: pack it from within its folder.",
        )
    if len(path.parts) > MAX_FOLDERS_DEEP:
        raise ArtifactError(
            "unsafe_path",
            f"The name {name[:60]!r}… lies more than {MAX_FOLDERS_DEEP} folders deep.",
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
