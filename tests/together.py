"""Threads that begin at the same moment, for what several people or machines do at once."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def together(works: Sequence[Callable[[], T]]) -> list[T]:
    """What each of ``works`` gives, each in a thread of its own; raises the error of one."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], T]) -> T:
        try:
            start.wait(20)
            return work()
        finally:
            connections.close_all()  # a thread's connections outlive it otherwise

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))
