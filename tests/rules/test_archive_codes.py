"""Each code of the container's validation is known to the portal, and is in docs/artifacts.md.

The codes are found by themselves: the constants that are given to ``ArtifactError`` and ``Note``,
to the functions of container/ that have a parameter ``code``, and to a variable of that name. The
portal words each in the reader's language; an unknown one is told as "not accepted" alone.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from models_catalog import noted, reasons

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "artifacts.md").read_text(encoding="utf-8")
# Codes that the container does not say any more; versions that were rejected with them keep them.
OF_EARLIER = {"out_of_memory"}
_CLASSES = {"ArtifactError": 0, "Note": 0}


def _trees() -> list[ast.Module]:
    paths = sorted((ROOT / "container").glob("*.py"))
    return [ast.parse(path.read_text(encoding="utf-8")) for path in paths]


def _places(trees: list[ast.Module]) -> dict[str, int]:
    """The functions that take a code, each with the place of it among the arguments of a call."""
    found = dict(_CLASSES)
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                names = [argument.arg for argument in node.args.args if argument.arg != "self"]
                if "code" in names:
                    found[node.name] = names.index("code")
    return found


def codes_in(trees: list[ast.Module]) -> Iterator[tuple[str, str]]:
    """Each code, with the name of what is called with it."""
    places = _places(trees)
    for tree in trees:
        for node in ast.walk(tree):
            match node:
                case ast.Assign(targets=[ast.Name("code")], value=ast.Constant(str(code))):
                    yield "=", code
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func).rpartition(".")[2]
            if name not in places or len(node.args) <= places[name]:
                continue
            given = node.args[places[name]]
            if isinstance(given, ast.Constant) and re.fullmatch("[a-z_]+", str(given.value)):
                yield name, str(given.value)


def _said() -> tuple[set[str], set[str]]:
    """The codes of refusals, and those of notes."""
    found = set(codes_in(_trees()))
    notes = {code for name, code in found if name in ("Note", "note", "=")}
    return {code for _, code in found} - notes, notes


def test_each_code_is_worded_for_readers() -> None:
    refusals, notes = _said()
    assert {"not_tar", "bad_symbol", "timeout", "bad_labels"} <= refusals
    assert {"links", "dtype", "output"} <= notes
    missing = sorted(refusals - set(reasons._KINDS))
    assert not missing, f"Write what kind of fault it is into models_catalog/reasons.py: {missing}"
    missing = sorted(notes - set(noted.SUBJECTS))
    assert not missing, f"Write what the note is about into models_catalog/noted.py: {missing}"


def test_no_code_is_worded_that_nothing_says() -> None:
    refusals, notes = _said()
    idle = sorted(set(reasons._KINDS) - refusals - OF_EARLIER)
    assert not idle, (
        "No validation says these. Remove them from models_catalog/reasons.py, or, where versions "
        f"may have been rejected with them, name them in OF_EARLIER here: {idle}"
    )
    idle = sorted(set(noted.SUBJECTS) - notes)
    assert not idle, f"No validation notes these; remove them from models_catalog/noted.py: {idle}"


def test_each_code_is_in_the_docs() -> None:
    refusals, notes = _said()
    missing = sorted(code for code in refusals | notes if f"`{code}`" not in PAGE)
    assert not missing, (
        "Programs read these in a report. Add each to its row of docs/artifacts.md, with "
        f"(note `code`) or in the table of *What is refused*: {missing}"
    )


def test_a_code_is_found_however_it_is_given() -> None:
    code = """
def _read(path, code): raise ArtifactError(code, "x")
_read(p, "bad_x")
contents.note("odd", "x")
raise findings.ArtifactError("bad_y", "x")
if True: code = "left_out"
class Contents:
    def note(self, code, message): ...
"""
    assert {one for _, one in codes_in([ast.parse(code)])} == {"bad_x", "odd", "bad_y", "left_out"}
