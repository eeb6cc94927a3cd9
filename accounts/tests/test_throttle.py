"""Passwords cannot be tried one after the other, nor all at once; and nobody locks others out."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import services, throttle
from accounts.tests.conftest import PASSWORD, LogIn
from tests.together import together


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names whose password was looked at."""
    names: list[str] = []
    real = ModelBackend.authenticate

    def counting(self: Any, request: Any, username: Any = None, **more: Any) -> Any:
        names.append(username)
        return real(self, request, username=username, **more)

    monkeypatch.setattr(ModelBackend, "authenticate", counting)
    return names


def _lock(log_in: LogIn, name: str = "ada", address: str = "192.0.2.1") -> None:
    for _ in range(5):
        answer = log_in(name, "wrong", address=address)
    assert answer.status_code == 429


def _later(seconds: float) -> None:
    """Let time pass, for the table."""
    for row in AccessAttempt.objects.all():
        earlier = row.attempt_time - timedelta(seconds=seconds)
        AccessAttempt.objects.filter(pk=row.pk).update(attempt_time=earlier)


@pytest.mark.slow
def test_the_right_password_after_100_wrong_ones_is_not_taken(
    ada: User, log_in: LogIn, looked_at: list[str]
) -> None:
    statuses = [log_in("ada", f"wrong {number}").status_code for number in range(100)]
    assert statuses == [400] * 4 + [429] * 96
    assert log_in("ada").status_code == 429
    assert len(looked_at) == 5


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_100_wrong_passwords_at_the_same_time_are_five(log_in: LogIn, looked_at: list[str]) -> None:
    User.objects.create_user("ada", password=PASSWORD)

    def guess() -> list[int]:
        return [log_in("ada", "wrong").status_code for _ in range(5)]

    statuses = [status for guessed in together([guess] * 20) for status in guessed]
    assert len(statuses) == 100
    assert set(statuses) == {400, 429}
    assert len(looked_at) == 5
    assert log_in("ada").status_code == 429


@pytest.mark.not_quick
def test_a_pause_of_one_name_and_address_hurts_no_other_name_and_no_other_address(
    ada: User, log_in: LogIn
) -> None:
    User.objects.create_user("bob", password=PASSWORD)
    _lock(log_in)
    assert log_in("ada", address="192.0.2.2").status_code == 302
    assert log_in("bob").status_code == 302
    assert log_in("ada").status_code == 429


@pytest.mark.not_quick
def test_one_address_that_tries_many_names_is_paused_as_a_whole(
    ada: User, log_in: LogIn, looked_at: list[str]
) -> None:
    statuses = [log_in(f"name-{number}", "wrong").status_code for number in range(60)]
    assert statuses == [400] * 49 + [429] * 11
    assert log_in("ada").status_code == 429
    assert len(looked_at) == 50
    assert log_in("ada", address="192.0.2.2").status_code == 302


@pytest.mark.slow
def test_who_has_an_account_cannot_wipe_out_the_failures_of_its_address(
    ada: User, log_in: LogIn
) -> None:
    User.objects.create_user("eve", password=PASSWORD)
    statuses = []
    for number in range(60):
        statuses.append(log_in(f"name-{number}", "wrong").status_code)
        if number < 49:
            assert log_in("eve").status_code == 302
    assert statuses == [400] * 49 + [429] * 11


@pytest.mark.not_quick
def test_a_user_who_gets_it_right_in_time_begins_anew(ada: User, log_in: LogIn) -> None:
    for _ in range(3):
        for _ in range(4):
            assert log_in("ada", "wrong").status_code == 400
        assert log_in("ada").status_code == 302


def test_the_answer_during_a_pause_says_when_to_try_again(ada: User, log_in: LogIn) -> None:
    _lock(log_in)
    answer = log_in("ada", HTTP_HX_REQUEST="true")
    page = answer.content.decode()
    assert answer.status_code == 429
    assert 890 < int(answer.headers["Retry-After"]) <= 900
    assert answer.headers["Cache-Control"] == "no-store"
    assert "paused for 15 minutes" in page
    assert 'class="brand"' in page


@pytest.mark.not_quick
def test_a_pause_ends_when_it_was_said_to_end_whatever_was_tried_meanwhile(
    ada: User, log_in: LogIn
) -> None:
    _lock(log_in)
    _later(600)
    assert 290 < int(log_in("ada", "wrong").headers["Retry-After"]) <= 300
    _later(301)
    assert log_in("ada").status_code == 302


@pytest.mark.not_quick
def test_failures_far_apart_are_no_attack(ada: User, log_in: LogIn) -> None:
    for _ in range(12):
        assert log_in("ada", "wrong").status_code == 400
        _later(301)


@pytest.mark.parametrize(
    "variants",
    [
        ["ada", "ADA", "Ada", " ada", "ada "],
        ["ada", "\N{FULLWIDTH LATIN SMALL LETTER A}da", "ａｄａ", "Ａda", "aDa"],
    ],
)
def test_spellings_of_a_name_are_one_name(ada: User, log_in: LogIn, variants: list[str]) -> None:
    statuses = [log_in(name, "wrong").status_code for name in variants]
    assert statuses == [400] * 4 + [429]
    assert log_in("ada").status_code == 429


@pytest.mark.not_quick
def test_addresses_of_one_ipv6_network_are_one_address(ada: User, log_in: LogIn) -> None:
    statuses = [
        log_in("ada", "wrong", address=f"2001:db8:1:2::{number:x}").status_code
        for number in range(6)
    ]
    assert statuses == [400] * 4 + [429] * 2
    assert log_in("ada", address="2001:db8:1:3::1").status_code == 302


@pytest.mark.not_quick
def test_a_client_that_changes_its_user_agent_makes_no_more_attempts_and_no_more_rows(
    ada: User, log_in: LogIn
) -> None:
    statuses = [
        log_in("ada", "wrong", HTTP_USER_AGENT=f"agent {number}").status_code for number in range(8)
    ]
    assert statuses == [400] * 4 + [429] * 4
    assert AccessAttempt.objects.count() == 2


@pytest.mark.slow
def test_a_flood_of_random_names_does_not_fill_the_database(
    ada: User, log_in: LogIn, settings: Any
) -> None:
    for number in range(120):
        log_in(f"name-{number}", "wrong")
    assert AccessAttempt.objects.count() == settings.LOGIN_ADDRESS_FAILURE_LIMIT + 1
    services.sweep()
    assert AccessAttempt.objects.count() == settings.LOGIN_ADDRESS_FAILURE_LIMIT + 1
    _later(901)
    services.sweep()
    assert not AccessAttempt.objects.exists()


def test_a_refused_attempt_writes_nothing(ada: User, log_in: LogIn) -> None:
    _lock(log_in)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert log_in("ada").status_code == 429
    assert {query["sql"].split()[0] for query in queries} == {"SELECT"}


# --- nothing tells which names there are -----------------------------------------------------


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often a password was hashed: all that takes time."""
    from django.contrib.auth.hashers import MD5PasswordHasher

    calls: list[int] = []
    real = MD5PasswordHasher.encode

    def counting(self: Any, password: str, salt: str) -> str:
        calls.append(1)
        return real(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counting)
    return calls


def _seen(answer: Any) -> tuple[int, str]:
    page = re.sub(r'(csrf\w*" value="|X-CSRFToken": ")\w+', r"\1", answer.content.decode())
    return answer.status_code, re.sub(r'value="(ada|idle|nobody|locked)"', 'value="NAME"', page)


def test_unknown_and_inactive_users_get_the_same_answer_after_the_same_work(
    ada: User, log_in: LogIn, hashed: list[int]
) -> None:
    User.objects.create_user("idle", password=PASSWORD, is_active=False)
    User.objects.create_user("locked")  # without a usable password
    hashed.clear()
    seen = []
    for name, password in (
        ("ada", "wrong"),
        ("nobody", PASSWORD),
        ("idle", PASSWORD),
        ("locked", PASSWORD),
    ):
        before = len(hashed)
        with CaptureQueriesContext(connection) as queries:
            answer = log_in(name, password, address=f"192.0.2.{10 + len(seen)}")
        seen.append((_seen(answer), len(hashed) - before, len(queries)))
    assert seen[0][0][0] == 400
    assert seen[0][1] == 1
    assert all(other == seen[0] for other in seen), [entry[1:] for entry in seen]


@pytest.mark.not_quick
def test_a_pause_tells_neither_whether_there_is_such_a_user_nor_whether_the_password_was_right(
    ada: User, log_in: LogIn, hashed: list[int]
) -> None:
    _lock(log_in)
    _lock(log_in, "nobody", "192.0.2.9")
    hashed.clear()
    pages = {
        re.sub(r"<time.*?</time>", "", _seen(answer)[1])
        for answer in (
            log_in("ada"),
            log_in("ada", "wrong"),
            log_in("nobody", address="192.0.2.9"),
        )
    }
    assert len(pages) == 1
    assert not hashed


# --- every prompt ----------------------------------------------------------------------------


def test_djangos_admin_has_no_log_in_of_its_own(ada: User, looked_at: list[str]) -> None:
    form = {"username": "ada", "password": PASSWORD, "next": "/admin/"}
    answer = Client().post("/admin/login/?next=/admin/auth/user/", form)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/login/?next=/admin/auth/user/"
    assert not looked_at


def test_a_superuser_who_logs_in_for_djangos_admin_gets_there(
    client_of: Callable[[str], Client], user_in: Callable[[str], Any]
) -> None:
    user_in("superuser")
    client = Client()
    answer = client.get("/admin/auth/user/", follow=True)
    form = {"username": "superuser-user", "password": "a good long password"}
    login = client.post(answer.request["PATH_INFO"] + "?next=/admin/auth/user/", form)
    assert login.headers["Location"] == "/admin/auth/user/"
    assert client.get("/admin/auth/user/").status_code == 200


def _change(client: Client, old: str, **extra: Any) -> Any:
    new = "quite another password"
    form = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post("/password/", form, **extra)


@pytest.mark.not_quick
def test_the_old_password_cannot_be_guessed_in_a_session_that_was_left_open(ada: User) -> None:
    client = Client()
    client.force_login(ada)
    statuses = [_change(client, "wrong").status_code for _ in range(6)]
    assert statuses == [400] * 4 + [429] * 2
    assert _change(client, PASSWORD).status_code == 429
    # A stolen session that is used from other addresses has no further tries.
    assert _change(client, PASSWORD, REMOTE_ADDR="192.0.2.77").status_code == 429
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)


def test_djangos_admin_has_no_password_form_of_its_own(client_of: Callable[[str], Client]) -> None:
    form = {"old_password": "a good long password", "new_password1": "x", "new_password2": "x"}
    answer = client_of("superuser").post("/admin/password_change/", form)
    assert answer.headers["Location"] == "/password/"


@pytest.mark.not_quick
def test_the_wrong_old_password_counts_for_the_log_in_too(ada: User, log_in: LogIn) -> None:
    client = Client()
    client.force_login(ada)
    for _ in range(5):
        _change(client, "wrong", REMOTE_ADDR="192.0.2.1")
    assert log_in("ada").status_code == 429


# --- unlock ----------------------------------------------------------------------------------


@pytest.mark.not_quick
@pytest.mark.parametrize("which", [["ada"], ["ADA"], ["192.0.2.1"], ["--all"]])
def test_unlock_ends_a_pause(ada: User, log_in: LogIn, which: list[str]) -> None:
    _lock(log_in)
    call_command("unlock", *which)
    assert log_in("ada").status_code == 302


@pytest.mark.parametrize("which", [["bob"], ["192.0.2.2"]])
def test_unlock_ends_no_other_pause(ada: User, log_in: LogIn, which: list[str]) -> None:
    _lock(log_in)
    call_command("unlock", *which)
    assert log_in("ada").status_code == 429


@pytest.mark.parametrize("which", [[], ["ada", "--all"]])
def test_unlock_wants_to_know_what(db: None, which: list[str]) -> None:
    with pytest.raises(CommandError, match="a name, an address, or --all"):
        call_command("unlock", *which)


@pytest.mark.not_quick
def test_axes_own_command_resets_too(ada: User, log_in: LogIn) -> None:
    _lock(log_in)
    call_command("axes_reset_username", "ada")
    assert log_in("ada").status_code == 302


# --- the page, and what it costs ------------------------------------------------------------


@pytest.mark.not_quick
def test_a_wrong_password_is_said_and_who_is_logged_in_notices_nothing_of_a_pause(
    ada: User, log_in: LogIn
) -> None:
    client = Client()
    client.force_login(ada)
    assert "Wrong name or password" in log_in("ada", "wrong").content.decode()
    for _ in range(5):
        log_in("ada", "wrong")
    assert client.get("/activity/", REMOTE_ADDR="192.0.2.1").status_code == 403  # it has no role
    assert client.get("/", REMOTE_ADDR="192.0.2.1").status_code == 200


def test_names_that_are_too_long_to_be_one_are_attempts_like_others(
    db: None, log_in: LogIn, looked_at: list[str]
) -> None:
    name = "\N{LATIN SMALL LIGATURE FFI}" * 20_000
    statuses = [log_in(f"{name}{number}", "wrong").status_code for number in range(6)]
    assert statuses == [400] * 4 + [429] * 2
    assert len(looked_at) == 5


def test_axes_has_nothing_to_say_against_the_settings() -> None:
    from django.core.checks import run_checks

    found = run_checks(include_deployment_checks=True)
    assert not [message for message in found if str(message.id).startswith("axes")]


def test_a_page_costs_no_query_more(client_of: Callable[[str], Client]) -> None:
    client = client_of("viewer")
    client.get("/models/")
    with CaptureQueriesContext(connection) as queries:
        client.get("/models/")
    assert not [query for query in queries if "axes_" in query["sql"]]


def test_an_attempt_that_ended_in_the_middle_counts(ada: User) -> None:
    """As when the web process is killed between the count and the answer."""
    keys = (throttle.Key("digest", "192.0.2.1", 2),)
    for _ in range(2):
        assert isinstance(throttle.reserve(keys), throttle.Attempt)
    locked = throttle.reserve(keys)
    assert isinstance(locked, throttle.Locked)
    assert locked.until > timezone.now()
