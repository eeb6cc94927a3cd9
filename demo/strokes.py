"""Digits drawn by a program with a pen: outlines of our own, each time a little different."""

from typing import Any

import numpy as np

# Each digit: its usual ways of writing; each way: its strokes; each stroke: the points
# that the pen goes through, (right, down) from the top left corner of a box of 1 x 1.
_WAYS: tuple[tuple[tuple[tuple[tuple[float, float], ...], ...], ...], ...] = (
    (  # 0
        (((0.5, 0.0), (0.2, 0.2), (0.15, 0.5), (0.25, 0.85), (0.5, 1.0), (0.75, 0.85), (0.85, 0.5), (0.8, 0.2), (0.5, 0.0)),),
        (((0.55, 0.02), (0.1, 0.35), (0.1, 0.7), (0.5, 1.0), (0.9, 0.65), (0.9, 0.3), (0.5, 0.0)),),
    ),
    (  # 1
        (((0.5, 0.0), (0.5, 0.5), (0.5, 1.0)),),
        (((0.25, 0.28), (0.4, 0.15), (0.55, 0.0)), ((0.55, 0.0), (0.55, 0.5), (0.55, 1.0))),
        (((0.25, 0.25), (0.52, 0.0)), ((0.52, 0.0), (0.52, 1.0)), ((0.22, 1.0), (0.82, 1.0))),
        (((0.6, 0.0), (0.5, 0.5), (0.4, 1.0)),),
    ),
    (  # 2
        (((0.15, 0.25), (0.3, 0.05), (0.6, 0.0), (0.82, 0.2), (0.7, 0.48), (0.4, 0.75), (0.12, 1.0)), ((0.12, 1.0), (0.5, 0.98), (0.88, 1.0))),
        (((0.15, 0.2), (0.5, 0.0), (0.8, 0.22), (0.6, 0.6), (0.2, 0.95), (0.15, 0.85), (0.35, 0.85), (0.6, 0.98), (0.9, 0.92)),),
    ),
    (  # 3
        (((0.18, 0.12), (0.5, 0.0), (0.78, 0.2), (0.65, 0.42), (0.4, 0.48)), ((0.4, 0.48), (0.75, 0.55), (0.85, 0.78), (0.55, 1.0), (0.15, 0.88))),
        (((0.15, 0.0), (0.8, 0.0)), ((0.8, 0.0), (0.42, 0.42)), ((0.42, 0.42), (0.8, 0.55), (0.82, 0.85), (0.5, 1.0), (0.15, 0.9))),
    ),
    (  # 4
        (((0.65, 1.0), (0.65, 0.5), (0.65, 0.0)), ((0.65, 0.0), (0.1, 0.68)), ((0.1, 0.68), (0.92, 0.68))),
        (((0.2, 0.0), (0.18, 0.3), (0.15, 0.52)), ((0.15, 0.52), (0.88, 0.52)), ((0.75, 0.0), (0.72, 0.5), (0.7, 1.0))),
        (((0.35, 0.0), (0.1, 0.6)), ((0.1, 0.6), (0.9, 0.6)), ((0.6, 0.3), (0.58, 1.0))),
    ),
    (  # 5
        (((0.82, 0.0), (0.25, 0.0)), ((0.25, 0.0), (0.2, 0.45)), ((0.2, 0.45), (0.5, 0.36), (0.82, 0.55), (0.78, 0.85), (0.5, 1.0), (0.15, 0.9))),
        (((0.85, 0.02), (0.3, 0.02), (0.22, 0.4), (0.6, 0.4), (0.85, 0.68), (0.6, 0.98), (0.12, 0.95)),),
    ),
    (  # 6
        (((0.75, 0.02), (0.4, 0.15), (0.18, 0.5), (0.2, 0.85), (0.5, 1.0), (0.8, 0.85), (0.78, 0.6), (0.5, 0.5), (0.2, 0.68)),),
        (((0.5, 0.0), (0.22, 0.4), (0.18, 0.8), (0.45, 1.0), (0.78, 0.85), (0.7, 0.6), (0.4, 0.58), (0.2, 0.75)),),
    ),
    (  # 7
        (((0.12, 0.0), (0.85, 0.0)), ((0.85, 0.0), (0.6, 0.4), (0.4, 1.0))),
        (((0.12, 0.02), (0.85, 0.0)), ((0.85, 0.0), (0.4, 1.0)), ((0.32, 0.5), (0.82, 0.48))),
        (((0.15, 0.15), (0.15, 0.0)), ((0.15, 0.0), (0.85, 0.02)), ((0.85, 0.02), (0.55, 0.5), (0.45, 1.0))),
    ),
    (  # 8
        (((0.5, 0.48), (0.2, 0.3), (0.25, 0.05), (0.5, 0.0), (0.78, 0.08), (0.78, 0.3), (0.5, 0.48), (0.18, 0.65), (0.2, 0.92), (0.5, 1.0), (0.82, 0.9), (0.8, 0.65), (0.5, 0.48)),),
        (((0.8, 0.12), (0.5, 0.0), (0.2, 0.18), (0.5, 0.48), (0.82, 0.75), (0.55, 1.0), (0.2, 0.82), (0.45, 0.52), (0.82, 0.14)),),
    ),
    (  # 9
        (((0.8, 0.25), (0.5, 0.0), (0.2, 0.12), (0.2, 0.4), (0.5, 0.5), (0.8, 0.25)), ((0.8, 0.25), (0.75, 0.65), (0.65, 1.0))),
        (((0.78, 0.2), (0.45, 0.0), (0.18, 0.25), (0.4, 0.48), (0.75, 0.3)), ((0.78, 0.2), (0.8, 0.7), (0.6, 1.0), (0.25, 0.92))),
    ),
)  # fmt: skip

REACH = 8.0
"""Field points over which the value falls from 1 on the stroke's middle to 0."""


def fields(count: int, *, rng: Any, size: int) -> tuple[Any, Any]:
    """``count`` drawn digits as fields ``(count, size, size)`` of 1 on the stroke to 0, and labels.

    A digit fills the middle two thirds of its field, as :mod:`demo.digits` has it.
    """
    labels = rng.integers(0, len(_WAYS), count)
    middle = np.arange(size, dtype=np.float32) + 0.5
    out = np.empty((count, size, size), np.float32)
    for index, label in enumerate(labels):
        ways = _WAYS[label]
        points = _pen_path(ways[rng.integers(len(ways))], rng=rng) * (size * 2 / 3) + size / 6
        across = (middle[:, None] - points[None, :, 0]) ** 2
        downward = (middle[:, None] - points[None, :, 1]) ** 2
        near = np.full((size, size), np.inf, np.float32)
        for x, y in zip(across.T, downward.T, strict=True):
            np.minimum(near, y[:, None] + x[None, :], out=near)
        out[index] = np.clip(1 - np.sqrt(near) / REACH, 0, 1)
    return out, labels


def _pen_path(way: tuple[tuple[tuple[float, float], ...], ...], *, rng: Any) -> Any:
    """Points close together along all strokes of a digit, in the unit box."""
    narrow = rng.uniform(0.5, 1.0)
    path = []
    moved: dict[tuple[float, float], Any] = {}  # strokes that meet go on meeting
    for stroke in way:
        for point in stroke:
            moved.setdefault(point, np.array(point) + rng.normal(0, 0.03, 2))
        path.append(_curve(np.array([moved[point] for point in stroke])))
    points = np.concatenate(path)
    points[:, 0] = (points[:, 0] - 0.5) * narrow + 0.5
    return points.astype(np.float32)


def _curve(points: Any) -> Any:
    """A smooth curve (Catmull-Rom) through ``points``."""
    padded = np.concatenate([points[:1], points, points[-1:]])
    steps = np.linspace(0, 1, 12)[:, None]
    parts = []
    for before, start, end, after in zip(
        padded[:-3], padded[1:-2], padded[2:-1], padded[3:], strict=True
    ):
        parts.append(
            0.5
            * (
                2 * start
                + (end - before) * steps
                + (2 * before - 5 * start + 4 * end - after) * steps**2
                + (3 * start - before - 3 * end + after) * steps**3
            )
        )
    return np.concatenate(parts)
