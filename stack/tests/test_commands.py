"""The commands that the Makefile gives."""

import os
import re
import shlex
import subprocess

import pytest

from stack.__main__ import parse
from stack.layout import ROOT

_MAKEFILE = re.sub(r"\\\n\s*", "", (ROOT / "Makefile").read_text())  # lines that go on, in one
_LINES = re.findall(r"\$\(STACK\) (.+)", _MAKEFILE)


@pytest.mark.parametrize("line", _LINES)
def test_each_command_of_the_makefile_is_understood(line: str) -> None:
    words = shlex.split(line.replace("$(ARGS)", "-q --durations=3"))
    chosen = parse(words)
    assert chosen.command == words[0]
    if chosen.command in {"run", "manage"}:
        assert chosen.arguments == words[1:]


def test_an_audit_that_cannot_ask_fails_for_every_file() -> None:
    """pip-audit by itself passes over what it finds no data for, and ends well."""
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(
        ["make", "audit", "ARGS=--timeout 1 --cache-dir /dev/null/none"],
        cwd=ROOT,
        env=os.environ | nowhere,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode != 0
    files = [*(ROOT / "requirements").glob("*.txt"), ROOT / "container" / "requirements.txt"]
    (said,) = [line for line in done.stderr.splitlines() if "not audited:" in line]
    assert sorted(said.partition(": ")[2].split()) == sorted(
        str(file.relative_to(ROOT)) for file in files
    )


def test_there_are_such_commands() -> None:
    assert len(_LINES) > 5
