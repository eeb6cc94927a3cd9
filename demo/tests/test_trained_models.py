"""The demo models answer as they promise, through the code that will serve them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Answers, Ask, Run

Manifest = dict[str, Any]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    folder = tmp_path_factory.mktemp("held-out")
    run(Path(__file__).with_name("draw.py"), folder)
    return folder


def share_right(answers: Answers) -> float:
    """Share of pictures whose likeliest label is the one in their file's name."""
    right = [Path(name).stem.split("-")[1] == answer[0][0] for name, answer in answers.items()]
    return sum(right) / len(right)


def test_manifest_names_what_is_there(trained: Path, manifest: Manifest) -> None:
    assert list(manifest) == ["digits", "shapes"]
    for name, model in manifest.items():
        assert model["description"]
        for number, version in enumerate(model["versions"], 1):
            assert version["archive"] == f"{name}_v{number}.tar.gz"
            assert (trained / version["archive"]).stat().st_size < 1_000_000
            assert " %" in version["note"]
        assert len(model["samples"]) >= 5
        assert set(model["answers"]) == set(model["samples"])
        for sample in model["samples"]:
            assert 1_000 < (trained / "samples" / sample).stat().st_size < 200_000
    assert not list(trained.glob("**/*.part"))


def test_second_version_of_digits_says_that_it_is_better(manifest: Manifest) -> None:
    first, second = (version["accuracy"] for version in manifest["digits"]["versions"])
    assert second["everyday"] > first["everyday"] + 0.5
    assert second["plain"] > first["plain"] + 0.04
    assert second["everyday"] > 0.93
    assert manifest["shapes"]["versions"][0]["accuracy"]["everyday"] > 0.93


def test_container_finds_models_as_accurate_as_they_say(
    trained: Path, manifest: Manifest, held_out: Path, ask: Ask
) -> None:
    promises = [
        (trained / version["archive"], held_out / (kind if name == "digits" else "shapes"), share)
        for name, model in manifest.items()
        for version in model["versions"]
        for kind, share in version["accuracy"].items()
    ]
    assert len(promises) == 5
    seen = ask(*((archive, folder) for archive, folder, _ in promises))
    for (archive, folder, promised), answers in zip(promises, seen, strict=True):
        right = share_right(answers)
        assert right == pytest.approx(promised, abs=0.05), (archive.name, folder.name)


def test_newest_version_is_right_on_every_sample_and_the_first_is_not(
    trained: Path, manifest: Manifest, ask: Ask, tmp_path: Path
) -> None:
    for name, model in manifest.items():
        (tmp_path / name).mkdir()
        for sample in model["samples"]:
            shutil.copy(trained / "samples" / sample, tmp_path / name)
    digits, shapes, linear = ask(
        (trained / "digits_v2.tar.gz", tmp_path / "digits"),
        (trained / "shapes_v1.tar.gz", tmp_path / "shapes"),
        (trained / "digits_v1.tar.gz", tmp_path / "digits"),
    )
    right = manifest["digits"]["answers"] | manifest["shapes"]["answers"]
    for sample, ((label, probability), *_) in (digits | shapes).items():
        assert (sample, label) == (sample, right[sample])
        assert probability > 0.8, sample
    # Or there would be nothing to see in comparing the two versions.
    assert [sample for sample, answer in linear.items() if answer[0][0] != right[sample]]


@pytest.mark.parametrize(
    ("archive", "image", "label"),
    [
        ("digits_v2.tar.gz", "digit-two.jpg", "two"),
        ("shapes_v1.tar.gz", "shape-heart.jpg", "heart"),
    ],
)
def test_preflight_accepts_it_and_reads_a_sample(
    archive: str,
    image: str,
    label: str,
    trained: Path,
    preflight: Callable[..., dict[str, Any]],
) -> None:
    report = preflight(trained / archive, trained / "samples" / image)
    best = report["sample"]["predictions"][0]
    assert best["label"] == label
    assert best["probability"] > 0.8
    assert report["artifact"]["preprocess"]["crop"] is True
