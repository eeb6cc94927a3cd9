"""The status machine of endpoints: what happens between Creating, InService and gone.

Each change runs on a thread of its own and writes its progress to the store, from which a restarted
localaws resumes.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from . import scaling
from .alarms import Alarms
from .clock import Clock
from .deployments import RolledBack, carry_out, rollout
from .fleet import Fleet, StartFailed
from .options import Options
from .resource_store import Resource, ResourceStore
from .statuses import EndpointStatus

log = logging.getLogger(__name__)

_LOOK_S = 0.1
"""Seconds between two looks at the clock and the alarms of a deployment."""
_ROLLING_BACK_S = 1.0
"""For this long an update is shown as RollingBack after it failed."""
_MAX_FAILURE_REASON = 1024  # BC: FailureReason


class Lifecycle:
    """Creates, updates and deletes endpoints in the background."""

    def __init__(
        self, options: Options, store: ResourceStore, fleet: Fleet, alarms: Alarms, clock: Clock
    ) -> None:
        self._options = options
        self._store = store
        self._fleet = fleet
        self._alarms = alarms
        self._clock = clock
        self._stopping = threading.Event()

    def resume(self) -> None:
        """After a start: start the endpoints in service, and resume changes.

        Instances end with localaws, so an endpoint in service gets new ones. Its status stays
        InService, and calls wait for them.
        """
        for endpoint in self._store.all("endpoint"):
            match endpoint.status:
                case EndpointStatus.CREATING:
                    self.start_creation(endpoint.name)
                case EndpointStatus.UPDATING:
                    self._fleet.restore(endpoint.name, endpoint.body["variants"])
                    self.start_update(endpoint.name)
                case EndpointStatus.ROLLING_BACK:
                    self._fleet.restore(endpoint.name, endpoint.body["variants"])
                    self._roll_back(endpoint.name, endpoint.body.get("failure", ""))
                case EndpointStatus.IN_SERVICE:
                    self._fleet.restore(endpoint.name, endpoint.body["variants"])
                case EndpointStatus.DELETING:
                    self.start_deletion(endpoint.name)

    def stop(self) -> None:
        """Stop writing statuses: the next start resumes what is under way."""
        self._stopping.set()

    def start_creation(self, name: str, failure: str | None = None) -> None:
        """Start instances, or fail with the reason ``failure``, if given."""
        self._run(lambda name: self._create(name, failure), name)

    def start_update(self, name: str) -> None:
        self._run(self._update, name)

    def start_rescale(self, name: str) -> None:
        self._run(self._rescale, name)

    def start_deletion(self, name: str) -> None:
        self._run(self._delete, name)

    def _run(self, change: Callable[[str], None], name: str) -> None:
        def work() -> None:
            try:
                change(name)
            except Exception as error:
                log.exception("a change of endpoint %s broke", name)
                self._fail(name, f"localaws itself failed: {error!r}")

        threading.Thread(target=work, name=f"change-{name}", daemon=True).start()

    def _create(self, name: str, failure: str | None = None) -> None:
        def deploy(name: str, wanted: Any) -> None:
            if failure is not None:
                raise StartFailed(failure)
            self._fleet.deploy(name, wanted)

        self._change(name, deploy, self._options.create_seconds, self._fail)

    def _update(self, name: str) -> None:
        """The old instances serve until the new ones are healthy, and as long as a policy says."""

        def deploy(name: str, wanted: Any) -> None:
            counts = [variant["count"] for variant in wanted]
            plan = rollout(self._get(name).body.get("deployment"), counts)
            shift = functools.partial(
                carry_out, plan, now=self._clock.now, pause=self._pause,
                tripped=self._alarms.tripped,
            )  # fmt: skip
            try:
                self._fleet.deploy(name, wanted, lambda take: shift(take=take))
            except RolledBack as error:
                raise StartFailed(str(error)) from error

        self._change(name, deploy, self._options.update_seconds, self._show_roll_back)

    def _pause(self) -> bool:
        return not self._stopping.wait(_LOOK_S)

    def _rescale(self, name: str) -> None:
        self._change(name, self._fleet.rescale, self._options.update_seconds, self._roll_back)

    def _change(
        self,
        name: str,
        act: Callable[[str, Any], None],
        seconds: float,
        undo: Callable[[str, str], None],
    ) -> None:
        """Call ``act``, and ``undo`` if it fails; takes ``seconds`` at least."""
        endpoint = self._get(name)
        finish = time.monotonic() + seconds
        try:
            act(name, endpoint.body["wanted"])
        except Exception as error:
            reason = str(error)
            if not isinstance(error, StartFailed):  # as where the disk is full
                log.exception("a change of endpoint %s broke", name)
                reason = f"localaws itself failed: {error!r}"
            self._wait_until(finish)
            undo(name, reason)
            return
        self._wait_until(finish)
        self._finish(name)

    def _delete(self, name: str) -> None:
        finish = time.monotonic() + self._options.delete_seconds
        self._fleet.remove(name)
        self._wait_until(finish)
        if not self._stopping.is_set():
            with self._store.transaction():
                scaling.end(self._store, name)
                self._store.remove("endpoint", name)

    def _finish(self, name: str) -> None:
        """The wanted variants run: InService."""
        with self._store.transaction():
            endpoint = self._get(name)
            endpoint.body["variants"] = endpoint.body.pop("wanted")
            endpoint.body["config"] = endpoint.body.pop("wanted_config", endpoint.body["config"])
            if "wanted_settings" in endpoint.body:
                endpoint.body["settings"] = endpoint.body.pop("wanted_settings")
            self._write(endpoint, EndpointStatus.IN_SERVICE)

    def _show_roll_back(self, name: str, reason: str) -> None:
        """RollingBack for a moment, as on AWS for minutes; the old instances serve meanwhile."""
        with self._store.transaction():
            endpoint = self._get(name)
            endpoint.body["failure"] = _shortened(reason)
            self._write(endpoint, EndpointStatus.ROLLING_BACK)
        self._stopping.wait(_ROLLING_BACK_S)
        if not self._stopping.is_set():  # else the next start goes on
            self._roll_back(name, reason)

    def _roll_back(self, name: str, reason: str) -> None:
        """A failed update: the old instances go on; the reason is stored."""
        with self._store.transaction():
            endpoint = self._get(name)
            endpoint.body.pop("wanted", None)
            endpoint.body.pop("wanted_config", None)
            endpoint.body.pop("wanted_settings", None)
            endpoint.body["failure"] = _shortened(reason)
            self._write(endpoint, EndpointStatus.IN_SERVICE)

    def _fail(self, name: str, reason: str) -> None:
        with self._store.transaction():
            endpoint = self._store.get("endpoint", name)
            if endpoint is None:
                return
            endpoint.body["failure"] = _shortened(reason)
            self._write(endpoint, EndpointStatus.FAILED)

    def _write(self, endpoint: Resource, status: str) -> None:
        if self._stopping.is_set():
            return
        log.info("endpoint %s: %s -> %s", endpoint.name, endpoint.status, status)
        endpoint.status = status
        endpoint.modified = round(time.time(), 3)
        self._store.save(endpoint)

    def _get(self, name: str) -> Resource:
        endpoint = self._store.get("endpoint", name)
        if endpoint is None:
            raise LookupError(f"endpoint {name} is not in the store")
        return endpoint

    def _wait_until(self, moment: float) -> None:
        self._stopping.wait(max(0.0, moment - time.monotonic()))


def _shortened(reason: str) -> str:
    """A FailureReason of at most 1,024 characters: its first line and its end."""
    if len(reason) <= _MAX_FAILURE_REASON:
        return reason
    head = reason.partition("\n")[0][: _MAX_FAILURE_REASON // 2]
    return f"{head}\n…{reason[len(head) + 2 - _MAX_FAILURE_REASON :]}"


def variant_summaries(endpoint: Resource) -> list[dict[str, Any]]:
    """``ProductionVariants`` of DescribeEndpoint: current and desired values."""
    current = {variant["VariantName"]: variant for variant in endpoint.body["variants"]}
    wanted = {variant["VariantName"]: variant for variant in endpoint.body.get("wanted", [])}
    return [
        _summary(endpoint, current.get(name), desired)
        for name, desired in (current | wanted).items()
    ]


def pending_deployment(endpoint: Resource) -> dict[str, Any] | None:
    """``PendingDeploymentSummary``: while an endpoint gets a configuration (BC: a new one)."""
    wanted, config = endpoint.body.get("wanted"), endpoint.body.get("wanted_config")
    if endpoint.status == EndpointStatus.CREATING:
        config = endpoint.body["config"]
    elif endpoint.status != EndpointStatus.UPDATING or config == endpoint.body["config"]:
        return None
    return {
        "EndpointConfigName": config,
        "ProductionVariants": [_summary(endpoint, None, desired) for desired in wanted or []],
        "StartTime": endpoint.modified,
    }


def _summary(
    endpoint: Resource, now: dict[str, Any] | None, desired: dict[str, Any]
) -> dict[str, Any]:
    """One variant: ``now`` (None: it does not run yet) and ``desired``."""
    image = desired["container"]["Image"]
    summary: dict[str, Any] = {
        "VariantName": desired["VariantName"],
        "DeployedImages": [
            {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": endpoint.created}
        ],
        "CurrentWeight": now["weight"] if now else 0.0,
        "DesiredWeight": desired["weight"],
        "CurrentInstanceCount": now["count"] if now else 0,
        "DesiredInstanceCount": desired["count"],
        "RoutingConfig": desired.get("routing"),
    }
    if endpoint.status in (
        EndpointStatus.CREATING,
        EndpointStatus.UPDATING,
        EndpointStatus.DELETING,
    ):
        summary["VariantStatus"] = [{"Status": endpoint.status, "StartTime": endpoint.modified}]
    return summary
