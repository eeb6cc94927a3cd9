"""Digits drawn by a program as pen strokes, with random variations."""

from typing import Any

import numpy as np

# Each line: a digit, and one way of writing it. Strokes are parted by "/"; a stroke is the
# points that the pen goes through, in hundredths right and down from the top left corner.
_WAYS = """
0  50,0 20,20 15,50 25,85 50,100 75,85 85,50 80,20 50,0
0  55,2 10,35 10,70 50,100 90,65 90,30 50,0
1  50,0 50,50 50,100
1  25,28 40,15 55,0 / 55,0 55,50 55,100
1  25,25 52,0 / 52,0 52,100 / 22,100 82,100
1  60,0 50,50 40,100
2  15,25 30,5 60,0 82,20 70,48 40,75 12,100 / 12,100 50,98 88,100
2  15,20 50,0 80,22 60,60 20,95 15,85 35,85 60,98 90,92
3  18,12 50,0 78,20 65,42 40,48 / 40,48 75,55 85,78 55,100 15,88
3  15,0 80,0 / 80,0 42,42 / 42,42 80,55 82,85 50,100 15,90
4  65,100 65,50 65,0 / 65,0 10,68 / 10,68 92,68
4  20,0 18,30 15,52 / 15,52 88,52 / 75,0 72,50 70,100
4  35,0 10,60 / 10,60 90,60 / 60,30 58,100
5  82,0 25,0 / 25,0 20,45 / 20,45 50,36 82,55 78,85 50,100 15,90
5  85,2 30,2 22,40 60,40 85,68 60,98 12,95
6  75,2 40,15 18,50 20,85 50,100 80,85 78,60 50,50 20,68
6  50,0 22,40 18,80 45,100 78,85 70,60 40,58 20,75
7  12,0 85,0 / 85,0 60,40 40,100
7  12,2 85,0 / 85,0 40,100 / 32,50 82,48
7  15,15 15,0 / 15,0 85,2 / 85,2 55,50 45,100
8  50,48 20,30 25,5 50,0 78,8 78,30 50,48 18,65 20,92 50,100 82,90 80,65 50,48
8  80,12 50,0 20,18 50,48 82,75 55,100 20,82 45,52 82,14
9  80,25 50,0 20,12 20,40 50,50 80,25 / 80,25 75,65 65,100
9  78,20 45,0 18,25 40,48 75,30 / 78,20 80,70 60,100 25,92
"""

Way = list[list[tuple[float, float]]]
"""Strokes; each a list of points (right, down) in a box of 1 x 1."""

REACH = 8.0
"""Field points over which the value falls from 1 on the stroke's middle to 0."""


def fields(count: int, *, rng: Any, size: int) -> tuple[Any, Any]:
    """``count`` drawn digits as fields ``(count, size, size)`` of 1 on the stroke to 0, and labels.

    A digit fills the middle two thirds of its field, as :mod:`demo.digits` has it.
    """
    ways = _ways()
    labels = rng.integers(0, len(ways), count)
    middle = np.arange(size, dtype=np.float32) + 0.5
    out = np.empty((count, size, size), np.float32)
    for index, label in enumerate(labels):
        way = ways[label][rng.integers(len(ways[label]))]
        points = _pen_path(way, rng=rng) * (size * 2 / 3) + size / 6
        across = (middle[:, None] - points[None, :, 0]) ** 2
        downward = (middle[:, None] - points[None, :, 1]) ** 2
        near = np.full((size, size), np.inf, np.float32)
        for x, y in zip(across.T, downward.T, strict=True):
            np.minimum(near, y[:, None] + x[None, :], out=near)
        out[index] = np.clip(1 - np.sqrt(near) / REACH, 0, 1)
    return out, labels


def _ways() -> list[list[Way]]:
    """For each digit, its ways of writing."""
    ways: list[list[Way]] = [[] for _ in range(10)]
    for line in _WAYS.strip().splitlines():
        digit, strokes = line.split(maxsplit=1)
        way = []
        for stroke in strokes.split("/"):
            pairs = (point.split(",") for point in stroke.split())
            way.append([(int(right) / 100, int(down) / 100) for right, down in pairs])
        ways[int(digit)].append(way)
    return ways


def _pen_path(way: Way, *, rng: Any) -> Any:
    """Points close together along all strokes of a digit, in the unit box."""
    narrow = rng.uniform(0.5, 1.0)
    path = []
    moved: dict[tuple[float, float], Any] = {}  # joined strokes stay joined
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
