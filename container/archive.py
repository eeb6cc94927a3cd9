"""Reads untrusted archives: gzip and tar, strictly and with limits.

An uploaded ``.tar.gz`` is read here, in the sandbox, and nowhere else. Usual packings are read:
several gzip members, PAX, GNU and ustar headers, sparse files, links inside the archive, a folder
around everything. An archive that two readers could understand differently is refused, with a
sentence. docs/artifacts.md has the table.

:func:`unpack` writes the files of an archive below a folder, as they are named. :func:`pack`
finds the network's files among them and writes the canonical tar that is published.
"""

import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from container import network_files
from container.findings import ArtifactError, Note

MAX_MEMBERS = 1_000
# Python can walk and remove about a thousand levels; no network needs more than one.
MAX_FOLDERS_DEEP = 32
MAX_HEADER_BYTES = 1024 * 1024
"""Of one record of long names or PAX headers, which is read as a whole."""
MAX_NAME_BYTES = 255  # of one part of a path: Linux's NAME_MAX
MAX_PATH_BYTES = 1024
MAX_TARGET_BYTES = 4095  # of a link: Linux's PATH_MAX
MAX_SPARSE_PARTS = 100_000
MAX_LINKS_FOLLOWED = 40  # as Linux does
MAX_EXTRA_BYTES = 1024 * 1024
"""Limit of all files that nothing reads, as each instance keeps them on its disk."""
MANIFEST = "mar-inf"
"""Multi Model Server's folder, which names code to run: never packed."""
_SLACK_BYTES = 16 * 1024 * 1024  # headers and padding, beyond what the files may hold
_CHUNK = 1024 * 1024
_READ = 16 * 1024  # small: zlib copies the rest of it at the end of each gzip member
_BLOCK = 512
_ZEROS = bytes(_CHUNK)


@dataclass(frozen=True)
class UnpackedFile:
    """One file of the archive: its name below the root, and its size in bytes."""

    name: str
    bytes: int


# --- gzip ----------------------------------------------------------------------------------------


class _Unpacked:
    """The unpacked bytes of all members of a gzip file, in order."""

    def __init__(self, file: BinaryIO, limit: int, max_bytes: int) -> None:
        self._file = file
        self._left = limit
        self._max_bytes = max_bytes
        self._raw = b""
        self._member = zlib.decompressobj(wbits=31)
        self._begun = False
        self._ended = False
        self._out = memoryview(b"")
        self.count = 0  # bytes that were taken

    def some(self, most: int) -> memoryview:
        """The next bytes, at most ``most``; none at the end."""
        while not self._out and not self._ended:
            self._fill()
        taken, self._out = self._out[:most], self._out[most:]
        self.count += len(taken)
        return taken

    def exactly(self, size: int) -> bytes:
        """The next ``size`` bytes; fewer at the end."""
        parts = []
        while size and (part := self.some(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _fill(self) -> None:
        raw = self._raw or self._file.read(_READ)
        self._raw = b""
        if not raw:
            if self._begun:
                raise self._damaged("it ends in the middle")
            self._ended = True
            return
        if not self._begun:
            if raw[:1] == b"\0":
                self._only_zeros(raw)
                return
            if raw[:1] != b"\x1f":
                raise ArtifactError(
                    "not_gzip",
                    "The archive goes on with other bytes after its end: it was damaged, or "
                    "something was appended. Pack it again.",
                )
            self._begun = True
        try:
            data = self._member.decompress(raw)
        except zlib.error as error:
            raise self._damaged(str(error)) from error
        self._left -= len(data)
        if self._left < 0:
            raise too_large(self._max_bytes)
        self._out = memoryview(data)
        if self._member.eof:
            self._raw = self._member.unused_data
            self._member = zlib.decompressobj(wbits=31)
            self._begun = False

    def _only_zeros(self, raw: bytes) -> None:
        """Padding after the last member; readers differ on a member that follows it."""
        while raw:
            if raw.strip(b"\0"):
                raise ArtifactError(
                    "not_gzip", "The archive goes on after the padding at its end: pack it again."
                )
            raw = self._file.read(_CHUNK)
        self._ended = True

    def _damaged(self, why: str) -> ArtifactError:
        return ArtifactError(
            "not_gzip", f"The archive is cut short or damaged: {why}. Upload it again."
        )


def too_large(max_bytes: int) -> ArtifactError:
    """The refusal of an archive that holds more than ``max_bytes``."""
    return ArtifactError(
        "too_large",
        f"The archive unpacks to more than the {max_bytes / 1024**2:,.0f} MB that are allowed.",
    )


# --- tar -----------------------------------------------------------------------------------------

_FILE, _FOLDER, _HARD, _SYMBOLIC = "file", "folder", "hard link", "symbolic link"
_KINDS = {
    b"0": _FILE, b"\0": _FILE, b"7": _FILE, b"S": _FILE,
    b"1": _HARD, b"2": _SYMBOLIC, b"5": _FOLDER,
}  # fmt: skip
_DEVICES = {b"3": "a device", b"4": "a device", b"6": "a named pipe"}
_OTHERS = {
    b"D": "a folder of an incremental backup (pack without --listed-incremental)",
    b"M": "the rest of a file of another volume (pack without --multi-volume)",
    b"V": "the label of a volume (pack without --label)",
}
_NUMBER = re.compile(rb" *([0-7]+)[ \0]*|\0+")
_SIGNED = re.compile(rb" *-?[0-7]+[ \0]*|\0+|[\x80\xff].*", re.DOTALL)


@dataclass(frozen=True)
class _Member:
    """One member of a tar archive, by its headers."""

    name: bytes
    kind: str
    target: bytes
    #: Bytes that follow in the archive, padded to whole blocks.
    stored: int
    #: The parts of a sparse file, (where, how many bytes); None: it is stored as it is.
    parts: tuple[tuple[int, int], ...] | None = None
    size: int = 0


@dataclass
class _Ahead:
    """Values from the extended headers before a member's own header."""

    name: bytes | None = None
    target: bytes | None = None
    records: list[tuple[bytes, bytes]] | None = None

    def __bool__(self) -> bool:
        return not (self.name is None and self.target is None and self.records is None)


class _Tar:
    """The members of a tar archive, one after the other; each is read before the next."""

    def __init__(self, plain: _Unpacked) -> None:
        self._plain = plain

    def members(self) -> Iterator[_Member]:
        """Each member. The caller reads its ``stored`` bytes with :meth:`data`, to the end."""
        headers = 0
        ahead = _Ahead()
        common = False
        while header := self._plain.exactly(_BLOCK):
            if len(header) < _BLOCK or not header.strip(b"\0"):
                break
            headers += 1
            if headers > 4 * MAX_MEMBERS:
                raise _too_many()
            self._check(header)
            for start, end in ((100, 108), (108, 116), (116, 124), (136, 148)):
                if _SIGNED.fullmatch(header[start:end]) is None:  # mode, owner, group, time
                    raise self._unsound("a header is damaged")
            for number in (header[329:337], header[337:345]):  # of a device: some read it
                if number.strip(b" \0") and _SIGNED.fullmatch(number) is None:
                    raise self._unsound("a header is damaged")
            kind = header[156:157]
            if kind in (b"L", b"K", b"x", b"X", b"g"):
                self._read_ahead(kind, header, ahead)
                common = kind == b"g"
                continue
            yield self._member(header, ahead)
            ahead, common = _Ahead(), False
        if ahead or common:
            raise self._unsound("a header is not followed by its file")
        self._end(header)

    def data(self, member: _Member) -> Iterator[memoryview]:
        """The bytes of the member that are stored."""
        left = member.stored
        while left:
            part = self._plain.some(min(left, _CHUNK))
            if not part:
                raise self._unsound(f"it ends in the middle of {shown(member.name)}")
            left -= len(part)
            yield part
        padding = -member.stored % _BLOCK
        if len(self._plain.exactly(padding)) < padding:
            raise self._unsound(f"it ends in the middle of {shown(member.name)}")

    def _end(self, header: bytes) -> None:
        """Only zeros may follow the first block of zeros: readers differ on anything else."""
        part: bytes | memoryview = header
        while part:
            if bytes(part).strip(b"\0"):
                if part is header:
                    raise self._unsound("it ends in the middle of a header")
                raise self._unsound(
                    "something follows its end: two archives in one file, or what was appended "
                    "to it. Pack all files into one archive"
                )
            part = self._plain.some(_CHUNK)

    def _check(self, header: bytes) -> None:
        told = self._number(header[148:156], "checksum")
        rest = header[:148] + b" " * 8 + header[156:]
        signed = sum(rest) - 256 * sum(byte > 127 for byte in rest)
        if told not in (sum(rest), signed):
            raise self._damaged("a header is damaged")

    def _number(self, field: bytes, what: str) -> int:
        if field[0] == 0x80:  # GNU's form of numbers that are too long for octal digits
            return int.from_bytes(field[1:], "big")
        found = _NUMBER.fullmatch(field)
        if found is None:
            raise self._damaged(f"a header is damaged: its {what} is no number")
        return int(found[1] or b"0", 8)

    def _read_ahead(self, kind: bytes, header: bytes, ahead: _Ahead) -> None:
        size = self._number(header[124:136], "size")
        if size > MAX_HEADER_BYTES:
            raise self._unsound("it holds a header record larger than 1 MB")
        whole = self._plain.exactly(size + -size % _BLOCK)
        if len(whole) < size + -size % _BLOCK:
            raise self._unsound("it ends in the middle of a header")
        data = whole[:size]
        doubled = "two headers tell the same of one file"
        if kind == b"g":
            if ahead:
                raise self._unsound("a header is not followed by its file")
            for key, _ in self._records(data):
                if key in _TELLING or key.startswith(b"GNU.sparse"):
                    raise self._unsound(f"a header for all files names {shown(key)}")
            return
        if kind in (b"x", b"X"):
            if ahead.records is not None:
                raise self._unsound(doubled)
            ahead.records = self._records(data)
            return
        text = _until_nul(data)
        if not text:
            raise self._unsound("a long name is empty")
        if (ahead.name if kind == b"L" else ahead.target) is not None:
            raise self._unsound(doubled)
        if kind == b"L":
            ahead.name = text
        else:
            ahead.target = text

    def _records(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """The records of a PAX header, each ``LENGTH KEY=VALUE`` and a newline, in their order."""
        found: list[tuple[bytes, bytes]] = []
        at = 0
        while at < len(data):
            digits = data[at : at + 8].partition(b" ")[0]
            if not digits.isdigit() or digits[:1] == b"0":
                raise self._unsound("a PAX header is damaged")
            length = int(digits)
            record = data[at : at + length]
            key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
            if (
                len(record) < length
                or record[-1:] != b"\n"
                or not key
                or not equals
                or b"\0" in key
            ):
                raise self._unsound("a PAX header is damaged")
            found.append((key, value))
            at += length
        return found

    def _member(self, header: bytes, ahead: _Ahead) -> _Member:
        flag = header[156:157]
        name = _until_nul(header[:100])
        magic = header[257:263]
        if magic == b"ustar\0" and flag != b"S" and header[345]:
            name = _until_nul(header[345:500]) + b"/" + name
        name = ahead.name or name
        target = ahead.target or _until_nul(header[157:257])
        stored = self._number(header[124:136], "size")
        if flag in _DEVICES:
            raise ArtifactError(
                "link_or_device", f"{shown(name)} is {_DEVICES[flag]}: only plain files are taken."
            )
        if flag not in _KINDS:
            what = _OTHERS.get(flag, f"of a kind that is not known here, {flag!r}")
            raise ArtifactError("not_tar", f"{shown(name)} is {what}.")
        kind = _KINDS[flag]
        sparse: dict[bytes, bytes] = {}
        sized = False
        for key, value in ahead.records or ():
            if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
                # Version 0.0, which depends on the records' order: readers differ on it.
                raise self._unsound(f"{shown(name)} is sparse in a form that nobody writes today")
            if key.startswith(b"GNU.sparse."):
                sparse[key[11:]] = value
            elif key in _TELLING:
                if not value or b"\0" in value:
                    raise self._unsound(f"a PAX header's {shown(key)} is empty or holds a NUL")
                if (key == b"path" and ahead.name) or (key == b"linkpath" and ahead.target):
                    raise self._unsound("two headers tell the same of one file")
                if key == b"path":
                    name = value
                elif key == b"linkpath":
                    target = value
                else:
                    stored = self._decimal(value)
                    sized = True
        if kind == _FILE and name.endswith(b"/"):  # as the oldest archives mark a folder
            if stored or sparse:
                raise self._unsound(f"{shown(name)} is a file and a folder at once")
            kind = _FOLDER
        if kind != _FILE and stored:
            raise self._unsound(f"{shown(name)}, a {kind}, comes with content")
        if flag == b"S":
            if ahead.records is not None:
                raise self._unsound(f"{shown(name)} is sparse in two ways")
            return self._old_sparse(header, name, stored)
        if sparse:
            if kind != _FILE or sized:
                raise self._unsound(f"{shown(name)} is said to be sparse and something else")
            return self._pax_sparse(name, stored, sparse)
        return _Member(name, kind, target, stored, size=stored)

    def _old_sparse(self, header: bytes, name: bytes, stored: int) -> _Member:
        """GNU's old form: the parts in the header, and in blocks that follow it."""
        if header[257:263] != b"ustar ":
            raise self._unsound(f"{shown(name)} is sparse in a header that cannot say so")
        parts: list[tuple[int, int]] = []
        more, block, places = header[482], header[386:482], 4
        size = self._number(header[483:495], "size")
        while True:
            for index in range(places):
                entry = block[24 * index : 24 * index + 24]
                if not entry[12]:
                    break
                offset = self._number(entry[:12], "offset")
                parts.append((offset, self._number(entry[12:], "length")))
            if not more:
                break
            block = self._plain.exactly(_BLOCK)
            if len(block) < _BLOCK or len(parts) > MAX_SPARSE_PARTS:
                raise self._unsound(
                    f"{shown(name)} has a damaged map of its parts, or too long a one"
                )
            more, places = block[504], 21
        return self._sparse(name, parts, stored, size)

    def _pax_sparse(self, name: bytes, stored: int, sparse: dict[bytes, bytes]) -> _Member:
        """GNU's sparse files in PAX headers, of versions 0.1 and 1.0."""
        version = (sparse.pop(b"major", b""), sparse.pop(b"minor", b""))
        name = sparse.pop(b"name", name)
        size = sparse.pop(b"realsize", None) or sparse.pop(b"size", None)
        numbers: list[int] = []
        if version == (b"1", b"0"):
            if b"map" in sparse:
                raise self._unsound(f"{shown(name)} is sparse in two ways")
            numbers, stored = self._map(name, stored)
        elif version != (b"", b""):  # 0.1 does not say so
            raise self._unsound(f"{shown(name)} is sparse in a form that is not known here")
        elif b"map" in sparse:
            numbers = [self._decimal(one) for one in sparse.pop(b"map").split(b",")]
        count = sparse.pop(b"numblocks", None)
        if size is None or len(numbers) % 2 or sparse or not name or b"\0" in name:
            raise self._unsound(f"the headers of {shown(name)}, a sparse file, are damaged")
        told = len(numbers) // 2 if count is None else self._decimal(count)
        if told != len(numbers) // 2 or (count is None and version != (b"1", b"0")):
            raise self._unsound(f"{shown(name)} has not as many parts as its header says")
        parts = list(zip(numbers[::2], numbers[1::2], strict=True))
        return self._sparse(name, parts, stored, self._decimal(size))

    def _map(self, name: bytes, stored: int) -> tuple[list[int], int]:
        """The map at the beginning of a sparse file's bytes, and how many bytes follow it."""
        text, wanted = b"", 1
        numbers: list[int] = []
        while len(numbers) < wanted:
            line, newline, rest = text.partition(b"\n")
            if not newline:
                if len(line) > 24 or stored < _BLOCK:
                    raise self._unsound(f"{shown(name)} has a damaged map of its parts")
                text += self._plain.exactly(_BLOCK)
                stored -= _BLOCK
                if self._plain.count % _BLOCK:
                    raise self._unsound(f"it ends in the middle of {shown(name)}")
                continue
            text = rest
            numbers.append(self._decimal(line))
            if len(numbers) == 1:
                wanted = 1 + 2 * numbers[0]
                if numbers[0] > MAX_SPARSE_PARTS:
                    raise self._unsound(f"{shown(name)} has too many parts")
        return numbers[1:], stored

    def _sparse(self, name: bytes, parts: list[tuple[int, int]], stored: int, size: int) -> _Member:
        end = stored_before = 0
        for offset, count in parts:
            if offset < end:
                raise self._unsound(f"the parts of {shown(name)}, a sparse file, overlap")
            if count and stored_before % _BLOCK:  # GNU tar takes each part from a block of its own
                raise self._unsound(f"the parts of {shown(name)}, a sparse file, are no blocks")
            end = offset + count
            stored_before += count
        if end != size or sum(count for _, count in parts) != stored:
            raise self._unsound(f"the parts of {shown(name)}, a sparse file, do not fit it")
        if len(parts) > MAX_SPARSE_PARTS:
            raise self._unsound(f"{shown(name)} has too many parts")
        return _Member(name, _FILE, b"", stored, tuple(parts), size)

    def _decimal(self, value: bytes) -> int:
        if not value.isdigit() or len(value) > 18:
            raise self._unsound("a header holds something else where a number belongs")
        return int(value)

    def _damaged(self, why: str) -> ArtifactError:
        if self._plain.count > _BLOCK:
            return self._unsound(why)
        return ArtifactError(
            "not_tar",
            "The archive is gzip, but what is inside is not a tar archive. Use "
            "`tar -C FOLDER -czf NAME.tar.gz .` to pack it.",
        )

    def _unsound(self, why: str) -> ArtifactError:
        return ArtifactError("not_tar", f"The archive is not a sound tar archive: {why}.")


_TELLING = {b"path", b"linkpath", b"size"}


def _until_nul(data: bytes) -> bytes:
    return data.partition(b"\0")[0]


def shown(name: bytes | str) -> str:
    """A name that can be put into a sentence, whatever its bytes are."""
    text = printable(name if isinstance(name, str) else _decoded(name))
    return f"'{text}'" if len(text) <= 120 else f"'{text[:60]}…{text[-40:]}'"


def printable(text: str) -> str:
    """The text with escapes for invalid UTF-8 and for characters that are not visible."""
    whole = text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in whole)


def _too_many() -> ArtifactError:
    return ArtifactError(
        "too_many_files", f"The archive holds more than {MAX_MEMBERS:,} files; four will do."
    )


# --- names and links -----------------------------------------------------------------------------


@dataclass
class _Names:
    """The paths of an archive: no name twice, nothing below a file or a link."""

    files: dict[str, int] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)

    def add(self, member: _Member) -> str:
        """Add the member; returns its path below the root, empty for the root itself."""
        path = _safe(member.name)
        if not path:
            if member.kind != _FOLDER:
                raise ArtifactError("unsafe_path", f"The name {shown(member.name)} names no file.")
            return path
        above = path
        while "/" in above:
            above = above.rpartition("/")[0]
            self._folder(above, member.name)
        if member.kind == _FOLDER:
            self._folder(path, member.name)
            return path
        if path in self.files or path in self.links:
            raise ArtifactError("unsafe_path", f"{shown(member.name)} is in the archive twice.")
        if path in self.folders:
            raise _clash(member.name)
        if member.kind == _SYMBOLIC:
            if not 0 < len(member.target) <= MAX_TARGET_BYTES:
                raise ArtifactError(
                    "link_or_device", f"{shown(member.name)} is a link that leads nowhere."
                )
            self.links[path] = _decoded(member.target)
        elif member.kind == _HARD:
            target = _target(member)
            if target in self.links:
                self.links[path] = self.links[target]
                return path
            if target is None or target not in self.files:
                raise ArtifactError(
                    "link_or_device",
                    f"{shown(member.name)} is a link to {shown(member.target)}, which is no file "
                    "before it in the archive: pack with `tar -h --hard-dereference`.",
                )
            self.files[path] = self.files[target]
        else:
            self.files[path] = member.size
        return path

    def _folder(self, path: str, name: bytes) -> None:
        if path in self.files or path in self.links:
            raise _clash(name)
        self.folders.add(path)

    def resolve(self, path: str) -> str | None:
        """The file that the link at ``path`` leads to; None where it is not in the archive."""
        todo, place, hops = path.split("/")[::-1], list[str](), 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if not place:
                    return None
                place.pop()
                continue
            place.append(part)
            here = "/".join(place)
            if here in self.links:
                hops += 1
                target = self.links[here]
                if hops > MAX_LINKS_FOLLOWED or target.startswith("/"):
                    return None
                place.pop()
                todo += target.split("/")[::-1]
            elif here not in self.folders and (todo or here not in self.files):
                return None
        found = "/".join(place)
        return found if found in self.files else None


def _safe(name: bytes) -> str:
    """The path below the root that ``name`` stands for. Raises :class:`ArtifactError`."""
    if b"\\" in name:
        raise ArtifactError(
            "unsafe_path",
            f"The name {shown(name)} holds a backslash, by which some mean a folder: rename it, or "
            "pack it with / between folders.",
        )
    if name.startswith(b"/") or b".." in name.split(b"/"):
        raise ArtifactError(
            "unsafe_path",
            f"The name {shown(name)} points outside the archive: pack it from within its folder.",
        )
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if len(parts) > MAX_FOLDERS_DEEP:
        raise ArtifactError(
            "unsafe_path", f"The name {shown(name)} lies {MAX_FOLDERS_DEEP} folders deep or more."
        )
    path = b"/".join(parts)
    if len(path) > MAX_PATH_BYTES or any(len(part) > MAX_NAME_BYTES for part in parts):
        raise ArtifactError("unsafe_path", f"The name {shown(name)} is too long.")
    return _decoded(path)


def _target(member: _Member) -> str | None:
    """The path that a hard link leads to; None where it leads out of the archive."""
    try:
        return _safe(member.target)
    except ArtifactError:
        return None


def _decoded(name: bytes) -> str:
    return name.decode(errors="surrogateescape")


def _clash(name: bytes) -> ArtifactError:
    return ArtifactError("unsafe_path", f"{shown(name)} is a file and a folder at once, or a link.")


def _faithful(name: str) -> bool:
    """Whether the name is UTF-8 without control characters, so that all readers agree on it."""
    return not any(ord(one) < 32 or 127 <= ord(one) < 160 or 0xD800 <= ord(one) < 0xE000
                   for one in name)  # fmt: skip


# --- reading -------------------------------------------------------------------------------------


def _read(
    archive: Path, names: _Names, max_bytes: int
) -> Iterator[tuple[_Member, str, Iterator[memoryview]]]:
    """Each member of the archive, with its path and its bytes, which the caller reads to their end.

    ``names`` records each path. When this ends, the whole archive has been read.
    """
    with archive.open("rb") as file:
        magic = file.read(2)
        if magic != b"\x1f\x8b":
            raise ArtifactError(
                "not_gzip",
                "The archive is not gzip. Use `tar -C FOLDER -czf NAME.tar.gz .` to pack it.",
            )
        file.seek(0)
        tar = _Tar(_Unpacked(file, max_bytes + _SLACK_BYTES, max_bytes))
        left = max_bytes
        for count, member in enumerate(tar.members(), start=1):
            if count > MAX_MEMBERS:
                raise _too_many()
            path = names.add(member)
            left -= names.files.get(path, 0)
            if left < 0:
                raise too_large(max_bytes)
            yield member, path, tar.data(member)
        if not names.files and not names.links:
            raise ArtifactError("missing_file", "The archive is empty.")


def _write(out: BinaryIO, member: _Member, data: Iterator[memoryview]) -> None:
    """Write the member's bytes at the position of ``out``; zeros become holes."""
    start = out.tell()
    parts = list(member.parts if member.parts is not None else [(0, member.stored)])[::-1]
    at, left = parts.pop() if parts else (0, 0)
    for chunk in data:
        while chunk:
            while not left:
                at, left = parts.pop()
            piece, chunk = chunk[:left], chunk[left:]
            block = bytes(piece)
            if block != _ZEROS[: len(block)]:
                out.seek(start + at)
                out.write(block)
            at += len(piece)
            left -= len(piece)
    out.seek(start + member.size)
    out.truncate()


def unpack(archive: Path, target: Path, *, max_bytes: int) -> list[UnpackedFile]:
    """Unpack the ``.tar.gz`` at ``archive`` below ``target``; returns its files.

    Only plain files and folders are written, none outside ``target``, and never more than
    ``max_bytes`` in all. Links become the files that they lead to; those that lead to no file of
    the archive are left out. Raises :class:`ArtifactError`; what was written by then stays in
    ``target``, which the caller throws away.
    """
    names = _Names()
    for member, path, data in _read(archive, names, max_bytes):
        place = target / path
        (place if member.kind == _FOLDER else place.parent).mkdir(parents=True, exist_ok=True)
        if member.kind == _HARD and path in names.files:
            _copy(target / _safe(member.target), place)
        elif member.kind == _FILE:
            with place.open("xb") as out:
                _write(out, member, data)
        for _ in data:
            pass
    found = dict(names.files)
    for path in names.links:
        if (leads_to := names.resolve(path)) is not None:
            found[path] = names.files[leads_to]
            if sum(found.values()) > max_bytes:
                raise too_large(max_bytes)
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            _copy(target / leads_to, target / path)
    return [UnpackedFile(name, size) for name, size in found.items()]


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as one, target.open("xb") as other:
        while chunk := one.read(_CHUNK):
            other.write(chunk)


# --- packing -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PackedFile:
    """One file of an uploaded archive, and whether it is packed and read.

    ``packed``: it is in what is served; ``read``: the network needs it.
    """

    name: str
    bytes: int
    packed: bool
    read: bool


@dataclass
class Contents:
    """The contents of an uploaded archive; filled in while it is read."""

    files: list[PackedFile] = field(default_factory=list)
    unpacked_bytes: int = 0
    packed_bytes: int = 0
    notes: list[Note] = field(default_factory=list)

    def note(self, code: str, message: str) -> None:
        self.notes.append(Note(code, message))


def pack(archive: Path, folder: Path, target: Path, *, max_bytes: int, contents: Contents) -> None:
    """Write the canonical tar of the network in ``archive`` to ``target``; fill in ``contents``.

    It is uncompressed: the network's files at the root and the extra files that are kept, sorted
    by name, with fixed times, modes and owners. A file in ``folder`` takes all files meanwhile.
    Raises :class:`ArtifactError`; ``contents`` then holds what was known by then.
    """
    with (folder / "spool").open("x+b") as spool:
        places: dict[str, int] = {}
        names, sparse = _Names(), 0
        for member, path, data in _read(archive, names, max_bytes):
            if member.kind == _HARD and path in names.files:
                places[path] = places[_safe(member.target)]
            elif member.kind == _FILE:
                sparse += member.parts is not None
                places[path] = spool.seek(0, 2)
                _write(spool, member, data)
            for _ in data:
                pass
        if sparse:
            many = "1 file is" if sparse == 1 else f"{sparse} files are"
            contents.note("sparse", f"{many} stored as sparse: the holes are zeros.")
        sources = _choose(names, contents)
        if contents.unpacked_bytes > max_bytes:
            raise too_large(max_bytes)
        with target.open("xb") as out:
            for file in contents.files:
                if file.packed:
                    _pack_file(out, file, spool, places[sources[file.name]])
            out.write(bytes(2 * _BLOCK))


def _pack_file(out: BinaryIO, file: PackedFile, spool: BinaryIO, place: int) -> None:
    header = tarfile.TarInfo(file.name)
    header.size, header.mode, header.mtime = file.bytes, 0o644, 0
    out.write(header.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict"))
    spool.seek(place)
    left = file.bytes
    while left:
        chunk = spool.read(min(left, _CHUNK))
        if not chunk:
            raise OSError(f"the spool ends in the middle of {file.name}")
        out.write(chunk)
        left -= len(chunk)
    out.write(bytes(-file.bytes % _BLOCK))


def _choose(names: _Names, contents: Contents) -> dict[str, str]:
    """Decide what is packed, and list it; returns where the content of each packed name lies.

    Raises :class:`ArtifactError` where the network's files are not all there.
    """
    sources = {path: path for path in names.files}
    links = {path: names.resolve(path) for path in names.links}
    sources |= {path: leads_to for path, leads_to in links.items() if leads_to is not None}
    sizes = {path: names.files[source] for path, source in sources.items()}
    contents.files = [_listed(path, sizes[path]) for path in sorted(sources)]
    contents.unpacked_bytes = sum(sizes.values())

    root = _root([*sources, *links])
    inside = {path[len(root) :]: path for path in (*sources, *links) if path.startswith(root)}
    outside = [path for path in (*sources, *links) if not path.startswith(root)]
    network = network_files.find(inside, outside)
    for name in sorted(network.read):
        if inside[name] not in sources:
            raise ArtifactError(
                "link_or_device",
                f"{shown(name)} is a link to {shown(names.links[inside[name]])}, which is no file "
                "of the archive: pack with `tar -h`, which stores what links lead to.",
            )
        if not _faithful(name):
            raise ArtifactError(
                "unsafe_path",
                f"The name {shown(name)} is not UTF-8 or holds control characters: rename it.",
            )
    extra = {
        name: path
        for name, path in inside.items()
        if name not in network.read and path in sources and not _manifest(name) and _faithful(name)
    }
    extra_bytes = sum(sizes[path] for path in extra.values())
    kept = set(network.read) | (set(extra) if extra_bytes <= MAX_EXTRA_BYTES else set())
    contents.files = sorted(
        [
            PackedFile(name, sizes[path], packed=True, read=name in network.read)
            for name, path in inside.items()
            if name in kept
        ]
        + [
            _listed(path, sizes[path])
            for path in sources
            if not (path.startswith(root) and path[len(root) :] in kept)
        ],
        key=lambda file: (file.name, file.bytes),
    )
    contents.packed_bytes = sum(file.bytes for file in contents.files if file.packed)
    _note_network(contents, root, network)
    followed = sum(leads_to is not None for leads_to in links.values())
    if followed:
        one = "1 link is followed: what it leads to is taken."
        more = f"{followed} links are followed: what they lead to is taken."
        contents.note("links", one if followed == 1 else more)
    left = [path for path in (*names.files, *links) if path[len(root) :] not in kept
            or not path.startswith(root)]  # fmt: skip
    _note_left(contents, left, root, [path for path in left if path not in sources], sizes)
    return {name: sources[inside[name]] for name in kept}


def _note_network(contents: Contents, root: str, network: network_files.NetworkFiles) -> None:
    if root:
        contents.note(
            "folder",
            f"The network lies in the folder {shown(root[:-1])} of the archive; its files are "
            "served without it.",
        )
    if network.other_epochs:
        every = ", ".join(shown(one) for one in sorted((network.params, *network.other_epochs)))
        contents.note(
            "epoch", f"There are weights of several epochs ({every}): the highest are served."
        )
    elif network.epoch:
        contents.note("epoch", f"The weights are of epoch {network.epoch}: {network.params}.")


def _note_left(
    contents: Contents, left: list[str], root: str, broken: list[str], sizes: dict[str, int]
) -> None:
    """Note for each file that is left out the reason."""
    whys = {
        "links_left_out": "which are links that lead to no file of the archive",
        "manifest_left_out": "whose manifest would name code to run",
        "outside_left_out": "as they lie outside the network's folder",
        "names_left_out": "as their names are not UTF-8 or hold control characters",
        "extra_left_out": "as the network does not need them, and such files are more than "
        f"{_sized(MAX_EXTRA_BYTES)} in all",
    }
    groups: dict[str, list[str]] = {code: [] for code in whys}
    for path in left:
        if path in broken:
            code = "links_left_out"
        elif _manifest(path):
            code = "manifest_left_out"
        elif not path.startswith(root):
            code = "outside_left_out"
        elif not _faithful(path[len(root) :]):
            code = "names_left_out"
        else:
            code = "extra_left_out"
        groups[code].append(path)
    for code, paths in groups.items():
        if not paths:
            continue
        paths.sort(key=lambda path: (-sizes.get(path, 0), path))
        told = ", ".join(
            shown(path) + (f" ({_sized(sizes[path])})" if path in sizes else "")
            for path in paths[:3]
        )
        rest = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        contents.note(code, f"Left out: {told}{rest}, {whys[code]}.")


def _root(paths: list[str]) -> str:
    """The folder of the network, with a slash at its end; empty for the archive's root.

    One around everything does not count, be it in several levels; nor what archivers and systems
    add beside it. Where the network is not there, it is in the only folder that has one.
    """
    real = [path for path in paths if not any(map(_added, path.split("/")))]
    if not real:  # all of it lies in a folder such as .cache
        real = [path for path in paths if not _manifest(path)]
    holders = {path.rpartition("/")[0] for path in real if path.endswith("-symbol.json")}
    around = [path.split("/")[:-1] for path in real] or [[]]
    common = "/".join(level[0] for level in _while_equal(zip(*around, strict=False)))
    folder = common if common in holders or not holders else min(holders)
    if folder != common and len(holders) > 1:
        told = ", ".join(shown(one or ".") for one in sorted(holders)[:4])
        first = printable(min(holders) or ".")
        raise ArtifactError(
            "missing_file",
            f"There are networks in {len(holders)} folders ({told}): one archive holds one "
            f"network. Pack one of them with: {network_files.pack_command(first)}",
            folders=[shown(one or ".") for one in sorted(holders)[:4]],
            command=network_files.pack_command(first),
        )
    return f"{folder}/" if folder else ""


def _while_equal(levels: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    for level in levels:
        if len(set(level)) > 1:
            return
        yield level


def _added(part: str) -> bool:
    """Whether a file or folder of this name is what macOS, Python or an archiver adds."""
    return part.startswith(".") or part in ("__MACOSX", "__pycache__", "Icon\r") or _manifest(part)


def _manifest(path: str) -> bool:
    return any(part.casefold() == MANIFEST for part in path.split("/"))


def _listed(path: str, size: int) -> PackedFile:
    return PackedFile(path if _faithful(path) else printable(path), size, packed=False, read=False)


def _sized(size: int) -> str:
    return f"{size / 1024**2:,.1f} MB" if size >= 100_000 else f"{size:,} B"
