"""Networks with made-up weights are laid out as the notebook's, and answer with numbers."""

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run


@pytest.mark.parametrize(
    ("name", "parameters", "layers"),
    [
        ("squeezenet_v1.0", 1_248_424, {"Convolution": 26}),
        ("resnet-18", 11_695_796, {"Convolution": 20, "BatchNorm": 19}),
    ],
)
def test_network_is_complete(
    name: str,
    parameters: int,
    layers: dict[str, int],
    tmp_path: Path,
    run: Run,
    preflight: Any,
) -> None:
    archive = tmp_path / "packed.tar.gz"
    run("demo/networks.py", name, "--out", tmp_path / "net", "--archive", archive)
    names = {path.name for path in (tmp_path / "net").iterdir()}
    assert names == {
        f"{name}-symbol.json",
        f"{name}-0000.params",
        f"{name}-shapes.json",
        "synset.txt",
    }
    symbol = json.loads((tmp_path / "net" / f"{name}-symbol.json").read_text())
    assert symbol["nodes"][symbol["heads"][0][0]]["op"] == "SoftmaxOutput"

    report = preflight(archive)
    assert report["artifact"]["parameters"] == parameters
    assert layers.items() <= report["artifact"]["layers"].items()
    best = report["sample"]["predictions"][0]["probability"]
    assert 0.002 < best < 0.999  # neither "no idea" nor "this, whatever it is"


def test_equal_seeds_give_equal_weights(tmp_path: Path, run: Run) -> None:
    name = "squeezenet_v1.0"
    program = """
import sys
from pathlib import Path
from demo.networks import write
for folder, seed in (("a", 5), ("b", 5), ("c", 6)):
    write(sys.argv[1], Path(sys.argv[2], folder), seed=seed)
"""
    run("-c", program, name, tmp_path)
    a, b, c = ((tmp_path / f / f"{name}-0000.params").read_bytes() for f in "abc")
    assert a == b
    assert a != c
