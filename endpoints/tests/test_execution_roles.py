"""Another execution role than that of the settings: for admins, and of a new SageMaker model."""

from collections.abc import Callable

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from endpoints import planning, services
from endpoints.models import Endpoint
from endpoints.services import ChangeNotAllowed, SettingsChange
from endpoints.tests.account import Account
from endpoints.tests.test_endpoints_api import DEMO, Api, api

__all__ = ["api"]
Step = Callable[[Endpoint], Endpoint]
ROLE, THIRD = (f"arn:aws:iam::123456789012:role/{name}" for name in ("team/other", "third"))


@pytest.mark.not_quick
def test_an_endpoint_is_created_with_another_role(db: None, account: Account, settle: Step) -> None:
    plan = planning.plan_creation(name="demo", role_arn=ROLE, actor=None)
    assert plan.calls[0].arguments["ExecutionRoleArn"] == ROLE
    endpoint = settle(services.create_endpoint(name="demo", role_arn=ROLE, actor=None))
    assert account.models["demo-r1"].role_arn == endpoint.role_arn == ROLE
    usual = settle(services.create_endpoint(name="usual", actor=None))
    assert usual.role_arn == settings.EXECUTION_ROLE_ARN


@pytest.mark.not_quick
def test_another_role_is_a_new_model_and_is_gone_back_over(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    before = serving.role_arn
    change = SettingsChange(role_arn=ROLE)
    plan = planning.plan_change(endpoint=serving, change=change, actor=None)
    assert [(one.name, one.before, one.after) for one in plan.differs] == [
        ("role_arn", before, ROLE)
    ]
    assert [call.action for call in plan.calls] == [
        "CreateModel", "CreateEndpointConfig", "UpdateEndpoint",
    ]  # fmt: skip
    endpoint = settle(services.request_change(endpoint=serving, change=change, actor=None))
    assert {name: one.role_arn for name, one in account.models.items()} == {"demo-r2": ROLE}
    assert services.request_change(endpoint=endpoint, change=change, actor=None).settled
    back = services.back_to(endpoint=endpoint, number=1)
    endpoint = settle(services.request_change(endpoint=endpoint, change=back, actor=None))
    assert {name: one.role_arn for name, one in account.models.items()} == {"demo-r3": before}


@pytest.mark.not_quick
def test_a_role_that_aws_refuses_leaves_the_one_before_serving(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    account.roll_back_with = "Could not assume role."
    change = SettingsChange(role_arn=ROLE)
    endpoint = settle(services.request_change(endpoint=serving, change=change, actor=None))
    assert (endpoint.role_arn, endpoint.serving) == (settings.EXECUTION_ROLE_ARN, True)
    assert set(account.models) == {"demo-r1"}


@pytest.mark.not_quick
def test_admins_alone_choose_it(
    serving: Endpoint,
    client_of: Callable[[str], Client],
    account: Account,
    settle: Step,
) -> None:
    of_operator = client_of("operator")
    operator = User.objects.latest("pk")
    with pytest.raises(ChangeNotAllowed):
        services.create_endpoint(name="other", role_arn=ROLE, actor=operator)
    with pytest.raises(ChangeNotAllowed):
        services.request_change(
            endpoint=serving, change=SettingsChange(role_arn=ROLE), actor=operator
        )
    address = f"/endpoints/{serving.pk}/change/"
    given = {"instance_type": "ml.m5.large", "instance_count": 1, "role_arn": ROLE}
    answer = of_operator.post(address, given)  # its field is disabled
    assert "It is so already" in answer.content.decode()
    admin = client_of("admin")
    assert (
        "is no ARN of a role" in admin.post(address, given | {"role_arn": "mme"}).content.decode()
    )
    assert admin.post(address, given).status_code == 302
    assert settle(serving).role_arn == ROLE
    admin.post(
        "/endpoints/new/",
        {"name": "by-page", "instance_type": "ml.m5.large", "instance_count": 1, "role_arn": THIRD},
    )
    assert Endpoint.objects.get(name="by-page").role_arn == THIRD


@pytest.mark.not_quick
def test_by_the_api_with_what_differs(
    serving: Endpoint, api: Api, account: Account, settle: Step
) -> None:
    before = serving.role_arn
    status, problem = api.ask("PATCH", DEMO, {"role_arn": "mme"})
    assert (status, list(problem["errors"])) == (422, ["role_arn"])
    account.roll_back_with = "No capacity."
    api.ask("PATCH", DEMO, {"instance_count": 2, "instance_type": "ml.m5.xlarge"})
    settle(Endpoint.objects.get())
    account.roll_back_with = ""
    status, asked = api.ask("PATCH", DEMO, {"role_arn": ROLE, "options": {"volume_gb": 20}})
    assert (status, asked["role_arn"]) == (202, ROLE)
    settle(Endpoint.objects.get())
    shown = api.ask("GET", f"{DEMO}/revisions")[1]["items"]
    # The third is compared with what served before it: not with what was rolled back.
    assert [one["differences"] for one in shown] == [
        [
            {"name": "role_arn", "before": before, "after": ROLE},
            {"name": "volume_gb", "before": "preset", "after": "20 GB"},
        ],
        [{"name": "variants", "before": "1 × ml.m5.large", "after": "2 × ml.m5.xlarge"}],
        [],
    ]
    found = api.ask("GET", f"{DEMO}/revisions?limit=1")[1]["items"]
    assert found[0]["differences"] == shown[0]["differences"]


@pytest.mark.parametrize(
    "role", ["mme", "arn:aws:iam::1:role/x", f"{ROLE} x", ROLE + "\n", ROLE + "x" * 2048, "\0"]
)
def test_what_is_no_role_is_refused(db: None, account: Account, role: str) -> None:
    with pytest.raises(ValidationError) as refused:
        services.create_endpoint(name="demo", role_arn=role, actor=None)
    assert list(refused.value.message_dict) == ["role_arn"]
    assert not Endpoint.objects.exists()
