"""Writes the notebook's networks with generated weights, without downloads.

Run with the container's Python: ``python bench/networks.py FOLDER`` writes FOLDER/resnet-18,
resnet-152 and squeezenet, each as an unpacked artifact of the notebook's layout.
"""

import json
import sys
from pathlib import Path

import mxnet as mx
from mxnet.gluon.model_zoo import vision

NETWORKS = {
    "resnet-18": vision.resnet18_v2,
    "resnet-152": vision.resnet152_v2,
    "squeezenet": vision.squeezenet1_0,
}
CLASSES = 1000


def write(name: str, folder: Path) -> None:
    """Write one network below ``folder``, unless it is there."""
    target = folder / name
    done = target / "synset.txt"
    if done.exists():
        return
    target.mkdir(parents=True, exist_ok=True)
    mx.random.seed(7)
    network = NETWORKS[name](classes=CLASSES)
    network.initialize(mx.init.Xavier(magnitude=2))
    data = mx.sym.var("data")
    features = network(data)
    symbol = mx.sym.SoftmaxOutput(features, name="softmax")
    network(mx.nd.zeros((1, 3, 224, 224)))  # shapes are settled by a first pass
    states = set(symbol.list_auxiliary_states())
    arrays = {
        f"{'aux' if key in states else 'arg'}:{key}": parameter.data()
        for key, parameter in network.collect_params().items()
    }
    symbol.save(str(target / f"{name}-symbol.json"))
    mx.nd.save(str(target / f"{name}-0000.params"), arrays)
    shapes = [{"name": "data", "shape": [1, 3, 224, 224]}]
    (target / f"{name}-shapes.json").write_text(json.dumps(shapes))
    done.write_text("".join(f"n{i:08d} class {i}\n" for i in range(CLASSES)))


if __name__ == "__main__":
    for each in NETWORKS:
        write(each, Path(sys.argv[1]))
