"""Scales variants once a minute, by their policies and scheduled actions.

On AWS a target tracking policy makes two alarms: one for three minutes above the target, one for
fifteen minutes below nine tenths of it. The same is evaluated here, from localaws' own metrics, for
the minutes since it was started: metrics are lost at a restart.
"""

import logging
import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

from . import schedules
from .alarms import Alarms
from .clock import Clock
from .resource_store import Resource, ResourceStore
from .scaling import COOLDOWN, Autoscaling, parse
from .statuses import ActivityStatus, EndpointStatus
from .telemetry import INVOCATIONS, Telemetry, Values

log = logging.getLogger(__name__)

MINUTE = 60
OUT_MINUTES, IN_MINUTES = 3, 15
"""DG/endpoint-auto-scaling-policy; the alarms of a target tracking policy."""
IN_SHARE = 0.9
"""Below this share of the target a variant is scaled in."""

Members = dict[str, Any]
Measured = tuple[list[float | None], Callable[[int], int]]
"""A metric's values, the latest minute first, and how many instances each minute needs."""


class Evaluator:
    """Looks at all targets when a minute is over, by the clock."""

    def __init__(
        self,
        store: ResourceStore,
        scaling: Autoscaling,
        telemetry: Telemetry,
        clock: Clock,
        alarms: Alarms,
    ) -> None:
        self._alarms = alarms
        self._store = store
        self._scaling = scaling
        self._telemetry = telemetry
        self._clock = clock
        self._lock = threading.Lock()
        self._known_since = math.ceil(clock.now() / MINUTE) * MINUTE
        self._evaluated = clock.now() // MINUTE
        self._stopping = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="scaling", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def put_ahead(self, seconds: float) -> None:
        """Put the clock ahead, and evaluate what follows from it."""
        self._clock.ahead += seconds
        self.evaluate_if_due()

    def describe_clock(self) -> dict[str, float]:
        """The clock's time, and how many seconds it is ahead of the machine's."""
        return {"now": self._clock.now(), "ahead": self._clock.ahead}

    def _run(self) -> None:
        while not self._stopping.wait(1):
            try:
                self.evaluate_if_due()
            except Exception:
                log.exception("scaling could not be evaluated")

    def evaluate_if_due(self) -> None:
        """Evaluate where a minute is over that was not evaluated yet."""
        with self._lock:
            minute = self._clock.now() // MINUTE
            if minute <= self._evaluated:
                return
            self._evaluated = minute
            self._alarms.evaluate()
            self._scaling.settle_activities()
            for target in self._store.all("scalable-target"):
                if self._stopping.is_set():
                    return
                try:
                    self._evaluate(target)
                except Exception:
                    log.exception("scaling of %s could not be evaluated", target.name)

    def _evaluate(self, target: Resource) -> None:
        # In one transaction, so that what a client changes meanwhile is not written over.
        with self._store.transaction():
            now = self._store.get("scalable-target", target.name)
            if now is None:
                return
            target = now
            self._schedule(target)
        endpoint = self._store.get("endpoint", parse(target.name)[0])
        # DG/endpoint-scaling-update: nothing is scaled while it is being updated.
        if endpoint is not None and endpoint.status == EndpointStatus.IN_SERVICE:
            self._track(target)

    def _of(self, kind: Any, target: Resource) -> list[Resource]:
        return [row for row in self._store.all(kind) if row.body["resource"] == target.name]

    # --- scheduled actions

    def _schedule(self, target: Resource) -> None:
        """Carry out the scheduled actions that are due, in the order of their times.

        Several are where localaws did not run, or its clock was put ahead.
        """
        now = self._clock.now()
        found: list[tuple[float, Resource]] = []
        for action in self._of("scheduled-action", target):
            body = action.body
            due = schedules.parse(body["Schedule"], body.get("Timezone"), action.created)
            begin, end = body.get("StartTime"), body.get("EndTime")
            moment = due(max(body["checked"], begin or 0.0), min(now, end or math.inf))
            body["checked"] = now
            self._store.save(action)
            if moment is not None:
                found.append((moment, action))
        if not found or target.body["SuspendedState"]["ScheduledScalingSuspended"]:
            return
        found.sort(key=lambda one: one[0])
        for _moment, action in found:
            _limit(target, action.body.get("ScalableTargetAction") or {})
        self._store.save(target)
        name = found[-1][1].body["name"]
        self._scaling.bring_into_range(
            target, f"scheduled action name {name} was triggered: {{}} capacity was set to {{}}"
        )

    # --- target tracking

    def _track(self, target: Resource) -> None:
        """Scale out as far as any policy wants; in only where all agree, to the most of them."""
        count = self._scaling.count(target.name)
        policies = self._of("scaling-policy", target)
        if count is None or not policies:
            return
        low, high = max(1, target.body["MinCapacity"]), max(1, target.body["MaxCapacity"])
        suspended = target.body["SuspendedState"]
        wanted = {policy.name: self._wanted(target, policy, count) for policy in policies}
        most = max(policies, key=lambda policy: wanted[policy.name])
        desired = min(max(wanted[most.name], low), high)
        config, label = most.body["config"], most.body["name"]
        last = self._last(target, label)
        if desired == count:
            return
        out = desired > count
        which = "DynamicScalingOutSuspended" if out else "DynamicScalingInSuspended"
        cooldown = config.get("ScaleOutCooldown" if out else "ScaleInCooldown")
        if not suspended[which] and not self._rests(last, cooldown, desired - count):
            cause = _cause(most, "AlarmHigh" if out else "AlarmLow")
            self._scaling.set_count(target.name, desired, cause, label)

    def _wanted(self, target: Resource, policy: Resource, count: int) -> int:
        """How many instances a policy wants where there are ``count``; so many: no change."""
        config = policy.body["config"]
        now = self._clock.now() // MINUTE * MINUTE
        begins = [now - MINUTE * back for back in range(1, IN_MINUTES + 1)]  # the latest first
        begins = [begin for begin in begins if begin >= self._known_since]
        goal = float(config["TargetValue"])
        if config.get("PredefinedMetricSpecification"):
            values, needs = self._invocations(target, begins, goal)
        else:
            values, needs = self._customized(config, target, policy, begins, count)
        high = values[:OUT_MINUTES]
        if len(high) == OUT_MINUTES and all(value is not None and value > goal for value in high):
            return max(count, needs(0))
        low = [value for value in values if value is not None and value < IN_SHARE * goal]
        if len(low) == IN_MINUTES and not config.get("DisableScaleIn"):
            return min(count, max(needs(index) for index in range(IN_MINUTES)))
        return count

    def _invocations(self, target: Resource, begins: list[float], goal: float) -> Measured:
        """InvocationsPerInstance of each minute, and how many instances its calls need.

        A minute without calls counts as zero, so that a variant without traffic is scaled in to its
        minimum (DG/endpoint-auto-scaling-policy).
        """
        each = self._minutes(INVOCATIONS, "InvocationsPerInstance", _dimensions(target), begins)
        whole = self._minutes(INVOCATIONS, "Invocations", _dimensions(target), begins)
        values: list[float | None] = [
            one.Sum if (one := each.get(int(at))) else 0.0 for at in begins
        ]
        calls = [one.Sum if (one := whole.get(int(at))) else 0.0 for at in begins]
        return values, lambda index: math.ceil(calls[index] / goal)

    def _customized(
        self, config: Members, target: Resource, policy: Resource, begins: list[float], count: int
    ) -> Measured:
        """A metric's statistic in each minute since the last activity; None: it has no data."""
        spec, goal = config["CustomizedMetricSpecification"], float(config["TargetValue"])
        last = self._last(target, policy.body["name"])
        since = last.body.get("ended", last.created) if last is not None else 0.0
        begins = [begin for begin in begins if begin >= since]
        dimensions = {one["Name"]: one["Value"] for one in spec.get("Dimensions") or []}
        found = self._minutes(spec["Namespace"], spec["MetricName"], dimensions, begins)
        data = [found.get(int(begin)) for begin in begins]
        values = [None if one is None else float(getattr(one, spec["Statistic"])) for one in data]
        return values, lambda index: math.ceil(count * (values[index] or 0.0) / goal)

    def _minutes(
        self, namespace: str, name: str, dimensions: Mapping[str, str], begins: list[float]
    ) -> dict[int, Values]:
        if not begins:
            return {}
        return self._telemetry.minutes(namespace, name, dimensions, begins[-1], begins[0] + MINUTE)

    def _last(self, target: Resource, policy: str) -> Resource | None:
        """The last activity of a policy that changed something."""
        rows = [
            row
            for row in self._of("scaling-activity", target)
            if row.body["policy"] == policy and row.status == ActivityStatus.SUCCESSFUL
        ]
        return max(rows, key=lambda row: row.created, default=None)

    def _rests(self, last: Resource | None, cooldown: int | None, step: int) -> bool:
        """Whether a cooldown forbids a step of so many instances.

        BC, ScaleOutCooldown and ScaleInCooldown: a larger step out goes on, and a step out ends the
        cooldown of a step in.
        """
        if last is None:
            return False
        before = last.body["count"] - last.body["before"]
        seconds = COOLDOWN if cooldown is None else cooldown
        if self._clock.now() >= last.body["ended"] + seconds:
            return False
        return 0 < step <= before or (step < 0 and before < 0)


def _limit(target: Resource, wanted: Members) -> None:
    """Give a target the limits of a scheduled action, unsaved."""
    for name in ("MinCapacity", "MaxCapacity"):
        if wanted.get(name) is not None:
            target.body[name] = wanted[name]
    # One of the two alone can pass the other, which goes with it.
    if target.body["MinCapacity"] > target.body["MaxCapacity"]:
        other = "MaxCapacity" if wanted.get("MinCapacity") is not None else "MinCapacity"
        same = "MinCapacity" if other == "MaxCapacity" else "MaxCapacity"
        target.body[other] = target.body[same]


def _dimensions(target: Resource) -> dict[str, str]:
    endpoint, variant = parse(target.name)
    return {"EndpointName": endpoint, "VariantName": variant}


def _cause(policy: Resource, alarm: str) -> str:
    resource, made = policy.body["resource"], policy.body["alarms"]
    return (
        f"monitor alarm TargetTracking-{resource}-{alarm}-{made} in state ALARM triggered policy "
        f"{policy.body['name']}"
    )
