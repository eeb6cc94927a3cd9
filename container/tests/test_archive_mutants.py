"""1,000 mutants of good archives: the reader refuses each with a sentence, or packs it.

Each is read in a fork, with 10 s of processor time and 512 MB of its own (archive_mutants.py).
"""

import json
import subprocess
import sys

import pytest

from container.tests.serving import REPOSITORY

pytestmark = [pytest.mark.xdist_group("corpus"), pytest.mark.slow]

COUNT = 1_000


def test_a_mutant_is_refused_with_a_sentence_or_packed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "container.tests.archive_mutants", str(COUNT)], cwd=REPOSITORY,
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)

    assert not report["wrong"], "\n".join(report["wrong"])
    found = report["found"]
    assert sum(found.values()) == COUNT
    assert found["refused"] > COUNT / 4, found
    assert found["packed"] > COUNT / 20, found
