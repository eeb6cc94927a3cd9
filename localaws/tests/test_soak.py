"""The two runs of ``make soak``, for some seconds each, on the same real containers."""

import pytest

from localaws.tests.soak import Plan, run

# It takes both processors.
pytestmark = [pytest.mark.timeout(580), pytest.mark.xdist_group("soak")]


def test_load_on_real_containers_with_little_memory_and_while_parts_are_killed():
    """At the end of each, every model answers."""
    calm = Plan(seconds=5, callers=12, models=14, memory_mb=280)
    chaotic = Plan(seconds=7, callers=8, models=14, memory_mb=280, chaos=True, chaos_pause=1.5)
    undisturbed, killed = run(calm, chaotic)
    assert not undisturbed.violations, undisturbed.lines
    assert undisturbed.tally.right
    assert undisturbed.loads > calm.models  # models had to make room for each other
    assert not killed.violations, killed.lines
    assert killed.struck
