"""Idle hours: nobody calls an endpoint, it is told of, and torn down; unless somebody calls it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from activity.models import Event
from core import clock, errors
from endpoints import idling, last_calls, services
from endpoints.models import Endpoint, Resource
from endpoints.services import ChangeNotAllowed
from endpoints.tests.test_endpoints_api import DEMO, PATH, Api, api
from invocations.models import Invocation

__all__ = ["api"]
NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
LAG = idling.METRICS_LAG
CODES = {
    "endpoint.idle_ends_in_a_day": "day",
    "endpoint.idle_ends_in_an_hour": "hour",
    "endpoint.idle_unknown": "unknown",
    "endpoint.idle_over": "over",
    "endpoint.teardown_requested": "teardown",
}


class World:
    """The time, and what the portal and SageMaker's metrics know of calls."""

    def __init__(self) -> None:
        self.at = NOW
        self.called: list[datetime] = []
        self.problem: errors.AwsError | None = None
        self.asked: list[datetime] = []

    def now(self, *_: object) -> datetime:
        return self.at

    def measured(self, _endpoint: Endpoint, since: datetime) -> datetime | None:
        self.asked.append(since)
        if self.problem is not None:
            raise self.problem
        return max((one for one in self.called if since < one <= self.at), default=None)

    def sweep_at(self, moment: datetime) -> Endpoint:
        self.at = moment
        idling.sweep()
        return Endpoint.objects.get(name="demo")


@pytest.fixture
def world(serving: Endpoint, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(clock, "now", world.now)
    monkeypatch.setattr(last_calls, "measured_since", world.measured)
    Resource.objects.filter(kind=Resource.Kind.ENDPOINT).update(changed_at=NOW)
    return world


def _told() -> list[str]:
    rows = Event.objects.filter(action__in=CODES).order_by("pk")
    return [CODES[code] for code in rows.values_list("action", flat=True)]


def _set(endpoint: Endpoint, hours: int | None, actor: Any = None) -> Endpoint:
    return idling.set_idle_hours(endpoint=endpoint, idle_hours=hours, actor=actor)


def _called(endpoint: Endpoint, at: datetime, make_version: Any, **columns: Any) -> None:
    version = make_version(number=Invocation.objects.count() + 1)
    call = Invocation.objects.create(
        endpoint=endpoint, version=version, target_model=version.key, **columns
    )
    Invocation.objects.filter(pk=call.pk).update(created_at=at)


@pytest.mark.not_quick
def test_it_is_told_of_twice_and_torn_down(serving: Endpoint, world: World) -> None:
    assert _set(serving, 48).idle_ends_at == NOW + 2 * DAY
    expected: list[str] = []
    for passed, told in (
        (MINUTE, []),
        (DAY - MINUTE, []),
        (DAY, ["day"]),
        (2 * DAY - HOUR - MINUTE, []),
        (2 * DAY - HOUR, ["hour"]),
        (2 * DAY, []),  # the metrics of these minutes are not there yet
        (2 * DAY + LAG, ["over", "teardown"]),
        (2 * DAY + HOUR, []),
    ):
        row = world.sweep_at(NOW + passed)
        idling.sweep()  # a second sweep of the same minute changes nothing
        expected += told
        assert _told() == expected, passed
    assert row.tearing_down
    over = Event.objects.get(action="endpoint.idle_over")
    assert over.parameters["since"] == "2026-12-01 12:00 UTC"
    assert Event.objects.get(action="endpoint.teardown_requested").actor is None


def test_a_limit_of_a_day_or_less_is_told_of_an_hour_before(
    serving: Endpoint, world: World
) -> None:
    _set(serving, 24)
    for passed in (MINUTE, 12 * HOUR, 23 * HOUR - MINUTE):
        world.sweep_at(NOW + passed)
        assert _told() == []
    world.sweep_at(NOW + 23 * HOUR)
    assert _told() == ["hour"]


def test_the_portals_own_call_keeps_it(
    serving: Endpoint, world: World, make_version: Callable[..., Any]
) -> None:
    _set(serving, 12)
    assert world.sweep_at(NOW + 11 * HOUR).idles
    _called(serving, NOW + 11 * HOUR + 30 * MINUTE, make_version)
    row = world.sweep_at(NOW + 11 * HOUR + 31 * MINUTE)
    assert (row.idles, row.idle_ends_at) == (False, NOW + 23 * HOUR + 30 * MINUTE)
    # One that only keeps a model warm is no use of it.
    _called(serving, NOW + 20 * HOUR, make_version, warming=True)
    assert world.sweep_at(NOW + 20 * HOUR + MINUTE).idle_ends_at == row.idle_ends_at


@pytest.mark.not_quick
def test_a_call_by_others_keeps_it(serving: Endpoint, world: World) -> None:
    _set(serving, 12)
    world.called = [NOW + 5 * HOUR]
    row = world.sweep_at(NOW + 11 * HOUR)
    assert (_told(), row.idle_ends_at) == ([], NOW + 17 * HOUR)
    assert world.sweep_at(NOW + 16 * HOUR).idles
    # After it was told of, a call is seen within some minutes.
    world.called.append(NOW + 16 * HOUR + 2 * MINUTE)
    assert world.sweep_at(NOW + 16 * HOUR + 3 * MINUTE).idles
    row = world.sweep_at(NOW + 16 * HOUR + 6 * MINUTE)
    assert (row.idles, row.idle_ends_at) == (False, NOW + 28 * HOUR + 2 * MINUTE)
    # The last one comes into the metrics when its hours are over.
    assert world.sweep_at(NOW + 27 * HOUR + 2 * MINUTE).idles
    world.at = NOW + 28 * HOUR + 2 * MINUTE + LAG
    world.called.append(NOW + 28 * HOUR + MINUTE)
    row = world.sweep_at(world.at)
    assert not row.tearing_down
    assert row.idle_ends_at == NOW + 40 * HOUR + MINUTE


@pytest.mark.not_quick
def test_without_metrics_nothing_is_torn_down_and_the_page_says_so(
    serving: Endpoint, world: World, client_of: Callable[[str], Client]
) -> None:
    _set(serving, 12)
    world.sweep_at(NOW + 11 * HOUR)
    assert _told() == ["hour"]
    world.problem = errors.Denied("cloudwatch:GetMetricData is not allowed.")
    for passed in (12 * HOUR + LAG, 12 * HOUR + LAG + MINUTE, 15 * HOUR, 40 * HOUR):
        row = world.sweep_at(NOW + passed)
        assert not row.tearing_down
    assert _told() == ["hour", "unknown"]
    page = client_of("viewer").get(row.get_absolute_url()).content.decode()
    assert "cloudwatch:GetMetricData is not allowed." in page
    assert "It is not torn down as idle meanwhile" in page
    asked = len(world.asked)
    world.sweep_at(world.at + MINUTE)  # not each minute
    assert len(world.asked) == asked
    world.problem = None
    assert world.sweep_at(world.at + idling.ASKED_EVERY).tearing_down
    assert _told() == ["hour", "unknown", "over", "teardown"]


@pytest.mark.not_quick
def test_nobody_is_warned_of_what_is_not_known(serving: Endpoint, world: World) -> None:
    _set(serving, 12)
    world.problem = errors.Throttled("Rate exceeded.")
    for passed in (11 * HOUR, 20 * HOUR):
        row = world.sweep_at(NOW + passed)
        assert (row.idles, row.idle_unknown) == (False, True)
    world.problem = None
    row = world.sweep_at(world.at + idling.ASKED_EVERY)
    assert _told() == ["unknown", "hour"]
    # It was told late, and so it waits for an hour.
    assert row.idle_ends_at == world.at + HOUR
    assert not world.sweep_at(world.at + HOUR).tearing_down
    assert world.sweep_at(world.at + LAG).tearing_down


def test_a_portal_that_was_away_tells_first_and_waits_an_hour(
    serving: Endpoint, world: World
) -> None:
    _set(serving, 12)
    row = world.sweep_at(NOW + 9 * DAY)
    assert (_told(), row.tearing_down) == (["hour"], False)
    assert row.idle_ends_at == NOW + 9 * DAY + HOUR


def test_one_day_longer(serving: Endpoint, world: World) -> None:
    with pytest.raises(ValidationError, match="has no time at which"):
        idling.postpone_idle(endpoint=serving, actor=None)
    _set(serving, 12)
    world.sweep_at(NOW + 11 * HOUR)
    row = idling.postpone_idle(endpoint=serving, actor=None)
    assert (row.idle_ends_at, row.idles) == (NOW + 12 * HOUR + DAY, False)
    assert not world.sweep_at(NOW + 30 * HOUR).idles
    assert world.sweep_at(NOW + 35 * HOUR).idles
    assert world.sweep_at(NOW + 36 * HOUR + LAG).tearing_down


def test_it_counts_while_it_serves_alone(serving: Endpoint, world: World) -> None:
    _set(serving, 12)
    world.sweep_at(NOW + 11 * HOUR)
    row = Endpoint.objects.get()
    row.to_pause, row.state = True, Endpoint.State.PAUSED
    row.save()
    row = world.sweep_at(NOW + 13 * HOUR)
    assert (row.idles, row.idle_ends_at, row.tearing_down) == (False, None, False)
    row.to_pause, row.state = False, Endpoint.State.IN_SERVICE
    row.save()
    row = world.sweep_at(NOW + 20 * HOUR)
    assert row.idle_ends_at == NOW + 32 * HOUR


def test_a_crash_in_the_step_leaves_it_to_the_next_sweep(
    serving: Endpoint, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(serving, 12)
    world.sweep_at(NOW + 11 * HOUR)
    with monkeypatch.context() as patch:

        def crash(**_: Any) -> None:
            raise RuntimeError("killed")

        patch.setattr(services, "request_teardown", crash)
        with pytest.raises(RuntimeError):
            world.sweep_at(NOW + 12 * HOUR + LAG)
    assert "over" not in _told()
    assert world.sweep_at(world.at).tearing_down
    assert _told()[-2:] == ["over", "teardown"]


def _watch_others(count: int) -> None:
    """Have more endpoints serve, and each of all be torn down after 12 idle hours."""
    for number in range(count):
        made = services.create_endpoint(name=f"other-{number}", actor=None)
        made.state = Endpoint.State.IN_SERVICE
        made.save()
    for row in Endpoint.objects.all():
        _set(row, 12)


@pytest.mark.not_quick
def test_many_are_asked_for_in_turn(
    serving: Endpoint, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idling, "MOST_ASKED", 2)
    _watch_others(4)
    for asked in (2, 4, 5, 5):
        world.sweep_at(NOW + 30 * HOUR)
        assert len(world.asked) == asked
    assert _told() == ["hour"] * 5


@pytest.mark.not_quick
def test_who_was_never_asked_for_comes_before_those_that_are_asked_again(
    serving: Endpoint, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idling, "MOST_ASKED", 1)
    _watch_others(6)
    world.problem = errors.Denied("The metrics may not be read.")
    for minute in range(7):  # each is asked for again after five
        world.sweep_at(NOW + 30 * HOUR + minute * MINUTE)
    assert not Endpoint.objects.filter(idle_asked_at=None).exists()
    assert _told() == ["unknown"] * 7


def test_what_is_refused(serving: Endpoint, world: World) -> None:
    for wrong in (1, 8761):
        with pytest.raises(ValidationError, match="from 2 to 8760") as refused:
            _set(serving, wrong)
        assert set(refused.value.message_dict) == {"idle_hours"}
    services.request_teardown(endpoint=serving, typed_name="demo", actor=None)
    with pytest.raises(ValidationError, match="is being torn down"):
        _set(serving, 12)
    with pytest.raises(ValidationError, match="is being torn down"):
        idling.postpone_idle(endpoint=serving, actor=None)


def test_who_may_tear_down_nothing_may_not_by_idle_hours(
    serving: Endpoint, world: World, user_in: Any
) -> None:
    operator = user_in("operator")
    with pytest.raises(ChangeNotAllowed):
        _set(serving, 12, operator)
    _set(serving, 12)
    with pytest.raises(ChangeNotAllowed):
        _set(serving, 11, operator)
    assert _set(serving, 24, operator).idle_hours == 24
    assert _set(serving, None, operator).idle_hours is None
    Endpoint.objects.update(created_by=operator)
    assert _set(serving, 2, operator).idle_hours == 2


@pytest.mark.not_quick
def test_operators_have_a_limit_and_a_preset(
    serving: Endpoint, world: World, user_in: Any, settings: Any, client: Client
) -> None:
    operator, admin = user_in("operator"), user_in("admin")
    settings.OPERATOR_DEFAULT_IDLE_HOURS = 8
    assert services.create_endpoint(name="a", actor=operator).idle_hours == 8
    assert services.create_endpoint(name="b", idle_hours=0, actor=operator).idle_hours is None
    assert services.create_endpoint(name="c", actor=admin).idle_hours is None
    settings.OPERATOR_IDLE_HOURS = 24
    own = services.create_endpoint(name="d", idle_hours=20, actor=operator)
    for wrong in (25, 0):
        with pytest.raises(ValidationError, match="at most 24"):
            services.create_endpoint(name="e", idle_hours=wrong, actor=operator)
        with pytest.raises(ValidationError, match="at most 24"):
            _set(own, wrong, operator)
    assert services.create_endpoint(name="e", idle_hours=100, actor=admin).idle_hours == 100
    client.force_login(operator)
    page = client.get("/endpoints/new/").content.decode()
    assert 'value="8"' in page
    assert "At most 24." in page
    # A click makes it no longer than the limit, from now.
    Endpoint.objects.filter(pk=own.pk).update(idle_ends_at=NOW + HOUR)
    row = idling.postpone_idle(endpoint=own, actor=operator)
    assert row.idle_ends_at == NOW + DAY
    with pytest.raises(ValidationError, match="at most 24 hours"):
        idling.postpone_idle(endpoint=own, actor=operator)
    status, problem = Api(operator).ask("POST", PATH, {"name": "g", "idle_hours": None})
    assert (status, [*problem["errors"]]) == (422, ["idle_hours"])
    settings.OPERATOR_DEFAULT_IDLE_HOURS = 0
    assert services.create_endpoint(name="f", actor=operator).idle_hours == 24


@pytest.mark.not_quick
def test_admins_have_a_limit_and_a_preset_of_their_own(
    serving: Endpoint, world: World, user_in: Any, settings: Any, client: Client
) -> None:
    settings.ADMIN_IDLE_HOURS, settings.ADMIN_DEFAULT_IDLE_HOURS = 48, 12
    operator, admin = user_in("operator"), user_in("admin")
    made = services.create_endpoint(name="a", actor=admin)
    assert made.idle_hours == 12
    assert services.create_endpoint(name="b", actor=operator).idle_hours is None
    assert services.create_endpoint(name="c", actor=None).idle_hours is None
    for wrong in (49, 0):
        with pytest.raises(ValidationError, match="at most 48") as refused:
            _set(made, wrong, admin)
        assert "ask an admin" not in str(refused.value)
    client.force_login(admin)
    assert "At most 48." in client.get("/endpoints/new/").content.decode()


@pytest.mark.not_quick
def test_the_pages(serving: Endpoint, world: World, client_of: Callable[[str], Client]) -> None:
    admin, viewer = client_of("admin"), client_of("viewer")
    address = serving.get_absolute_url()
    assert admin.post(f"{address}idle/", {"idle_hours": "1"}).status_code == 400
    assert admin.post(f"{address}idle/", {"idle_hours": "12"}).status_code == 302
    assert "after 12 hours" in admin.get(address).content.decode()
    world.sweep_at(NOW + 11 * HOUR)
    assert "Nobody calls it. It is torn down:" in viewer.get(address).content.decode()
    assert "is torn down, as nobody calls it" in admin.get("/").content.decode()
    assert "ends soon" in admin.get("/endpoints/?state=ending").content.decode()
    assert viewer.post(f"{address}idle/postpone/").status_code == 403
    assert admin.post(f"{address}idle/postpone/").status_code == 302
    assert "Nobody calls it." not in admin.get(address).content.decode()
    admin.post(f"{address}idle/", {"idle_hours": ""})
    assert Endpoint.objects.get().idle_hours is None


@pytest.mark.not_quick
def test_the_operations(serving: Endpoint, world: World, api: Api) -> None:
    assert api.ask("POST", f"{DEMO}/idle/postpone")[0] == 409
    status, shown = api.ask("PUT", f"{DEMO}/idle", {"idle_hours": 12})
    assert (status, shown["idle_hours"]) == (200, 12), shown
    assert shown["idle_ends_at"] == "2026-12-02T00:00:00Z"
    status, shown = api.ask("POST", f"{DEMO}/idle/postpone")
    assert (status, shown["idle_ends_at"]) == (200, "2026-12-03T00:00:00Z")
    assert api.ask("PUT", f"{DEMO}/idle", {"idle_hours": 1})[0] == 422
    status, shown = api.ask("PUT", f"{DEMO}/idle", {"idle_hours": None})
    assert (status, shown["idle_hours"], shown["idle_ends_at"]) == (200, None, None)
    status, plan = api.ask("POST", f"{PATH}/plan", {"name": "x", "idle_hours": 5})
    assert (status, plan["idle_hours"]) == (200, 5)
    status, shown = api.ask("POST", PATH, {"name": "second", "idle_hours": 5})
    assert (status, shown["idle_hours"], shown["idle_problem"]) == (201, 5, None)
