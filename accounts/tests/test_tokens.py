"""Tokens of the API: their form, what each may, when it ends, and what is kept of it."""

import json
import re
import sqlite3
import string
import threading
import zlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import links, services, token_auth, tokens
from accounts.models import Token
from accounts.token_uses import Uses
from activity.models import Event
from core import clock
from core.api.caller import Scope
from tests.together import together

UserIn = Callable[[str], Any]
ALL = {scope.value for scope in Scope}
GOOD = "correct horse battery"


@pytest.fixture
def vera(user_in: UserIn) -> User:
    found: User = user_in("viewer")
    return found


def _make(user: User, *scopes: str, **more: Any) -> tuple[Token, str]:
    return tokens.make(user=user, name=more.pop("name", "ci"), scopes=scopes or ("read",), **more)


def _ask(secret: str, path: str = "/api/v1/me", method: str = "get", **more: Any) -> Any:
    client = Client(REMOTE_ADDR=more.pop("address", "192.0.2.7"))
    headers = {"Authorization": f"Bearer {secret}", **more.pop("headers", {})}
    return getattr(client, method)(path, headers=headers, **more)


def _code(answer: Any) -> str:
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    return str(json.loads(answer.content)["type"]).rpartition("/")[2]


def _later(monkeypatch: pytest.MonkeyPatch, **more: float) -> None:
    """Set the database's clock forward, and let what the process keeps be old."""
    real = clock.now
    ahead = timedelta(**more)
    monkeypatch.setattr(clock, "now", lambda *a: real(*a) + ahead)
    token_auth.CACHE.clear()


# --- their form --------------------------------------------------------------------------------


def test_a_token_is_known_by_its_prefix_and_checksum() -> None:
    made = {tokens.new_secret() for _ in range(200)}
    assert len(made) == 200
    for one in made:
        found = re.fullmatch(r"mme_([0-9A-Za-z]{43})([0-9A-Za-z]{6})", one)
        assert found is not None
        digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
        value = 0
        for letter in found[2]:
            value = value * 62 + digits.index(letter)
        assert value == zlib.crc32(found[1].encode())
        assert tokens.is_well_formed(one)


def test_a_typing_error_is_told_without_the_database(db: None) -> None:
    secret = tokens.new_secret()
    other = "a" if secret[10] != "a" else "b"
    wrong = [secret[:10] + other + secret[11:], secret[:-1], secret + "a", "mme_", "", "x" * 9000]
    for one in wrong:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            answer = _ask(one)
        assert (answer.status_code, _code(answer)) == (401, "bad-token")
        assert not asked.captured_queries
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert not AccessAttempt.objects.exists()


def test_all_256_bits_fit_into_the_letters() -> None:
    assert 62**43 >= 2**256


# --- what is kept ------------------------------------------------------------------------------


def test_only_a_digest_of_a_token_is_kept(vera: User) -> None:
    token, secret = _make(vera)
    kept = str([*Token.objects.values(), *Event.objects.values()])
    assert secret not in kept
    assert secret[4:20] not in kept
    assert token.digest == tokens.digest(secret)
    assert len(token.digest) == 64
    event = Event.objects.get(action="token.made")
    assert event.actor == vera
    assert event.parameters["token"] == "ci"
    assert event.parameters["until"] == f"{token.expires_at:%Y-%m-%d %H:%M} UTC"


def test_the_id_does_not_tell_how_many_there_are(vera: User) -> None:
    ids = [_make(vera)[0].pk for _ in range(3)]
    assert all(re.fullmatch(r"[0-9a-f]{16}", one) for one in ids)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "mme_" + "a" * 49}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["all"]}, "scopes"),
        ({"scopes": ["read", "upload"]}, "scopes"),
        ({"days": 0}, "days"),
        ({"days": 366}, "days"),
    ],
)
def test_what_is_refused_is_told_by_the_field(vera: User, more: Any, field: str) -> None:
    with pytest.raises(ValidationError) as raised:
        tokens.make(user=vera, **{"name": "ci", "scopes": ["read"], **more})
    assert list(raised.value.error_dict) == [field]
    assert not Token.objects.exists()


def test_a_person_has_a_bounded_number_of_tokens(
    vera: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "MOST", 2)
    first, _ = _make(vera)
    _make(vera)
    with pytest.raises(ValidationError, match="2 tokens"):
        _make(vera)
    tokens.revoke(actor=vera, token=first)
    _make(vera)


# --- what they may -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("viewer", {"read", "invoke"}),
        ("operator", {"read", "invoke", "upload", "operate"}),
        ("admin", ALL),
    ],
)
def test_each_role_has_its_scopes(user_in: UserIn, role: str, allowed: set[str]) -> None:
    assert tokens.scopes_of(user_in(role)) == allowed


def test_nobody_without_a_role_has_a_scope_and_a_superuser_has_all(db: None) -> None:
    assert tokens.scopes_of(User.objects.create_user("none")) == set()
    assert tokens.scopes_of(User.objects.create_superuser("root")) == ALL


def test_a_token_narrows_what_its_owner_may(user_in: UserIn) -> None:
    _, secret = _make(user_in("admin"), "invoke")
    answer = _ask(secret, "/api/v1/tokens")
    assert (answer.status_code, _code(answer)) == (403, "scope-missing")
    _, secret = _make(User.objects.get(), "read", "upload")
    answer = _ask(secret)
    assert answer.status_code == 200, answer.content
    assert json.loads(answer.content)["scopes"] == ["read", "upload"]


@pytest.mark.not_quick
def test_a_change_of_role_counts_within_a_second(
    user_in: UserIn, vera: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    owner = user_in("operator")
    _, secret = _make(owner, "read", "operate")
    assert json.loads(_ask(secret).content)["scopes"] == ["read", "operate"]
    services.set_role(actor=None, user=owner, role="viewer")
    now[0] += 1.0
    assert json.loads(_ask(secret).content)["scopes"] == ["read"]
    services.set_role(actor=None, user=owner, role=None)
    now[0] += 1.0
    assert json.loads(_ask(secret).content)["scopes"] == []


def test_a_token_counts_below_api_alone(vera: User) -> None:
    _, secret = _make(vera)
    answer = _ask(secret, "/models/")
    assert answer.status_code == 401
    assert _ask(secret, "/api/v1/tokens").status_code == 200


def test_no_session_is_read_or_made(vera: User, django_user_model: Any) -> None:
    _, secret = _make(vera)
    other = Client()
    other.force_login(User.objects.create_user("other"))
    with CaptureQueriesContext(connection) as asked:
        answer = other.get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"})
    assert json.loads(answer.content)["name"] == vera.username
    assert not answer.cookies
    assert not any("django_session" in query["sql"] for query in asked.captured_queries)
    assert Session.objects.count() == 1
    # And a token that does not count is not made good by a session.
    answer = other.get("/api/v1/me", headers={"Authorization": "Bearer mme_nothing"})
    assert (answer.status_code, _code(answer)) == (401, "bad-token")
    assert other.get("/api/v1/me").status_code == 200


# --- when they end -----------------------------------------------------------------------------


def test_a_token_counts_for_90_days_and_a_year_at_most(
    vera: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, secret = _make(vera)
    assert token.expires_at - token.created_at == timedelta(days=90)
    _make(vera, days=365)
    _later(monkeypatch, days=89, hours=23)
    assert _ask(secret).status_code == 200
    _later(monkeypatch, hours=2)
    answer = _ask(secret)
    assert (answer.status_code, _code(answer)) == (401, "token-expired")


def test_what_is_kept_in_the_process_ends_with_the_token(
    vera: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, secret = _make(vera)
    Token.objects.filter(pk=token.pk).update(expires_at=clock.now() + timedelta(milliseconds=400))
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    found, _ = token_auth.Cache().find(secret)
    assert 1000.0 < found.until <= 1000.4


@pytest.mark.not_quick
def test_a_revoked_token_ends_at_once_with_those_that_it_made(
    vera: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    token, secret = _make(vera, "read", "invoke")
    body = {"name": "child", "scopes": ["read"]}
    answer = _ask(secret, "/api/v1/tokens", "post", data=body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    child = json.loads(answer.content)["token"]
    _, other_secret = _make(vera, name="other")
    for one in (secret, child, other_secret):
        assert _ask(one).status_code == 200
    tokens.revoke(actor=vera, token=token)
    now[0] += 1.0
    for one in (secret, child):
        answer = _ask(one)
        assert (answer.status_code, _code(answer)) == (401, "token-revoked")
    assert _ask(other_secret).status_code == 200
    assert Event.objects.filter(action="token.revoked").count() == 2
    tokens.revoke(actor=vera, token=token)  # again: nothing more
    assert Event.objects.filter(action="token.revoked").count() == 2


@pytest.mark.parametrize("how", ["deactivated", "reset", "own", "link", "behind our back"])
def test_tokens_end_with_the_account_and_with_the_password(
    user_in: UserIn, vera: User, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    _, secret = _make(vera)
    assert _ask(secret).status_code == 200
    match how:
        case "deactivated":
            services.set_active(actor=None, user=vera, active=False)
        case "reset":
            services.set_password(actor=None, user=vera, password=GOOD)
        case "own":
            client = Client()
            client.force_login(vera)
            old = "a good long password"
            form = {"old_password": old, "new_password1": GOOD, "new_password2": GOOD}
            assert client.post("/password/", form).status_code == 302
        case "link":
            links.use(secret=links.make(actor=user_in("admin"), user=vera), password=GOOD)
        case _:
            User.objects.filter(pk=vera.pk).update(is_active=False)
    now[0] += 1.0
    answer = _ask(secret)
    assert (answer.status_code, _code(answer)) == (401, "token-revoked")
    if how == "deactivated":
        assert Event.objects.filter(action="token.all_revoked").count() == 1
        services.set_active(actor=None, user=vera, active=True)
        now[0] += 1.0
        assert _ask(secret).status_code == 401


def test_no_token_is_made_by_who_was_logged_in_with_the_password_before(vera: User) -> None:
    """A request that was under way as an admin set another one; its token stayed."""
    begun = User.objects.get(pk=vera.pk)
    services.set_password(actor=None, user=vera, password=GOOD + "!")
    with pytest.raises(ValidationError, match="Log in again"):
        _make(begun)
    assert not Token.objects.exists()
    _make(vera)


def test_a_deleted_owners_token_is_none(vera: User, user_in: UserIn) -> None:
    _, secret = _make(vera)
    services.delete_user(actor=None, user=vera)
    assert _code(_ask(secret)) == "bad-token"


def test_ended_tokens_stay_for_a_month(vera: User, monkeypatch: pytest.MonkeyPatch) -> None:
    _make(vera, days=1)
    revoked, _ = _make(vera)
    living, _ = _make(vera)
    tokens.revoke(actor=vera, token=revoked)
    _later(monkeypatch, days=29)
    services.sweep()
    assert Token.objects.count() == 3
    _later(monkeypatch, days=3)
    services.sweep()
    assert list(Token.objects.values_list("pk", flat=True)) == [living.pk]


# --- what a process keeps ----------------------------------------------------------------------


def test_a_token_is_read_once_a_second(vera: User) -> None:
    _, secret = _make(vera)
    cache = token_auth.Cache(keep_s=3600)
    cache.find(secret)
    with CaptureQueriesContext(connection) as asked:
        found, new = cache.find(secret)
        assert found.user.has_perm("models_catalog.view_model")
        assert not found.user.has_perm("auth.change_user")
    assert (new, len(asked.captured_queries)) == (False, 0)


@pytest.mark.not_quick
def test_the_memory_is_bounded_and_keeps_no_wrong_tokens(vera: User) -> None:
    cache = token_auth.Cache(most=3)
    for _ in range(5):
        cache.find(_make(vera)[1])
        with pytest.raises(tokens.Unusable):
            cache.find(tokens.new_secret())
        assert len(cache) <= 3
    assert len(cache) == 3


def test_requests_of_one_second_share_no_user(vera: User) -> None:
    _, secret = _make(vera)
    first, second = _ask(secret).wsgi_request, _ask(secret).wsgi_request
    first.user.first_name = "changed"
    assert second.user.first_name == ""
    assert first.caller == second.caller
    assert first.caller.limit_key.startswith("token:")


# --- wrong tokens ------------------------------------------------------------------------------


@pytest.mark.not_quick
def test_wrong_tokens_are_counted_by_address_and_keep_nobody_else_out(
    vera: User, settings: Any
) -> None:
    settings.LOGIN_ADDRESS_FAILURE_LIMIT = 3
    _, secret = _make(vera)
    for _ in range(3):
        assert _code(_ask(tokens.new_secret())) == "bad-token"
    for wrong in (tokens.new_secret(), tokens.new_secret()):
        answer = _ask(wrong)
        assert (answer.status_code, _code(answer)) == (429, "too-many-wrong-tokens")
        assert 0 < int(answer.headers["Retry-After"]) <= settings.LOGIN_COOL_OFF_S
    assert _ask(secret).status_code == 200
    assert _code(_ask(tokens.new_secret(), address="192.0.2.8")) == "bad-token"
    assert Event.objects.filter(action="login.tokens_paused").count() == 1
    form = {"username": vera.username, "password": "a good long password"}
    assert Client(REMOTE_ADDR="192.0.2.7").post("/login/", form).status_code == 302
    assert services.unlock(actor=None, address="192.0.2.7") > 0
    assert _code(_ask(tokens.new_secret())) == "bad-token"


# --- the last use ------------------------------------------------------------------------------


@pytest.mark.not_quick
def test_the_last_use_is_written_once_a_minute_beside_the_call(
    transactional_db: None, user_in: UserIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses = Uses()
    monkeypatch.setattr(token_auth, "USES", uses)
    token, secret = _make(user_in("viewer"))

    def seen(address: str) -> tuple[Any, Any]:
        token_auth.CACHE.clear()
        assert _ask(secret, address=address).status_code == 200
        uses.end()
        token.refresh_from_db()
        return token.last_used_at, token.last_used_from

    at, address = seen("192.0.2.7")
    assert address == "192.0.2.7"
    assert abs(at - timezone.now()) < timedelta(minutes=5)
    assert seen("192.0.2.8") == (at, "192.0.2.7")
    _later(monkeypatch, seconds=61)
    later, address = seen("2001:db8::1")
    assert later - at >= timedelta(seconds=60)
    assert address == "2001:db8::1"


def test_a_use_that_cannot_be_written_stops_nothing(
    transactional_db: None, user_in: UserIn, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    uses = Uses()
    token, _ = _make(user_in("viewer"))

    def fails(_: Any) -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr("accounts.token_uses._write", fails)
        uses.note(token.pk, "192.0.2.7")
        uses.end()
    assert "was not written: database is locked" in caplog.text
    uses.note(token.pk, "192.0.2.7")
    uses.end()
    token.refresh_from_db()
    assert token.last_used_from == "192.0.2.7"
    assert "token-uses" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.usefixtures("remembering")
def test_a_call_within_the_second_asks_the_database_nothing_about_its_caller(vera: User) -> None:
    _, secret = _make(vera)
    assert _ask(secret, "/api/v1/status").status_code == 200
    with CaptureQueriesContext(connection) as asked:
        assert _ask(secret, "/api/v1/status").status_code == 200
    tables = ("accounts_token", "auth_user", "auth_permission", "accounts_preferences", "session")
    about = [one["sql"] for one in asked.captured_queries if any(t in one["sql"] for t in tables)]
    assert not about


def test_a_database_that_is_busy_is_told_as_such(
    vera: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = _make(vera)

    def busy(*_: Any, **__: Any) -> None:
        cause = sqlite3.OperationalError("database is locked")
        cause.sqlite_errorname = "SQLITE_BUSY"
        raise OperationalError from cause

    monkeypatch.setattr(tokens, "find", busy)
    client = Client(raise_request_exception=False)
    answer = client.get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"})
    assert (answer.status_code, _code(answer)) == (503, "unavailable")
    assert answer.headers["Retry-After"]


@pytest.mark.not_quick
def test_many_threads_use_one_token_at_once(
    transactional_db: None, user_in: UserIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = [_make(user_in("viewer"))[1]]
    secrets += [_make(User.objects.get())[1] for _ in range(3)]
    cache = token_auth.Cache(most=2, keep_s=0.0)  # each look reads, and most push another one out
    found = together([lambda s=s: cache.find(s)[0].token_id for s in secrets * 4])
    kept = dict(Token.objects.values_list("digest", "pk"))
    assert found == [kept[tokens.digest(secret)] for secret in secrets] * 4
    assert len(cache) == 2
