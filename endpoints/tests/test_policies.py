"""Changes by a policy of SageMaker's: what is asked for, what is refused, and how it is said."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from activity.models import Event
from endpoints import planning, services
from endpoints.models import Endpoint
from endpoints.policies import DeploymentPolicy
from endpoints.services import SettingsChange
from endpoints.tests.account import OTHER_IMAGE, Account
from endpoints.variants import ALONE, ProductionVariant

Step = Callable[[Endpoint], Endpoint]
TYPE = "ml.m5.xlarge"
CANARY = DeploymentPolicy("canary", 10, 300, ("errors",))
TWO = (ProductionVariant(ALONE, "ml.m5.large", 1), ProductionVariant("new", TYPE, 1))


def change(endpoint: Endpoint, **wanted: Any) -> Endpoint:
    return services.request_change(endpoint=endpoint, change=SettingsChange(**wanted), actor=None)


@pytest.mark.not_quick
@pytest.mark.parametrize(
    ("policy", "config"),
    [
        (
            CANARY,
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "CANARY",
                        "WaitIntervalInSeconds": 300,
                        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
                    }
                },
                "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
            },
        ),
        (
            DeploymentPolicy("linear", 20, 60),
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "LINEAR",
                        "WaitIntervalInSeconds": 60,
                        "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 20},
                    }
                }
            },
        ),
        (
            DeploymentPolicy("all_at_once", 0, 60),
            {
                "BlueGreenUpdatePolicy": {
                    "TrafficRoutingConfiguration": {
                        "Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 60,
                    }
                }
            },
        ),
        (
            DeploymentPolicy("rolling", 50, 60),
            {
                "RollingUpdatePolicy": {
                    "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50},
                    "WaitIntervalInSeconds": 60,
                }
            },
        ),
    ],
)  # fmt: skip
def test_a_policy_is_what_sagemaker_is_asked_for(
    serving: Endpoint, account: Account, settle: Step, policy: DeploymentPolicy, config: Any
) -> None:
    plan = planning.plan_change(
        endpoint=serving, change=SettingsChange(instance_type=TYPE, policy=policy), actor=None
    )
    (update,) = [call for call in plan.calls if call.action == "UpdateEndpoint"]
    assert update.arguments["DeploymentConfig"] == config
    endpoint = settle(change(serving, instance_type=TYPE, policy=policy))
    assert account.policy == policy
    assert endpoint.revisions.get(number=2).deployed_by == policy
    endpoint = settle(change(endpoint, instance_type="ml.m5.large"))
    assert account.policy is None  # it is of one change


@pytest.mark.not_quick
def test_the_history_says_how_a_change_was_made(serving: Endpoint, settle: Step) -> None:
    settle(change(serving, instance_type=TYPE, policy=CANARY))
    assert Event.objects.get(action="endpoint.update_by_policy").sentence == (
        "The endpoint demo is moved to its next revision by a policy: 10 percent for 300 s, "
        "then all; back by alarm errors."
    )


@pytest.mark.parametrize(
    ("wanted", "policy", "said"),
    [
        ({"instance_count": 2}, CANARY, "changed at once, without a policy"),
        ({"variants": TWO}, CANARY, "keep their names"),
        ({"instance_type": TYPE}, DeploymentPolicy("canary", 0, 0), "from 1 to 50"),
        ({"instance_type": TYPE}, DeploymentPolicy("linear", 9, 0), "from 10 to 50"),
        ({"instance_type": TYPE}, DeploymentPolicy("rolling", 51, 0), "from 5 to 50"),
        ({"instance_type": TYPE}, DeploymentPolicy("canary", 10, 3601), "0 to 3600"),
        ({"instance_type": TYPE}, DeploymentPolicy("canary", 10, 0, ("",)), "at most 10 alarms"),
        ({"instance_type": TYPE}, DeploymentPolicy("slowly"), "Choose one of: all_at_once"),
    ],
)
def test_what_a_policy_may_not_be(
    serving: Endpoint, wanted: Any, policy: DeploymentPolicy, said: str
) -> None:
    with pytest.raises(ValidationError, match=said) as refused:
        change(serving, **wanted, policy=policy)
    assert list(refused.value.message_dict) == ["policy"]
    serving.refresh_from_db()
    assert serving.revision == 1


@pytest.mark.not_quick
def test_two_variants_are_not_rolled(serving: Endpoint, settle: Step) -> None:
    endpoint = settle(change(serving, variants=TWO))
    rolling = DeploymentPolicy("rolling", 50, 0)
    with pytest.raises(ValidationError, match="only endpoints with one variant"):
        change(endpoint, image=OTHER_IMAGE, policy=rolling)


@pytest.mark.not_quick
def test_the_form_chooses_a_policy(
    serving: Endpoint, account: Account, settle: Step, client_of: Callable[[str], Client]
) -> None:
    page = reverse("endpoints:change", args=[serving.pk])
    told = {
        "instance_type": TYPE, "instance_count": "1", "policy": "canary", "percent": "10",
        "wait_s": "300", "alarms": "errors, late",
    }  # fmt: skip
    client = client_of("operator")
    wrong = client.post(page, told | {"percent": "0"})
    assert wrong.status_code == 400
    assert "from 1 to 50" in wrong.content.decode()
    shown = client.post(page, told | {"plan": "1"}).content.decode()
    assert "CANARY" in shown
    usual = client.post(page, told | {"percent": "", "plan": "1"}).content.decode()
    assert usual.partition("CANARY")[2][:300] == shown.partition("CANARY")[2][:300]
    nothing_said = client.get(page).content.decode().partition('name="percent"')[2]
    assert "value=" not in nothing_said.partition(">")[0]
    client.post(page, told)
    endpoint = settle(serving)
    assert account.policy == DeploymentPolicy("canary", 10, 300, ("errors", "late"))
    revisions = client.get(reverse("endpoints:revisions", args=[endpoint.pk])).content.decode()
    assert "10 percent for 300 s, then all; back by alarm errors, late" in revisions
