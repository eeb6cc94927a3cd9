"""Tests of one module run in one process, so that what they share is made once."""

import pytest

from stack.layout import ROOT
from tests.conftest import LONGEST


def test_a_module_is_a_group_of_its_own(request: pytest.FixtureRequest) -> None:
    dist = getattr(request.config, "workerinput", {}).get("mainargv", [])
    if "loadgroup" in " ".join(dist):  # as in `make test`
        assert request.node.nodeid.endswith("@tests/test_groups.py")
    (marker,) = request.node.iter_markers("xdist_group")
    assert marker.args == ("tests/test_groups.py",)


def test_the_longest_modules_are_where_they_are_looked_for() -> None:
    gone = [path for path in LONGEST if not (ROOT / path).is_file()]
    assert not gone, f"LONGEST of tests/conftest.py names what moved: {gone}"
