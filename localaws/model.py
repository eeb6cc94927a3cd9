"""A model as one instance knows it: its state, its use, and what its last cold start took."""

import time
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

_HOT_CALLS = 4
_HOT_SECONDS = 0.5
"""So many calls at once, on average over so long: the model is hot, a second instance loads it."""


class State(StrEnum):
    ABSENT = "absent"
    ON_DISK = "on disk"
    LOADING = "loading"
    LOADED = "loaded"
    UNLOADING = "unloading"


class LoadFailed(Exception):
    """A model did not get into memory; ``status`` is the container's, 0 where it gave none."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class NotReady(Exception):
    """The caller's time is up; loading goes on."""


@dataclass(slots=True)
class Timings:
    """Milliseconds of a cold start; download and unpack are 0 where the copy on disk was used."""

    download_ms: float = 0.0
    unpack_ms: float = 0.0
    load_ms: float = 0.0
    evicted: int = 0


@dataclass(slots=True)
class Pressure:
    """How many calls a container has been answering at once, on average."""

    active: int = 0
    average: float = 0.0
    busy: float = 0.0
    changed: float = field(default_factory=time.monotonic)
    window: float = field(default_factory=time.monotonic)

    def change(self, by: int) -> None:
        now = time.monotonic()
        if not self.active and now - self.changed > _HOT_SECONDS:  # after a rest, from zero
            self.average, self.busy, self.window = 0.0, 0.0, now
        self.busy += self.active * (now - self.changed)
        self.changed = now
        if now - self.window >= _HOT_SECONDS:
            self.average = self.busy / (now - self.window)
            self.busy, self.window = 0.0, now
        self.active += by

    def is_high(self) -> bool:
        recent = time.monotonic() - self.changed < 2 * _HOT_SECONDS
        return recent and self.average >= _HOT_CALLS


@dataclass(slots=True, eq=False)
class Model:
    """A target model as one instance knows it."""

    target: str
    folder: Path
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    """What the container calls it: opaque, as on AWS."""
    state: State = State.ABSENT
    bytes: int = 0
    last_used: float = 0.0
    users: int = 0
    """Calls that wait for it or are in it; while there are any, it stays."""
    pressure: Pressure = field(default_factory=Pressure)
    loads: int = 0
    invocations: int = 0
    timings: Timings = field(default_factory=Timings)
    loading: "Future[None] | None" = None
    fetching: bool = False
    """On its way to disk; ``bytes`` grow meanwhile."""
    in_line: bool = False
    """Waits for others that want room, too, and holds none."""

    @property
    def is_held(self) -> bool:
        """In memory, or on its way there: a load that was ordered counts before it begins."""
        return self.state is State.LOADED or self.loading is not None

    def describe(self) -> dict[str, Any]:
        return {
            "target_model": self.target,
            "model_name": self.name,
            "state": self.state.value,
            "bytes": self.bytes,
            "last_used": self.last_used or None,
            "in_use": self.users,
            "loads": self.loads,
            "invocations": self.invocations,
            "download_ms": round(self.timings.download_ms, 1),
            "unpack_ms": round(self.timings.unpack_ms, 1),
            "load_ms": round(self.timings.load_ms, 1),
        }
