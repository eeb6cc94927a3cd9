"""What is asked for in requirements/*.in and container/requirements.in is pinned, with its hashes.

The pinned files are made of them by `uv pip compile` (CONTRIBUTING.md, A dependency). uv notes
behind each pin who asked for it, so that either file shows what the other lacks.
"""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
ASKED = [*sorted((ROOT / "requirements").glob("*.in")), ROOT / "container" / "requirements.in"]
by_file = pytest.mark.parametrize("file", ASKED, ids=lambda file: str(file.relative_to(ROOT)))
WHAT_TO_DO = "Run the command of CONTRIBUTING.md, A dependency, and commit both files"


def asked_in(file: Path) -> dict[str, Requirement]:
    """What the file itself asks for, without the files that it includes."""
    lines = [line.partition("#")[0].strip() for line in file.read_text().splitlines()]
    wanted = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {canonicalize_name(one.name): one for one in wanted}


def pinned_in(text: str) -> dict[str, tuple[str, bool, set[str]]]:
    """By name: the version, whether there are hashes, and who asked for it ("-r portal.in")."""
    found = {}
    for block in re.split(r"(?m)^(?=[A-Za-z0-9])", text):
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", block)
        if match:
            asked = set(re.findall(r"-r ([\w.-]+)", block))
            found[canonicalize_name(match[1])] = (match[2], "--hash=sha256:" in block, asked)
    return found


@by_file
def test_what_is_asked_for_is_pinned(file: Path) -> None:
    pinned = pinned_in(file.with_suffix(".txt").read_text())
    asked = asked_in(file)
    assert asked
    wrong = sorted(
        name
        for name, one in asked.items()
        if name not in pinned or not one.specifier.contains(pinned[name][0], prereleases=True)
    )
    assert not wrong, f"{WHAT_TO_DO}: {file.with_suffix('.txt').name} does not have {wrong}."
    bare = sorted(name for name, (_, hashed, _) in pinned.items() if not hashed)
    assert not bare, f"{WHAT_TO_DO}: these have no hashes: {bare}"


@by_file
def test_what_is_pinned_for_a_file_is_asked_for_in_it(file: Path) -> None:
    pinned = pinned_in(file.with_suffix(".txt").read_text())
    asked = asked_in(file)
    gone = sorted(
        name for name, (_, _, by) in pinned.items() if file.name in by and name not in asked
    )
    assert not gone, f"{WHAT_TO_DO}: {file.name} does not ask for these any more: {gone}"


def test_a_pin_is_read() -> None:
    text = "a-b[c]==1.0 \\\n    --hash=sha256:00\n    # via\n    #   -r x.in\n    #   d\ne==2\n"
    assert pinned_in(text) == {"a-b": ("1.0", True, {"x.in"}), "e": ("2", False, set())}
