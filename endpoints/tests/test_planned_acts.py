"""What a pause, a put-back, an alarm and the like call is what their plans showed before."""

import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from activity.models import Event
from endpoints import alarms, drift, pausing, planned_acts, planning, scaling, services
from endpoints.limits import Limits
from endpoints.models import AlarmWatch, Endpoint, EndpointAlarm, Resource, Revision
from endpoints.planning import EndpointPlan
from endpoints.sagemaker import Call
from endpoints.tests.account import OTHER_IMAGE, Account
from endpoints.tests.test_endpoints_api import DEMO, Api, api
from endpoints.variants import ALONE, ProductionVariant
from tests import aws_clients

__all__ = ["api"]
Step = Callable[[Endpoint], Endpoint]
Watch = Callable[[], AlarmWatch]
P99 = {"kind": "p99", "variant": ALONE, "threshold": 1500, "minutes": 10}
LIMITS = Limits(1, 3, 50)


def run(plan: EndpointPlan, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """The calls that a plan's script makes; boto3 checks their arguments, and none is sent."""
    made: list[tuple[str, dict[str, Any]]] = []
    gone = plan.waits == planning.DELETED

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        made.append((model.name, dict(params)))

    def answer(model: Any, **_: Any) -> tuple[Any, dict[str, Any]]:
        if model.name != "DescribeEndpoint" or not gone:
            return SimpleNamespace(status_code=200), {"EndpointStatus": "InService"}
        said = {"Code": "ValidationException", "Message": 'Could not find endpoint "arn:x".'}
        return SimpleNamespace(status_code=400), {"Error": said, "ResponseMetadata": {}}

    ends = contextlib.ExitStack()

    def client(service: str, region_name: str) -> Any:
        assert region_name == settings.AWS_REGION
        found = aws_clients.client(service)
        name = service.replace("application-autoscaling", "application-auto-scaling")
        for event, heard in (("before-parameter-build", note), ("before-call", answer)):
            found.meta.events.register(f"{event}.{name}", heard)
            ends.callback(found.meta.events.unregister, f"{event}.{name}", heard)
        return found

    with monkeypatch.context() as patch, ends:
        patch.setattr(boto3, "client", client)
        exec(compile(plan.code, "plan.py", "exec"), {})
    return made


def _as_asked(calls: list[Call]) -> list[tuple[str, dict[str, Any]]]:
    return [(call.action, dict(call.arguments)) for call in calls]


def _rows() -> list[Any]:
    kinds = (Endpoint, Resource, Revision, Event, EndpointAlarm)
    return [list(kind.objects.order_by("pk").values()) for kind in kinds]


@pytest.fixture
def check(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], EndpointPlan], Callable[[], Any]], EndpointPlan]:
    """Hold a plan against what is called when that is done, and its script against both."""

    def hold(plan: Callable[[], EndpointPlan], do: Callable[[], Any]) -> EndpointPlan:
        account.asked.clear()
        before = _rows()
        planned = plan()
        assert _rows() == before
        assert not account.asked
        do()
        wanted = [*planned.calls, *planned.afterwards]
        assert _as_asked(account.asked) == _as_asked(wanted)
        if planned.code:
            scripted = run(planned, monkeypatch)
            assert [one for one in scripted if one[0] != "DescribeEndpoint"] == _as_asked(wanted)
            waited = [one for one in scripted if one[0] == "DescribeEndpoint"]
            assert bool(waited) == bool(planned.calls and planned.waits)
        return planned

    return hold


def _actions(plan: EndpointPlan) -> tuple[list[str], list[str]]:
    return [one.action for one in plan.calls], [one.action for one in plan.afterwards]


# --- pause and resume


@pytest.mark.not_quick
def test_a_pause_is_planned_with_what_it_saves(serving: Endpoint, settle: Step, check: Any) -> None:
    plan = check(
        lambda: planned_acts.plan_pause(endpoint=serving, actor=None),
        lambda: settle(pausing.pause_now(endpoint=serving, actor=None)),
    )
    assert _actions(plan) == (["DeleteEndpoint"], [])
    assert (plan.before.hourly, plan.after.hourly) == ("0.115", "0")
    assert [(one.before, one.after) for one in plan.differs] == [("InService", "Paused")]
    assert "gets an error" in plan.meanwhile
    assert "It stays paused until somebody resumes it." in plan.notes
    again = planned_acts.plan_pause(endpoint=Endpoint.objects.get(), actor=None)
    assert (again.code, again.differs) == ("", [])
    assert "paused already" in again.meanwhile


@pytest.mark.not_quick
def test_resuming_is_planned_with_what_it_costs(
    serving: Endpoint, account: Account, settle: Step, check: Any
) -> None:
    paused = settle(pausing.pause_now(endpoint=serving, actor=None))
    account.quotas = {"ml.m5.large": 4}
    plan = check(
        lambda: planned_acts.plan_resume(endpoint=paused, actor=None),
        lambda: settle(pausing.resume_now(endpoint=paused, actor=None)),
    )
    assert _actions(plan) == (["CreateEndpoint"], [])
    assert (plan.before.hourly, plan.after.hourly) == ("0", "0.115")
    assert "Your account may run 4 of ml.m5.large" in plan.notes[0]
    so = planned_acts.plan_resume(endpoint=Endpoint.objects.get(), actor=None)
    assert (so.code, so.calls) == ("", [])


@pytest.mark.not_quick
def test_resuming_gives_the_number_and_the_scaling_again(
    serving: Endpoint, account: Account, settle: Step, check: Any
) -> None:
    change = services.SettingsChange(instance_count=2)
    counted = settle(services.request_change(endpoint=serving, change=change, actor=None))
    paused = settle(pausing.pause_now(endpoint=counted, actor=None))
    plan = check(
        lambda: planned_acts.plan_resume(endpoint=paused, actor=None),
        lambda: settle(pausing.resume_now(endpoint=paused, actor=None)),
    )
    assert _actions(plan) == (["CreateEndpoint"], ["UpdateEndpointWeightsAndCapacities"])
    endpoint = Endpoint.objects.get()
    scaled = settle(scaling.set_scaling(endpoint=endpoint, limits=LIMITS, actor=None))
    plan = check(
        lambda: planned_acts.plan_pause(endpoint=scaled, actor=None),
        lambda: settle(pausing.pause_now(endpoint=scaled, actor=None)),
    )
    assert _actions(plan) == (["DeregisterScalableTarget", "DeleteEndpoint"], [])
    paused = Endpoint.objects.get()
    plan = check(
        lambda: planned_acts.plan_resume(endpoint=paused, actor=None),
        lambda: settle(pausing.resume_now(endpoint=paused, actor=None)),
    )
    assert _actions(plan) == (["CreateEndpoint"], ["RegisterScalableTarget", "PutScalingPolicy"])


@pytest.mark.not_quick
def test_a_change_under_way_is_finished_before_the_pause(
    serving: Endpoint, settle: Step, check: Any
) -> None:
    change = services.SettingsChange(instance_type="ml.m5.xlarge")
    changing = services.request_change(endpoint=serving, change=change, actor=None)
    plan = check(
        lambda: planned_acts.plan_pause(endpoint=changing, actor=None),
        lambda: settle(pausing.pause_now(endpoint=changing, actor=None)),
    )
    assert _actions(plan)[0] == [
        *("CreateEndpointConfig", "UpdateEndpoint", "DeleteEndpointConfig", "DeleteEndpoint"),
    ]
    assert plan.notes[0] == "The change that is under way is finished before."


def test_hours_are_planned_with_what_a_month_costs(serving: Endpoint) -> None:
    before = _rows()
    plan = planned_acts.plan_hours(
        endpoint=serving, hours="mon-fri 08:00-18:00", zone="Asia/Seoul", actor=None
    )
    assert _rows() == before
    assert (plan.calls, plan.code) == ([], "")
    assert (plan.before.per_month, plan.after.per_month) == (
        plan.before.per_hour * 730, round(plan.before.per_hour * 730 * 50 / 168, 2),
    )  # fmt: skip
    assert [(one.before, one.after) for one in plan.differs] == [
        ("always", "mon-fri 08:00-18:00 Asia/Seoul")
    ]
    assert any(note.startswith("It is paused next at ") for note in plan.notes)
    with pytest.raises(ValidationError):
        planned_acts.plan_hours(endpoint=serving, hours="never", zone="Asia/Seoul", actor=None)


# --- changed outside


@pytest.mark.not_quick
def test_a_number_is_put_back_as_planned(
    serving: Endpoint, account: Account, advance: Step, settle: Step, check: Any
) -> None:
    account.counts["demo"] = 3
    endpoint = advance(serving)
    plan = check(
        lambda: planned_acts.plan_put_back(endpoint=endpoint, actor=None),
        lambda: settle(drift.put_back(endpoint=endpoint, actor=None)),
    )
    assert _actions(plan) == (["UpdateEndpointWeightsAndCapacities"], [])
    assert {one.name: (one.before, one.after) for one in plan.differs} == {
        "instance_count": ("3", "1"),
    }
    assert plan.before.per_hour == 3 * plan.after.per_hour


@pytest.mark.not_quick
def test_another_config_is_put_back_as_planned(
    serving: Endpoint, account: Account, advance: Step, settle: Step, check: Any
) -> None:
    account._create_model(
        name="theirs", image=OTHER_IMAGE, role_arn="role", tags={},
        data_url=serving.model_data_url,
    )  # fmt: skip
    account.update_outside("demo", "two", model="theirs", count=2)
    endpoint = advance(serving)
    plan = check(
        lambda: planned_acts.plan_put_back(endpoint=endpoint, actor=None),
        lambda: settle(drift.put_back(endpoint=endpoint, actor=None)),
    )
    assert "UpdateEndpoint" in _actions(plan)[0]
    said = {one.name: (one.before, one.after) for one in plan.differs}
    assert said["instance_type"] == ("ml.c5.xlarge", "ml.m5.large")
    assert said["image"] == (OTHER_IMAGE, serving.image)
    assert "goes on as before" in plan.meanwhile


@pytest.mark.not_quick
def test_one_that_was_deleted_is_made_again_as_planned(
    serving: Endpoint, account: Account, advance: Step, settle: Step, check: Any
) -> None:
    del account.endpoints["demo"]
    endpoint = advance(serving)
    plan = check(
        lambda: planned_acts.plan_put_back(endpoint=endpoint, actor=None),
        lambda: settle(drift.put_back(endpoint=endpoint, actor=None)),
    )
    assert _actions(plan) == (["CreateEndpoint"], [])
    assert (plan.before.hourly, plan.after.hourly) == ("0", "0.115")
    assert "cannot be called until" in plan.meanwhile


def test_what_cannot_be_read_is_said(serving: Endpoint, account: Account, advance: Step) -> None:
    account.counts["demo"] = 3
    endpoint = advance(serving)
    del account.models["demo-r1"]
    plan = planned_acts.plan_put_back(endpoint=endpoint, actor=None)
    assert plan.notes[0].startswith("What runs could not be read")


@pytest.mark.not_quick
def test_accepting_is_planned(
    serving: Endpoint, account: Account, advance: Step, settle: Step, check: Any
) -> None:
    account.update_outside("demo", "two", model="demo-r1", count=2)
    endpoint = advance(serving)
    plan = check(
        lambda: planned_acts.plan_accept(endpoint=endpoint, actor=None),
        lambda: settle(drift.accept(endpoint=endpoint, actor=None)),
    )
    assert _actions(plan) == ([], ["DeleteEndpointConfig"])
    said = {one.name: (one.before, one.after) for one in plan.differs}
    assert said == {
        "instance_type": ("ml.m5.large", "ml.c5.xlarge"), "instance_count": ("1", "2"),
    }  # fmt: skip
    assert plan.before == plan.after
    with pytest.raises(ValidationError, match="as it was requested here"):
        planned_acts.plan_accept(endpoint=Endpoint.objects.get(), actor=None)


def test_accepting_a_deletion_is_planned(
    serving: Endpoint, account: Account, advance: Step, settle: Step, check: Any
) -> None:
    del account.endpoints["demo"]
    endpoint = advance(serving)
    plan = check(
        lambda: planned_acts.plan_accept(endpoint=endpoint, actor=None),
        lambda: settle(drift.accept(endpoint=endpoint, actor=None)),
    )
    assert _actions(plan) == (["DeleteEndpointConfig", "DeleteModel"], [])


# --- alarms, scaling and the teardown


@pytest.mark.not_quick
def test_an_alarm_is_made_changed_and_removed_as_planned(
    serving: Endpoint, watch: Watch, check: Any
) -> None:
    def put(**wanted: Any) -> Callable[[], None]:
        def do() -> None:
            alarms.set_alarm(endpoint=serving, actor=None, **wanted)
            watch()

        return do

    plan = check(lambda: planned_acts.plan_alarm(endpoint=serving, actor=None, **P99), put(**P99))
    assert _actions(plan) == (["PutMetricAlarm"], [])
    assert (plan.before.per_hour, str(plan.after.per_month)) == (0, "0.10")
    assert "CloudWatch’s price" in plan.estimate
    other = P99 | {"threshold": 900}
    plan = check(
        lambda: planned_acts.plan_alarm(endpoint=serving, actor=None, **other), put(**other)
    )
    assert _actions(plan) == (["PutMetricAlarm"], [])
    (differs,) = plan.differs
    assert "1500" in differs.before
    assert "900" in differs.after
    so = planned_acts.plan_alarm(endpoint=serving, actor=None, **other)
    assert (so.code, so.differs) == ("", [])
    (row,) = alarms.of_endpoint(serving)

    def remove() -> None:
        alarms.remove(alarm=row, actor=None)
        watch()

    plan = check(lambda: planned_acts.plan_alarm_removal(alarm=row, actor=None), remove)
    assert _actions(plan) == (["DeleteAlarms"], [])
    assert (str(plan.before.per_month), plan.after.per_hour) == ("0.10", 0)


def test_switching_the_scaling_off_is_planned(serving: Endpoint, settle: Step, check: Any) -> None:
    scaled = settle(scaling.set_scaling(endpoint=serving, limits=LIMITS, actor=None))
    plan = check(
        lambda: planning.plan_scaling(endpoint=scaled, limits=None, actor=None),
        lambda: settle(scaling.set_scaling(endpoint=scaled, limits=None, actor=None)),
    )
    assert _actions(plan) == (["DeregisterScalableTarget"], [])


@pytest.mark.not_quick
def test_a_teardown_is_planned(
    serving: Endpoint,
    account: Account,
    settle: Step,
    advance: Step,
    watch: Watch,
    check: Any,
    settings: Any,
) -> None:
    settings.TEARDOWN_UNDO_S = 0
    scaled = settle(scaling.set_scaling(endpoint=serving, limits=LIMITS, actor=None))
    alarms.set_alarm(endpoint=scaled, actor=None, **P99)
    watch()

    def tear_down() -> None:
        services.request_teardown(endpoint=scaled, typed_name="demo", actor=None)
        for _ in range(20):
            advance(scaled)
            watch()
        assert Endpoint.objects.get().gone_at is not None

    plan = check(lambda: planned_acts.plan_teardown(endpoint=scaled), tear_down)
    assert _actions(plan) == (
        ["DeregisterScalableTarget", "DeleteEndpoint"],
        ["DeleteEndpointConfig", "DeleteModel", "DeleteAlarms"],
    )
    assert account.empty


# --- the page and the API


@pytest.mark.not_quick
def test_the_pages_show_the_plan_before_the_button(
    serving: Endpoint,
    account: Account,
    advance: Step,
    settle: Step,
    watch: Watch,
    client_of: Callable[[str], Client],
) -> None:
    client, url = client_of("admin"), f"/endpoints/{serving.pk}"
    alarms.set_alarm(endpoint=serving, actor=None, **P99)
    watch()
    (row,) = alarms.of_endpoint(serving)

    def shown(path: str, action: str, asked: dict[str, Any] | None = None) -> None:
        before = _rows()
        answer = client.post(url + path, {"plan": "1", **(asked or {})})
        page = answer.content.decode()
        assert answer.status_code == 200, path
        assert f"<code>{action}</code>" in page or action in page, path
        assert 'id="plan"' in page
        assert _rows() == before

    shown("/pause/", "DeleteEndpoint")
    hours = {"hours": "mon-fri 08:00-19:00", "zone": "Asia/Seoul"}
    shown("/hours/", "It is paused next at", hours)
    shown("/alarms/new/", "PutMetricAlarm", {"kind": "5xx"})
    shown(f"/alarms/{row.pk}/", "PutMetricAlarm", {"threshold": 5, "minutes": 5})
    shown(f"/alarms/{row.pk}/remove/", "DeleteAlarms")
    teardown = client.get(f"{url}/teardown/").content.decode()
    assert "sagemaker.delete_endpoint(" in teardown
    assert "cloudwatch.delete_alarms(" in teardown
    account.counts["demo"] = 3
    advance(serving)
    shown("/put-back/", "UpdateEndpointWeightsAndCapacities")
    planned = client.post(f"{url}/accept/", {"plan": "1", "reason": "load test"}).content.decode()
    assert "It serves as it runs now" in planned
    assert '<input type="hidden" name="reason" value="load test">' in planned
    settle(drift.put_back(endpoint=Endpoint.objects.get(), actor=None))
    answer = client.post(f"{url}/put-back/", {"plan": "1"}, follow=True)
    assert "is as it was requested here" in answer.content.decode()
    settle(scaling.set_scaling(endpoint=Endpoint.objects.get(), limits=LIMITS, actor=None))
    shown("/scaling/off/", "DeregisterScalableTarget")
    client.post(f"{url}/scaling/off/")
    settle(Endpoint.objects.get())
    client.post(f"{url}/pause/")
    settle(Endpoint.objects.get())
    shown("/resume/", "CreateEndpoint")


@pytest.mark.not_quick
def test_another_share_is_planned_on_the_page_and_then_made(
    account: Account, settle: Step, client_of: Callable[[str], Client], db: None
) -> None:
    two = (
        ProductionVariant("one", "ml.m5.large", 1, 9),
        ProductionVariant("two", "ml.m5.large", 1, 1),
    )
    endpoint = settle(services.create_endpoint(name="demo", variants=two, actor=None))
    client, url = client_of("operator"), f"/endpoints/{endpoint.pk}/weights/"
    form = client.get(f"/endpoints/{endpoint.pk}/").context["weights"]
    asked = {form.add_prefix(name): "5" for name in form.fields}
    page = client.post(url, {**asked, "plan": "1"}).content.decode()
    assert "UpdateEndpointWeightsAndCapacities" in page
    assert all(f'name="{name}" value="5"' in page for name in asked)
    assert Endpoint.objects.get().settled
    client.post(url, asked)
    assert [one.weight for one in settle(endpoint).requested.parts] == [5, 5]


@pytest.mark.not_quick
def test_the_operations_answer_with_plans(
    api: Api, serving: Endpoint, account: Account, advance: Step, watch: Watch
) -> None:
    before = _rows()
    asked = {
        "pause": (None, ["DeleteEndpoint"]),
        "resume": (None, []),
        "hours": ({"hours": "mon-fri 08:00-19:00", "zone": "Asia/Seoul"}, []),
        "scaling/off": (None, []),
        "alarms/p99": ({"threshold": 1500}, ["PutMetricAlarm"]),
    }
    for path, (body, actions) in asked.items():
        status, plan = api.ask("POST", f"{DEMO}/{path}/plan", body)
        assert status == 200, plan
        assert [one["action"] for one in plan["calls"]] == actions, path
    for path in ("restore", "accept"):
        assert api.ask("POST", f"{DEMO}/{path}/plan")[0] == 409
    assert api.ask("POST", f"{DEMO}/alarms/p99/plan", {"remove": True})[0] == 404
    assert api.ask("POST", f"{DEMO}/alarms/none/plan", {})[0] == 404
    status, plan = api.ask("POST", f"{DEMO}/teardown/plan", {"keep_model": True})
    assert status == 200, plan
    assert [one["action"] for one in plan["calls"]] == ["DeleteEndpoint", "DeleteEndpointConfig"]
    assert "get_waiter" in plan["code"]
    assert plan["cost_before"]["per_hour"] == "0.115"
    assert _rows() == before
    account.counts["demo"] = 3
    advance(serving)
    for path, actions in (("restore", ["UpdateEndpointWeightsAndCapacities"]), ("accept", [])):
        status, plan = api.ask("POST", f"{DEMO}/{path}/plan")
        assert (status, [one["action"] for one in plan["calls"]]) == (200, actions)


def test_who_may_not_pause_it_may_not_plan_that(
    user_in: Callable[[str], User], serving: Endpoint
) -> None:
    operator = Api(user_in("operator"))
    assert operator.ask("POST", f"{DEMO}/pause/plan")[0] == 403
    assert operator.ask("POST", f"{DEMO}/resume/plan")[0] == 200
