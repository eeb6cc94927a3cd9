"""How UpdateEndpoint moves the calls from the old instances to the new ones: its DeploymentConfig.

The new instances are started whole, whatever the policy: all are on one machine. What differs is
which share of the calls they get, for how long, and whether an alarm sends all back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Members = Mapping[str, Any]


class RolledBack(Exception):
    """An alarm, or the time that is allowed, ended a deployment; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """The shares of the calls that the new instances get one after the other.

    After each but the last they are watched for ``wait`` seconds, after the last for ``last_wait``;
    then the old instances stay for ``termination_wait`` seconds. While they are watched, one of
    ``alarms`` in ALARM sends all calls back. ``longest``: seconds for all; None: any.
    """

    shares: tuple[float, ...]
    wait: float
    last_wait: float
    termination_wait: float
    alarms: tuple[str, ...]
    longest: float | None


def rollout(config: Members | None, counts: Sequence[int]) -> Rollout:
    """What a DeploymentConfig says for variants with so many instances; none: all at once."""
    config = config or {}
    alarms = tuple(
        one["AlarmName"]
        for one in (config.get("AutoRollbackConfiguration") or {}).get("Alarms") or []
    )
    rolling, blue_green = config.get("RollingUpdatePolicy"), config.get("BlueGreenUpdatePolicy")
    policy = rolling or blue_green or {}
    longest = policy.get("MaximumExecutionTimeoutInSeconds")
    termination = float(policy.get("TerminationWaitInSeconds") or 0)
    if rolling:
        wait = float(rolling["WaitIntervalInSeconds"])
        shares = _steps(_share(rolling["MaximumBatchSize"], counts))
        return Rollout(shares, wait, wait, termination, alarms, longest)
    if not blue_green:
        return Rollout((1.0,), 0.0, 0.0, 0.0, alarms, None)
    traffic = blue_green["TrafficRoutingConfiguration"]
    wait = float(traffic["WaitIntervalInSeconds"])
    match traffic["Type"]:
        case "CANARY" if traffic.get("CanarySize"):
            shares, last = (_share(traffic["CanarySize"], counts), 1.0), 0.0
        case "LINEAR" if traffic.get("LinearStepSize"):
            shares, last = _steps(_share(traffic["LinearStepSize"], counts)), wait
        case _:
            shares, last = (1.0,), wait
    return Rollout(shares, wait, last, termination, alarms, longest)


def _share(size: Members, counts: Sequence[int]) -> float:
    value = float(size["Value"])
    if size["Type"] == "INSTANCE_COUNT":
        return min(1.0, value / max(1, min(counts, default=1)))
    return min(1.0, value / 100)


def _steps(share: float) -> tuple[float, ...]:
    number = 1
    found = []
    while share * number < 0.9999:
        found.append(share * number)
        number += 1
    return (*found, 1.0)


def carry_out(
    plan: Rollout,
    take: Callable[[float], None],
    now: Callable[[], float],
    pause: Callable[[], bool],
    tripped: Callable[[Sequence[str]], list[str]],
) -> None:
    """Give the new instances their shares by ``take``; raises RolledBack.

    ``pause`` waits a moment, and says whether to go on; where not, this ends at once.
    """
    began = now()

    def hold(seconds: float, alarms: Sequence[str]) -> bool:
        until = now() + seconds
        while True:
            if names := tripped(alarms):
                raise RolledBack(
                    f"Alarm(s) in state ALARM during the deployment: {', '.join(names)}."
                )
            if plan.longest is not None and now() - began > plan.longest:
                raise RolledBack(
                    f"The deployment took longer than MaximumExecutionTimeoutInSeconds, "
                    f"{plan.longest:g} s."
                )
            if now() >= until:
                return True
            if not pause():
                return False

    for share in plan.shares:
        take(share)
        if not hold(plan.last_wait if share == plan.shares[-1] else plan.wait, plan.alarms):
            return
    hold(plan.termination_wait, ())
