"""The instances behind endpoints: started, watched, replaced, stopped.

A :class:`Variant` keeps as many container processes as its instance count asks for, up
to the limit of the options; a :class:`Fleet` knows the variants of every endpoint.
"""

import contextlib
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .cache import ModelCache, ModelReference
from .cached_model import ModelLoadError, ModelNotReady
from .container_client import ContainerGone
from .container_engine import ContainerEngine
from .fetch import Fetched, FetchError, ReserveDisk, fetch_model
from .instance import Instance, InstanceDied, Spawner, remove_folder
from .instance_memory import memory_mb
from .model_data import failure_reason
from .naming import S3Prefix, parse_model_data_url
from .options import Options
from .prometheus import Family
from .rules import DEFAULT_METRICS_PATH, model_data_url
from .scraping import Scrapes, pages
from .telemetry import INSTANCES, INVOCATIONS, OF_MULTI_MODEL, Telemetry

log = logging.getLogger(__name__)

_START_ATTEMPTS = 2
"""A retry, because another process may have taken the port meanwhile."""
_MAX_PAUSE = 30.0
_SCRAPE_LOOK = 1.0
"""Seconds between two looks at which instances are to be scraped."""
_PARALLEL_SCRAPES = 8

Members = dict[str, Any]
Shift = Callable[[Callable[[float], None]], None]
"""Gives new instances their shares of the calls, by what it is given."""


class StartFailed(Exception):
    """Instances did not become healthy; the message is the FailureReason."""


class NoInstance(Exception):
    """No instance was healthy in time."""


class ServingInstance:
    """An instance with its cache of models."""

    def __init__(self, instance: Instance, cache: ModelCache) -> None:
        self.instance = instance
        self.cache = cache
        self.scrapes = Scrapes()

    def stop(self, drain_s: float = 0.0) -> None:
        """Take no more calls, and stop; those under way are waited for, ``drain_s`` at most."""
        self.cache.close()
        self.cache.wait_until_unused(drain_s)
        self.instance.stop()


class Variant:
    """A production variant: its instances, and which of them takes a call."""

    def __init__(
        self,
        options: Options,
        spawner: Spawner,
        s3: Any,
        telemetry: Telemetry,
        lets_start: Callable[[str], bool],
        endpoint: str,
        spec: Members,
    ) -> None:
        self._telemetry = telemetry
        self._lets_start = lets_start
        self.name: str = spec["VariantName"]
        self.endpoint = endpoint
        self.spec = spec
        self.weight: float = spec["weight"]
        self._options = options
        self._spawner = spawner
        self._s3 = s3
        self._folder = options.data / "instances"
        self._changed = threading.Condition()
        self._serving: list[ServingInstance] = []
        self._starting: set[Instance | ServingInstance] = set()
        #: One for each instance that somebody is bringing up, from the first until it serves.
        self._coming: set[object] = set()
        self._stopped = False
        self._engine = container_engine(options)
        container = spec["container"]
        self.multi_model = container.get("Mode") == "MultiModel"
        caching = (container.get("MultiModelConfig") or {}).get("ModelCacheSetting")
        self._keep_models = caching != "Disabled"
        self.url = model_data_url(container)
        self.source = S3Prefix("", "")
        if self.url:
            self.source = parse_model_data_url(self.url, is_prefix=self.multi_model)

    @property
    def size(self) -> int:
        """Real instances: the requested count, up to the cap."""
        return max(1, min(int(self.spec["count"]), self._options.max_instances))

    @property
    def memory_mb(self) -> int | None:
        """What an instance may take; None: what the machine has."""
        percent = self._options.type_memory
        whole = memory_mb(self.spec["InstanceType"]) if percent is not None else None
        if percent is None or whole is None:
            return self._options.memory_mb
        return max(1, whole * percent // 100)

    def instances(self) -> list[ServingInstance]:
        with self._changed:
            return list(self._serving)

    # --- keeping instances -------------------------------------------------------------------

    def start(self) -> None:
        """Start the missing instances in parallel; raises StartFailed if one fails.

        Those that are brought up elsewhere, as each of two that died is replaced, are not missing.
        """
        with self._changed:
            missing = self.size - len(self._serving) - len(self._coming)
            coming = [object() for _ in range(missing)]
            self._coming.update(coming)
        if missing <= 0:
            return
        try:
            with ThreadPoolExecutor(missing, thread_name_prefix=f"start-{self.endpoint}") as pool:
                starts = [pool.submit(self._start_one, one) for one in coming]
                errors = [start.exception() for start in starts]
        finally:
            with self._changed:
                self._coming.difference_update(coming)
        for error in errors:
            if isinstance(error, FetchError):
                raise StartFailed(failure_reason(error, self.url)) from error
            if isinstance(error, InstanceDied | ModelLoadError | ContainerGone):
                raise StartFailed(
                    f"The primary container for production variant {self.name} did not pass "
                    f"the ping health check. {error}"
                ) from error
            if error is not None:
                raise error

    def shrink(self) -> None:
        """Stop the instances above ``size``."""
        with self._changed:
            surplus = self._serving[self.size :]
            del self._serving[self.size :]
        _stop_all(surplus, self._options.invocation_timeout)

    def start_with_retries(self) -> None:
        """Retry with backoff until there are enough instances or the variant is stopped."""
        pause = 1.0
        while not self._stopped:
            try:
                self.start()
                return
            except Exception as error:
                log.error("endpoint %s: %s; next try in %.0f s", self.endpoint, error, pause)
            with self._changed:
                self._changed.wait_for(lambda: self._stopped, timeout=pause)
            pause = min(pause * 2, _MAX_PAUSE)

    @property
    def stopped(self) -> bool:
        """Whether it takes no calls any more: it was replaced, or its endpoint is gone."""
        return self._stopped

    def stop(self, drain_s: float = 0.0) -> None:
        """Stop all instances; the calls under way are waited for, ``drain_s`` at most."""
        with self._changed:
            self._stopped = True
            serving, self._serving = self._serving, []
            starting = list(self._starting)
            self._changed.notify_all()
        _stop_all([*serving, *starting], drain_s)

    def _start_one(self, coming: object) -> None:
        """``coming``: what stands for it in ``_coming`` until it serves."""
        timeout = float(self.spec.get("startup_timeout") or self._options.startup_timeout)
        if not self._lets_start(self.spec["container"]["Image"]):
            # The end of AWS's sentence where a container does not answer the health check.
            raise InstanceDied("Please check CloudWatch logs for this endpoint.")
        for attempt in range(1, _START_ATTEMPTS + 1):
            instance = Instance(
                spawner=self._spawner,
                command=self._options.container_command,
                engine=self._engine,
                image=self.spec["container"]["Image"],
                folder=self._folder,
                environment=self.spec["container"].get("Environment") or {},
                memory_mb=self.memory_mb,
                on_death=self._replace,
                on_log_line=self._log_line,
            )
            with self._changed:
                if self._stopped:
                    raise InstanceDied("It was stopped while it was being started.")
                self._starting.add(instance)
            try:
                instance.start(timeout)
                break
            except InstanceDied:
                if attempt == _START_ATTEMPTS or self._stopped:
                    raise
            finally:
                with self._changed:
                    self._starting.discard(instance)
        serving = ServingInstance(instance, self._cache(instance))
        if not self.multi_model:
            self._load_the_model(serving)
        with self._changed:
            self._coming.discard(coming)
            if not self._stopped:
                self._serving.append(serving)
                self._changed.notify_all()
                died_meanwhile = not instance.alive
            else:
                died_meanwhile = False
        if self._stopped:
            serving.stop()
        elif died_meanwhile:
            self._replace(instance)

    def _load_the_model(self, serving: ServingInstance) -> None:
        """Load the model of a single-model container before it takes calls; stop it on failure."""
        given = self.spec.get("download_timeout")
        timeout = float(given or self._options.load_timeout)
        with self._changed:
            stopped = self._stopped
            self._starting.add(serving)
        try:
            if stopped:
                raise InstanceDied("It was stopped while it was being started.")
            serving.cache.load("", timeout)
        except ModelNotReady:
            serving.stop()
            raise ModelLoadError(f"Its model was not loaded within {timeout:g} s.") from None
        except BaseException:
            serving.stop()
            raise
        finally:
            with self._changed:
                self._starting.discard(serving)

    def _cache(self, instance: Instance) -> ModelCache:
        return ModelCache(
            container=instance.container,
            folder=instance.models,
            path_inside=instance.path_inside,
            fetch=self._fetch,
            disk_bytes=self._options.disk_mb * 1024 * 1024,
            load_timeout=self._options.load_timeout,
            label=f"{self.endpoint}/{self.name}/{instance.id}",
            metric=self.metric,
            keep=self._keep_models,
        )

    def metric(self, name: str, value: float, namespace: str = INVOCATIONS) -> None:
        if self.multi_model or name not in OF_MULTI_MODEL:
            self._telemetry.metric(self.endpoint, self.name, name, value, namespace)

    def _log_line(self, instance: Instance, line: str) -> None:
        self._telemetry.line(self.endpoint, self.stream(instance), line)

    def measure(self) -> None:
        """Write the metrics of each instance (DG/monitoring-cloudwatch)."""
        memory = (self.memory_mb or _machine_memory_mb()) * 1024 * 1024
        disk = self._options.disk_mb * 1024 * 1024
        for one in self.instances():
            values = {
                "LoadedModelCount": one.cache.loaded_count(),
                "DiskUtilization": 100 * one.cache.disk_used() / disk,
            } | one.instance.utilization(memory)
            for name, value in values.items():
                self.metric(name, value, INSTANCES)

    @property
    def metrics_path(self) -> str:
        """Where a container has its page for Prometheus."""
        return str((self.spec.get("metrics") or {}).get("path") or DEFAULT_METRICS_PATH)

    def stream(self, instance: Instance) -> str:
        """What an instance is called in log streams, and in the label ``instance``."""
        return f"{self.name}/{instance.id}"

    def scrape_due(self) -> list[ServingInstance]:
        """The instances whose pages are to be published now."""
        seconds = (self.spec.get("metrics") or {}).get("seconds")
        return [one for one in self.instances() if one.scrapes.is_due(seconds)] if seconds else []

    def publish(self, one: ServingInstance) -> None:
        """Publish what the page of an instance says."""
        label = f"endpoint {self.endpoint}, {self.stream(one.instance)}"
        values = one.scrapes.values(one.instance.container, self.metrics_path, label)
        self._telemetry.published(self.endpoint, self.name, values)

    def _fetch(self, target: str, folder: Path, claim: ReserveDisk) -> Fetched:
        key = self.source.key(target) if self.multi_model else self.source.prefix
        disk = self._options.disk_mb * 1024 * 1024
        return fetch_model(self._s3, self.source.bucket, key, folder, max_bytes=disk, claim=claim)

    def _replace(self, dead: Instance) -> None:
        """Replace an instance whose container died."""
        with self._changed:
            gone = [one for one in self._serving if one.instance is dead]
            self._serving = [one for one in self._serving if one.instance is not dead]
            stopped = self._stopped
        if not gone:
            return  # it died while it was being started: start() reports that
        gone[0].stop()
        if not stopped:
            log.warning("endpoint %s: instance %s is being replaced", self.endpoint, dead.id)
            self.start_with_retries()

    # --- taking calls ------------------------------------------------------------------------

    def acquire(self, target: str, timeout: float) -> tuple[ServingInstance, ModelReference]:
        """An instance for a call and a reference to its model; waits only while none is healthy.

        Both in one step, so that concurrent first calls of a model get the same instance. Raises
        NoInstance after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                healthy = [one for one in self._serving if one.instance.healthy.is_set()]
                if healthy:
                    chosen = _choose(healthy, target)
                    with contextlib.suppress(ContainerGone):
                        return chosen, chosen.cache.acquire(target)
                if self._stopped or time.monotonic() >= deadline:
                    raise NoInstance(self.name)
                self._changed.wait(min(0.5, deadline - time.monotonic() + 0.001))


class RunningEndpoint:
    """The variants of one endpoint."""

    def __init__(self, name: str, variants: list[Variant]) -> None:
        self.name = name
        self.variants = variants
        #: The instances that are to replace these, and which share of the calls they get already.
        self.successor: RunningEndpoint | None = None
        self.share = 0.0

    def pages(self) -> dict[str, list[Family] | None]:
        """The pages of all instances; None for one that has none just now."""
        return pages(
            {
                variant.stream(one.instance): (one.instance.container, variant.metrics_path)
                for variant in self.variants
                for one in variant.instances()
            }
        )

    def pick(self, target_variant: str | None) -> Variant | None:
        """The variant named, or one at random by weight; None if there is none of that name."""
        successor = self.successor
        if successor is not None and random.random() < self.share:  # noqa: S311 - traffic
            found = successor.pick(target_variant)
            if found is not None:
                return found
        found = self._pick(target_variant)
        if found is None and successor is not None and self.share:
            return successor.pick(target_variant)
        return found

    def _pick(self, target_variant: str | None) -> Variant | None:
        if target_variant is not None:
            return next((one for one in self.variants if one.name == target_variant), None)
        if len(self.variants) == 1:
            return self.variants[0]
        weights = [variant.weight for variant in self.variants]
        if not any(weights):
            return random.choice(self.variants)  # noqa: S311 - traffic, not a secret
        return random.choices(self.variants, weights)[0]  # noqa: S311


class Fleet:
    """All endpoints that have instances."""

    def __init__(
        self,
        options: Options,
        s3: Any,
        telemetry: Telemetry,
        lets_start: Callable[[str], bool] = lambda image: True,
    ) -> None:
        """``lets_start``: whether containers of an image become healthy (localaws.faults)."""
        self._telemetry = telemetry
        self._options = options
        self._lets_start = lets_start
        self._s3 = s3
        self._spawner = Spawner()
        self._lock = threading.Lock()
        self._endpoints: dict[str, RunningEndpoint] = {}
        self._deploying: list[RunningEndpoint] = []
        self._stopped = False
        # Instances end with localaws: what an earlier run left is an orphan.
        engine = container_engine(options)
        if engine is not None:
            engine.remove_orphans()
        for orphan in (options.data / "instances").glob("*"):
            remove_folder(orphan)
        threading.Thread(target=self._measure, name="measure", daemon=True).start()
        threading.Thread(target=self._scrape, name="scrape", daemon=True).start()

    def get(self, name: str) -> RunningEndpoint | None:
        return self._endpoints.get(name)

    def deploy(self, name: str, specs: list[Members], shift: Shift | None = None) -> None:
        """Blue/green: start instances for ``specs``; when healthy they replace the old ones.

        Raises StartFailed, with nothing of the new ones left. With ``shift`` the calls move when it
        says so; what it raises ends the deployment in the same way.
        """
        endpoint = self._build(name, specs)
        with self._lock:
            if self._stopped:
                raise StartFailed("localaws is ending.")
            self._deploying.append(endpoint)
        try:
            with _in_parallel(endpoint.variants, Variant.start) as errors:
                for error in errors:
                    raise error
            self._shift(name, endpoint, shift)
        except BaseException:
            _stop_variants(endpoint.variants, self._options.invocation_timeout)
            with self._lock:
                self._deploying.remove(endpoint)
            raise
        with self._lock:
            self._deploying.remove(endpoint)
            old = self._endpoints.get(name)
            self._endpoints[name] = endpoint
        if old is not None:
            _stop_variants(old.variants, self._options.invocation_timeout)

    def _shift(self, name: str, endpoint: RunningEndpoint, shift: Shift | None) -> None:
        old = self._endpoints.get(name)
        if shift is None or old is None:
            return

        def take(share: float) -> None:
            old.successor, old.share = endpoint, share

        try:
            shift(take)
        except BaseException:
            old.successor, old.share = None, 0.0
            raise

    def restore(self, name: str, specs: list[Members]) -> None:
        """Start an endpoint that was in service: calls are accepted at once and wait."""
        endpoint = self._build(name, specs)
        with self._lock:
            self._endpoints[name] = endpoint
        for variant in endpoint.variants:
            threading.Thread(
                target=variant.start_with_retries, name=f"restore-{name}", daemon=True
            ).start()

    def rescale(self, name: str, specs: list[Members]) -> None:
        """New weights and counts for variants that run; instances that stay keep their cache.

        Raises StartFailed, with all variants as they were before.
        """
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            self.deploy(name, specs)
            return
        by_name = {variant.name: variant for variant in endpoint.variants}
        before = [(variant, variant.spec) for variant in endpoint.variants]
        try:
            for spec in specs:
                variant = by_name[spec["VariantName"]]
                variant.spec = spec
                variant.start()
        except BaseException:
            for variant, spec in before:
                variant.spec = spec
                variant.shrink()
            raise
        for spec in specs:
            variant = by_name[spec["VariantName"]]
            variant.shrink()
            variant.weight = spec["weight"]

    def remove(self, name: str) -> None:
        """Stop an endpoint's instances; returns when no process and no folder is left."""
        with self._lock:
            endpoint = self._endpoints.pop(name, None)
        if endpoint is not None:
            _stop_variants(endpoint.variants)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            endpoints = [*self._endpoints.values(), *self._deploying]
            self._endpoints = {}
        _stop_variants([variant for endpoint in endpoints for variant in endpoint.variants])

    def _build(self, name: str, specs: list[Members]) -> RunningEndpoint:
        shared = (self._options, self._spawner, self._s3, self._telemetry, self._lets_start)
        return RunningEndpoint(name, [Variant(*shared, name, spec) for spec in specs])

    def _measure(self) -> None:
        while not self._stopped:
            time.sleep(self._options.metrics_seconds)
            for endpoint in list(self._endpoints.values()):
                for variant in endpoint.variants:
                    try:
                        variant.measure()
                    except Exception:
                        log.exception("measuring endpoint %s failed", endpoint.name)

    def _scrape(self) -> None:
        with ThreadPoolExecutor(_PARALLEL_SCRAPES, thread_name_prefix="scrape") as pool:
            while not self._stopped:
                time.sleep(_SCRAPE_LOOK)
                for endpoint in list(self._endpoints.values()):
                    for variant in endpoint.variants:
                        for one in variant.scrape_due():
                            pool.submit(_publish, variant, one)


def _publish(variant: Variant, one: ServingInstance) -> None:
    try:
        variant.publish(one)
    except Exception:
        log.exception("publishing what endpoint %s tells failed", variant.endpoint)


def container_engine(options: Options) -> ContainerEngine | None:
    return (
        ContainerEngine(options.container_engine, options.data)
        if options.container_engine
        else None
    )


def _machine_memory_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1024 * 1024)


def _choose(healthy: list[ServingInstance], target: str) -> ServingInstance:
    """An instance that has the model in memory, else one that loads it, else the least loaded.

    A model with many concurrent calls is also loaded by another instance, in the background.
    """
    loaded = [one for one in healthy if one.cache.is_loaded(target)]
    if loaded:
        best = min(loaded, key=lambda one: one.cache.users_of(target))
        if best.cache.is_hot(target):
            others = [one for one in healthy if not one.cache.holds(target)]
            if others:
                min(others, key=lambda one: one.cache.load_factor()).cache.prefetch(target)
        return best
    holders = [one for one in healthy if one.cache.holds(target)]
    return min(holders or healthy, key=lambda one: one.cache.load_factor())


@contextlib.contextmanager
def _in_parallel(
    variants: list[Variant], work: Callable[[Variant], None]
) -> Iterator[list[BaseException]]:
    with ThreadPoolExecutor(max(1, len(variants))) as pool:
        futures = [pool.submit(work, variant) for variant in variants]
        yield [error for error in (future.exception() for future in futures) if error]


def _stop_variants(variants: list[Variant], drain_s: float = 0.0) -> None:
    with _in_parallel(variants, lambda variant: variant.stop(drain_s)) as errors:
        for error in errors:
            log.error("stopping a variant: %s", error)


def _stop_all(instances: Sequence[ServingInstance | Instance], drain_s: float = 0.0) -> None:
    if not instances:
        return

    def stop(one: ServingInstance | Instance) -> None:
        if isinstance(one, ServingInstance):
            one.stop(drain_s)
        else:
            one.stop()

    with ThreadPoolExecutor(len(instances)) as pool:
        list(pool.map(stop, instances))
