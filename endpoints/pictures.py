"""From whatever file a user picks to bytes that the container reads."""

import hashlib
import io
import threading
from dataclasses import dataclass
from pathlib import PurePath
from typing import BinaryIO

from PIL import ExifTags, Image, UnidentifiedImageError

from endpoints.runtime import MAX_PAYLOAD_BYTES

MAX_FILE_BYTES = 64 * 1024 * 1024
"""Largest file that is looked at."""
MAX_PIXELS = 50_000_000
"""Most pixels that are decoded, here and in the container; a JPEG is decoded smaller at once."""
MAX_JPEG_PIXELS = 120_000_000
SENT_SIDE = 2048
"""Longest side, in pixels, of a picture that had to be made smaller."""
THUMBNAIL_SIDE = 192
_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # what some cameras write: a JPEG with a second one behind it
    "PNG": "image/png",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "WEBP": "image/webp",
}
"""What the container reads as it is; the rest is re-encoded."""

# Readers of plain pixels alone: Pillow would start other programs for some formats.
Image.init()
_FORMATS = tuple(
    kind
    for kind in (*_TYPES, "TIFF", "PPM", "ICO", "TGA", "JPEG2000", "AVIF")
    if kind in Image.OPEN  # some depend on how Pillow was built
)

# _open looks at the header first, and says what to do; Pillow's own check does not.
Image.MAX_IMAGE_PIXELS = None

# Decoding takes memory by the pixel: not for all web threads at the same time.
_one_large_at_a_time = threading.Lock()
_LARGE_PIXELS = 2_000_000
_RE_ENCODED_PIXELS = 8_000_000
"""Above it, what has to be re-encoded is made smaller too."""
_BAND_PIXELS = 1_000_000
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by the camera's Orientation."""


class NotAPicture(Exception):
    """The file cannot be used; ``str()`` is a sentence for the page."""


@dataclass(frozen=True)
class Prepared:
    """A picture that is ready to be sent."""

    name: str
    data: bytes
    content_type: str
    thumbnail: bytes
    """A small JPEG."""
    scaled: str
    """How the picture was made smaller or turned into another format; empty if it was not."""

    @property
    def sha256(self) -> str:
        """Of the bytes that are sent, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


def prepare(file: BinaryIO, name: str) -> Prepared:
    """Read a picture; re-encode it where the container could not take it. Raises NotAPicture."""
    name = PurePath(name or "picture").name[-200:] or "picture"
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if not size:
        raise NotAPicture(f"{name} is empty. Choose a picture.")
    if size > MAX_FILE_BYTES:
        raise NotAPicture(too_large(name))
    image = _open(file, name)
    if image.width * image.height <= _LARGE_PIXELS:
        return _prepare(image, file, size, name)
    with _one_large_at_a_time:
        return _prepare(image, file, size, name)


def too_large(name: str) -> str:
    """What to say of a file that is not even looked at."""
    return f"{name} is larger than {MAX_FILE_BYTES >> 20} MB. Choose a smaller one."


def _open(file: BinaryIO, name: str) -> Image.Image:
    try:
        image = Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError:
        raise _no_picture(name) from None
    except Exception as error:
        # Pillow's readers meet hostile bytes with whatever Python raises: struct.error, IndexError…
        raise _no_picture(name) from error
    # At once in the small: but a progressive JPEG is held in memory whole all the same.
    plain_jpeg = image.format in ("JPEG", "MPO") and not image.info.get("progressive")
    most = MAX_JPEG_PIXELS if plain_jpeg else MAX_PIXELS
    if image.width < 1 or image.height < 1:
        raise _no_picture(name)
    if image.width * image.height > most:
        raise NotAPicture(
            f"{name} has {image.width:,} × {image.height:,} pixels; at most "
            f"{most // 1_000_000} million are decoded. Scale it down and try again."
        )
    return image


def _no_picture(name: str) -> NotAPicture:
    return NotAPicture(
        f"{name} is not a picture, whatever its name says. "
        "Choose a JPEG, PNG, WebP, GIF, BMP or TIFF file."
    )


def _prepare(image: Image.Image, file: BinaryIO, size: int, name: str) -> Prepared:
    width, height, kind = image.width, image.height, image.format or ""
    fits = size <= MAX_PAYLOAD_BYTES and width * height <= MAX_PIXELS
    as_it_is = fits and kind in _TYPES
    smaller = not fits or width * height > _RE_ENCODED_PIXELS
    side = 2 * THUMBNAIL_SIDE if as_it_is else SENT_SIDE if smaller else max(width, height)
    try:
        # JPEG alone can be decoded at 1/2, 1/4 or 1/8; for others this does nothing.
        image.draft("RGB", (side, side))
        image.load()
        picture = _upright(_shrunk(image, side), image)
        if smaller and not as_it_is:
            picture.thumbnail((SENT_SIDE, SENT_SIDE))
        thumbnail = _shrunk(picture, 2 * THUMBNAIL_SIDE)
        thumbnail.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        thumbnail_bytes = _encoded(thumbnail, "JPEG", quality=82)
        if as_it_is:
            file.seek(0)
            return Prepared(name, file.read(), _TYPES[kind], thumbnail_bytes, "")
        sent = _lossless(picture) if fits else _encoded(picture, "JPEG", quality=90)
    except NotAPicture:
        raise
    except Exception as error:
        # As above; MemoryError too, which a small file can ask for.
        raise NotAPicture(
            f"{name} begins like a picture, but is damaged or cut short. Save it anew as JPEG "
            "or PNG."
        ) from error
    content_type = "image/jpeg" if sent.startswith(b"\xff\xd8") else "image/png"
    scaled = f"{kind} turned into {content_type.removeprefix('image/').upper()}"
    before = f"{_size(size)}, {width:,} × {height:,} px"
    after = f"{_size(len(sent))}, {picture.width:,} × {picture.height:,} px"
    if not fits:
        most = f"SageMaker takes {_size(MAX_PAYLOAD_BYTES)} at most"
        scaled = f"{before}, scaled down to a smaller {after}: {most}"
    elif smaller:
        scaled = f"{scaled}, scaled down: {before} to {after}"
    return Prepared(name, sent, content_type, thumbnail_bytes, scaled)


def _shrunk(image: Image.Image, at_least: int) -> Image.Image:
    """RGB, made smaller by a whole number so that the longer side is still ``at_least``.

    Goes band by band: a whole picture takes its memory once per conversion, and there are several.
    """
    factor = max(1, max(image.size) // at_least)
    span = _span(image)
    small = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    rows = factor * max(1, _BAND_PIXELS // (image.width * factor))
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        small.paste(_on_white(band, span).reduce(factor), (0, top // factor))
    return small


def _upright(picture: Image.Image, original: Image.Image) -> Image.Image:
    turn = _UPRIGHT.get(original.getexif().get(ExifTags.Base.Orientation, 1))
    return picture if turn is None else picture.transpose(turn)


def _lossless(image: Image.Image) -> bytes:
    data = _encoded(image, "PNG")
    return data if len(data) <= MAX_PAYLOAD_BYTES else _encoded(image, "JPEG", quality=90)


def _on_white(image: Image.Image, span: tuple[float, float] | None) -> Image.Image:
    """RGB; what is transparent shows white, as it does in the container and on a page."""
    if span is not None:
        low, high = span
        factor = 255.0 / ((high - low) or 1.0)
        grey = image.convert("F").point(lambda value: (value - low) * factor)
        return grey.convert("L").convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _span(image: Image.Image) -> tuple[float, float] | None:
    """The darkest and the lightest value there may be, where they are not those of 8 bits.

    Pillow's own conversion to 8 bits clips instead of scaling.
    """
    if image.mode.startswith("I;16"):
        return 0.0, 65_535.0
    if image.mode not in ("I", "F"):
        return None
    low, high = image.getextrema()
    if isinstance(low, tuple) or isinstance(high, tuple):
        raise ValueError("a picture of one band has one range")
    return (0.0, 65_535.0) if low >= 0 and 255 < high <= 65_535 else (float(low), float(high))


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB"
