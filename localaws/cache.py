"""Which models one instance holds, on disk and in memory, and how one gets there.

The rules are those of DG/multi-model-endpoints: a model is loaded at its first call;
where memory is short, models that nobody uses are unloaded, the longest unused first,
and stay on disk; where disk is short, unused copies on disk go.
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

from .container import Answer, ContainerClient, ContainerGone, ContainerTimeout
from .fetch import Claim, Fetched, FetchError
from .model import LoadFailed, Model, NotReady, State, Timings
from .removal import remove

log = logging.getLogger(__name__)

_PARALLEL_LOADS = 8
_LOST = ("Failed to save model", "Failed to start workers")
"""What MMS answers, with 500, where it lost a load by no fault of the model's: by itself it
interrupts the thread that starts one model while it removes another (WorkerThread.shutdown). Our
container keeps it from that, others may not. Worth another try; the model is on its list meanwhile,
and must be taken off it first."""
_LOST_TRIES = 3
_FULL_SECONDS = 10.0


class ModelCache:
    """The models of one instance.

    ``fetch(target, folder, claim)`` brings a model to disk; ``path_inside`` is what the
    container calls a folder; ``metric(name, value)`` counts; ``label`` goes before log lines.
    Without ``keep`` a model goes from memory and disk as soon as nobody uses it
    (ModelCacheSetting Disabled).
    """

    def __init__(
        self,
        *,
        container: ContainerClient,
        folder: Path,
        fetch: Callable[[str, Path, Claim], Fetched],
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
        self._disk_line = threading.Lock()
        self._memory_line = threading.Lock()
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

    def load(self, target: str, timeout: float) -> None:
        """Bring a model into memory, without a call.

        Raises NotReady after ``timeout`` seconds, LoadFailed, FetchError or ContainerGone.
        """
        ticket = self.join(target)
        try:
            if ticket.loading is not None:
                ticket.loading.result(timeout=timeout)
        except FutureTimeout:
            raise NotReady(target) from None
        finally:
            self.leave(ticket.model)

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
            remove(model.folder.parent)
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
                before, model.state = model.state, State.LOADING
                if before is State.LOADED:  # the container could not unload it
                    model.state, model.loading = before, None
                    self._changed.notify_all()
            if before is State.LOADED:
                self._tell(done, None)
                return
            deadline = time.monotonic() + self._load_timeout
            if before is not State.ON_DISK:
                self._bring(model, timings, deadline)
            start = time.perf_counter()
            self._put_in_memory(model, timings, deadline)
            timings.load_ms = (time.perf_counter() - start) * 1000
        except BaseException as error:
            with self._changed:
                model.state = State.ON_DISK if model.folder.exists() else State.ABSENT
                model.bytes = model.bytes if model.state is State.ON_DISK else 0
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

    def _bring(self, model: Model, timings: Timings, deadline: float) -> None:
        """Get a model to disk; FetchError where it cannot be had, or is too large for the disk.

        Where models that are being brought are all that is in each other's way, they give back
        what they have, and are brought one after the other.
        """
        with contextlib.ExitStack() as line:
            is_first = False
            while True:
                model.folder.parent.mkdir(parents=True, exist_ok=True)
                model.fetching = True
                try:
                    claim = partial(self._claim_disk, model, is_first, deadline)
                    fetched = self._fetch(model.target, model.folder, claim)
                    break
                except (FetchError, _Crowded) as error:
                    remove(model.folder.parent)
                    self._release_disk(model)
                    if isinstance(error, _Crowded):
                        line.enter_context(self._in_line(model, self._disk_line, deadline))
                        is_first = True
                    elif error.kind != "disk" or not self._drop_copy():
                        raise
                finally:
                    model.fetching = False
        timings.download_ms = fetched.download_ms
        timings.unpack_ms = fetched.unpack_ms
        self._metric("ModelDownloadingTime", (fetched.download_ms + fetched.unpack_ms) * 1000)

    def _claim_disk(self, model: Model, is_first: bool, deadline: float, total: int) -> None:
        """Let a model that is being brought have ``total`` bytes of disk, once there is room.

        Copies that nobody uses go; others are waited for. Raises FetchError where that is too
        long, _Crowded where there is nothing but models that are being brought, unless
        ``is_first`` says that those will make way.
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
            if self._drop_copy():
                continue
            if not is_first and all(other.fetching for other in others):
                raise _Crowded
            if time.monotonic() > deadline:
                raise FetchError("disk", "all that lies on it stayed in use")
            with self._changed:
                self._changed.wait(0.5)

    def _release_disk(self, model: Model) -> None:
        with self._changed:
            model.bytes = 0
            self._changed.notify_all()

    @contextlib.contextmanager
    def _in_line(self, model: Model, line: threading.Lock, deadline: float) -> Iterator[None]:
        """Wait until no other load of the same trouble is before this one."""
        with self._changed:
            model.in_line = True
            self._changed.notify_all()
        try:
            if not line.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise LoadFailed("Loading took longer than allowed.")
        finally:
            with self._changed:
                model.in_line = False
        try:
            yield
        finally:
            line.release()

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
        """POST /models until the container takes it, unloading others where it says 507.

        Loads that find nothing to unload ask again one after the other, so that each has its
        turn while nothing but models in use is in its way, and learns if it does not fit alone.
        """
        if self._is_likely_full() and self._evict():
            timings.evicted += 1
        with contextlib.ExitStack() as line:
            is_first = False
            while True:
                was_alone = self._is_alone(model)
                answer = self._order(model, deadline)
                if answer.ok or answer.status == 409:
                    return
                if answer.status != 507:
                    raise LoadFailed(answer.text, status=answer.status)
                self._full = (time.monotonic(), self.loaded_count())
                evicted = self._evict()
                if not evicted:
                    if was_alone and self._is_alone(model):
                        raise LoadFailed(
                            "The model does not fit into the instance's memory, even alone: "
                            + answer.message,
                            status=507,
                        )
                    if not is_first:
                        line.enter_context(self._in_line(model, self._memory_line, deadline))
                        is_first = True
                    evicted = self._wait_for_unused(model) and self._evict()
                timings.evicted += evicted

    def _order(self, model: Model, deadline: float) -> Answer:
        """The container's answer to a load; one that MMS lost is ordered again."""
        for attempt in range(1, _LOST_TRIES + 1):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise LoadFailed("Loading took longer than allowed.")
            answer = self._container.load(model.name, self._path_inside(model.folder), remaining)
            if answer.status != 500 or not any(words in answer.text for words in _LOST):
                break
            if attempt < _LOST_TRIES:
                log.warning("%s: the load of %s was lost; again", self._label, model.target)
            self._container.unload(model.name)
        return answer

    def _wait_for_unused(self, model: Model) -> bool:
        """Wait a little until another model can be unloaded, or no other is left."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: self._unused() or self._is_alone(model) or self._closed, 0.5
            )
        return bool(found)

    def _unused(self) -> list[Model]:
        return [m for m in self._models.values() if m.state is State.LOADED and not m.users]

    def _is_alone(self, model: Model) -> bool:
        """Whether no other model is in memory or about to be."""
        with self._changed:
            return not any(
                other is not model
                and not other.in_line
                and other.state in (State.LOADED, State.LOADING, State.UNLOADING)
                for other in self._models.values()
            )

    def _is_likely_full(self) -> bool:
        """Whether another model would get 507 again: an attempt that costs the container much."""
        since, count = self._full
        return time.monotonic() - since < _FULL_SECONDS and self.loaded_count() >= count

    def _evict(self) -> bool:
        """Unload the longest unused model that nobody uses; False if there is none."""
        with self._changed:
            unused = self._unused()
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


class _Crowded(Exception):
    """Models that are being brought to disk at the same time have no room beside each other."""


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
