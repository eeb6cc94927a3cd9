"""Comments say why in plain words: what was measured, and what was before, is in docs/measured.md.

And the files that they name are there.

A figure in a comment is out of date as soon as the code beside it changes, and nobody measures it
again; in docs/measured.md it stands beside the command that measures it. Limits and times that the
code keeps are no measurements.
"""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_PART = r"(?:half|third|quarter|fifth|sixth|seventh|eighth|ninth|tenth)s?"
_COUNT = r"(?:\d[\d.,]*|two|three|four|five|six|eight|ten|twenty|many)"
MEASURED = re.compile(
    rf"\b{_COUNT} times as (?:fast|long|much|heavy|large|slow)\b"
    rf"|\b(?:a|two|three) {_PART}(?: to an? {_PART})? (?:less|more|faster|slower)\b"
    rf"|\b(?:a|two|three) {_PART} of (?:the|a|its) (?:processor|page|time|start|call)"
    r"|\b\d[\d.,]* ?(?:µs|ms|MB) (?:more|less|faster|slower)\b"
    r"|\b(?:takes?|took|needs?|costs?) (?:about |some |only |PostgreSQL )?\d[\d.,]* ?(?:µs|ms|s)\b"
    r"(?! at most)"
    r"|\b\d[\d.,]* ?(?:µs|ms) of (?:a|the) processor"
    r"|\bfaster than (?!a person)|\bslower than (?!a person)"
)
WAS = re.compile(
    r"\b(?:it|this|that|they|which|we) used to (?!be )\w+|\bformerly\b|\bin former times\b"
)
WHAT_TO_DO = (
    "Say why in words (less work, no second copy), and put the figure into docs/measured.md beside "
    "the command that measures it; of the container, into container/README.md:"
)


def sources() -> list[Path]:
    """The code of all parts, without tests, migrations and the benchmarks that measure."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.py", "*.js", "*.html", "*.css"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    paths = [Path(name) for name in listed.split("\0") if name]
    left_out = {"tests", "migrations", "bench"}
    kept = [ROOT / path for path in paths if not left_out & set(path.parts)]
    return [path for path in kept if path.is_file() and not path.is_symlink()]


def told_in_python(source: str) -> Iterator[tuple[int, str]]:
    """Each docstring, and each comment with those on the lines after it, with its line."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, " ".join(text.split())
    lines: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            if lines and token.start[0] != last + 1:
                yield first, " ".join(lines)
                lines = []
            first = first if lines else token.start[0]
            last = token.start[0]
            lines.append(token.string.lstrip("#: "))
    if lines:
        yield first, " ".join(lines)


def told_elsewhere(source: str) -> Iterator[tuple[int, str]]:
    """The comments of a template, a script or a style sheet."""
    for found in re.finditer(r"\{#.*?#\}|/\*.*?\*/|(?m:^\s*//.*$)", source, re.DOTALL):
        yield source.count("\n", 0, found.start()) + 1, " ".join(found[0].split())


def wrong_in(path: Path) -> Iterator[str]:
    source = path.read_text(encoding="utf-8")
    told = told_in_python(source) if path.suffix == ".py" else told_elsewhere(source)
    for line, text in told:
        for found in (MEASURED.search(text), WAS.search(text)):
            if found is not None:
                around = text[max(0, found.start() - 60) : found.end() + 40]
                yield f"{path.relative_to(ROOT)}:{line}: …{around}…"


@pytest.mark.slow
def test_no_comment_holds_a_measurement() -> None:
    paths = sources()
    assert len(paths) > 500
    wrong = [one for path in paths for one in wrong_in(path)]
    assert not wrong, "\n".join([WHAT_TO_DO, *wrong])


# Files of others, and examples, that comments name.
FOREIGN = {
    "APP/models.py": "stands for each of them",
    "FILE.md": "stands for each of them",
    "api.py": "stands for each of them",
    "docs/configuration.md": "of MMS",
    "json.py": "an example",
    "mms/model_loader.py": "of MMS",
    "mms/model_server.py": "of MMS",
    "model_service_worker.py": "of MMS",
    "sagemaker/models.py": "of moto",
}
_FILE = re.compile(r"(?<![\w./:-])((?:[\w-]+/)*[\w-]+\.(?:py|md))\b(?!\.)")


def _there(named: str, room: str, known: set[str]) -> bool:
    """Whether a file is there: by its path, or, without a folder, in the same room."""
    if "/" in named:
        return any(one == named or one.endswith(f"/{named}") for one in known)
    return any(
        one == named or re.fullmatch(rf"{room}/(?:.*/)?{re.escape(named)}", one) for one in known
    )


@pytest.mark.slow
def test_each_file_that_a_comment_names_is_there() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    known = {name for name in listed.split("\0") if name}
    gone, used = [], set()
    for name in sorted(known):
        path = ROOT / name
        if path.suffix != ".py" or "migrations" in path.parts or path.is_symlink():
            continue
        for line, text in told_in_python(path.read_text(encoding="utf-8")):
            for named in _FILE.findall(text):
                if named in FOREIGN:
                    used.add(named)
                elif not _there(named, name.partition("/")[0], known):
                    gone.append(f"{name}:{line}: {named}")
    assert not gone, "\n".join(
        ["Write the path of a file of another room, and mend the names of what has moved:", *gone]
    )
    idle = sorted(set(FOREIGN) - used)
    assert not idle, f"No comment names these; remove them from FOREIGN here: {idle}"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Django makes it anew, which takes ten times as long", True),
        ("they would take a tenth of the page's time", True),
        ("a Python process takes 20 ms more of each load", True),
        ("PostgreSQL needs some 20 µs for a name", True),
        ("found by trying it, which takes about 10 ms", True),
        ("it used to sleep", True),
        ("a lease lasts for 60 s", False),
        ("5 ms at most", False),
        ("what it is used to sign", False),
    ],
)
def test_a_measurement_is_known(text: str, wrong: bool) -> None:
    assert bool(MEASURED.search(text) or WAS.search(text)) is wrong
