"""From the bytes of a picture to the array that a network takes."""

import io

import numpy as np
from artifact import Preprocess
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 50_000_000
"""Most pixels that are decoded. Checked in the header: a 6 MB PNG may hold a gigabyte."""

MAX_SIDE = 30_000
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")

# Our own check below looks at the header first and says what to do; Pillow's only warns.
Image.MAX_IMAGE_PIXELS = None


class BadImage(Exception):
    """The bytes are no picture, or one that is not decoded; the message says how to mend it."""


def decode(data: bytes, shape: tuple[int, int, int], preprocess: Preprocess) -> np.ndarray:
    """Decode a picture to float32 of ``shape`` (channels, height, width) for the network.

    Raises :class:`BadImage` where the bytes are not a picture in one of ``FORMATS``, are cut
    short, or have more than ``MAX_PIXELS``.
    """
    if not data:
        raise BadImage("The request is empty: send the bytes of a picture (JPEG, PNG, GIF, WebP).")
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise BadImage(
            "The request is not a picture: send the bytes of a JPEG, PNG, GIF, WebP, BMP or TIFF."
        ) from error
    if max(image.size) > MAX_SIDE or image.width * image.height > MAX_PIXELS:
        raise BadImage(
            f"The picture is {image.width} x {image.height} pixels; at most "
            f"{MAX_PIXELS // 1_000_000} million are decoded. Scale it down and send it again."
        )
    try:
        shorter = preprocess.resize or 0
        # JPEG can be decoded at 1/2, 1/4 or 1/8; twice the wanted size keeps the sharpness.
        image.draft(mode, (2 * max(width, shorter), 2 * max(height, shorter)))
        image = _upright(image)
        image = _in_mode(image, mode)
        image = image.resize(
            (width, height), Image.Resampling.BILINEAR, _box(image, shape, preprocess)
        )
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise BadImage(
            f"The picture is damaged or cut short ({error}). Save it anew as JPEG or PNG."
        ) from error
    array = np.asarray(image, dtype=np.float32).reshape(height, width, channels).transpose(2, 0, 1)
    return normalise(array, preprocess)


def _upright(image: Image.Image) -> Image.Image:
    """Turn the picture as the camera's EXIF note says, as viewers and mx.image do."""
    return ImageOps.exif_transpose(image) if image.getexif().get(0x0112, 1) != 1 else image


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        # 16 bits a pixel: Pillow's own conversion to 8 clips instead of scaling.
        values = np.asarray(image, dtype=np.float32) / 257.0
        image = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        # What is transparent shows white, as on a page, not the colour that happens to hide there.
        layer = image.convert("RGBA")
        paper = Image.new("RGBA", layer.size, "white")
        image = Image.alpha_composite(paper, layer)
    return image if image.mode == mode else image.convert(mode)


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
