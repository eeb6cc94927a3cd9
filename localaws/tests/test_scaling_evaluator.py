"""What the evaluator makes of metrics, cooldowns and schedules, by a clock that the test moves."""

import datetime as dt
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from localaws import schedules
from localaws.aws_errors import validation_exception
from localaws.options import Options
from localaws.resource_store import Resource, ResourceStore
from localaws.scaling import Autoscaling
from localaws.scaling_evaluator import Evaluator
from localaws.telemetry import Values

TARGET = "endpoint/e/variant/v"
BEGIN = dt.datetime(2026, 1, 5, 8, tzinfo=dt.UTC).timestamp()  # a Monday
ABOUT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": TARGET,
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
INVOCATIONS = {
    "PredefinedMetricSpecification": {
        "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
    }
}
BUSY = {
    "CustomizedMetricSpecification": {
        "Namespace": "/aws/sagemaker/Endpoints",
        "MetricName": "CPUUtilization",
        "Dimensions": [{"Name": "EndpointName", "Value": "e"}],
        "Statistic": "Average",
    }
}


class FakeClock:
    ahead = 0.0

    def now(self) -> float:
        return BEGIN + self.ahead


@dataclass
class Metrics:
    """In place of the telemetry."""

    data: dict[tuple[str, int], float] = field(default_factory=dict)

    def minutes(
        self, namespace: str, name: str, dimensions: Any, since: float, until: float
    ) -> dict[int, Values]:
        return {
            at: Values(value, 1, value, value)
            for (metric, at), value in self.data.items()
            if metric == name and since <= at < until
        }


class World:
    """An endpoint ``e`` that is scaled, minute by minute."""

    def __init__(self, store: ResourceStore) -> None:
        self.store, self.clock, self.metrics = store, FakeClock(), Metrics()
        variant = {"VariantName": "v", "count": 1, "InstanceType": "ml.m5.large"}
        body = {"variants": [variant]}
        store.put(Resource("endpoint", "e", "arn", BEGIN, BEGIN, "InService", body))
        self.refuses = ""
        self.restart()

    def restart(self) -> None:
        options = Options(data=None, container_command=())  # type: ignore[arg-type]
        clock: Any = self.clock
        self.scaling = Autoscaling(options, self.store, clock, self._scale)
        telemetry: Any = self.metrics
        alarms: Any = SimpleNamespace(evaluate=lambda: None)
        self.evaluator = Evaluator(self.store, self.scaling, telemetry, clock, alarms)

    def _scale(self, endpoint: str, variant: str, count: int) -> None:
        if self.refuses:
            raise validation_exception(self.refuses)
        row = self.endpoint
        row.body["variants"][0]["count"] = count
        self.store.save(row)

    @property
    def endpoint(self) -> Resource:
        row = self.store.get("endpoint", "e")
        assert row is not None
        return row

    def set(self, count: int, status: str = "InService") -> None:
        row = self.endpoint
        row.status = status
        row.body["variants"][0]["count"] = count
        self.store.save(row)

    @property
    def count(self) -> int:
        return int(self.endpoint.body["variants"][0]["count"])

    def register(self, low: int, high: int, **more: Any) -> None:
        limits = {"MinCapacity": low, "MaxCapacity": high}
        self.scaling.RegisterScalableTarget(ABOUT | limits | more)

    def policy(self, target: float = 10.0, name: str = "p", **config: Any) -> None:
        config = {"TargetValue": target} | (config if "Customized" in str(config) else
                                            INVOCATIONS | config)  # fmt: skip
        self.scaling.PutScalingPolicy(
            ABOUT
            | {
                "PolicyName": name,
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": config,
            }
        )

    def minutes(self, number: int, calls: int = 0, cpu: float | None = None) -> list[int]:
        """Let minutes pass with so many calls each; the count after each."""
        counts = []
        for _ in range(number):
            at = int(self.clock.now() // 60 * 60)
            if calls:
                self.metrics.data["Invocations", at] = calls
                self.metrics.data["InvocationsPerInstance", at] = calls / self.count
            if cpu is not None:
                self.metrics.data["CPUUtilization", at] = cpu
            self.evaluator.put_ahead(60)
            counts.append(self.count)
        return counts

    @property
    def activities(self) -> list[Any]:
        found: list[Any] = self.scaling.DescribeScalingActivities(ABOUT)["ScalingActivities"]
        return found


@pytest.fixture
def world(tmp_path: Any) -> World:
    return World(ResourceStore(tmp_path / "state.sqlite3"))


def test_three_minutes_above_the_target_scale_out_to_what_the_calls_need(world: World) -> None:
    world.register(1, 5)
    world.policy(10.0)
    assert world.minutes(2, calls=35) == [1, 1]
    assert world.minutes(1, calls=35) == [4]
    assert world.minutes(30, calls=35) == [4] * 30  # 8.75 each: neither too many nor too few


def test_never_more_than_the_most_nor_less_than_the_least(world: World) -> None:
    world.register(2, 3)
    assert world.count == 2  # the least, at once
    world.policy(10.0)
    assert world.minutes(4, calls=500)[-1] == 3
    assert world.minutes(20)[-1] == 2


def test_fifteen_quiet_minutes_scale_in_to_the_least(world: World) -> None:
    world.register(1, 5)
    world.set(4)
    world.policy(10.0)
    assert world.minutes(15) == [*[4] * 14, 1]
    assert [one["StatusCode"] for one in world.activities] == ["Successful"]


def test_scale_in_can_be_switched_off_and_actions_suspended(world: World) -> None:
    world.register(1, 5)
    world.set(4)
    world.policy(10.0, DisableScaleIn=True)
    assert world.minutes(20)[-1] == 4
    world.policy(10.0)
    world.register(1, 5, SuspendedState={"DynamicScalingInSuspended": True})
    assert world.minutes(20)[-1] == 4
    world.register(1, 5, SuspendedState={"DynamicScalingInSuspended": False})
    assert world.minutes(1) == [1]


def test_a_cooldown_holds_a_step_of_the_same_size_and_not_a_larger_one(world: World) -> None:
    world.register(1, 9)
    world.policy(10.0, ScaleOutCooldown=600)
    assert world.minutes(3, calls=15)[-1] == 2
    assert world.minutes(4, calls=25)[-1] == 2  # one more: it rests
    assert world.minutes(3, calls=45)[-1] == 5  # three more
    world.policy(10.0, ScaleOutCooldown=0)
    assert world.minutes(3, calls=55)[-1] == 6


def test_a_cooldown_of_scaling_in_does_not_hold_what_scales_out(world: World) -> None:
    world.register(1, 5)
    world.set(5)
    world.policy(10.0, ScaleInCooldown=3600)
    assert world.minutes(15, calls=30)[-1] == 3
    assert world.minutes(16, calls=5)[-1] == 3  # it rests
    assert world.minutes(3, calls=45)[-1] == 5
    assert world.minutes(15, calls=5)[-1] == 1  # what scaled out ended the rest


def test_nothing_is_scaled_while_it_is_updated(world: World) -> None:
    world.register(1, 5)
    world.policy(10.0)
    world.set(1, "Updating")
    assert world.minutes(5, calls=40)[-1] == 1
    world.register(3, 5)
    assert world.count == 1
    world.set(1)
    assert world.minutes(1, calls=40) == [4]


def test_a_restart_keeps_policies_and_starts_to_count_anew(world: World) -> None:
    world.register(1, 5)
    world.set(3)
    world.policy(10.0)
    world.minutes(10)
    world.restart()
    assert world.minutes(14) == [3] * 14
    assert world.minutes(1) == [1]


def test_another_metric_and_where_it_has_no_data(world: World) -> None:
    world.register(1, 5)
    world.set(2)
    world.policy(50.0, **BUSY)
    assert world.minutes(20)[-1] == 2  # nothing is known
    assert world.minutes(3, cpu=80)[-1] == 4  # 2 · 80 / 50
    assert world.minutes(2, cpu=80) == [4, 4]  # only what was measured since then counts


def test_of_two_policies_the_larger_count_holds(world: World) -> None:
    world.register(1, 9)
    world.policy(10.0)
    world.policy(5.0, name="q")
    assert world.minutes(3, calls=30)[-1] == 6
    assert world.activities[0]["Cause"].endswith("triggered policy q")


def test_what_is_refused_is_a_failed_activity(world: World) -> None:
    world.refuses = "You have no instances left."
    world.register(2, 2)
    (activity,) = world.activities
    assert activity["StatusCode"] == "Failed"
    assert activity["StatusMessage"].endswith("Reason: You have no instances left.")
    assert world.count == 1


def test_an_activity_is_in_progress_until_the_change_is_over(world: World) -> None:
    world.register(2, 2)
    world.set(1, "Updating")
    assert world.activities[0]["StatusCode"] == "InProgress"
    world.set(1)  # rolled back
    assert world.activities[0]["StatusCode"] == "Unfulfilled"
    world.evaluator.put_ahead(43 * 24 * 3600)
    assert world.activities == []


def test_activities_come_in_pages(world: World) -> None:
    for low in (2, 3, 4):
        world.register(low, 9)
    page = world.scaling.DescribeScalingActivities(ABOUT | {"MaxResults": 2})
    rest = world.scaling.DescribeScalingActivities(ABOUT | {"NextToken": page["NextToken"]})
    shown = page["ScalingActivities"] + rest["ScalingActivities"]
    assert len({one["ActivityId"] for one in shown}) == 3
    assert rest["NextToken"] is None


def test_a_scheduled_action_sets_the_limits_once(world: World) -> None:
    world.register(1, 2)
    world.scaling.PutScheduledAction(
        ABOUT
        | {
            "ScheduledActionName": "morning",
            "Schedule": "cron(30 8 ? * MON-FRI *)",
            "ScalableTargetAction": {"MinCapacity": 3, "MaxCapacity": 4},
        }
    )
    assert world.minutes(29)[-1] == 1
    assert world.minutes(1) == [3]
    assert world.activities[0]["Cause"] == (
        "scheduled action name morning was triggered: minimum capacity was set to 3"
    )
    world.register(1, 4)
    world.set(1)
    assert world.minutes(60)[-1] == 1  # it was done
    world.evaluator.put_ahead(3 * 24 * 3600)  # localaws slept: the last one that was missed
    assert world.count == 3


def _daily(world: World, name: str, hour: int, low: int, high: int) -> None:
    limits = {"MinCapacity": low, "MaxCapacity": high}
    action = {"ScheduledActionName": name, "Schedule": f"cron(0 {hour} ? * * *)"}
    world.scaling.PutScheduledAction(ABOUT | action | {"ScalableTargetAction": limits})


def test_of_several_that_were_missed_the_last_by_its_time_counts(world: World) -> None:
    world.register(1, 4)
    _daily(world, "1-morning", 9, 3, 4)
    _daily(world, "2-evening", 19, 1, 1)
    world.evaluator.put_ahead(10 * 3600)  # 18:00
    assert world.count == 3
    world.clock.ahead += 16 * 3600  # it did not run until 10:00 of the next day
    world.restart()
    world.evaluator.put_ahead(60)
    assert world.count == 3


def test_what_a_client_changes_while_schedules_are_looked_at_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.register(1, 4)
    _daily(world, "morning", 9, 3, 4)
    usual = schedules.parse
    clients: list[threading.Thread] = []

    def parse(*given: Any) -> schedules.Due:
        if not clients:
            changes = threading.Thread(target=_daily, args=(world, "morning", 9, 2, 4))
            clients.append(changes)
            changes.start()
            changes.join(0.5)  # it has to wait
        return usual(*given)

    monkeypatch.setattr(schedules, "parse", parse)
    world.evaluator.put_ahead(60)
    clients[0].join()
    (action,) = world.scaling.DescribeScheduledActions(ABOUT)["ScheduledActions"]
    assert action["ScalableTargetAction"]["MinCapacity"] == 2


def test_a_suspended_or_ended_schedule_does_nothing(world: World) -> None:
    world.register(1, 5, SuspendedState={"ScheduledScalingSuspended": True})
    every = ABOUT | {
        "ScheduledActionName": "a",
        "Schedule": "rate(5 minutes)",
        "ScalableTargetAction": {"MinCapacity": 2},
    }
    world.scaling.PutScheduledAction(every)
    assert world.minutes(6)[-1] == 1
    world.register(1, 5, SuspendedState={"ScheduledScalingSuspended": False})
    world.scaling.PutScheduledAction(every | {"EndTime": world.clock.now() + 60})
    assert world.minutes(10)[-1] == 1
    world.scaling.PutScheduledAction(every | {"EndTime": world.clock.now() + 3600})
    assert world.minutes(5)[-1] == 2


@pytest.mark.parametrize(
    ("schedule", "zone", "due"),
    [
        ("at(2026-01-05T09:15:00)", None, "09:15"),
        ("at(2026-01-05T18:15:00)", "Asia/Seoul", "09:15"),
        ("rate(7 minutes)", None, "09:59"),
        ("cron(*/20 * * * ? *)", None, "10:00"),
        ("cron(5,10 9 5 JAN ? 2026)", None, "09:10"),
        ("cron(0 9 ? * 1 *)", None, None),  # Sunday
        ("cron(0 9 ? * 2 *)", None, "09:00"),
    ],
)
def test_schedules(schedule: str, zone: str | None, due: str | None) -> None:
    found = schedules.parse(schedule, zone, BEGIN)(BEGIN + 60, BEGIN + 2 * 3600)
    shown = None if found is None else f"{dt.datetime.fromtimestamp(found, dt.UTC):%H:%M}"
    assert shown == due


@pytest.mark.parametrize(
    ("schedule", "zone"),
    [("daily", None), ("at(tomorrow)", None), ("rate(0 minutes)", None), ("cron(0 9 * *)", None),
     ("cron(60 9 * * ? *)", None), ("cron(0 9 L * ? *)", None), ("cron(0/0 9 * * ? *)", None),
     ("rate(1 day)", "Mars/Base")],
)  # fmt: skip
def test_no_schedules(schedule: str, zone: str | None) -> None:
    with pytest.raises(schedules.InvalidSchedule):
        schedules.parse(schedule, zone, BEGIN)
