"""The two runs of ``make soak``, for some seconds each, on real containers."""

import pytest

from localaws.tests.soak import Plan, run

# Each takes both processors, so they are not to run at once.
pytestmark = [pytest.mark.timeout(580), pytest.mark.xdist_group("soak")]


def test_load_on_real_containers_with_little_memory():
    report = run(Plan(seconds=20, callers=30, models=40))
    assert not report.violations, report.lines
    assert report.tally.right
    assert report.loads > 40  # models had to make room for each other


def test_load_on_real_containers_while_parts_are_killed():
    plan = Plan(seconds=20, callers=10, models=12, memory_mb=300, chaos=True, chaos_pause=2.5)
    report = run(plan)  # at its end every model answers
    assert not report.violations, report.lines
    assert report.struck
