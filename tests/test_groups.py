"""Tests of one module run in one process, so that what they share is made once.

What takes longest begins first, so that no process is idle at the end.
"""

from itertools import pairwise

import pytest

from stack.layout import ROOT
from tests.conftest import LONGEST, order_of

_LONGEST_NAME = 1000  # characters of all parameters; one that is no ASCII is written as ten


def test_a_module_is_a_group_of_its_own(request: pytest.FixtureRequest) -> None:
    dist = getattr(request.config, "workerinput", {}).get("mainargv", [])
    if "loadgroup" in " ".join(dist):  # as in `make test`
        assert request.node.nodeid.endswith("@tests/test_groups.py")
    (marker,) = request.node.iter_markers("xdist_group")
    assert marker.args == ("tests/test_groups.py",)


def test_the_longest_modules_are_where_they_are_looked_for() -> None:
    gone = [path for path in LONGEST if not (ROOT / path).is_file()]
    assert not gone, f"LONGEST of tests/conftest.py names what moved: {gone}"


def test_what_takes_longest_begins_first(request: pytest.FixtureRequest) -> None:
    """Plugins sort the tests, too: pytest-django by what they need of the database."""
    items = request.session.items
    late = [b.nodeid for a, b in pairwise(items) if order_of(b) < order_of(a)]
    assert not late, f"These begin after what takes less long: {late[:5]}"


def test_no_id_is_as_long_as_its_parameters(request: pytest.FixtureRequest) -> None:
    names = [item.nodeid.partition("[")[2].rpartition("]")[0] for item in request.session.items]
    long = [name[:200] for name in names if len(name) > _LONGEST_NAME]
    assert not long, f"Name the parameters of these tests (ids=…): {long}"
