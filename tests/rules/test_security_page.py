"""docs/security.md names a test for what it claims; each of them exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")


@cache
def _functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def _tests() -> list[tuple[str, str]]:
    return [(path, name) for path, name in NAMED.findall(PAGE) if "/test_" in path]


@pytest.mark.slow
def test_every_test_that_the_page_names_exists() -> None:
    named = _tests()
    assert len(named) > 40
    missing = [
        f"{path}::{name}"
        for path, name in named
        if not (ROOT / path).is_file() or (name and name not in _functions(ROOT / path))
    ]
    assert not missing


def test_every_row_of_what_holds_names_a_test() -> None:
    section = PAGE.partition("## What holds")[2].partition("\n## ")[0]
    rows = [
        line
        for line in section.splitlines()
        if line.startswith("| ") and not line.startswith(("| attack", "| ---", "|---"))
    ]
    assert len(rows) > 40
    assert not [row for row in rows if not any("/test_" in path for path, _ in NAMED.findall(row))]


def test_every_file_that_the_page_names_exists() -> None:
    assert not [path for path, _ in NAMED.findall(PAGE) if not (ROOT / path).is_file()]


def test_every_name_that_the_page_gives_after_a_file_is_in_that_file() -> None:
    named = re.findall(r"`([\w/]+\.py)` ((?:[A-Za-z_][\w.]*(?:, | and )?)+)", PAGE)
    names = [
        (path, name)
        for path, listed in named
        for name in re.split(r", | and ", listed.rstrip(",. "))
        if re.search(r"_|[a-z][A-Z]|^[A-Z][a-z]+\.", name)  # the rest may be the sentence's words
    ]
    assert len(names) > 40
    missing = [
        f"{path}: {name}"
        for path, name in names
        if not re.search(rf"\b{re.escape(name.split('.')[-1])}\b", (ROOT / path).read_text())
    ]
    assert not missing, f"rename them in docs/security.md: {missing}"
