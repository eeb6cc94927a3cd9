"""The pictures that a validation shows to a network: drawn here, the same ones each time.

A network of one channel gets a digit, one of three channels a star. The version's page shows the
picture (the portal has it as a file, static/validation/) and the network's answer to it.
"""

import io
import math

from PIL import Image, ImageDraw

SIZE = 320
"""Pixels a side."""

_FINER = 4  # drawn so many times larger, so that edges are smooth
_WHOLE = SIZE * _FINER


def names() -> tuple[str, ...]:
    """All of them, as a report names them."""
    return tuple(_DRAWN)


def name_for(channels: int) -> str:
    """Which picture a network with so many channels is shown."""
    return "digit" if channels == 1 else "star"


def png(name: str) -> bytes:
    """The picture of this name, as a PNG file."""
    out = io.BytesIO()
    draw(name).save(out, "PNG", optimize=True)
    return out.getvalue()


def draw(name: str) -> Image.Image:
    """The picture of this name, in RGB."""
    return _DRAWN[name]().resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def _digit() -> Image.Image:
    """A three, dark on light, as with a thick pen."""
    page = Image.new("RGB", (_WHOLE, _WHOLE), (246, 245, 240))
    pen, width = ImageDraw.Draw(page), _WHOLE // 11
    for top, bottom, left, right, begin, end in (
        (0.20, 0.51, 0.34, 0.64, 200, 90),
        (0.49, 0.82, 0.32, 0.67, 270, 160),
    ):
        box = (left, top, right, bottom)
        _stroke(pen, tuple(_WHOLE * at for at in box), begin, end, width)
    return page


def _stroke(
    pen: ImageDraw.ImageDraw, box: tuple[float, ...], begin: int, end: int, width: int
) -> None:
    """Part of an ellipse with round ends, from one angle to the other, clockwise."""
    left, top, right, bottom = box
    x, y = (left + right) / 2, (top + bottom) / 2
    across, down = (right - left) / 2, (bottom - top) / 2
    end += 360 if end < begin else 0
    for angle in range(begin, end + 1):
        at = math.radians(angle)
        px, py, half = x + across * math.cos(at), y + down * math.sin(at), width / 2
        pen.ellipse((px - half, py - half, px + half, py + half), fill=(32, 36, 48))


def _star() -> Image.Image:
    """A yellow star on blue."""
    page = Image.new("RGB", (_WHOLE, _WHOLE), (44, 84, 150))
    points = []
    for corner in range(10):
        far = 0.36 if corner % 2 == 0 else 0.145
        at = math.pi * (corner / 5 - 0.5)
        points.append((_WHOLE * (0.5 + far * math.cos(at)), _WHOLE * (0.52 + far * math.sin(at))))
    ImageDraw.Draw(page).polygon(points, fill=(250, 200, 60))
    return page


_DRAWN = {"digit": _digit, "star": _star}
