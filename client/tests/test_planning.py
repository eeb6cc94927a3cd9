"""``--plan`` of ``mme deploy`` and ``mme endpoint``: against a portal that answers as the real one.

The documents are what the API answered; their images and tags are shortened.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says, problem
from mme_client import Portal

Mme = Callable[..., Ran]
API = "/api/v1/endpoints"
SMALL = {"per_hour": "0.115", "per_month": "83.95", "currency": "USD"}
LARGE = {"per_hour": "0.46", "per_month": "335.80", "currency": "USD"}
ESTIMATE = "An estimate: prices of us-east-1, collected on 2026-11-28, for a month of 730 hours."


def _call(
    action: str, method: str, *, afterwards: bool = False, **arguments: Any
) -> dict[str, Any]:
    lines = "".join(f"    {name}={value!r},\n" for name, value in arguments.items())
    code = f"sagemaker.{method}(\n{lines})"
    return {"action": action, "arguments": arguments, "code": code, "afterwards": afterwards}


def _plan(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    head = 'import boto3\n\nsagemaker = boto3.client("sagemaker", region_name="us-east-1")'
    code = "\n".join([head, *(one["code"] for one in calls), ""]) if calls else ""
    return {
        "endpoint": "demo", "expires_at": None, "calls": [*calls], "code": code,
        "differences": [], "stays": [],
        "cost_before": None, "cost": SMALL, "estimate": ESTIMATE,
        "meanwhile": "No other endpoint is touched.", **more,
    }  # fmt: skip


NEW = _plan(
    _call("CreateModel", "create_model", ModelName="demo-r1", PrimaryContainer={"Image": "i:1"}),
    _call("CreateEndpointConfig", "create_endpoint_config", EndpointConfigName="demo-r1"),
    _call("CreateEndpoint", "create_endpoint", EndpointName="demo", EndpointConfigName="demo-r1"),
)
CHANGE = _plan(
    _call("CreateEndpointConfig", "create_endpoint_config", EndpointConfigName="demo-r3"),
    _call("UpdateEndpoint", "update_endpoint", EndpointName="demo", EndpointConfigName="demo-r3"),
    _call(
        "DeleteEndpointConfig", "delete_endpoint_config", EndpointConfigName="demo-r2",
        afterwards=True,
    ),
    differences=[
        {"name": "instance_type", "before": "ml.m5.large", "after": "ml.m5.xlarge"},
        {"name": "instance_count", "before": "1", "after": "2"},
    ],
    stays=[{"name": "image", "before": "i:1", "after": "i:1"}],
    cost_before=SMALL, cost=LARGE, meanwhile="It serves as it is.",
)  # fmt: skip
SAME = _plan(cost_before=SMALL, meanwhile="It is so already: nothing would be called.")
END = datetime(2026, 12, 24, 18, tzinfo=UTC)
DEPLOY = ("deploy", "demo", "--plan")
UPDATE = ("endpoint", "update", "demo", "--type", "ml.m5.xlarge", "--count", "2", "--plan")
ROLLBACK = ("endpoint", "rollback", "demo", "--revision", "1", "--plan")


def test_a_creation_is_planned_and_not_made(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=NEW | {"expires_at": "2026-12-24T18:00:00Z"})]
    ran = mme(*DEPLOY, "--type", "ml.m5.large", "--count", "1", url=fake.url, token="t")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "costs      0.115 USD an hour, 83.95 USD a month",
        f"ends       {END.astimezone():%Y-%m-%d %H:%M}",
        "meanwhile  No other endpoint is touched.",
        "calls      CreateModel",
        "           CreateEndpointConfig",
        "           CreateEndpoint",
        ESTIMATE,
    ]
    (asked,) = fake.requests
    assert (asked.method, asked.target) == ("POST", f"{API}/plan")
    assert json.loads(asked.body) == {
        "name": "demo", "instance_type": "ml.m5.large", "instance_count": 1,
    }  # fmt: skip


def test_a_change_is_planned_beside_what_is_now(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=CHANGE)]
    ran = mme(*UPDATE, "--image", "i:1", "--reason", "room", url=fake.url, token="t")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "costs      0.46 USD an hour, 335.80 USD a month "
        "(before: 0.115 USD an hour, 83.95 USD a month)",
        "changes    instance_type: ml.m5.large → ml.m5.xlarge",
        "           instance_count: 1 → 2",
        "stays      image: i:1",
        "meanwhile  It serves as it is.",
        "calls      CreateEndpointConfig",
        "           UpdateEndpoint",
        "           DeleteEndpointConfig (afterwards)",
        ESTIMATE,
    ]
    (asked,) = fake.requests
    assert (asked.method, asked.target) == ("POST", f"{API}/demo/plan")
    assert json.loads(asked.body) == {
        "instance_type": "ml.m5.xlarge", "instance_count": 2, "image": "i:1",
    }  # fmt: skip


def test_a_rollback_is_planned(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=CHANGE)]
    ran = mme(*ROLLBACK, url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert "UpdateEndpoint" in ran.out
    (asked,) = fake.requests
    assert (asked.method, asked.target) == ("POST", f"{API}/demo/plan")
    assert json.loads(asked.body) == {"back_to": 1}


def test_a_price_that_is_not_known_is_said(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=NEW | {"cost": None})]
    first = mme(*DEPLOY, url=fake.url, token="t").out.splitlines()[0]
    assert first == "costs      the price is not known"
    fake.answers = [Says(document=CHANGE | {"cost": None})]
    first = mme(*UPDATE).out.splitlines()[0]
    assert first.endswith("the price is not known (before: 0.115 USD an hour, 83.95 USD a month)")
    fake.answers = [Says(document=CHANGE | {"cost_before": None})]
    assert "335.80 USD a month (before: the price is not known)" in mme(*UPDATE).out


@pytest.mark.parametrize(
    ("arguments", "document"), [(DEPLOY, NEW), (UPDATE, CHANGE), (ROLLBACK, CHANGE)]
)
def test_quiet_is_a_script_and_json_what_the_api_gave(
    mme: Mme, fake: FakePortal, arguments: tuple[str, ...], document: dict[str, Any]
) -> None:
    fake.version = "9.0.0"  # a warning would spoil the script
    fake.answers = [Says(document=document)]
    ran = mme(*arguments, "-q", url=fake.url, token="t")
    assert (ran.code, ran.out, ran.err) == (0, document["code"], "")
    compile(ran.out, "plan.py", "exec")
    fake.answers = [Says(document=document | {"of_a_later_portal": 1})]
    ran = mme(*arguments, "--json")
    assert (ran.code, json.loads(ran.out)) == (0, document | {"of_a_later_portal": 1})


@pytest.mark.parametrize(
    ("command", "path", "body"),
    [
        (("endpoint", "pause", "demo"), "demo/pause", None),
        (("endpoint", "resume", "demo"), "demo/resume", None),
        (("endpoint", "accept", "demo"), "demo/accept", None),
        (("endpoint", "put-back", "demo"), "demo/restore", None),
        (("endpoint", "scale", "demo", "--off"), "demo/scaling/off", None),
        (
            ("endpoint", "schedule", "demo", "--hours", "mon 08:00-19:00", "--zone", "Asia/Seoul"),
            "demo/hours",
            {"hours": "mon 08:00-19:00", "zone": "Asia/Seoul"},
        ),
        (
            ("alarms", "create", "demo", "p99", "--threshold", "900"),
            "demo/alarms/p99",
            {"threshold": 900},
        ),
        (("alarms", "delete", "demo", "p99"), "demo/alarms/p99", {"remove": True}),
    ],
)
def test_what_is_done_with_one_is_planned_and_not_done(
    mme: Mme,
    fake: FakePortal,
    command: tuple[str, ...],
    path: str,
    body: dict[str, Any] | None,
) -> None:
    fake.answers = [Says(document=CHANGE)]
    ran = mme(*command, "--plan", "-q", url=fake.url, token="t")
    assert (ran.code, ran.out, ran.err) == (0, CHANGE["code"], "")
    (asked,) = fake.requests
    assert (asked.method, asked.target) == ("POST", f"{API}/{path}/plan")
    assert (json.loads(asked.body) if asked.body else None) == body
    fake.answers = [Says(document=CHANGE)]
    assert "calls" in mme(*command, "--plan").out
    if "schedule" not in command:
        assert mme(*command, "--plan", "--wait").code == 2
        assert len(fake.requests) == 2


def test_what_is_so_already_is_an_empty_script(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=SAME)]
    ran = mme(*UPDATE, "--quiet", url=fake.url, token="t")
    assert (ran.code, ran.out) == (0, "")
    said = mme(*UPDATE).out
    assert "It is so already" in said
    assert "calls" not in said


@pytest.mark.parametrize("arguments", [DEPLOY, UPDATE, ROLLBACK])
def test_there_is_nothing_to_wait_for(
    mme: Mme, fake: FakePortal, arguments: tuple[str, ...]
) -> None:
    ran = mme(*arguments, "--wait", url=fake.url, token="t")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "Wrong use: Give one of --plan and --wait.\n"
    assert fake.requests == []


def test_what_would_be_refused_is_refused(mme: Mme, fake: FakePortal) -> None:
    for code, status, exit_code in (
        ("conflict", 409, 1), ("invalid", 422, 2), ("not-found", 404, 3),
    ):  # fmt: skip
        fake.answers = [problem(code, status)]
        assert mme(*UPDATE, url=fake.url, token="t").code == exit_code
    assert mme("endpoint", "update", "demo", "--plan").code == 2


def test_a_plan_is_said_in_korean(mme_process: Callable[..., Ran], fake: FakePortal) -> None:
    fake.answers = [Says(document=CHANGE)]
    said = {"MME_URL": fake.url, "MME_TOKEN": "t", "LANG": "ko_KR.UTF-8"}
    ran = mme_process(*UPDATE, **said)
    assert ran.code == 0, ran.err
    assert "시간당 0.46 USD, 월 335.80 USD (이전: 시간당 0.115 USD, 월 83.95 USD)" in ran.out
    assert "DeleteEndpointConfig (완료 후)" in ran.out
    assert fake.requests[0].headers["Accept-Language"].startswith("ko")


def test_the_library_gives_records(fake: FakePortal) -> None:
    with Portal(fake.url, "t") as portal:
        fake.answers = [Says(document=NEW)]
        plan = portal.endpoints.preview("demo")
        assert json.loads(fake.requests[0].body) == {"name": "demo"}
        assert (plan.endpoint, plan.cost_before, plan.differences) == ("demo", None, [])
        assert plan.cost is not None
        assert (plan.cost.per_hour, plan.cost.per_month, plan.cost.currency) == (
            "0.115", "83.95", "USD",
        )  # fmt: skip
        assert [one.action for one in plan.calls] == [
            "CreateModel", "CreateEndpointConfig", "CreateEndpoint",
        ]  # fmt: skip
        assert plan.calls[0].arguments["PrimaryContainer"] == {"Image": "i:1"}
        assert plan.calls[0].code == NEW["calls"][0]["code"]
        fake.answers = [Says(document=CHANGE)]
        plan = portal.endpoints.preview_change("a/b", instance_count=2)
        assert fake.requests[1].target == f"{API}/a%2Fb/plan"
        assert json.loads(fake.requests[1].body) == {"instance_count": 2}
        (kind, count), (stays,) = plan.differences, plan.stays
        assert (kind.name, kind.before, kind.after) == (
            "instance_type", "ml.m5.large", "ml.m5.xlarge",
        )  # fmt: skip
        assert (count.after, stays.name, stays.before) == ("2", "image", "i:1")
        assert [one.afterwards for one in plan.calls] == [False, False, True]
        assert (plan.estimate, plan.document) == (ESTIMATE, CHANGE)


@pytest.mark.parametrize(
    "command",
    [
        ("deploy", "demo"),
        ("endpoint", "update", "demo", "--count", "2"),
        ("endpoint", "scale", "demo", "--min", "1", "--max", "3", "--target", "50"),
        ("endpoint", "resume", "demo"),
        ("endpoint", "put-back", "demo"),
    ],
)
def test_what_to_know_of_quotas_is_told_without_a_plan(
    mme: Mme, fake: FakePortal, command: tuple[str, ...]
) -> None:
    said = "Your account may run 1 of ml.m5.large for endpoints."
    document = EXAMPLES["endpoints_update"]["202"] | {"notes": [said]}
    fake.answers = [Says(202, document=document)]
    ran = mme(*command, url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert said in ran.err
    assert said not in ran.out


@pytest.mark.parametrize("option", ["--env", "--tag"])
def test_a_new_endpoint_takes_no_name_without_its_value(
    mme: Mme, fake: FakePortal, option: str
) -> None:
    ran = mme("deploy", "demo", option, "OMP_NUM_THREADS")

    assert ran.code == 2
    assert "Give it as NAME=VALUE: OMP_NUM_THREADS" in ran.err
    assert not fake.requests
