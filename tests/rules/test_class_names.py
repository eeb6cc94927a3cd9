"""No two classes of the portal share a name, so that a search finds the one that is meant."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from tests.rules.test_imports import APPS

ROOT = Path(__file__).resolve().parents[2]
# Django finds these by their name.
BY_CONVENTION = {"Command", "Migration"}


def classes() -> dict[str, list[str]]:
    """The modules that define a class, by its name; without tests and nested classes."""
    found: dict[str, list[str]] = defaultdict(list)
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            if "tests" in path.parts:
                continue
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and node.name not in BY_CONVENTION:
                    found[node.name].append(path.relative_to(ROOT).as_posix())
    return found


@pytest.mark.not_quick
def test_no_two_classes_share_a_name() -> None:
    known = classes()
    assert "RegisteredModel" in known
    twice = {name: paths for name, paths in known.items() if len(paths) > 1}
    assert not twice, f"Rename one of each, after what it is: {twice}"
