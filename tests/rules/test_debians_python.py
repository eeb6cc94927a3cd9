"""Nothing needs a later Python than that of Debian 12, 3.11.2; a developer's is often later."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: Methods of ``tarfile`` that take a ``filter`` from Python 3.11.4 on.
EXTRACTING = {"extract", "extractall"}


def later(source: str) -> Iterator[int]:
    """The lines of calls that Python 3.11.2 does not know."""
    if not all(word in source for word in (".extract", "filter")):
        return  # parsing all files takes seconds
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given = {keyword.arg for keyword in node.keywords}
            if node.func.attr in EXTRACTING and "filter" in given:
                yield node.lineno


def test_no_call_needs_a_later_python_than_debians() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: leave `filter` out, and check the members yourself"
        for path in sorted(ROOT.rglob("*.py"))
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
        for line in later(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_the_rule_finds_what_it_is_for() -> None:
    assert list(later('\narchive.extractall("there", filter="data")')) == [2]
    assert list(later('archive.extractall("there")\nparts.filter(name="a")')) == []
