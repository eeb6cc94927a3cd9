"""Sessions end with the password they began with, and with the account."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import services
from accounts.forms import ThrottledPasswordChangeForm
from accounts.sessions import SessionStore
from accounts.tests.conftest import PASSWORD
from activity.models import Event
from core.tests import nul

NEW_PASSWORD = "brand new long password"
JOINED = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}  # the form wants it


@pytest.fixture
def sessions(ada: User) -> list[Client]:
    clients = [Client(), Client()]
    for client in clients:
        client.force_login(ada)
        assert _logged_in(client)
    return clients


def _logged_in(client: Client) -> bool:
    return client.get("/password/").status_code == 200


@pytest.mark.not_quick
def test_other_sessions_end_at_a_change_of_the_own_password(sessions: list[Client]) -> None:
    form = {
        "old_password": PASSWORD,
        "new_password1": NEW_PASSWORD,
        "new_password2": NEW_PASSWORD,
    }
    assert sessions[0].post("/password/", form).status_code == 302
    assert [_logged_in(client) for client in sessions] == [True, False]


def test_a_change_of_the_own_password_does_not_undo_one_by_an_admin(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who knew the old password began it, and the admin's new one ends all that."""
    client, set_by_admin = Client(), "set by an admin meanwhile"
    client.force_login(ada)
    usual = ThrottledPasswordChangeForm.clean_old_password

    def slow(form: ThrottledPasswordChangeForm) -> str:
        checked = usual(form)
        services.set_password(actor=None, user=User.objects.get(pk=ada.pk), password=set_by_admin)
        return checked

    monkeypatch.setattr(ThrottledPasswordChangeForm, "clean_old_password", slow)
    passwords = {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    answer = client.post("/password/", {"old_password": PASSWORD, **passwords})
    assert answer.status_code == 400
    assert User.objects.get(pk=ada.pk).check_password(set_by_admin)
    assert not Event.objects.filter(action="user.password_changed").exists()
    assert not _logged_in(client)


@pytest.mark.not_quick
@pytest.mark.parametrize("taken", ["is_active", "is_superuser"])
def test_a_change_of_the_own_password_gives_nothing_back_that_an_admin_took_meanwhile(
    ada: User, monkeypatch: pytest.MonkeyPatch, taken: str
) -> None:
    """Two hashes are made between the user is read and is written: half a second, or more."""
    User.objects.create_superuser("root", password=PASSWORD)
    User.objects.filter(pk=ada.pk).update(is_superuser=True)
    client = Client()
    client.force_login(ada)
    usual = ThrottledPasswordChangeForm.clean_old_password

    def slow(form: ThrottledPasswordChangeForm) -> str:
        found = usual(form)
        if taken == "is_active":
            services.set_active(actor=None, user=User.objects.get(pk=ada.pk), active=False)
        else:
            services.set_superuser(actor=None, user=User.objects.get(pk=ada.pk), superuser=False)
        return found

    monkeypatch.setattr(ThrottledPasswordChangeForm, "clean_old_password", slow)
    passwords = {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}
    client.post("/password/", {"old_password": PASSWORD, **passwords})
    ada.refresh_from_db()
    assert getattr(ada, taken) is False
    assert not Event.objects.filter(action__in=["user.activated", "user.superuser_given"]).exists()


def test_all_sessions_end_where_a_superuser_sets_the_password(
    ada: User, sessions: list[Client], client_of: Callable[[str], Any]
) -> None:
    new = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
    client_of("superuser").post(f"/admin/auth/user/{ada.pk}/password/", new)
    assert [_logged_in(client) for client in sessions] == [False, False]


@pytest.mark.not_quick
def test_sessions_that_ended_with_the_account_do_not_come_back_with_it(
    ada: User, sessions: list[Client], client_of: Callable[[str], Any]
) -> None:
    boss = client_of("superuser")
    url = f"/admin/auth/user/{ada.pk}/change/"
    assert boss.post(url, {"username": "ada", **JOINED}).status_code == 302
    assert [_logged_in(client) for client in sessions] == [False, False]
    assert boss.post(url, {"username": "ada", "is_active": "on", **JOINED}).status_code == 302
    assert [_logged_in(client) for client in sessions] == [False, False]
    assert boss.get(url).status_code == 200


def test_a_deleted_users_sessions_go_with_it(ada: User, sessions: list[Client]) -> None:
    services.delete_user(actor=None, user=ada)
    assert not Session.objects.exists()


def test_sessions_that_are_over_are_swept(sessions: list[Client]) -> None:
    key = sessions[0].session.session_key
    Session.objects.filter(pk=key).update(expire_date=timezone.now() - timedelta(seconds=1))
    services.sweep()
    assert Session.objects.count() == 1
    assert _logged_in(sessions[1])


def test_a_session_whose_time_is_over_is_nobodys(sessions: list[Client]) -> None:
    key = sessions[0].session.session_key
    Session.objects.filter(pk=key).update(expire_date=timezone.now() - timedelta(seconds=1))
    assert [_logged_in(client) for client in sessions] == [False, True]
    assert SessionStore(key).load() == {}


def test_a_session_that_was_forged_holds_nothing(sessions: list[Client]) -> None:
    key = sessions[0].session.session_key
    Session.objects.filter(pk=key).update(session_data="e30:1vF2aa:AAAA")  # {}, not signed by us
    assert SessionStore(key).load() == {}
    assert SessionStore("no-such-session-there-is").load() == {}
    assert [_logged_in(client) for client in sessions] == [False, True]


@pytest.mark.parametrize("path", ["/", "/api/v1/models"])
def test_a_cookie_that_no_database_stores_is_no_session(db: None, path: str) -> None:
    """PostgreSQL refuses a text with NUL."""
    cookie = f'{settings.SESSION_COOKIE_NAME}="abcdefghij\\000"'
    with connection.execute_wrapper(nul.refuse):
        answer = Client().get(path, headers={"Cookie": cookie})
    assert answer.status_code in (302, 401)
