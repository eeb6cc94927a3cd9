"""Pictures as people have them: right, and the same on the page and in the container."""

import io
import json
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from container.tests.serving import container_python
from invocations import decoding
from tests import pictures
from tests.artifacts import constant_network
from tests.pictures import Container, apart, cases, chunk, difference, encoded, exif, scene

pytestmark = pytest.mark.xdist_group("container-pictures")

ROOT = Path(__file__).resolve().parents[2]
BOUND = 650_000_000
"""Bytes that decoding a picture may take: the largest one of its format."""


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    with Container() as running:
        yield running


def test_both_sides_read_pictures_by_the_same_file() -> None:
    link = ROOT / "invocations" / "decoding.py"
    assert link.is_symlink(), "link it: ln -s ../container/decoding.py invocations/decoding.py"
    assert link.resolve() == ROOT / "container" / "decoding.py"


@pytest.mark.parametrize("name", cases())
def test_a_picture_is_right_and_the_same_on_both_sides(container: Container, name: str) -> None:
    case = cases()[name]
    straight, page = container.rgb(case.data), pictures.page_rgb(case.data)

    if isinstance(case.right, str):
        assert isinstance(straight, str), "it was read"
        assert case.right in straight
        assert page == straight
    else:
        assert isinstance(straight, Image.Image), straight
        assert isinstance(page, Image.Image), page
        assert apart(straight, case.right) <= case.levels
        assert page.tobytes() == straight.tobytes()
    assert difference(container, case.data) == ""
    # A JPEG is decoded smaller for a small network, which must not hide what is wrong with it.
    small = container.decode(case.data, (3, 8, 8))
    assert isinstance(small, str) == isinstance(case.right, str), small


# --- large ones --------------------------------------------------------------------------------


@cache
def long_picture() -> Image.Image:
    """A screenshot of a whole page."""
    return scene().resize((1080, 33_000), Image.Resampling.NEAREST)


def pixels_of(flat: Sequence[float]) -> Image.Image:
    """What the network gets, as a picture again."""
    channels, height, width = pictures.SHAPE
    values = bytes(min(255, max(0, round(value))) for value in flat)
    size = height * width
    bands = [
        Image.frombytes("L", (width, height), values[at : at + size])
        for at in range(0, channels * size, size)
    ]
    return Image.merge("RGB", bands)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_a_picture_of_1080_x_33000_is_scaled(container: Container, kind: str) -> None:
    options: dict[str, Any] = {
        "TIFF": {"compression": "tiff_lzw"},
        "PNG": {"compress_level": 1},
    }.get(kind, {})
    data = encoded(long_picture(), kind, **options)
    decoded = container.decode(data)
    assert not isinstance(decoded, str), decoded
    right = scene().resize((64, 64), Image.Resampling.BILINEAR)
    assert apart(pixels_of(decoded), right) < 6
    assert difference(container, data, levels=6) == ""


@pytest.fixture(scope="module")
def phone_picture() -> bytes:
    """A JPEG of 200 megapixels, as the sensors of phones have."""
    return encoded(scene().convert("L").resize((16_320, 12_240)), "JPEG", quality=40)


def test_a_jpeg_of_200_megapixels_is_scaled_while_it_is_decoded(
    container: Container, phone_picture: bytes
) -> None:
    decoded = container.decode(phone_picture)
    assert not isinstance(decoded, str), decoded
    assert container.peak < 60_000_000
    right = scene().convert("L").convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)
    assert apart(pixels_of(decoded), right) < 3
    assert difference(container, phone_picture) == ""
    assert "a tenth of its data is missing" in str(
        container.decode(phone_picture[: len(phone_picture) // 2])
    )


def test_more_pixels_than_are_decoded_get_a_sentence(container: Container) -> None:
    flat = Image.new("1", (7100, 7100))
    for kind in ("PNG", "TIFF", "BMP"):
        data = encoded(flat, kind)
        said = container.decode(data)
        assert "7100 x 7100 pixels; at most 50 million are decoded" in str(said)
        assert pictures.page(data) == said


HEAVY_SIDE = 2000
A_BAND = 16_000_000
"""Bytes that converting a band takes, however large the picture is."""


def _heavy() -> dict[str, bytes]:
    side = HEAVY_SIDE
    picture = scene().resize((side, side))
    clear = picture.convert("RGBA")
    turned = encoded(clear, "PNG", compress_level=1)
    rows = {
        "PNG": turned[:33] + chunk(b"eXIf", exif()[6:]) + turned[33:],
        "JPEG": encoded(picture, "JPEG", progressive=True, subsampling=0),
        "TIFF": encoded(
            picture.convert("L").convert("F").resize((side, side)), "TIFF", compression="tiff_lzw"
        ),
        "GIF": encoded(picture.quantize(8), "GIF", transparency=2),
        "WEBP": encoded(clear, "WEBP", lossless=True, method=0),
        "AVIF": encoded(clear, "AVIF", speed=10),
        "JPEG2000": encoded(picture, "JPEG2000"),
        "TGA": encoded(clear, "TGA", compression="tga_rle"),
    }
    return {kind: data for kind, data in rows.items() if kind in decoding.FORMATS}


def test_no_format_takes_more_memory_than_is_allowed(container: Container) -> None:
    for kind, data in _heavy().items():
        # So that a JPEG is decoded at its full size.
        preprocess = {"resize": HEAVY_SIDE // 2 + 1, "crop": True}
        assert not isinstance(container.decode(data, (3, 8, 8), preprocess), str)
        a_pixel = (container.peak - A_BAND) / HEAVY_SIDE**2
        assert container.peak > 3 * HEAVY_SIDE**2, kind  # it was measured
        most = decoding._MAX_PIXELS_OF.get(kind, decoding.MAX_PIXELS)
        assert A_BAND + a_pixel * most < BOUND, (kind, a_pixel)


def test_a_damaged_tiff_writes_nothing_into_the_log() -> None:
    picture = bytearray(encoded(scene(), "TIFF", compression="tiff_lzw"))
    picture[1000:1040] = b"\xff" * 40
    line = json.dumps({"what": "rgb", "bytes": len(picture)}).encode() + b"\n"
    done = subprocess.run(
        [container_python(), "-m", "tests.pictures_in_container"],
        cwd=ROOT,
        input=line + picture,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert b"damaged" in done.stdout
    assert done.stderr == b""


# --- what NAME-preprocess.json says ------------------------------------------------------------


def decoded(
    container: Container, picture: Image.Image, shape: Sequence[int], **preprocess: Any
) -> list[float]:
    flat = container.decode(encoded(picture, "PNG"), shape, preprocess)
    assert not isinstance(flat, str), flat
    return list(flat)


def planes(picture: Image.Image) -> list[list[int]]:
    """Its bands, red first; of each the values, row by row."""
    return [list(band.tobytes()) for band in picture.split()]


def flat(bands: Iterable[Sequence[float]]) -> list[float]:
    return [value for band in bands for value in band]


def test_bgr_networks_get_blue_first(container: Container) -> None:
    picture = scene(40, 30)
    found = decoded(container, picture, (3, 30, 40), color="BGR", mean=[1, 2, 3], std=[1, 2, 4])
    red, green, blue = planes(picture)
    right = [
        [value - 1.0 for value in blue],
        [(value - 2) / 2 for value in green],
        [(value - 3) / 4 for value in red],
    ]
    assert found == flat(right)


@pytest.mark.parametrize(
    ("word", "how"),
    [
        ("nearest", Image.Resampling.NEAREST),
        ("bilinear", Image.Resampling.BILINEAR),
        ("bicubic", Image.Resampling.BICUBIC),
        ("lanczos", Image.Resampling.LANCZOS),
        ("area", Image.Resampling.BOX),
    ],
)
def test_the_interpolation_is_the_one_that_is_named(
    container: Container, word: str, how: Image.Resampling
) -> None:
    picture = scene(121, 95)
    found = decoded(container, picture, (3, 50, 41), interpolation=word)
    assert found == flat(planes(picture.resize((41, 50), how)))


def test_area_is_the_mean_of_the_pixels(container: Container) -> None:
    picture = scene(120, 90)
    found = decoded(container, picture, (3, 30, 40), interpolation="area")
    right = []
    for band in planes(picture):
        for top in range(0, 90, 3):
            for left in range(0, 120, 3):
                rows = [band[120 * y + left : 120 * y + left + 3] for y in range(top, top + 3)]
                right.append(sum(flat(rows)) / 9)
    assert found == pytest.approx(right, abs=1)


@pytest.mark.parametrize(
    ("size", "input_size", "inner", "at"),
    [
        ((120, 90), (40, 50), (40, 30), (0, 10)),
        ((90, 120), (41, 50), (38, 50), (1, 0)),  # 37.5 wide
        ((20, 4), (40, 51), (40, 8), (0, 21)),  # made larger; 43 rows to share
        ((1, 500), (41, 50), (1, 50), (20, 0)),
    ],
)
def test_a_padded_picture_keeps_its_proportions(
    container: Container,
    size: tuple[int, int],
    input_size: tuple[int, int],
    inner: tuple[int, int],
    at: tuple[int, int],
) -> None:
    picture = scene().resize(size)
    shape = (3, input_size[1], input_size[0])
    found = decoded(container, picture, shape, pad=[114], scale=1 / 255, mean=[0.5])
    right = Image.new("RGB", input_size, (114, 114, 114))
    right.paste(picture.resize(inner, Image.Resampling.BILINEAR), at)
    assert found == pytest.approx([v / 255 - 0.5 for v in flat(planes(right))], abs=1e-6)


def test_the_padding_is_in_the_order_of_the_networks_channels(container: Container) -> None:
    red = Image.new("RGB", (40, 20), (200, 0, 0))
    found = decoded(container, red, (3, 40, 40), pad=[1, 2.5, 3], color="BGR")
    middle = 20 * 40 + 20
    assert [found[0], found[1600], found[3200]] == [1, 2.5, 3]
    assert [found[middle], found[1600 + middle], found[3200 + middle]] == [0, 0, 200]
    grey = decoded(container, red, (1, 40, 40), pad=[9])
    assert (grey[0], grey[-1], grey[middle]) == (9, 9, 60)


def test_resize_and_crop_are_as_they_were(container: Container) -> None:
    picture = scene(300, 200)
    found = decoded(container, picture, (3, 50, 50), resize=64, crop=True)
    side = 50 * 200 / 64
    left, top = (300 - side) / 2, (200 - side) / 2
    box = (left, top, left + side, top + side)
    assert found == flat(planes(picture.resize((50, 50), Image.Resampling.BILINEAR, box)))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"color": "BRG"}, '"RGB", "BGR" or "GRAY"'),
        ({"interpolation": "cubic"}, "nearest, bilinear, bicubic, lanczos, area"),
        ({"interpolation": 3}, "'interpolation' must be one of"),
        ({"interpolation": ["area"]}, "'interpolation' must be one of"),
        ({"pad": "black"}, "'pad' must be null, or a number from 0 to 255"),
        ({"pad": 256}, "'pad' must be null, or a number from 0 to 255"),
        ({"pad": []}, "'pad' must be null, or a number from 0 to 255"),
        ({"pad": True}, "'pad' must be null, or a number from 0 to 255"),
        ({"pad": [1, 2]}, "'pad' has 2 numbers, the network takes 3 channels"),
        ({"pad": 0, "crop": True}, "goes with neither 'crop' nor 'resize'"),
        ({"pad": 0, "resize": 64}, "goes with neither 'crop' nor 'resize'"),
    ],
)
def test_keys_that_cannot_be_meant_are_refused(
    tmp_path: Path, given: dict[str, Any], words: str
) -> None:
    from container.artifact import ArtifactError, read_artifact

    for name, data in constant_network(labels=["a", "b"], answer=0).items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "tiny-preprocess.json").write_text(json.dumps(given))
    with pytest.raises(ArtifactError) as refused:
        read_artifact(tmp_path)
    assert words in refused.value.message


def test_the_keys_are_read(tmp_path: Path) -> None:
    from container.artifact import read_artifact

    for name, data in constant_network(labels=["a", "b"], answer=0).items():
        (tmp_path / name).write_bytes(data)
    given = {"color": "BGR", "pad": 114, "interpolation": "area"}
    (tmp_path / "tiny-preprocess.json").write_text(json.dumps(given))
    read = read_artifact(tmp_path).preprocess
    assert read is not None
    assert (read.color, read.pad, read.interpolation) == ("BGR", (114.0,), "area")
    (tmp_path / "tiny-preprocess.json").write_text('{"pad": null, "interpolation": null}')
    read = read_artifact(tmp_path).preprocess
    assert read is not None
    assert (read.color, read.pad, read.interpolation) == ("RGB", None, "bilinear")


def test_the_page_offers_what_is_read() -> None:
    from invocations.pictures import ACCEPT

    kinds = {
        "image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/bmp": "BMP",
        "image/webp": "WEBP", "image/tiff": "TIFF", "image/avif": "AVIF", "image/jp2": "JPEG2000",
        "image/x-icon": "ICO", ".ppm": "PPM", ".tga": "TGA",
    }  # fmt: skip
    offered = set(ACCEPT.split(","))
    assert {kind for name, kind in kinds.items() if name in offered} == set(decoding.FORMATS)
    assert not offered & {"image/*", "image/heic", ".heic", "image/svg+xml"}
    for kind in decoding.FORMATS:
        data = io.BytesIO()
        scene(48, 48).save(data, kind)
        assert isinstance(pictures.page(data.getvalue()), pictures.Prepared), kind
