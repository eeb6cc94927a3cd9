"""100 mutants of networks given to MXNet, each in a sandboxed fork, and some to the whole
validation and to a server: whatever becomes of them is an answer or a refusal.

``make fuzz`` goes on to 20,000.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from container.tests import mutants
from container.tests.fuzz_verdicts import fault
from container.tests.serving import REPOSITORY, Server, wait_until
from container.tests.test_bad_artifacts import IDLE_PROCESSES
from container.tests.test_preflight import preflight
from tests.artifacts import pack

pytestmark = pytest.mark.xdist_group("container-fuzz")

COUNT = 100
TO_THE_VALIDATION = range(0, COUNT, 40)
TO_A_SERVER = range(0, COUNT, 10)


@pytest.fixture(scope="module")
def report(python: str) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-m", "container.tests.fuzz", "--count", str(COUNT)], cwd=REPOSITORY,
        capture_output=True, text=True, timeout=1_200, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.timeout(1_200)  # a minute of one processor; on a busy machine more
def test_whatever_becomes_of_a_mutant_is_an_answer_or_a_refusal(report: dict[str, Any]) -> None:
    assert report["faults"] == {}
    assert sum(report["verdicts"].values()) == COUNT


@pytest.mark.timeout(1_200)
def test_the_mutants_reach_what_is_behind_the_checks(report: dict[str, Any]) -> None:
    """Or they would say nothing of MXNet."""
    assert report["verdicts"]["accepted"] > COUNT // 10
    assert report["verdicts"].get("died", 0) < COUNT // 50


@pytest.mark.slow
def test_the_long_mode_has_all_its_mutants() -> None:
    for number in range(0, 20_000, 10):
        assert set(mutants.mutant(number)) == set(mutants.mutant(0))


def test_equal_numbers_give_equal_mutants() -> None:
    assert mutants.mutant(7) == mutants.mutant(7)
    assert mutants.mutant(7) != mutants.mutant(8)


@pytest.mark.parametrize("number", TO_THE_VALIDATION)
def test_the_whole_validation_takes_or_refuses_it(python: str, tmp_path: Path, number: int) -> None:
    archive = pack(tmp_path / "mutant.tar.gz", mutants.mutant(number))

    code, report = preflight(python, archive)

    assert code in (0, 1)
    assert report["ok"] is (code == 0)
    if code == 1:
        assert fault(("refused", report["error"]["message"])) is None


def test_a_server_outlives_them(
    server: Server, unpacked: Callable[..., Path], picture: bytes
) -> None:
    assert server.load("neighbour", unpacked()).status == 200
    for number in TO_A_SERVER:
        folder = unpacked()
        for name, data in mutants.mutant(number).items():
            (folder / name).write_bytes(data)
        answer = server.load(f"mutant-{number}", folder)
        assert answer.status in (200, 400, 500, 507), answer
        assert "\n" not in answer.reason
        if answer.status == 200:
            assert server.unload(f"mutant-{number}").status == 200
    assert server.models() == ["neighbour"]
    assert server.invoke("neighbour", picture, "image/jpeg").json[0].endswith("class=dog")
    assert server.unload("neighbour").status == 200
    wait_until(lambda: len(server.processes()) == IDLE_PROCESSES, what="the end of its processes")
