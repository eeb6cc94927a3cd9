"""Which models one instance holds, on disk and in memory, and how one gets there.

The rules are those of DG/multi-model-endpoints: a model is loaded at its first call;
where memory is short, models that nobody uses are unloaded, the longest unused first,
and stay on disk; where disk is short, unused copies on disk go.
"""

import contextlib
import logging
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from .container import ContainerClient, ContainerGone, ContainerTimeout
from .fetch import Fetched, FetchError

log = logging.getLogger(__name__)

_PARALLEL_LOADS = 8
_LOST = ("Failed to save model", "Failed to start workers")
"""What MMS answers, with 500, where it lost a load by no fault of the model's: it interrupts the
thread that starts one model while it removes another (WorkerThread.shutdown). Worth another try;
the model is on its list meanwhile, and must be taken off it first."""
_LOST_TRIES = 3
"""Where memory is short it happens to one load in forty: twice in a row now and then."""
_FULL_SECONDS = 10.0
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


class ModelCache:
    """The models of one instance.

    ``fetch(target, folder, max_bytes)`` brings a model to disk; ``path_inside`` is what the
    container calls a folder; ``metric(name, value)`` counts; ``label`` goes before log lines.
    Without ``keep`` a model goes from memory and disk as soon as nobody uses it
    (ModelCacheSetting Disabled).
    """

    def __init__(
        self,
        *,
        container: ContainerClient,
        folder: Path,
        fetch: Callable[[str, Path, int], Fetched],
        disk_bytes: int,
        load_timeout: float,
        label: str,
        path_inside: Callable[[Path], str] = str,
        metric: Callable[[str, float], None] = lambda name, value: None,
        keep: bool = True,
    ) -> None:
        self._path_inside = path_inside
        self._metric = metric
        self._keep = keep
        self._container = container
        self._folder = folder
        self._fetch = fetch
        self._disk_bytes = disk_bytes
        self._load_timeout = load_timeout
        self._label = label
        self._models: dict[str, Model] = {}
        self._changed = threading.Condition()
        self._loaders = ThreadPoolExecutor(_PARALLEL_LOADS, thread_name_prefix=f"load-{label}")
        self._closed = False
        self._full = (-_FULL_SECONDS, 0)
        """When the container last said 507, and how many models it held then."""

    # --- what there is ---------------------------------------------------------------------

    def holds(self, target: str) -> bool:
        """Whether the model is in memory or on its way there."""
        model = self._models.get(target)
        return model is not None and model.is_held

    def is_loaded(self, target: str) -> bool:
        model = self._models.get(target)
        return model is not None and model.state is State.LOADED

    def users_of(self, target: str) -> int:
        model = self._models.get(target)
        return model.users if model else 0

    def is_hot(self, target: str) -> bool:
        """Whether calls for the model have been piling up here for a while."""
        model = self._models.get(target)
        return model is not None and model.pressure.is_high()

    def load_factor(self) -> tuple[int, int]:
        """Calls under way and models held: what a new model's instance is chosen by."""
        with self._changed:
            models = list(self._models.values())
        held = sum(model.is_held for model in models)
        return held, sum(model.users for model in models)

    def loaded_count(self) -> int:
        with self._changed:
            return sum(model.state is State.LOADED for model in self._models.values())

    def disk_used(self) -> int:
        """Bytes of unpacked models on the instance's disk."""
        with self._changed:
            return sum(
                model.bytes for model in self._models.values() if model.state is not State.ABSENT
            )

    def describe(self) -> list[dict[str, Any]]:
        with self._changed:
            models = sorted(self._models.values(), key=lambda model: -model.last_used)
            return [model.describe() for model in models]

    def close(self) -> None:
        """The instance goes: whoever waits for a load is told."""
        with self._changed:
            self._closed = True
            waiting = [model.loading for model in self._models.values() if model.loading]
            self._changed.notify_all()
        self._loaders.shutdown(wait=False, cancel_futures=True)
        for future in waiting:
            with contextlib.suppress(Exception):
                future.set_exception(ContainerGone("the instance was stopped", sent=False))

    # --- use -------------------------------------------------------------------------------

    def join(self, target: str) -> "Ticket":
        """Claim a model, starting its load where nobody has; does not wait."""
        with self._changed:
            if self._closed:
                raise ContainerGone("the instance was stopped", sent=False)
            model = self._models.get(target)
            if model is None:
                name = uuid.uuid4().hex
                model = Model(target, self._folder / name / "model", name)
                self._models[target] = model
            model.users += 1
            cold = model.state is not State.LOADED
            if cold and model.loading is None:
                model.loading = Future()
                self._loaders.submit(self._load, model, model.loading)
            return Ticket(self, model, model.loading, cold)

    def prefetch(self, target: str) -> None:
        """Load a model that no call waits for here; errors are only logged."""
        ticket = self.join(target)
        if ticket.loading is None:
            self.leave(ticket.model)
        else:
            ticket.loading.add_done_callback(lambda _: self.leave(ticket.model))

    def leave(self, model: Model) -> None:
        with self._changed:
            model.users -= 1
            model.last_used = time.time()
            self._forget_if_nothing(model)
            self._changed.notify_all()
            discard = not self._keep and not model.users and model.state is State.LOADED
            discard = discard and not self._closed
            if discard:
                model.state = State.UNLOADING
        if discard:
            self._loaders.submit(self._discard, model)

    def _discard(self, model: Model, *, loaded: bool = True) -> bool:
        """Unload a model, whose state is UNLOADING, and delete its copy; False if it stays."""
        unloaded = not loaded or self._unload(model)
        if unloaded:
            shutil.rmtree(model.folder.parent, ignore_errors=True)
        with self._changed:
            model.state = State.ABSENT if unloaded else State.LOADED
            model.bytes = 0 if unloaded else model.bytes
            self._forget_if_nothing(model)
            self._changed.notify_all()
        return unloaded

    def _forget_if_nothing(self, model: Model) -> None:
        """Drop what is neither here nor wanted, e.g. a name for which S3 has no object."""
        idle = not model.users and model.loading is None and model.state is State.ABSENT
        if idle and self._models.get(model.target) is model:
            del self._models[model.target]

    def begin(self, model: Model) -> None:
        with self._changed:
            model.invocations += 1
            model.pressure.change(1)

    def end(self, model: Model) -> None:
        with self._changed:
            model.pressure.change(-1)

    def lost(self, model: Model) -> None:
        """The container does not know the model any more (its worker died, say)."""
        with self._changed:
            if model.state is State.LOADED:
                model.state = State.ON_DISK
                self._changed.notify_all()

    # --- loading ---------------------------------------------------------------------------

    def _load(self, model: Model, done: "Future[None]") -> None:
        """Get a model into memory; runs on a loader thread, once for all who wait."""
        timings = Timings()
        try:
            with self._changed:
                while model.state is State.UNLOADING:
                    self._changed.wait(1)
                on_disk = model.state is State.ON_DISK
                model.state = State.LOADING
            deadline = time.monotonic() + self._load_timeout
            if not on_disk:
                self._bring(model, timings)
            start = time.perf_counter()
            self._put_in_memory(model, timings, deadline)
            timings.load_ms = (time.perf_counter() - start) * 1000
        except BaseException as error:
            with self._changed:
                model.state = State.ON_DISK if model.folder.exists() else State.ABSENT
                model.loading = None
                self._changed.notify_all()
            if not isinstance(error, LoadFailed | FetchError | ContainerGone | ContainerTimeout):
                log.exception("%s: load of %s broke", self._label, model.target)
            else:
                log.warning("%s: load of %s failed: %s", self._label, model.target, error)
            self._tell(done, error)
            return
        with self._changed:
            model.state = State.LOADED
            model.loading = None
            model.loads += 1
            model.timings = timings
            model.last_used = time.time()
            self._changed.notify_all()
        self._metric("ModelLoadingTime", timings.load_ms * 1000)
        log.info(
            "%s cold start: model=%s download_ms=%.1f unpack_ms=%.1f load_ms=%.1f "
            "bytes=%s evicted=%s",
            self._label,
            model.target,
            timings.download_ms,
            timings.unpack_ms,
            timings.load_ms,
            model.bytes,
            timings.evicted,
        )
        self._tell(done, None)

    def _tell(self, done: "Future[None]", error: BaseException | None) -> None:
        with contextlib.suppress(Exception):  # close() may have told them already
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    def _bring(self, model: Model, timings: Timings) -> None:
        model.folder.parent.mkdir(parents=True, exist_ok=True)
        while True:
            free = self._disk_bytes - self.disk_used()
            try:
                fetched = self._fetch(model.target, model.folder, free)
                break
            except FetchError as error:
                shutil.rmtree(model.folder.parent, ignore_errors=True)
                if error.kind != "disk" or not self._drop_copy():
                    raise
                model.folder.parent.mkdir(parents=True, exist_ok=True)
        model.bytes = fetched.unpacked_bytes
        timings.download_ms = fetched.download_ms
        timings.unpack_ms = fetched.unpack_ms
        self._metric("ModelDownloadingTime", (fetched.download_ms + fetched.unpack_ms) * 1000)

    def _drop_copy(self) -> bool:
        """Make room on disk: the longest unused model that nobody uses goes; False if none."""
        with self._changed:
            unused = [
                model
                for model in self._models.values()
                if not model.users and model.state in (State.ON_DISK, State.LOADED)
            ]
            if not unused:
                return False
            victim = min(unused, key=lambda m: (m.state is State.LOADED, m.last_used))
            loaded = victim.state is State.LOADED
            victim.state = State.UNLOADING
        gone = self._discard(victim, loaded=loaded)
        if gone:
            log.info("%s: %s left the disk", self._label, victim.target)
        return gone

    def _put_in_memory(self, model: Model, timings: Timings, deadline: float) -> None:
        """POST /models until the container takes it, unloading others where it says 507."""
        if self._is_likely_full() and self._evict():
            timings.evicted += 1
        lost = 0
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise LoadFailed("Loading took longer than allowed.")
            answer = self._container.load(model.name, self._path_inside(model.folder), remaining)
            if answer.ok or answer.status == 409:
                return
            if answer.status == 500 and any(words in answer.text for words in _LOST):
                lost += 1
                if lost == _LOST_TRIES:
                    raise LoadFailed(answer.text, status=answer.status)
                log.warning("%s: the load of %s was lost; again", self._label, model.target)
                self._container.unload(model.name)
                continue
            if answer.status != 507:
                raise LoadFailed(answer.text, status=answer.status)
            self._full = (time.monotonic(), self.loaded_count())
            if self._evict():
                timings.evicted += 1
            elif not self._others_may_go(model):
                raise LoadFailed(
                    "The model does not fit into the instance's memory, even alone: "
                    + answer.message,
                    status=507,
                )

    def _is_likely_full(self) -> bool:
        """Whether another model would get 507 again: an attempt that costs the container much."""
        since, count = self._full
        return time.monotonic() - since < _FULL_SECONDS and self.loaded_count() >= count

    def _evict(self) -> bool:
        """Unload the longest unused model that nobody uses; False if there is none."""
        with self._changed:
            unused = [
                model
                for model in self._models.values()
                if model.state is State.LOADED and not model.users
            ]
            if not unused:
                return False
            victim = min(unused, key=lambda model: model.last_used)
            victim.state = State.UNLOADING
        unloaded = self._unload(victim)
        with self._changed:
            victim.state = State.ON_DISK if unloaded else State.LOADED
            self._changed.notify_all()
        if unloaded:
            log.info("%s: %s unloaded to make room", self._label, victim.target)
        return unloaded

    def _unload(self, victim: Model) -> bool:
        start = time.perf_counter()
        try:
            answer = self._container.unload(victim.name)
        except (ContainerGone, ContainerTimeout) as error:
            log.warning("%s: unload of %s: %s", self._label, victim.target, error)
            return False
        if answer.ok or answer.status == 404:
            self._metric("ModelUnloadingTime", (time.perf_counter() - start) * 1e6)
            return True
        log.warning("%s: unload of %s: %s", self._label, victim.target, answer.text)
        return False

    def _others_may_go(self, model: Model) -> bool:
        """Wait a little for another model to fall out of use; False if there is no other."""
        with self._changed:
            others = any(
                other is not model and other.state in (State.LOADED, State.LOADING, State.UNLOADING)
                for other in self._models.values()
            )
            if others:
                self._changed.wait(0.5)
            return others and not self._closed


class Ticket:
    """A claim on a model: wait for it, use it, leave it."""

    def __init__(
        self, cache: ModelCache, model: Model, loading: "Future[None] | None", cold: bool
    ) -> None:
        self._cache = cache
        self.loading = loading
        self.model = model
        self.cold = cold

    @contextlib.contextmanager
    def ready(self, timeout: float) -> Iterator[Model]:
        """The model, in memory and kept there while the block runs.

        Raises NotReady after ``timeout`` seconds, LoadFailed or FetchError where the load
        failed, ContainerGone where the instance died.
        """
        try:
            if self.loading is not None:
                try:
                    self.loading.result(timeout=timeout)
                except FutureTimeout:
                    raise NotReady(self.model.target) from None
            self._cache.begin(self.model)
            try:
                yield self.model
            finally:
                self._cache.end(self.model)
        finally:
            self._cache.leave(self.model)
