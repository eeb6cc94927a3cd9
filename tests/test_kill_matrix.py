"""A sample of the kill matrix: a worker and localaws are killed within each operation.

`make kill-matrix` runs all parts, signals and steps; docs/reliability.md has what ran.
"""

import signal
from pathlib import Path

import pytest

from tests.kill_matrix import OPERATIONS, Disturbance, all_of, rig
from tests.killing import Outcome

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(900)]
SAMPLE = (Disturbance("worker", signal.SIGKILL, 2), Disturbance("localaws", signal.SIGKILL, 1))


def test_what_is_killed_within_an_operation_goes_on(tmp_path: Path) -> None:
    outcome, steps = Outcome(), dict[str, int]()
    with rig(tmp_path / "portal") as made:
        made.round(None, steps, outcome)
        for what in SAMPLE:
            made.round(what, steps, outcome)
    assert not outcome.failures, "\n".join(outcome.failures)
    assert outcome.cases.total() == 5 * len(SAMPLE)
    assert set(steps) >= {*OPERATIONS[:4], "expire"}
    assert min(steps.values()) > 1, steps
    assert set(SAMPLE) <= set(all_of(steps))
