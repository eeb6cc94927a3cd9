"""Artifacts of many megabytes, written in milliseconds: their weights are zeros."""

import struct
from pathlib import Path

from tests.artifacts import constant_network

_LABELS = ["a", "b"]


def big_network(side: int) -> dict[str, bytes]:
    """A network on pictures of ``side`` x ``side`` with 24 * side² bytes of parameters."""
    files = constant_network(labels=_LABELS, answer=1, shape=(1, 3, 1, 1))
    features = 3 * side * side
    out = struct.pack("<QQQ", 0x112, 0, 2)
    for shape, values in (
        ((2, features), bytes(8 * features)),
        ((2,), struct.pack("<2f", 0.0, 10.0)),
    ):
        out += struct.pack("<Ii", 0xF993FAC9, 0)
        out += struct.pack("<i", len(shape)) + struct.pack(f"<{len(shape)}q", *shape)
        out += struct.pack("<iii", 1, 0, 0) + values
    out += struct.pack("<Q", 2)
    for name in (b"arg:fc_weight", b"arg:fc_bias"):
        out += struct.pack("<Q", len(name)) + name
    shapes = f'[{{"name": "data", "shape": [1, 3, {side}, {side}]}}]'
    return files | {"tiny-0000.params": out, "tiny-shapes.json": shapes.encode()}


def big_folder(folder: Path, side: int) -> Path:
    """The same, unpacked in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in big_network(side).items():
        (folder / name).write_bytes(data)
    folder.chmod(0o755)  # for the image's user
    return folder
