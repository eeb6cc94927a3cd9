"""The result of a validation, as a version's page leads with it."""

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import Client
from PIL import Image, ImageChops

from container import sample_pictures
from models_catalog import validation_result
from models_catalog.models import RegisteredModel, Version
from tests.html import one_line

REPORT: dict[str, Any] = {
    "ok": True,
    "load_ms": 38.2,
    "first_ms": 13.4,
    "warm_ms": 12.9,
    "memory_mb": 12.4,
    "sample": {
        "image": "digit",
        "predictions": [
            {"label": "three", "probability": 0.984},
            {"label": "five", "probability": 0.01},
        ],
    },
    "artifact": {
        "inputs": [{"name": "data", "shape": [1, 1, 28, 28]}],
        "outputs": [],
        "parameters": 1,
        "parameter_bytes": 4,
        "labels": ["three", "five"],
        "label_count": 2,
        "layers": {"Convolution": 2},
        "preprocess": {"scale": 1 / 255, "mean": [0.5], "std": [0.25], "crop": False},
    },
}


@pytest.fixture
def made(db: None) -> Callable[..., Version]:
    """Make a version of the model digits: ``made(2, state="ready", report=…)``."""

    def make(number: int = 1, **fields: Any) -> Version:
        model, _ = RegisteredModel.objects.get_or_create(name="digits")
        fields = {"state": "ready", "report": REPORT, "packing": "stored"} | fields
        return Version.objects.create(
            model=model, number=number, key=f"k{number}", size=5, sha256="0" * 64, **fields
        )

    return make


@pytest.mark.parametrize("name", sample_pictures.names())
def test_the_portals_pictures_are_those_that_the_container_draws(name: str) -> None:
    assert name in validation_result.PICTURES
    found = finders.find(f"validation/{name}.png")
    assert found, f"static/validation/{name}.png is missing: write sample_pictures.png({name!r})."
    with Image.open(Path(str(found))) as picture:
        same = ImageChops.difference(picture.convert("RGB"), sample_pictures.draw(name))
    assert same.getbbox() is None, f"Draw static/validation/{name}.png again."


def test_the_page_leads_with_picture_answer_and_times(
    client_of: Callable[[str], Client], made: Callable[..., Version]
) -> None:
    page = one_line(client_of("viewer").get(made().get_absolute_url()))
    result = page[page.index('id="result"') : page.index("<h2>Details</h2>")]
    assert f'src="{settings.STATIC_URL}validation/digit.png"' in result
    assert '<strong>three</strong> <span class="chance">98.4 %</span>' in result
    for term, value in (
        ("Load", "38 ms"), ("First answer", "13 ms"), ("Warm answer", "13 ms"), ("Memory", "12 MB"),
    ):  # fmt: skip
        assert value in result.split(term, 1)[1][:2000], term
    assert page.index('id="result"') < page.index("<summary>Layers")


@pytest.mark.not_quick
def test_a_report_from_before_shows_what_it_has_and_no_zeros(
    client_of: Callable[[str], Client], made: Callable[..., Version]
) -> None:
    old = {key: value for key, value in REPORT.items() if key not in {"first_ms", "warm_ms"}}
    old |= {"infer_ms": 0.8, "sample": {"image": "grey gradient", "predictions": []}}
    client = client_of("viewer")
    page = client.get(made(report=old).get_absolute_url()).content.decode()
    assert "Prediction" in page
    assert "0.8 ms" in page
    for absent in ("First answer", "Warm answer", "validation/digit.png", "It answered"):
        assert absent not in page, absent
    older = {key: value for key, value in old.items() if key not in {"sample", "infer_ms"}}
    page = client.get(made(2, report=older).get_absolute_url()).content.decode()
    assert "Prediction" not in page


def test_a_rejected_version_shows_reason_and_files_and_nothing_untrue(
    client_of: Callable[[str], Client], made: Callable[..., Version]
) -> None:
    files = [{"name": "resnet/a-symbol.json", "bytes": 7, "packed": False, "read": False}]
    report = {
        "ok": False,
        "artifact": {
            "name": "", "files": [], "unpacked_bytes": 0, "inputs": [], "outputs": [],
            "parameters": 0, "parameter_bytes": 0, "labels": [], "label_count": 0, "layers": {},
            "preprocess": None, "notes": [], "output": None,
        },
        "archive": {"files": files, "unpacked_bytes": 7, "packed_bytes": 0, "notes": []},
    }  # fmt: skip
    rejected = made(state="rejected", reason="It lacks synset.txt.", report=report, packing="")
    page = one_line(client_of("viewer").get(rejected.get_absolute_url()))
    assert "It lacks synset.txt." in page
    assert "What the archive holds" in page
    assert "resnet/a-symbol.json" in page
    for untrue in ("Parameters", "Layers", "Labels", "Preprocessing", "First answer", "Memory"):
        assert untrue not in page, untrue


@pytest.mark.not_quick
def test_next_and_previous_versions_are_links(
    client_of: Callable[[str], Client], made: Callable[..., Version]
) -> None:
    for number in (1, 3, 4):
        made(number)
    client = client_of("viewer")
    middle = client.get("/models/digits/v3/").content.decode()
    assert 'rel="prev" href="/models/digits/v1/"' in middle
    assert 'rel="next" href="/models/digits/v4/"' in middle
    assert 'rel="prev"' not in client.get("/models/digits/v1/").content.decode()
    assert 'rel="next"' not in client.get("/models/digits/v4/").content.decode()


@pytest.mark.parametrize(
    ("shape", "said", "sentence"),
    [
        ([1, 1, 28, 28], None, "The picture is scaled to 28 × 28, grey."),
        (
            [1, 1, 28, 28],
            {"scale": 1 / 255, "mean": [0.5], "std": [0.25]},
            "The picture is scaled to 28 × 28, grey, divided by 255, mean 0.5, standard deviation "
            "0.25.",
        ),
        (
            [1, 3, 224, 224],
            {"resize": 256, "crop": True, "color": "BGR", "scale": 0.017},
            "The picture is scaled until its shorter side is 256 pixels, cropped at the centre to "
            "224 × 224, in BGR, multiplied by 0.017.",
        ),
        (
            [1, 3, 20, 30],
            {"pad": 0, "scale": 1.0},
            "The picture is scaled to fit into 30 × 20, padded at the sides, in RGB.",
        ),
        (
            [1, 20, 30, 3],
            {"layout": "NHWC", "crop": True},
            "The picture is cropped at the centre and scaled to 30 × 20, in RGB.",
        ),
        ([1, 12], None, ""),
        ([1, 7, 5, 5], None, ""),
    ],
)
def test_preprocessing_is_a_sentence(
    shape: list[int], said: dict[str, Any] | None, sentence: str
) -> None:
    inside = {"inputs": [{"name": "data", "shape": shape}], "preprocess": said}
    assert html.unescape(validation_result.preprocessing(inside)) == sentence
