"""Requests out of their pieces: an answer or a sentence, and the same for the page and boto3."""

import pytest

from container.tests import fuzz_requests

# Pillow warns of what it then reads or refuses.
pytestmark = [
    pytest.mark.xdist_group("container-requests"),
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
]


def test_whatever_is_sent_gets_an_answer_or_a_sentence_and_page_and_boto3_agree() -> None:
    counts = fuzz_requests.run(300)

    assert counts["requests"] >= 300
    # It reaches all of them, or it would show little.
    assert min(counts[status] for status in ("200", "400", "406", "415")) >= 10, counts
    assert counts["both read"] >= 30, counts
    assert counts["both read, re-encoded by the page"] >= 10, counts
    assert counts["both refused"] >= 10, counts
