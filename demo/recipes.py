"""How each version of each demo model is trained, and how its sample pictures are chosen."""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from container.mxnet_alone import mx
from demo import digits, learning, shapes, strokes

Report = Callable[[str], None]

SHAPES_DRAWN = 4000
SEED_OF_TEST = 7
"""Pictures that accuracy is measured on are the same for all versions."""


@dataclass(frozen=True)
class Trained:
    """A trained network with its accuracy and its description."""

    net: Any
    shape: tuple[int, int, int, int]
    labels: tuple[str, ...]
    preprocess: dict[str, object]
    accuracy: dict[str, float]
    """Accuracy on held-out pictures, 0 to 1, by kind of picture."""
    note: str


def digits_linear(seed: int, report: Report) -> Trained:
    """Version 1 of digits: a first attempt, accurate on the data set alone."""
    written, held_out = digits.handwriting()
    pictures = digits.plain(written.fields, size=digits.SIZE)[:, None]
    return _digits(
        learning.linear("digits", classes=10),
        held_out,
        draw=lambda rng: (pictures, written.labels),
        epochs=8,
        rate=0.004,
        seed=seed,
        report=report,
        note=(
            "First try: a linear model on the bare pixels, trained on centred black-on-white"
            " digits. Of {count} held-out digits it reads {plain} when they look like that, but"
            " only {everyday} in everyday pictures: off-centre, tilted, chalk on a board."
        ),
    )


def digits_convolutional(seed: int, report: Report) -> Trained:
    """Version 2 of digits: for pictures that people take."""
    written, held_out = digits.handwriting()
    pens = digits.Digits(
        *strokes.fields(1600, rng=np.random.default_rng(seed + 1), size=digits.FIELD)
    )
    typed = digits.printed()
    return _digits(
        learning.convolutional("digits", classes=10, halve=False),
        held_out,
        draw=lambda rng: digits.training_pictures(written, pens, typed, rng=rng),
        epochs=4,
        rate=0.008,
        seed=seed,
        report=report,
        note=(
            "A small convolutional network, trained on moved, tilted, dimmed and inverted digits,"
            " and on pen strokes and print drawn by a program. Of {count} held-out digits it reads"
            " {plain} black on white, and {everyday} in everyday pictures: off-centre, tilted,"
            " chalk on a board."
        ),
    )


def _digits(
    net: Any,
    held_out: digits.Digits,
    *,
    draw: Callable[[Any], tuple[Any, Any]],
    epochs: int,
    rate: float,
    seed: int,
    report: Report,
    note: str,
) -> Trained:
    plain = digits.plain(held_out.fields, size=digits.SIZE)[:, None]
    everyday, everyday_labels = digits.everyday(held_out, rng=np.random.default_rng(SEED_OF_TEST))

    def measure() -> dict[str, float]:
        return {
            "everyday": learning.accuracy(net, everyday, everyday_labels),
            "plain": learning.accuracy(net, plain, held_out.labels),
        }

    _fit(net, draw, epochs, rate, seed, report, lambda: measure()["everyday"])
    accuracy = measure()
    return Trained(
        net=net,
        shape=(1, 1, digits.SIZE, digits.SIZE),
        labels=digits.LABELS,
        preprocess=learning.preprocess(digits.SIZE, "GRAY"),
        accuracy=accuracy,
        note=note.format(
            count=len(held_out.labels),
            plain=_percent(accuracy["plain"]),
            everyday=_percent(accuracy["everyday"]),
        ),
    )


def shapes_convolutional(seed: int, report: Report) -> Trained:
    """The one version of shapes."""
    rng = np.random.default_rng(seed)
    report(f"drawing {SHAPES_DRAWN} pictures")
    pictures, labels = shapes.drawings(SHAPES_DRAWN, rng=rng)
    test, test_labels = shapes.drawings(800, rng=np.random.default_rng(SEED_OF_TEST))
    net = learning.convolutional("shapes", classes=len(shapes.LABELS), halve=True)

    def measure() -> float:
        return learning.accuracy(net, test, test_labels)

    _fit(
        net,
        lambda rng: (shapes.augmented(pictures, rng=rng), labels),
        5,
        0.008,
        seed,
        report,
        measure,
    )
    accuracy = measure()
    return Trained(
        net=net,
        shape=(1, 3, shapes.SIZE, shapes.SIZE),
        labels=shapes.LABELS,
        preprocess=learning.preprocess(shapes.SIZE, "RGB"),
        accuracy={"everyday": accuracy},
        note=(
            f"A small convolutional network, trained on {SHAPES_DRAWN:,} drawings. Names"
            f" {_percent(accuracy)} of {len(test):,} drawings it has not seen."
        ),
    )


def _fit(
    net: Any,
    draw: Callable[[Any], tuple[Any, Any]],
    epochs: int,
    rate: float,
    seed: int,
    report: Report,
    measure: Callable[[], float],
) -> None:
    mx.random.seed(seed)
    np.random.seed(seed)  # Gluon's initialisers draw from it
    rng = np.random.default_rng(seed)
    learning.train(
        net,
        draw=lambda epoch: draw(rng),
        epochs=epochs,
        rate=rate,
        rng=rng,
        report=lambda epoch: report(f"epoch {epoch} of {epochs}, accuracy {measure():.2f}"),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


class Packed:
    """A packed network; it preprocesses pictures as the container does."""

    def __init__(self, archive: Path) -> None:
        """Read symbol, parameters, labels and preprocessing from ``archive``."""
        files = {}
        with tarfile.open(archive) as tar:
            for member in tar:
                content = tar.extractfile(member)
                if content is not None:
                    files[member.name.split("-")[-1]] = content.read()
        self.labels = files["synset.txt"].decode().split("\n")[:-1]
        shape = json.loads(files["shapes.json"])[0]["shape"]
        self._size, self._mode = shape[2], "L" if shape[1] == 1 else "RGB"
        symbol = mx.sym.load_json(files["symbol.json"].decode())
        arrays = mx.nd.load_frombuffer(files["0000.params"])
        self._bound = symbol.bind(
            mx.cpu(),
            {"data": mx.nd.zeros(shape)}
            | {key[4:]: value for key, value in arrays.items() if key.startswith("arg:")},
            aux_states={key[4:]: value for key, value in arrays.items() if key.startswith("aux:")},
            grad_req="null",
        )

    def probability(self, picture: Image.Image, label: str) -> float:
        """The probability of ``label`` for ``picture``, sent as a JPEG; 0 to 1."""
        sent = io.BytesIO()
        picture.save(sent, "JPEG", quality=90)
        seen = (
            Image.open(sent)
            .convert(self._mode)
            .resize((self._size, self._size), Image.Resampling.BILINEAR)
        )
        pixels = np.asarray(seen, np.uint8).reshape(1, self._size, self._size, -1)
        answer = self._bound.forward(
            data=mx.nd.array(learning.normalise(pixels.transpose(0, 3, 1, 2)))
        )[0]
        return float(answer.asnumpy()[0][self.labels.index(label)])


def digit_samples(
    size: int, network: Packed, min_probability: float
) -> Iterator[tuple[str, Image.Image]]:
    """For each scene the first held-out digit with the required probability."""
    _, held_out = digits.handwriting()
    for label, scene in digits.SCENES.items():
        rng = np.random.default_rng(1)
        own = np.flatnonzero(held_out.labels == digits.LABELS.index(label))
        pictures = (
            digits.sample(held_out.fields[index], scene, size=size, rng=rng)
            for index in np.roll(own, -scene.which)
        )
        yield label, _first_confident(pictures, label, network, min_probability)


def shape_samples(
    size: int, network: Packed, min_probability: float
) -> Iterator[tuple[str, Image.Image]]:
    """For each shape the first new drawing with the required probability."""
    for label, start in shapes.SAMPLE_SEEDS.items():
        rng = np.random.default_rng(start)
        pictures = (shapes.draw(label, rng=rng, size=2 * size).reduce(2) for _ in range(40))
        yield label, _first_confident(pictures, label, network, min_probability)


def _first_confident(
    pictures: Iterator[Image.Image], label: str, network: Packed, min_probability: float
) -> Image.Image:
    for picture in pictures:
        if network.probability(picture, label) >= min_probability:
            return picture
    raise RuntimeError(
        f"The model names no held-out picture of '{label}' with {min_probability:.0%}: "
        "it was trained badly."
    )


MODELS: dict[str, dict[int, Callable[[int, Report], Trained]]] = {
    "digits": {1: digits_linear, 2: digits_convolutional},
    "shapes": {1: shapes_convolutional},
}
SAMPLES: dict[str, Callable[[int, Packed, float], Iterator[tuple[str, Image.Image]]]] = {
    "digits": digit_samples,
    "shapes": shape_samples,
}
