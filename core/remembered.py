"""What was looked up is remembered for a second: a change counts everywhere within that time."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from core import guarded

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

KEEP_S = 1.0
ALL: list["Remembered[Any, Any]"] = []
"""All of this process, to be cleared between tests."""


class Remembered(Generic[K, V]):
    """Values by key, for all threads of the process; who gets one must not change it.

    What is not found is not remembered: it is there as soon as somebody has made it. From whom
    other rows are hidden (core/guarded.py) gets other values, unless they are the same ``for_all``.
    """

    def __init__(self, *, keep_s: float = KEEP_S, most: int = 1024, for_all: bool = False) -> None:
        self._keep_s = keep_s
        self._for_all = for_all
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Hashable, K], tuple[float, V]] = OrderedDict()
        ALL.append(self)

    def get(self, key: K, find: Callable[[], V | None]) -> V | None:
        """The value of ``key``: as it was found within the last second, else as ``find`` says."""
        mine = (None if self._for_all else guarded.hidden(), key)
        with self._lock:
            kept = self._kept.get(mine)
        if kept is not None and time.monotonic() < kept[0]:
            return kept[1]
        until = time.monotonic() + self._keep_s  # from before it is looked up
        found = find()
        with self._lock:
            if found is None:
                self._kept.pop(mine, None)
            else:
                self._kept[mine] = until, found
                self._kept.move_to_end(mine)
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
        return found

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()


class Shared(Remembered[K, V]):
    """The same, for what takes long to find: who asks meanwhile waits, and gets the same value."""

    def __init__(self, *, keep_s: float = KEEP_S, most: int = 1024) -> None:
        super().__init__(keep_s=keep_s, most=most)
        # Two keys may have one lock; then one of them waits without need.
        self._turns = [threading.Lock() for _ in range(64)]

    def get(self, key: K, find: Callable[[], V | None]) -> V | None:
        """As of Remembered; one thread at a time finds a value."""
        with self._turns[hash(key) % len(self._turns)]:
            return super().get(key, find)
