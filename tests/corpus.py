"""Hostile and broken archives, each made by code: what an upload may be, and what is to come of it.

``CORPUS`` has for each name a function that makes the bytes, and the kind of its refusal
(models_catalog/reasons.py), or READY where the portal reads it and serves what it validated.
"""

import gzip
import io
import json
import random
import struct
import tarfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from tests.artifacts import constant_network, params_bytes

READY = "ready"
Make = Callable[[], bytes]
Change = Callable[[dict[str, bytes]], None]

LABELS = ("cat", "dog", "fish")
NETWORK = constant_network(labels=LABELS, answer=1)
SYMBOL, PARAMS, SHAPES, SYNSET = NETWORK
_BLOCK = 512
_MEGABYTE = 1 << 20


# --- tar, written by hand where tarfile would not ------------------------------------------------


def header(name: bytes = b"a", size: int = 0, kind: bytes = b"0", **fields: bytes) -> bytes:
    """A ustar header with a right checksum; ``fields`` replace what would be written."""
    parts = {
        "name": name[:100].ljust(100, b"\0"),
        "mode": b"0000644\0",
        "uid": b"0000000\0",
        "gid": b"0000000\0",
        "size": b"%011o\0" % size,
        "mtime": b"00000000000\0",
        "chksum": b" " * 8,
        "type": kind,
        "linkname": bytes(100),
        "magic": b"ustar\x0000",
        "owner": bytes(64),
        "device": b"0000000\x000000000\0",
        "prefix": bytes(155),
        "rest": bytes(12),
    }
    parts |= {key: value.ljust(len(parts[key]), b"\0") for key, value in fields.items()}
    data = b"".join(parts.values())
    if "chksum" not in fields:
        data = data.replace(b" " * 8, b"%06o\0 " % sum(data), 1)
    return data


def entry(name: bytes, data: bytes = b"", kind: bytes = b"0", **fields: bytes) -> bytes:
    """A header with its content, padded to blocks."""
    return header(name, len(data), kind, **fields) + data + bytes(-len(data) % _BLOCK)


def _of_size(size: bytes, name: bytes = b"a") -> bytes:
    """A header in which the size stands so."""
    plain = header(name, chksum=b" " * 8)
    data = plain[:124] + size + plain[136:]
    return data.replace(b" " * 8, b"%06o\0 " % sum(data), 1)


def pax(records: bytes, kind: bytes = b"x") -> bytes:
    """A PAX header of these records, as they are."""
    return entry(b"pax", records, kind)


def record(key: bytes, value: bytes) -> bytes:
    """One PAX record, with its length."""
    rest = b" %s=%s\n" % (key, value)
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


END = bytes(2 * _BLOCK)
GOOD = b"".join(entry(name.encode(), data) for name, data in NETWORK.items())


def tar(*parts: bytes) -> Make:
    """gzip of these parts and the end of the archive."""
    return lambda: gzip.compress(b"".join(parts) + END, mtime=0)


def beside(*parts: bytes) -> Make:
    """A good network with these parts after it."""
    return tar(GOOD, *parts)


def files(change: Change | None = None) -> Make:
    """The good network's files, changed, packed as tarfile does."""

    def make() -> bytes:
        found = dict(NETWORK)
        if change is not None:
            change(found)
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as archive:
            for name, data in found.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return out.getvalue()

    return make


def put(name: str, data: bytes | str) -> Make:
    """The good network with one file replaced or added."""
    raw = data.encode() if isinstance(data, str) else data
    return files(lambda found: found.update({name: raw}))


def without(*names: str) -> Make:
    """The good network without these files."""

    def change(found: dict[str, bytes]) -> None:
        for name in names:
            del found[name]

    return files(change)


def cut(part: float) -> Make:
    """The good archive, of which so much is there."""
    return lambda: (data := files()())[: int(len(data) * part)]


def cut_inside(part: float) -> Make:
    """A whole gzip of a tar that is cut."""
    return lambda: gzip.compress((data := GOOD + END)[: int(len(data) * part)])


def flipped(at: float) -> Make:
    """The good archive with one byte turned over."""

    def make() -> bytes:
        data = bytearray(files()())
        data[int(len(data) * at)] ^= 0xFF
        return bytes(data)

    return make


# --- networks --------------------------------------------------------------------------------


def symbol(change: Callable[[dict[str, Any]], None]) -> Make:
    """The good network with its graph changed."""

    def make() -> bytes:
        graph = json.loads(NETWORK[SYMBOL])
        change(graph)
        return put(SYMBOL, json.dumps(graph))()

    return make


def node(index: int, **changes: Any) -> Make:
    """The good network with one node of its graph changed."""
    return symbol(lambda graph: graph["nodes"][index].update(changes))


def params(arrays: Mapping[str, tuple[tuple[int, ...], list[float]]]) -> Make:
    """The good network with other parameters."""
    return put(PARAMS, params_bytes(arrays))


def shape(*sizes: object) -> Make:
    """The good network with another input shape."""
    return put(SHAPES, json.dumps([{"name": "data", "shape": list(sizes)}]))


def params_with(at: int, data: bytes) -> Make:
    """The good network, some bytes of whose parameters are others."""
    found = bytearray(NETWORK[PARAMS])
    found[at : at + len(data)] = data
    return put(PARAMS, bytes(found))


def deep(depth: int) -> str:
    """JSON of so many lists in each other."""
    return "[" * depth + "]" * depth


def zeros(megabytes: int) -> Make:
    """A bomb: a good network, and a file of zeros that is a thousandth as large packed."""

    def make() -> bytes:
        packed = zlib.compressobj(9, zlib.DEFLATED, 31)
        size = megabytes * _MEGABYTE
        out = [packed.compress(GOOD + header(b"zeros.bin", size))]
        out += [packed.compress(bytes(_MEGABYTE)) for _ in range(megabytes)]
        return b"".join([*out, packed.compress(END), packed.flush()])

    return make


def symbol_of(megabytes: int) -> Make:
    """A graph that is so large: one string of spaces, which packs to nothing."""

    def make() -> bytes:
        size = megabytes * _MEGABYTE
        packed = zlib.compressobj(9, zlib.DEFLATED, 31)
        rest = b"".join(entry(n.encode(), d) for n, d in NETWORK.items() if n != SYMBOL)
        out = [packed.compress(rest + header(SYMBOL.encode(), size))]
        out.append(packed.compress(NETWORK[SYMBOL]))
        left = size - len(NETWORK[SYMBOL])
        while left:
            out.append(packed.compress(b" " * min(left, _MEGABYTE)))
            left -= min(left, _MEGABYTE)
        return b"".join([*out, packed.compress(END), packed.flush()])

    return make


def noise() -> bytes:
    """Bytes of no meaning."""
    return random.Random(7).randbytes(4096)


_ONE = {"arg:fc_weight": ((3, 192), [0.0] * 576), "arg:fc_bias": ((3,), [0.0, 9.0, 0.0])}

CORPUS: dict[str, tuple[Make, str]] = {
    # --- the layer of gzip
    "nothing at all": (lambda: b"\0", "not_gzip"),
    "text": (lambda: b"I am text, and no archive.", "not_gzip"),
    "noise": (noise, "not_gzip"),
    "zip": (lambda: b"PK\x03\x04" + bytes(200), "not_gzip"),
    "xz": (lambda: b"\xfd7zXZ\0" + bytes(200), "not_gzip"),
    "a plain tar": (lambda: GOOD + END, "not_gzip"),
    "gzip magic alone": (lambda: b"\x1f\x8b", "not_gzip"),
    "gzip of another method": (lambda: b"\x1f\x8b\x09" + bytes(60), "not_gzip"),
    "gzip, cut in its header": (cut(0.003), "not_gzip"),
    "gzip, a quarter of it": (cut(0.25), "not_gzip"),
    "gzip, all but its end": (cut(0.98), "not_gzip"),
    "gzip with a flipped byte": (flipped(0.5), "not_gzip"),
    "gzip with a wrong checksum": (flipped(0.99), "not_gzip"),
    "gzip, and text after it": (lambda: files()() + b"and more", "not_gzip"),
    "gzip, padding, and gzip": (lambda: files()() + bytes(512) + files()(), "not_gzip"),
    "gzip twice over": (lambda: gzip.compress(files()()), "not_tar"),
    "gzip in two members": (
        lambda: gzip.compress(GOOD[:700]) + gzip.compress(GOOD[700:] + END),
        READY,
    ),
    "gzip, padded with zeros": (lambda: files()() + bytes(10_240), READY),
    # --- the layer of tar
    "gzip of text": (lambda: gzip.compress(b"I am text, and no tar. " * 99), "not_tar"),
    "gzip of nothing": (lambda: gzip.compress(b""), "missing_file"),
    "tar without a file": (tar(), "missing_file"),
    "tar, cut in a header": (cut_inside(0.03), "not_tar"),
    "tar, half of it": (cut_inside(0.5), "not_tar"),
    "tar without its end": (lambda: gzip.compress(GOOD), READY),
    "a checksum that lies": (beside(header(b"a", chksum=b"000001\0 ")), "not_tar"),
    "a size that lies, too large": (tar(header(b"a", 1 << 30), GOOD), "too_large"),
    "a size of letters": (beside(_of_size(b"zzzzzzzzzzz\0")), "not_tar"),
    "a size in base-256 that lies": (
        beside(_of_size(b"\x80" + bytes(6) + b"\1\0\0\0\0")),
        "too_large",
    ),
    "a size in base-256 below zero": (beside(_of_size(b"\xff" * 12)), "not_tar"),
    "sizes in base-256": (
        tar(
            *(
                _of_size(b"\x80" + len(d).to_bytes(11, "big"), n.encode())
                + d
                + bytes(-len(d) % _BLOCK)
                for n, d in NETWORK.items()
            )
        ),
        READY,
    ),
    "a name of 300 characters": (
        beside(pax(record(b"path", b"n" * 300)), entry(b"n")),
        "unsafe_path",
    ),
    "a path of 5,000 characters": (
        beside(pax(record(b"path", b"/".join([b"n" * 99] * 50))), entry(b"n")),
        "unsafe_path",
    ),
    "100 folders in each other": (
        beside(pax(record(b"path", b"d/" * 100 + b"f")), entry(b"f")),
        "unsafe_path",
    ),
    "an absolute path": (beside(entry(b"/etc/escape", b"x")), "unsafe_path"),
    "dots that lead out": (beside(entry(b"../escape", b"x")), "unsafe_path"),
    "dots in the middle": (beside(entry(b"a/../../escape", b"x")), "unsafe_path"),
    "a file of no name": (beside(entry(b"", b"x")), "unsafe_path"),
    "a name of dots": (beside(entry(b"..", b"x")), "unsafe_path"),
    "a name with a NUL": (beside(pax(record(b"path", b"a\0b")), entry(b"a")), "not_tar"),
    "a network's name that is no UTF-8": (
        tar(
            *(
                entry(n.encode() if n != SYMBOL else b"\xff-symbol.json", d)
                for n, d in NETWORK.items()
            )
        ),
        "missing",
    ),
    "a file twice": (beside(entry(SYNSET.encode(), b"other\n" * 3)), "unsafe_path"),
    "a file twice, written otherwise": (
        beside(entry(b"./" + SYNSET.encode(), b"other\n" * 3)),
        "unsafe_path",
    ),
    "a file that is a folder too": (beside(entry(b"a", b"x"), entry(b"a/b", b"x")), "unsafe_path"),
    "a link out": (beside(entry(b"out", kind=b"2", linkname=b"/etc/passwd")), READY),
    "labels that are a link out": (
        tar(
            *(entry(n.encode(), d) for n, d in NETWORK.items() if n != SYNSET),
            entry(SYNSET.encode(), kind=b"2", linkname=b"/etc/passwd"),
        ),
        "link_or_device",
    ),
    "labels that are a link to themselves": (
        tar(
            *(entry(n.encode(), d) for n, d in NETWORK.items() if n != SYNSET),
            entry(SYNSET.encode(), kind=b"2", linkname=SYNSET.encode()),
        ),
        "link_or_device",
    ),
    "labels through a link inside": (
        tar(
            *(
                entry(n.encode() if n != SYNSET else b"labels/all.txt", d)
                for n, d in NETWORK.items()
            ),
            entry(SYNSET.encode(), kind=b"2", linkname=b"labels/all.txt"),
        ),
        READY,
    ),
    "a hard link out": (
        beside(entry(b"hard", kind=b"1", linkname=b"/etc/passwd")),
        "link_or_device",
    ),
    "a device": (beside(entry(b"null", kind=b"3")), "link_or_device"),
    "a named pipe": (beside(entry(b"pipe", kind=b"6")), "link_or_device"),
    "a kind that nobody knows": (beside(entry(b"odd", kind=b"Z")), "not_tar"),
    "a PAX header for nothing": (beside(pax(record(b"path", b"a"))), "not_tar"),
    "a PAX record whose length lies": (beside(pax(b"999 path=a\n"), entry(b"a")), "not_tar"),
    "a PAX size that lies": (
        beside(pax(record(b"size", b"1000000")), entry(b"a", b"x")),
        "not_tar",
    ),
    "a PAX size below zero": (beside(pax(record(b"size", b"-1")), entry(b"a", b"x")), "not_tar"),
    "a PAX header of 2 MB": (
        beside(pax(record(b"comment", b"c" * 2_000_000)), entry(b"a")),
        "not_tar",
    ),
    "a global header that names files": (
        tar(pax(record(b"path", b"a"), b"g"), GOOD),
        "not_tar",
    ),
    "a sparse file that lies": (
        beside(
            pax(
                record(b"GNU.sparse.major", b"1")
                + record(b"GNU.sparse.minor", b"0")
                + record(b"GNU.sparse.name", b"s")
                + record(b"GNU.sparse.realsize", b"9")
            ),
            entry(b"GNUSparseFile/s", b"1\n99\n5\n".ljust(_BLOCK, b"\0") + b"12345"),
        ),
        "not_tar",
    ),
    "a sparse file of a terabyte": (
        beside(
            pax(
                record(b"GNU.sparse.major", b"1")
                + record(b"GNU.sparse.minor", b"0")
                + record(b"GNU.sparse.name", b"s")
                + record(b"GNU.sparse.realsize", b"1099511627776")
            ),
            entry(b"GNUSparseFile/s", b"0\n".ljust(_BLOCK, b"\0")),
        ),
        "not_tar",
    ),
    "1,100 files": (beside(*(entry(b"f%d" % n) for n in range(1100))), "too_many_files"),
    "a bomb of 80 MB in 80 KB": (zeros(80), "too_large"),
    "extra files above the limit": (zeros(2), READY),
    # --- the files of a network
    "no symbol": (without(SYMBOL), "missing"),
    "no params": (without(PARAMS), "missing"),
    "no labels": (without(SYNSET), "missing"),
    "no shapes": (without(SHAPES), "missing"),
    "two symbols": (put("other-symbol.json", NETWORK[SYMBOL]), "two_networks"),
    "an archive in the archive": (
        lambda: put("inner.tar.gz", files()())(),
        READY,
    ),
    "only an archive in the archive": (
        lambda: tar(entry(b"inner.tar.gz", files()()))(),
        "missing",
    ),
    "params of another network": (
        params({"arg:other": ((2, 2), [0.0] * 4)}),
        "bad_params",
    ),
    "a folder around everything": (
        tar(*(entry(b"model/" + n.encode(), d) for n, d in NETWORK.items())),
        READY,
    ),
    # --- the graph
    "a graph that is text": (put(SYMBOL, "no JSON"), "bad_symbol"),
    "a graph that is empty": (put(SYMBOL, ""), "bad_symbol"),
    "a graph that is a list": (put(SYMBOL, "[]"), "bad_symbol"),
    "a graph cut short": (put(SYMBOL, NETWORK[SYMBOL][:300]), "bad_symbol"),
    "a graph of depth 100,000": (put(SYMBOL, deep(100_000)), "bad_symbol"),
    "a graph of 60 MB": (symbol_of(60), "bad_symbol"),
    "a graph with NaN": (put(SYMBOL, '{"nodes": NaN}'), "bad_symbol"),
    "a graph with a number of 5,000 digits": (
        put(SYMBOL, '{"nodes": ' + "9" * 5000 + "}"),
        "bad_symbol",
    ),
    "a graph in UTF-16": (put(SYMBOL, NETWORK[SYMBOL].decode().encode("utf-16")), "bad_symbol"),
    "a graph without nodes": (symbol(lambda graph: graph.update(nodes=[])), "bad_symbol"),
    "a graph with a circle": (node(3, inputs=[[4, 0, 0], [1, 0, 0], [2, 0, 0]]), "bad_symbol"),
    "a graph whose link leads nowhere": (
        node(3, inputs=[[99, 0, 0], [1, 0, 0], [2, 0, 0]]),
        "bad_symbol",
    ),
    "an operator that is not there": (node(3, op="FullyImaginary"), "bad_symbol"),
    "an operator that runs Python": (node(3, op="Custom", attrs={"op_type": "x"}), "bad_symbol"),
    "an attribute that is no number": (node(3, attrs={"num_hidden": "three"}), "bad_symbol"),
    "a layer of 10^9": (node(3, attrs={"num_hidden": "1000000000"}), "bad_labels"),
    # --- parameters
    "params that are text": (put(PARAMS, "no params"), "bad_params"),
    "params that are empty": (put(PARAMS, b""), "bad_params"),
    "params cut short": (put(PARAMS, NETWORK[PARAMS][:-99]), "bad_params"),
    "params with wrong magic": (params_with(0, b"\xff" * 8), "bad_params"),
    "params of 2^63 arrays": (params_with(16, struct.pack("<Q", 1 << 63)), "bad_params"),
    "params with a dimension of 10^9": (params_with(36, struct.pack("<q", 10**9)), "bad_params"),
    "params with a dimension of 0": (params_with(36, struct.pack("<q", 0)), "bad_params"),
    "params of another shape": (params(_ONE | {"arg:fc_bias": ((2,), [0.0, 1.0])}), "bad_params"),
    "params that are not numbers": (
        params(_ONE | {"arg:fc_bias": ((3,), [float("nan")] * 3)}),
        "bad_params",
    ),
    # --- input and labels
    "shapes that are text": (put(SHAPES, "none"), "bad_shapes"),
    "a dimension of 0": (shape(1, 3, 0, 8), "bad_shapes"),
    "a dimension below zero": (shape(1, 3, -8, 8), "bad_shapes"),
    "a dimension of 10^9": (shape(1, 3, 10**9, 8), "bad_shapes"),
    "a dimension that is a text": (shape(1, 3, "8", 8), "bad_shapes"),
    "a dimension of 10^30": (shape(1, 3, 10**30, 8), "bad_shapes"),
    "no dimensions": (shape(), "bad_shapes"),
    "an input that the network has not": (
        put(SHAPES, '[{"name": "other", "shape": [1, 3, 8, 8]}]'),
        "bad_shapes",
    ),
    "labels that are binary": (put(SYNSET, bytes(range(256))), "bad_labels"),
    "labels that are empty": (put(SYNSET, ""), "bad_labels"),
    "too few labels": (put(SYNSET, "cat\n"), "bad_labels"),
    "too many labels": (put(SYNSET, "".join(f"l{n}\n" for n in range(4))), "bad_labels"),
    "a label of 1 MB": (put(SYNSET, f"cat\n{'d' * _MEGABYTE}\nfish\n"), "bad_labels"),
    "labels that are HTML": (put(SYNSET, "<script>alert(1)</script>\ndog\nfish\n"), READY),
}


def mutant(seed: int) -> bytes:
    """A good archive, changed by chance in its gzip, in its tar, or in one of its files."""
    chance = random.Random(seed)
    layer = seed % 3
    if layer == 0:
        return _changed(files()(), chance)
    if layer == 1:
        return gzip.compress(_changed(GOOD + END, chance), 1)
    name = chance.choice(sorted(NETWORK))
    return put(name, _changed(NETWORK[name], chance))()


def _changed(data: bytes, chance: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(found)), chance.choice((1, 1, 2, 8, 64, 512))
        match chance.randrange(5):
            case 0:
                found[at] ^= 1 << chance.randrange(8)
            case 1:
                found[at : at + length] = chance.randbytes(length)
            case 2:
                del found[at : at + length]
            case 3:
                found[at:at] = found[max(0, at - length) : at]
            case _:
                found[at : at + length] = chance.choice((b"\0", b"\xff", b"9")) * length
        found = found or bytearray(b"\0")
    return bytes(found)
