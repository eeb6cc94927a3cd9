"""From the bytes of a picture to the array that a network takes."""

import numpy as np
from PIL import Image

from container import decoding
from container.artifact import Preprocess

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "area": Image.Resampling.BOX,
}
"""Pillow's filters by the words of NAME-preprocess.json."""


class BadImage(Exception):
    """The bytes are no picture that can be decoded; the message says how to correct it."""


def decode(data: bytes, shape: tuple[int, int, int], preprocess: Preprocess) -> np.ndarray:
    """Decode a picture to float32 of ``shape`` (channels, height, width) for the network.

    Raises :class:`BadImage` where the bytes are not a picture in one of ``decoding.FORMATS``, are
    damaged or cut short, or have more pixels than are decoded.
    """
    if not data:
        raise BadImage(f"The request is empty: send the bytes of a picture ({decoding.LISTED}).")
    try:
        image = _picture(data, shape, preprocess)
        pixels = _scaled(image, shape, preprocess)
    except decoding.NoPicture as error:
        raise BadImage(
            f"The request is not a picture: send the bytes of a {decoding.LISTED}."
        ) from error
    except decoding.Unreadable as error:
        raise BadImage(str(error)) from error
    except MemoryError as error:
        raise BadImage(
            "The picture takes more memory than there is. Scale it down and send it again."
        ) from error
    except Exception as error:  # of Pillow, which was given a picture of any proportions
        raise BadImage(
            f"The picture cannot be brought to the network's input ({error}). Save it anew as PNG, "
            "in usual proportions."
        ) from error
    return normalise(pixels.transpose(2, 0, 1), preprocess)


def _picture(data: bytes, shape: tuple[int, int, int], preprocess: Preprocess) -> Image.Image:
    """Upright, grey or RGB as the network's channels are."""
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    opened = decoding.open_picture(data)
    shorter = preprocess.resize or 0
    # JPEG can be decoded at 1/2, 1/4 or 1/8; twice the wanted size keeps the sharpness.
    image = opened.load((2 * max(width, shorter), 2 * max(height, shorter)), mode)
    if image.mode != "L" or mode != "L" or image.has_transparency_data:
        image = decoding.to_rgb(image)
        image = image.convert(mode) if mode == "L" else image
    return opened.upright(image)


def _scaled(image: Image.Image, shape: tuple[int, int, int], preprocess: Preprocess) -> np.ndarray:
    """Values 0 to 255 of (height, width, channels), in the order of the network's channels."""
    channels, height, width = shape
    how = _FILTERS[preprocess.interpolation]
    if preprocess.pad is None:
        image = image.resize((width, height), how, _box(image, shape, preprocess))
        pixels = np.asarray(image, dtype=np.float32).reshape(height, width, channels)
        return pixels[:, :, ::-1] if preprocess.color == "BGR" else pixels
    factor = min(width / image.width, height / image.height)
    inner_width = min(width, max(1, round(image.width * factor)))
    inner_height = min(height, max(1, round(image.height * factor)))
    inner = np.asarray(image.resize((inner_width, inner_height), how), dtype=np.float32)
    inner = inner.reshape(inner_height, inner_width, channels)
    pixels = np.empty((height, width, channels), np.float32)
    pixels[:] = preprocess.pad
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    pixels[top : top + inner_height, left : left + inner_width] = (
        inner[:, :, ::-1] if preprocess.color == "BGR" else inner
    )
    return pixels


def _box(
    image: Image.Image, shape: tuple[int, int, int], preprocess: Preprocess
) -> tuple[float, float, float, float]:
    """The part of the picture that becomes the input.

    Resize and centre crop are done in one step, from this part alone: a picture of 1 x 30,000
    pixels would otherwise grow to gigabytes on its way.
    """
    if not preprocess.crop:
        return (0, 0, image.width, image.height)
    _, height, width = shape
    if preprocess.resize:
        factor = min(image.size) / preprocess.resize
    else:  # the largest part of the input's proportions
        factor = min(image.width / width, image.height / height)
    box_width = min(image.width, width * factor)
    box_height = min(image.height, height * factor)
    left, top = (image.width - box_width) / 2, (image.height - box_height) / 2
    return (left, top, left + box_width, top + box_height)


def normalise(array: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """Apply ``scale``, ``mean`` and ``std`` to (channels, height, width) of pixels 0 to 255."""
    if preprocess.scale != 1.0:
        array = array * np.float32(preprocess.scale)
    if preprocess.mean:
        array = array - np.asarray(preprocess.mean, dtype=np.float32).reshape(-1, 1, 1)
    if preprocess.std:
        array = array / np.asarray(preprocess.std, dtype=np.float32).reshape(-1, 1, 1)
    return np.ascontiguousarray(array, dtype=np.float32)
