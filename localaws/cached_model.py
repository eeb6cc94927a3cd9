"""A model in the cache of one instance: its state, its use, and the times of its cold start."""

import time
import uuid
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

_HOT_CALLS = 4
_HOT_SECONDS = 0.5
"""With this many concurrent calls on average in this time a second instance loads the model."""


class ModelState(StrEnum):
    ABSENT = "absent"
    ON_DISK = "on disk"
    LOADING = "loading"
    LOADED = "loaded"
    UNLOADING = "unloading"


class ModelLoadError(Exception):
    """A model was not loaded; ``status`` is the container's HTTP status, 0 without a response."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ModelNotReady(Exception):
    """The caller's timeout is over; loading goes on."""


@dataclass(slots=True)
class ColdStartTimings:
    """Milliseconds of a cold start; download and unpack are 0 where the copy on disk was used."""

    download_ms: float = 0.0
    unpack_ms: float = 0.0
    load_ms: float = 0.0
    evicted: int = 0


@dataclass(slots=True)
class Concurrency:
    """The average number of concurrent calls."""

    active: int = 0
    average: float = 0.0
    busy: float = 0.0
    changed: float = field(default_factory=time.monotonic)
    window: float = field(default_factory=time.monotonic)

    def change(self, by: int) -> None:
        now = time.monotonic()
        if (
            not self.active and now - self.changed > _HOT_SECONDS
        ):  # after an idle time the average begins at zero
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
class CachedModel:
    """A target model in the cache of one instance."""

    target: str
    folder: Path
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Its name in the container: opaque, as on AWS."""
    state: ModelState = ModelState.ABSENT
    bytes: int = 0
    last_used: float = 0.0
    users: int = 0
    """Calls that wait for it or run in it; while there are any, it is not evicted."""
    pressure: Concurrency = field(default_factory=Concurrency)
    loads: int = 0
    invocations: int = 0
    timings: ColdStartTimings = field(default_factory=ColdStartTimings)
    loading: "Future[None] | None" = None
    fetching: bool = False
    """It is being downloaded; ``bytes`` grow meanwhile."""
    is_queued: bool = False
    """It waits for a queue lock and holds no memory or disk."""

    @property
    def is_held(self) -> bool:
        """In memory or being loaded, from the moment at which the load is requested."""
        return self.state is ModelState.LOADED or self.loading is not None

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
