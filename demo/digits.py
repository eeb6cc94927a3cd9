"""Hand-written digits as people draw and photograph them.

The handwriting is scikit-learn's (1,797 digits of 8 x 8 points, by 43 people). Users' pictures are
different: large, sharp, off-centre, on ruled paper or a board, with thin pens. So each digit is
stored as a smooth field, from which pictures of any size, stroke width and lighting are drawn.
Digits drawn by a program (:mod:`demo.strokes`) are added for training, with thin strokes.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits

LABELS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SIZE = 32
"""Pixels a side of the networks' input."""

FIELD = 48
"""Points a side of a field; the digit fills the middle 32."""

HELD_OUT = 360
"""The last fifth is held out; the set is ordered by writers, so it is of other people."""


@dataclass(frozen=True)
class Digits:
    """Fields ``(N, FIELD, FIELD)`` of values 0 (paper) to 1 (ink), and their labels."""

    fields: Any
    labels: Any


@cache
def handwriting() -> tuple[Digits, Digits]:
    """Scikit-learn's digits: those for training, and those held out."""
    data = load_digits()
    fields = np.stack([_smooth(image) for image in data.images / 16])
    labels = data.target.astype(np.int64)
    return (
        Digits(fields[:-HELD_OUT], labels[:-HELD_OUT]),
        Digits(fields[-HELD_OUT:], labels[-HELD_OUT:]),
    )


def printed() -> Digits:
    """The digits of Pillow's own typeface, for pictures of printed digits."""
    fields = []
    for number in range(10):
        page = Image.new("L", (FIELD // 2, FIELD // 2))
        pen = ImageDraw.Draw(page)
        face = ImageFont.load_default(FIELD // 2 * 0.9)
        pen.text((FIELD / 4, FIELD / 4), str(number), fill=255, font=face, anchor="mm")
        # Drawn small and enlarged: soft edges, so that they can be thin or bold later.
        large = page.resize((FIELD, FIELD), Image.Resampling.BICUBIC)
        fields.append(np.asarray(large, np.float32) / 255)
    return Digits(np.stack(fields), np.arange(10))


def _smooth(image: Any) -> Any:
    small = Image.fromarray(np.pad(image, 2).astype(np.float32))
    return np.asarray(small.resize((FIELD, FIELD), Image.Resampling.BICUBIC))


def training_pictures(
    written: Digits, drawn: Digits, typed: Digits, *, rng: Any
) -> tuple[Any, Any]:
    """The pictures of one epoch ``(N, 1, SIZE, SIZE)`` and their labels.

    Three of each digit of handwriting, one of each drawn with a pen, 24 of each that is typed.
    """
    brush = [varied(written.fields, rng=rng, size=SIZE) for _ in range(3)]
    pen = varied(drawn.fields, rng=rng, size=SIZE, edge=(0.45, 0.93))
    print_ = varied(np.repeat(typed.fields, 24, axis=0), rng=rng, size=SIZE, edge=(0.3, 0.7))
    labels = [*[written.labels] * 3, drawn.labels, np.repeat(typed.labels, 24)]
    return np.concatenate([*brush, pen, print_])[:, None], np.concatenate(labels)


def plain(fields: Any, *, size: int) -> Any:
    """Bytes ``(N, size, size)``: each digit centred, black on white, as a data set has it."""
    count = len(fields)
    alpha = _ink(_sample(fields, _grid(count, size, height=0.8)), edge=0.45, hardness=12.0)
    return _bytes(1 - alpha)


def varied(
    fields: Any,
    *,
    rng: Any,
    size: int,
    edge: tuple[float, float] = (0.3, 0.6),
    height: tuple[float, float] = (0.35, 0.92),
) -> Any:
    """Bytes ``(N, size, size)``: digits at random places, on random grounds.

    ``edge`` is the range of the value at which ink ends: the higher, the thinner the stroke;
    ``height`` that of a digit's share of the picture.
    """
    count = len(fields)

    def pick(low: float, high: float) -> Any:
        return rng.uniform(low, high, count)

    tall = pick(*height)
    room = 1 - tall
    grid = _grid(
        count,
        size,
        height=tall,
        aspect=np.exp(rng.normal(0, 0.13, count)),
        angle=rng.normal(0, 0.13, count),
        slant=rng.normal(0, 0.15, count),
        right=pick(-1, 1) * room,
        down=pick(-1, 1) * room,
        waves=rng,
    )
    alpha = _ink(_sample(fields, grid), edge=pick(*edge), hardness=np.exp(pick(1.8, 3.4)))
    return _bytes(_paper(alpha, rng=rng))


def everyday(held_out: Digits, *, rng: Any) -> tuple[Any, Any]:
    """What accuracy is measured on: two pictures ``(SIZE, SIZE)`` of each held-out digit.

    Off-centre, tilted, in any light, ink on paper as well as chalk on a board, and at least
    two fifths of the picture high. Drawn large and then made small, as the container does it.
    """
    large = [
        varied(held_out.fields, rng=rng, size=2 * SIZE, edge=(0.4, 0.52), height=(0.4, 0.9))
        for _ in range(2)
    ]
    small = [
        np.asarray(Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
        for picture in np.concatenate(large)
    ]
    return np.stack(small)[:, None], np.tile(held_out.labels, 2)


def _grid(
    count: int,
    size: int,
    *,
    height: Any,
    aspect: Any = 1.0,
    angle: Any = 0.0,
    slant: Any = 0.0,
    right: Any = 0.0,
    down: Any = 0.0,
    waves: Any = None,
) -> tuple[Any, Any]:
    """For each pixel of each picture, where in the field (-1..1) its value comes from."""

    def column(value: Any) -> Any:
        return _column(np.broadcast_to(value, (count,)))

    line = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    # The digit fills two thirds of its field.
    scale = column(height) * 1.5
    x = (line[None, None, :] - column(right)) / scale
    y = (line[None, :, None] - column(down)) / scale
    cos, sin = np.cos(column(angle)), np.sin(column(angle))
    x, y = x * cos + y * sin, y * cos - x * sin
    x, y = (x + y * column(slant)) / column(aspect), y * column(aspect)
    if waves is not None:  # an unsteady hand
        for _ in range(2):
            fx, fy, phase, much = (
                column(waves.uniform(low, high, count))
                for low, high in ((-2.5, 2.5), (-2.5, 2.5), (0, 6.3), (-0.05, 0.05))
            )
            wave = much * np.sin(fx * x + fy * y + phase)
            x, y = x + wave, y - wave
    return x, y


def _sample(fields: Any, grid: tuple[Any, Any]) -> Any:
    """Bilinear lookup of ``fields`` at ``grid``; nothing but paper outside."""
    edge = fields.shape[1] - 1
    x = np.clip((grid[0] + 1) / 2 * edge, 0, edge - 0.001)
    y = np.clip((grid[1] + 1) / 2 * edge, 0, edge - 0.001)
    left, top = x.astype(np.int32), y.astype(np.int32)
    across, downward = x - left.astype(np.float32), y - top.astype(np.float32)
    width = edge + 1
    start = (np.arange(len(fields), dtype=np.int32) * width * width)[:, None, None]
    at = start + top * width + left
    flat = fields.ravel()
    upper = flat[at] * (1 - across) + flat[at + 1] * across
    lower = flat[at + width] * (1 - across) + flat[at + width + 1] * across
    return upper * (1 - downward) + lower * downward


def _ink(values: Any, *, edge: Any, hardness: Any) -> Any:
    """How much of each pixel is ink, 0 to 1."""
    steep = (values - _column(edge)) * _column(hardness)
    return 1 / (1 + np.exp(-np.clip(steep, -30, 30)))


def _column(value: Any) -> Any:
    """One number for each picture, or for all, shaped to be broadcast over pixels."""
    return np.atleast_1d(np.asarray(value, np.float32))[:, None, None]


def _paper(alpha: Any, *, rng: Any) -> Any:
    """Ink on paper or chalk on a board, with lighting, sometimes with ruled lines; 0 to 1."""
    count, size, _ = alpha.shape

    def pick(low: float, high: float) -> Any:
        return _column(rng.uniform(low, high, count))

    line = np.linspace(-1, 1, size, dtype=np.float32)
    light = pick(0.55, 1.0)
    dark = light * pick(0.0, 0.55)
    inverted = rng.random(count)[:, None, None] < 0.5
    ground = np.where(inverted, dark, light)
    ink = np.where(inverted, light, dark)
    ruled = pick(0, 1) < 0.15
    period, offset = pick(0.15, 0.5), pick(0, 1)
    on_line = ((line[None, :, None] + offset) / period) % 1 < 0.14
    ground = ground + ruled * on_line * pick(0.1, 0.5) * (ink - ground)
    shade = 1 + pick(-0.2, 0.2) * line[None, None, :] + pick(-0.2, 0.2) * line[None, :, None]
    picture = (ground + alpha * (ink - ground)) * shade
    grain = pick(0, 0.06)
    return picture + grain * rng.standard_normal(picture.shape, dtype=np.float32)


def _bytes(values: Any) -> Any:
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


@dataclass(frozen=True)
class Scene:
    """How a sample picture is drawn: the held-out digit, colours and position."""

    which: int
    ground: tuple[int, int, int]
    ink: tuple[int, int, int]
    height: float = 0.66
    right: float = 0.0
    down: float = 0.0
    tilt: float = 0.0
    grain: float = 6.0
    chalky: bool = False
    ruled: tuple[int, int, int] | None = None


SCENES: dict[str, Scene] = {
    "three": Scene(
        which=0,
        ground=(247, 243, 232),
        ink=(28, 42, 110),
        tilt=0.08,
    ),
    "seven": Scene(
        which=9, ground=(38, 66, 56), ink=(236, 238, 230), chalky=True, right=-0.1, grain=9.0
    ),
    "five": Scene(
        which=1, ground=(252, 252, 250), ink=(60, 60, 66), ruled=(150, 180, 220), down=0.06
    ),
    "two": Scene(
        which=9,
        ground=(253, 226, 104),
        ink=(25, 25, 25),
        height=0.5,
        right=0.28,
        down=-0.2,
        tilt=-0.12,
    ),
    "eight": Scene(
        which=1,
        ground=(14, 16, 24),
        ink=(255, 255, 255),
        height=0.72,
        grain=2.0,
    ),
    "four": Scene(
        which=4, ground=(24, 60, 122), ink=(226, 236, 250), height=0.56, right=-0.2, tilt=0.1
    ),
    "zero": Scene(
        which=6, ground=(201, 168, 124), ink=(70, 28, 20), height=0.6, down=0.15, grain=10.0
    ),
}
"""One sample picture for each of these labels; ``which`` picks one that is written clearly."""


def sample(field: Any, scene: Scene, *, size: int, rng: Any) -> Image.Image:
    """A picture of one digit, large enough to look at: ``size`` x ``size`` pixels, RGB."""
    grid = _grid(1, size, height=scene.height, right=scene.right, down=scene.down, angle=scene.tilt)
    alpha = _ink(_sample(field[None], grid), edge=0.48, hardness=40.0)[0]
    if scene.chalky:
        alpha = alpha * np.clip(rng.normal(0.85, 0.2, alpha.shape), 0, 1)
    picture = np.empty((size, size, 3), np.float32)
    picture[:] = scene.ground
    if scene.ruled is not None:
        picture[np.arange(size) % (size // 8) < 2] = scene.ruled
    picture += alpha[..., None] * (np.array(scene.ink, np.float32) - picture)
    line = np.linspace(-1, 1, size, dtype=np.float32)
    picture *= 1 - 0.06 * (line[:, None, None] ** 2 + line[None, :, None] ** 2)
    picture += rng.normal(0, scene.grain, (size, size, 1))
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
