"""The pages and the operations of autoscaling, and its calls on the wire."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from botocore.stub import Stubber
from django.test import Client

from core import aws, errors
from endpoints import autoscaling
from endpoints.limits import Limits, ScheduledLimits
from endpoints.models import Endpoint
from endpoints.tests.account import Account
from endpoints.tests.test_endpoints_api import DEMO, Api, api
from tests import aws_clients

__all__ = ["api"]
Step = Callable[[Endpoint], Endpoint]
SCALING = f"{DEMO}/scaling"
BODY = {"min_instances": 1, "max_instances": 3, "calls_per_minute": 50}
FORM = BODY | {"in_cooldown_s": 300, "out_cooldown_s": 60}
KEY = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/demo/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


def _page(client: Client, endpoint: Endpoint, part: str) -> str:
    return " ".join(client.get(f"/endpoints/{endpoint.pk}/{part}").content.decode().split())


@pytest.mark.not_quick
@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_who_may_have_it_scaled(
    role: str,
    serving: Endpoint,
    client_of: Callable[[str], Client],
    account: Account,
    settle: Step,
) -> None:
    client, address = client_of(role), f"/endpoints/{serving.pk}/scaling/"
    assert (f'href="{address}"' in _page(client, serving, "")) == (role != "viewer")
    answer = client.post(address, FORM)
    assert answer.status_code == (403 if role == "viewer" else 302)
    if role == "viewer":
        assert Endpoint.objects.get().limits is None
        assert client.post(f"{address}off/").status_code == 403
        return
    endpoint = settle(serving)
    assert account.policies["demo"] == Limits(1, 3, 50, in_cooldown=300, out_cooldown=60)
    page = _page(client, endpoint, "")
    assert "1 to 3 instances" in page
    assert "83.95 to 251.85 USD a month" in page
    assert 'name="max_instances" value="3"' in _page(client, endpoint, "scaling/")
    assert client.post(f"{address}off/").status_code == 302
    assert settle(endpoint).limits is None
    assert account.targets == {}


def test_the_page_says_what_is_wrong_and_shows_a_plan(
    serving: Endpoint, client_of: Callable[[str], Client], account: Account
) -> None:
    client, address = client_of("operator"), f"/endpoints/{serving.pk}/scaling/"
    answer = client.post(address, FORM | {"max_instances": 99})
    assert answer.status_code == 400
    assert "Choose a number from 1 to 10." in answer.content.decode()
    page = client.post(address, FORM | {"plan": "1"}).content.decode()
    assert "RegisterScalableTarget" in page
    assert "At most" in page
    assert Endpoint.objects.get().limits is None


def test_what_does_not_serve_is_not_scaled_on_the_page(
    endpoint: Endpoint, client_of: Callable[[str], Client]
) -> None:
    client = client_of("operator")
    assert client.get(f"/endpoints/{endpoint.pk}/scaling/").status_code == 302


@pytest.mark.not_quick
def test_by_the_api(serving: Endpoint, api: Api, account: Account, settle: Step) -> None:
    assert api.ask("GET", DEMO)[1]["scaling"] is None
    status, plan = api.ask("POST", f"{SCALING}/plan", BODY)
    assert status == 200, plan
    assert [call["action"] for call in plan["calls"]] == [
        "RegisterScalableTarget", "PutScalingPolicy",
    ]  # fmt: skip
    assert (plan["cost"]["per_hour"], plan["cost_up_to"]["per_hour"]) == ("0.115", "0.345")
    assert plan["differences"] == [
        {"name": "scaling", "before": "off",
         "after": "1 to 3 instances, for 50 calls a minute each"},
    ]  # fmt: skip
    status, shown = api.ask("PUT", SCALING, BODY)
    assert status == 202, shown
    assert (shown["settled"], shown["scaling"]["state"]) == (False, "requested")
    settle(serving)
    account.scaled("demo", 2)
    settle(Endpoint.objects.get())
    shown = api.ask("GET", DEMO)[1]
    assert (shown["settled"], shown["changed_outside"]) == (True, False)
    assert shown["running"]["instance_count"] == 2
    scaling = shown["scaling"]
    assert [scaling[name] for name in FORM] == [1, 3, 50, 300, 300]
    assert (scaling["state"], scaling["cost_from"]["per_hour"]) == ("on", "0.115")
    status, problem = api.ask("PATCH", DEMO, {"instance_count": 1 + 2})
    assert status == 422
    assert list(problem["errors"]) == ["instance_count"]
    status, problem = api.ask("PUT", SCALING, BODY | {"max_instances": 99})
    assert (status, list(problem["errors"])) == (422, ["max_instances"])
    status, shown = api.ask("DELETE", SCALING)
    assert (status, shown["scaling"]) == (202, None)
    assert settle(Endpoint.objects.get()).scaling == ""
    assert api.ask("DELETE", SCALING)[0] == 202  # it is so already
    assert api.ask("PUT", f"{SCALING[:-13]}/none/scaling", BODY)[0] == 404


@pytest.mark.not_quick
def test_other_limits_by_the_clock_on_the_page_and_by_the_api(
    serving: Endpoint,
    api: Api,
    client_of: Callable[[str], Client],
    account: Account,
    settle: Step,
) -> None:
    client, address = client_of("operator"), f"/endpoints/{serving.pk}/scaling/"
    lines = {"schedule": "mon-fri 08:00 2-4\r\n\r\nmon-fri 19:00 1-3", "zone": "Asia/Seoul"}
    page = client.post(address, FORM | lines | {"plan": "1"}).content.decode()
    assert page.count("PutScheduledAction") == 2
    assert client.post(address, FORM | lines).status_code == 302
    endpoint = settle(serving)
    shown = _page(client, endpoint, "")
    assert "mon-fri 08:00 2-4; mon-fri 19:00 1-3 (Asia/Seoul)" in shown
    assert "83.95 to 335.80 USD a month" in shown
    assert "mon-fri 08:00 2-4 mon-fri 19:00 1-3</textarea>" in _page(client, endpoint, "scaling/")
    scaling = api.ask("GET", DEMO)[1]["scaling"]
    morning = {"when": "mon-fri 08:00", "min_instances": 2, "max_instances": 4}
    assert scaling["schedule"][0] == morning
    assert scaling["zone"] == "Asia/Seoul"
    body = BODY | {"schedule": [morning], "zone": "Europe/Berlin"}
    assert api.ask("POST", f"{SCALING}/plan", body)[1]["differences"] == [
        {
            "name": "scaling",
            "before": "1 to 3 instances, for 50 calls a minute each; "
            "mon-fri 08:00 2-4; mon-fri 19:00 1-3 (Asia/Seoul)",
            "after": "1 to 3 instances, for 50 calls a minute each; mon-fri 08:00 2-4 "
            "(Europe/Berlin)",
        }
    ]
    for wrong, field in (
        ({"schedule": [morning | {"when": "monday at eight"}]}, "schedule"),
        ({"zone": "Mars/Olympus"}, "zone"),
    ):
        status, problem = api.ask("PUT", SCALING, body | wrong)
        assert (status, list(problem["errors"])) == (422, [field])
    for line in ("mon-fri 08:00", "mon 25:00 1-2", "mon 08:00 2", "mon 08:00 ²-3"):
        answer = client.post(address, FORM | {"schedule": line, "zone": "Asia/Seoul"})
        assert answer.status_code == 400


@pytest.mark.not_quick
def test_another_state_than_was_seen_is_not_changed(
    serving: Endpoint, api: Api, account: Account
) -> None:
    api.ask("GET", DEMO)
    seen = api.answer.headers["ETag"]
    assert api.ask("PUT", SCALING, BODY, **{"If-Match": seen})[0] == 202
    other = BODY | {"max_instances": 2}
    assert api.ask("PUT", SCALING, other, **{"If-Match": seen})[0] == 412
    assert Endpoint.objects.get().scale_max == 3


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = aws_clients.client("application-autoscaling")
    monkeypatch.setattr(aws, "autoscaling", lambda: client)
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_the_calls_on_the_wire(stub: Stubber) -> None:
    """Stubber checks them against botocore's model of the service."""
    tracking = {
        "TargetValue": 50.0,
        "PredefinedMetricSpecification": {
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        },
        "ScaleInCooldown": 300,
        "ScaleOutCooldown": 60,
    }
    limits = Limits(1, 3, 50, in_cooldown=300, out_cooldown=60)
    stub.add_response("register_scalable_target", {}, {**KEY, "MinCapacity": 1, "MaxCapacity": 3})
    stub.add_response(
        "put_scaling_policy",
        {"PolicyARN": "arn"},
        {
            **KEY,
            "PolicyName": "mme-portal",
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": tracking,
        },
    )
    stub.add_response("deregister_scalable_target", {}, KEY)
    stub.add_response("describe_scaling_policies", {"ScalingPolicies": []},
                      {**KEY, "PolicyNames": ["mme-portal"]})  # fmt: skip
    autoscaling.register(name="demo", limits=limits)
    autoscaling.put_policy(name="demo", limits=limits)
    autoscaling.deregister(name="demo")
    assert not autoscaling.has_policy("demo")


def test_the_calls_of_scheduled_actions_on_the_wire(stub: Stubber) -> None:
    """Stubber checks them against botocore's model of the service."""
    by_clock = ScheduledLimits.of("mon-fri 08:00", 2, 4)
    limits = Limits(1, 3, 50, schedule=(by_clock,), zone="Asia/Seoul")
    action = {
        "ScheduledActionName": "mme-portal-1",
        "Schedule": "cron(0 8 ? * MON,TUE,WED,THU,FRI *)",
        "Timezone": "Asia/Seoul",
        "ScalableTargetAction": {"MinCapacity": 2, "MaxCapacity": 4},
    }
    told = KEY | {"ScheduledActionARN": "arn", "CreationTime": datetime(2026, 1, 1, tzinfo=UTC)}
    others = [told | action | {"ScheduledActionName": name} for name in ("theirs", "mme-portal-2")]
    first = {"ScheduledActions": others[:1], "NextToken": "more"}
    stub.add_response("describe_scheduled_actions", first, KEY)
    more = {**KEY, "NextToken": "more"}
    stub.add_response("describe_scheduled_actions", {"ScheduledActions": others[1:]}, more)
    stub.add_response("put_scheduled_action", {}, {**KEY, **action})
    stub.add_response("delete_scheduled_action", {}, {**KEY, "ScheduledActionName": "mme-portal-2"})
    missing = autoscaling.misscheduled(name="demo", limits=limits)
    for call in missing:
        autoscaling.schedule(name="demo", call=call)
    there = {"ScheduledActions": [told | action]}
    stub.add_response("describe_scheduled_actions", there, KEY)
    assert autoscaling.misscheduled(name="demo", limits=limits) == []


def test_activities_as_aws_tells_of_them(stub: Stubber) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    one = {"ActivityId": "1", **KEY, "Description": "Setting desired instance count to 2.",
           "Cause": "an alarm", "StartTime": at, "StatusCode": "InProgress"}  # fmt: skip
    two = one | {"ActivityId": "2", "Description": "Other words.", "StatusCode": "Failed"}
    stub.add_response(
        "describe_scaling_activities", {"ScalingActivities": [two, one]},
        {**KEY, "MaxResults": 50},
    )  # fmt: skip
    first, second = autoscaling.activities("demo")
    assert (first.count, first.over, first.began_at) == (2, False, at)
    assert (second.count, second.over, second.done) == (None, True, False)
    assert second.message == "Other words."


@pytest.mark.parametrize(
    ("code", "said", "kind"),
    [
        ("ObjectNotFoundException", "No scalable target found", errors.NotFound),
        ("ConcurrentUpdateException", "Try again", errors.Busy),
        ("ThrottlingException", "Rate exceeded", errors.Throttled),
        ("InternalServiceException", "Something broke", errors.Throttled),
        ("LimitExceededException", "Too many", errors.QuotaReached),
        ("ValidationException", "Endpoint not found", errors.Invalid),
    ],
)
def test_what_aws_answers(stub: Stubber, code: str, said: str, kind: type[errors.AwsError]) -> None:
    stub.add_client_error("deregister_scalable_target", code, said, 400)
    with pytest.raises(kind) as caught:
        autoscaling.deregister(name="demo")
    assert type(caught.value) is kind
    assert said in str(caught.value)


def test_a_right_that_is_missing_is_named(stub: Stubber) -> None:
    right = "application-autoscaling:RegisterScalableTarget"
    said = (
        "User: arn:aws:sts::123456789012:assumed-role/portal/1 is not authorized to perform: "
        f"{right} on resource: * because no identity-based policy allows the action"
    )
    stub.add_client_error("register_scalable_target", "AccessDeniedException", said, 400)
    with pytest.raises(errors.Denied) as caught:
        autoscaling.register(name="demo", limits=Limits(1, 2, 50))
    assert right in str(caught.value.todo) + str(caught.value)
