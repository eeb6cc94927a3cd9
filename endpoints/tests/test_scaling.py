"""Autoscaling: switched on, changed and off by calls in their order; what it did is told once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from activity.models import Event
from core import errors
from core.errors import CONFLICT
from endpoints import planning, scaling, services
from endpoints.limits import Limits, ScheduledLimits
from endpoints.models import Endpoint, Running
from endpoints.services import SettingsChange
from endpoints.tests.account import OTHER_IMAGE, Account
from endpoints.tests.conftest import CREATED
from endpoints.tests.test_crashes import survive

Step = Callable[[Endpoint], Endpoint]
LARGE, XLARGE = "ml.m5.large", "ml.m5.xlarge"
LIMITS = Limits(least=1, most=3, target=50)
ON = ["+target demo 1 3", "+policy demo 50"]


@pytest.fixture(autouse=True)
def _settings(settings: Any) -> None:
    settings.INSTANCE_TYPES = [LARGE, XLARGE]
    settings.MAX_INSTANCES = 5


def scale(endpoint: Endpoint, limits: Limits | None = LIMITS) -> Endpoint:
    return scaling.set_scaling(endpoint=endpoint, limits=limits, actor=None)


def change(endpoint: Endpoint, **wanted: Any) -> Endpoint:
    return services.request_change(endpoint=endpoint, change=SettingsChange(**wanted), actor=None)


@pytest.fixture
def scaled(serving: Endpoint, settle: Step) -> Endpoint:
    """An endpoint that AWS scales."""
    return settle(scale(serving))


def told(endpoint: Endpoint) -> list[str]:
    """The sentences about autoscaling, the oldest first."""
    events = Event.objects.about("endpoint", endpoint.pk).filter(action__contains="scal")
    return [one.sentence for one in reversed(events)]


@pytest.mark.not_quick
def test_it_is_switched_on_by_one_call_a_step(
    serving: Endpoint, account: Account, advance: Step, settle: Step
) -> None:
    endpoint = scale(serving)
    assert not endpoint.settled
    endpoint = advance(endpoint)
    assert account.changes == [*CREATED, ON[0]]
    endpoint = settle(endpoint)
    assert account.changes == [*CREATED, *ON]
    assert account.policies["demo"] == LIMITS
    assert (endpoint.scaling, endpoint.failure, endpoint.changed_outside) == ("on", "", False)
    assert told(endpoint) == [
        "Requested to scale the endpoint demo from 1 to 3 instances, for 50 calls a minute each.",
        "AWS scales the endpoint demo from 1 to 3 instances, for 50 calls a minute each.",
    ]
    assert scale(endpoint).settled  # it is so already


@pytest.mark.not_quick
def test_what_aws_did_is_told_once_and_is_no_drift(
    scaled: Endpoint, account: Account, advance: Step, settle: Step
) -> None:
    before = Event.objects.count()
    account.scaled("demo", 3)
    endpoint = advance(scaled)
    assert endpoint.state == Endpoint.State.UPDATING
    for _ in range(8):
        endpoint = advance(endpoint)
    assert endpoint.settled
    assert endpoint.running == Running(3, LARGE)
    assert not endpoint.changed_outside
    assert told(endpoint)[2:] == [
        "Autoscaling set the endpoint demo to 3 instances. AWS says: an alarm"
    ]
    assert Event.objects.count() == before + 1  # nor that it is updated and in service again
    account.activities["demo"].append(
        replace(account.activities["demo"][0], id="2", status="Failed", message="No instances.")
    )
    endpoint = advance(advance(endpoint))
    assert told(endpoint)[3:] == [
        "Autoscaling did not scale the endpoint demo. AWS says: No instances. (an alarm)"
    ]


@pytest.mark.not_quick
def test_what_an_endpoint_of_the_same_name_did_before_is_not_told(
    scaled: Endpoint, account: Account, advance: Step, settle: Step
) -> None:
    account.scaled("demo", 2)
    endpoint = settle(advance(scaled))
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    for _ in range(12):
        endpoint = advance(endpoint)
    assert endpoint.gone_at is not None
    assert account.empty
    second = settle(services.create_endpoint(name="demo", instance_type=LARGE, actor=None))
    second = advance(settle(scale(second)))
    assert len(told(second)) == 2


@pytest.mark.not_quick
def test_other_limits_act_at_once_and_off_keeps_the_number(
    scaled: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    endpoint = settle(scale(scaled, Limits(2, 4, 20)))
    assert account.changes[-2:] == ["+target demo 2 4", "+policy demo 20"]
    endpoint = advance(settle(endpoint))
    assert endpoint.running == Running(2, LARGE)
    endpoint = settle(scale(endpoint, None))
    assert account.changes[-1] == "-target demo"
    assert (endpoint.scaling, endpoint.limits) == ("", None)
    endpoint = advance(endpoint)
    assert endpoint.running == Running(2, LARGE)
    assert not endpoint.changed_outside
    assert told(endpoint)[-1] == "AWS no longer scales the endpoint demo."
    assert scale(endpoint, None).settled
    # The number that was asked for, again.
    endpoint = settle(change(endpoint, instance_count=1))
    assert account.changes[-1] == "~endpoint demo 1"
    assert endpoint.running == Running(1, LARGE)
    account.counts["demo"] = 2  # as autoscaling had left it, but somebody else did
    assert advance(endpoint).changed_outside


@pytest.mark.not_quick
def test_it_is_deregistered_before_the_teardown(
    scaled: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    services.request_teardown(endpoint=scaled, typed_name="demo", actor=None)
    endpoint = advance(scaled)
    assert account.changes[-1] == "-target demo"
    while endpoint.gone_at is None:
        endpoint = advance(endpoint)
    assert account.changes[-3:] == ["-endpoint demo", "-config demo-r1", "-model demo-r1"]
    assert account.empty


@pytest.mark.not_quick
def test_an_update_keeps_the_number_and_another_type_pauses_it(
    scaled: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    account.scaled("demo", 3)
    endpoint = settle(advance(scaled))
    endpoint = settle(change(endpoint, image=OTHER_IMAGE))
    assert "~endpoint demo demo-r2 retained" in account.changes
    assert "-target demo" not in account.changes
    assert endpoint.running == Running(3, LARGE)
    plan = planning.plan_change(
        endpoint=endpoint, change=SettingsChange(instance_type=XLARGE), actor=None
    )
    assert [call.action for call in plan.calls] == [
        "CreateEndpointConfig", "DeregisterScalableTarget", "UpdateEndpoint",
    ]  # fmt: skip
    assert plan.calls[-1].arguments["RetainAllVariantProperties"] is True
    assert [call.action for call in plan.afterwards] == [
        "DeleteEndpointConfig", "RegisterScalableTarget", "PutScalingPolicy",
    ]  # fmt: skip
    begin = len(account.changes)
    endpoint = settle(change(endpoint, instance_type=XLARGE))
    assert account.changes[begin:] == [
        "+config demo-r3", "-target demo", "~endpoint demo demo-r3 retained", "-config demo-r2",
        *ON,
    ]  # fmt: skip
    assert endpoint.running == Running(3, XLARGE)
    assert (endpoint.scaling, endpoint.changed_outside) == ("on", False)


@pytest.mark.not_quick
def test_an_update_that_is_rolled_back_is_scaled_again(
    scaled: Endpoint, account: Account, settle: Step
) -> None:
    account.roll_back_with = "It does not start."
    endpoint = settle(change(scaled, instance_type=XLARGE))
    assert account.policies["demo"] == LIMITS
    assert (endpoint.revision, endpoint.scaling) == (1, "on")


@pytest.mark.not_quick
def test_the_number_is_autoscalings_while_it_is_on(
    scaled: Endpoint, account: Account, settle: Step
) -> None:
    with pytest.raises(ValidationError) as refused:
        change(scaled, instance_count=2)
    assert list(refused.value.message_dict) == ["instance_count"]
    assert change(scaled, instance_count=1).settled  # what it is
    endpoint = settle(change(scaled, instance_type=XLARGE))
    endpoint = settle(scale(endpoint, None))
    endpoint = settle(change(endpoint, instance_count=2))
    endpoint = settle(scale(endpoint))
    back = services.back_to(endpoint=endpoint, number=1)
    endpoint = services.request_change(endpoint=endpoint, change=back, actor=None)
    endpoint = settle(endpoint)
    assert endpoint.running == Running(2, LARGE)


def test_what_somebody_ended_outside_is_switched_on_again(
    scaled: Endpoint, account: Account, advance: Step, settle: Step
) -> None:
    account.targets.clear()
    account.policies.clear()
    endpoint = settle(advance(scaled))
    assert account.changes[-2:] == ON
    assert any("outside the portal" in one for one in told(endpoint))


@pytest.mark.parametrize("call", ["scaling_register", "scaling_put_policy"])
def test_what_is_denied_names_the_right_and_is_tried_again(
    serving: Endpoint, account: Account, settle: Step, call: str
) -> None:
    said = "not authorized to perform: application-autoscaling:RegisterScalableTarget"
    account.failures[call] = [errors.Denied(said)]
    endpoint = settle(scale(serving))
    assert said in endpoint.failure
    assert endpoint.serving
    services.check_now(endpoint=endpoint)
    endpoint = settle(Endpoint.objects.get(pk=endpoint.pk))
    assert (endpoint.failure, endpoint.scaling) == ("", "on")


def test_what_is_refused_says_what_to_do(serving: Endpoint, account: Account, settle: Step) -> None:
    account.failures["scaling_register"] = [errors.Invalid("Too many targets.")]
    endpoint = settle(scale(serving))
    assert endpoint.failure == "AWS refuses to scale the endpoint demo: Too many targets."
    assert "Set other limits" in endpoint.hint
    endpoint = settle(scale(endpoint, None))
    assert (endpoint.failure, endpoint.scaling) == ("", "")


BY_CLOCK = replace(
    LIMITS,
    schedule=(
        ScheduledLimits.of("MON - fri 8:00", 2, 4),
        ScheduledLimits.of("sat,sun 00:05", 1, 1),
    ),
    zone="Asia/Seoul",
)
SCHEDULED = ["+target demo 1 3", "+scheduled demo mme-portal-1", "+scheduled demo mme-portal-2"]


@pytest.mark.not_quick
def test_other_limits_by_the_clock_are_scheduled_actions(
    serving: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    endpoint = settle(scale(serving, BY_CLOCK))
    assert account.changes[len(CREATED) :] == [*SCHEDULED, ON[1]]
    actions = account.scheduled["demo"]
    first = actions["mme-portal-1"]
    assert (first["Schedule"], first["Timezone"]) == (
        "cron(0 8 ? * MON,TUE,WED,THU,FRI *)",
        "Asia/Seoul",
    )
    assert first["ScalableTargetAction"] == {"MinCapacity": 2, "MaxCapacity": 4}
    assert actions["mme-portal-2"]["Schedule"] == "cron(5 0 ? * SAT,SUN *)"
    assert (
        "change by the clock: mon-fri 08:00 2-4; sat-sun 00:05 1-1 (Asia/Seoul)"
        in told(endpoint)[1]
    )
    assert scale(endpoint, BY_CLOCK).settled  # it is so already
    assert (BY_CLOCK.fewest, BY_CLOCK.highest) == (1, 4)
    # Somebody deletes one outside the portal.
    del actions["mme-portal-1"]
    endpoint = settle(advance(endpoint))
    assert set(actions) == {"mme-portal-1", "mme-portal-2"}
    assert any("outside the portal" in one for one in told(endpoint))
    # Fewer, another one, and none.
    fewer = replace(BY_CLOCK, schedule=(ScheduledLimits.of("sun 12:00", 1, 2),))
    endpoint = settle(scale(endpoint, fewer))
    assert [one["Schedule"] for one in actions.values()] == ["cron(0 12 ? * SUN *)"]
    assert account.changes[-3:-1] == [SCHEDULED[1], "-scheduled demo mme-portal-2"]
    endpoint = settle(scale(endpoint))
    assert account.scheduled["demo"] == {}
    assert endpoint.limits == LIMITS


@pytest.mark.not_quick
def test_another_type_and_a_teardown_with_other_limits_by_the_clock(
    serving: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    endpoint = settle(scale(serving, BY_CLOCK))
    endpoint = settle(change(endpoint, instance_type=XLARGE))
    assert account.changes[-4:] == [*SCHEDULED, ON[1]]
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    while endpoint.gone_at is None:
        endpoint = advance(endpoint)
    assert account.empty
    assert account.scheduled == {}


@pytest.mark.not_quick
def test_who_schedules_nothing_needs_no_right_to_it(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    denied = errors.Denied("not authorized: application-autoscaling:DescribeScheduledActions")
    account.failures["scaling_misscheduled"] = [denied]
    assert settle(scale(serving)).failure == ""
    account.failures["scaling_misscheduled"] = [denied]
    endpoint = settle(scale(serving, BY_CLOCK))
    assert "DescribeScheduledActions" in endpoint.failure
    services.check_now(endpoint=endpoint)
    assert settle(Endpoint.objects.get(pk=endpoint.pk)).failure == ""


@pytest.mark.parametrize(
    ("schedule", "zone", "field"),
    [
        ((("mon 08:00", 2, 1),), "Asia/Seoul", "schedule"),
        ((("mon 08:00", 0, 1),), "Asia/Seoul", "schedule"),
        ((("mon 08:00", 1, 6),), "Asia/Seoul", "schedule"),
        ((("mon 08:00", 1, 2), ("mon 8:00", 1, 1)), "Asia/Seoul", "schedule"),
        (tuple((f"mon 0{hour}:00", 1, 2) for hour in range(10)) * 2, "Asia/Seoul", "schedule"),
        ((("mon 08:00", 1, 2),), "Mars/Olympus", "zone"),
        ((("mon 08:00", 1, 2),), "", "zone"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(
    serving: Endpoint, schedule: Any, zone: str, field: str
) -> None:
    found = tuple(scaling.scheduled(*one) for one in schedule)
    with pytest.raises(ValidationError) as refused:
        scale(serving, replace(LIMITS, schedule=found, zone=zone))
    assert list(refused.value.message_dict) == [field]
    assert Endpoint.objects.get(pk=serving.pk).limits is None


@pytest.mark.parametrize("when", ["", "mon", "08:00", "mon 25:00", "mon 24:00", "day 08:00"])
def test_a_time_of_the_week_that_is_none_is_said(when: str) -> None:
    with pytest.raises(ValidationError) as refused:
        scaling.scheduled(when, 1, 2)
    assert list(refused.value.message_dict) == ["schedule"]


@pytest.mark.slow
@pytest.mark.parametrize("after_acting", [False, True])
@pytest.mark.parametrize("at", range(20))
def test_a_crash_at_any_call_of_scheduling(
    serving: Endpoint, account: Account, at: int, after_acting: bool
) -> None:
    endpoint = scale(serving, BY_CLOCK)
    account.crash_at, account.crash_after_acting = account.calls + at, after_acting
    survive(endpoint, "present", planned=at < 19)
    assert account.changes[len(CREATED) :] == [*SCHEDULED, ON[1]]


def test_throttling_is_waited_out(serving: Endpoint, account: Account, settle: Step) -> None:
    account.failures["scaling_register"] = [errors.Throttled("Rate exceeded.")]
    account.failures["scaling_put_policy"] = [errors.Busy("Concurrent update.")]
    assert settle(scale(serving)).scaling == "on"


def test_other_limits_while_aws_is_asked_are_not_lost(
    serving: Endpoint, account: Account, settle: Step, advance: Step, monkeypatch: Any
) -> None:
    endpoint = advance(scale(serving))
    real = account._scaling_put_policy

    def then(**arguments: Any) -> None:
        real(**arguments)
        monkeypatch.setattr(account, "_scaling_put_policy", real)
        account.install(monkeypatch)
        scale(endpoint, None)

    monkeypatch.setattr(account, "_scaling_put_policy", then)
    account.install(monkeypatch)
    endpoint = settle(advance(endpoint))
    assert (endpoint.scaling, account.targets) == ("", {})


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        (Limits(0, 2, 50), "min_instances"),
        (Limits(3, 2, 50), "min_instances"),
        (Limits(1, 6, 50), "max_instances"),
        (Limits(1, 2, 0), "calls_per_minute"),
        (Limits(1, 2, 50, in_cooldown=-1), "in_cooldown_s"),
        (Limits(1, 2, 50, out_cooldown=90_000), "out_cooldown_s"),
    ],
)
def test_what_cannot_be_is_refused(serving: Endpoint, limits: Limits, field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        scale(serving, limits)
    assert list(refused.value.message_dict) == [field]
    assert Endpoint.objects.get(pk=serving.pk).limits is None


@pytest.mark.not_quick
def test_only_what_serves_is_scaled(endpoint: Endpoint, account: Account, settle: Step) -> None:
    for row in (endpoint, _asked_to_go(settle(endpoint))):
        with pytest.raises(ValidationError) as refused:
            scale(row)
        assert refused.value.code == CONFLICT


def _asked_to_go(endpoint: Endpoint) -> Endpoint:
    return services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)


def test_a_plan_shows_the_calls_and_what_it_may_cost(scaled: Endpoint, account: Account) -> None:
    plan = planning.plan_scaling(endpoint=scaled, limits=Limits(2, 4, 20), actor=None)
    assert [call.action for call in plan.calls] == ["RegisterScalableTarget", "PutScalingPolicy"]
    assert [str(cost.per_hour) for cost in (plan.before, plan.after, plan.up_to) if cost] == [
        "0.115", "0.230", "0.460",
    ]  # fmt: skip
    assert 'autoscaling = boto3.client("application-autoscaling"' in plan.code
    off = planning.plan_scaling(endpoint=scaled, limits=None, actor=None)
    assert [call.action for call in off.calls] == ["DeregisterScalableTarget"]
    assert planning.plan_scaling(endpoint=scaled, limits=LIMITS, actor=None).calls == []
    assert Endpoint.objects.get(pk=scaled.pk).limits == LIMITS


@pytest.mark.slow
@pytest.mark.parametrize("after_acting", [False, True])
@pytest.mark.parametrize("at", range(12))
def test_a_crash_at_any_call_of_switching_on(
    serving: Endpoint, account: Account, at: int, after_acting: bool
) -> None:
    endpoint = scale(serving, Limits(2, 3, 50))
    account.crash_at, account.crash_after_acting = account.calls + at, after_acting
    endpoint, _crashes = survive(endpoint, "present", planned=at < 11)
    assert account.policies == account.targets == {"demo": Limits(2, 3, 50)}
    assert account.changes == [*CREATED, "+target demo 2 3", "+policy demo 50"]
    assert len(told(endpoint)) in (2, 3)  # with what it did at once, where that was seen


@pytest.mark.slow
@pytest.mark.parametrize("after_acting", [False, True])
@pytest.mark.parametrize("at", range(37))
def test_a_crash_at_any_call_of_a_change_or_a_teardown_of_what_is_scaled(
    scaled: Endpoint, account: Account, at: int, after_acting: bool
) -> None:
    endpoint = change(scaled, instance_type=XLARGE)
    account.crash_at, account.crash_after_acting = account.calls + at, after_acting
    endpoint, _crashes = survive(endpoint, "present", planned=at < 36)
    assert account.policies == {"demo": LIMITS}
    assert endpoint.running.instance_type == XLARGE
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    account.crash_at = account.calls + at
    endpoint, _crashes = survive(endpoint, "absent", planned=at < 14)
    assert account.empty


@pytest.mark.slow
@pytest.mark.parametrize("after_acting", [False, True])
@pytest.mark.parametrize("at", range(13))
def test_a_crash_at_any_call_of_a_change_of_the_count_alone(
    serving: Endpoint, account: Account, at: int, after_acting: bool
) -> None:
    endpoint = change(serving, instance_count=2)
    account.crash_at, account.crash_after_acting = account.calls + at, after_acting
    endpoint, _crashes = survive(endpoint, "present", planned=at < 12)
    assert account.counts == {"demo": 2}
    assert endpoint.running == endpoint.requested == Running(2, LARGE)
    assert set(account.configs) == {"demo-r1"}
    assert not endpoint.changed_outside


@pytest.mark.not_quick
def test_the_count_alone_is_a_revision_that_is_gone_back_over(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    endpoint = settle(change(serving, instance_count=2))
    endpoint = settle(change(endpoint, instance_type=XLARGE))
    states = {one.number: (one.state, one.instance_count) for one in endpoint.revisions.all()}
    assert states == {1: ("superseded", 1), 2: ("superseded", 2), 3: ("serves", 2)}
    for number, running in ((2, Running(2, LARGE)), (1, Running(1, LARGE))):
        back = services.back_to(endpoint=endpoint, number=number)
        endpoint = services.request_change(endpoint=endpoint, change=back, actor=None)
        endpoint = settle(endpoint)
        assert endpoint.running == running
        assert not endpoint.changed_outside
    assert account.changes[-1] == "~endpoint demo 1"  # of the same type
