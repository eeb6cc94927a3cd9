"""An endpoint is paused and resumes, at once and by its working hours."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from activity.models import Event
from core import clock
from endpoints import pausing, reconciler, services
from endpoints.limits import Limits
from endpoints.models import Endpoint
from endpoints.scaling import set_scaling
from endpoints.services import ChangeNotAllowed, SettingsChange
from endpoints.tests.account import Account, Crash
from endpoints.tests.conftest import CREATED
from endpoints.tests.test_crashes import survive
from endpoints.tests.test_endpoints_api import DEMO, Api
from notices import kinds

Step = Callable[[Endpoint], Endpoint]
HOURS, ZONE = "mon-fri 08:00-19:00", "Asia/Seoul"
#: Outside calls until what was wished is so.
CALLS = {"pause": 4, "resume": 9, "both": 13, "teardown": 12}
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


@pytest.mark.not_quick
def test_it_is_paused_and_made_again_under_its_name(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    pausing.pause_now(endpoint=serving, actor=None)
    endpoint = settle(serving)
    assert (endpoint.state, endpoint.paused, endpoint.settled) == ("paused", True, True)
    assert (endpoint.serving, endpoint.has_instances) == (False, False)
    assert (endpoint.failure, endpoint.changed_outside) == ("", False)
    assert account.changes == [*CREATED, "-endpoint demo"]
    pausing.pause_now(endpoint=endpoint, actor=None)
    pausing.resume_now(endpoint=endpoint, actor=None)
    endpoint = settle(endpoint)
    assert (endpoint.serving, endpoint.made_again) == (True, False)
    assert account.changes == [*CREATED, "-endpoint demo", "+endpoint demo"]
    told = _told(endpoint)
    assert (told.count("endpoint.paused"), told.count("endpoint.deleted_outside")) == (1, 0)
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    assert settle(endpoint).gone_at is not None
    assert account.empty


@pytest.mark.slow
@pytest.mark.parametrize("after_acting", [False, True])
@pytest.mark.parametrize(
    ("wish", "at_call"), [(wish, at) for wish in CALLS for at in range(CALLS[wish] + 1)]
)
def test_a_crash_at_any_call_ends_as_it_was_wished(
    serving: Endpoint, account: Account, at_call: int, after_acting: bool, wish: str
) -> None:
    account.looks = 1
    pausing.pause_now(endpoint=serving, actor=None)
    if wish == "resume":
        survive(serving, "present")
        pausing.resume_now(endpoint=serving, actor=None)
    account.crash_at, account.crash_after_acting = account.calls + at_call, after_acting
    planned = at_call < CALLS[wish]
    if wish in ("both", "teardown"):
        for _ in range(4):
            try:
                Endpoint.objects.update(check_after=serving.created_at, leased_until=None)
                reconciler.advance(serving.pk)
            except Crash:
                planned = False
                break
        pausing.resume_now(endpoint=serving, actor=None)
    if wish == "teardown":
        Endpoint.objects.update(leased_until=None)
        services.request_teardown(endpoint=serving, typed_name="demo", actor=None)
        survive(serving, "absent", planned=planned)
        assert account.empty
        return
    Endpoint.objects.update(leased_until=None)
    endpoint, _ = survive(serving, "present", planned=planned)
    assert endpoint.failure == ""
    assert "endpoint.deleted_outside" not in _told(endpoint)
    if wish == "pause":
        assert endpoint.paused
        assert not account.endpoints
    else:
        assert endpoint.serving
        assert account.endpoints["demo"].status == "InService"
    assert len(account.configs) == len(account.models) == 1


@pytest.mark.not_quick
def test_one_that_is_being_made_is_paused_when_it_can(
    endpoint: Endpoint, account: Account, settle: Step
) -> None:
    pausing.pause_now(endpoint=endpoint, actor=None)
    assert settle(endpoint).paused
    pausing.resume_now(endpoint=endpoint, actor=None)
    assert settle(endpoint).serving
    assert account.changes == CREATED


@pytest.mark.not_quick
def test_a_change_is_finished_before_and_none_is_taken_meanwhile(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    change = SettingsChange(instance_type="ml.m5.xlarge")
    services.request_change(endpoint=serving, change=change, actor=None)
    pausing.pause_now(endpoint=serving, actor=None)
    endpoint = settle(serving)
    assert endpoint.paused
    assert set(account.configs) == {"demo-r2"}
    with pytest.raises(ValidationError, match="Resume it"):
        services.request_change(endpoint=endpoint, change=change, actor=None)
    pausing.resume_now(endpoint=endpoint, actor=None)
    assert str(settle(endpoint).running) == "1 × ml.m5.xlarge"


@pytest.mark.not_quick
@pytest.mark.parametrize("scaled", [False, True])
def test_what_is_deleted_outside_in_a_change_before_a_pause_is_paused(
    serving: Endpoint, account: Account, settle: Step, advance: Step, scaled: bool
) -> None:
    """A random walk with real processes found that it stood still, and could not be decided on."""
    if scaled:
        set_scaling(endpoint=serving, limits=Limits(1, 3, 50), actor=None)
        settle(serving)
    change = SettingsChange(instance_type="ml.m5.xlarge")
    services.request_change(endpoint=serving, change=change, actor=None)
    account.looks = 50
    endpoint = serving
    for _ in range(6):
        endpoint = advance(endpoint)
    assert endpoint.updating
    pausing.pause_now(endpoint=endpoint, actor=None)
    account.looks = 1
    account.moving.pop("demo", None)
    del account.endpoints["demo"]
    endpoint = settle(endpoint)
    assert endpoint.paused
    assert (endpoint.failure, account.targets) == ("", {})
    assert "endpoint.deleted_outside" not in _told(endpoint)
    pausing.resume_now(endpoint=endpoint, actor=None)
    endpoint = settle(endpoint)
    assert (endpoint.serving, str(endpoint.running)) == (True, "1 × ml.m5.xlarge")


@pytest.mark.not_quick
def test_what_is_scaled_is_scaled_again_when_it_resumes(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    limits = Limits(1, 3, 50)
    set_scaling(endpoint=serving, limits=limits, actor=None)
    settle(serving)
    pausing.pause_now(endpoint=serving, actor=None)
    endpoint = settle(serving)
    assert endpoint.paused
    assert account.targets == {}
    pausing.resume_now(endpoint=endpoint, actor=None)
    assert settle(endpoint).serving
    assert account.policies == {"demo": limits}
    assert "endpoint.scaling_lost" not in _told(endpoint)


# --- by its hours


@pytest.mark.not_quick
def test_it_is_paused_in_the_evening_and_resumed_in_the_morning(
    serving: Endpoint, account: Account, at: Callable[[datetime], None]
) -> None:
    endpoint = pausing.set_hours(endpoint=serving, hours=HOURS, zone=ZONE, actor=None)
    evening = datetime(2026, 1, 5, 10, tzinfo=UTC)  # 19:00 in Seoul
    assert endpoint.pauses_at == evening
    assert (pausing.sweep(), pausing.sweep()) == (1, 0)
    assert _told(serving)[0] == "endpoint.pauses_first"  # it is less than a day away
    at(evening - timedelta(hours=1))
    assert (pausing.sweep(), pausing.sweep()) == (1, 0)
    assert _told(serving).count("endpoint.pauses_in_an_hour") == 1
    at(evening)
    assert pausing.sweep() == 1
    endpoint = _settled(serving)
    assert endpoint.paused
    assert endpoint.resumes_at == evening + timedelta(hours=13)
    at(evening + timedelta(hours=12, minutes=59))
    assert pausing.sweep() == 0
    at(evening + timedelta(hours=13))
    assert pausing.sweep() == 1
    endpoint = _settled(serving)
    assert endpoint.serving
    assert endpoint.pauses_at == evening + timedelta(days=1)


@pytest.mark.not_quick
def test_the_first_pause_by_other_hours_is_told_of_a_day_before(
    serving: Endpoint, at: Callable[[datetime], None], client_of: Any
) -> None:
    hours = "mon-fri 00:00-24:00"
    endpoint = pausing.set_hours(endpoint=serving, hours=hours, zone=ZONE, actor=None)
    end = datetime(2026, 1, 9, 15, tzinfo=UTC)  # the midnight after Friday in Seoul
    assert endpoint.pauses_at == end
    at(end - timedelta(days=1, minutes=1))
    assert pausing.sweep() == 0
    at(end - timedelta(days=1))
    assert (pausing.sweep(), pausing.sweep()) == (1, 0)
    told = [event for event in Event.objects.about("endpoint", serving.pk) if event.parameters]
    first = next(event for event in told if event.action == "endpoint.pauses_first")
    assert f"for the first time by them at {end:%Y-%m-%d %H:%M} UTC" in first.sentence
    act = kinds.act_of("endpoint.pauses_first")
    assert act is not None
    endpoint = Endpoint.objects.get()
    assert (endpoint.pauses_first, endpoint.pauses_soon) == (True, False)
    client, address = client_of("operator"), serving.get_absolute_url()
    page = client.get(address).content.decode()
    assert "it is paused for the first time" in page
    assert f"{address}{act.below}" in page
    assert client.get(f"{address}{act.below}").status_code == 200
    client.post(f"{address}{act.below}")
    assert Endpoint.objects.get().pauses_at == end + timedelta(days=1)
    # Told of once: then an hour before alone, and no more after it was paused by them.
    at(end + timedelta(hours=23))
    assert pausing.sweep() == 1
    at(end + timedelta(days=1))
    assert pausing.sweep() == 1
    assert (Endpoint.objects.get().first_pause, Endpoint.objects.get().to_pause) == ("", True)
    assert _told(serving).count("endpoint.pauses_first") == 1
    assert _told(serving).count("endpoint.pauses_in_an_hour") == 1


def test_a_first_pause_in_an_hour_is_told_of_once(
    serving: Endpoint, at: Callable[[datetime], None]
) -> None:
    at(datetime(2026, 1, 5, 9, 30, tzinfo=UTC))  # 18:30 in Seoul
    pausing.set_hours(endpoint=serving, hours=HOURS, zone=ZONE, actor=None)
    while pausing.sweep():
        pass
    assert "endpoint.pauses_first" not in _told(serving)
    assert _told(serving).count("endpoint.pauses_in_an_hour") == 1


def test_it_is_extended_by_a_day_by_the_api(
    serving: Endpoint, user_in: Any, at: Callable[[datetime], None]
) -> None:
    endpoint = pausing.set_hours(endpoint=serving, hours=HOURS, zone=ZONE, actor=None)
    evening = endpoint.pauses_at
    assert evening is not None
    status, said = Api(user_in("admin")).ask("POST", f"{DEMO}/extend?day=true")
    assert status == 200, said
    assert Endpoint.objects.get().pauses_at == evening + timedelta(days=1)


def test_a_click_lets_it_extend_for_two_hours_more(
    serving: Endpoint, at: Callable[[datetime], None]
) -> None:
    endpoint = pausing.set_hours(endpoint=serving, hours=HOURS, zone=ZONE, actor=None)
    evening = endpoint.pauses_at
    assert evening is not None
    at(evening - timedelta(hours=1))
    pausing.sweep()
    endpoint = pausing.extend(endpoint=serving, actor=None)
    assert (endpoint.pauses_at, endpoint.pause_told) == (evening + timedelta(hours=2), False)
    at(evening + timedelta(hours=1))
    pausing.sweep()
    assert Endpoint.objects.get().pause_told


def test_one_that_was_not_told_of_waits_for_an_hour(
    serving: Endpoint, at: Callable[[datetime], None]
) -> None:
    endpoint = pausing.set_hours(endpoint=serving, hours=HOURS, zone=ZONE, actor=None)
    assert endpoint.pauses_at is not None
    late = endpoint.pauses_at + timedelta(minutes=30)  # the portal did not run
    at(late)
    pausing.sweep()
    endpoint = Endpoint.objects.get()
    assert (endpoint.to_pause, endpoint.pauses_at) == (False, late + timedelta(hours=1))
    at(late + timedelta(hours=1))
    pausing.sweep()
    assert Endpoint.objects.get().to_pause


def test_resumed_at_night_it_is_paused_again_two_hours_later(
    serving: Endpoint, at: Callable[[datetime], None]
) -> None:
    pausing.set_hours(endpoint=serving, hours=HOURS, zone=ZONE, actor=None)
    night = datetime(2026, 1, 5, 13, tzinfo=UTC)
    at(night)
    pausing.pause_now(endpoint=serving, actor=None)
    endpoint = pausing.resume_now(endpoint=serving, actor=None)
    assert endpoint.pauses_at == night + timedelta(hours=2)


@pytest.mark.not_quick
def test_one_that_somebody_deleted_outside_is_not_made_again_by_its_hours(
    serving: Endpoint, account: Account, at: Callable[[datetime], None]
) -> None:
    pausing.set_hours(endpoint=serving, hours=HOURS, zone=ZONE, actor=None)
    del account.endpoints["demo"]
    endpoint = _settled(serving)
    assert endpoint.deleted_outside
    for hours in (8, 9, 10, 22, 33, 34):  # two evenings and the morning between them
        at(MONDAY + timedelta(hours=hours, minutes=1))
        pausing.sweep()
        endpoint = _settled(endpoint)
    # A person decides, and has it made again: it is paused that evening at the earliest.
    assert (endpoint.deleted_outside, endpoint.to_pause) == (True, False)
    assert account.changes == CREATED
    assert endpoint.pauses_at is not None
    assert endpoint.pauses_at > clock.now()
    told = _told(endpoint)
    assert not {"endpoint.paused_by_hours", "endpoint.pauses_in_an_hour"} & set(told)


def test_without_hours_it_is_paused_until_somebody_resumes_it(
    serving: Endpoint, settle: Step
) -> None:
    pausing.set_hours(endpoint=serving, hours=HOURS, zone=ZONE, actor=None)
    endpoint = pausing.set_hours(endpoint=serving, hours="", actor=None)
    assert (endpoint.pauses_at, endpoint.hours) == (None, "")
    pausing.pause_now(endpoint=serving, actor=None)
    assert settle(serving).resumes_at is None


@pytest.mark.parametrize(
    ("hours", "zone", "field"),
    [("always", ZONE, "hours"), ("mon-fri 08:00-08:30", ZONE, "hours"), (HOURS, "Mars", "zone")],
)
def test_what_is_no_hours_is_refused_by_field(
    serving: Endpoint, hours: str, zone: str, field: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        pausing.set_hours(endpoint=serving, hours=hours, zone=zone, actor=None)
    assert set(refused.value.message_dict) == {field}


def test_who_may_tear_down_none_pauses_their_own_alone(serving: Endpoint, user_in: Any) -> None:
    operator = user_in("operator")
    with pytest.raises(ChangeNotAllowed):
        pausing.pause_now(endpoint=serving, actor=operator)
    with pytest.raises(ChangeNotAllowed):
        pausing.set_hours(endpoint=serving, hours=HOURS, zone=ZONE, actor=operator)
    Endpoint.objects.update(created_by=operator)
    assert pausing.pause_now(endpoint=serving, actor=operator).to_pause


# --- pages and API


@pytest.mark.not_quick
def test_the_pages(serving: Endpoint, client_of: Any, settle: Step) -> None:
    admin, viewer = client_of("admin"), client_of("viewer")
    address = serving.get_absolute_url()
    assert admin.post(f"{address}hours/", {"hours": "nonsense", "zone": ZONE}).status_code == 400
    assert admin.post(f"{address}hours/", {"hours": HOURS, "zone": ZONE}).status_code == 302
    page = " ".join(admin.get(address).content.decode().split())
    assert HOURS in page
    assert "is paused" in page
    assert viewer.post(f"{address}pause/").status_code == 403
    admin.post(f"{address}pause/")
    settle(serving)
    page = admin.get(address).content.decode()
    assert f"{address}resume/" in page
    assert "Paused" in admin.get("/endpoints/").content.decode()
    admin.post(f"{address}resume/")
    assert settle(serving).serving
    assert admin.post(f"{address}extend/").status_code == 302


@pytest.mark.not_quick
def test_the_api(serving: Endpoint, user_in: Any, settle: Step) -> None:
    api = Api(user_in("admin"))
    status, shown = api.ask("PUT", f"{DEMO}/hours", {"hours": HOURS, "zone": ZONE})
    assert (status, shown["hours"], shown["hours_zone"]) == (200, HOURS, ZONE), shown
    assert shown["pauses_at"]
    assert api.ask("PUT", f"{DEMO}/hours", {"hours": "x", "zone": ZONE})[0] == 422
    status, shown = api.ask("POST", f"{DEMO}/pause")
    assert (status, shown["settled"]) == (202, False)
    settle(serving)
    shown = api.ask("GET", DEMO)[1]
    assert (shown["state"], shown["settled"], shown["cost"]) == ("paused", True, None)
    assert shown["resumes_at"]
    assert api.ask("POST", f"{DEMO}/extend")[0] == 409
    assert api.ask("POST", f"{DEMO}/resume")[0] == 202
    settle(serving)
    assert api.ask("POST", f"{DEMO}/extend")[0] == 200
    status, shown = api.ask("PUT", f"{DEMO}/hours", {"hours": ""})
    assert (status, shown["hours"], shown["pauses_at"]) == (200, "", None)
