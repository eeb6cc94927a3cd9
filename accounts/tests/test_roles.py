"""Roles, the admin, and the first user."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import Client

from accounts import roles


def test_each_role_adds_to_the_one_before() -> None:
    viewer, operator, admin = (set(roles.permissions_of(r)) for r in roles._OWN)
    assert viewer < operator < admin
    assert "endpoints.teardown_endpoint" in admin - operator
    assert "models_catalog.add_version" in operator - viewer


def test_ensuring_the_roles_twice_changes_nothing_and_takes_back_what_was_added(db: None) -> None:
    Group.objects.all().delete()
    roles.ensure_roles()
    group = Group.objects.get(name="viewer")
    group.permissions.add(Permission.objects.get(codename="teardown_endpoint"))
    roles.ensure_roles()
    assert Group.objects.count() == 3
    assert group.permissions.count() == len(roles.permissions_of("viewer"))


def test_the_first_admin_keeps_its_password(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    Group.objects.all().delete()
    monkeypatch.setenv("ADMIN_PASSWORD", "first")
    call_command("ensure_admin")
    monkeypatch.setenv("ADMIN_PASSWORD", "second")
    call_command("ensure_admin")
    admin = User.objects.get()
    assert admin.check_password("first")
    assert admin.groups.get().name == "admin"


@pytest.mark.parametrize(("role", "allowed"), [("viewer", 0), ("operator", 0), ("admin", 1)])
def test_only_admins_manage_users(
    client_of: Callable[[str], Client], role: str, allowed: int
) -> None:
    client = client_of(role)
    for path in ("/people/", "/people/invite/"):
        status = client.get(path, follow=True).status_code
        assert status == (200 if allowed else 403)
    assert (b'href="/people/"' in client.get("/").content) == bool(allowed)


@pytest.mark.parametrize(("role", "allowed"), [("operator", 0), ("admin", 0), ("superuser", 1)])
def test_only_superusers_use_djangos_admin(
    client_of: Callable[[str], Client], role: str, allowed: int
) -> None:
    client = client_of(role)
    for path in ("/admin/", "/admin/auth/user/", "/admin/auth/user/add/"):
        answer = client.get(path, follow=True)
        assert answer.status_code == (200 if allowed else 403)
        told = "Only a superuser may use Django" in answer.content.decode()
        assert told == (not allowed)


def test_the_staff_flag_lets_no_admin_into_djangos_admin(
    client_of: Callable[[str], Client], user_in: Callable[[str], Any]
) -> None:
    viewer = user_in("viewer")
    client = client_of("admin")
    User.objects.filter(username="admin-user").update(is_staff=True)
    url = f"/admin/auth/user/{viewer.pk}/change/"
    client.post(url, {"username": "renamed", "is_active": "on", "is_superuser": "on"})
    viewer.refresh_from_db()
    assert (viewer.username, viewer.is_superuser) == ("viewer-user", False)


def test_an_admin_cannot_touch_a_superuser(client_of: Callable[[str], Client]) -> None:
    root = User.objects.create_superuser("root", password="a good long password")
    client = client_of("admin")
    client.post(f"/admin/auth/user/{root.pk}/change/", {"username": "taken-over"})
    client.post(f"/admin/auth/user/{root.pk}/delete/", {"post": "yes"})
    client.post(
        f"/admin/auth/user/{root.pk}/password/",
        {"password1": "another good one 1", "password2": "another good one 1"},
    )
    root.refresh_from_db()
    assert root.username == "root"
    assert root.check_password("a good long password")
