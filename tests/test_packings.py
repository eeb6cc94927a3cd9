"""The table of packings: who reads what, and that no two readers read an archive differently.

Readers: the validation (container/archive.py), localaws, GNU tar. What is written by the validation
is read alike by all of them and by Python's tarfile. ``MME_PACKINGS=2000`` makes so many archives
in place of the suite's few, and prints how they ended.
"""

import base64
import collections
import gzip
import os
import subprocess
import sys
import tempfile
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import packings as p
from tests.artifacts import constant_network
from tests.packings import END, Refused, Tree

pytestmark = pytest.mark.processes  # the programs that are tested

NETWORK = {
    name.encode(): data for name, data in constant_network(labels=["a", "b"], answer=1).items()
}
DATA = b"\x00".join(b"%d" % one for one in range(400))
PLAIN = b"".join(p.plain(name, data) for name, data in NETWORK.items())
KOREAN = "모델"


def pack(*tar: bytes, end: bytes = END) -> bytes:
    return gzip.compress(b"".join(tar) + end, 6, mtime=0)


def file(name: bytes) -> bytes:
    return p.plain(name, DATA)


def network(prefix: bytes, *, leaving: frozenset[bytes] = frozenset()) -> bytes:
    return b"".join(
        p.plain(prefix + name, data) for name, data in NETWORK.items() if name not in leaving
    )


def of_epochs(*epochs: int) -> bytes:
    """A network with weights of these epochs, which differ."""
    params = b"tiny-0000.params"
    weights = b"".join(
        p.plain(b"tiny-%04d.params" % one, NETWORK[params] + b"%d" % one) for one in epochs
    )
    return pack(network(b"", leaving=frozenset({params})), weights)


SPARSE = [(0, b"x" * 512), (8192, b"y" * 1024), (30_000, b"the end"), (40_000, b"")]
MANY = [(2048 * one, b"%d" % one * 512) for one in range(9)]
MANY = [(where, data[:512]) for where, data in MANY] + [(20_000, b"")]
HOLES = {b"s": p.whole(SPARSE, 40_000)}


@dataclass(frozen=True)
class Row:
    """One row: an archive, and what becomes of it."""

    data: bytes
    #: All files that are read besides the network's, by their names in the archive.
    more: Tree = field(default_factory=dict)
    #: What the validation says where it refuses.
    refused: str = ""
    #: Who reads it all the same, where the validation refuses.
    readers: tuple[str, ...] = ()
    #: The codes of the validation's notes.
    notes: tuple[str, ...] = ()
    #: What is packed besides the network's files.
    extra: tuple[bytes, ...] = ()
    prefix: bytes = b""
    #: Whether the network is there at all.
    network: bool = True


A = {b"a": DATA}
READ: dict[str, Row] = {
    "as tar writes it": Row(pack(PLAIN)),
    "bgzip": Row(p.bgzip(PLAIN + END)),
    "gzip members of 777 bytes": Row(p.members(PLAIN + END, 777)),
    "gzip members of 1 byte, stored": Row(p.members(PLAIN[:3000], 1, 0) + pack(PLAIN[3000:])),
    "a gzip member that is empty": Row(gzip.compress(b"") + pack(PLAIN) + gzip.compress(b"")),
    "a second gzip member that adds a file": Row(
        gzip.compress(PLAIN) + pack(file(b"a")), A, extra=(b"a",)
    ),
    "all fields of gzip's header": Row(p.with_fields(PLAIN + END)),
    "zeros after gzip's end": Row(pack(PLAIN) + bytes(4096)),
    "zeros after tar's end": Row(pack(PLAIN, end=bytes(3 * 10240))),
    "zeros after tar's end, no whole block": Row(pack(PLAIN, end=bytes(1100))),
    "one block of zeros at the end": Row(pack(PLAIN, end=bytes(512))),
    "no block of zeros at the end": Row(pack(PLAIN, end=b"")),
    "ustar with a prefix": Row(
        pack(PLAIN, p.header(b"a", size=len(DATA), prefix=b"b" * 150), p.padded(DATA)),
        {b"b" * 150 + b"/a": DATA}, extra=(b"b" * 150 + b"/a",),
    ),
    "the oldest tar": Row(
        pack(*(p.plain(name, data, magic=p.V7, kind=b"\0") for name, data in NETWORK.items()))
    ),
    "GNU, with times where others have a prefix": Row(
        pack(PLAIN, p.header(b"a", size=len(DATA), magic=p.GNU, tail=b"14716412345\0" * 2),
             p.padded(DATA)), A, extra=(b"a",),
    ),
    "a long name of GNU's": Row(
        pack(PLAIN, p.long(b"d/" + b"n" * 200), file(b"short")), {b"d/" + b"n" * 200: DATA},
        extra=(b"d/" + b"n" * 200,),
    ),
    "a long name of GNU's, with a PAX header of times": Row(
        pack(PLAIN, p.long(b"n" * 200), p.pax((b"mtime", b"1.5")), file(b"short")),
        {b"n" * 200: DATA}, extra=(b"n" * 200,),
    ),
    "PAX": Row(
        pack(PLAIN, p.pax((b"path", KOREAN.encode()), (b"mtime", b"1.5"), (b"LIBARCHIVE.x", b"\0")),
             file(b"short")), {KOREAN.encode(): DATA}, extra=(KOREAN.encode(),),
    ),
    "PAX that tells the size": Row(
        pack(PLAIN, p.pax((b"size", b"%d" % len(DATA))), p.header(b"a"), p.padded(DATA)),
        A, extra=(b"a",),
    ),
    "git archive": Row(
        pack(p.pax((b"comment", b"0" * 40), kind=b"g"), p.header(b"v1/", kind=b"5"),
             network(b"v1/")), prefix=b"v1/", notes=("folder",),
    ),
    "git archive with a prefix of two folders": Row(
        pack(p.pax((b"comment", b"0" * 40), kind=b"g"), network(b"models/v1/")),
        prefix=b"models/v1/", notes=("folder",),
    ),
    "model-archiver's, of one folder": Row(
        pack(p.header(b"tiny", kind=b"5"), network(b"tiny/"), p.plain(b"tiny/MAR-INF/MANIFEST.json",
             b"{}")), {b"tiny/MAR-INF/MANIFEST.json": b"{}"}, prefix=b"tiny/",
        notes=("folder", "manifest_left_out"),
    ),
    "model-archiver's, with its folder beside": Row(
        pack(PLAIN, p.plain(b"MAR-INF/MANIFEST.json", b"{}")), {b"MAR-INF/MANIFEST.json": b"{}"},
        notes=("manifest_left_out",),
    ),
    "./ before the names": Row(
        pack(p.header(b"./", kind=b"5"), network(b"./"), file(b".//d/./a")), {b"d/a": DATA},
        extra=(b"d/a",),
    ),
    "folders of every kind": Row(
        pack(PLAIN, p.header(b"d", kind=b"5"), p.header(b"e/", kind=b"0"),
             p.header(b"f/", kind=b"\0"), p.header(b"d/", kind=b"5")),
    ),
    "one folder, with what macOS adds beside it": Row(
        pack(p.plain(b"._tiny", b"AppleDouble"), network(b"tiny/"), p.plain(
             b"tiny/._tiny-symbol.json", b"AppleDouble"), p.plain(b".DS_Store", b"x"),
             p.plain(b"Icon\r", b"")),
        {b"._tiny": b"AppleDouble", b"tiny/._tiny-symbol.json": b"AppleDouble", b".DS_Store": b"x",
         b"Icon\r": b""}, prefix=b"tiny/", extra=(b"._tiny-symbol.json",),
        notes=("folder", "outside_left_out"),
    ),
    **{
        f"a sparse file, {what}": Row(
            pack(PLAIN, data), HOLES, extra=(b"s",), notes=("sparse",)
        )
        for what, data in {
            "GNU's old form": p.old_sparse(b"s", SPARSE, 40_000),
            "PAX 0.1": p.pax_sparse(b"s", SPARSE, 40_000, "0.1"),
            "PAX 1.0, as bsdtar writes it": p.pax_sparse(b"s", SPARSE, 40_000, "1.0"),
        }.items()
    },
    **{
        f"a sparse file of many parts, {what}": Row(
            pack(PLAIN, data), {b"s": p.whole(MANY, 20_000)}, extra=(b"s",), notes=("sparse",)
        )
        for what, data in {
            "GNU's old form": p.old_sparse(b"s", MANY, 20_000),
            "PAX 1.0": p.pax_sparse(b"s", MANY, 20_000, "1.0"),
        }.items()
    },
    "weights that are sparse": Row(
        pack(network(b"", leaving=frozenset({b"tiny-0000.params"})), p.pax_sparse(
            b"tiny-0000.params", [(0, NETWORK[b"tiny-0000.params"])],
            len(NETWORK[b"tiny-0000.params"]), "1.0")), notes=("sparse",),
    ),
    "links into a hub's cache": Row(
        pack(
            *(p.plain(b"models--x/blobs/%d" % at, data)
              for at, data in enumerate(NETWORK.values())),
            p.plain(b"models--x/refs/main", b"abc"),
            *(p.header(b"models--x/snapshots/abc/" + name, kind=b"2", link=b"../../blobs/%d" % at)
              for at, name in enumerate(NETWORK)),
        ),
        {b"models--x/blobs/%d" % at: data for at, data in enumerate(NETWORK.values())}
        | {b"models--x/refs/main": b"abc"},
        prefix=b"models--x/snapshots/abc/", notes=("folder", "links", "outside_left_out"),
    ),
    "links over links, and hard links": Row(
        pack(
            *(p.plain(b"blobs/" + name, data) for name, data in NETWORK.items()),
            p.header(b"current", kind=b"2", link=b"blobs"),
            *(p.header(name, kind=b"2", link=b"current/./../current/" + name)
              for name in NETWORK if name != b"synset.txt"),
            p.header(b"synset.txt", kind=b"1", link=b"./blobs/synset.txt"),
        ),
        {b"blobs/" + name: data for name, data in NETWORK.items()},
        extra=tuple(b"blobs/" + name for name in NETWORK), notes=("links", "links_left_out"),
    ),
    "links that lead out, or nowhere, of files that nothing reads": Row(
        pack(PLAIN, p.header(b"out", kind=b"2", link=b"/etc/passwd"),
             p.header(b"up", kind=b"2", link=b"../../x"), p.header(b"no", kind=b"2", link=b"no-x"),
             p.header(b"round", kind=b"2", link=b"round")), notes=("links_left_out",),
    ),
    "names of all kinds": Row(
        pack(PLAIN, *map(file, (
            "전각\u3000공백".encode(), "줄\u00a0바꿈".encode(),
            unicodedata.normalize("NFD", KOREAN).encode(), b"a b ", b".hidden", b"-rf",
        ))),
        dict.fromkeys(("전각\u3000공백".encode(), "줄\u00a0바꿈".encode(),
                       unicodedata.normalize("NFD", KOREAN).encode(), b"a b ", b".hidden", b"-rf"),
                      DATA),
        extra=("전각\u3000공백".encode(), "줄\u00a0바꿈".encode(),
               unicodedata.normalize("NFD", KOREAN).encode(), b"a b ", b".hidden", b"-rf"),
    ),
    "names that cannot be told": Row(
        pack(PLAIN, *map(file, (KOREAN.encode("euc-kr"), b"Icon\r", b"a\nb", b"\x1b[31m"))),
        dict.fromkeys((KOREAN.encode("euc-kr"), b"Icon\r", b"a\nb", b"\x1b[31m"), DATA),
        notes=("names_left_out",),
    ),
    "a name in another encoding, as bsdtar marks it": Row(
        pack(PLAIN, p.pax((b"hdrcharset", b"BINARY"), (b"path", KOREAN.encode("euc-kr"))),
             file(b"x")), {KOREAN.encode("euc-kr"): DATA}, notes=("names_left_out",),
    ),
    "one folder around everything, a hidden one": Row(
        pack(network(b".cache/hub/")), prefix=b".cache/hub/", notes=("folder",),
    ),
    "one folder around everything, its name in another encoding": Row(
        pack(network(KOREAN.encode("euc-kr") + b"/"), file(KOREAN.encode("euc-kr") + b"/a")),
        {KOREAN.encode("euc-kr") + b"/a": DATA}, prefix=KOREAN.encode("euc-kr") + b"/",
        extra=(b"a",), notes=("folder",),
    ),
    "what systems and tools leave behind": Row(
        pack(PLAIN, *map(file, (b"._tiny-symbol.json", b".DS_Store", b"__pycache__/x.pyc",
                                b".ipynb_checkpoints/tiny-symbol.json", b"README.md"))),
        dict.fromkeys((b"._tiny-symbol.json", b".DS_Store", b"__pycache__/x.pyc",
                       b".ipynb_checkpoints/tiny-symbol.json", b"README.md"), DATA),
        extra=(b"._tiny-symbol.json", b".DS_Store", b"__pycache__/x.pyc",
               b".ipynb_checkpoints/tiny-symbol.json", b"README.md"),
    ),
    "more than 1 MB that nothing reads": Row(
        pack(PLAIN, p.plain(b"big", bytes(1024 * 1024)), p.plain(b"one", b"x")),
        {b"big": bytes(1024 * 1024), b"one": b"x"}, notes=("extra_left_out",),
    ),
    "1 MB that nothing reads": Row(
        pack(PLAIN, p.plain(b"big", bytes(1024 * 1024))), {b"big": bytes(1024 * 1024)},
        extra=(b"big",),
    ),
}  # fmt: skip
ALL = ("localaws", "GNU tar")
COMMENT = p.record(b"comment", b"ab")
OF_SPARSE = [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", b"s"),
             (b"GNU.sparse.realsize", b"512")]  # fmt: skip
ONE_PART = p.padded(b"1\n0\n512\n") + b"x" * 512
TAR = ("GNU tar",)
REFUSED: dict[str, Row] = {
    "bytes after gzip's end": Row(
        pack(PLAIN) + b"garbage", refused="goes on with other bytes after its end"
    ),
    "a gzip member after zeros": Row(
        gzip.compress(PLAIN) + bytes(9) + pack(file(b"a")), A, refused="goes on after the padding",
        readers=("localaws",),
    ),
    "a flag of gzip's that has no meaning": Row(
        pack(PLAIN)[:3] + b"\x20" + pack(PLAIN)[4:], refused="unknown header flags",
        readers=("localaws",),
    ),
    "a wrong checksum of gzip's header": Row(
        p.with_fields(PLAIN + END, fault=1), refused="header crc mismatch"
    ),
    "a wrong checksum of gzip's": Row(pack(PLAIN)[:-8] + bytes(8), refused="incorrect data check"),
    "cut short": Row(pack(PLAIN)[:-9], refused="it ends in the middle"),
    "cut short inside": Row(pack(PLAIN, file(b"a"), end=b"")[:0] + gzip.compress(
        (PLAIN + file(b"a"))[:-600]), refused="it ends in the middle of 'a'"),
    "cut short in a header": Row(
        gzip.compress((PLAIN + file(b"a"))[: len(PLAIN) + 200]),
        refused="it ends in the middle of a header", readers=TAR,
    ),
    "nothing": Row(
        gzip.compress(b""), refused="The archive is empty", network=False
    ),
    "folders and zeros alone": Row(
        pack(p.header(b"d/", kind=b"5")), refused="The archive is empty", readers=ALL, network=False
    ),
    "two archives in one file": Row(
        pack(PLAIN) + pack(file(b"a")), refused="something follows its end", readers=TAR
    ),
    "bytes after tar's end": Row(
        pack(PLAIN, end=END + b"x"), refused="something follows its end", readers=TAR
    ),
    "a file after one block of zeros": Row(
        pack(PLAIN, bytes(512), file(b"a")), refused="something follows its end", readers=TAR
    ),
    "a damaged header": Row(
        pack(PLAIN, p.header(b"a", checksum=1), file(b"b")), refused="a header is damaged"
    ),
    "an owner that is no number": Row(
        pack(PLAIN, p.header(b"a", owner=b" " * 8)), {b"a": b""}, refused="a header is damaged",
        readers=("localaws",),
    ),
    "a file with the number of a device that is none": Row(
        pack(PLAIN, p.header(b"a", device=b"x" * 8)), {b"a": b""}, refused="a header is damaged",
        readers=TAR,
    ),
    "a number that a NUL cuts": Row(
        pack(PLAIN, p.header(b"a", owner=b"0017\x0050\0")), {b"a": b""},
        refused="a header is damaged", readers=ALL,
    ),
    "an owner of a PAX header that is no number": Row(
        pack(PLAIN, p.header(b"x", size=len(COMMENT), kind=b"x", owner=b"x000000\0"),
             p.padded(COMMENT), file(b"a")), A, refused="a header is damaged", readers=TAR,
    ),
    "a PAX record without its newline": Row(
        pack(PLAIN, p.header(b"x", size=len(COMMENT), kind=b"x"), p.padded(COMMENT[:-1] + b"x"),
             file(b"a")), A, refused="a PAX header is damaged",
        # Python's tarfile: 3.11.2 refuses it, 3.11.7 reads it.
        readers=("localaws",) if sys.version_info[:3] > (3, 11, 2) else (),
    ),
    "a PAX header that ends in NULs": Row(
        pack(PLAIN, p.header(b"x", size=len(COMMENT) + 5, kind=b"x"), p.padded(COMMENT + bytes(5)),
             file(b"a")), A, refused="a PAX header is damaged", readers=ALL,
    ),
    "a sparse file with a PAX key that nobody knows": Row(
        pack(PLAIN, p.pax(*OF_SPARSE, (b"GNU.sparse.other", b"1")), p.plain(b"q", ONE_PART)),
        {b"s": b"x" * 512}, refused="a sparse file, are damaged", readers=ALL,
    ),
    "a sparse file with more bytes than its parts": Row(
        pack(PLAIN, p.pax(*OF_SPARSE), p.plain(b"q", ONE_PART + b"y" * 512)), {b"s": b"x" * 512},
        refused="do not fit it", readers=ALL,
    ),
    "a PAX key with a NUL": Row(
        pack(PLAIN, p.pax((b"comm\0ent", b"x")), file(b"a")), A, refused="a PAX header is damaged",
        readers=("localaws",),
    ),
    "a sparse file's version by half": Row(
        pack(PLAIN, p.pax(OF_SPARSE[0], *OF_SPARSE[2:]), p.plain(b"q", ONE_PART)),
        {b"s": b"x" * 512}, refused="in a form that is not known", readers=TAR,
    ),
    "a sparse file in PAX's oldest form": Row(
        pack(PLAIN, p.pax_sparse(b"s", SPARSE, 40_000, "0.0")), HOLES,
        refused="a form that nobody writes today", readers=TAR,
    ),
    "a sparse file whose number of parts is not told": Row(
        pack(PLAIN, p.pax(OF_SPARSE[2], (b"GNU.sparse.size", b"512"),
                          (b"GNU.sparse.map", b"0,512")), p.plain(b"s", b"x" * 512)),
        refused="not as many parts",
    ),
    "a sparse file with a number that a NUL cuts": Row(
        pack(PLAIN, p.pax(*OF_SPARSE[:3], (b"GNU.sparse.realsize", b"512\0")),
             p.plain(b"q", ONE_PART)), {b"s": b"x" * 512},
        refused="something else where a number belongs", readers=TAR,
    ),
    "a sparse file whose number of parts is wrong": Row(
        pack(PLAIN, p.pax((b"GNU.sparse.size", b"512"), (b"GNU.sparse.numblocks", b"7"),
                          (b"GNU.sparse.name", b"s"), (b"GNU.sparse.map", b"0,512")),
             p.plain(b"q", b"x" * 512)), {b"s": b"x" * 512}, refused="not as many parts",
        readers=TAR,
    ),
    "a size that is no number": Row(
        pack(PLAIN, p.header(b"a").replace(b"00000000000\x00", b"0000000000x\x00", 1)),
        refused="damaged",
    ),
    "two files of one name": Row(
        pack(PLAIN, p.plain(b"a", b"old"), file(b"./a")), A, readers=ALL,
        refused="is in the archive twice",
    ),
    "a file that is a folder, too": Row(
        pack(PLAIN, file(b"a"), file(b"a/b")), refused="a file and a folder at once"
    ),
    "a folder with content": Row(
        pack(PLAIN, p.header(b"d/", size=512, kind=b"5"), b"x" * 512), refused="comes with content"
    ),
    "a hard link with a size": Row(
        pack(PLAIN, file(b"a"), p.header(b"l", kind=b"1", link=b"a", size=len(DATA))),
        A | {b"l": DATA}, refused="comes with content", readers=ALL,
    ),
    "a hard link to what comes later": Row(
        pack(PLAIN, p.header(b"l", kind=b"1", link=b"a"), file(b"a")),
        refused="which is no file before it",
    ),
    "a hard link that leads out": Row(
        pack(PLAIN, p.header(b"l", kind=b"1", link=b"../synset.txt")),
        {b"l": NETWORK[b"synset.txt"]}, refused="which is no file before it", readers=TAR,
    ),
    "a file below a link": Row(
        pack(PLAIN, p.header(b"d/", kind=b"5"), p.header(b"l", kind=b"2", link=b"d"), file(b"l/a")),
        {b"d/a": DATA}, refused="a file and a folder at once, or a link", readers=TAR,
    ),
    "a link that leads nowhere at all": Row(
        pack(PLAIN, p.header(b"l", kind=b"2")), refused="a link that leads nowhere"
    ),
    "a link whose target is too long": Row(
        pack(PLAIN, p.long(b"a/" * 3000, b"K"), p.header(b"l", kind=b"2", link=b"x")),
        refused="a link that leads nowhere",
    ),
    "a device": Row(
        pack(PLAIN, p.header(b"null", kind=b"3")), refused="only plain files are taken", readers=TAR
    ),
    "a label of a volume": Row(
        pack(p.header(b"backup", kind=b"V", magic=p.GNU), PLAIN), refused="pack without --label",
        readers=TAR,
    ),
    "a kind that nobody knows": Row(
        pack(PLAIN, p.plain(b"q", DATA, kind=b"Q")), {b"q": DATA}, refused="not known here",
        readers=TAR,
    ),
    "two names for one file": Row(
        pack(PLAIN, p.long(b"n" * 120), p.pax((b"path", b"other")), file(b"x")), {b"other": DATA},
        refused="two headers tell the same", readers=TAR,
    ),
    "two PAX headers for one file": Row(
        pack(PLAIN, p.pax((b"path", b"other")), p.pax((b"mtime", b"1")), file(b"x")), {b"x": DATA},
        refused="two headers tell the same", readers=TAR,
    ),
    "one PAX name for all files": Row(
        pack(PLAIN, p.pax((b"path", b"all"), kind=b"g"), file(b"x")), {b"all": DATA},
        refused="a header for all files names 'path'", readers=TAR,
    ),
    "a PAX name with a NUL": Row(
        pack(PLAIN, p.pax((b"path", b"a\0b")), file(b"x")), A, refused="holds a NUL", readers=TAR
    ),
    "a header without its file": Row(
        pack(PLAIN, p.long(b"a" * 120)), refused="not followed by its file", readers=TAR
    ),
    "a header for all files, and none follows": Row(
        pack(PLAIN, p.pax((b"comment", b"x"), kind=b"g")), refused="not followed by its file",
        readers=TAR,
    ),
    "a sparse file whose parts are no blocks": Row(
        pack(PLAIN, p.pax_sparse(b"s", [(0, b"ab"), (512, b"cd"), (600, b"")], 600, "1.0")),
        {b"s": b"ab" + bytes(598)}, refused="are no blocks", readers=TAR,
    ),
    "a sparse file that does not say where it ends": Row(
        pack(PLAIN, p.old_sparse(b"s", [(0, b"ab")], 600)), {b"s": b"ab"}, refused="do not fit it",
        readers=TAR,
    ),
    "a sparse file whose parts overlap": Row(
        pack(PLAIN, p.pax_sparse(b"s", [(512, b"x" * 512), (0, b"y" * 512), (1024, b"")], 1024,
                                 "1.0")), {b"s": b"y" * 512 + b"x" * 512}, refused="overlap",
        readers=TAR,
    ),
    "a name that leads out": Row(pack(PLAIN, file(b"../a")), refused="points outside"),
    "a name below more than 32 folders": Row(
        pack(PLAIN, file(b"q/" * 32 + b"a")), {b"q/" * 32 + b"a": DATA}, refused="folders deep",
        readers=TAR,
    ),
    "a link and a file of one name": Row(
        pack(PLAIN, p.header(b"a", kind=b"2", link=b"synset.txt"), file(b"a")), A,
        refused="is in the archive twice", readers=TAR,
    ),
    "an absolute name": Row(
        pack(PLAIN, file(b"/a")), A, refused="points outside", readers=TAR
    ),
    "a name of Windows's": Row(
        pack(PLAIN, file(b"d\\a")), {b"d\\a": DATA}, refused="holds a backslash", readers=ALL
    ),
    "a name too long for a file system": Row(
        pack(PLAIN, p.long(b"n" * 256), file(b"x")), refused="is too long"
    ),
    "more zeros than may be": Row(
        pack(PLAIN, p.plain(b"z", bytes(p.MAX_BYTES))), {b"z": bytes(p.MAX_BYTES)},
        refused="unpacks to more than", readers=TAR,
    ),
    "more padding than may be": Row(
        pack(PLAIN, end=bytes(40 << 20)), refused="unpacks to more than", readers=ALL
    ),
    "a header record of megabytes": Row(
        pack(PLAIN, p.pax((b"comment", bytes(2 << 20))), file(b"a")), A,
        refused="a header record larger than 1 MB", readers=ALL,
    ),
    "a sparse file of terabytes": Row(
        pack(PLAIN, p.pax_sparse(b"s", [(0, b"x"), (1 << 44, b"")], 1 << 44, "1.0")),
        refused="unpacks to more than",
    ),
}  # fmt: skip


def read_all(data: bytes, place: Path) -> dict[str, p.Read]:
    path = place / "archive.tar.gz"
    path.write_bytes(data)
    found = {}
    for name, reader in p.READERS.items():
        (place / name).mkdir()
        found[name] = reader(path, place / name)
    return found


def canonical(place: Path) -> tuple[Any, bytes]:
    """What the first run of the validation finds, and what it packs."""
    contents = p.packed(place / "archive.tar.gz", place, place / "packed.tar")
    packed = place / "packed.tar"
    return contents, packed.read_bytes() if packed.exists() else b""


def held_alike(contents: Any, tar: bytes, read: Tree, place: Path) -> Tree:
    """What was packed, which all readers read alike, in gzip that is stored."""
    packed = p.read_tar(tar)
    assert list(packed) == sorted(packed, key=os.fsdecode)
    (place / "again").mkdir()
    for name, again in read_all(gzip.compress(tar, 0, mtime=0), place / "again").items():
        assert again == packed, name
    listed = {one.name.encode(): one for one in contents.files}
    assert packed.keys() == {name for name, one in listed.items() if one.packed}
    assert all(len(packed[name]) == listed[name].bytes for name in packed)
    assert len(contents.files) == len(read)
    assert contents.unpacked_bytes == sum(map(len, read.values()))
    assert contents.packed_bytes == sum(map(len, packed.values()))
    return packed


@pytest.mark.parametrize("what", READ)
def test_it_is_read_by_all_alike(what: str, tmp_path: Path) -> None:
    row = READ[what]
    expected = {row.prefix + name: data for name, data in NETWORK.items()} | row.more
    for name, found in read_all(row.data, tmp_path).items():
        assert found == expected, name

    contents, tar = canonical(tmp_path)

    assert not isinstance(contents, Refused), contents
    packed = held_alike(contents, tar, expected, tmp_path)
    assert packed == NETWORK | {name: expected[row.prefix + name] for name in row.extra}
    assert sorted(note.code for note in contents.notes) == sorted(row.notes)
    assert {one.name.encode() for one in contents.files if one.read} == NETWORK.keys()


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_with_a_reason_and_who_reads_it_is_known(what: str, tmp_path: Path) -> None:
    row = REFUSED[what]
    found = read_all(row.data, tmp_path)
    told = found.pop("validation")
    assert isinstance(told, Refused)
    assert row.refused in told.why
    assert tuple(name for name, read in found.items() if not isinstance(read, Refused)) == (
        row.readers
    )
    for name in row.readers:
        assert found[name] == (NETWORK if row.network else {}) | row.more, name
    contents, tar = canonical(tmp_path)
    assert contents == told
    assert tar == b""


@pytest.mark.parametrize(
    ("epochs", "served", "noted"),
    [
        ((5, 10, 17), 17, "weights of several epochs ('tiny-0005.params', 'tiny-0010.params', "
         "'tiny-0017.params'): the highest are served"),
        ((17,), 17, "of epoch 17: tiny-0017.params"),
        ((10, 9), 10, "several epochs"),
        ((9999, 10_000), 10_000, "several epochs"),
    ],
)  # fmt: skip
def test_the_highest_epoch_is_read_and_noted(
    epochs: tuple[int, ...], served: int, noted: str, tmp_path: Path
) -> None:
    (tmp_path / "archive.tar.gz").write_bytes(of_epochs(*epochs))
    contents, _ = canonical(tmp_path)
    read = {one.name for one in contents.files if one.read}
    assert {name for name in read if "params" in name} == {f"tiny-{served:04d}.params"}
    (note,) = contents.notes
    assert note.code == "epoch"
    assert noted in note.message


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            pack(network(b"", leaving=frozenset({b"synset.txt"})),
                 p.header(b"synset.txt", kind=b"2", link=b"/data/synset.txt")),
            "link_or_device: 'synset.txt' is a link to '/data/synset.txt', which is no file of the "
            "archive: pack with `tar -h`",
        ),
        (pack(network(b"a/"), network(b"b/")), "missing_file: There are networks in 2 folders"),
        (
            pack(*(p.plain(name.replace(b"tiny", KOREAN.encode("euc-kr")), data)
                   for name, data in NETWORK.items())),
            "unsafe_path: The name",
        ),
        (pack(file(b"a")), "missing_file: 4 files are missing: NAME-symbol.json"),
        (pack(), "missing_file: The archive is empty"),
    ],
)  # fmt: skip
def test_what_is_read_but_cannot_be_packed_is_refused_with_a_sentence(
    data: bytes, said: str, tmp_path: Path
) -> None:
    (tmp_path / "archive.tar.gz").write_bytes(data)
    contents, tar = canonical(tmp_path)
    assert isinstance(contents, Refused)
    assert contents.why.startswith(said)
    assert tar == b""


def test_one_link_is_noted_as_one(tmp_path: Path) -> None:
    link = p.header(b"readme", kind=b"2", link=b"synset.txt")
    (tmp_path / "archive.tar.gz").write_bytes(pack(PLAIN, link))
    contents, _ = canonical(tmp_path)
    assert [note.message for note in contents.notes] == [
        "1 link is followed: what it leads to is taken."
    ]


def test_a_network_in_the_folder_of_a_manifest_is_none(tmp_path: Path) -> None:
    (tmp_path / "archive.tar.gz").write_bytes(pack(network(b"MAR-INF/")))
    contents, tar = canonical(tmp_path)
    assert "4 files are missing: NAME-symbol.json" in contents.why
    assert "Found" not in contents.why
    assert tar == b""


def test_the_same_files_make_the_same_tar_however_they_were_packed(tmp_path: Path) -> None:
    made = set()
    for at, data in enumerate([
        pack(PLAIN), p.bgzip(PLAIN + END), pack(network(b"./v1/")), p.members(PLAIN, 777),
        pack(*(p.plain(name, data, magic=p.GNU) for name, data in reversed(NETWORK.items()))),
    ]):  # fmt: skip
        place = tmp_path / str(at)
        place.mkdir()
        (place / "archive.tar.gz").write_bytes(data)
        made.add(canonical(place)[1])
    assert len(made) == 1


# --- as real archivers write them ----------------------------------------------------------------

#: bsdtar 3.6.2 (libarchive, as macOS has it) of a folder with the network and a sparse file.
BSDTAR = base64.b85decode(
    "ABzY8000000t4;a&u-H&90%}@V-Odf!0NeVcH%Vcq#Y2_;DnG6r>d&l#alBqe`LF?W$IJxg}CxaaKi4N(JUGWL^Dyo"
    "A60ei#BmbmH)oaOAGh|7QW{4QajA7bU1wMnQWnRQ(~#KB!!B!)sMUa(HbU7$`3ommIk|s?e{9lx@j@@MaWVC;bdm3+"
    "|GS(&-2XAV*Z(YtIBgM%{@=Tsc3vb>w@=96rd^aaZRfM;wB50($fV0B!U&g7^KxcZTMm~U^3c{7=c8+xUQWz!RT-y3"
    "KV0F=R#?0$@?4%9nN+K~oG?bYO7>)C*=Uj`iOk*FpuMc@b3i-9eTE$}U_Tav&Ejs8y0|cznD4e#s$yI{#zA;jbLb93"
    "U5@UqrY*Nk1g_kbjZ|?xDvjD%)giVz?~urCGm#=$?~`x$Svj$6o=Y?OD3wkNcWwiF8151?+NW%|T>g3dzZ3H}wsEPB"
    "bt#mV&BuR0c|HESEiy;^?_EeqX3|WavbZ00dqLC<eHQXKj{1yyK|o%={ot=}3_lZBg*s*TOViwzQZMN3mb#!h^*6Va"
    "XIt4>r=*zb^pkCKb*;P>JmUCoJLdhWU(V90^ywb{3j93&16F(fV__J^82=lIf3L^-fyZgTyZWN*#Z6=)HV@q#00000"
    "0000Eo|#A@^8`PH000000000Su<iWci72Ihr1`%zVzv2yjAQ;!69zZ6dA_TA!A&t`s~M_2`x!2W2$e&Qe|OLNrBEW%"
    "jmLi&gthtqEI|A>;`vcE|74SX`F8tto8Ojw-lRte8vua+-gcZg+8HP6;{$oQUH5F03UzsM_o~>_YN2}>3|F?P=Rdv3"
    "wKTq&n|-zM%m4ps?|(7Q8J_=|AiOc&@c;k-00000061XZ0aHi~8vsxM00"
)
HOLED = p.whole([(8192, b"x" * 4096), (40_960, b"the end")], 100_000)


def a_folder(place: Path) -> Path:
    """A folder with the network, a sparse file, links, and names of all kinds."""
    folder = place / "v1"
    (folder / "more").mkdir(parents=True)
    for name, data in NETWORK.items():
        (folder / os.fsdecode(name)).write_bytes(data)
    with (folder / "sparse").open("wb") as file:
        file.seek(8192)
        file.write(b"x" * 4096)
        file.seek(40_960)
        file.write(b"the end")
        file.truncate(100_000)
    (folder / "more" / (KOREAN * 20)).write_bytes(DATA)
    (folder / "more" / "hard").hardlink_to(folder / "synset.txt")
    (folder / "more" / "soft").symlink_to("../synset.txt")
    return folder


FOLDER = NETWORK | {
    b"sparse": HOLED, b"more/" + (KOREAN * 20).encode(): DATA,
    b"more/hard": NETWORK[b"synset.txt"], b"more/soft": NETWORK[b"synset.txt"],
}  # fmt: skip


def test_bsdtar_by_itself_writes_sparse_files_which_are_read(tmp_path: Path) -> None:
    for name, found in read_all(BSDTAR, tmp_path).items():
        assert found == NETWORK | {b"sparse": HOLED}, name
    contents, tar = canonical(tmp_path)
    assert p.read_tar(tar) == NETWORK | {b"sparse": HOLED}
    assert "sparse" in {note.code for note in contents.notes}


@pytest.mark.parametrize(
    "options",
    [
        ["--format=gnu"], ["--format=oldgnu"], ["--format=posix"], ["--format=gnu", "--sparse"],
        *(["--format=posix", "--sparse", f"--sparse-version={one}"]
          for one in ("0.1", "1.0")),
        ["--dereference", "--hard-dereference"], ["--format=gnu", "--xform=s,^,./,"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_whatever_gnu_tar_writes_is_read_alike(options: list[str], tmp_path: Path) -> None:
    folder = a_folder(tmp_path)
    done = subprocess.run(
        ["tar", "-czf", "-", *options, "-C", str(folder.parent), "v1"], capture_output=True,
        check=True, timeout=60, env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    for name, found in read_all(done.stdout, tmp_path).items():
        assert found == {b"v1/" + path: data for path, data in FOLDER.items()}, name
    _, tar = canonical(tmp_path)
    assert p.read_tar(tar) == FOLDER


def test_what_git_archive_writes_is_read(tmp_path: Path) -> None:
    folder = a_folder(tmp_path)

    def git(*words: str) -> bytes:
        who = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
               "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b.c", "GIT_COMMITTER_NAME": "a",
               "GIT_COMMITTER_EMAIL": "a@b.c"}  # fmt: skip
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, check=True, timeout=60,
            env=os.environ | who,
        )  # fmt: skip
        return done.stdout

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "The network")
    data = git("archive", "--format=tar.gz", "--prefix=models/v1/", "HEAD")
    for name, found in read_all(data, tmp_path).items():
        assert found == {b"models/v1/" + path: data for path, data in FOLDER.items()}, name
    contents, tar = canonical(tmp_path)
    assert p.read_tar(tar) == FOLDER
    assert {note.code for note in contents.notes} == {"folder", "links"}


# --- the property --------------------------------------------------------------------------------

EXAMPLES = int(os.environ.get("MME_PACKINGS", "120"))
NAMES = [
    b"a", b"d/b", b"d/e/c", b"README.md", b"._tiny-symbol.json", b".DS_Store", b"Icon\r",
    b"__pycache__/x.pyc", b".ipynb_checkpoints/tiny-symbol.json", b"MAR-INF/MANIFEST.json",
    KOREAN.encode(), unicodedata.normalize("NFD", KOREAN).encode(), KOREAN.encode("euc-kr"),
    "\u3000\u00a0".encode(), b"n" * 99, b"n" * 100, b"d/" + b"m" * 98, b"tiny-0005.params",
    b"tiny-0017.params", b"other-0000.params", b"folder/tiny-symbol.json", b"line\nbreak", b"-rf",
]  # fmt: skip
LONG = [b"n" * 101, b"d/" + b"o" * 200, b"/".join([b"p" * 60] * 4), (KOREAN * 30).encode()]
ODD_NAMES = [b"../a", b"/a", b"d\\a", b"", b".", b"d/..", b"n" * 256, b"q/" * 33 + b"a", b"a\0b"]
contents = st.one_of(
    st.sampled_from([b"", b"x", bytes(511), bytes(512), b"y" * 513, DATA, bytes(5000)]),
    st.binary(max_size=700),
)
rarely = st.sampled_from([False] * 24 + [True])


@st.composite
def a_name(draw: st.DrawFn) -> bytes:
    if draw(rarely):
        return draw(st.sampled_from(ODD_NAMES))
    name: bytes = draw(st.sampled_from(NAMES + LONG))
    return draw(st.sampled_from([b"", b"", b"", b"./", b".//", b"./././"])) + name


def as_file(name: bytes, data: bytes, how: str) -> bytes:
    """A file with its name said in one of the ways there are."""
    magic = p.GNU if how.startswith("gnu") else p.V7 if how == "v7" else p.USTAR
    head = b""
    if how == "gnu long" or (magic != p.USTAR and len(name) > 100):
        head = p.long(name)
    elif how == "gnu long and times":
        head = p.long(name) + p.pax((b"mtime", b"1.5"))
    elif how == "pax" or len(name) > 100 or b"\0" in name:
        folder, _, last = name[:156].rpartition(b"/")
        if how == "ustar" and 0 < len(folder) < 155 and name == folder + b"/" + last and last:
            return p.header(last, size=len(data), prefix=folder) + p.padded(data)
        head = p.pax((b"path", name), (b"atime", b"12.5"), (b"size", b"%d" % len(data)))
    tail = b"14716412345\0" * 2 if how == "gnu times" else None
    kind = b"\0" if how == "v7" else b"7" if how == "contiguous" else b"0"
    return head + p.header(name, size=len(data), magic=magic, tail=tail, kind=kind) + p.padded(data)


HOW = ["ustar", "ustar", "gnu", "gnu long", "gnu times", "gnu long and times", "pax", "pax", "v7",
       "contiguous"]  # fmt: skip


@st.composite
def a_sparse_file(draw: st.DrawFn) -> bytes:
    parts: list[tuple[int, bytes]] = []
    where = 0
    for _ in range(draw(st.integers(0, 30 if draw(rarely) else 5))):
        where += 512 * draw(st.integers(0, 9))
        blocks = draw(st.integers(1, 2))
        parts.append((where, draw(st.sampled_from([b"x", b"y", b"\0"])) * 512 * blocks))
        where += 512 * blocks
    if draw(st.booleans()):
        tail = draw(st.binary(min_size=1, max_size=511))
        parts.append((where, tail))
        where += len(tail)
    size = where + draw(st.integers(0, 3000))
    parts.append((size, b""))
    if draw(rarely):  # nobody writes such
        fault = draw(st.sampled_from(["no end", "short", "disorder"]))
        if fault == "no end":
            parts.pop()
        elif fault == "short":
            parts = [(at, data[:100]) for at, data in parts]
        else:
            parts.reverse()
    name = draw(st.sampled_from([b"sparse", b"d/sparse", b"./sparse", b"n" * 80]))
    how = draw(st.sampled_from(["old", "0.0", "0.1", "1.0", "1.0"]))
    if how == "old":
        return p.old_sparse(name, parts, size)
    return p.pax_sparse(name, parts, size, how)


@st.composite
def a_member(draw: st.DrawFn) -> bytes:
    what = draw(st.sampled_from(["file"] * 8 + ["sparse"] * 3 + ["folder"] * 2 + ["link"] * 3
                                + ["hard link"] * 2 + ["global"] + ["odd"]))  # fmt: skip
    if what == "file":
        return as_file(draw(a_name()), draw(contents), draw(st.sampled_from(HOW)))
    if what == "sparse":
        return draw(a_sparse_file())
    if what == "folder":
        folders = [b"d5", b"d/5", b"e/0", b"./5", b"e/\0", b"d/e/5"]
        folder: bytes = draw(st.sampled_from(folders))
        return p.header(folder[:-1], kind=folder[-1:])
    if what == "global":
        return p.pax((draw(st.sampled_from([b"comment", b"comment", b"mtime", b"path"])), b"1"),
                     kind=b"g")  # fmt: skip
    targets = [b"a", b"./a", b"d/b", b"d/../a", b"d", b"l", b"synset.txt", b"tiny-symbol.json",
               b"no", b"../a", b"/etc/hostname", b"tiny-0000.params"]  # fmt: skip
    if what.endswith("link"):
        name = draw(st.sampled_from([b"l", b"m", b"k", b"d/l", b"d/k", b"d/e/l", b"a"]))
        target = draw(st.sampled_from(targets))
        kind = b"1" if what == "hard link" else b"2"
        if draw(rarely):
            return p.long(target, b"K") + p.header(name, kind=kind, link=b"x", magic=p.GNU)
        return p.header(name, kind=kind, link=target)
    return draw(st.sampled_from([
        p.header(b"dev", kind=b"3"), p.header(b"pipe", kind=b"6"), p.plain(b"q", b"q", kind=b"Q"),
        p.header(b"label", kind=b"V", magic=p.GNU), p.header(b"c", checksum=1), p.long(b"n" * 150),
        p.pax((b"path", b"twice")), p.pax((b"path", b"")), p.header(b"d", size=9, kind=b"5"),
        p.header(b"o", owner=b" " * 8), p.header(b"o", owner=bytes(8)),
        p.header(b"t", mtime=b"-0000000001\0"), p.header(b"t", mtime=b"\xff" * 12), bytes(512),
        p.header(b"v", magic=p.V7, prefix=b"prefix"), p.header(b"l/x"), p.header(b"h", size=9,
        kind=b"1", link=b"synset.txt"), p.pax((b"LIBARCHIVE.y", b"\xff\0\n=")), b"junk" * 128,
    ]))  # fmt: skip


@st.composite
def an_archive(draw: st.DrawFn) -> bytes:
    prefix = draw(st.sampled_from([b"", b"", b"./", b"top/", b"./top/", b"a b/v1/"]))
    how = draw(st.sampled_from(HOW))
    pieces = [as_file(prefix + name, data, how) for name, data in NETWORK.items()]
    if draw(rarely):
        name = draw(st.sampled_from(sorted(NETWORK)))
        pieces = [as_file(prefix + one, data, how) for one, data in NETWORK.items() if one != name]
        pieces.append(as_file(prefix + b"blobs/1", NETWORK[name], how))
        pieces.append(p.header(prefix + name, kind=b"2", link=b"blobs/1"))
    pieces += draw(st.lists(a_member(), max_size=6))
    tar = b"".join(draw(st.permutations(pieces)))
    tar += draw(st.sampled_from([END, END, END, END, bytes(10240), b"", bytes(512), bytes(1100)]))
    if draw(rarely):
        tar += draw(st.sampled_from([b"x", p.plain(b"late", b"x") + END, b"\0" * 99 + b"y"]))
    if draw(rarely):
        tar = tar[: draw(st.integers(0, len(tar)))]
    if tar and draw(rarely):  # most of what is not covered by a checksum: PAX records, maps, names
        changed = bytearray(tar)
        for at in draw(st.lists(st.integers(0, len(tar) - 1), min_size=1, max_size=12)):
            changed[at] = draw(st.sampled_from(list(b"\0 0=\n/.x\xff9")))
        tar = bytes(changed)
    gz = draw(st.sampled_from(["one", "one", "stored", "bgzip", "777", "1000", "split", "fields"]))
    if gz in ("one", "stored"):
        data = gzip.compress(tar, 0 if gz == "stored" else 6, mtime=0)
    elif gz == "bgzip":
        data = p.bgzip(tar, draw(st.sampled_from([512, 60_000])))
    elif gz == "fields":
        data = p.with_fields(tar, checksum=draw(st.booleans()), fault=int(draw(rarely)))
    elif gz == "split":
        at = draw(st.integers(0, len(tar)))
        between = bytes(8) if draw(rarely) else b""
        data = gzip.compress(tar[:at], 1, mtime=0) + between + gzip.compress(tar[at:], 9, mtime=0)
    else:
        data = p.members(tar, int(gz))
    data += draw(st.sampled_from([b"", b"", b"", bytes(1), bytes(700)]))
    if draw(rarely):
        data += draw(st.sampled_from([b"garbage", b"\x1f\x8b\x08", b"\0\0x"]))
    if draw(rarely):
        data = data[: draw(st.integers(0, len(data)))]
    if draw(rarely):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        data = data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
    return data


ended: collections.Counter[str] = collections.Counter()


def excused(why: str, readers: set[str]) -> str:
    """The row of the table by which so many read what the validation refuses; none: empty."""
    rows = {what: row for what, row in REFUSED.items() if row.refused in why}
    known = {reader for row in rows.values() for reader in row.readers}
    return next(iter(rows), "") if readers <= known else ""


@pytest.mark.xdist_group("packings")  # with the next, which counts
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(data=an_archive())
def test_no_two_readers_read_an_archive_differently(data: bytes) -> None:
    """What the validation reads, all read, with the same names and bytes; what it packs, too.

    What it refuses, others refuse too, or the table has a row that says who reads it; and these
    read the same.
    """
    with tempfile.TemporaryDirectory(prefix="mme-packings-") as folder:
        place = Path(folder)
        found = read_all(data, place)
        told = found["validation"]
        trees = {name: read for name, read in found.items() if not isinstance(read, Refused)}
        if isinstance(told, Refused):
            row = excused(told.why, set(trees)) if trees else "all refuse"
            assert row, (told, {name: str(read)[:300] for name, read in found.items()})
            assert len({repr(sorted(read.items())) for read in trees.values()}) <= 1
            ended["refused by all" if not trees else f"refused, but read: {row}"] += 1
            return
        assert all(read == told for read in found.values()), found
        contents, tar = canonical(place)
        if isinstance(contents, Refused):
            ended[f"read by all, not packed: {contents.why.partition(':')[0]}"] += 1
            return
        held_alike(contents, tar, told, place)
        ended["read by all, packed and read again by all"] += 1


@pytest.mark.xdist_group("packings")
def test_the_property_met_all_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """The archives above were not all of one kind; says how they ended in the long mode."""
    if not ended:
        pytest.skip("runs after the property")
    if EXAMPLES > 120:
        with capsys.disabled():
            print(f"\n{sum(ended.values())} archives")
            for what, count in sorted(ended.items()):
                print(f"{count:6} {what}")
    assert ended["read by all, packed and read again by all"] > sum(ended.values()) / 4
    assert ended["refused by all"]
