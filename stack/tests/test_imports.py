"""The stack installs all packages, so it starts with the standard library alone."""

import ast
import sys
from pathlib import Path

import pytest

from stack.layout import ROOT

#: What stack shares with localaws: to run a program that ends with its parent, and to remove
#: folders with untrusted content.
LEAVES = {"localaws.parent_death", "localaws.removal"}


def _imported(path: Path) -> set[str]:
    """The modules that are imported when the file is, not those inside functions."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


_FILES = [
    *sorted((ROOT / "stack").glob("*.py")),
    *(ROOT / f"{name.replace('.', '/')}.py" for name in sorted(LEAVES)),
    ROOT / "localaws" / "__init__.py",
]


@pytest.mark.parametrize("path", _FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_imports_the_standard_library_and_itself(path: Path) -> None:
    allowed = set(sys.stdlib_module_names)
    if path.parent.name == "stack":
        allowed |= {"stack"}
    others = {
        name for name in _imported(path) if name.split(".")[0] not in allowed and name not in LEAVES
    }
    assert not others, f"import them inside the function that needs them: {others}"
