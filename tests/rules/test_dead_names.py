"""No name is dead, and the whitelist lists only what it must."""

import re

import pytest

from tests.rules import dead_names


@pytest.mark.slow
def test_no_name_is_dead_and_the_whitelist_has_none_too_many() -> None:
    # One scan for both: vulture takes ten seconds of a processor.
    unused = {line.split("'")[1]: line for line in dead_names.dead(whitelist=False)}
    whitelist = dead_names.WHITELIST.read_text(encoding="utf-8")
    listed = set(re.findall(r"(?m)^_\.(\w+)$", whitelist))
    variables = set(re.findall(r"(?m)^(\w+)$", whitelist))
    assert unused
    dead = [line for name, line in sorted(unused.items()) if name not in listed | variables]
    assert not dead, "Run: python -m tests.rules.dead_names"
    assert not listed - set(unused), (
        "Remove from tests/rules/vulture_whitelist.py, as nothing has the name or something uses "
        f"it: {sorted(listed - set(unused))}"
    )
