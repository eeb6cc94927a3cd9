"""Long polls: when they answer, how many wait, and that they end with the process."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core import waiting
from tests.servers import wait_until


@pytest.fixture(autouse=True)
def places(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two places, and a process that does not come to its end."""
    settings.WEB_THREADS = 11
    monkeypatch.setattr(waiting, "_ending", threading.Event())
    waiting._places.cache_clear()
    yield
    waiting._places.cache_clear()


def _took(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def _never(_: object) -> bool:
    return False


def test_what_is_over_is_answered_at_once() -> None:
    assert waiting.until(lambda: 7, lambda found: found == 7, seconds=30) == 7
    assert waiting.until(lambda: 7, _never, seconds=0) == 7


def test_it_answers_when_it_is_over() -> None:
    found = iter(range(100))
    assert waiting.until(lambda: next(found), lambda one: one == 3, seconds=30) == 3


def test_it_answers_after_the_seconds() -> None:
    assert 0.3 <= _took(lambda: waiting.until(lambda: 7, _never, seconds=0.3)) < 10


def test_what_is_settled_is_answered_at_once_and_what_is_not_when_it_changes() -> None:
    settled = waiting.until_changed(lambda: "ready", settled=lambda _: True, seconds=30)
    assert settled == "ready"
    found = iter(["reading", "reading", "reading", "packing"])
    changed = waiting.until_changed(lambda: next(found), settled=_never, seconds=30)
    assert changed == "packing"


def test_who_finds_no_place_is_answered_at_once_and_who_is_done_gives_it_back() -> None:
    done = threading.Event()
    looks: list[int] = []

    def wait() -> None:
        waiting.until(lambda: looks.append(1), lambda _: done.is_set(), seconds=60)

    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    # Each looks once before it has its place, and once more when it has waited.
    wait_until(lambda: len(looks) >= 4)
    assert _took(lambda: waiting.until(lambda: 7, _never, seconds=30)) < 5
    done.set()
    for thread in threads:
        thread.join(10)
    assert _took(lambda: waiting.until(lambda: 7, _never, seconds=0.3)) >= 0.3


def test_what_fails_meanwhile_gives_its_place_back() -> None:
    def fail() -> int:
        looks.append(1)
        if len(looks) % 2 == 0:
            raise ValueError
        return 7

    looks: list[int] = []
    for _ in range(5):
        with pytest.raises(ValueError):
            waiting.until(fail, _never, seconds=30)
    assert _took(lambda: waiting.until(lambda: 7, _never, seconds=0.3)) >= 0.3


def test_few_threads_are_all_for_those_who_do_not_wait(settings: Any) -> None:
    settings.WEB_THREADS = 3
    waiting._places.cache_clear()
    assert _took(lambda: waiting.until(lambda: 7, _never, seconds=30)) < 5


def test_all_are_answered_when_the_process_ends() -> None:
    looks: list[int] = []
    thread = threading.Thread(
        target=lambda: waiting.until(lambda: looks.append(1), _never, seconds=60)
    )
    thread.start()
    wait_until(lambda: len(looks) >= 2)
    waiting.end()
    thread.join(5)
    assert not thread.is_alive()
