"""People in the portal's own pages: list, invitation, role, reset and deactivation."""

import html
import re
import smtplib
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connections
from django.test import Client
from django.urls import clear_url_caches, resolve
from django.utils import timezone, translation

from accounts import links, people, services, tokens
from accounts.models import PasswordLink
from activity.models import Event
from core.logging import Formatter
from mmeportal.server.access_log import _without_secrets

GOOD = "correct horse battery"


@pytest.fixture
def admin(client_of: Callable[[str], Client]) -> Client:
    return client_of("admin")


@pytest.fixture
def vera(db: None, user_in: Callable[[str], Any]) -> User:
    found: User = user_in("viewer")
    return found


def _link(page: str) -> str:
    """The path of the link that a page shows."""
    (found,) = set(re.findall(r"http://testserver(/welcome/[\w-]+/)", html.unescape(page)))
    return str(found)


def _actions() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("action", flat=True))


def _invite(admin: Client, name: str = "ada", **more: str) -> str:
    answer = admin.post("/people/invite/", {"name": name, "role": "operator", **more})
    assert answer.status_code == 200, answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    return _link(answer.content.decode())


@pytest.mark.not_quick
def test_an_invited_person_chooses_a_password_once_and_logs_in(admin: Client) -> None:
    path = _invite(admin)
    user = User.objects.get(username="ada")
    assert not user.has_usable_password()
    assert services.roles.OPERATOR in {group.name for group in user.groups.all()}
    assert "Invited" in admin.get("/people/").content.decode()
    guest = Client()
    assert "ada" in guest.get(path).content.decode()
    weak = guest.post(path, {"new_password1": "12345", "new_password2": "12345"})
    assert weak.status_code == 400
    done = guest.post(path, {"new_password1": GOOD, "new_password2": GOOD}, follow=True)
    assert "Your password is set, and you are logged in." in done.content.decode()
    assert done.wsgi_request.user == user
    user.refresh_from_db()
    assert user.check_password(GOOD)
    assert guest.get(path).status_code == 404
    assert guest.post(path, {"new_password1": GOOD, "new_password2": GOOD}).status_code == 404
    assert _actions() == ["user.made", "user.link_made", "user.password_changed"]


def test_the_secret_is_kept_nowhere(admin: Client) -> None:
    secret = _invite(admin).split("/")[2]
    kept = [*PasswordLink.objects.values(), *Event.objects.values(), *User.objects.values()]
    assert secret not in str(kept)
    assert _without_secrets(f"/welcome/{secret}/?a=1") == "/welcome/.../?a=1"
    assert secret not in _without_secrets(f"http://host/welcome/{secret}/")


def test_a_taken_name_and_a_wrong_mail_are_told_by_the_field(admin: Client, vera: User) -> None:
    answer = admin.post(
        "/people/invite/", {"name": vera.username, "role": "viewer", "email": "no mail"}
    )
    assert answer.status_code == 400
    assert "valid email" in answer.content.decode()
    answer = admin.post("/people/invite/", {"name": vera.username, "role": "viewer"})
    assert "already exists" in answer.content.decode()
    assert User.objects.count() == 2


@pytest.mark.not_quick
def test_of_two_who_use_a_link_at_once_one_sets_the_password(
    transactional_db: None, user_in: Callable[[str], Any]
) -> None:
    _, secret = links.invite(actor=user_in("admin"), name="ada", email="", role="viewer")
    start, results = threading.Barrier(2), []

    def use(password: str) -> None:
        start.wait()
        try:
            links.use(secret=secret, password=password)
            results.append(password)
        except links.Gone:
            results.append("")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=use, args=(f"{GOOD} {n}",)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (password,) = filter(None, results)
    assert User.objects.get(username="ada").check_password(password)


@pytest.mark.not_quick
def test_a_reset_keeps_the_password_until_it_is_used_and_ends_sessions_then(
    admin: Client, vera: User, client_of: Callable[[str], Client]
) -> None:
    session = Client()
    session.force_login(vera)
    path = _link(admin.post(f"/people/{vera.pk}/link/").content.decode())
    newer = _link(admin.post(f"/people/{vera.pk}/link/").content.decode())
    assert Client().get(path).status_code == 404  # replaced
    assert session.get("/models/").status_code == 200
    Client().post(newer, {"new_password1": GOOD, "new_password2": GOOD})
    assert session.get("/models/").status_code == 302
    vera.refresh_from_db()
    assert vera.check_password(GOOD)


@pytest.mark.parametrize(
    "change", ["own password", "superuser", "maker deactivated", "maker demoted", "maker deleted"]
)
def test_a_link_ends_where_it_would_give_more_than_when_it_was_made(
    vera: User, user_in: Callable[[str], User], change: str
) -> None:
    maker = user_in("admin")
    root = User.objects.create_superuser("root", password=GOOD)
    secret = links.make(actor=maker, user=vera)
    match change:
        case "own password":
            services.set_password(actor=vera, user=vera, password=f"another {GOOD}")
        case "superuser":
            services.set_superuser(actor=root, user=vera, superuser=True)
        case "maker deactivated":
            services.set_active(actor=root, user=maker, active=False)
        case "maker demoted":
            services.set_role(actor=root, user=maker, role="viewer")
        case "maker deleted":
            services.delete_user(actor=root, user=maker)
    with pytest.raises(links.Gone):
        links.use(secret=secret, password=GOOD)


@pytest.mark.parametrize("how", ["weak", "without a token", "another method"])
def test_a_refused_request_with_a_link_writes_no_secret_into_the_log(
    vera: User, user_in: Callable[[str], User], caplog: pytest.LogCaptureFixture, how: str
) -> None:
    secret = links.make(actor=user_in("admin"), user=vera)
    client = Client(enforce_csrf_checks=how == "without a token")
    path = f"/welcome/{secret}/"
    if how == "another method":
        client.put(path)
    else:
        client.post(path, {"new_password1": "short", "new_password2": "short"})
    assert Client().get(path).status_code == 200  # it still works
    for as_json in (True, False):
        formatter = Formatter(as_json=as_json)
        written = [formatter.format(record) for record in caplog.records]
        assert any("/welcome/.../" in line for line in written)
        assert not any(secret in line for line in written)


@pytest.mark.parametrize("how", ["expired", "revoked", "deactivated", "wrong"])
def test_a_link_that_ended_does_nothing(admin: Client, vera: User, how: str) -> None:
    path = _link(admin.post(f"/people/{vera.pk}/link/").content.decode())
    if how == "expired":
        PasswordLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif how == "revoked":
        admin.post(f"/people/{vera.pk}/link/revoke/")
        assert _actions()[-1] == "user.link_revoked"
    elif how == "deactivated":
        admin.post(f"/people/{vera.pk}/active/", {"active": "0"})
        admin.post(f"/people/{vera.pk}/active/", {"active": "1"})
    else:
        path = path[:-3] + "xx/"
    answer = Client().post(path, {"new_password1": GOOD, "new_password2": GOOD})
    assert answer.status_code == 404
    assert "Ask an admin for a new link" in answer.content.decode()
    vera.refresh_from_db()
    assert not vera.check_password(GOOD)


@pytest.mark.not_quick
def test_role_and_deactivation(admin: Client, vera: User) -> None:
    session = Client()
    session.force_login(vera)
    admin.post(f"/people/{vera.pk}/role/", {"role": "operator"})
    assert [group.name for group in vera.groups.all()] == ["operator"]
    admin.post(f"/people/{vera.pk}/role/", {"role": "emperor"})
    assert [group.name for group in vera.groups.all()] == ["operator"]
    page = admin.post(f"/people/{vera.pk}/active/", {"active": "0"}, follow=True)
    assert "is deactivated" in page.content.decode()
    assert session.get("/models/").status_code == 302
    admin.post(f"/people/{vera.pk}/active/", {"active": "1"})
    assert session.get("/models/").status_code == 302  # sessions do not come back
    assert _actions() == [
        "user.role_given", "user.role_taken", "user.deactivated", "user.activated",
    ]  # fmt: skip


@pytest.mark.not_quick
def test_the_last_admin_and_oneself_stay(admin: Client) -> None:
    own = User.objects.get(username="admin-user")
    for path, data in ((f"/people/{own.pk}/active/", {"active": "0"}),
                       (f"/people/{own.pk}/role/", {"role": "viewer"})):  # fmt: skip
        page = admin.post(path, data, follow=True).content.decode()
        assert "Nothing was changed" in page
    own.refresh_from_db()
    assert own.is_active
    assert admin.get("/people/").status_code == 200
    assert "on its own page" in admin.post(f"/people/{own.pk}/link/", follow=True).content.decode()


@pytest.mark.parametrize("what", ["role", "active", "link", "link/revoke", "unlock"])
def test_an_admin_changes_no_superuser(admin: Client, what: str) -> None:
    root = User.objects.create_superuser("root", password=GOOD)
    data = {"role": "viewer", "active": "0"}
    page = admin.post(f"/people/{root.pk}/{what}/", data, follow=True).content.decode()
    assert "Only a superuser may change a superuser" in page
    root.refresh_from_db()
    assert root.is_active
    assert not PasswordLink.objects.exists()


@pytest.mark.not_quick
def test_the_list_is_searched_filtered_and_sorted(admin: Client, vera: User) -> None:
    _invite(admin, "ada", email="ada@example.com")

    def names(query: str) -> list[str]:
        page = admin.get(f"/people/{query}").content.decode()
        return re.findall(r'<a href="/people/\d+/">([\w-]+)</a>', page)

    assert names("") == ["ada", "admin-user", "viewer-user"]
    assert names("?sort=-name") == ["viewer-user", "admin-user", "ada"]
    assert names("?q=EXAMPLE") == ["ada"]
    assert names("?role=viewer") == ["viewer-user"]
    assert names("?state=invited") == ["ada"]
    assert names("?state=off") == []


def test_a_mail_is_sent_where_there_is_a_server(admin: Client, settings: Any) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    path = _invite(admin, email="ada@example.com")
    (sent,) = mail.outbox
    assert sent.to == ["ada@example.com"]
    assert f"http://testserver{path}" in sent.body


def test_a_mail_that_cannot_be_sent_is_told_and_the_link_shown(
    admin: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMAIL_HOST = "mail.example.com"

    def fail(*arguments: Any, **more: Any) -> None:
        raise smtplib.SMTPConnectError(421, "not now")

    monkeypatch.setattr("accounts.people.send_mail", fail)
    answer = admin.post(
        "/people/invite/", {"name": "ada", "role": "viewer", "email": "ada@example.com"}
    )
    page = answer.content.decode()
    assert "could not be sent" in page
    assert _link(page)


def test_an_address_that_no_mail_can_have_is_told_and_the_link_shown(
    admin: Client, settings: Any
) -> None:
    """The form takes it; as the mail has it, of ASCII, its domain is too long."""
    settings.EMAIL_HOST = "mail.example.com"
    email = f"ada@{'ü' * 61}.example"
    answer = admin.post("/people/invite/", {"name": "ada", "role": "viewer", "email": email})
    page = answer.content.decode()
    assert "could not be sent" in page
    assert _link(page)


def test_without_a_server_no_mail_is_sent(admin: Client, settings: Any) -> None:
    settings.EMAIL_HOST = ""
    _invite(admin, email="ada@example.com")
    assert mail.outbox == []


def test_a_host_that_is_not_the_portals_makes_no_link(admin: Client, vera: User) -> None:
    answer = admin.post(f"/people/{vera.pk}/link/", headers={"host": "evil.example"})
    assert answer.status_code == 400
    assert not PasswordLink.objects.exists()


@pytest.mark.parametrize("there", [False, True])
def test_djangos_admin_is_there_by_a_setting_alone(settings: Any, there: bool) -> None:
    import importlib

    from mmeportal import urls

    settings.DJANGO_ADMIN = there
    try:
        importlib.reload(urls)
        clear_url_caches()
        found = [str(p.pattern) for p in urls.urlpatterns]
        assert ("admin/" in found) == there
    finally:
        settings.DJANGO_ADMIN = True
        importlib.reload(urls)
        clear_url_caches()
    assert resolve("/admin/")


@pytest.mark.not_quick
def test_a_changed_password_is_confirmed(vera: User) -> None:
    vera.set_password(GOOD)
    vera.save()
    client = Client()
    client.force_login(vera)
    sent = {"old_password": GOOD, "new_password1": GOOD + "!", "new_password2": GOOD + "!"}
    assert (
        "Your password is changed" in client.post("/password/", sent, follow=True).content.decode()
    )


def test_the_service_itself_lets_no_admin_change_or_make_a_superuser(
    admin: Client, vera: User
) -> None:
    actor = User.objects.get(username="admin-user")
    root = User.objects.create_superuser("root", password=GOOD)
    for change in (
        lambda: services.set_active(actor=actor, user=root, active=False),
        lambda: services.set_password(actor=actor, user=root, password=f"{GOOD}!"),
        lambda: services.set_superuser(actor=actor, user=vera, superuser=True),
        lambda: services.set_superuser(actor=actor, user=actor, superuser=True),
    ):
        with pytest.raises(services.NotAllowed, match="Only a superuser"):
            change()
    root.refresh_from_db()
    assert root.is_active
    assert root.check_password(GOOD)
    assert User.objects.filter(is_superuser=True).count() == 1
    services.set_superuser(actor=root, user=vera, superuser=True)
    assert User.objects.filter(is_superuser=True).count() == 2


# --- names, mail, invitations, superusers ---------------------------------------------------------


def _details(**more: str) -> dict[str, str]:
    return {"username": "vera", "full_name": "김 베라", "email": "vera@example.com", **more}


@pytest.mark.not_quick
def test_a_person_gets_another_name_and_mail(admin: Client, vera: User) -> None:
    answer = admin.post(f"/people/{vera.pk}/details/", _details(), follow=True)
    page = answer.content.decode()
    assert "The changes are saved." in page
    vera.refresh_from_db()
    assert (vera.username, vera.get_full_name(), vera.email) == (
        "vera",
        "김 베라",
        "vera@example.com",
    )
    assert "김 베라" in admin.get("/people/?q=베라").content.decode()
    (renamed,) = Event.objects.filter(action="user.renamed")
    assert renamed.sentence == "Renamed the user viewer-user to vera."
    (changed,) = Event.objects.filter(action="user.changed")
    assert changed.sentence == "Changed the user vera: full name and mail address."
    with translation.override("ko"):
        assert "이름(전체), 메일 주소" in changed.sentence


@pytest.mark.not_quick
def test_a_name_that_is_taken_or_not_valid_is_refused_at_its_field(
    admin: Client, vera: User
) -> None:
    for more in ({"username": "admin-user"}, {"username": "a b"}, {"email": "nowhere"}):
        answer = admin.post(f"/people/{vera.pk}/details/", _details(**more))
        assert answer.status_code == 400
        assert answer.context["details_form"].errors.keys() == more.keys()
    vera.refresh_from_db()
    assert vera.username == "viewer-user"


@pytest.mark.not_quick
def test_an_open_invitation_is_withdrawn_and_the_name_is_free_again(admin: Client) -> None:
    path = _invite(admin)
    user = User.objects.get(username="ada")
    assert "Withdraw the invitation" in admin.get(f"/people/{user.pk}/").content.decode()
    page = admin.post(f"/people/{user.pk}/withdraw/", follow=True).content.decode()
    assert "is withdrawn" in page
    assert not User.objects.filter(username="ada").exists()
    assert admin.get(path).status_code == 404
    assert "user.invitation_withdrawn" in _actions()
    _invite(admin)


@pytest.mark.parametrize(
    ("what", "given"),
    [
        ("withdraw", {}),
        ("role", {"role": "viewer"}),
        ("details", {"username": "eva", "full_name": "", "email": ""}),
        ("active", {"active": "0"}),
        ("superuser", {"superuser": "1"}),
        ("link", {}),
        ("link/revoke", {}),
        ("unlock", {}),
    ],
)
def test_an_account_that_another_admin_withdraws_meanwhile_is_not_there(
    client_of: Callable[[str], Client],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    given: dict[str, str],
) -> None:
    root = client_of("superuser")
    _invite(root)
    read = User.objects.get(username="ada")
    root.post(f"/people/{read.pk}/withdraw/")
    # As the view has read it before the other one began.
    monkeypatch.setattr(people, "get_object_or_404", lambda *_, **__: read)
    answer = root.post(f"/people/{read.pk}/{what}/", given)
    monkeypatch.undo()
    if answer.status_code != 404:
        assert root.get(answer["Location"]).status_code == 404
    assert not User.objects.filter(username__in=("ada", "eva")).exists()


def test_an_account_that_was_used_is_not_withdrawn(admin: Client, vera: User) -> None:
    assert "Withdraw the invitation" not in admin.get(f"/people/{vera.pk}/").content.decode()
    page = admin.post(f"/people/{vera.pk}/withdraw/", follow=True).content.decode()
    assert "has used the account" in page
    assert User.objects.filter(pk=vera.pk).exists()


@pytest.mark.not_quick
def test_only_a_superuser_makes_or_unmakes_a_superuser(
    admin: Client, vera: User, django_user_model: Any
) -> None:
    assert "Make a superuser" not in admin.get(f"/people/{vera.pk}/").content.decode()
    page = admin.post(f"/people/{vera.pk}/superuser/", {"superuser": "1"}, follow=True)
    assert "Only a superuser may make a superuser." in page.content.decode()
    vera.refresh_from_db()
    assert not vera.is_superuser
    root = Client()
    root.force_login(django_user_model.objects.create_superuser("root", password=GOOD))
    assert "Make a superuser" in root.get(f"/people/{vera.pk}/").content.decode()
    for value in ("1", "0"):
        root.post(f"/people/{vera.pk}/superuser/", {"superuser": value})
        vera.refresh_from_db()
        assert vera.is_superuser == (value == "1")


def test_what_cannot_be_undone_is_asked_for_twice(admin: Client, vera: User) -> None:
    """The button that does it is behind another one, and says what comes of it."""
    tokens.make(user=vera, name="pipeline", scopes=["read"])
    page = admin.get(f"/people/{vera.pk}/").content.decode()
    folded = re.findall(r'<details class="confirm">(.*?)</details>', page, re.S)
    outside = re.sub(r'<details class="confirm">.*?</details>', "", page, flags=re.S)
    deactivation = next(one for one in folded if 'name="active"' in one)
    assert "1 token is revoked for good" in deactivation
    assert "Deactivate viewer-user" in deactivation
    revocation = next(one for one in folded if "/revoke/" in one)
    assert "What uses it stops at once." in revocation
    assert 'name="active"' not in outside
    assert "/revoke/" not in outside
