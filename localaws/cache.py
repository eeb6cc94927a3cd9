"""The cache of models of one instance, on disk and in memory.

The rules are those of DG/multi-model-endpoints: a model is loaded at its first call. Where memory
is short, the least recently used model without callers is unloaded; its copy stays on disk. Where
disk is short, unused copies are deleted.
"""

import contextlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from functools import partial
from pathlib import Path
from typing import Any

from .cached_model import CachedModel, ColdStartTimings, ModelLoadError, ModelNotReady, ModelState
from .container_client import ContainerClient, ContainerGone, ContainerResponse, ContainerTimeout
from .fetch import Fetched, FetchError, ReserveDisk
from .removal import remove

log = logging.getLogger(__name__)

_PARALLEL_LOADS = 8
_RETRIABLE = ("Failed to save model", "Failed to start workers")
"""MMS answers so, with 500, where it interrupted a load while it removed another model
(WorkerThread.shutdown). Our container prevents that, others may not. The load is retried, after the
model was removed from MMS's list."""
_LOAD_ATTEMPTS = 3
_FULL_SECONDS = 10.0


class ModelCache:
    """The models of one instance.

    ``fetch(target, folder, claim)`` downloads a model; ``path_inside`` gives the container's path
    of a folder; ``metric(name, value)`` writes a metric; ``label`` prefixes log lines. Without
    ``keep`` a model is evicted as soon as it has no callers (ModelCacheSetting Disabled).
    """

    def __init__(
        self,
        *,
        container: ContainerClient,
        folder: Path,
        fetch: Callable[[str, Path, ReserveDisk], Fetched],
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
        self._models: dict[str, CachedModel] = {}
        self._changed = threading.Condition()
        self._loaders = ThreadPoolExecutor(_PARALLEL_LOADS, thread_name_prefix=f"load-{label}")
        self._closed = False
        self._disk_queue = threading.Lock()
        self._memory_queue = threading.Lock()
        self._full = (-_FULL_SECONDS, 0)
        """When the container last answered 507, and how many models it held then."""

    # --- what there is ---------------------------------------------------------------------

    def holds(self, target: str) -> bool:
        """Whether the model is in memory or being loaded."""
        model = self._models.get(target)
        return model is not None and model.is_held

    def is_loaded(self, target: str) -> bool:
        model = self._models.get(target)
        return model is not None and model.state is ModelState.LOADED

    def users_of(self, target: str) -> int:
        model = self._models.get(target)
        return model.users if model else 0

    def is_hot(self, target: str) -> bool:
        """Whether the model has had many concurrent calls for a while."""
        model = self._models.get(target)
        return model is not None and model.pressure.is_high()

    def load_factor(self) -> tuple[int, int]:
        """Models held and calls under way; a new model goes to the instance with the least."""
        with self._changed:
            models = list(self._models.values())
        held = sum(model.is_held for model in models)
        return held, sum(model.users for model in models)

    def loaded_count(self) -> int:
        with self._changed:
            return sum(model.state is ModelState.LOADED for model in self._models.values())

    def disk_used(self) -> int:
        """Bytes of unpacked models on the instance's disk."""
        with self._changed:
            return sum(
                model.bytes
                for model in self._models.values()
                if model.state is not ModelState.ABSENT
            )

    def describe(self) -> list[dict[str, Any]]:
        with self._changed:
            models = sorted(self._models.values(), key=lambda model: -model.last_used)
            return [model.describe() for model in models]

    def close(self) -> None:
        """Fail all loads that callers wait for, because the instance is stopped."""
        with self._changed:
            self._closed = True
            waiting = [model.loading for model in self._models.values() if model.loading]
            self._changed.notify_all()
        self._loaders.shutdown(wait=False, cancel_futures=True)
        for future in waiting:
            with contextlib.suppress(Exception):
                future.set_exception(ContainerGone("the instance was stopped", sent=False))

    def wait_until_unused(self, seconds: float) -> bool:
        """Wait until no call uses a model, ``seconds`` at most; False where some still do."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not any(model.users for model in self._models.values()), seconds
            )

    # --- use -------------------------------------------------------------------------------

    def acquire(self, target: str) -> "ModelReference":
        """Take a reference to a model and start its load if needed; does not wait."""
        with self._changed:
            if self._closed:
                raise ContainerGone("the instance was stopped", sent=False)
            model = self._models.get(target)
            if model is None:
                name = uuid.uuid4().hex
                model = CachedModel(target, self._folder / name / "model", name)
                self._models[target] = model
            model.users += 1
            cold = model.state is not ModelState.LOADED
            if cold and model.loading is None:
                model.loading = Future()
                self._loaders.submit(self._load, model, model.loading)
            return ModelReference(self, model, model.loading, cold)

    def prefetch(self, target: str) -> None:
        """Load a model before a call asks for it here; errors are only logged."""
        ticket = self.acquire(target)
        if ticket.loading is None:
            self.release(ticket.model)
        else:
            ticket.loading.add_done_callback(lambda _: self.release(ticket.model))

    def load(self, target: str, timeout: float) -> None:
        """Load a model into memory, without a call.

        Raises ModelNotReady after ``timeout`` seconds, ModelLoadError, FetchError or ContainerGone.
        """
        ticket = self.acquire(target)
        try:
            if ticket.loading is not None:
                ticket.loading.result(timeout=timeout)
        except FutureTimeout:
            raise ModelNotReady(target) from None
        finally:
            self.release(ticket.model)

    def release(self, model: CachedModel) -> None:
        with self._changed:
            model.users -= 1
            model.last_used = time.time()
            self._drop_if_idle(model)
            self._changed.notify_all()
            discard = not self._keep and not model.users and model.state is ModelState.LOADED
            discard = discard and not self._closed
            if discard:
                model.state = ModelState.UNLOADING
        if discard:
            self._loaders.submit(self._discard, model)

    def _discard(self, model: CachedModel, *, loaded: bool = True) -> bool:
        """Unload a model, whose state is UNLOADING, and delete its copy; False if it stays."""
        unloaded = not loaded or self._unload(model)
        if unloaded:
            remove(model.folder.parent)
        with self._changed:
            model.state = ModelState.ABSENT if unloaded else ModelState.LOADED
            model.bytes = 0 if unloaded else model.bytes
            self._drop_if_idle(model)
            self._changed.notify_all()
        return unloaded

    def _drop_if_idle(self, model: CachedModel) -> None:
        """Drop a model that is neither stored nor used, for example one that S3 does not have."""
        idle = not model.users and model.loading is None and model.state is ModelState.ABSENT
        if idle and self._models.get(model.target) is model:
            del self._models[model.target]

    def begin(self, model: CachedModel) -> None:
        with self._changed:
            model.invocations += 1
            model.pressure.change(1)

    def end(self, model: CachedModel) -> None:
        with self._changed:
            model.pressure.change(-1)

    def mark_unloaded(self, model: CachedModel) -> None:
        """The container does not have the model any more, for example because its worker died."""
        with self._changed:
            if model.state is ModelState.LOADED:
                model.state = ModelState.ON_DISK
                self._changed.notify_all()

    # --- loading ---------------------------------------------------------------------------

    def _load(self, model: CachedModel, done: "Future[None]") -> None:
        """Load a model into memory; runs on a loader thread, once for all callers that wait."""
        timings = ColdStartTimings()
        try:
            with self._changed:
                while model.state is ModelState.UNLOADING:
                    self._changed.wait(1)
                before, model.state = model.state, ModelState.LOADING
                if before is ModelState.LOADED:  # the container failed to unload it
                    model.state, model.loading = before, None
                    self._changed.notify_all()
            if before is ModelState.LOADED:
                self._finish(done, None)
                return
            deadline = time.monotonic() + self._load_timeout
            if before is not ModelState.ON_DISK:
                self._download(model, timings, deadline)
            start = time.perf_counter()
            self._load_into_memory(model, timings, deadline)
            timings.load_ms = (time.perf_counter() - start) * 1000
        except BaseException as error:
            with self._changed:
                model.state = ModelState.ON_DISK if model.folder.exists() else ModelState.ABSENT
                model.bytes = model.bytes if model.state is ModelState.ON_DISK else 0
                model.loading = None
                self._changed.notify_all()
            if not isinstance(
                error, ModelLoadError | FetchError | ContainerGone | ContainerTimeout
            ):
                log.exception("%s: load of %s broke", self._label, model.target)
            else:
                log.warning("%s: load of %s failed: %s", self._label, model.target, error)
            self._finish(done, error)
            return
        with self._changed:
            model.state = ModelState.LOADED
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
        self._finish(done, None)

    def _finish(self, done: "Future[None]", error: BaseException | None) -> None:
        with contextlib.suppress(Exception):  # close() may have set it already
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

    def _download(self, model: CachedModel, timings: ColdStartTimings, deadline: float) -> None:
        """Download a model to disk; FetchError where that fails or the disk is too small.

        Where only concurrent downloads compete for the disk, they give up what they reserved and
        run one after the other.
        """
        with contextlib.ExitStack() as line:
            is_first = False
            while True:
                model.folder.parent.mkdir(parents=True, exist_ok=True)
                model.fetching = True
                try:
                    claim = partial(self._reserve_disk, model, is_first, deadline)
                    fetched = self._fetch(model.target, model.folder, claim)
                    break
                except (FetchError, _DiskContention) as error:
                    remove(model.folder.parent)
                    self._free_disk(model)
                    if isinstance(error, _DiskContention):
                        line.enter_context(self._queued(model, self._disk_queue, deadline))
                        is_first = True
                    elif error.kind != "disk" or not self._evict_from_disk():
                        raise
                finally:
                    model.fetching = False
        timings.download_ms = fetched.download_ms
        timings.unpack_ms = fetched.unpack_ms
        self._metric("ModelDownloadingTime", (fetched.download_ms + fetched.unpack_ms) * 1000)

    def _reserve_disk(
        self, model: CachedModel, is_first: bool, deadline: float, total: int
    ) -> None:
        """Reserve ``total`` bytes of disk for a model that is being downloaded.

        Evicts unused copies and waits for used ones. Raises FetchError at the deadline, and
        _DiskContention where only other downloads hold the disk, unless the model ``is_first`` in
        the queue.
        """
        while True:
            with self._changed:
                others = [
                    other for other in self._models.values() if other is not model and other.bytes
                ]
                if sum(other.bytes for other in others) + total <= self._disk_bytes:
                    model.bytes = total
                    return
                if self._closed:
                    raise ContainerGone("the instance was stopped", sent=False)
            if self._evict_from_disk():
                continue
            if not is_first and all(other.fetching for other in others):
                raise _DiskContention
            if time.monotonic() > deadline:
                raise FetchError("disk", "all that lies on it stayed in use")
            with self._changed:
                self._changed.wait(0.5)

    def _free_disk(self, model: CachedModel) -> None:
        with self._changed:
            model.bytes = 0
            self._changed.notify_all()

    @contextlib.contextmanager
    def _queued(self, model: CachedModel, line: threading.Lock, deadline: float) -> Iterator[None]:
        """Hold the lock ``line``, by which loads that compete run one after the other."""
        with self._changed:
            model.is_queued = True
            self._changed.notify_all()
        try:
            if not line.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise ModelLoadError("Loading took longer than allowed.")
        finally:
            with self._changed:
                model.is_queued = False
        try:
            yield
        finally:
            line.release()

    def _evict_from_disk(self) -> bool:
        """Delete the least recently used copy without callers; False if there is none."""
        with self._changed:
            unused = [
                model
                for model in self._models.values()
                if not model.users and model.state in (ModelState.ON_DISK, ModelState.LOADED)
            ]
            if not unused:
                return False
            evicted = min(unused, key=lambda m: (m.state is ModelState.LOADED, m.last_used))
            loaded = evicted.state is ModelState.LOADED
            evicted.state = ModelState.UNLOADING
        gone = self._discard(evicted, loaded=loaded)
        if gone:
            log.info("%s: %s left the disk", self._label, evicted.target)
        return gone

    def _load_into_memory(
        self, model: CachedModel, timings: ColdStartTimings, deadline: float
    ) -> None:
        """POST /models until the container accepts, and evict others where it answers 507.

        Loads that find nothing to evict retry one after the other, so that each learns whether
        the model fits beside the models in use, or not even alone.
        """
        if self._is_likely_full() and self._evict():
            timings.evicted += 1
        with contextlib.ExitStack() as line:
            is_first = False
            while True:
                was_alone = self._is_alone(model)
                answer = self._request_load(model, deadline)
                if answer.ok or answer.status == 409:
                    return
                if answer.status != 507:
                    raise ModelLoadError(answer.text, status=answer.status)
                self._full = (time.monotonic(), self.loaded_count())
                evicted = self._evict()
                if not evicted:
                    if was_alone and self._is_alone(model):
                        raise ModelLoadError(
                            "The model does not fit into the instance's memory, even alone: "
                            + answer.message,
                            status=507,
                        )
                    if not is_first:
                        line.enter_context(self._queued(model, self._memory_queue, deadline))
                        is_first = True
                    evicted = self._wait_for_unused(model) and self._evict()
                timings.evicted += evicted

    def _request_load(self, model: CachedModel, deadline: float) -> ContainerResponse:
        """The container's response to a load; one that MMS interrupted is retried."""
        for attempt in range(1, _LOAD_ATTEMPTS + 1):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise ModelLoadError("Loading took longer than allowed.")
            answer = self._container.load(model.name, self._path_inside(model.folder), remaining)
            if answer.status != 500 or not any(words in answer.text for words in _RETRIABLE):
                break
            if attempt < _LOAD_ATTEMPTS:
                log.warning("%s: the load of %s was lost; again", self._label, model.target)
            self._container.unload(model.name)
        return answer

    def _wait_for_unused(self, model: CachedModel) -> bool:
        """Wait up to 0.5 s until another model can be evicted, or no other is left."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: self._unused() or self._is_alone(model) or self._closed, 0.5
            )
        return bool(found)

    def _unused(self) -> list[CachedModel]:
        return [m for m in self._models.values() if m.state is ModelState.LOADED and not m.users]

    def _is_alone(self, model: CachedModel) -> bool:
        """Whether no other model is in memory or being loaded."""
        with self._changed:
            return not any(
                other is not model
                and not other.is_queued
                and other.state in (ModelState.LOADED, ModelState.LOADING, ModelState.UNLOADING)
                for other in self._models.values()
            )

    def _is_likely_full(self) -> bool:
        """Whether the container would probably answer 507 again; asking it is expensive."""
        since, count = self._full
        return time.monotonic() - since < _FULL_SECONDS and self.loaded_count() >= count

    def _evict(self) -> bool:
        """Unload the least recently used model without callers; False if there is none."""
        with self._changed:
            unused = self._unused()
            if not unused:
                return False
            evicted = min(unused, key=lambda model: model.last_used)
            evicted.state = ModelState.UNLOADING
        unloaded = self._unload(evicted)
        with self._changed:
            evicted.state = ModelState.ON_DISK if unloaded else ModelState.LOADED
            self._changed.notify_all()
        if unloaded:
            log.info("%s: %s unloaded to make room", self._label, evicted.target)
        return unloaded

    def _unload(self, evicted: CachedModel) -> bool:
        start = time.perf_counter()
        try:
            answer = self._container.unload(evicted.name)
        except (ContainerGone, ContainerTimeout) as error:
            log.warning("%s: unload of %s: %s", self._label, evicted.target, error)
            return False
        if answer.ok or answer.status == 404:
            self._metric("ModelUnloadingTime", (time.perf_counter() - start) * 1e6)
            return True
        log.warning("%s: unload of %s: %s", self._label, evicted.target, answer.text)
        return False


class _DiskContention(Exception):
    """Concurrent downloads do not fit on the disk together."""


class ModelReference:
    """A counted reference to a model, which is not evicted while one is held."""

    def __init__(
        self, cache: ModelCache, model: CachedModel, loading: "Future[None] | None", cold: bool
    ) -> None:
        self._cache = cache
        self.loading = loading
        self.model = model
        self.cold = cold

    @contextlib.contextmanager
    def ready(self, timeout: float) -> Iterator[CachedModel]:
        """The model, in memory and kept there while the block runs.

        Raises ModelNotReady after ``timeout`` seconds, ModelLoadError or FetchError where the load
        failed, ContainerGone where the instance died.
        """
        try:
            if self.loading is not None:
                try:
                    self.loading.result(timeout=timeout)
                except FutureTimeout:
                    raise ModelNotReady(self.model.target) from None
            self._cache.begin(self.model)
            try:
                yield self.model
            finally:
                self._cache.end(self.model)
        finally:
            self._cache.release(self.model)
