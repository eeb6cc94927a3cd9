"""There is always somebody who can manage users."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from accounts import roles, services
from accounts.services import NotAllowed
from activity.models import Event
from tests.together import together

LIST = "/admin/auth/user/"


@pytest.fixture
def root(db: None) -> User:
    roles.ensure_roles()
    user = User.objects.create_superuser("root", password="a good long password")
    user.groups.add(Group.objects.get(name="admin"))
    return user


@pytest.fixture
def other(root: User) -> User:
    """A second superuser, who acts: what the rules forbid is not because it is about oneself."""
    return User.objects.create_superuser("other", password="a good long password")


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def _form(user: User, **changes: Any) -> dict[str, Any]:
    """The change form as a browser sends it; None leaves a field out (a box not ticked)."""
    form = {
        "username": user.username,
        "is_active": "on",
        "is_staff": "on",
        "is_superuser": "on",
        "groups": [str(group.pk) for group in user.groups.all()],
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
        **changes,
    }
    return {name: value for name, value in form.items() if value is not None}


def _says_only_that_nothing_was_changed(answer: Any) -> bool:
    told = [str(message) for message in answer.context["messages"]]
    return len(told) == 1 and "Nothing was changed" in told[0]


def _same(user: User) -> bool:
    now = User.objects.filter(pk=user.pk).first()
    return now is not None and now.is_active and now.is_superuser and now.has_usable_password()


@pytest.mark.not_quick
@pytest.mark.parametrize("field", ["is_superuser", "is_active"])
def test_the_last_admin_cannot_demote_or_deactivate_itself(root: User, field: str) -> None:
    client = _client(root)
    answer = client.post(f"{LIST}{root.pk}/change/", _form(root, **{field: None}), follow=True)
    assert _says_only_that_nothing_was_changed(answer)
    assert _same(root)
    assert not Event.objects.exists()


@pytest.mark.not_quick
def test_djangos_admin_deletes_nobody(root: User, other: User) -> None:
    client = _client(root)
    before = User.objects.count()
    for user in (root, other):
        assert client.post(f"{LIST}{user.pk}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [root.pk, other.pk], "post": "yes"}
    client.post(LIST, chosen)
    assert User.objects.count() == before
    assert b"delete_selected" not in client.get(LIST).content


def test_the_last_admin_cannot_make_its_password_unusable(root: User) -> None:
    client = _client(root)
    answer = client.post(
        f"{LIST}{root.pk}/password/", {"usable_password": "false", "unset-password": "1"}
    )
    assert answer.status_code == 302
    assert _same(root)


@pytest.mark.not_quick
def test_nobody_demotes_deactivates_or_deletes_itself_though_there_are_others(
    root: User, other: User
) -> None:
    client = _client(root)
    for change in ({"is_superuser": None, "groups": None}, {"is_superuser": None}):
        client.post(f"{LIST}{root.pk}/change/", _form(root, **change))
    client.post(f"{LIST}{root.pk}/change/", _form(root, is_active=None))
    with pytest.raises(NotAllowed, match="Nothing was changed"):
        services.delete_user(actor=root, user=root)
    assert _same(root)
    # But what is no right of its own, it may change.
    client.post(f"{LIST}{root.pk}/change/", _form(root, email="root@example.com"))
    root.refresh_from_db()
    assert root.email == "root@example.com"


def _ends(user: User) -> dict[str, Callable[[], Any]]:
    """All ways of a service to end a manager, as the portal itself, which is nobody's own."""
    return {
        "deactivate": lambda: services.set_active(actor=None, user=user, active=False),
        "demote": lambda: services.set_superuser(actor=None, user=user, superuser=False),
        "delete": lambda: services.delete_user(actor=None, user=user),
    }


@pytest.mark.parametrize("way", ["deactivate", "demote", "delete"])
def test_services_keep_the_last_superuser_though_an_admin_is_left(
    root: User, user_in: Callable[[str], Any], way: str
) -> None:
    user_in("admin")
    inactive = User.objects.create_superuser("inactive", password="a good long password")
    User.objects.filter(pk=inactive.pk).update(is_active=False)
    with pytest.raises(NotAllowed, match="last active superuser"):
        _ends(root)[way]()
    assert _same(root)


@pytest.mark.parametrize("way", ["deactivate", "take the role", "delete"])
def test_where_there_is_no_superuser_the_last_of_the_role_admin_is_kept(
    user_in: Callable[[str], Any], way: str
) -> None:
    last = user_in("admin")
    user_in("operator")
    ends = _ends(last) | {
        "take the role": lambda: services.set_role(actor=None, user=last, role="viewer")
    }
    with pytest.raises(NotAllowed, match="last active user who can manage users"):
        ends[way]()
    assert services.rank_of(last) is services.Rank.MANAGER


def test_one_of_two_can_go(root: User, other: User) -> None:
    services.set_superuser(actor=root, user=other, superuser=False)
    assert services.rank_of(other) is services.Rank.NONE
    services.delete_user(actor=root, user=other)
    assert not User.objects.filter(username="other").exists()


@pytest.mark.not_quick
@pytest.mark.django_db(transaction=True)
def test_two_admins_who_demote_each_other_at_the_same_time_leave_one() -> None:
    roles.ensure_roles()
    pair = [
        User.objects.create_superuser(name, password="a good long password")
        for name in ("one", "two")
    ]
    clients = [_client(user) for user in pair]

    def demote(client: Client, victim: User) -> None:
        client.post(f"{LIST}{victim.pk}/change/", _form(victim, is_superuser=None))

    for _ in range(5):
        together(
            [
                functools.partial(demote, clients[0], pair[1]),
                functools.partial(demote, clients[1], pair[0]),
            ]
        )
        assert User.objects.filter(is_superuser=True, is_active=True).count() == 1
        User.objects.update(is_superuser=True)


@pytest.mark.not_quick
def test_roles_cannot_be_changed_away_under_their_users(root: User) -> None:
    client = _client(root)
    group = Group.objects.get(name="admin")
    assert client.get(f"/admin/auth/group/{group.pk}/change/").status_code == 200
    for path, form in (
        (f"/admin/auth/group/{group.pk}/change/", {"name": "renamed"}),
        (f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"}),
        ("/admin/auth/group/add/", {"name": "new"}),
    ):
        assert client.post(path, form).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [group.pk], "post": "yes"}
    client.post("/admin/auth/group/", chosen)
    assert {"viewer", "operator", "admin"} == set(Group.objects.values_list("name", flat=True))
