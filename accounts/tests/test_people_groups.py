"""Groups of people: made, filled, emptied and deleted, by the API and by the pages."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from accounts import groups, tokens
from accounts.models import PeopleGroup
from activity.models import Event
from models_catalog.models import Store, StoreGroup

API = "/api/v1/groups"
PAGE = "/people/groups/"


@pytest.fixture
def ann(user_in: Callable[[str], User]) -> str:
    return user_in("viewer").get_username()


def _told() -> list[str]:
    return list(Event.objects.filter(action__startswith="group.").values_list("action", flat=True))


def test_a_group_by_the_api(ann: str, user_in: Callable[[str], User]) -> None:
    secret = tokens.make(user=user_in("admin"), name="t", scopes=("read", "admin"))[1]
    client = Client(headers={"Authorization": f"Bearer {secret}"})

    def send(method: str, path: str, body: Any = None) -> Any:
        return getattr(client, method)(f"{API}{path}", body, content_type="application/json")

    assert send("post", "", {"name": "team-a"}).status_code == 201
    assert send("post", "", {"name": "team-a"}).status_code == 409
    assert send("post", "", {"name": "Not A Name"}).status_code == 422
    for _time in range(2):  # idempotent
        assert send("patch", "/team-a", {"join": [ann]}).json()["members"] == [ann]
    refused = send("patch", "/team-a", {"join": ["nobody"], "leave": [ann]})
    assert refused.status_code == 422
    assert "There is no user nobody. Nothing was changed." in refused.content.decode()
    assert client.get(API).json()["items"] == [{"name": "team-a", "members": [ann]}]
    assert send("patch", "/team-a", {"leave": [ann]}).json()["members"] == []
    assert send("delete", "/team-a").status_code == 204
    assert send("delete", "/team-a").status_code == 404
    assert sorted(_told()) == ["group.deleted", "group.joined", "group.left", "group.made"]


def test_a_group_that_a_store_names_is_not_deleted(
    db: None, client_of: Callable[[str], Client]
) -> None:
    group = groups.make(name="team-a", actor=None)
    store = Store.objects.create(name="a", bucket="a", prefix="m", region="ap-northeast-2")
    StoreGroup.objects.create(store=store, group=group)
    answer = client_of("admin").post(f"{PAGE}team-a/delete/", follow=True)
    assert "A store names the group team-a" in answer.content.decode()
    assert PeopleGroup.objects.exists()
    assert "group.deleted" not in _told()


@pytest.mark.not_quick
def test_a_group_by_the_pages(ann: str, client_of: Callable[[str], Client]) -> None:
    client = client_of("admin")
    assert client.post(PAGE, {"name": "team-a"}).status_code == 302
    assert client.post(PAGE, {"name": "team-a"}).status_code == 422
    assert client.post(f"{PAGE}team-a/join/", {"join": "nobody"}).status_code == 422
    assert client.post(f"{PAGE}team-a/join/", {"join": ann}).status_code == 302
    assert ann in client.get(f"{PAGE}team-a/").content.decode()
    client.post(f"{PAGE}team-a/leave/", {"leave": ann})
    assert groups.members(groups.get("team-a")) == []
    client.post(f"{PAGE}team-a/delete/")
    assert client.get(f"{PAGE}team-a/").status_code == 404


def test_a_name_that_no_group_can_have(db: None) -> None:
    with pytest.raises(ValidationError):
        groups.make(name="a b", actor=None)
    with pytest.raises(PeopleGroup.DoesNotExist):
        groups.get("\0")


@pytest.mark.parametrize("path", ["", "join/", "leave/", "delete/"])
def test_a_group_that_another_admin_deletes_meanwhile_is_not_there(
    ann: str, client_of: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    groups.make(name="team-a", actor=None)
    get = groups.get

    def found(name: str) -> PeopleGroup:
        group = get(name)
        PeopleGroup.objects.all().delete()
        return group

    client = client_of("admin")
    if path:
        monkeypatch.setattr(groups, "get", found)
        answer = client.post(f"{PAGE}team-a/{path}", {"join": ann, "leave": ann})
    else:
        PeopleGroup.objects.all().delete()
        answer = client.get(f"{PAGE}team-a/")
    assert answer.status_code == 404


def test_groups_and_people_are_listed_as_people_count(
    db: None, user_in: Callable[[str], User]
) -> None:
    for number in (10, 2, 1):
        groups.make(name=f"team-{number}", actor=None)
        User.objects.create_user(f"human-{number}")
    in_order = [f"team-{number}" for number in (1, 2, 10)]
    admin = user_in("admin")
    secret = tokens.make(user=admin, name="t", scopes=("read", "admin"))[1]
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    first = client.get(API, {"limit": 2}).json()
    second = client.get(API, {"limit": 2, "cursor": first["next"]}).json()
    assert [one["name"] for one in (*first["items"], *second["items"])] == in_order
    assert [one.name for one in groups.listed()] == in_order
    pages = Client()
    pages.force_login(admin)
    rows = pages.get("/people/?q=human-").context["table"].rows
    assert [one.username for one in rows] == ["human-1", "human-2", "human-10"]
