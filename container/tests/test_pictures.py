"""Pictures as people have them: right, and the same on the page and in the container."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests import pictures
from tests.pictures import Container, apart, cases, difference

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    with Container() as running:
        yield running


def test_both_sides_read_pictures_by_the_same_file() -> None:
    ours, theirs = ROOT / "container" / "decoding.py", ROOT / "endpoints" / "decoding.py"
    assert ours.read_bytes() == theirs.read_bytes(), "copy container/decoding.py to endpoints/"


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
