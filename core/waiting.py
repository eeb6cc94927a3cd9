"""Long polls: a request that waits until what it asks for has changed.

Who waits takes a thread of the web server. So each process has places for a quarter of its
threads, and who finds none is answered at once: a long poll is never an error, only a poll.
"""

import threading
import time
from collections.abc import Callable
from functools import cache
from typing import TypeVar

from core import web_threads

T = TypeVar("T")

#: The longest wait that a client may ask for, in seconds.
MOST_S = 30
_LOOK_EVERY_S = 0.25

_ending = threading.Event()


@cache
def _places() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(web_threads.count() // 4)


def until(look: Callable[[], T], over: Callable[[T], bool], *, seconds: float) -> T:
    """What ``look`` finds as soon as ``over`` says so of it, or after ``seconds``.

    It answers with what it finds now where ``seconds`` is 0, where no place is free, and when this
    process comes to its end. ``look`` is called four times a second: it should be one short query.
    """
    found = look()
    if seconds <= 0 or over(found) or not _places().acquire(blocking=False):
        return found
    try:
        deadline = time.monotonic() + seconds
        while not over(found):
            left = deadline - time.monotonic()
            if left <= 0 or _ending.wait(min(_LOOK_EVERY_S, left)):
                break
            found = look()
        return found
    finally:
        _places().release()


def until_changed(look: Callable[[], T], *, settled: Callable[[T], bool], seconds: float) -> T:
    """What ``look`` finds: at once where that is settled, else when it is another than now."""
    first = look()
    if settled(first):
        return first
    return until(look, lambda found: settled(found) or found != first, seconds=seconds)


def end() -> None:
    """Answer all who wait, now and from now on: the process comes to its end."""
    _ending.set()
