"""Any file becomes a picture that the container reads, or a sentence."""

import contextlib
import io
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from django.conf import settings as site
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageOps

from invocations.pictures import MAX_FILE_BYTES, THUMBNAIL_SIDE, NotAPicture, prepare
from invocations.runtime import MAX_PAYLOAD_BYTES

# Pillow warns of what it then reads or refuses.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def prepared(data, name="cat.jpg"):
    return prepare(io.BytesIO(data), name)


def opened(data):
    return Image.open(io.BytesIO(data))


def png_header(width, height):
    """A PNG that promises so many pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT"


def says_a_sentence(data):
    """Either it is a picture, or there is a sentence; nothing else may come out."""
    with contextlib.suppress(NotAPicture):
        assert prepared(data).thumbnail


SMALL = Image.radial_gradient("L").resize((40, 30)).convert("RGB")


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
        ("BMP", "image/bmp"),
    ],
)
def test_what_the_container_reads_is_sent_as_it_is(kind, content_type):
    data = encoded(SMALL, kind)
    picture = prepared(data)
    assert picture.data == data
    assert picture.content_type == content_type
    assert picture.scaled is None


@pytest.mark.parametrize("kind", ["TIFF", "PPM", "ICO", "TGA", "JPEG2000"])
def test_other_formats_are_turned_into_png(kind):
    picture = prepared(encoded(SMALL, kind))
    assert picture.content_type == "image/png"
    assert opened(picture.data).format == "PNG"
    assert "to PNG" in str(picture.scaled)


def test_sixteen_bit_greys_are_scaled_not_clipped():
    image = Image.new("I;16", (4, 1))
    for x, value in enumerate((0, 20_000, 40_000, 65_535)):
        image.putpixel((x, 0), value)
    sent = opened(prepared(encoded(image, "TIFF")).data).convert("L")
    assert [sent.getpixel((x, 0)) for x in range(4)] == pytest.approx([0, 78, 156, 255], abs=1)


@pytest.mark.not_quick
def test_the_thumbnail_is_a_small_jpeg():
    picture = prepared(encoded(SMALL.resize((2000, 1000)), "PNG"))
    thumbnail = opened(picture.thumbnail)
    assert thumbnail.format == "JPEG"
    assert thumbnail.size == (THUMBNAIL_SIDE, THUMBNAIL_SIDE // 2)


@pytest.mark.not_quick
def test_a_picture_over_the_limit_is_scaled_down_and_says_so():
    noise = Image.frombytes("RGB", (2400, 1200), random.Random(7).randbytes(2400 * 1200 * 3))
    data = encoded(noise, "PNG")
    assert len(data) > MAX_PAYLOAD_BYTES
    picture = prepared(data)
    assert len(picture.data) <= MAX_PAYLOAD_BYTES
    assert opened(picture.data).size == (2048, 1024)
    assert "Scaled down" in str(picture.scaled)
    assert "2,400 × 1,200" in str(picture.scaled)
    assert "2,048 × 1,024" in str(picture.scaled)


def test_the_cameras_orientation_is_kept_when_re_encoding():
    left_half_white = Image.new("RGB", (80, 40), "black")
    left_half_white.paste("white", (0, 0, 40, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter to the right to show it upright
    data = encoded(left_half_white, "TIFF", exif=exif)
    sent = opened(prepared(data).data)
    assert sent.size == (40, 80)
    assert sent.getpixel((20, 10)) == (255, 255, 255)
    assert sent.getpixel((20, 70)) == (0, 0, 0)


def test_what_is_transparent_shows_white_in_the_thumbnail():
    clear = Image.new("RGBA", (30, 30), (255, 0, 0, 0))
    thumbnail = opened(prepared(encoded(clear, "PNG")).thumbnail)
    assert min(thumbnail.getpixel((15, 15))) > 250


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(orientation):
    colors = Image.frombytes("RGB", (3, 2), bytes(range(0, 180, 10)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(colors, "TIFF", exif=exif)
    sent = opened(prepared(data).data)
    upright = ImageOps.exif_transpose(opened(data))
    assert (sent.size, sent.tobytes()) == (upright.size, upright.tobytes())


@pytest.mark.not_quick
def test_a_picture_of_several_bands_is_whole():
    ramp = Image.linear_gradient("L").resize((2900, 1500))
    sent = opened(prepared(encoded(ramp, "TIFF")).data)
    assert sent.tobytes() == ramp.convert("RGB").tobytes()
    thumbnail = opened(prepared(encoded(ramp, "PNG")).thumbnail).convert("L")
    whole = ramp.resize(thumbnail.size, Image.Resampling.BOX)
    assert ImageChops.difference(thumbnail, whole).getextrema()[1] < 6


@pytest.mark.not_quick
def test_what_is_re_encoded_is_made_smaller_where_it_is_large():
    data = encoded(Image.new("L", (4000, 3000), 90), "TIFF", compression="tiff_lzw")
    picture = prepared(data)
    assert opened(picture.data).size == (2048, 1536)
    assert "Format changed: TIFF to PNG; scaled down" in str(picture.scaled)


_MEASURE = """
import re, sys
from pathlib import Path
from PIL import Image
from invocations.pictures import prepare

def peak():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) * 1024

for path in sys.argv[1:]:
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = peak()
    with open(path, "rb") as file:
        prepare(file, path)
    print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_a_large_picture_takes_little_more_memory_than_its_pixels(tmp_path):
    side, modes = 3600, {"I;16": 2, "RGBA": 4}
    for mode in modes:
        Image.new(mode, (side, side)).save(tmp_path / f"{len(mode)}.png", compress_level=1)
    paths = [str(tmp_path / f"{len(mode)}.png") for mode in modes]
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, *paths],
        capture_output=True,
        timeout=60,
        text=True,
        cwd=site.BASE_DIR,
    )
    assert done.returncode == 0, done.stderr
    for taken, a_pixel in zip(done.stdout.split(), modes.values(), strict=True):
        assert int(taken) < side * side * a_pixel + 60_000_000


@pytest.mark.parametrize(
    "data", [b"just a text file\n" * 50, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
def test_a_file_that_only_has_the_name_of_a_picture(data):
    with pytest.raises(NotAPicture, match=r"cat\.jpg is not a picture, whatever its name says"):
        prepared(data)


def test_an_empty_file():
    with pytest.raises(NotAPicture, match="is empty"):
        prepared(b"")


def test_a_file_that_is_cut_short():
    data = encoded(SMALL.resize((400, 400)), "PNG")
    with pytest.raises(NotAPicture, match="damaged or cut short"):
        prepared(data[: len(data) // 2])


@pytest.mark.not_quick
def test_a_file_larger_than_is_looked_at():
    with pytest.raises(NotAPicture, match="larger than 64 MB"):
        prepared(b"\xff\xd8" + bytes(MAX_FILE_BYTES))


def test_a_decompression_bomb_is_refused_by_its_header():
    data = png_header(30_000, 30_000)
    with pytest.raises(NotAPicture, match="million are decoded"):
        prepared(data)


def test_a_name_is_only_a_name():
    assert prepared(encoded(SMALL, "PNG"), "../../etc/cat.png").name == "cat.png"


@pytest.mark.not_quick
@settings(max_examples=150)
@given(st.binary(max_size=400))
def test_random_bytes_never_raise_anything_else(data):
    says_a_sentence(data)


@pytest.mark.not_quick
@settings(max_examples=150)
@given(
    st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "ICO", "TGA"]),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=12),
    st.integers(0, 2000),
)
def test_damaged_pictures_never_raise_anything_else(kind, damage, length):
    data = bytearray(encoded(SMALL, kind))
    for place, value in damage:
        data[place % len(data)] = value
    says_a_sentence(bytes(data[: max(1, length)] if length < 1500 else data))
