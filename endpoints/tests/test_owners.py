"""Whose endpoint one is: its owner's; who created it has these rights while nobody else owns it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from core import clock
from endpoints import drift, expiry, idling, pausing, planning, services
from endpoints.models import Endpoint
from endpoints.services import ChangeNotAllowed, SettingsChange
from endpoints.tests.test_endpoints_api import DEMO, Api

Act = Callable[[Endpoint, User], Any]
OWNER, CREATOR, OTHER, ADMIN = "kim", "lee", "park", "choi"


@pytest.fixture
def people(user_in: Any) -> dict[str, User]:
    """Three operators and an admin; ``user_in`` makes the roles."""
    made = {name: User.objects.create_user(name) for name in (OWNER, CREATOR, OTHER, ADMIN)}
    for name, user in made.items():
        user.groups.add(Group.objects.get(name="admin" if name == ADMIN else "operator"))
    return made


@pytest.fixture
def kims(serving: Endpoint, people: dict[str, User]) -> Endpoint:
    """Lee created it for Kim."""
    Endpoint.objects.update(created_by=people[CREATOR], owner=people[OWNER])
    return Endpoint.objects.get()


def _end(endpoint: Endpoint, actor: User) -> None:
    expiry.set_end(endpoint=endpoint, expires_at=clock.now() + timedelta(hours=5), actor=actor)


def _idle(endpoint: Endpoint, actor: User) -> None:
    idling.set_idle_hours(endpoint=endpoint, idle_hours=5, actor=actor)


def _hours(endpoint: Endpoint, actor: User) -> None:
    hours = "mon-fri 08:00-19:00"
    pausing.set_hours(endpoint=endpoint, hours=hours, zone="Asia/Seoul", actor=actor)


def _pause(endpoint: Endpoint, actor: User) -> None:
    pausing.pause_now(endpoint=endpoint, actor=actor)


def _accept(endpoint: Endpoint, actor: User) -> None:
    Endpoint.objects.update(deleted_outside_at=clock.now(), state=Endpoint.State.DELETED_OUTSIDE)
    drift.accept(endpoint=Endpoint.objects.get(), actor=actor, reason="")


def _give(endpoint: Endpoint, actor: User) -> None:
    change = SettingsChange(owner=OTHER)
    services.request_change(endpoint=endpoint, change=change, actor=actor)


ACTS: dict[str, Act] = {
    "end": _end,
    "idle": _idle,
    "hours": _hours,
    "pause": _pause,
    "accept": _accept,
    "give": _give,
}
each_act = pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)


@each_act
@pytest.mark.parametrize("who", [OWNER, ADMIN])
def test_its_owner_and_admins_may(
    kims: Endpoint, people: dict[str, User], act: Act, who: str
) -> None:
    before = Endpoint.objects.values().get()
    act(kims, people[who])
    assert Endpoint.objects.values().get() != before


@each_act
@pytest.mark.parametrize("who", [CREATOR, OTHER])
def test_who_created_it_for_somebody_else_may_as_little_as_any_other(
    kims: Endpoint, people: dict[str, User], act: Act, who: str
) -> None:
    with pytest.raises(ChangeNotAllowed, match="the owner of the endpoint"):
        act(kims, people[who])
    row = Endpoint.objects.get()
    assert (row.owned_by, row.expires_at, row.idle_hours) == (people[OWNER], None, None)
    assert (row.hours, row.to_pause, row.wanted) == ("", False, Endpoint.Wanted.PRESENT)


@each_act
def test_who_created_it_may_while_it_has_no_other_owner(
    kims: Endpoint, people: dict[str, User], act: Act
) -> None:
    Endpoint.objects.update(owner=None)
    act(Endpoint.objects.get(), people[CREATOR])


@each_act
def test_nobodys_is_the_admins(kims: Endpoint, people: dict[str, User], act: Act) -> None:
    Endpoint.objects.update(owner=None, created_by=None)
    row = Endpoint.objects.get()
    with pytest.raises(ChangeNotAllowed):
        act(row, people[OTHER])
    act(row, people[ADMIN])


def test_the_rights_go_with_the_owner(kims: Endpoint, people: dict[str, User]) -> None:
    _give(kims, people[OWNER])
    row = Endpoint.objects.get()
    assert row.owned_by == people[OTHER]
    with pytest.raises(ChangeNotAllowed):
        _pause(row, people[OWNER])
    _pause(row, people[OTHER])


def test_others_may_change_the_rest_and_let_it_end_later(
    kims: Endpoint, people: dict[str, User]
) -> None:
    for who in (CREATOR, OTHER):
        change = SettingsChange(instance_count=2, owner=OWNER)  # as the form sends it
        services.request_change(endpoint=kims, change=change, actor=people[who])
    _end(kims, people[OWNER])
    before = Endpoint.objects.get().expires_at
    row = expiry.postpone(endpoint=kims, actor=people[CREATOR])
    assert row.expires_at is not None
    assert before is not None
    assert row.expires_at > before


def test_who_creates_one_for_somebody_else_gives_the_rights_away(
    account: Any, people: dict[str, User]
) -> None:
    row = services.create_endpoint(name="theirs", owner=OWNER, actor=people[CREATOR])
    assert row.is_own(people[OWNER])
    assert not row.is_own(people[CREATOR])
    own = services.create_endpoint(name="own", actor=people[CREATOR])
    assert own.is_own(people[CREATOR])


@pytest.mark.not_quick
def test_a_plan_page_and_program_refuse_another_owner_with_the_same_sentence(
    kims: Endpoint, people: dict[str, User]
) -> None:
    change = SettingsChange(owner=OTHER)
    with pytest.raises(ChangeNotAllowed):
        planning.plan_change(endpoint=kims, change=change, actor=people[OTHER])
    said = "Only admins, and the owner of the endpoint, may name another owner."
    status, problem = Api(people[OTHER]).ask("PATCH", DEMO, {"owner": OTHER})
    assert (status, problem["type"].rpartition("/")[2]) == (403, "not-allowed")
    assert said in problem["detail"]
    client = Client()
    client.force_login(people[OTHER])
    page = client.get(f"{kims.get_absolute_url()}change/")
    given = {name: one for name, one in page.context["form"].initial.items() if one is not None}
    given |= {"owner": OTHER, "reason": "", "tags": "", "environment": ""}
    answer = client.post(f"{kims.get_absolute_url()}change/", given)
    assert answer.status_code == 400
    assert said in " ".join(answer.context["form"].errors["owner"])
