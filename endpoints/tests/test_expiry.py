"""End dates: set, told of, postponed, kept; and what a portal that was away does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from activity.models import Event
from core import clock
from endpoints import expiry, services
from endpoints.models import Endpoint
from endpoints.tests.test_endpoints_api import DEMO, PATH, Api, api

__all__ = ["api"]
NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WARNED = ["endpoint.expires_in_a_day", "endpoint.expires_in_an_hour"]


class Clock:
    """The database's clock, as a test moves it."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self, *_: object) -> datetime:
        return self.at


@pytest.fixture
def time(serving: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(clock, "now", moved)
    return moved


def _told() -> list[str]:
    codes = [*WARNED, "endpoint.expired", "endpoint.teardown_requested"]
    return [*Event.objects.filter(action__in=codes).order_by("pk").values_list("action", flat=True)]


def _set(endpoint: Endpoint, expires_at: datetime | None, actor: User | None = None) -> Endpoint:
    return expiry.set_end(endpoint=endpoint, expires_at=expires_at, actor=actor)


def test_it_is_told_of_twice_and_torn_down_at_its_end(serving: Endpoint, time: Clock) -> None:
    _set(serving, NOW + 3 * DAY)
    assert expiry.sweep() == 0
    expected: list[str] = []
    for left, told in (
        (DAY + HOUR, []),
        (DAY, ["endpoint.expires_in_a_day"]),
        (HOUR + timedelta(minutes=1), []),
        (HOUR, ["endpoint.expires_in_an_hour"]),
        (timedelta(minutes=1), []),
        (timedelta(0), ["endpoint.expired", "endpoint.teardown_requested"]),
        (-HOUR, []),
    ):
        time.at = NOW + 3 * DAY - left
        expiry.sweep()
        expiry.sweep()  # a second sweep of the same minute changes nothing
        expected += told
        assert _told() == expected, left
    assert Endpoint.objects.get().tearing_down
    assert Event.objects.get(action="endpoint.teardown_requested").actor is None


def test_a_portal_that_was_away_tells_first_and_waits_an_hour(
    serving: Endpoint, time: Clock
) -> None:
    _set(serving, NOW + 3 * DAY)
    time.at = NOW + 5 * DAY
    assert expiry.sweep() == 1
    assert _told() == ["endpoint.expires_in_an_hour"]
    row = Endpoint.objects.get()
    assert row.expires_at == time.at + HOUR
    assert not row.tearing_down
    time.at += HOUR
    expiry.sweep()
    assert Endpoint.objects.get().tearing_down


@pytest.mark.parametrize("left", [timedelta(minutes=1), timedelta(minutes=50)])
def test_a_portal_that_comes_back_in_the_last_hour_gives_an_hour_too(
    serving: Endpoint, time: Clock, left: timedelta
) -> None:
    _set(serving, NOW + 3 * DAY)
    time.at = NOW + 3 * DAY - left
    expiry.sweep()
    row = Endpoint.objects.get()
    assert row.expires_at is not None
    assert HOUR <= row.expires_at - time.at <= HOUR + timedelta(minutes=1)
    assert _told() == ["endpoint.expires_in_an_hour"]


def test_a_short_life_is_told_of_at_once(serving: Endpoint, time: Clock) -> None:
    _set(serving, NOW + HOUR)
    time.at = NOW + timedelta(minutes=1)  # the next sweep
    expiry.sweep()
    assert _told() == ["endpoint.expires_in_an_hour"]
    time.at = NOW + HOUR
    expiry.sweep()
    assert Endpoint.objects.get().tearing_down


def test_one_day_longer_is_told_of_again(serving: Endpoint, time: Clock) -> None:
    _set(serving, NOW + HOUR)
    expiry.sweep()
    row = expiry.postpone(endpoint=serving, actor=None)
    assert row.expires_at == NOW + HOUR + DAY
    assert not row.ends_soon
    time.at = NOW + HOUR
    expiry.sweep()
    assert _told() == ["endpoint.expires_in_an_hour", "endpoint.expires_in_a_day"]
    # One whose end is over already, while nobody swept: a day from now.
    time.at = NOW + 9 * DAY
    assert expiry.postpone(endpoint=serving, actor=None).expires_at == time.at + DAY


def test_a_crash_in_the_step_leaves_it_to_the_next_sweep(
    serving: Endpoint, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set(serving, NOW + HOUR)
    expiry.sweep()
    time.at = NOW + HOUR
    with monkeypatch.context() as patch:

        def crash(**_: Any) -> None:
            raise RuntimeError("killed")

        patch.setattr(services, "request_teardown", crash)
        with pytest.raises(RuntimeError):
            expiry.sweep()
    assert "endpoint.expired" not in _told()
    expiry.sweep()
    assert _told()[-2:] == ["endpoint.expired", "endpoint.teardown_requested"]


def test_trouble_with_one_keeps_no_other_waiting(
    serving: Endpoint, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = services.create_endpoint(name="other", expires_at=NOW + 2 * HOUR, actor=None)
    _set(serving, NOW + HOUR)
    real = expiry._tell

    def tell(row: Endpoint, code: str) -> None:
        if row.name == "demo":
            raise RuntimeError("no room on the disk")
        real(row, code)

    monkeypatch.setattr(expiry, "_tell", tell)
    with pytest.raises(RuntimeError, match="no room"):
        expiry.sweep()
    told = {row.name: row.end_told for row in Endpoint.objects.all()}
    assert told == {"demo": Endpoint.EndTold.NOTHING, other.name: Endpoint.EndTold.DAY}


def test_what_is_refused(serving: Endpoint, time: Clock) -> None:
    for wrong, said in (
        (NOW - HOUR, "at least an hour from now"),
        (NOW + HOUR / 2, "at least an hour from now"),
        (NOW + 5000 * DAY, "within the next ten years"),
    ):
        with pytest.raises(ValidationError, match=said):
            _set(serving, wrong)
    with pytest.raises(ValidationError, match="has no end date"):
        expiry.postpone(endpoint=serving, actor=None)
    services.request_teardown(endpoint=serving, typed_name="demo", actor=None)
    with pytest.raises(ValidationError, match="is being torn down"):
        _set(serving, NOW + DAY)
    assert Endpoint.objects.get().expires_at is None


def test_operators_have_a_limit_where_it_is_set(
    serving: Endpoint, time: Clock, user_in: Callable[[str], User], settings: Any
) -> None:
    settings.OPERATOR_ENDPOINT_DAYS = 7
    operator, admin = user_in("operator"), user_in("admin")
    made = services.create_endpoint(name="second", actor=operator)
    assert made.expires_at == NOW + 7 * DAY
    assert services.create_endpoint(name="third", actor=admin).expires_at is None
    _set(made, NOW + 6 * DAY, operator)
    for wrong in (NOW + 8 * DAY, None):
        with pytest.raises(ValidationError, match="at most 7 days from now"):
            _set(made, wrong, operator)
    assert expiry.postpone(endpoint=made, actor=operator).expires_at == NOW + 7 * DAY
    with pytest.raises(ValidationError, match="at most 7 days from now"):
        expiry.postpone(endpoint=made, actor=operator)
    assert _set(made, NOW + 30 * DAY, admin).expires_at == NOW + 30 * DAY


@pytest.mark.not_quick
def test_admins_have_a_limit_of_their_own_where_it_is_set(
    serving: Endpoint, time: Clock, user_in: Callable[[str], User], settings: Any, client: Client
) -> None:
    settings.ADMIN_ENDPOINT_DAYS, settings.ADMIN_DEFAULT_ENDPOINT_DAYS = 30, 14
    settings.OPERATOR_ENDPOINT_DAYS = 7
    operator, admin = user_in("operator"), user_in("admin")
    made = services.create_endpoint(name="second", actor=admin)
    assert made.expires_at == NOW + 14 * DAY
    own = services.create_endpoint(name="third", actor=operator)
    assert own.expires_at == NOW + 7 * DAY
    assert _set(own, NOW + 30 * DAY, admin).expires_at == NOW + 30 * DAY
    for wrong in (NOW + 31 * DAY, None):
        with pytest.raises(ValidationError, match="at most 30 days from now") as refused:
            _set(own, wrong, admin)
        assert "ask an admin" not in str(refused.value)
    status, problem = Api(admin).ask("POST", PATH, {"name": "e", "expires_at": None})
    assert (status, [*problem["errors"]]) == (422, ["expires_at"])
    client.force_login(admin)
    assert "At most 30 days from now." in client.get("/endpoints/new/").content.decode()
    # The portal itself is not bound: it gives nothing an end date.
    assert services.create_endpoint(name="fourth", actor=None).expires_at is None


@pytest.mark.not_quick
def test_operators_have_a_default_apart_from_their_limit(
    serving: Endpoint, time: Clock, user_in: Callable[[str], User], settings: Any, client: Client
) -> None:
    settings.OPERATOR_DEFAULT_ENDPOINT_DAYS = 2
    operator, admin = user_in("operator"), user_in("admin")
    create = services.create_endpoint
    assert create(name="a", actor=operator).expires_at == NOW + 2 * DAY
    assert create(name="b", never_ends=True, actor=operator).expires_at is None
    assert create(name="c", actor=admin).expires_at is None
    api = Api(operator)
    assert api.ask("POST", PATH, {"name": "d"})[1]["expires_at"] == "2026-12-03T12:00:00Z"
    assert api.ask("POST", PATH, {"name": "e", "expires_at": None})[1]["expires_at"] is None
    client.force_login(operator)
    assert "2026-12-03T" in client.get("/endpoints/new/").content.decode()
    form = {"name": "f", "instance_type": "ml.m5.large", "instance_count": "1", "expires_at": ""}
    assert client.post("/endpoints/new/", form).status_code == 302
    assert Endpoint.objects.get(name="f").expires_at is None
    settings.OPERATOR_ENDPOINT_DAYS = 7
    assert create(name="g", actor=operator).expires_at == NOW + 2 * DAY
    assert create(name="h", expires_at=NOW + 6 * DAY, actor=operator).expires_at == NOW + 6 * DAY
    status, problem = api.ask("POST", PATH, {"name": "i", "expires_at": None})
    assert (status, [*problem["errors"]]) == (422, ["expires_at"])
    answer = client.post("/endpoints/new/", form | {"name": "i"})
    assert (answer.status_code, "at most 7 days" in answer.content.decode()) == (400, True)
    settings.OPERATOR_DEFAULT_ENDPOINT_DAYS = 30  # no default is above the limit
    assert create(name="j", actor=operator).expires_at == NOW + 7 * DAY


def test_who_may_tear_down_nothing_may_not_by_an_end_date(
    serving: Endpoint, time: Clock, user_in: Callable[[str], User]
) -> None:
    operator, admin = user_in("operator"), user_in("admin")
    for current in (None, NOW + 9 * DAY):
        _set(serving, current, admin)
        with pytest.raises(services.ChangeNotAllowed, match="Only admins, and the owner"):
            _set(serving, NOW + 2 * HOUR, operator)
        assert Endpoint.objects.get().expires_at == current
    _set(serving, NOW + 10 * DAY, operator)
    _set(serving, None, operator)
    own = services.create_endpoint(name="own", actor=operator)
    assert _set(own, NOW + 2 * HOUR, operator).expires_at == NOW + 2 * HOUR
    status, _ = Api(operator).ask("PUT", f"{DEMO}/expiry", {"expires_at": "2026-12-03T00:00:00Z"})
    assert status == 403


def test_an_event_has_the_end_in_utc(serving: Endpoint, time: Clock) -> None:
    seoul = timezone(timedelta(hours=9))
    _set(serving, datetime(2026, 12, 24, 18, 0, 30, tzinfo=seoul))
    assert Endpoint.objects.get().expires_at == datetime(2026, 12, 24, 9, 0, tzinfo=UTC)
    _set(serving, datetime(2026, 12, 24, 18, 0, 45, tzinfo=seoul))  # the same minute
    said = Event.objects.get(action="endpoint.end_set").sentence
    assert "2026-12-24 09:00 UTC" in said
    made = services.create_endpoint(name="second", expires_at=NOW + DAY, actor=None)
    said = Event.objects.get(action="endpoint.end_set", subject_id=made.pk).sentence
    assert "2026-12-02 12:00 UTC" in said


@pytest.mark.not_quick
def test_the_pages_set_tell_and_postpone(
    serving: Endpoint, client_of: Callable[[str], Client]
) -> None:
    client, page = client_of("admin"), f"/endpoints/{serving.pk}/"
    end = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=2)
    answer = client.post(f"{page}end-date/", {"expires_at": end.strftime("%Y-%m-%dT%H:%M")})
    assert answer.status_code == 302
    assert Endpoint.objects.get().expires_at == end
    expiry.sweep()
    # Saved as it is: nothing is changed, and nothing is told again.
    client.post(f"{page}end-date/", {"expires_at": end.strftime("%Y-%m-%dT%H:%M")})
    assert Event.objects.filter(action="endpoint.end_set").count() == 1
    assert Endpoint.objects.get().ends_soon
    shown = client.get(page).content.decode()
    assert "Its end date comes:" in shown
    assert "1 endpoint ends soon" in client.get("/").content.decode()
    assert "ends soon" in client.get("/endpoints/?state=ending").content.decode()
    answer = client.post(f"{page}postpone/", follow=True)
    assert "The end date is a day later." in answer.content.decode()
    assert Endpoint.objects.get().expires_at == end + DAY
    assert "Its end date comes:" not in client.get(page).content.decode()
    answer = client.post(f"{page}end-date/", {"expires_at": "2001-01-01T00:00"})
    assert answer.status_code == 400
    client.post(f"{page}end-date/", {"expires_at": ""})
    assert Endpoint.objects.get().expires_at is None
    answer = client.post(f"{page}postpone/", follow=True)
    assert "has no end date" in answer.content.decode()
    viewer = client_of("viewer")
    assert viewer.post(f"{page}postpone/").status_code == 403
    assert viewer.get(f"{page}end-date/").status_code == 403


@pytest.mark.not_quick
def test_the_operations(serving: Endpoint, api: Api) -> None:
    end = datetime.now(UTC).replace(second=0, microsecond=0) + 3 * DAY
    status, shown = api.ask("PUT", f"{DEMO}/expiry", {"expires_at": end.isoformat()})
    assert status == 200, shown
    assert datetime.fromisoformat(shown["expires_at"]) == end
    status, shown = api.ask("POST", f"{DEMO}/postpone")
    assert datetime.fromisoformat(shown["expires_at"]) == end + DAY
    tag = api.answer.headers["ETag"]
    status, shown = api.ask("PUT", f"{DEMO}/expiry", {"expires_at": None}, **{"If-Match": tag})
    assert (status, shown["expires_at"]) == (200, None)
    status, problem = api.ask("PUT", f"{DEMO}/expiry", {"expires_at": None}, **{"If-Match": tag})
    assert status == 412, problem
    status, problem = api.ask("POST", f"{DEMO}/postpone")
    assert status == 409, problem
    status, problem = api.ask("PUT", f"{DEMO}/expiry", {"expires_at": "2001-01-01T00:00:00Z"})
    assert (status, [*problem["errors"]]) == (422, ["expires_at"])
    status, problem = api.ask("PUT", f"{DEMO}/expiry", {"expires_at": "2030-01-01T00:00:00"})
    assert status == 422, "a time without its zone"
    status, plan = api.ask("POST", f"{PATH}/plan", {"name": "x", "expires_at": end.isoformat()})
    assert (status, datetime.fromisoformat(plan["expires_at"])) == (200, end)
    status, shown = api.ask("POST", PATH, {"name": "second", "expires_at": end.isoformat()})
    assert (status, datetime.fromisoformat(shown["expires_at"])) == (201, end)
