"""The README's screenshots are there in both languages, and light; a sheet shows every page."""

from pathlib import Path

import pytest
from PIL import Image

from stack.layout import ROOT
from tests.contact_sheet import LANGUAGES, LEFT_OUT, MOST_BYTES, has_korean_font, kind, sheet

PICTURES = ROOT / "docs" / "pictures"
OF = ("catalog", "endpoint", "answer", "side-by-side", "experiment", "metrics")
NAMES = [f"{name}{ending}.png" for name in OF for ending in ("", ".ko")]


@pytest.mark.parametrize("name", NAMES)
def test_each_screenshot_is_there_and_light(name: str) -> None:
    path = PICTURES / name
    assert path.is_file(), f'There is no {path}: make pictures ARGS="--readme"'
    assert path.stat().st_size < MOST_BYTES
    with Image.open(path) as picture:
        assert picture.width >= 1280


def test_there_are_no_other_pictures_than_those() -> None:
    assert {path.name for path in PICTURES.glob("*.png")} == set(NAMES)
    assert set(LANGUAGES) == {"en", "ko"}


@pytest.mark.parametrize(
    "path", ["/invoke/comparisons/0/csv/", "/invoke/experiments/0/json/", "/calls/7/picture/"]
)
def test_what_is_a_file_is_not_taken_for_a_page(path: str) -> None:
    assert LEFT_OUT.search(path)
    assert not LEFT_OUT.search("/invoke/comparisons/")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/endpoints/12/teardown/", "/endpoints/#/teardown/"),
        ("/models/digits/v2/", "/models/NAME/v#/"),
        ("/models/new/", "/models/new/"),
        ("/models/?q=7", "/models/"),
    ],
)
def test_pages_that_look_alike_are_of_one_kind(path: str, expected: str) -> None:
    assert kind(path) == expected


@pytest.mark.not_quick
def test_a_sheet_shows_every_page(tmp_path: Path) -> None:
    shots = [(f"/{n}/", Image.new("RGB", (1280, 800), "red")) for n in range(7)]
    sheet(shots, 1280, tmp_path / "sheet.jpg")
    with Image.open(tmp_path / "sheet.jpg") as whole:
        red = sum(
            count
            for count, color in whole.getcolors(1 << 24) or []
            if isinstance(color, tuple) and color[0] > 200 and color[1] < 60
        )
    assert red == pytest.approx(7 * 480 * 300, rel=0.02)


@pytest.mark.processes
@pytest.mark.browser
def test_chromium_has_a_font_for_korean() -> None:
    assert has_korean_font(), "Install one, as .ci/run does: apt-get install fonts-nanum"
