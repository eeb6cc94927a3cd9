"""No name is dead, and the whitelist lists only what it must."""

import re

import pytest

from tests.rules import dead_names


@pytest.mark.slow
def test_no_name_is_dead() -> None:
    assert not dead_names.dead(), "Run: python -m tests.rules.dead_names"


@pytest.mark.slow
def test_the_whitelist_has_no_name_too_many() -> None:
    listed = re.findall(r"(?m)^_\.(\w+)$", dead_names.WHITELIST.read_text(encoding="utf-8"))
    found = {line.split("'")[1] for line in dead_names.dead(whitelist=False)}
    assert found
    assert not set(listed) - found, (
        "Remove from tests/rules/vulture_whitelist.py, as nothing has the name or something uses "
        f"it: {sorted(set(listed) - found)}"
    )
