"""Exponential backoff with jitter."""

from datetime import timedelta

import pytest

from core import backoff

FIRST, LONGEST = timedelta(seconds=2), timedelta(seconds=60)


def _drawn(failures: int) -> list[timedelta]:
    return [backoff.pause(failures, first=FIRST, longest=LONGEST) for _ in range(300)]


@pytest.mark.jitter
@pytest.mark.parametrize(("failures", "whole_s"), [(0, 2), (1, 4), (3, 16), (5, 60), (9_999, 60)])
def test_a_pause_is_of_the_upper_half_of_the_doubled_one(failures: int, whole_s: int) -> None:
    drawn = _drawn(failures)
    whole = timedelta(seconds=whole_s)
    assert min(drawn) >= whole / 2
    assert max(drawn) <= whole
    assert max(drawn) - min(drawn) > whole / 3, "those that failed together retry together"


def test_other_tests_wait_for_the_whole_pause() -> None:
    assert set(_drawn(1)) == {timedelta(seconds=4)}
