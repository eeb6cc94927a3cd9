"""Pictures as people have them, and what the page and the container make of the same bytes.

``with Container() as container: assert not difference(container, data)`` is the comparison: the
bytes straight to the container, as boto3 sends them, and by way of the page.
"""

import array
import io
import json
import os
import struct
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageStat

from invocations import decoding
from invocations.pictures import NotAPicture, Prepared, prepare
from invocations.runtime import MAX_PAYLOAD_BYTES

ROOT = Path(__file__).resolve().parents[1]
_PYTHON = ROOT / ".venv-container" / "bin" / "python"

SHAPE = (3, 64, 64)
"""What :func:`difference` has pictures decoded to."""


class Container:
    """The container's code, in a process of its Python; for one thread."""

    peak: int
    """Bytes of memory that the latest picture took, besides its own."""

    def __enter__(self) -> "Container":
        python = os.environ.get("CONTAINER_PYTHON", str(_PYTHON))
        # What one picture took goes back to the system, so that the next one's peak is its own.
        environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
        self._process = subprocess.Popen(
            [python, "-m", "tests.pictures_in_container"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        finally:
            self._process.kill()
            self._process.wait()

    def _ask(self, what: str, data: bytes, **more: Any) -> tuple[dict[str, Any], bytes]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"what": what, "bytes": len(data)} | more).encode() + b"\n" + data)
        stdin.flush()
        line = stdout.readline()
        assert line, "the container's code ended its process"
        about = json.loads(line)
        out = stdout.read(about["bytes"])
        assert "fault" not in about, f"not a sentence, but {about['fault']}"
        self.peak = about["peak"]
        return about, out

    def rgb(self, data: bytes) -> Image.Image | str:
        """The upright picture in RGB, at its full size; or the sentence that refuses it."""
        about, out = self._ask("rgb", data)
        return about.get("error") or Image.frombytes("RGB", tuple(about["size"]), out)

    def decode(
        self,
        data: bytes,
        shape: Sequence[int] = SHAPE,
        preprocess: Mapping[str, Any] | None = None,
    ) -> "array.array[float] | str":
        """What the network gets, flat; or the sentence that refuses it."""
        about, out = self._ask("decode", data, shape=list(shape), preprocess=preprocess or {})
        return about.get("error") or array.array("f", out)


def page_rgb(data: bytes) -> Image.Image | str:
    """As :meth:`Container.rgb`, by the page's copy of the code."""
    try:
        opened = decoding.open_picture(data)
        return opened.upright(decoding.to_rgb(opened.load(opened.size)))
    except decoding.Unreadable as error:
        return str(error)


def page(data: bytes, name: str = "picture") -> Prepared | str:
    """What the page sends for a file, or the sentence that refuses it."""
    try:
        return prepare(io.BytesIO(data), name)
    except NotAPicture as error:
        return str(error)


def difference(container: Container, data: bytes, *, levels: float = 3.0) -> str:
    """How the page and boto3 differ in what becomes of ``data``; empty where they do not.

    Both refuse with the same sentence, but for what is no picture at all (the page names the file);
    or the network gets the same picture, ``levels`` of 255 apart on average at most. What is too
    large for SageMaker can only come by way of the page: then that alone is tried.
    """
    sent = page(data)
    if len(data) > MAX_PAYLOAD_BYTES:
        if isinstance(sent, str):
            return ""
        via = container.decode(sent.data)
        return f"the page reads it, the container says {via!r}" if isinstance(via, str) else ""
    straight = container.decode(data)
    if isinstance(sent, str) or isinstance(straight, str):
        if not (isinstance(sent, str) and isinstance(straight, str)):
            return f"page: {_short(sent)}; container: {_short(straight)}"
        no_picture = all(
            any(words in sentence for words in (" is not a picture", " is empty"))
            for sentence in (sent, straight)
        )
        return "" if sent == straight or no_picture else f"page: {sent}; container: {straight}"
    via = container.decode(sent.data)
    if isinstance(via, str):
        return f"the container reads it straight, but of what the page sends it says {via!r}"
    apart = sum(abs(a - b) for a, b in zip(via, straight, strict=True)) / len(via)
    return "" if apart <= levels else f"{apart:.1f} levels of 255 apart"


def _short(value: object) -> str:
    return repr(value)[:200] if isinstance(value, str) else "reads it"


def apart(one: Image.Image, other: Image.Image) -> float:
    """Levels of 255 that two RGB pictures of one size are apart, on average."""
    assert one.size == other.size, (one.size, other.size)
    means = ImageStat.Stat(ImageChops.difference(one, other)).mean
    return sum(means) / len(means)


# --- the pictures ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A picture, and what is right: the RGB picture it is, or words of the refusal."""

    data: bytes
    right: Image.Image | str
    levels: float = 0.0
    """How far it may be from ``right``, for formats that lose something."""


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.copy().save(out, kind, **options)  # Pillow leaves its encoder's settings on a picture
    return out.getvalue()


@cache
def scene(width: int = 120, height: int = 90) -> Image.Image:
    """A picture that is smooth, coloured, and the same in no other orientation."""
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    round_ = Image.radial_gradient("L").resize((width, height))
    whole = Image.merge("RGB", (across, down, round_))
    whole.paste((250, 30, 10), (width // 12, height // 9, width // 3, height // 3))
    return whole


def _entry(order: str, tag: int, form: int, count: int, value: bytes) -> bytes:
    return struct.pack(order + "HHI", tag, form, count) + value.ljust(4, b"\0")


def exif(*, orientation: int = 6, damage: str = "", order: str = "<") -> bytes:
    """EXIF as damaged cameras and editors write it, its Orientation whole."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    held = _entry(order, 0x0112, 3, 1, struct.pack(order + "H", orientation))
    artist = {
        "rational artist": _entry(order, 0x013B, 5, 1, struct.pack(order + "I", 38)),
        "artist beyond": _entry(order, 0x013B, 2, 4000, struct.pack(order + "I", 10_000_000)),
        "artist of no type": _entry(order, 0x013B, 99, 1, b"abcd"),
    }.get(damage, _entry(order, 0x013B, 2, 4, b"Ann\0"))
    body = (
        mark
        + struct.pack(order + "I", 8)
        + struct.pack(order + "H", 500 if damage == "count" else 2)
        + held
        + artist
        + bytes(4)
        + struct.pack(order + "ii", -1, 0)
    )
    return b"Exif\0\0" + (body[: 8 + 2 + 12 + 5] if damage == "cut" else body)


def with_exif(jpeg: bytes, note: bytes) -> bytes:
    """A JPEG with one more segment, behind its first marker."""
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(note) + 2) + note + jpeg[2:]


def chunk(name: bytes, body: bytes, *, wrong: bool = False) -> bytes:
    """One chunk of a PNG, with its checksum or a wrong one."""
    check = zlib.crc32(name + body) ^ (1 if wrong else 0)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)


def png_with(png: bytes, *chunks: bytes) -> bytes:
    """A PNG with more chunks behind its header."""
    return png[:33] + b"".join(chunks) + png[33:]


def _sixteen(image: Image.Image, order: str = "<") -> Image.Image:
    """Grey of 16 bits, of which the lower 8 are not 0."""
    values = [value * 257 for value in image.convert("L").tobytes()]
    mode = "I;16" if order == "<" else "I;16B"
    return Image.frombytes(mode, image.size, struct.pack(f"{order}{len(values)}H", *values))


def _floats(image: Image.Image, low: float, high: float) -> Image.Image:
    grey = image.convert("L").convert("F")
    return grey.point(lambda value: value * ((high - low) / 255) + low)


def _ints(image: Image.Image, factor: int) -> Image.Image:
    return image.convert("L").convert("I").point(lambda value: value * factor + 0)


def _grey(image: Image.Image) -> Image.Image:
    return image.convert("L").convert("RGB")


def _stretched(image: Image.Image) -> Image.Image:
    """Grey from its darkest to its lightest value."""
    low, high = image.convert("L").getextrema()
    return (
        image.convert("L").point(lambda value: int((value - low) * 255 / (high - low) + 0.5))
    ).convert("RGB")


def _half_clear(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """With alpha, its left half clear; and what it shows on white."""
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (0, 0, image.width // 2, image.height))
    clear, shown = image.convert("RGBA"), image.copy()
    clear.putalpha(alpha)
    shown.paste("white", (0, 0, image.width // 2, image.height))
    return clear, shown


def tiff(image: Image.Image, *tags: tuple[int, int, int, bytes]) -> bytes:
    """An RGB TIFF by hand, with further tags: number, type, count, value."""
    pixels = image.tobytes()
    at = 8
    listed = [
        (256, 3, 1, struct.pack("<H", image.width)),
        (257, 3, 1, struct.pack("<H", image.height)),
        (258, 3, 3, struct.pack("<I", at + len(pixels))),
        (259, 3, 1, b"\1\0"),
        (262, 3, 1, b"\2\0"),
        (273, 4, 1, struct.pack("<I", at)),
        (277, 3, 1, b"\3\0"),
        (278, 3, 1, struct.pack("<H", image.height)),
        (279, 4, 1, struct.pack("<I", len(pixels))),
        *tags,
    ]
    listed.sort(key=lambda one: one[0])
    body = pixels + struct.pack("<HHH", 8, 8, 8)
    table = b"".join(_entry("<", *one) for one in listed)
    return (
        b"II*\0"
        + struct.pack("<I", at + len(body))
        + body
        + struct.pack("<H", len(listed))
        + table
        + bytes(4)
    )


def _cases() -> dict[str, Case]:
    one = scene()
    turned = one.transpose(Image.Transpose.ROTATE_90)  # how the sensor saw what is upright in one
    jpeg = encoded(one, "JPEG", quality=92)
    lying = encoded(turned, "JPEG", quality=92)
    png = encoded(one, "PNG")
    clear, shown = _half_clear(one)
    rows: dict[str, Case] = {}

    def row(name: str, data: bytes, right: Image.Image | str, levels: float = 0.0) -> None:
        rows[name] = Case(data, right, levels)

    for order in ("<", ">"):
        for damage in ("", "rational artist", "artist beyond", "artist of no type", "count", "cut"):
            note = exif(damage=damage, order=order)
            row(f"JPEG, EXIF {order} {damage}", with_exif(lying, note), one, 4)
    for damage in ("", "rational artist", "cut"):
        note = exif(damage=damage)
        lying_png = encoded(turned, "PNG")
        row(f"PNG, EXIF {damage}", png_with(lying_png, chunk(b"eXIf", note[6:])), one)
        row(f"WebP, EXIF {damage}", encoded(turned, "WEBP", quality=95, exif=note), one, 6)
    row("JPEG, EXIF is noise", with_exif(jpeg, b"Exif\0\0" + bytes(range(256))), one, 4)
    row("JPEG, Orientation 9", with_exif(jpeg, exif(orientation=9)), one, 4)
    row("JPEG, Orientation 0", with_exif(jpeg, exif(orientation=0)), one, 4)
    row(
        "TIFF, rational artist",
        tiff(turned, (274, 3, 1, b"\6\0"), (315, 5, 1, struct.pack("<I", 99))),
        one,
    )
    row(
        "TIFF, tags beyond its end",
        tiff(turned, (274, 3, 1, b"\6\0"), (34665, 4, 1, b"\xff" * 4), (700, 1, 9999, b"\xff" * 4)),
        one,
    )
    row("TIFF, Orientation of the wrong type", tiff(one, (274, 2, 9, b"\xff" * 4)), one)

    much = zlib.compress(bytes(2 << 20))
    row("PNG, iCCP of 2 MiB", png_with(png, chunk(b"iCCP", b"icc\0\0" + much)), one)
    row("PNG, zTXt of 2 MiB", png_with(png, chunk(b"zTXt", b"Comment\0\0" + much)), one)
    row("PNG, iTXt of 2 MiB", png_with(png, chunk(b"iTXt", b"Comment\0\1\0\0\0" + much)), one)
    row("PNG, tEXt of 2 MiB", png_with(png, chunk(b"tEXt", b"Comment\0" + b"a" * (2 << 20))), one)
    row("PNG, 3000 texts", png_with(png, *[chunk(b"tEXt", b"a\0" + b"b" * 99)] * 3000), one)
    row("PNG, text with a wrong CRC", png_with(png, chunk(b"tEXt", b"a\0b", wrong=True)), one)
    row(
        "PNG, gamma with a wrong CRC",
        png_with(png, chunk(b"gAMA", b"\0\0\xb1\x8f", wrong=True)),
        one,
    )
    row("PNG, broken iCCP", png_with(png, chunk(b"iCCP", b"icc\0\0noise")), one)
    row("PNG, pHYs cut short", png_with(png, chunk(b"pHYs", b"\0\0")), one)
    row("PNG without its end", png[:-12], one)
    row("PNG, header with a wrong CRC", png[:29] + b"\0\0\0\0" + png[33:], "damaged")
    row("PNG, half its data missing", png[: len(png) // 2], "damaged or cut short")

    row("JPEG without its end marker", jpeg[:-2], one, 4)
    row("JPEG without its last bytes", jpeg[:-6], one, 5)
    row("JPEG with bytes behind", jpeg + b"trailer" * 40, one, 4)
    row("JPEG, half missing", jpeg[: len(jpeg) // 2], "damaged or cut short")
    row("JPEG, half missing, then an end", jpeg[: len(jpeg) // 2] + b"\xff\xd9", "cut short")
    large = encoded(one.resize((900, 675)), "JPEG", quality=95)
    half = len(large) // 2
    row("JPEG, half of it zeros", large[:half] + bytes(len(large) - half), "damaged or cut short")
    # Decoded small, the rest would have one colour.
    fine = encoded(Image.effect_noise((400, 300), 80), "JPEG")
    half = len(fine) // 2
    row("JPEG, noise, half of it zeros", fine[:half] + bytes(len(fine) - half), "damaged or cut")
    row("JPEG, noise, 1000 zeros", fine[:half] + bytes(1000), "damaged or cut")
    row("JPEG, header alone", jpeg[:100], "damaged or cut short")
    steps = encoded(one, "JPEG", quality=92, progressive=True)
    row("JPEG, progressive", steps, one, 4)
    row("JPEG, progressive without its end marker", steps[:-2], one, 4)
    row("JPEG, progressive, half missing", steps[: len(steps) // 2], "damaged or cut short")
    rough = encoded(Image.effect_noise((640, 480), 80), "JPEG", quality=20, progressive=True)
    # More than half of it is its last scan.
    row("JPEG, noise, half missing", rough[: len(rough) // 2], "damaged or cut short")
    white = encoded(Image.new("RGB", (1200, 800), "white"), "JPEG", optimize=True)
    row("JPEG, white without its end", white[:-2], Image.new("RGB", (1200, 800), "white"), 1)
    short = encoded(one.resize((24, 24)), "JPEG", quality=92)
    row("JPEG, small, half missing", short[: -(len(short) - short.find(b"\xff\xda")) // 2],
        "damaged or cut short")  # fmt: skip
    row("JPEG, small without its last bytes", short[:-3], one.resize((24, 24)), 9)
    restarts = encoded(one, "JPEG", quality=92, restart_marker_rows=1)
    row("JPEG with restart markers, no end", restarts[:-2], one, 4)
    middle = Image.new("RGB", (40, 40), (128, 128, 128))
    row("JPEG, grey in the middle", encoded(middle, "JPEG"), middle, 1)
    row("JPEG, grey", encoded(one.convert("L"), "JPEG", quality=95), _grey(one), 3)
    row("JPEG, grey without its end marker", encoded(one.convert("L"), "JPEG")[:-2], _grey(one), 4)
    row("JPEG, CMYK", encoded(one.convert("CMYK"), "JPEG", quality=95), one, 8)
    row("JPEG, 4:4:4", encoded(one, "JPEG", quality=95, subsampling=0), one, 4)
    row("JPEG with a profile", encoded(one, "JPEG", quality=92, icc_profile=b"\0" * 70_000), one, 4)
    row(
        "MPO", encoded(one, "MPO", save_all=True, append_images=[middle.copy()], quality=92), one, 4
    )

    row("TIFF, 16 bits", encoded(_sixteen(one), "TIFF"), _grey(one))
    row("TIFF, 16 bits, big-endian", encoded(_sixteen(one, ">"), "TIFF"), _grey(one))
    row("PNG, 16 bits", encoded(_sixteen(one), "PNG"), _grey(one))
    row("PNG, 16 bits, a clear grey", *_clear_sixteen(one))
    row("PNG, 16 bits a colour", _png_of_48_bits(one), one)
    row("PNG, 16 bits a colour, one clear", *_clear_48(one))
    row("PPM, 16 bits", _pgm_of_16_bits(one), _grey(one), 1)
    row("TIFF, float 0 to 1", encoded(_floats(one, 0, 1), "TIFF"), _grey(one))
    row("TIFF, float 0 to 255", encoded(_floats(one, 0, 255), "TIFF"), _grey(one))
    row("TIFF, float 0 to 65535", encoded(_floats(one, 0, 65_535), "TIFF"), _grey(one))
    row("TIFF, float -1 to 1", encoded(_floats(one, -1, 1), "TIFF"), _stretched(one), 1)
    row("TIFF, float, infinite", encoded(_floats(one, 0, float("inf")), "TIFF"), "finite")
    row("TIFF, 32 bits, small", encoded(_ints(one, 1), "TIFF"), _grey(one))
    row("TIFF, 32 bits, to 65535", encoded(_ints(one, 257), "TIFF"), _grey(one))
    row("TIFF, 32 bits, large", encoded(_ints(one, 1_000_000), "TIFF"), _stretched(one), 1)
    for packing in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        row(f"TIFF, {packing}", encoded(one, "TIFF", compression=packing), one)
    row("TIFF, JPEG inside", encoded(one, "TIFF", compression="jpeg", quality=95), one, 4)
    row("TIFF, CMYK", encoded(one.convert("CMYK"), "TIFF"), one, 1)
    row("TIFF, RGBA", encoded(clear, "TIFF"), shown)
    row("TIFF, 1 bit", encoded(one.convert("1"), "TIFF"), one.convert("1").convert("RGB"))
    row("TIFF, G4 fax", encoded(one.convert("1"), "TIFF", compression="group4"),
        one.convert("1").convert("RGB"))  # fmt: skip
    row("TIFF, two pages", encoded(one, "TIFF", save_all=True, append_images=[middle.copy()]), one)
    lab = Image.merge("LAB", one.split())
    row("TIFF, LAB", encoded(lab, "TIFF"), lab.convert("RGB"))

    few, other = one.quantize(16), middle.resize(one.size)
    row("PNG, palette", encoded(few, "PNG"), few.convert("RGB"))
    row("PNG, palette, one clear", encoded(few, "PNG", transparency=0), _without(few, 0))
    levels = bytes(255 if index % 2 else 0 for index in range(16))
    row("PNG, palette, many clear", encoded(few, "PNG", transparency=levels),
        _without(few, *range(0, 16, 2)))  # fmt: skip
    row("GIF", encoded(few, "GIF"), few.convert("RGB"))
    row("GIF, one clear", encoded(few, "GIF", transparency=3), _without(few, 3))
    row("GIF, animated", encoded(few, "GIF", save_all=True, append_images=[other]),
        few.convert("RGB"))  # fmt: skip
    row("PNG, animated", encoded(one, "PNG", save_all=True, append_images=[other]),
        one)  # fmt: skip
    row("PNG, RGBA", encoded(clear, "PNG"), shown)
    row("PNG, grey and alpha", encoded(clear.convert("LA"), "PNG"), _half_clear(_grey(one))[1])
    row("PNG, 1 bit", encoded(one.convert("1"), "PNG"), one.convert("1").convert("RGB"))
    row("PNG, grey, one clear", encoded(Image.new("L", (40, 30), 7), "PNG", transparency=7),
        Image.new("RGB", (40, 30), "white"))  # fmt: skip
    row("PNG, RGB, one clear", encoded(Image.new("RGB", (40, 30), (7, 8, 9)), "PNG",
        transparency=(7, 8, 9)), Image.new("RGB", (40, 30), "white"))  # fmt: skip
    row("BMP", encoded(one, "BMP"), one)
    row("PPM", encoded(one, "PPM"), one)
    row("ICO", encoded(one.resize((64, 48)), "ICO", sizes=[(64, 48)]), one.resize((64, 48)))
    row("ICO of BMPs", encoded(one.resize((64, 48)).convert("RGBA"), "ICO", sizes=[(64, 48)],
        bitmap_format="bmp"), one.resize((64, 48)))  # fmt: skip
    row("TGA", encoded(one, "TGA"), one)
    row("TGA, RLE, RGBA", encoded(clear, "TGA", compression="tga_rle"), shown)
    if "WEBP" in decoding.FORMATS:
        row("WebP", encoded(one, "WEBP", quality=95), one, 6)
        row("WebP, lossless, clear", encoded(clear, "WEBP", lossless=True), shown)
        row("WebP, animated", encoded(one, "WEBP", lossless=True, save_all=True,
            append_images=[other]), one)  # fmt: skip
    if "AVIF" in decoding.FORMATS:
        row("AVIF", encoded(one, "AVIF", quality=95, speed=10), one, 6)
        row("AVIF, clear", encoded(clear, "AVIF", quality=95, speed=10), shown, 8)
        row("AVIF, turned", encoded(turned, "AVIF", quality=95, speed=10, exif=exif()), one, 6)
    if "JPEG2000" in decoding.FORMATS:
        row("JPEG 2000", encoded(one, "JPEG2000"), one)

    for name, data in NAMED.items():
        row(name, data, f"{name.split(',')[0]} is not read here")
    row("text", b"I am no picture\n" * 50, "is not a picture")
    row("base64", b"/9j/4AAQSkZJRgABAQ" + b"A" * 100, "Base64 text is not read here")
    row("PNG, 60000 x 60000", _bomb(60_000, 60_000), "60000 x 60000")
    row("PNG, 1 x 49,000,000", _bomb(1, 49_000_000), "65,535 a side")
    row("PNG, 0 x 5", _bomb(0, 5), "damaged")
    row("ICO, a huge PNG inside", _icon_of(_bomb(60_000, 60_000)), "60000 x 60000")
    row("ICO, a huge BMP inside", _icon_of(struct.pack("<IiiHHIIiiII", 40, 60_000, 120_000, 1, 32,
        0, 0, 0, 0, 0, 0)), "damaged")  # fmt: skip
    row("TIFF, huge tiles", tiff(one, (322, 3, 1, b"\xf0\xff"), (323, 3, 1, b"\xf0\xff")), "tiles")
    row("BigTIFF", b"II+\0\x08\0\0\0" + bytes(40), "BigTIFF is not read here")
    row("JPEG, many scans", _many_scans(steps, 150_000), "too many scans")
    row("JPEG, lossless", jpeg.replace(b"\xff\xc0", b"\xff\xc3"), "Lossless JPEG is not read")
    return rows


def _bomb(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def _icon_of(body: bytes) -> bytes:
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(body), 22) + body


def _many_scans(progressive: bytes, count: int) -> bytes:
    """The last scan of a small JPEG again and again, its size made large, without data."""
    last = progressive.rfind(b"\xff\xda")
    header = progressive[last : last + 2 + progressive[last + 3]]
    frame = progressive.find(b"\xff\xc2")
    large = (
        progressive[: frame + 5] + struct.pack(">HH", 6000, 8000) + progressive[frame + 9 : last]
    )
    return large + header * count + b"\xff\xd9"


def _without(few: Image.Image, *indices: int) -> Image.Image:
    shown = few.convert("RGB")
    mask = Image.frombytes(
        "L", few.size, bytes(255 if index in indices else 0 for index in few.tobytes())
    )
    shown.paste("white", mask=mask)
    return shown


def _png_of(depth_and_type: bytes, size: tuple[int, int], rows: list[bytes], *more: bytes) -> bytes:
    header = struct.pack(">II", *size) + depth_and_type + b"\0\0\0"
    data = zlib.compress(b"".join(b"\0" + line for line in rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(more)
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


def _rows(data: bytes, width: int) -> list[bytes]:
    return [data[at : at + width] for at in range(0, len(data), width)]


def _png_of_48_bits(image: Image.Image, *more: bytes) -> bytes:
    doubled = b"".join(bytes((value, value)) for value in image.tobytes())
    return _png_of(b"\x10\2", image.size, _rows(doubled, 6 * image.width), *more)


def _clear_48(image: Image.Image) -> tuple[bytes, Image.Image]:
    flat = Image.new("RGB", (30, 20), (7, 8, 9))
    data = _png_of_48_bits(flat, chunk(b"tRNS", struct.pack(">HHH", 7 * 257, 8 * 257, 9 * 257)))
    return data, Image.new("RGB", flat.size, "white")


def _clear_sixteen(image: Image.Image) -> tuple[bytes, Image.Image]:
    values = [1000, 1000, 40_000, 1000]
    data = _png_of(
        b"\x10\0", (2, 2), _rows(struct.pack(">4H", *values), 4),
        chunk(b"tRNS", struct.pack(">H", 1000)),
    )  # fmt: skip
    right = Image.new("RGB", (2, 2), "white")
    right.putpixel((0, 1), (156, 156, 156))
    return data, right


def _pgm_of_16_bits(image: Image.Image) -> bytes:
    values = [value * 257 for value in image.convert("L").tobytes()]
    head = f"P5 {image.width} {image.height} 65535\n".encode()
    return head + struct.pack(f">{len(values)}H", *values)


def _ftyp(*brands: bytes) -> bytes:
    body = brands[0] + bytes(4) + b"".join(brands)
    return struct.pack(">I", len(body) + 8) + b"ftyp" + body + bytes(100)


NAMED: dict[str, bytes] = {
    "HEIC": _ftyp(b"heic", b"mif1", b"heic"),
    "HEIC, of several": _ftyp(b"msf1", b"hevc"),
    "HEIC, mif1": _ftyp(b"mif1", b"heic", b"miaf"),
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>',
    "SVG, with a declaration": b'<?xml version="1.0"?>\n<!-- x -->\n<svg width="9"></svg>',
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "PDF, behind other bytes": b"\r\n%PDF-1.4\n",
    "PSD": b"8BPS\0\1" + bytes(60),
    "A camera's raw file, CR3": _ftyp(b"crx ", b"isom"),
    "A camera's raw file, CR2": b"II*\0\x10\0\0\0CR\2\0" + bytes(60),
    "A camera's raw file, DNG": tiff(scene(), (50706, 1, 4, b"\1\4\0\0")),
    "A camera's raw file, NEF": tiff(scene(), (254, 4, 1, b"\1\0\0\0"), (330, 4, 1, b"\0\1\0\0")),
    "A camera's raw file, RAF": b"FUJIFILMCCD-RAW 0201" + bytes(60),
    "A video, MP4": _ftyp(b"isom", b"mp42"),
    "A video, MOV": _ftyp(b"qt  "),
    "A video, WebM": b"\x1aE\xdf\xa3" + bytes(60),
    "HTML": b"<!DOCTYPE html>\n<html><body>404</body></html>",
    "HTML, older": b"\n\n<HTML><HEAD><TITLE>504 Gateway Time-out</TITLE></HEAD></HTML>",
    "XML": b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>',
    "A ZIP file": b"PK\3\4" + bytes(60),
    "gzip": b"\x1f\x8b\x08" + bytes(60),
    "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60),
    "DICOM": bytes(128) + b"DICM" + bytes(60),
}


@cache
def cases() -> dict[str, Case]:
    """The table: every kind of picture that people were seen to send, by name."""
    return _cases()
