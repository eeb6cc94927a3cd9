"""The examples of ``docs/artifacts.md`` work as they stand there."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.artifacts import constant_network

from .conftest import ROOT, Ask, Run

PAGE = (ROOT / "docs" / "artifacts.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def grey_picture(path: Path, level: int) -> Path:
    """A picture of one grey, as a PPM that needs no library to write."""
    path.write_bytes(b"P6 40 30 255\n" + bytes([level]) * (40 * 30 * 3))
    return path


@pytest.mark.parametrize(("number", "archive"), [(0, "brightness.tar.gz"), (1, "level.tar.gz")])
def test_example_packs_an_archive_that_is_served_right(
    number: int, archive: str, tmp_path: Path, run: Run, preflight: Any, ask: Ask
) -> None:
    run("-c", blocks("python")[number], cwd=tmp_path)
    preflight(tmp_path / archive)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    grey_picture(pictures / "dark.ppm", 40)
    grey_picture(pictures / "bright.ppm", 220)
    (answers,) = ask((tmp_path / archive, pictures))
    for name, ((label, probability), *_) in answers.items():
        assert name == f"{label}.ppm"
        assert probability > 0.8


def test_there_are_two_examples() -> None:
    assert len(blocks("python")) == 2


READ = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from container import artifact
read = artifact.read_artifact(Path(sys.argv[1]))
print(json.dumps({"taken": asdict(read.preprocess), "known": sorted(artifact._PREPROCESS_KEYS)}))
"""


@pytest.mark.parametrize("number", range(3))
def test_preprocess_example_is_taken_and_all_keys_are_explained(
    number: int, tmp_path: Path, run: Run
) -> None:
    text = blocks("json")[number]
    given = json.loads(text)
    shape = (1, 1, 28, 28) if given.get("color") == "GRAY" else (1, 3, 224, 224)
    files = constant_network(labels=["a", "b"], answer=1, shape=shape)
    for name, content in (files | {"tiny-preprocess.json": text.encode()}).items():
        (tmp_path / name).write_bytes(content)
    container = json.loads(run("-c", READ, tmp_path).stdout)
    assert given.items() <= container["taken"].items()
    explained = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert set(container["known"]) <= explained
