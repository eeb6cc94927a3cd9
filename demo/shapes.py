"""Coloured shapes, drawn by a program: filled or in outline, on plain and busy grounds."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

LABELS = ("circle", "square", "triangle", "star", "heart", "cross", "moon", "arrow")
SIZE = 64
"""Pixels a side of the network's input."""

Points = Any
Colour = tuple[int, int, int]


def _polygon(corners: int) -> Points:
    angles = np.arange(corners) * 2 * math.pi / corners - math.pi / 2
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _circle(rng: Any) -> Points:
    return _polygon(72)


def _square(rng: Any) -> Points:
    return np.array([(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)])


def _triangle(rng: Any) -> Points:
    return _polygon(3) + np.array([0, 0.2])


def _star(rng: Any) -> Points:
    outer, inner = _polygon(5), -_polygon(5) * rng.uniform(0.36, 0.5)
    # The inner corner opposite to corner i lies between the outer ones i + 2 and i + 3.
    return np.stack([outer, np.roll(inner, 2, axis=0)], axis=1).reshape(-1, 2)


def _heart(rng: Any) -> Points:
    t = np.linspace(0, 2 * math.pi, 72, endpoint=False)
    across = 16 * np.sin(t) ** 3
    up = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([across, -up - 2.5], axis=1) / 16


def _cross(rng: Any) -> Points:
    a, b = 0.95, rng.uniform(0.1, 0.36)
    arm = np.array([(-b, -b), (-b, -a), (b, -a)])  # the upper one; turned three times for the rest
    turns = [np.array([(1, 0), (0, 1)]), np.array([(0, 1), (-1, 0)])]
    turns += [-turns[0], -turns[1]]
    return np.concatenate([arm @ turn for turn in turns])


def _moon(rng: Any) -> Points:
    outer = np.linspace(math.pi * 0.28, math.pi * 1.72, 48)
    rim = np.stack([np.cos(outer), np.sin(outer)], axis=1)
    tip = rim[0]
    # The inner rim is an arc about a point to the right, through the same two tips.
    centre = np.array([rng.uniform(0.33, 0.6), 0.0])
    radius = float(np.hypot(*(tip - centre)))
    start = math.atan2(tip[1] - centre[1], tip[0] - centre[0])
    inner = np.linspace(2 * math.pi - start, start, 40)
    arc = centre + radius * np.stack([np.cos(inner), np.sin(inner)], axis=1)
    moon = np.concatenate([rim, arc])
    return moon if rng.random() < 0.5 else moon * (-1, 1)  # either direction


def _arrow(rng: Any) -> Points:
    shaft, neck = rng.uniform(0.06, 0.3), rng.uniform(0.0, 0.3)
    half = [(-0.95, -shaft), (neck, -shaft), (neck, -0.65)]
    return np.array([*half, (0.95, 0.0), *((x, -y) for x, y in reversed(half))])


SAMPLE_SEEDS = {
    "circle": 1010,
    "square": 1103,
    "triangle": 1200,
    "star": 1302,
    "heart": 1405,
    "cross": 1503,
    "moon": 1605,
    "arrow": 1704,
}
"""Seeds of the sample pictures, chosen by eye."""

OUTLINES: dict[str, Callable[[Any], Points]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "heart": _heart,
    "cross": _cross,
    "moon": _moon,
    "arrow": _arrow,
}
# Arrows get any angle, other shapes small ones.
_MAX_ROTATION = {"arrow": 180.0, "moon": 50.0}


def drawings(count: int, *, rng: Any) -> tuple[Any, Any]:
    """``count`` pictures as bytes ``(count, 3, SIZE, SIZE)``, and their labels."""
    labels = rng.integers(0, len(LABELS), count)
    pictures = np.empty((count, 3, SIZE, SIZE), np.uint8)
    for index, label in enumerate(labels):
        picture = draw(LABELS[label], rng=rng, size=2 * SIZE).reduce(2)
        pictures[index] = np.asarray(picture).transpose(2, 0, 1)
    return pictures, labels


def augmented(pictures: Any, *, rng: Any) -> Any:
    """Augmentation: other colours, and half of the drawings mirrored."""
    out = pictures[:, rng.permutation(3)]
    mirrored = rng.random(len(out)) < 0.5
    out[mirrored] = out[mirrored][..., ::-1]
    negative = rng.random(len(out)) < 0.5
    out[negative] = 255 - out[negative]
    return out


def draw(label: str, *, rng: Any, size: int) -> Image.Image:
    """One picture of ``size`` x ``size`` pixels: the shape at a random place."""
    ground, colour = _two_colours(rng)
    picture = _ground(ground, avoid=colour, rng=rng, size=size)
    points = _placed(OUTLINES[label](rng), label, rng=rng) * size
    corners = [(float(x), float(y)) for x, y in points]
    pen = ImageDraw.Draw(picture)
    style = rng.random()
    line = max(2, round(size * rng.uniform(0.012, 0.05)))
    if style < 0.55:
        pen.polygon(corners, fill=colour)
    elif style < 0.75:
        second = _readable(colour, rng) if rng.random() < 0.7 else ground
        pen.polygon(corners, fill=colour)
        _outline(pen, corners, second, line)
    else:
        _outline(pen, corners, colour, line)
    if rng.random() < 0.25:
        picture = picture.filter(ImageFilter.GaussianBlur(size * rng.uniform(0.002, 0.012)))
    if rng.random() < 0.4:
        grain = rng.normal(0, rng.uniform(2, 14), (size, size, 1))
        noisy = np.clip(np.asarray(picture, np.float32) + grain, 0, 255)
        picture = Image.fromarray(noisy.astype(np.uint8))
    return picture


def _placed(points: Points, label: str, *, rng: Any) -> Points:
    """The shape rotated, distorted, and placed inside the picture; in 0..1."""
    if rng.random() < 0.35:  # drawn by hand
        angles = np.arctan2(points[:, 1], points[:, 0])
        for wave in (2, 3, 5):
            much = rng.normal(0, 0.03)
            points = points * (1 + much * np.sin(wave * angles + rng.uniform(0, 6.3)))[:, None]
    points = points * np.exp(rng.normal(0, 0.09, 2))
    rotation = _MAX_ROTATION.get(label, 22.0)
    angle = math.radians(rng.uniform(-rotation, rotation))
    cos, sin = math.cos(angle), math.sin(angle)
    points = points @ np.array([[cos, sin], [-sin, cos]])
    points = points * rng.uniform(0.17, 0.44)
    low, high = points.min(axis=0), points.max(axis=0)
    points = points - (low + high) / 2
    room = np.maximum(0.0, 0.5 - (high - low) / 2)
    return points + 0.5 + rng.uniform(-1, 1, 2) * room


def _outline(pen: Any, corners: list[tuple[float, float]], colour: Colour, width: int) -> None:
    closed = [*corners, corners[0], corners[1]]
    pen.line(closed, fill=colour, width=width, joint="curve")


def _ground(colour: Colour, *, avoid: Colour, rng: Any, size: int) -> Image.Image:
    """A ground: plain, shaded, striped or with small objects, in other colours than the shape."""
    kind = rng.random()
    if kind < 0.4:
        return Image.new("RGB", (size, size), colour)
    near = _nearby(colour, avoid, rng)
    if kind < 0.7:
        angle = rng.uniform(0, 2 * math.pi)
        line = np.linspace(-0.5, 0.5, size)
        ramp = 0.5 + (np.cos(angle) * line[None, :] + np.sin(angle) * line[:, None]) / 1.42
        mixed = np.array(colour) * (1 - ramp[..., None]) + np.array(near) * ramp[..., None]
        return Image.fromarray(mixed.astype(np.uint8))
    picture = Image.new("RGB", (size, size), colour)
    pen = ImageDraw.Draw(picture)
    if kind < 0.85:
        period = size * rng.uniform(0.08, 0.3)
        lean = rng.uniform(-1, 1) * size
        for start in np.arange(-size, 2 * size, period):
            pen.line(
                [(float(start), 0.0), (float(start + lean), float(size))],
                fill=near,
                width=max(1, round(period * 0.45)),
            )
        return picture
    for _ in range(rng.integers(5, 40)):
        x, y = rng.uniform(0, size, 2)
        r = rng.uniform(0.005, 0.04) * size
        pen.ellipse([x - r, y - r, x + r, y + r], fill=near)
    return picture


def _two_colours(rng: Any) -> tuple[Colour, Colour]:
    """A ground and a shape colour with enough contrast."""
    ground = _colour(rng)
    return ground, _readable(ground, rng)


def _readable(ground: Colour, rng: Any) -> Colour:
    while True:
        colour = _colour(rng)
        if _distance(ground, colour) > 130:
            return colour


def _colour(rng: Any) -> Colour:
    if rng.random() < 0.25:  # paper and board are the most common
        grey = int(rng.choice([rng.integers(225, 256), rng.integers(0, 40)]))
        return (grey, grey, grey)
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return (red, green, blue)


def _nearby(colour: Colour, avoid: Colour, rng: Any) -> Colour:
    """A colour near to ``colour``, and still far from ``avoid``."""
    for spread in (60, 50, 40, 30, 20):
        red, green, blue = (int(np.clip(part + rng.normal(0, spread), 0, 255)) for part in colour)
        if _distance((red, green, blue), avoid) > 110:
            return (red, green, blue)
    return colour


def _distance(one: Colour, other: Colour) -> float:
    """How different two colours look, from 0 to 765 (weights: the eye sees green best)."""
    red, green, blue = (a - b for a, b in zip(one, other, strict=True))
    return math.sqrt(2 * red**2 + 4 * green**2 + 3 * blue**2)
