"""The backend that reads preferences with the user, and permissions by one statement; a password is
checked once."""

from collections.abc import Callable

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, authenticate
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.test import Client, RequestFactory

from accounts.backends import PortalBackend
from accounts.models import Preferences
from accounts.preferences import of_user


def test_preferences_come_with_the_user(
    user_in: Callable[[str], User], django_assert_num_queries: Callable[..., object]
) -> None:
    one, other = user_in("viewer"), user_in("operator")
    Preferences.objects.create(user=one, language="ko")
    with django_assert_num_queries(2):  # type: ignore[attr-defined]
        read = [PortalBackend().get_user(user.pk) for user in (one, other)]
        found = [of_user(user) for user in read if user is not None]
    assert [each.language if each else None for each in found] == ["ko", None]


def test_who_is_not_active_or_gone_has_no_session(user_in: Callable[[str], User]) -> None:
    user = user_in("viewer")
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert PortalBackend().get_user(user.pk) is None
    assert PortalBackend().get_user(0) is None


def test_a_session_from_before_this_backend_goes_on(user_in: Callable[[str], User]) -> None:
    user = user_in("viewer")
    Preferences.objects.create(user=user, language="ko")
    client = Client()
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    answer = client.get("/")
    assert answer.status_code == 200
    assert '<html lang="ko"' in answer.content.decode()


def test_a_log_in_names_this_backend(user_in: Callable[[str], User]) -> None:
    user_in("viewer")
    client = Client()
    sent = {"username": "viewer-user", "password": "a good long password"}
    assert client.post("/login/", sent).status_code == 302
    assert client.session[BACKEND_SESSION_KEY] == "accounts.backends.PortalBackend"


@pytest.mark.parametrize("name", ["viewer-user", "nobody"])
def test_a_wrong_password_is_checked_once(
    user_in: Callable[[str], User], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    user_in("viewer")
    hashed: list[str] = []
    check, make = User.check_password, User.set_password
    monkeypatch.setattr(User, "check_password", lambda u, raw: hashed.append(raw) or check(u, raw))
    monkeypatch.setattr(User, "set_password", lambda u, raw: hashed.append(raw) or make(u, raw))
    request = RequestFactory().post("/login/")
    assert authenticate(request, username=name, password="wrong") is None
    assert hashed == ["wrong"]


@pytest.mark.parametrize("role", ["viewer", "operator", "admin", "superuser"])
def test_permissions_are_those_that_django_finds(
    user_in: Callable[[str], User], role: str, django_assert_num_queries: Callable[..., object]
) -> None:
    user = user_in(role)
    # Of the user alone, and one that each role has: by the user and by the group.
    for name in ("view_logentry", "view_version"):
        user.user_permissions.add(Permission.objects.get(codename=name))
    expected = ModelBackend().get_all_permissions(User.objects.get(pk=user.pk))
    assert {"admin.view_logentry", "models_catalog.view_version"} < expected
    asked = User.objects.get(pk=user.pk)
    with django_assert_num_queries(2 if role == "superuser" else 1):  # type: ignore[attr-defined]
        assert PortalBackend().get_all_permissions(asked) == expected
        assert asked.has_perm("admin.view_logentry")
        assert asked.has_perm("nothing.at_all") is (role == "superuser")


def test_who_has_no_permissions_is_not_asked_for_in_the_database(
    user_in: Callable[[str], User], django_assert_num_queries: Callable[..., object]
) -> None:
    gone, user = user_in("admin"), user_in("viewer")
    gone.is_active = False
    with django_assert_num_queries(0):  # type: ignore[attr-defined]
        assert PortalBackend().get_all_permissions(gone) == set()
        assert PortalBackend().get_all_permissions(AnonymousUser()) == set()
        assert PortalBackend().get_all_permissions(user, user) == set()  # of one row
    assert user.get_all_permissions()
