"""Runs functions in threads that start at the same moment."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def together(works: Sequence[Callable[[], T]]) -> list[T]:
    """The results of ``works``, each run in its own thread; raises the first error."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], T]) -> T:
        try:
            start.wait(20)
            return work()
        finally:
            connections.close_all()  # a thread's connections outlive it otherwise

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))
