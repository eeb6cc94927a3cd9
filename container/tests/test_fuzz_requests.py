"""Requests out of their pieces: an answer or a sentence, and the same for the page and boto3."""

import json
import subprocess
import sys
from typing import Any

import pytest

from container.tests.serving import REPOSITORY

pytestmark = pytest.mark.xdist_group("container-requests")

COUNT = 150


def test_whatever_is_sent_gets_an_answer_or_a_sentence_and_page_and_boto3_agree() -> None:
    # In a process of its own: Hypothesis takes constants from all modules that are imported, so
    # that the requests would depend on which other tests have run.
    done = subprocess.run(
        [sys.executable, "-m", "container.tests.fuzz_requests", "--count", str(COUNT)],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    counts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])

    assert counts["requests"] >= COUNT
    # It reaches all of them, or it would show little.
    assert min(counts[status] for status in ("200", "400", "406", "415")) >= COUNT // 30, counts
    assert counts["both read"] >= COUNT // 10, counts
    assert counts["both read, re-encoded by the page"] >= COUNT // 30, counts
    assert counts["both refused"] >= COUNT // 30, counts
