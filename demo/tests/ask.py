"""Ask archives about every picture of folders, with the container's own modules.

Run by the container's Python: ``ask.py ARCHIVE FOLDER [ARCHIVE FOLDER …]`` prints, for each
pair, ``{file: [[label, probability], …]}``, in one list.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from container import images, network
from container.archive import unpack
from container.artifact import Preprocess, read_artifact


def ask(archive: Path, pictures: Path) -> dict[str, list[list[Any]]]:
    with tempfile.TemporaryDirectory() as folder:
        unpack(archive, Path(folder), max_bytes=1 << 30)
        artifact = read_artifact(Path(folder))
        loaded = network.Network(artifact)
    paths = sorted(pictures.iterdir())
    preprocess = artifact.preprocess or Preprocess()
    shape = loaded.input_shape[1:]
    rows = np.stack([images.decode(path.read_bytes(), shape, preprocess) for path in paths])
    return {
        path.name: [[item.label, item.probability] for item in answer]
        for path, answer in zip(paths, loaded.predict_rows(rows), strict=True)
    }


arguments = list(map(Path, sys.argv[1:]))
print(json.dumps([ask(*pair) for pair in zip(arguments[::2], arguments[1::2], strict=True)]))
