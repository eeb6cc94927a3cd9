"""Model archives for tests, written byte by byte: no MXNet in the test process.

The networks are real ones that the real container loads; they are small and
their answer is known beforehand, so a test can tell whose answer it got.
"""

import io
import json
import struct
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_LIST_MAGIC = 0x112  # mxnet: kMXAPINDArrayListMagic, src/ndarray/ndarray.cc
_V2_MAGIC = 0xF993FAC9  # mxnet: NDARRAY_V2_MAGIC


def params_bytes(arrays: Mapping[str, tuple[Sequence[int], Sequence[float]]]) -> bytes:
    """Serialise ``{"arg:name": (shape, values)}`` as MXNet's ``.params`` (float32, CPU)."""
    out = io.BytesIO()
    out.write(struct.pack("<QQQ", _LIST_MAGIC, 0, len(arrays)))
    for shape, values in arrays.values():
        out.write(struct.pack("<Ii", _V2_MAGIC, 0))  # dense storage
        out.write(struct.pack("<i", len(shape)) + struct.pack(f"<{len(shape)}q", *shape))
        out.write(struct.pack("<iii", 1, 0, 0))  # cpu, device 0, float32
        out.write(struct.pack(f"<{len(values)}f", *values))
    out.write(struct.pack("<Q", len(arrays)))
    for name in arrays:
        out.write(struct.pack("<Q", len(name)) + name.encode())
    return out.getvalue()


def constant_network(
    *, labels: Sequence[str], answer: int, shape: Sequence[int] = (1, 3, 8, 8), name: str = "tiny"
) -> dict[str, bytes]:
    """Files of a network that answers ``labels[answer]`` with p > 0.99 whatever it is shown."""
    features = 1
    for size in shape[1:]:
        features *= size
    count = len(labels)
    nodes = [
        {"op": "null", "name": "data", "inputs": []},
        {"op": "null", "name": "fc_weight", "inputs": []},
        {"op": "null", "name": "fc_bias", "inputs": []},
        {
            "op": "FullyConnected",
            "name": "fc",
            "attrs": {"num_hidden": str(count)},
            "inputs": [[0, 0, 0], [1, 0, 0], [2, 0, 0]],
        },
        {"op": "softmax", "name": "prob", "inputs": [[3, 0, 0]]},
    ]
    symbol = {
        "nodes": nodes,
        "arg_nodes": [0, 1, 2],
        "node_row_ptr": list(range(6)),
        "heads": [[4, 0, 0]],
        "attrs": {"mxnet_version": ["int", 10901]},
    }
    bias = [10.0 if i == answer else 0.0 for i in range(count)]
    params = params_bytes(
        {
            "arg:fc_weight": ((count, features), [0.0] * (count * features)),
            "arg:fc_bias": ((count,), bias),
        }
    )
    return {
        f"{name}-symbol.json": json.dumps(symbol).encode(),
        f"{name}-0000.params": params,
        f"{name}-shapes.json": json.dumps([{"name": "data", "shape": list(shape)}]).encode(),
        "synset.txt": "".join(f"{label}\n" for label in labels).encode(),
    }


def pack(path: Path, files: Mapping[str, bytes], *, prefix: str = "", level: int = 9) -> Path:
    """Write ``files`` as a ``.tar.gz`` at ``path``; ``prefix`` is put before each name.

    ``level`` is that of gzip: 1 for many megabytes.
    """
    with tarfile.open(path, "w:gz", compresslevel=level) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def constant_archive(path: Path, *, labels: Sequence[str], answer: int, **kwargs: object) -> Path:
    """A whole archive of :func:`constant_network` at ``path``."""
    return pack(path, constant_network(labels=labels, answer=answer, **kwargs))  # type: ignore[arg-type]


_COLOURS = ("red", "green", "blue")
_PLACES = ("top left", "top right", "bottom left", "bottom right")
SEEN = (*(f"{colour}, {place}" for colour in _COLOURS for place in _PLACES), "dark")
"""The labels of :func:`seeing_network`."""


def seeing_network(*, name: str = "seeing") -> dict[str, bytes]:
    """Files of a network that says which quarter of a picture has most of which colour.

    It takes 3 x 8 x 8 pixels from 0 to 255. Its answer depends on each of them, smoothly.
    """
    rows: list[float] = []
    for label in SEEN[:-1]:
        colour, _, place = label.partition(", ")
        for c in range(3):
            for y in range(8):
                for x in range(8):
                    here = (y >= 4) == ("bottom" in place) and (x >= 4) == ("right" in place)
                    liked = 10.0 if here and _COLOURS[c] == colour else -0.2
                    rows.append(liked / 255 / 16)
    rows += [-1.0 / 255 / 192] * 192
    files = constant_network(labels=SEEN, answer=len(SEEN) - 1, name=name)
    files[f"{name}-0000.params"] = params_bytes(
        {
            "arg:fc_weight": ((len(SEEN), 192), rows),
            "arg:fc_bias": ((len(SEEN),), [0.0] * (len(SEEN) - 1) + [-1.0]),
        }
    )
    return files
