"""Decodes untrusted bytes to a picture of 8 bits and three colours.

``invocations/decoding.py`` is a link to this file: the server and the portal's page read by the
same code, and neither imports the other. So the page shows, refuses and sends what the server
reads, in the same words; a test compares what both make of a table of pictures.

The bytes are untrusted. What a picture does not need (texts, profiles, camera notes) is left out
before Pillow sees it, the size is judged by the header, and whatever Pillow raises becomes one
sentence.
"""

# untranslated file: invocations/unreadable.py tells its sentences in the reader's language

import ctypes
import io
import math
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import PIL
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    ImageChops,
    ImageMath,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

MAX_PIXELS = 50_000_000
"""Most pixels that are decoded. Judged by the header: a 6 MB PNG may hold a gigabyte."""
MAX_JPEG_PIXELS = 250_000_000
"""Most of a JPEG in one scan: of this kind alone a smaller picture can be decoded at once."""
MAX_SIDE = 65_535
"""Longest side: scaling needs some 16 bytes of memory for each of its pixels, besides the rest."""
_MAX_PIXELS_OF = {"WEBP": 32_000_000, "AVIF": 32_000_000, "JPEG2000": 25_000_000}
"""Their decoders take 16 to 20 bytes a pixel while they work; so all stay below 600 MB."""
_MAX_COEFFICIENT_BYTES = 300_000_000
"""What libjpeg holds of a JPEG in several scans: 2 bytes a value, 50 million pixels unreduced."""
_MAX_SCANNED = 2_000_000_000
_MAX_SCANS = 1000
"""Scans of a JPEG times its pixels, and scans: thousands of empty ones would take hours. Usual are
10, and 20 are read in any case."""
_MAX_SEGMENTS = 20_000
_SHARE_NEEDED = 0.9
"""The share of a JPEG's pixels that must be there where its end is missing."""
_REDUCED_PIXELS = 10_000_000
_ZEROS, _MANY_ZEROS = 256, 4096
"""From this many zeros on, the end of a JPEG is room that a download did not fill: the first where
they cannot be data, the second where they could be an area of one colour."""
_BAND_PIXELS = 1_000_000

_READERS = {
    "JPEG": JpegImagePlugin,
    "PNG": PngImagePlugin,
    "WEBP": WebPImagePlugin,
    "GIF": GifImagePlugin,
    "BMP": BmpImagePlugin,
    "TIFF": TiffImagePlugin,
    "AVIF": AvifImagePlugin,
    "JPEG2000": Jpeg2KImagePlugin,
    "PPM": PpmImagePlugin,
    "ICO": IcoImagePlugin,
    "TGA": TgaImagePlugin,
}
_IN_LIBRARIES = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}

FORMATS = tuple(
    # Some depend on how Pillow was built.
    kind
    for kind in _READERS
    if kind in Image.OPEN and (kind not in _IN_LIBRARIES or features.check(_IN_LIBRARIES[kind]))
)
"""Pillow's names of what is read. None of them has Pillow start another program."""

_NAMES = {"WEBP": "WebP", "JPEG2000": "JPEG 2000"}
COMMON = tuple(_NAMES.get(kind, kind) for kind in FORMATS if kind not in ("PPM", "ICO", "TGA"))
"""What to send, as people call it; rare formats are left out."""
LISTED = f"{', '.join(COMMON[:-1])} or {COMMON[-1]}"
"""The same in words."""


def _silence() -> None:
    """Have neither Pillow nor libtiff write to stderr, where the log is, what they find in a file.

    For libtiff Pillow has no setting; its wheels bring the library, which is loaded by now.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    for path in (Path(PIL.__file__).parent.parent / "pillow.libs").glob("libtiff-*.so*"):
        ctypes.CDLL(str(path)).TIFFSetErrorHandler(None)


_silence()

# _check_size looks at the header first and says what to do; Pillow's own check does not.
Image.MAX_IMAGE_PIXELS = None


class Unreadable(Exception):  # untranslated: invocations/unreadable.py does it
    """The bytes are not decoded; ``str()`` is a sentence that says how to mend it."""


class NoPicture(Unreadable):  # untranslated: the portal has a sentence of its own
    """The bytes are none of the formats that are known."""


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


@dataclass
class Opened:
    """A picture whose header was read; ``load`` decodes it, once."""

    kind: str
    """Pillow's name of the format."""
    size: tuple[int, int]
    image: Image.Image
    orientation: int = 1
    """How the camera was held, 1 to 8, as in EXIF."""
    _jpeg: "_Jpeg | None" = None

    def load(self, least: tuple[int, int], mode: str = "RGB") -> Image.Image:
        """Decode it. A JPEG is decoded at 1/2, 1/4 or 1/8 while it stays larger than ``least``.

        Raises :class:`Unreadable` where the bytes are damaged or cut short.
        """
        # Dropped here, so that its memory is free while the result is made.
        image, self.image = self.image, Image.new("1", (1, 1))
        try:
            if self._jpeg is None:
                image.load()
                return image
            return self._jpeg.load(image, least, mode)
        except Unreadable:
            raise
        except MemoryError as error:
            raise Unreadable(
                "The picture takes more memory than there is. Scale it down and send it again."
            ) from error
        except Exception as error:
            raise _damaged() from error

    def upright(self, picture: Image.Image) -> Image.Image:
        """Rotate ``picture`` as EXIF's Orientation says, as viewers and mx.image do."""
        turn = _UPRIGHT.get(self.orientation)
        return picture if turn is None else picture.transpose(turn)


def open_picture(data: bytes) -> Opened:
    """Read the header of a picture. Raises :class:`Unreadable`."""
    kind = kind_of(data)
    if kind is None and (sentence := _known(data)):
        raise Unreadable(sentence)
    try:
        return _open(data, kind or "TGA")  # which has no mark of its own
    except Unreadable:
        raise
    except MemoryError as error:
        raise Unreadable("The picture takes more memory than there is.") from error
    except Exception as error:
        # On untrusted bytes Pillow raises all kinds of errors: struct.error, KeyError…
        if kind is None:
            raise NoPicture(f"This is not a picture: send {LISTED}.") from error
        raise _damaged() from error


def _damaged(why: str = "") -> Unreadable:
    return Unreadable(
        f"The picture is damaged or cut short{why}. Save it anew as JPEG or PNG, or copy it again."
    )


def _open(data: bytes, kind: str) -> Opened:
    if kind not in FORMATS:
        raise Unreadable(f"{_NAMES.get(kind, kind)} is not read here: save it as JPEG or PNG.")
    if kind == "JPEG":
        jpeg = _Jpeg.read(data)
        return Opened(kind, (jpeg.width, jpeg.height), jpeg.open(), jpeg.orientation, jpeg)
    if kind == "AVIF":
        return _open_avif(data)
    given, orientation = kind, 1
    if kind == "ICO":
        kind, data = _largest_of_icon(data)
    if kind == "PNG":
        data, exif = _plain_png(data)
        orientation = exif_orientation(exif)
    elif kind == "TIFF":
        data = _plain_tiff(data)  # Pillow turns these itself
    image = Image.open(io.BytesIO(data), formats=(kind,))
    _check_size(image.width, image.height, kind)
    if kind == "WEBP":
        orientation = exif_orientation(image.info.get("exif", b""))
    return Opened(given, image.size, image, orientation)


def _check_size(width: int, height: int, kind: str) -> None:
    of_these = f" of a {_NAMES.get(kind, kind)}" if kind in _MAX_PIXELS_OF else ""
    _check_pixels(width, height, _MAX_PIXELS_OF.get(kind, MAX_PIXELS), of_these)


def _check_pixels(width: int, height: int, most: int, of_these: str) -> None:
    if width < 1 or height < 1:
        raise _damaged()
    if width * height > most:
        raise Unreadable(
            f"The picture is {width} x {height} pixels; at most {most // 1_000_000} million"
            f"{of_these} are decoded. Scale it down and send it again."
        )
    if max(width, height) > MAX_SIDE:
        raise Unreadable(
            f"The picture is {width} x {height} pixels; at most {MAX_SIDE:,} a side are decoded. "
            "Cut it into parts or scale it down."
        )


# --- from any mode to RGB ----------------------------------------------------------------------

Span = tuple[float, float]


def to_rgb(image: Image.Image) -> Image.Image:
    """Any decoded picture in RGB of 8 bits: :func:`bands` put together."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    whole = Image.new("RGB", image.size)
    for top, band in bands(image):
        whole.paste(band, (0, top))
    return whole


def bands(image: Image.Image, multiple: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """The picture in RGB, band by band from the top: a conversion takes its memory anew each time.

    Transparent pixels become white, as on a page, whatever colour is stored for them.
    16 bits are scaled to 8. Values of 32 bits are scaled from 0..1 (floating point alone), 0..255
    or 0..65,535, the first that holds them all, or from their least and greatest.
    A band is ``multiple`` rows high, or a multiple of that. Raises :class:`Unreadable`.
    """
    try:
        span = _span(image)
        rows = multiple * max(1, _BAND_PIXELS // (image.width * multiple))
        for top in range(0, image.height, rows):
            band = image.crop((0, top, image.width, min(top + rows, image.height)))
            yield top, _in_rgb(band, span)
    except (Unreadable, MemoryError):
        raise
    except Exception as error:
        raise Unreadable(
            f"Pictures of the kind {image.mode} are not read here: save it as RGB, 8 bits a colour."
        ) from error


def _span(image: Image.Image) -> Span | None:
    """The least and the greatest possible value, where they are not those of 8 bits.

    Pillow's own conversion to 8 bits clips instead of scaling.
    """
    if image.mode.startswith("I;16"):
        return 0.0, 65_535.0
    if image.mode not in ("I", "F"):
        return None
    if image.mode == "I" and image.format == "PPM":
        return 0.0, 65_535.0  # Pillow scales them to this
    low, high = image.getextrema()
    if isinstance(low, tuple) or isinstance(high, tuple):
        raise ValueError("a picture of one band has one range")
    if not -1e30 < low <= high < 1e30:
        raise Unreadable("The picture's values are not finite numbers: save it anew without them.")
    for most in (1.0, 255.0, 65_535.0):
        if low >= 0 and high <= most and (most > 1 or image.mode == "F"):
            return 0.0, most
    return float(low), float(high)


def _in_rgb(image: Image.Image, span: Span | None) -> Image.Image:
    if span is not None:
        return _from_span(image, span)
    clear = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(clear, tuple) and max(clear) > 255:
        # Of a PNG of 16 bits a colour: Pillow leaves out the lower 8, but not here.
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    image.info.pop("transparency", None)
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_span(image: Image.Image, span: Span) -> Image.Image:
    low, high = span
    factor = 255.0 / ((high - low) or 1.0)
    values = image.convert("F") if image.mode == "F" else image.convert("I").convert("F")
    # Converting to L cuts off what is behind the point, and all beyond 0 to 255.
    grey = values.point(lambda value: value * factor + (0.5 - low * factor)).convert("L")
    clear = image.info.get("transparency")
    if isinstance(clear, int) and image.mode.startswith("I"):
        is_clear = ImageMath.lambda_eval(
            lambda given: given["convert"](given["values"] == clear, "L"), values=image.convert("I")
        )
        grey.paste(255, mask=is_clear.point(lambda value: 255 if value else 0))
    return grey.convert("RGB")


# --- EXIF --------------------------------------------------------------------------------------


def exif_orientation(data: bytes) -> int:
    """The Orientation in EXIF, 1 to 8; 1 where there is none.

    Reads this entry and no other, so that it does not matter what else is wrong there.
    """
    data = data.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 10:
        return 1
    (at,) = struct.unpack_from(order + "I", data, 4)
    if at + 2 > len(data):
        return 1
    (count,) = struct.unpack_from(order + "H", data, at)
    for place in range(at + 2, min(at + 2 + 12 * count, len(data) - 9), 12):
        tag, form, values = struct.unpack_from(order + "HHI", data, place)
        if tag == 0x0112 and values == 1 and form in (3, 4) and place + 12 <= len(data):
            (value,) = struct.unpack_from(order + ("H" if form == 3 else "I"), data, place + 8)
            return value if 1 <= value <= 8 else 1
    return 1


# --- JPEG --------------------------------------------------------------------------------------

# Nothing that stands for itself in a JPEG, each unlike the others from its first bits on.
_TAILS = tuple(bytes((seed + 89 * n * n) % 255 for n in range(500)) for seed in (3, 77, 202))
# The first \xff stands alone: Python searches fast for a pattern that begins with a plain byte.
_MARKER = re.compile(rb"\xff\xff*[^\x00\xd0-\xd7\xff]", re.DOTALL)
_END = b"\xff\xd9"


@dataclass
class _Jpeg:
    """What the markers of a JPEG say."""

    kept: list[bytes | memoryview] = field(default_factory=list)
    """The file without notes and profiles, and without the end marker."""
    frame: int = 0
    """Where in ``kept`` the size stands."""
    width: int = 0
    height: int = 0
    sampling: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Horizontal and vertical, by component."""
    orientation: int = 1
    scans: list[tuple[tuple[int, ...], int, int, int]] = field(default_factory=list)
    """Of each scan the components, the first and last coefficient, and its lowest bit."""
    segments: int = 0
    progressive: bool = False
    ended: bool = False
    zeros_are_flat: bool = True
    """Whether zeros in the data may be blocks of one colour; else they say 63 times -1 a block."""

    @classmethod
    def read(cls, data: bytes) -> "_Jpeg":
        """Walk the markers; raises :class:`Unreadable` where there is no picture behind them."""
        self = cls(kept=[data[:2]])
        at = 2
        while not self.ended and (found := _MARKER.search(data, at)) is not None:
            marker, at = data[found.end() - 1], found.end()
            if marker == 0xD9:
                self.ended = True
            elif marker not in (0x01, 0xD8):
                at = self._segment(data, marker, at)
        if not self.scans or not self.height:
            raise _damaged()
        self._check()
        return self

    def _segment(self, data: bytes, marker: int, at: int) -> int:
        """One segment, which begins with its length; returns where the next marker is sought."""
        length = int.from_bytes(data[at : at + 2], "big")
        body = data[at + 2 : at + length]
        self.segments += 1
        if length < 2 or len(body) < length - 2 or self.segments > _MAX_SEGMENTS:
            raise _damaged()
        end = at + length
        if marker == 0xE1 and body.startswith(b"Exif\0\0") and self.orientation == 1:
            self.orientation = exif_orientation(body)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            self._frame(marker, body)
            self.frame = len(self.kept) + 1
        if marker == 0xC4 and self._first_codes(body) - {0}:
            self.zeros_are_flat = False
        if marker == 0xDA:
            self._scan(body)
            behind = _MARKER.search(data, end)
            end = len(data) if behind is None else behind.start()
        # JFIF and Adobe say what the colours mean; no other note does.
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE) or marker in (0xE0, 0xEE):
            self.kept += [bytes((0xFF, marker)), memoryview(data)[at:end]]
        return end

    def _frame(self, marker: int, body: bytes) -> None:
        if self.height or len(body) < 6:
            raise _damaged()
        if marker not in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA):
            raise Unreadable("Lossless JPEG is not read here: save the picture as PNG.")
        _, self.height, self.width, count = struct.unpack_from(">BHHB", body)
        self.progressive = marker in (0xC2, 0xCA)
        for place in range(6, min(6 + 3 * count, len(body) - 2), 3):
            factors = body[place + 1]
            self.sampling[body[place]] = (max(1, factors >> 4), max(1, factors & 15))

    @staticmethod
    def _first_codes(body: bytes) -> set[int]:
        """The value of the all-zero code in each table of AC values; 0 ends the block."""
        found, at = set(), 0
        while at + 17 < len(body):
            if body[at] >> 4:
                found.add(body[at + 17])
            at += 17 + sum(body[at + 1 : at + 17])
        return found

    def _scan(self, body: bytes) -> None:
        count = body[0] if body else 0
        if len(body) < 1 + 2 * count + 3:
            raise _damaged()
        components = tuple(body[1 : 1 + 2 * count : 2])
        first, last, bits = body[1 + 2 * count : 4 + 2 * count]
        self.scans.append((components, first, last, bits & 15))
        pixels = max(1, self.width * self.height)
        if len(self.scans) > min(_MAX_SCANS, max(20, _MAX_SCANNED // pixels)):
            raise Unreadable("The JPEG has too many scans, which take too long. Save it anew.")

    @property
    def in_one_scan(self) -> bool:
        return not self.progressive and len(self.scans) == 1

    def _check(self) -> None:
        if not self.width or not self.sampling:
            raise _damaged()
        most, of_these = MAX_JPEG_PIXELS, " of a JPEG"
        if not self.in_one_scan:
            # It is held in memory as a whole, whatever the size it is decoded at.
            widest = max(h for h, _ in self.sampling.values())
            highest = max(v for _, v in self.sampling.values())
            values = sum(h * v for h, v in self.sampling.values()) / (widest * highest)
            most = min(most, int(_MAX_COEFFICIENT_BYTES / (2 * values)))
            of_these = " of a progressive JPEG"
        _check_pixels(self.width, self.height, most, of_these)

    def open(self, tail: bytes = b"") -> Image.Image:
        return Image.open(io.BytesIO(b"".join([*self.kept, tail, _END])), formats=("JPEG",))

    def load(self, image: Image.Image, least: tuple[int, int], mode: str) -> Image.Image:
        self._draft(image, least, mode)
        image.load()
        if self.ended and not self._ends_grey(image):
            return image
        if self._zeros_fill_it(image):
            self.kept[-1] = bytes(self.kept[-1]).rstrip(b"\0")
        if not (self._has_blocks() if self.in_one_scan else self._has_scans()):
            raise _damaged(": more than a tenth of its data is missing")
        return image

    def _zeros_fill_it(self, image: Image.Image) -> bool:
        """Whether zeros stand in place of data at the end."""
        if self.in_one_scan and not self.zeros_are_flat:
            return bytes(self.kept[-1][-_ZEROS:]) == bytes(_ZEROS)
        return bytes(self.kept[-1][-_MANY_ZEROS:]) == bytes(_MANY_ZEROS) and not _is_flat(image)

    def _draft(self, image: Image.Image, least: tuple[int, int], mode: str) -> None:
        """Have it decoded smaller: not below ``least``, unless it is huge."""
        while self.width * self.height > MAX_PIXELS:
            scale = min(self.width // max(1, least[0]), self.height // max(1, least[1]))
            shrunk = max(n for n in (1, 2, 4, 8) if n <= max(1, scale))
            if self.width * self.height <= MAX_PIXELS * shrunk * shrunk or least == (1, 1):
                break
            least = (max(1, least[0] // 2), max(1, least[1] // 2))
        image.draft(mode, least)

    def _ends_grey(self, image: Image.Image) -> bool:
        """Whether the last row is what libjpeg makes of missing data: all values in the middle."""
        return all(126 <= value <= 129 for value in set(_last_row(image).tobytes()))

    def _has_blocks(self) -> bool:
        """Whether nine tenths of the blocks of pixels are there.

        Without an end marker libjpeg stops at the row of blocks whose data is missing, and leaves
        the pixels below as they were. The data does not say how wide a row is: so the picture is
        decoded once more, very small, as if it were a few blocks wide and as high as that makes it.
        Zeros behind the data have it read the last bits that there are.
        """
        several = len(self.sampling) > 1  # else a block is 8 x 8 whatever the sampling is
        wide = 8 * max(h for h, _ in self.sampling.values()) if several else 8
        high = 8 * max(v for _, v in self.sampling.values()) if several else 8
        blocks = -(-self.width // wide) * -(-self.height // high)
        in_a_row = -(-blocks * high // MAX_SIDE)
        rows = blocks // in_a_row
        needed = min(math.ceil(rows * _SHARE_NEEDED), rows - 1)
        size = struct.pack(">HH", rows * high, in_a_row * wide)
        frame = bytes(self.kept[self.frame])
        parts = [*self.kept, bytes(8)]
        parts[self.frame] = frame[:3] + size + frame[7:]
        for paper in (77, 201):
            small = Image.open(io.BytesIO(b"".join(parts)), formats=("JPEG",))
            small.draft("L", (1, 1))
            colour = paper if len(small.getbands()) == 1 else (paper,) * len(small.getbands())
            small.im = Image.new(small.mode, small.size, colour).im
            try:
                small.load()
            except OSError:
                small.tile = []
                row = needed * small.height // rows - 1
                if row >= 0:
                    line = small.crop((0, row, small.width, row + 1)).tobytes()
                    if line.count(paper) == len(line):
                        continue
            return True
        return False

    def _has_scans(self) -> bool:
        """Whether each value of each component was sent to its last bit, as far as can be known."""
        if not self.progressive:
            begun = {one for scan in self.scans for one in scan[0]}
            return begun >= set(self.sampling) and self._last_scan_goes_down()
        told = {
            (component, place)
            for components, first, last, bit in self.scans
            if bit == 0
            for component in components
            for place in range(first, min(last, 63) + 1)
        }
        if not all((one, place) in told for one in self.sampling for place in range(64)):
            return False
        return self._last_scan_goes_down()

    def _last_scan_goes_down(self) -> bool:
        """Whether what would follow the data changes the last tenth of the picture at most.

        Behind data that is whole, libjpeg skips everything until the end marker. Else it takes it
        for more of the last scan, from where the data ends.
        """
        changed = self._changes(b"")
        if changed is None or changed >= _SHARE_NEEDED:
            return True
        # A few bytes may say that all the rest is flat, or be a whole row of a small picture.
        few = self.width * self.height <= _REDUCED_PIXELS
        return few and any(self._changes(head) is None for head in (b"\x55" * 6, b"\x9a\x3c" * 3))

    def _changes(self, head: bytes) -> float | None:
        """Where the picture begins to depend on what follows ``head``, of its height; None if it
        does not."""
        first, *others = (self._reduced(head + tail) for tail in _TAILS)
        boxes = [ImageChops.difference(first, other).getbbox() for other in others]
        return min((box[1] / first.height for box in boxes if box is not None), default=None)

    def _reduced(self, tail: bytes) -> Image.Image:
        small = self.open(tail)
        factor = next(
            n for n in (1, 2, 4, 8) if self.width * self.height <= _REDUCED_PIXELS * n * n
        )
        small.draft("RGB", (max(1, self.width // factor), max(1, self.height // factor)))
        return small.convert("RGB")


def _last_row(image: Image.Image) -> Image.Image:
    return image.crop((0, image.height - 1, image.width, image.height))


def _is_flat(image: Image.Image) -> bool:
    """Whether the last row has one colour: then zeros may well be what it was written as."""
    last = _last_row(image)
    return ImageChops.difference(last, last.crop((0, 0, 1, 1)).resize(last.size)).getbbox() is None


# --- PNG, TIFF, AVIF, ICO ----------------------------------------------------------------------

_PNG = b"\x89PNG\r\n\x1a\n"


def _plain_png(data: bytes) -> tuple[bytes, bytes]:
    """The PNG without the chunks that its pixels do not need, and its EXIF.

    Those may unpack to megabytes or be damaged. As in libpng, a chunk that can be done without
    counts as missing where its checksum is wrong.
    """
    kept, exif, at = [_PNG], b"", len(_PNG)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if name == b"IEND":
            break
        needless = bool(name[0] & 0x20)
        if name == b"IHDR" and length >= 8:
            width, height = struct.unpack_from(">II", data, at + 8)
            _check_size(width, height, "PNG")
        if not needless:
            kept.append(data[at:end])
        elif name in (b"tRNS", b"eXIf") and end <= len(data):
            body = data[at + 8 : end - 4]
            if zlib.crc32(name + body) == int.from_bytes(data[end - 4 : end], "big"):
                if name == b"eXIf":
                    exif = body
                else:
                    kept.append(data[at:end])
        at = end
    if at <= len(data):
        kept.append(b"\0\0\0\0IEND\xaeB`\x82")
    return b"".join(kept), exif


_TIFF_TAGS = {
    256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324,
    325, 332, 338, 339, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532,
}  # fmt: skip
"""What the pixels of a TIFF need. All other tags are notes, or lead to other pictures."""


def _tiff_tags(data: bytes) -> tuple[str, int, int, Iterator[tuple[int, int, int, int]]] | None:
    """Of the first picture in a TIFF: byte order, where its list is, how many tags it has, and of
    each its number, type, count and value. None where it is a BigTIFF or cut short."""
    order = "<" if data[:2] == b"II" else ">"
    if len(data) < 8 or struct.unpack_from(order + "H", data, 2)[0] != 42:
        return None
    (at,) = struct.unpack_from(order + "I", data, 4)
    if at + 2 > len(data):
        return None
    (count,) = struct.unpack_from(order + "H", data, at)
    count = min(count, (len(data) - at - 2) // 12)

    def tags() -> Iterator[tuple[int, int, int, int]]:
        for place in range(at + 2, at + 2 + 12 * count, 12):
            tag, form, values = struct.unpack_from(order + "HHI", data, place)
            short = form == 3 and values == 1
            yield (
                tag,
                form,
                values,
                struct.unpack_from(order + ("H" if short else "I"), data, place + 8)[0],
            )

    return order, at, count, tags()


def _plain_tiff(data: bytes) -> bytes:
    """The TIFF with its first picture alone, and of its tags those that the pixels need."""
    found = _tiff_tags(data)
    if found is None:
        if data[2:4] in (b"+\0", b"\0+"):
            raise Unreadable("BigTIFF is not read here: save it as TIFF, PNG or JPEG.")
        raise _damaged()
    order, at, count, tags = found
    kept, tile = [], {}
    for index, (tag, form, values, value) in enumerate(tags):
        if tag in (322, 323):
            tile[tag] = value
        if tag in _TIFF_TAGS and not (tag == 274 and (form, values) != (3, 1)):
            kept.append(data[at + 2 + 12 * index : at + 14 + 12 * index])
    if tile.get(322, 1) * tile.get(323, 1) > MAX_PIXELS:
        raise Unreadable("The TIFF's tiles are too large. Save it anew, or as PNG.")
    table = struct.pack(order + "H", len(kept)) + b"".join(kept) + bytes(4)
    whole = bytearray(data)
    if len(kept) == count and at + len(table) > len(data):
        whole += bytes(at + len(table) - len(data))
    whole[at : at + len(table)] = table
    return bytes(whole)


def _open_avif(data: bytes) -> Opened:
    """With Pillow's decoder itself: its plugin ends where the camera's notes are damaged.

    In this format the rotation is a property of the picture, and EXIF's Orientation is ignored.
    """
    from PIL import _avif

    decoder = _avif.AvifDecoder(data, "auto", 1)
    size, _, mode, _, _, orientation, _ = decoder.get_info()
    _check_size(size[0], size[1], "AVIF")
    return Opened("AVIF", size, _AvifImage(decoder, size, mode), orientation)


class _AvifImage(Image.Image):
    """Decoded by ``load``, as Pillow's own classes of files are."""

    def __init__(self, decoder: object, size: tuple[int, int], mode: str) -> None:
        super().__init__()
        self._decoder, self._size, self._mode = decoder, size, mode

    def load(self) -> Any:
        if self._decoder is not None:
            decoder, self._decoder = self._decoder, None
            pixels, *_ = decoder.get_frame(0)  # type: ignore[attr-defined]
            self.im = Image.frombytes(self.mode, self.size, pixels).im
        return super().load()


def _largest_of_icon(data: bytes) -> tuple[str, bytes]:
    """The largest picture of an .ico: a PNG, or an icon of this one alone.

    Pillow would decode a PNG in it whatever its size.
    """
    (count,) = struct.unpack_from("<H", data, 4)
    entries = [
        struct.unpack_from("<BBBBHHII", data, 6 + 16 * index) for index in range(min(count, 256))
    ]
    if not entries:
        raise _damaged()
    largest = max(entries, key=lambda one: ((one[0] or 256) * (one[1] or 256), one[5]))
    body = data[largest[7] : largest[7] + largest[6]]
    if body.startswith(_PNG):
        return "PNG", body
    _, width, height = struct.unpack_from("<Iii", body)
    if not (0 < width <= 256 and 0 < height <= 512):
        raise _damaged()
    return "ICO", struct.pack("<HHHBBBBHHII", 0, 1, 1, *largest[:7], 22) + body


# --- which kind it is --------------------------------------------------------------------------


def kind_of(data: bytes) -> str | None:
    """Pillow's name of the format, by the first bytes; None where it is none that is read.

    TGA has no mark, so it is never found here.
    """
    head = data[:32]
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(_PNG):
        return "PNG"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith(b"BM") and head[14:18] in [bytes((n, 0, 0, 0)) for n in _BMP_HEADERS]:
        return "BMP"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")) and not _is_raw(data):
        return "TIFF"
    if head.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
        return "JPEG2000"
    if re.match(rb"P[1-6fF][\s#]", head):
        return "PPM"
    if head.startswith(b"\0\0\1\0") and head[4:6] != b"\0\0":
        return "ICO"
    return "AVIF" if head[4:8] == b"ftyp" and _brands(data) & {b"avif", b"avis"} else None


_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)


def _brands(data: bytes) -> set[bytes]:
    """The brands of a file of ISO's base media format (HEIF, AVIF, MP4)."""
    size = min(int.from_bytes(data[:4], "big"), 256)
    return {data[at : at + 4] for at in (8, *range(16, size, 4))}


def _is_raw(data: bytes) -> bool:
    """Whether a TIFF is a camera's raw file: the picture in front is a small preview."""
    if data[8:10] == b"CR":
        return True
    found = _tiff_tags(data)
    if found is None:
        return False
    tags = {tag: value for tag, _, _, value in found[3]}
    return 50706 in tags or (330 in tags and bool(tags.get(254, 0) & 1))


_SAVE = "save it as JPEG or PNG"
_HEIC = (
    "HEIC is not read here: export the picture as JPEG (on an iPhone: Settings, Camera, Formats, "
    "Most Compatible)."
)
_RAW = "A camera's raw file is not read here: export it as JPEG."
_VIDEO = "A video is not read here: send one of its pictures, as JPEG or PNG."
_SVG = "SVG is not read here: it is a drawing, not pixels. Export it as PNG."
_HTML = (
    "HTML is not read here: this is a web page, perhaps an error that was saved in the picture's "
    "place. Fetch the picture again."
)
_ZIP = "A ZIP file is not read here: unpack it and send one picture."
_BASE64 = (
    "Base64 text is not read here: decode it and send the bytes, or send JSON "
    '({"instances": [{"b64": "..."}]}).'
)
_BY_FIRST_BYTES: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "PDF is not read here: export the page as PNG or JPEG."),
    (b"8BPS", "PSD is not read here: export it as PNG or JPEG."),
    (b"gimp xcf", "XCF is not read here: export it as PNG or JPEG."),
    (b"\xff\x0a", f"JPEG XL is not read here: {_SAVE}."),
    (b"\0\0\0\x0cJXL \r\n\x87\n", f"JPEG XL is not read here: {_SAVE}."),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"IIU\0", _RAW),
    (b"IIRO", _RAW),
    (b"IIRS", _RAW),
    (b"MMOR", _RAW),
    (b"\x1aE\xdf\xa3", _VIDEO),
    (b"\0\0\1\xba", _VIDEO),
    (b"\0\0\1\xb3", _VIDEO),
    (b"FLV\1", _VIDEO),
    (b"PK\3\4", _ZIP),
    (b"PK\5\6", _ZIP),
    (b"\x1f\x8b", "gzip is not read here: unpack it and send the picture."),
    (b"Rar!", "RAR is not read here: unpack it and send one picture."),
    (b"7z\xbc\xaf\x27\x1c", "7z is not read here: unpack it and send one picture."),
    (b"\x93NUMPY", "A NumPy array is not a picture: send it as application/x-npy."),
    (b"\x89HDF", "HDF5 is not read here: save the picture as PNG or TIFF."),
    (b"SIMPLE  =", "FITS is not read here: save the picture as PNG or TIFF."),
    (b"v/1\1", f"OpenEXR is not read here: {_SAVE}."),
    (b"#?RADIANCE", f"Radiance HDR is not read here: {_SAVE}."),
    (b"qoif", f"QOI is not read here: {_SAVE}."),
    (b"DDS ", f"DDS is not read here: {_SAVE}."),
    (b"icns", f"ICNS is not read here: {_SAVE}."),
    (b"version https://git-lfs", "This is a pointer of Git LFS, not the picture: git lfs pull."),
    (b"/9j/", _BASE64),
    (b"iVBORw0KGgo", _BASE64),
    (b"data:image/", _BASE64),
)
_MARKUP = (
    (re.compile(rb"<svg[\s>:]|<!doctype svg", re.IGNORECASE), _SVG),
    (re.compile(rb"<!doctype html|<html[\s>]|<head[\s>]|<body[\s>]", re.IGNORECASE), _HTML),
    (re.compile(rb"\A\s*<(\?xml|[a-z!])", re.IGNORECASE), "XML is not read here: send a picture."),
)


def _known(data: bytes) -> str:
    """What to say of a well-known kind of file that is not read; empty where it is unknown."""
    head = data[:4096]
    for mark, sentence in _BY_FIRST_BYTES:
        if head.startswith(mark):
            return sentence
    if b"%PDF-" in head[:1024]:
        return _BY_FIRST_BYTES[0][1]
    if head[4:8] == b"ftyp":
        brands = _brands(data)
        if b"crx " in brands:
            return _RAW
        heif = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"miaf"}
        return _HEIC if brands & heif else _VIDEO
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free") or (
        head.startswith(b"RIFF") and head[8:12] == b"AVI "
    ):
        return _VIDEO
    if head[128:132] == b"DICM":
        return "DICOM is not read here: export the picture as PNG."
    if head.startswith((b"II*\0", b"MM\0*")):
        return _RAW
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head.replace(b"\0", b"")[2:].lstrip()
    if text.startswith(b"<"):
        for pattern, sentence in _MARKUP:
            if pattern.search(text):
                return sentence
    if text.startswith((b'{"', b"[")) and b"\0" not in head:
        return "JSON is not a picture: send it as application/json, or send the picture's bytes."
    return ""
