"""From whatever file a user picks to bytes that the container reads."""

import hashlib
import io
import math
import threading
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, BinaryIO

from django.utils.translation import gettext as _
from PIL import Image

from core.sentences import Sentence, phrase
from core.storable import storable
from invocations import decoding, unreadable
from invocations.runtime import MAX_PAYLOAD_BYTES

MAX_FILE_BYTES = 64 * 1024 * 1024
"""Largest file that is looked at."""
SENT_SIDE = 2048
"""Longest side, in pixels, of a picture that had to be made smaller."""
SENT_SHORT_SIDE = 512
"""Of a very long one the shorter side: the network would see nothing of it else."""
THUMBNAIL_SIDE = 192
PREVIEW_SIDE = 480
"""Longest side of what an answer shows while the picture is kept."""
_TYPES = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "WEBP": "image/webp",
}
"""What is sent as it is. The container reads the other formats as well, but an endpoint's container
may be older than the portal, and did not."""
_OTHER_TYPES = {
    "AVIF": ("image/avif", ".avif"),
    "TIFF": ("image/tiff", ".tif", ".tiff"),
    "JPEG2000": ("image/jp2", ".jp2", ".j2k"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "ICO": ("image/x-icon", ".ico"),
    "TGA": (".tga",),
}
ACCEPT = ",".join(
    name
    for kind in decoding.FORMATS
    for name in ((_TYPES[kind],) if kind in _TYPES else _OTHER_TYPES[kind])
)
"""For the page's file field: no more than is read. iOS turns HEIC into JPEG where it is not named.
"""

# Decoding takes memory by the pixel: not for all web threads at the same time.
_one_large_at_a_time = threading.RLock()
_LARGE_PIXELS = 2_000_000
_LARGE_BYTES = 4_000_000
_RE_ENCODED_PIXELS = 8_000_000
"""Above it, what has to be re-encoded is made smaller too."""


# EXIF's Orientation of a picture that needs no turn.
_UPRIGHT = 1


class NotAPicture(Exception):
    """The file cannot be used; ``str()`` is a sentence for the page, in the reader's language."""


@dataclass(frozen=True)
class SentAs:
    """What a model is sent of a picture: its content type, and its size in pixels.

    ``turned``: the camera was held otherwise, and it is rotated upright (EXIF's Orientation): here,
    where it is re-encoded, else by the container.
    """

    content_type: str
    width: int
    height: int
    turned: bool

    def as_json(self) -> dict[str, Any]:
        """As a row stores it."""
        return dict(vars(self))  # asdict() copies what no value has, for each call


@dataclass(frozen=True)
class Prepared:
    """A picture that is ready to be sent."""

    name: str
    data: bytes
    content_type: str
    thumbnail: bytes
    """A small JPEG."""
    preview: bytes
    """A larger one."""
    scaled: Sentence | None
    """How the picture was made smaller or turned into another format; None if it was not."""
    sent_as: SentAs

    @property
    def sha256(self) -> str:
        """Of the bytes that are sent, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


def prepare(file: BinaryIO, name: str) -> Prepared:
    """Read a picture; re-encode it where the container could not take it. Raises NotAPicture."""
    name = file_name(name)
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if not size:
        raise NotAPicture(_("%(name)s is empty. Choose a picture.") % {"name": name})
    if size > MAX_FILE_BYTES:
        raise NotAPicture(too_large(name))
    try:
        if size > _LARGE_BYTES:
            with _one_large_at_a_time:
                return _prepare(file.read(), name)
        return _prepare(file.read(), name)
    except decoding.NoPicture:
        raise NotAPicture(
            _("%(name)s is not a picture, whatever its name says. Choose a file of: %(formats)s.")
            % {"name": name, "formats": formats()}
        ) from None
    except decoding.Unreadable as error:
        raise NotAPicture(unreadable.told(str(error))) from error


def formats() -> str:
    """The formats to send, in words of the reader's language."""
    *most, last = decoding.COMMON
    return _("%(most)s or %(last)s") % {"most": ", ".join(most), "last": last}


def file_name(name: str) -> str:
    """The name that is kept of a file."""
    # Most calls of the API name none, and a path takes as long to take apart as a token to check.
    return (PurePath(storable(name)).name[-200:] if name else "") or "picture"


def as_it_is(data: bytes) -> SentAs | None:
    """What is said of a picture that is sent as it is; None of one that has to be prepared.

    Looks at its header alone. Raises decoding.NoPicture and decoding.Unreadable.
    """
    opened = decoding.open_picture(data)
    if opened.kind not in _TYPES or len(data) > MAX_PAYLOAD_BYTES:
        return None
    return _said_of(opened, _TYPES[opened.kind], opened.size)


def _said_of(opened: decoding.Opened, content_type: str, size: tuple[int, int]) -> SentAs:
    return SentAs(content_type, *size, turned=opened.orientation != _UPRIGHT)


def too_large(name: str) -> str:
    """What to say of a file that is not even looked at."""
    return _("%(name)s is larger than %(most)s MB. Choose a smaller one.") % {
        "name": name,
        "most": MAX_FILE_BYTES >> 20,
    }


def _prepare(data: bytes, name: str) -> Prepared:
    opened = decoding.open_picture(data)
    width, height = opened.size
    if width * height <= _LARGE_PIXELS:
        return _sent(opened, data, name)
    with _one_large_at_a_time:
        return _sent(opened, data, name)


def _sent(opened: decoding.Opened, data: bytes, name: str) -> Prepared:
    width, height = opened.size
    fits = len(data) <= MAX_PAYLOAD_BYTES
    as_it_is = fits and opened.kind in _TYPES
    smaller = not fits or width * height > _RE_ENCODED_PIXELS
    if as_it_is:
        least = _within(opened.size, PREVIEW_SIDE, 1)
    else:
        least = _within(opened.size, SENT_SIDE, SENT_SHORT_SIDE) if smaller else opened.size
    try:
        picture = opened.upright(_shrunk(opened.load(least), least))
        if smaller and not as_it_is:
            picture = _scaled(picture, _within(picture.size, SENT_SIDE, SENT_SHORT_SIDE))
        small = _shrunk(picture, _within(picture.size, PREVIEW_SIDE, 1))
        small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
        preview = _encoded(small, "JPEG", quality=82)
        small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        thumbnail = _encoded(small, "JPEG", quality=82)
        if as_it_is:
            told = _said_of(opened, _TYPES[opened.kind], opened.size)
            return Prepared(name, data, told.content_type, thumbnail, preview, None, told)
        picture, sent = _jpeg(picture) if not fits else _lossless(picture)
    except decoding.Unreadable:
        raise
    except MemoryError as error:
        raise NotAPicture(
            _("%(name)s takes more memory than there is. Scale it down.") % {"name": name}
        ) from error
    except Exception as error:  # of Pillow, which was given a picture of any proportions
        raise NotAPicture(
            _("%(name)s cannot be prepared for the call. Save it again as JPEG or PNG. (%(error)s)")
            % {"name": name, "error": error}
        ) from error
    content_type = "image/jpeg" if sent.startswith(b"\xff\xd8") else "image/png"
    kind = content_type.removeprefix("image/").upper()
    before = {"before": _size(len(data)), "before_px": f"{width:,} × {height:,}"}
    after = {"after": _size(len(sent)), "after_px": f"{picture.width:,} × {picture.height:,}"}
    if not fits:
        scaled = phrase(
            "Scaled down from %(before)s, %(before_px)s px to %(after)s, %(after_px)s px: "
            "SageMaker takes %(most)s at most",
            **before,
            **after,
            most=_size(MAX_PAYLOAD_BYTES),
        )
    elif smaller:
        scaled = phrase(
            "Format changed: %(from)s to %(to)s; scaled down from %(before)s, %(before_px)s px "
            "to %(after)s, %(after_px)s px",
            **{"from": opened.kind},
            to=kind,
            **before,
            **after,
        )
    else:
        scaled = phrase("Format changed: %(from)s to %(to)s", **{"from": opened.kind}, to=kind)
    told = _said_of(opened, content_type, picture.size)
    return Prepared(name, sent, content_type, thumbnail, preview, scaled, told)


def _within(size: tuple[int, int], longer: int, shorter: int) -> tuple[int, int]:
    """The size to scale to: the longer side as given, if the shorter one is not below its own."""
    factor = min(1.0, max(longer / max(size), shorter / min(size)))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _scaled(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture if picture.size == size else picture.resize(size, Image.Resampling.BICUBIC)


def _shrunk(image: Image.Image, least: tuple[int, int]) -> Image.Image:
    """RGB, made smaller by a whole number so that it is not below ``least``.

    Goes band by band: a whole picture takes its memory once per conversion, and there are several.
    """
    factor = max(1, min(image.width // least[0], image.height // least[1]))
    small = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top, band in decoding.bands(image, factor):
        small.paste(band.reduce(factor), (0, top // factor))
    return small


def _lossless(picture: Image.Image) -> tuple[Image.Image, bytes]:
    data = _encoded(picture, "PNG")
    return (picture, data) if len(data) <= MAX_PAYLOAD_BYTES else _jpeg(picture)


def _jpeg(picture: Image.Image) -> tuple[Image.Image, bytes]:
    """The picture as JPEG, and what it had to be scaled to."""
    while len(data := _encoded(picture, "JPEG", quality=90)) > MAX_PAYLOAD_BYTES:
        factor = 0.9 * math.sqrt(MAX_PAYLOAD_BYTES / len(data))
        size = max(1, int(picture.width * factor)), max(1, int(picture.height * factor))
        picture = _scaled(picture, size)
    return picture, data


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB"
