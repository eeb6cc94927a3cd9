"""Alarms: asked for, made by a job, their states told, and removed with their endpoint."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils.translation import override

from activity.models import Event
from core import aws, errors
from endpoints import alarm_presets, alarms, cloudwatch, sagemaker, services
from endpoints.alarm_presets import PRESETS, AlarmKind
from endpoints.models import AlarmWatch, Endpoint, EndpointAlarm
from endpoints.tests.account import Account, Crash
from endpoints.tests.test_endpoints_api import DEMO, Api, api

__all__ = ["api"]
Step = Callable[[Endpoint], Endpoint]
Watch = Callable[[], AlarmWatch]
NAME = "mme-portal.demo.p99.AllTraffic"
State = EndpointAlarm.State


def _set(endpoint: Endpoint, kind: str = AlarmKind.LATENCY, **more: Any) -> EndpointAlarm:
    wanted = {"threshold": None, "minutes": None, "actor": None, "variant": "AllTraffic"} | more
    return alarms.set_alarm(endpoint=endpoint, kind=kind, **wanted)


def _told(endpoint: Endpoint) -> list[str]:
    rows = Event.objects.filter(subject_id=endpoint.pk, action__startswith="endpoint.alarm")
    return list(rows.order_by("pk").values_list("action", flat=True))


def _again(row: EndpointAlarm) -> EndpointAlarm:
    return EndpointAlarm.objects.get(pk=row.pk)


@pytest.mark.not_quick
def test_an_alarm_is_made_with_the_portals_tags_and_its_state_is_told(
    serving: Endpoint, account: Account, watch: Watch
) -> None:
    row = _set(serving)
    assert (row.state, row.threshold, row.minutes) == (State.REQUESTED, 2000, 5)
    watch()
    assert _again(row).state == State.NO_DATA
    assert account.tags[NAME] == {sagemaker.TAG: "demo"}
    account.goes(NAME, "OK")
    watch()
    account.goes(NAME, "ALARM")
    watch()
    watch()
    assert (_again(row).state, _again(row).reason) == (State.ALARM, "Threshold Crossed.")
    account.goes(NAME, "OK")
    watch()
    assert _told(serving) == [
        "endpoint.alarm_requested", "endpoint.alarm_on", "endpoint.alarm_over",
    ]  # fmt: skip
    assert account.changes[-1] == f"+alarm {NAME}"


def test_it_is_changed_and_removed(serving: Endpoint, account: Account, watch: Watch) -> None:
    row = _set(serving)
    watch()
    assert _set(serving, threshold=2000).asked == row.asked
    _set(serving, threshold=500, minutes=1)
    watch()
    assert account.alarms[NAME].does["Threshold"] == 500_000
    assert account.alarms[NAME].does["Period"] == 60
    alarms.remove(alarm=_again(row), actor=None)
    watch()
    assert (account.alarms, EndpointAlarm.objects.count()) == ({}, 0)
    assert _told(serving)[-1] == "endpoint.alarm_removed"


@pytest.mark.parametrize("acted", [False, True])
@pytest.mark.parametrize("kind", ["put", "delete"])
def test_what_a_killed_worker_left_is_done_by_the_next(
    serving: Endpoint, account: Account, watch: Watch, kind: str, *, acted: bool
) -> None:
    row = _set(serving)
    if kind == "delete":
        watch()
        alarms.remove(alarm=_again(row), actor=None)
    begun = account.calls
    for number in range(6):
        account.crash_at, account.crash_after_acting = begun + number, acted
        try:
            watch()
        except Crash:
            begun = account.calls - number - 1
        account.crash_at = None
    watch()
    if kind == "put":
        assert _again(row).state == State.NO_DATA
        assert list(account.alarms) == [NAME]
    else:
        assert (account.alarms, EndpointAlarm.objects.count()) == ({}, 0)


@pytest.mark.not_quick
def test_a_teardown_takes_the_alarms_and_whatever_has_their_prefix(
    serving: Endpoint, account: Account, watch: Watch, advance: Step
) -> None:
    for kind in AlarmKind:
        _set(serving, kind)
    watch()
    account._put_alarm(
        "mme-portal.demo.old.AllTraffic", account.alarms[NAME].does, description="", tags={}
    )
    services.request_teardown(endpoint=serving, typed_name="demo", actor=None)
    endpoint = serving
    for _ in range(20):
        endpoint = advance(endpoint)
    assert endpoint.gone_at is None
    assert len(account.alarms) == 6
    assert endpoint.hint_said.stable_code == "endpoint.removing_alarms"
    assert not account.endpoints
    watch()
    assert advance(endpoint).gone_at is not None
    assert account.empty
    with pytest.raises(ValidationError, match="torn down"):
        _set(endpoint)


@pytest.mark.not_quick
def test_a_teardown_says_why_an_alarm_stays(
    serving: Endpoint, account: Account, watch: Watch, settle: Step, advance: Step
) -> None:
    _set(serving)
    watch()
    services.request_teardown(endpoint=serving, typed_name="demo", actor=None)
    for _ in range(20):
        advance(serving)
    account.failures["delete_alarm"] = [errors.Denied("cloudwatch:DeleteAlarms is missing.")]
    watch()
    endpoint = settle(serving)
    assert "cloudwatch:DeleteAlarms" in str(endpoint.failure_said)
    watch()
    assert advance(endpoint).gone_at is not None


def test_a_refusal_is_told_and_tried_again_and_the_others_are_made(
    serving: Endpoint, account: Account, watch: Watch
) -> None:
    refused, made = _set(serving, AlarmKind.ERRORS), _set(serving)
    account.failures["put_alarm"] = [errors.Denied("cloudwatch:PutMetricAlarm is missing.")]
    account.failures["listed_alarms"] = [errors.Denied("cloudwatch:DescribeAlarms is missing.")]
    row = watch()
    assert "DescribeAlarms" in str(row.problem_said)
    assert "PutMetricAlarm" in str(_again(refused).failure_said)
    assert (NAME in account.alarms, _again(made).state) == (True, State.REQUESTED)
    assert not watch().problem
    assert not _again(refused).failure
    assert {_again(one).state for one in (refused, made)} <= {State.NO_DATA, State.REQUESTED}


def test_one_that_was_changed_or_deleted_outside_is_put_back(
    serving: Endpoint, account: Account, watch: Watch
) -> None:
    row = _set(serving)
    watch()
    del account.alarms[NAME]
    watch()
    assert NAME in account.alarms
    assert _told(serving)[-1] == "endpoint.alarm_lost"
    watch()
    assert _again(row).state == State.NO_DATA


def test_nobody_is_told_of_an_endpoint_that_is_paused(
    serving: Endpoint, account: Account, watch: Watch
) -> None:
    _set(serving, AlarmKind.NO_CALLS)
    watch()
    Endpoint.objects.update(to_pause=True)
    account.goes("mme-portal.demo.no-calls.AllTraffic", "ALARM")
    watch()
    assert "endpoint.alarm_on" not in _told(serving)
    Endpoint.objects.update(to_pause=False)
    watch()
    assert _told(serving)[-1] == "endpoint.alarm_on"


def test_what_is_asked_meanwhile_is_not_overwritten(
    serving: Endpoint, account: Account, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = _set(serving)
    watch()
    listed, asked = cloudwatch.listed_alarms, []

    def and_somebody_changes_it(prefix: str = "") -> Any:
        found = list(listed(prefix))
        if not asked:
            asked.append(_set(serving, threshold=500))
        return iter(found)

    monkeypatch.setattr(cloudwatch, "listed_alarms", and_somebody_changes_it)
    watch()
    watch()
    assert account.alarms[NAME].does["Threshold"] == 500_000
    assert _again(row).state == State.NO_DATA


@pytest.mark.parametrize(
    ("given", "field"),
    [({"threshold": 0}, "threshold"), ({"minutes": 1441}, "minutes"), ({"threshold": 60_001}, "t")],
)
def test_what_cannot_be_is_refused_by_field(
    serving: Endpoint, given: dict[str, int], field: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        _set(serving, **given)
    assert any(name.startswith(field) for name in caught.value.message_dict)
    assert not EndpointAlarm.objects.exists()


# --- pages and API ---


@pytest.mark.not_quick
def test_by_the_api(api: Api, serving: Endpoint, watch: Watch) -> None:
    path = f"{DEMO}/alarms"
    status, made = api.ask("PUT", f"{path}/p99", {"threshold": 1500})
    assert (status, made["state"], made["alarm_name"]) == (202, "requested", NAME)
    assert made["condition"] == "the slowest percent of the calls above 1500 ms, over 5 min"
    watch()
    status, found = api.ask("GET", path)
    assert [(one["name"], one["state"]) for one in found["items"]] == [("p99", "insufficient_data")]
    assert (found["problem"], found["looked_at"] is not None) == (None, True)
    assert api.ask("GET", f"{path}/p99?wait=1")[0] == 200
    assert api.ask("POST", f"{path}/p99/test")[0] == 200
    assert _told(serving)[-1] == "endpoint.alarm_tested"
    assert api.ask("DELETE", f"{path}/p99")[1]["state"] == "deleting"
    watch()
    assert api.ask("GET", f"{path}/p99")[0] == 404
    assert api.ask("PUT", f"{path}/slow", {})[0] == 404
    assert api.ask("PUT", f"{path}/p99.other", {})[0] == 404


def test_of_several_variants_each_has_its_own(serving: Endpoint) -> None:
    rows = [
        {"name": name, "instance_type": "ml.m5.large", "instance_count": 1, "weight": 1}
        for name in ("large", "small")
    ]
    serving.variants = rows
    assert alarms.parse_key(serving, "p99.small") == ("p99", "small")
    with pytest.raises(ValidationError, match=r"p99\.large"):
        alarms.parse_key(serving, "p99")


def _page(client: Client, address: str) -> str:
    return " ".join(client.get(address).content.decode().split())


@pytest.mark.not_quick
@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_on_the_pages(
    role: str, serving: Endpoint, client_of: Callable[[str], Client], watch: Watch
) -> None:
    client, tab = client_of(role), f"/endpoints/{serving.pk}/alarms/"
    page = _page(client, tab)
    assert "No alarm watches this endpoint" in page
    assert (f"{tab}new/" in page) == (role == "operator")
    asked = {"kind": "5xx", "threshold": "3", "minutes": ""}
    answer = client.post(f"{tab}new/", asked)
    assert answer.status_code == (302 if role == "operator" else 403)
    if role == "viewer":
        return
    row = EndpointAlarm.objects.get()
    page = _page(client, tab)
    assert "3 or more failed calls in 5 min" in page
    assert 'hx-trigger="every 1s"' in page
    watch()
    assert 'hx-trigger="every 1s"' not in _page(client, tab)
    assert 'value="3"' in _page(client, f"{tab}{row.pk}/")
    client.post(f"{tab}{row.pk}/", {"threshold": "4", "minutes": "10"})
    assert (_again(row).threshold, _again(row).minutes) == (4, 10)
    assert client.post(f"{tab}{row.pk}/test/").status_code == 302
    assert client.post(f"{tab}{row.pk}/remove/").status_code == 302
    assert _again(row).removing
    assert client.post(f"{tab}new/", asked | {"threshold": "0"}).status_code == 400


@pytest.mark.not_quick
def test_a_change_offers_the_alarms_that_send_it_back(
    serving: Endpoint, client_of: Callable[[str], Client], account: Account, settle: Step
) -> None:
    _set(serving)
    client, address = client_of("admin"), f"/endpoints/{serving.pk}/change/"
    assert f'name="own_alarms" value="{NAME}"' in _page(client, address)
    asked = {
        "instance_type": "ml.m5.xlarge", "instance_count": "1", "image": serving.image,
        "policy": "all_at_once", "percent": "", "wait_s": "60", "alarms": "other, " + NAME,
        "own_alarms": [NAME], "model_cache": "on",
    }  # fmt: skip
    answer = client.post(address, asked)
    assert answer.status_code == 302, answer.context["form"].errors
    settle(serving)
    assert account.policy is not None
    assert account.policy.alarms == (NAME, "other")


def test_its_events_are_told_to_webhooks() -> None:
    from notices import kinds

    for code in ("endpoint.alarm_on", "endpoint.alarm_over", "endpoint.alarm_tested"):
        found = kinds.of_event(code)
        assert found is not None
        assert found.name == "endpoint.alarm"


# --- the calls -----------------------------------------------------------------------------


def test_the_calls_on_the_wire() -> None:
    does = cloudwatch.alarm_arguments(
        PRESETS["cache-hits"], endpoint="demo", variant="v", threshold=60, minutes=15
    )
    assert (does["Threshold"], does["Period"], does["Statistic"]) == (0.6, 900, "Average")
    now = datetime.now(UTC)
    with Stubber(aws.cloudwatch()) as stubber:
        tags = [{"Key": "k", "Value": "v"}]
        asked = {"AlarmName": "a", "AlarmDescription": "d", "Tags": tags, **does}
        stubber.add_response("put_metric_alarm", {}, asked)
        cloudwatch.put_alarm("a", does, description="d", tags={"k": "v"})
        described = {
            "AlarmName": "a", "AlarmArn": "arn", "StateValue": "OK", "StateReason": "r",
            "StateUpdatedTimestamp": now, "AlarmConfigurationUpdatedTimestamp": now, **does,
            "Dimensions": does["Dimensions"][::-1],
        }  # fmt: skip
        stubber.add_response(
            "describe_alarms",
            {"MetricAlarms": [described]},
            {"AlarmTypes": ["MetricAlarm"], "AlarmNamePrefix": "a"},
        )
        (found,) = cloudwatch.listed_alarms("a")
        assert (found.does, found.changed_at) == (does, now)
        stubber.add_client_error("delete_alarms", "ResourceNotFound")
        with pytest.raises(errors.NotFound):
            cloudwatch.delete_alarm("a")
        stubber.add_client_error("put_metric_alarm", "LimitExceeded", "Too many.", 400)
        with pytest.raises(errors.Invalid, match="Too many"):
            cloudwatch.put_alarm("a", does, description="d", tags={})
        stubber.add_client_error(
            "put_metric_alarm", "AccessDenied",
            "User: u is not authorized to perform: cloudwatch:PutMetricAlarm on resource: r", 403,
        )  # fmt: skip
        with pytest.raises(errors.Denied, match="cloudwatch:PutMetricAlarm"):
            cloudwatch.put_alarm("a", does, description="d", tags={})


@pytest.mark.parametrize("kind", list(AlarmKind))
def test_each_says_when_it_goes_off(kind: str) -> None:
    for language in ("en", "ko"):
        with override(language):
            assert "7" in str(alarm_presets.condition(kind, 3, 7))
