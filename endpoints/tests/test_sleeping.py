"""An endpoint sleeps and wakes, at once and by its working hours."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from activity.models import Event
from core import clock
from endpoints import reconciler, services, sleeping
from endpoints.limits import Limits
from endpoints.models import Endpoint
from endpoints.scaling import set_scaling
from endpoints.services import ChangeNotAllowed, SettingsChange
from endpoints.tests.account import Account, Crash
from endpoints.tests.conftest import CREATED
from endpoints.tests.test_crashes import survive
from endpoints.tests.test_endpoints_api import DEMO, Api

Step = Callable[[Endpoint], Endpoint]
HOURS, ZONE = "mon-fri 08:00-19:00", "Asia/Seoul"
#: A Monday, 10:00 in Seoul.
MONDAY = datetime(2026, 1, 5, 1, tzinfo=UTC)


def _told(endpoint: Endpoint) -> list[str]:
    return [event.action for event in Event.objects.about("endpoint", endpoint.pk)]


@pytest.fixture
def at(serving: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Put the clock to a time."""

    def put(moment: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda *_: moment)
        monkeypatch.setattr("django.utils.timezone.now", lambda: moment)

    put(MONDAY)
    Endpoint.objects.update(check_after=MONDAY)
    return put


def _settled(endpoint: Endpoint) -> Endpoint:
    for _ in range(30):
        Endpoint.objects.update(check_after=clock.now())
        reconciler.advance(endpoint.pk)
        endpoint = Endpoint.objects.get(pk=endpoint.pk)
        if endpoint.settled:
            return endpoint
    raise AssertionError(f"{endpoint.state} {endpoint.hint} {endpoint.failure}")


# --- at once


def test_it_sleeps_and_is_made_again_under_its_name(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    sleeping.sleep_now(endpoint=serving, actor=None)
    endpoint = settle(serving)
    assert (endpoint.state, endpoint.asleep, endpoint.settled) == ("asleep", True, True)
    assert (endpoint.serving, endpoint.has_instances) == (False, False)
    assert (endpoint.failure, endpoint.changed_outside) == ("", False)
    assert account.changes == [*CREATED, "-endpoint demo"]
    sleeping.sleep_now(endpoint=endpoint, actor=None)
    sleeping.wake_now(endpoint=endpoint, actor=None)
    endpoint = settle(endpoint)
    assert (endpoint.serving, endpoint.made_again) == (True, False)
    assert account.changes == [*CREATED, "-endpoint demo", "+endpoint demo"]
    told = _told(endpoint)
    assert (told.count("endpoint.asleep"), told.count("endpoint.deleted_outside")) == (1, 0)
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    assert settle(endpoint).gone_at is not None
    assert account.empty


@pytest.mark.parametrize("after_acting", [False, True])
@pytest.mark.parametrize("at_call", range(12))
@pytest.mark.parametrize("wish", ["sleep", "wake", "both", "teardown"])
def test_a_crash_at_any_call_ends_as_it_was_wished(
    serving: Endpoint, account: Account, at_call: int, after_acting: bool, wish: str
) -> None:
    account.looks = 1
    sleeping.sleep_now(endpoint=serving, actor=None)
    if wish == "wake":
        survive(serving, "present")
        sleeping.wake_now(endpoint=serving, actor=None)
    account.crash_at, account.crash_after_acting = account.calls + at_call, after_acting
    if wish in ("both", "teardown"):
        for _ in range(4):
            try:
                Endpoint.objects.update(check_after=serving.created_at, leased_until=None)
                reconciler.advance(serving.pk)
            except Crash:
                break
        sleeping.wake_now(endpoint=serving, actor=None)
    if wish == "teardown":
        Endpoint.objects.update(leased_until=None)
        services.request_teardown(endpoint=serving, typed_name="demo", actor=None)
        survive(serving, "absent")
        assert account.empty
        return
    Endpoint.objects.update(leased_until=None)
    endpoint, _ = survive(serving, "present")
    assert endpoint.failure == ""
    assert "endpoint.deleted_outside" not in _told(endpoint)
    if wish == "sleep":
        assert endpoint.asleep
        assert not account.endpoints
    else:
        assert endpoint.serving
        assert account.endpoints["demo"].status == "InService"
    assert len(account.configs) == len(account.models) == 1


def test_one_that_is_being_made_sleeps_when_it_can(
    endpoint: Endpoint, account: Account, settle: Step
) -> None:
    sleeping.sleep_now(endpoint=endpoint, actor=None)
    assert settle(endpoint).asleep
    sleeping.wake_now(endpoint=endpoint, actor=None)
    assert settle(endpoint).serving
    assert account.changes == CREATED


def test_a_change_is_finished_before_and_none_is_taken_meanwhile(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    change = SettingsChange(instance_type="ml.m5.xlarge")
    services.request_change(endpoint=serving, change=change, actor=None)
    sleeping.sleep_now(endpoint=serving, actor=None)
    endpoint = settle(serving)
    assert endpoint.asleep
    assert set(account.configs) == {"demo-r2"}
    with pytest.raises(ValidationError, match="Wake it"):
        services.request_change(endpoint=endpoint, change=change, actor=None)
    sleeping.wake_now(endpoint=endpoint, actor=None)
    assert str(settle(endpoint).running) == "1 × ml.m5.xlarge"


def test_what_is_scaled_is_scaled_again_when_it_wakes(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    limits = Limits(1, 3, 50)
    set_scaling(endpoint=serving, limits=limits, actor=None)
    settle(serving)
    sleeping.sleep_now(endpoint=serving, actor=None)
    endpoint = settle(serving)
    assert endpoint.asleep
    assert account.targets == {}
    sleeping.wake_now(endpoint=endpoint, actor=None)
    assert settle(endpoint).serving
    assert account.policies == {"demo": limits}
    assert "endpoint.scaling_lost" not in _told(endpoint)


# --- by its hours


def test_it_sleeps_in_the_evening_and_wakes_in_the_morning(
    serving: Endpoint, account: Account, at: Callable[[datetime], None]
) -> None:
    endpoint = sleeping.set_hours(endpoint=serving, hours=HOURS, zone=ZONE, actor=None)
    evening = datetime(2026, 1, 5, 10, tzinfo=UTC)  # 19:00 in Seoul
    assert endpoint.sleeps_at == evening
    assert sleeping.sweep() == 0
    at(evening - timedelta(hours=1))
    assert (sleeping.sweep(), sleeping.sweep()) == (1, 0)
    assert _told(serving).count("endpoint.sleeps_in_an_hour") == 1
    at(evening)
    assert sleeping.sweep() == 1
    endpoint = _settled(serving)
    assert endpoint.asleep
    assert endpoint.wakes_at == evening + timedelta(hours=13)
    at(evening + timedelta(hours=12, minutes=59))
    assert sleeping.sweep() == 0
    at(evening + timedelta(hours=13))
    assert sleeping.sweep() == 1
    endpoint = _settled(serving)
    assert endpoint.serving
    assert endpoint.sleeps_at == evening + timedelta(days=1)


def test_a_click_lets_it_stay_awake_for_two_hours_more(
    serving: Endpoint, at: Callable[[datetime], None]
) -> None:
    endpoint = sleeping.set_hours(endpoint=serving, hours=HOURS, zone=ZONE, actor=None)
    evening = endpoint.sleeps_at
    assert evening is not None
    at(evening - timedelta(hours=1))
    sleeping.sweep()
    endpoint = sleeping.stay_awake(endpoint=serving, actor=None)
    assert (endpoint.sleeps_at, endpoint.sleep_told) == (evening + timedelta(hours=2), False)
    at(evening + timedelta(hours=1))
    sleeping.sweep()
    assert Endpoint.objects.get().sleep_told


def test_one_that_was_not_told_of_waits_for_an_hour(
    serving: Endpoint, at: Callable[[datetime], None]
) -> None:
    endpoint = sleeping.set_hours(endpoint=serving, hours=HOURS, zone=ZONE, actor=None)
    assert endpoint.sleeps_at is not None
    late = endpoint.sleeps_at + timedelta(minutes=30)  # the portal did not run
    at(late)
    sleeping.sweep()
    endpoint = Endpoint.objects.get()
    assert (endpoint.to_sleep, endpoint.sleeps_at) == (False, late + timedelta(hours=1))
    at(late + timedelta(hours=1))
    sleeping.sweep()
    assert Endpoint.objects.get().to_sleep


def test_woken_at_night_it_sleeps_again_two_hours_later(
    serving: Endpoint, at: Callable[[datetime], None]
) -> None:
    sleeping.set_hours(endpoint=serving, hours=HOURS, zone=ZONE, actor=None)
    night = datetime(2026, 1, 5, 13, tzinfo=UTC)
    at(night)
    sleeping.sleep_now(endpoint=serving, actor=None)
    endpoint = sleeping.wake_now(endpoint=serving, actor=None)
    assert endpoint.sleeps_at == night + timedelta(hours=2)


def test_without_hours_it_sleeps_until_somebody_wakes_it(serving: Endpoint, settle: Step) -> None:
    sleeping.set_hours(endpoint=serving, hours=HOURS, zone=ZONE, actor=None)
    endpoint = sleeping.set_hours(endpoint=serving, hours="", actor=None)
    assert (endpoint.sleeps_at, endpoint.hours) == (None, "")
    sleeping.sleep_now(endpoint=serving, actor=None)
    assert settle(serving).wakes_at is None


@pytest.mark.parametrize(
    ("hours", "zone", "field"),
    [("always", ZONE, "hours"), ("mon-fri 08:00-08:30", ZONE, "hours"), (HOURS, "Mars", "zone")],
)
def test_what_is_no_hours_is_refused_by_field(
    serving: Endpoint, hours: str, zone: str, field: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        sleeping.set_hours(endpoint=serving, hours=hours, zone=zone, actor=None)
    assert set(refused.value.message_dict) == {field}


def test_who_may_tear_down_none_lets_their_own_sleep_alone(serving: Endpoint, user_in: Any) -> None:
    operator = user_in("operator")
    with pytest.raises(ChangeNotAllowed):
        sleeping.sleep_now(endpoint=serving, actor=operator)
    with pytest.raises(ChangeNotAllowed):
        sleeping.set_hours(endpoint=serving, hours=HOURS, zone=ZONE, actor=operator)
    Endpoint.objects.update(created_by=operator)
    assert sleeping.sleep_now(endpoint=serving, actor=operator).to_sleep


# --- pages and API


def test_the_pages(serving: Endpoint, client_of: Any, settle: Step) -> None:
    admin, viewer = client_of("admin"), client_of("viewer")
    address = serving.get_absolute_url()
    assert admin.post(f"{address}hours/", {"hours": "nonsense", "zone": ZONE}).status_code == 400
    assert admin.post(f"{address}hours/", {"hours": HOURS, "zone": ZONE}).status_code == 302
    page = " ".join(admin.get(address).content.decode().split())
    assert HOURS in page
    assert "sleeps" in page
    assert viewer.post(f"{address}sleep/").status_code == 403
    admin.post(f"{address}sleep/")
    settle(serving)
    page = admin.get(address).content.decode()
    assert f"{address}wake/" in page
    assert "Asleep" in admin.get("/endpoints/").content.decode()
    admin.post(f"{address}wake/")
    assert settle(serving).serving
    assert admin.post(f"{address}stay-awake/").status_code == 302


def test_the_api(serving: Endpoint, user_in: Any, settle: Step) -> None:
    api = Api(user_in("admin"))
    status, shown = api.ask("PUT", f"{DEMO}/hours", {"hours": HOURS, "zone": ZONE})
    assert (status, shown["hours"], shown["hours_zone"]) == (200, HOURS, ZONE), shown
    assert shown["sleeps_at"]
    assert api.ask("PUT", f"{DEMO}/hours", {"hours": "x", "zone": ZONE})[0] == 422
    status, shown = api.ask("POST", f"{DEMO}/sleep")
    assert (status, shown["settled"]) == (202, False)
    settle(serving)
    shown = api.ask("GET", DEMO)[1]
    assert (shown["state"], shown["settled"], shown["cost"]) == ("asleep", True, None)
    assert shown["wakes_at"]
    assert api.ask("POST", f"{DEMO}/awake")[0] == 409
    assert api.ask("POST", f"{DEMO}/wake")[0] == 202
    settle(serving)
    assert api.ask("POST", f"{DEMO}/awake")[0] == 200
    status, shown = api.ask("PUT", f"{DEMO}/hours", {"hours": ""})
    assert (status, shown["hours"], shown["sleeps_at"]) == (200, "", None)
