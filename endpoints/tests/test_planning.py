"""What a plan shows is what is called then, and nothing is made by looking at it."""

import contextlib
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.test import Client

from activity.models import Event
from core import jobs
from endpoints import planning, prices, sagemaker, services
from endpoints.models import Endpoint, Resource, Revision
from endpoints.tests.account import OTHER_IMAGE, Account
from endpoints.tests.test_endpoints_api import DEMO, PATH, Api, api
from tests import aws_clients

__all__ = ["api"]
LARGE, XLARGE = "ml.m5.large", "ml.m5.xlarge"
Step = Callable[[Endpoint], Endpoint]


@pytest.fixture(autouse=True)
def _types(settings: Any) -> None:
    settings.INSTANCE_TYPES = [LARGE, XLARGE, "ml.new.type"]


def _run(code: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """The calls that a plan's script makes; boto3 checks their arguments, and none is sent."""
    client = aws_clients.client("sagemaker")
    made: list[tuple[str, dict[str, Any]]] = []

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        made.append((model.name, dict(params)))

    def answer(**_: Any) -> tuple[Any, dict[str, str]]:
        return SimpleNamespace(status_code=200), {"EndpointStatus": "InService"}

    with monkeypatch.context() as patch, contextlib.ExitStack() as ends:
        for event, heard in (("before-parameter-build", note), ("before-call", answer)):
            client.meta.events.register(f"{event}.sagemaker", heard)
            ends.callback(client.meta.events.unregister, f"{event}.sagemaker", heard)
        patch.setattr(boto3, "client", lambda service, region_name: client)
        exec(compile(code, "plan.py", "exec"), {})
    return made


def _counts() -> list[int]:
    return [kind.objects.count() for kind in (Endpoint, Resource, Revision, Event)]


@pytest.mark.not_quick
def test_a_new_endpoint_is_planned_with_the_calls_that_make_it(
    db: None, account: Account, monkeypatch: pytest.MonkeyPatch, settle: Step
) -> None:
    plan = planning.plan_creation(name="demo", instance_type=XLARGE, instance_count=2, actor=None)
    assert _counts() == [0, 0, 0, 0]
    assert account.empty
    actions = [call.action for call in plan.calls]
    assert actions == ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]
    assert plan.after is not None
    assert plan.after.per_hour == Decimal("0.46")
    assert plan.after.per_month == Decimal("335.80")
    assert _run(plan.code, monkeypatch) == [
        *((call.action, call.arguments) for call in plan.calls),
        ("DescribeEndpoint", {"EndpointName": "demo"}),
    ]

    made: list[dict[str, Any]] = []
    for name in ("create_model", "create_config", "create_endpoint"):
        _noted(monkeypatch, name, made)
    endpoint = services.create_endpoint(
        name="demo", instance_type=XLARGE, instance_count=2, actor=None
    )
    settle(endpoint)
    assert [one["name"] for one in made] == [
        *(next(iter(call.arguments.values())) for call in plan.calls)
    ]


def _noted(monkeypatch: pytest.MonkeyPatch, name: str, made: list[dict[str, Any]]) -> None:
    real = getattr(sagemaker, name)

    def call(**arguments: Any) -> Any:
        made.append(arguments)
        return real(**arguments)

    monkeypatch.setattr(sagemaker, name, call)


@pytest.mark.not_quick
@pytest.mark.parametrize(
    ("change", "calls", "afterwards"),
    [
        (
            services.SettingsChange(instance_type=XLARGE),
            ["CreateEndpointConfig", "UpdateEndpoint"],
            ["DeleteEndpointConfig"],
        ),
        (
            services.SettingsChange(image=OTHER_IMAGE),
            ["CreateModel", "CreateEndpointConfig", "UpdateEndpoint"],
            ["DeleteEndpointConfig", "DeleteModel"],
        ),
        (services.SettingsChange(instance_count=2), ["UpdateEndpointWeightsAndCapacities"], []),
        (services.SettingsChange(instance_count=1), [], []),
    ],
)
def test_a_change_is_planned_with_the_calls_that_make_it(
    change: services.SettingsChange,
    calls: list[str],
    afterwards: list[str],
    serving: Endpoint,
    settle: Step,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = _counts()
    plan = planning.plan_change(endpoint=serving, change=change, actor=None)
    assert [call.action for call in plan.calls] == calls
    assert [call.action for call in plan.afterwards] == afterwards
    assert _counts() == before
    assert Endpoint.objects.get().settled
    if plan.code:
        called = _run(plan.code, monkeypatch)
        assert [one for one in called if one[0] != "DescribeEndpoint"] == [
            (call.action, call.arguments) for call in (*plan.calls, *plan.afterwards)
        ]

    made: list[tuple[str, dict[str, Any]]] = []
    names = {
        "create_model": "CreateModel",
        "create_config": "CreateEndpointConfig",
        "update_endpoint": "UpdateEndpoint",
        "set_count": "UpdateEndpointWeightsAndCapacities",
        "delete_config": "DeleteEndpointConfig",
        "delete_model": "DeleteModel",
    }
    for name, action in names.items():
        real = getattr(sagemaker, name)

        def call(*args: Any, _real: Any = real, _action: str = action, **arguments: Any) -> Any:
            made.append((_action, arguments or {"name": args[0]}))
            return _real(*args, **arguments)

        monkeypatch.setattr(sagemaker, name, call)
    settle(services.request_change(endpoint=serving, change=change, actor=None))
    assert [action for action, _ in made] == [*calls, *afterwards]
    planned = [next(iter(call.arguments.values())) for call in (*plan.calls, *plan.afterwards)]
    assert [arguments["name"] for _, arguments in made] == planned


def test_a_plan_puts_no_job_into_the_queue(
    serving: Endpoint,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(jobs, "enqueue", lambda name, *args: sent.append(name), raising=False)
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        planning.plan_change(
            endpoint=serving, change=services.SettingsChange(instance_count=2), actor=None
        )
    assert not callbacks
    assert not sent


def test_differences_and_costs(serving: Endpoint) -> None:
    change = services.SettingsChange(instance_type=XLARGE, instance_count=3)
    plan = planning.plan_change(endpoint=serving, change=change, actor=None)
    assert {one.name: (one.before, one.after) for one in plan.differs} == {
        "instance_type": (LARGE, XLARGE),
        "instance_count": ("1", "3"),
    }
    assert [one.name for one in plan.stays] == ["image", "owner"]
    assert plan.before is not None
    assert plan.after is not None
    assert plan.after.per_hour == 6 * plan.before.per_hour
    assert "us-east-1" in plan.estimate
    change = services.SettingsChange(instance_type="ml.new.type")
    assert planning.plan_change(endpoint=serving, change=change, actor=None).after is None


def test_a_plan_says_that_it_withdraws_what_waits(serving: Endpoint) -> None:
    waiting = services.SettingsChange(image=OTHER_IMAGE)
    endpoint = services.request_change(endpoint=serving, change=waiting, actor=None)
    plan = planning.plan_change(
        endpoint=endpoint, change=services.SettingsChange(instance_count=2), actor=None
    )
    assert "Revision 2, which SageMaker was not asked for yet, is withdrawn." in plan.meanwhile
    assert [one.name for one in plan.differs] == ["instance_count"]
    assert [call.action for call in plan.calls] == ["UpdateEndpointWeightsAndCapacities"]


def test_a_plan_refuses_what_the_change_would_refuse(serving: Endpoint) -> None:
    with pytest.raises(ValidationError, match="Choose a number"):
        planning.plan_change(
            endpoint=serving, change=services.SettingsChange(instance_count=99), actor=None
        )
    with pytest.raises(ValidationError, match="There is an endpoint demo already"):
        planning.plan_creation(name="demo", actor=None)


def test_prices_of_a_file_of_the_own_region_are_used(tmp_path: Path, settings: Any) -> None:
    path = tmp_path / "prices.json"
    path.write_text(
        json.dumps(
            {
                "collected": "2026-01-02",
                "source": "our contract",
                "currency": "EUR",
                "regions": {settings.AWS_REGION: {LARGE: "0.1"}},
            }
        )
    )
    settings.PRICE_LIST = str(path)
    known = prices.known()
    assert known.region == settings.AWS_REGION
    cost = known.cost(LARGE, 2)
    assert cost is not None
    assert (cost.per_hour, cost.per_month, cost.currency) == (
        Decimal("0.2"),
        Decimal("146.00"),
        "EUR",
    )
    assert known.cost(XLARGE, 1) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"regions": {"us-east-1": {"a": "cheap"}}}'])
def test_a_file_that_is_no_list_of_prices_is_named(
    text: str, tmp_path: Path, settings: Any
) -> None:
    path = tmp_path / "prices.json"
    path.write_text(text)
    settings.PRICE_LIST = str(path)
    with pytest.raises(ImproperlyConfigured, match=r"PRICE_LIST: .*prices\.json is no list"):
        prices.known()


@pytest.mark.not_quick
def test_the_pages_show_a_plan_and_change_nothing(
    serving: Endpoint, client_of: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, before = client_of("operator"), _counts()
    asked = {"instance_type": XLARGE, "instance_count": 2, "plan": "1"}
    answer = client.post(f"/endpoints/{serving.pk}/change/", asked)
    page = " ".join(answer.content.decode().split())
    assert answer.status_code == 200
    assert "<code>CreateEndpointConfig</code>" in page
    assert "0.115 USD an hour" in page
    assert "0.460 USD an hour" in page or "0.46 USD an hour" in page
    assert f'value="{XLARGE}" selected' in page  # what was typed is still there
    answer = client.post("/endpoints/new/", {"name": "second", **asked})
    assert answer.status_code == 200
    assert "<code>CreateEndpoint</code>" in answer.content.decode()
    answer = client.post("/endpoints/new/", {"name": "demo", **asked})
    assert answer.status_code == 400
    assert _counts() == before


def test_the_operations_answer_with_a_plan(api: Api, serving: Endpoint) -> None:
    before = _counts()
    status, plan = api.ask("POST", f"{PATH}/plan", {"name": "second", "instance_type": LARGE})
    assert status == 200, plan
    assert [one["action"] for one in plan["calls"]] == [
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
    ]
    assert plan["cost"] == {"per_hour": "0.115", "per_month": "83.95", "currency": "USD"}
    assert plan["cost_before"] is None
    status, plan = api.ask("POST", f"{DEMO}/plan", {"instance_type": XLARGE})
    assert status == 200, plan
    assert [(one["action"], one["afterwards"]) for one in plan["calls"]] == [
        ("CreateEndpointConfig", False),
        ("UpdateEndpoint", False),
        ("DeleteEndpointConfig", True),
    ]
    assert plan["differences"] == [
        {"name": "instance_type", "before": LARGE, "after": XLARGE},
    ]
    status, plan = api.ask("POST", f"{DEMO}/plan", {"back_to": 7})
    assert status == 404
    assert "has no revision" in plan["detail"]
    assert _counts() == before


def test_who_may_not_change_an_image_may_not_plan_it(
    user_in: Callable[[str], User], serving: Endpoint
) -> None:
    operator = Api(user_in("operator"))
    status, _ = operator.ask("POST", f"{DEMO}/plan", {"image": OTHER_IMAGE})
    assert status == 403
