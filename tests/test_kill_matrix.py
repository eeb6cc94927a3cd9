"""A sample of the kill matrices: some parts are killed within some operations.

`make kill-matrix` runs all parts, signals and steps; docs/reliability.md has what ran.
"""

import signal
from pathlib import Path

import pytest

from tests import kill_catalog
from tests.kill_catalog import ASKED, PUSH, Kill
from tests.kill_matrix import OPERATIONS, Disturbance, all_of, rig
from tests.killing import Outcome

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.timeout(900)]
SAMPLE = (Disturbance("worker", signal.SIGKILL, 2), Disturbance("localaws", signal.SIGKILL, 1))
OF_CATALOG = (
    Kill("copy", "after copy store", "s3"),
    Kill(PUSH, "after PUT store", "worker"),
)


def test_what_is_killed_within_an_operation_goes_on(tmp_path: Path) -> None:
    outcome, steps = Outcome(), dict[str, int]()
    # The web server is not killed here, and no operation needs it.
    with rig(tmp_path / "portal", ("redis", "worker", "beat", "localaws")) as made:
        made.round(None, steps, outcome)
        for what in SAMPLE:
            made.round(what, steps, outcome)
    assert not outcome.failures, "\n".join(outcome.failures)
    assert outcome.cases.total() == 5 * len(SAMPLE)
    assert set(steps) >= {*OPERATIONS[:4], "expire"}
    assert min(steps.values()) > 1, steps
    assert set(SAMPLE) <= set(all_of(steps))


def test_what_is_killed_within_an_operation_of_the_catalog_goes_on(tmp_path: Path) -> None:
    outcome = Outcome()
    with kill_catalog.rig(tmp_path / "portal") as made:
        found = {"copy": made.moments("copy")}
        for what in OF_CATALOG:
            made.round(what, outcome, what.act)
    assert not outcome.failures, "\n".join(outcome.failures)
    assert outcome.cases.total() == len(OF_CATALOG)
    assert found["copy"][0] == ASKED
    assert OF_CATALOG[0] in set(kill_catalog.all_of(found))
