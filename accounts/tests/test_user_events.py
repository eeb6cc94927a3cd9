"""Who changed which user, and who failed to log in, is told; no secret is."""

import io
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client

from accounts import roles, services, throttle
from accounts.tests.conftest import PASSWORD, LogIn
from activity.models import Event
from tests.together import together

ADD = "/admin/auth/user/add/"
NEW_PASSWORD = "brand new long password"


@pytest.fixture
def boss(client_of: Callable[[str], Client]) -> Client:
    return client_of("superuser")


def _told() -> list[tuple[str, str]]:
    return [(event.actor_name, event.sentence) for event in Event.objects.order_by("id")]


def _sentences() -> list[str]:
    return [sentence for _, sentence in _told()]


def _change(boss: Client, user: User, **changes: Any) -> None:
    groups = [str(group.pk) for group in user.groups.all()]
    dates = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    form = {"username": user.username, "is_active": "on", "groups": groups, **dates, **changes}
    form = {name: value for name, value in form.items() if value is not None}
    answer = boss.post(f"/admin/auth/user/{user.pk}/change/", form)
    assert answer.status_code == 302


@pytest.mark.not_quick
def test_each_change_of_a_user_in_djangos_admin_is_told(boss: Client) -> None:
    form = {
        "username": "ada",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    assert boss.post(ADD, form).status_code == 302
    ada = User.objects.get(username="ada")
    viewer = str(Group.objects.get(name="viewer").pk)
    operator = str(Group.objects.get(name="operator").pk)
    _change(boss, ada, groups=[viewer])
    _change(boss, ada, groups=[operator], email="ada@example.com", first_name="Ada")
    known = {"email": "ada@example.com", "first_name": "Ada"}
    _change(boss, ada, username="countess", **known)
    ada.refresh_from_db()
    _change(boss, ada, is_active=None, **known)
    _change(boss, ada, **known)
    new = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}
    assert boss.post(f"/admin/auth/user/{ada.pk}/password/", new).status_code == 302
    assert _told() == [
        ("superuser-user", sentence)
        for sentence in (
            "Made the user ada (roles: none).",
            "Gave the role viewer to ada.",
            "Changed the user ada: full name and mail address.",
            "Gave the role operator to ada.",
            "Took the role viewer from ada.",
            "Renamed the user ada to countess.",
            "Deactivated the user countess; its sessions ended.",
            "Activated the user countess.",
            "Set a new password for countess; its sessions ended.",
        )
    ]


@pytest.mark.not_quick
def test_a_form_that_changes_nothing_and_one_that_is_refused_tell_nothing(
    boss: Client, ada: User
) -> None:
    _change(boss, ada)
    boss.post(f"/admin/auth/user/{ada.pk}/change/", {"username": ""})
    boss.post(ADD, {"username": "x", "password1": "short", "password2": "short"})
    assert _told() == []


def test_a_deleted_user_is_told(ada: User) -> None:
    services.delete_user(actor=None, user=ada)
    assert _sentences() == ["Deleted the user ada."]


@pytest.mark.not_quick
def test_superusers_and_single_permissions_are_told(db: None, ada: User) -> None:
    root = User.objects.create_superuser("root", password=PASSWORD)
    client = Client()
    client.force_login(root)
    from django.contrib.auth.models import Permission

    invoke = Permission.objects.get(codename="invoke_endpoint")
    _change(client, ada, is_superuser="on", user_permissions=[str(invoke.pk)])
    _change(client, ada)
    assert _sentences() == [
        "Gave the permission endpoints.invoke_endpoint to ada.",
        "Made ada a superuser.",
        "Took the permission endpoints.invoke_endpoint from ada.",
        "ada is no longer a superuser.",
    ]


def test_the_own_password_is_told(ada: User) -> None:
    client = Client()
    client.force_login(ada)
    form = {
        "old_password": PASSWORD,
        "new_password1": NEW_PASSWORD,
        "new_password2": NEW_PASSWORD,
    }
    assert client.post("/password/", form).status_code == 302
    assert _told() == [("ada", "Changed their own password; other sessions of ada ended.")]


@pytest.mark.not_quick
def test_commands_are_told_as_by_nobody(
    db: None, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", interactive=False, username="root", email="r@example.com")
    from django.contrib.auth.management.commands import changepassword

    monkeypatch.setattr(changepassword.getpass, "getpass", lambda prompt="": NEW_PASSWORD)
    call_command("changepassword", "ada", stdout=io.StringIO())
    ada.refresh_from_db()
    assert ada.check_password(NEW_PASSWORD)
    assert _told() == [
        ("", "Made the user root (roles: superuser)."),
        ("", "Set a new password for ada; its sessions ended."),
    ]


def test_the_services_tell_what_the_pages_tell(user_in: Callable[[str], Any]) -> None:
    boss = user_in("admin")
    ada = services.make_user(actor=boss, name="ada", password=PASSWORD, role="viewer")
    services.set_role(actor=boss, user=ada, role="operator")
    services.set_password(actor=boss, user=ada, password=NEW_PASSWORD)
    assert _told() == [
        ("admin-user", "Made the user ada (roles: viewer)."),
        ("admin-user", "Gave the role operator to ada."),
        ("admin-user", "Took the role viewer from ada."),
        ("admin-user", "Set a new password for ada; its sessions ended."),
    ]
    assert User.objects.get(username="ada").check_password(NEW_PASSWORD)
    for weak in ("ada ada ada ada", "short", "123456789012", "password1234"):
        with pytest.raises(ValidationError):
            services.make_user(actor=boss, name="ada ada ada", password=weak)


@pytest.mark.django_db(transaction=True)
def test_of_several_who_make_one_user_at_once_all_but_one_get_the_same_sentence() -> None:
    roles.ensure_roles()  # as in any installation: changes of users wait for these rows

    def make() -> Any:
        try:
            return services.make_user(actor=None, name="eve", password=PASSWORD)
        except ValidationError as error:
            return error.message_dict

    outcomes = together([make] * 4)
    assert outcomes.count({"username": ["A user with that username already exists."]}) == 3
    assert User.objects.get().username == "eve"


# --- log-ins --------------------------------------------------------------------------------


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO)
    return lambda: [
        record.getMessage() for record in caplog.records if record.name == "accounts.throttle"
    ]


@pytest.mark.not_quick
def test_each_failure_and_the_pause_are_told(
    ada: User, log_in: LogIn, lines: Callable[[], list[str]]
) -> None:
    for _ in range(20):
        log_in("ada", "wrong")
    call_command("unlock", "ada")
    log_in("ada")
    assert _sentences() == [
        *["A log-in of ada from 192.0.2.1 failed."] * 5,
        "Paused log-ins of ada from 192.0.2.1 for 15 minutes: 5 failures.",
        "Ended the pause of log-ins for ada.",
    ]
    written = lines()
    assert written[:2] == [
        "Log-in failed: user 'ada' from 192.0.2.1, 1 of 5 failures.",
        "Log-in failed: user 'ada' from 192.0.2.1, 2 of 5 failures.",
    ]
    assert "Log-ins of 'ada' from 192.0.2.1 are paused." in written
    assert sum(line.startswith("Log-in refused: from 192.0.2.1") for line in written) == 15
    assert written[-1] == "'ada' logged in from 192.0.2.1."


@pytest.mark.not_quick
def test_a_password_that_was_typed_as_the_name_is_stored_nowhere(
    ada: User, log_in: LogIn, lines: Callable[[], list[str]]
) -> None:
    from axes.models import AccessAttempt, AccessFailureLog, AccessLog

    marker = "MyOwnSecretPassword"
    for _ in range(6):
        log_in(marker, "another MarkerOfAPassword")
    log_in("ada", "the MarkerOfAPassword")
    call_command("unlock", marker)
    stored = [str(row) for table in (AccessAttempt, Event) for row in table.objects.values()]
    everything = " ".join(stored + lines())
    for secret in (marker, marker.lower(), "MarkerOfAPassword"):
        assert secret not in everything
    assert not AccessLog.objects.exists()
    assert not AccessFailureLog.objects.exists()
    # But whether it is the same name again can be told.
    digits = throttle.name_digest(marker)[:8]
    assert _sentences()[0] == f"A log-in with an unknown name (#{digits}) from 192.0.2.1 failed."


def test_no_name_writes_a_line_of_its_own_into_the_log(
    db: None, log_in: LogIn, lines: Callable[[], list[str]]
) -> None:
    User.objects.create_user("ada\nERROR root: all is lost", password=PASSWORD)
    log_in("ada\nERROR root: all is lost", "wrong")
    log_in("x\r\nERROR root: all is lost", "wrong")
    assert len(lines()) == 2
    assert not any("\n" in line or "\r" in line for line in lines())


@pytest.mark.not_quick
def test_a_flood_from_many_addresses_does_not_fill_the_log_of_events(
    ada: User, log_in: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "MAX_EVENTS", 10)
    for number in range(30):
        log_in(f"name-{number}", "wrong", address=f"198.51.100.{number}")
    for _ in range(6):
        log_in("ada", "wrong")
    told = _sentences()
    assert len(told) == 12
    assert told[10].startswith("More log-ins fail than are listed")
    assert told[11].startswith("Paused log-ins of ada")


@pytest.mark.not_quick
def test_events_about_people_are_for_those_who_manage_them(
    ada: User, log_in: LogIn, boss: Client, user_in: Callable[[str], Any]
) -> None:
    log_in("ada", "wrong")
    viewer = Client()
    viewer.force_login(user_in("viewer"))
    for page in ("/", "/activity/"):
        assert "192.0.2.1" in boss.get(page).content.decode()
        assert "192.0.2.1" not in viewer.get(page).content.decode()
    about = f"/activity/user/{ada.pk}/"
    assert boss.get(about).headers["Location"] == f"/people/{ada.pk}/"
    assert viewer.get(about).status_code == 403
