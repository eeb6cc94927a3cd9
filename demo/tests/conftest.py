"""The container's Python, the demo models trained once, and the ways to ask them."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import demo_models

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent

Run = Callable[..., subprocess.CompletedProcess[str]]
Answers = dict[str, list[list[Any]]]
"""For each picture's file name, labels and their probabilities, best first."""
Ask = Callable[..., list[Answers]]


@pytest.fixture(scope="session")
def container_python() -> str:
    return os.environ.get("CONTAINER_PYTHON", str(ROOT / ".venv-container" / "bin" / "python"))


@pytest.fixture(scope="session")
def run(container_python: str) -> Run:
    """Run the container's Python; fails the test unless it exits with ``code``."""

    def run(
        *arguments: str | Path,
        code: int = 0,
        cwd: Path = ROOT,
        timeout_s: float = 240,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [container_python, *map(str, arguments)],
            cwd=cwd,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def preflight(run: Run) -> Callable[..., dict[str, Any]]:
    """The real preflight's report on an archive that it must accept."""

    def preflight(archive: Path, image: Path | None = None) -> dict[str, Any]:
        more = ["--image", image] if image else []
        report = json.loads(run("container/preflight.py", archive, *more).stdout)
        assert report["ok"], report
        return report

    return preflight


@pytest.fixture(scope="session")
def ask(run: Run) -> Ask:
    """What the container's own code says of the pictures in folders, for pairs of both."""

    def ask(*pairs: tuple[Path, Path]) -> list[Answers]:
        flat = [path for pair in pairs for path in pair]
        answers: list[Answers] = json.loads(run("-m", "demo.tests.ask", *flat).stdout)
        return answers

    return ask


@pytest.fixture(scope="session")
def trained() -> Path:
    """The trained demo models, the same that the tests of the whole stack upload."""
    return demo_models.made()


@pytest.fixture(scope="session")
def manifest(trained: Path) -> dict[str, Any]:
    models = json.loads((trained / "manifest.json").read_text())["models"]
    return {model["name"]: model for model in models}
