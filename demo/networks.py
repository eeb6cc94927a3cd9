"""Networks of real structure with generated weights, in the example notebook's layout.

``demo/networks.py NAME --out DIR [--archive FILE.tar.gz]`` writes ``NAME-symbol.json``,
``NAME-0000.params``, ``NAME-shapes.json`` and ``synset.txt`` to ``DIR``; ``NAME`` is
``resnet-18``, ``resnet-152`` or ``squeezenet_v1.0``. The structure is that of Gluon's model
zoo, the head a ``SoftmaxOutput`` with a label, as the notebook's networks have it. Nothing is
downloaded. The predictions are meaningless, but they differ between pictures, so that two servers
can be compared. Equal seeds give equal files.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

if not __package__:  # run as `python demo/networks.py`
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from container.mxnet_alone import mx
from demo import archive

ZOO_NAMES = {
    # The notebook's ResNets normalise their input and activate first, as the zoo's "v2" do.
    "resnet-18": "resnet18_v2",
    "resnet-152": "resnet152_v2",
    "squeezenet_v1.0": "squeezenet1.0",
}
SHAPE = (1, 3, 224, 224)
CLASSES = 1000


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="demo/networks.py", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("name", metavar="NAME", choices=ZOO_NAMES, help=", ".join(ZOO_NAMES))
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--archive", type=Path, metavar="FILE.tar.gz", help="pack it, too")
    parser.add_argument("--seed", type=int, default=1, help="other seeds give other weights")
    options = parser.parse_args(argv)
    write(options.name, options.out, seed=options.seed)
    if options.archive is not None:
        archive.pack(options.out, options.archive, level=1)
    return 0


def write(name: str, folder: Path, *, seed: int = 1) -> None:
    """Write the files of the network ``name`` (a key of :data:`ZOO_NAMES`) to ``folder``."""
    mx.random.seed(seed)
    np.random.seed(seed)  # Gluon's initialisers draw from it
    net = mx.gluon.model_zoo.vision.get_model(ZOO_NAMES[name], prefix=f"{name.replace('-', '')}_")
    net.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2))
    net.hybridize()
    _calibrate(net)
    symbol = mx.sym.SoftmaxOutput(net(mx.sym.var("data")), name="softmax")
    archive.save_network(
        folder,
        name=name,
        symbol=symbol,
        parameters={key: value.data() for key, value in net.collect_params().items()},
        shape=SHAPE,
        labels=[f"n{number:08d} made-up thing {number}" for number in range(CLASSES)],
    )


def _calibrate(net: Any) -> None:
    """Run BatchNorm on pictures, then scale the scores as in trained networks.

    With the means 0 and variances 1 that BatchNorm starts from, the values of a ResNet-152
    grow from block to block until they are infinite.
    """
    coarse = mx.nd.random.uniform(0, 255, (4, SHAPE[1], 5, 5))
    pictures = mx.nd.contrib.BilinearResize2D(coarse, height=SHAPE[2], width=SHAPE[3])
    scores = net(pictures)
    if any(name.endswith("running_var") for name in net.collect_params()):
        # Half the side: the statistics are as good, and a quarter of the pixels is computed.
        small = mx.nd.contrib.BilinearResize2D(coarse, height=SHAPE[2] // 2, width=SHAPE[3] // 2)
        for _ in range(12):
            with mx.autograd.train_mode():
                net(small).wait_to_read()
        scores = net(pictures)
    layer = _last_layer(net)
    if isinstance(layer, mx.gluon.nn.Dense):
        # Subtract the mean score of all pictures, and scale the rest.
        common = scores.mean(axis=0)
        factor = 1 / _spread(scores - common)
        layer.bias.set_data((layer.bias.data() - common) * factor)
    else:  # SqueezeNet, whose scores pass a ReLU and a mean on their way out
        factor = 2 / _spread(scores - scores.mean())
    layer.weight.set_data(layer.weight.data() * factor)


def _spread(values: Any) -> float:
    """Root of the mean square."""
    return float(values.square().mean().sqrt().asscalar())


def _last_layer(net: Any) -> Any:
    """The layer that makes the scores."""
    layers: list[Any] = []

    def collect(block: Any) -> None:
        if isinstance(block, mx.gluon.nn.Dense | mx.gluon.nn.Conv2D):
            layers.append(block)

    net.apply(collect)
    return layers[-1]


if __name__ == "__main__":
    sys.exit(main())
