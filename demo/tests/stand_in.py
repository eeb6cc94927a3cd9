"""Make the files of a small model zoo with random weights, and run ``demo/zoo.py`` against it.

Run by the container's Python.

``stand_in.py make NAME FOLDER`` writes ``FOLDER/NAME.zip`` as the zoo packs weights, a picture,
and ``FOLDER/facts.json``: the SHA-1 of the weights, and what the network itself says of the
picture, prepared as MXNet's documentation of the zoo says.

``stand_in.py run SHA1 READ_S NAME …`` is ``demo/zoo.py NAME …``, told that ``SHA1`` is the right
checksum and to wait ``READ_S`` seconds for bytes. The check itself is the one of production.
"""

import hashlib
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from container.mxnet_alone import mx


def make(name: str, folder: Path) -> None:
    mx.random.seed(3)
    np.random.seed(3)
    net = mx.gluon.model_zoo.vision.get_model(name)
    net.initialize(mx.init.Xavier(magnitude=4))
    rows = np.random.default_rng(3).integers(0, 256, (6, 6, 3), np.uint8)
    picture = Image.fromarray(rows).resize((256, 256), Image.Resampling.BICUBIC)
    picture.save(folder / "picture.png")

    image = mx.nd.array(np.asarray(picture)) / 255
    image = mx.image.color_normalize(
        image,
        mean=mx.nd.array([0.485, 0.456, 0.406]),
        std=mx.nd.array([0.229, 0.224, 0.225]),
    )
    image, _ = mx.image.center_crop(image, (224, 224))
    answer = mx.nd.softmax(net(image.transpose((2, 0, 1)).expand_dims(0)))[0].asnumpy()

    weights = folder / "weights.params"
    net.save_parameters(str(weights))
    sha1 = hashlib.sha1(weights.read_bytes()).hexdigest()
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as bundle:
        bundle.write(weights, f"{name}-{sha1[:8]}.params")
    facts = {"sha1": sha1, "best": int(answer.argmax()), "probability": float(answer.max())}
    (folder / "facts.json").write_text(json.dumps(facts))


def run(sha1: str, read_s: str, arguments: list[str]) -> int:
    from demo import zoo

    mx.gluon.model_zoo.model_store._model_sha1[arguments[0]] = sha1
    zoo.READ_S = float(read_s)
    zoo.PAUSE_S = 0.1
    return zoo.main(arguments)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], Path(sys.argv[3]))
    else:
        sys.exit(run(sys.argv[2], sys.argv[3], sys.argv[4:]))
