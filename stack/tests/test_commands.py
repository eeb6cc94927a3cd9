"""The commands that the Makefile gives."""

import re
import shlex

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


def test_there_are_such_commands() -> None:
    assert len(_LINES) > 5
