"""Every template is formatted alike: djade has nothing to change, and no line is long."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 120
DJADE = Path(sys.executable).with_name("djade")


def templates() -> list[Path]:
    """Every template of the project: in templates/ and in the apps."""
    outside = {".venv", ".venv-container", ".venv-sdk", ".local", ".git", "node_modules"}
    return sorted(
        path
        for path in ROOT.rglob("*.html")
        if "templates" in path.parts and not outside & set(path.relative_to(ROOT).parts)
    )


def test_there_are_templates() -> None:
    assert ROOT / "templates" / "base.html" in templates()


def test_no_line_of_a_template_is_long() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{n}: {len(line)}"
        for path in templates()
        for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > LONGEST
    ]
    assert not long, (
        f"Lines longer than {LONGEST} characters: {', '.join(long)}. "
        "Break them between attributes, between words, or beside a block element; "
        "white space between two inline elements is seen on the page."
    )


def test_djade_has_nothing_to_change() -> None:
    told = subprocess.run(
        [DJADE, "--check", "--target-version", "5.2", *templates()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, (
        f"{told.stdout}{told.stderr}\nRun: djade --target-version 5.2 $(git ls-files '*.html')"
    )


def test_what_asks_each_second_brings_the_banner_up_to_date() -> None:
    """A page that is open for long says so when no worker is there any more, and when one is."""
    asking = [path for path in templates() if 'hx-trigger="every' in path.read_text()]
    assert asking
    silent = [
        str(path.relative_to(ROOT))
        for path in asking
        if not path.read_text().endswith('{% include "_banner_again.html" %}\n')
    ]
    assert not silent, f'End these with {{% include "_banner_again.html" %}}: {silent}'
