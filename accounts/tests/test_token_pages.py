"""The page of one's own tokens, and those of a person on the person's page."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from accounts import services, tokens
from accounts.models import Token

ClientOf = Callable[[str], Client]
FORM = {"name": "laptop", "scopes": ["read", "invoke"], "days": "30"}


def _text(answer: Any) -> str:
    return html.unescape(answer.content.decode())


@pytest.mark.not_quick
def test_a_new_token_is_shown_once_with_how_to_use_it(client_of: ClientOf) -> None:
    client = client_of("viewer")
    assert "You have no tokens" in _text(client.get("/tokens/"))
    answer = client.post("/tokens/", FORM)
    page = _text(answer)
    assert "no-store" in answer.headers["Cache-Control"]
    (secret,) = set(re.findall(r"mme_[0-9A-Za-z]{49}", page))
    assert f"export MME_URL=http://testserver\nexport MME_TOKEN={secret}" in page
    assert 'curl -H "Authorization: Bearer $MME_TOKEN" "$MME_URL/api/v1/me"' in page
    token = Token.objects.get()
    assert (token.name, token.scopes) == ("laptop", ["read", "invoke"])
    assert (token.expires_at - token.created_at).days == 30
    headers = {"Authorization": f"Bearer {secret}"}
    assert Client().get("/api/v1/me", headers=headers).status_code == 200
    page = _text(client.get("/tokens/"))
    assert "laptop" in page
    assert secret not in page


def test_the_form_offers_what_the_role_allows(client_of: ClientOf) -> None:
    def offered(role: str) -> list[str]:
        page = _text(client_of(role).get("/tokens/"))
        return re.findall(r'type="checkbox" name="scopes" value="(\w+)"', page)

    assert offered("viewer") == ["read", "invoke"]
    assert offered("operator") == ["read", "upload", "invoke", "operate"]
    assert offered("admin") == ["read", "upload", "invoke", "operate", "admin"]


def test_without_a_role_the_page_says_so(db: None) -> None:
    client = Client()
    client.force_login(User.objects.create_user("none"))
    page = _text(client.get("/tokens/"))
    assert "no role yet" in page
    assert 'name="scopes"' not in page


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"name": ""}, "required"),
        ({"name": "mme_" + "a" * 49}, "This is a token"),
        ({"scopes": []}, "required"),
        ({"scopes": ["read", "admin"]}, "admin is not one of the available choices"),
        ({"days": "100000"}, "not one of the available choices"),
    ],
)
def test_what_is_refused_is_said_and_the_form_stays(
    client_of: ClientOf, more: dict[str, Any], said: str
) -> None:
    answer = client_of("viewer").post("/tokens/", {**FORM, **more})
    assert answer.status_code == 400
    assert said in _text(answer)
    assert not Token.objects.exists()


def test_mme_login_fills_in_the_name(client_of: ClientOf) -> None:
    page = _text(client_of("viewer").get("/tokens/?name=mme+on+ada"))
    assert 'value="mme on ada"' in page


@pytest.mark.not_quick
def test_one_click_revokes_ones_own_and_no_other(client_of: ClientOf) -> None:
    client = client_of("operator")
    owner = User.objects.get()
    token, secret = tokens.make(user=owner, name="ci", scopes=["read"])
    other = client_of("admin")
    assert other.post(f"/tokens/{token.pk}/revoke/").status_code == 404
    page = _text(client.post(f"/tokens/{token.pk}/revoke/", follow=True))
    assert "The token ci is revoked" in page
    assert "Revoked" in page
    assert f"/tokens/{token.pk}/revoke/" not in page
    headers = {"Authorization": f"Bearer {secret}"}
    assert Client().get("/api/v1/me", headers=headers).status_code == 401


@pytest.mark.not_quick
def test_an_admin_sees_and_revokes_a_persons_tokens(client_of: ClientOf) -> None:
    admin = client_of("admin")
    assert client_of("viewer").get("/people/1/").status_code == 403
    owner = User.objects.get(username="viewer-user")
    path = f"/people/{owner.pk}/"
    assert "has no valid tokens" in _text(admin.get(path))
    token, _ = tokens.make(user=owner, name="pipeline of vera", scopes=["read"])
    assert "pipeline of vera" in _text(admin.get(path))
    page = _text(admin.post(f"{path}tokens/{token.pk}/revoke/", follow=True))
    assert "The token pipeline of vera is revoked" in page
    token.refresh_from_db()
    assert token.revoked_at is not None


@pytest.mark.not_quick
def test_only_a_superuser_revokes_a_superusers_token(client_of: ClientOf) -> None:
    root = User.objects.create_superuser("root")
    token, _ = tokens.make(user=root, name="of root", scopes=["admin"])
    admin = client_of("admin")
    assert "of root" in _text(admin.get(f"/people/{root.pk}/"))
    page = _text(admin.post(f"/people/{root.pk}/tokens/{token.pk}/revoke/", follow=True))
    assert "Only a superuser may change a superuser" in page
    token.refresh_from_db()
    assert token.revoked_at is None
    with pytest.raises(services.NotAllowed):
        tokens.revoke(actor=User.objects.get(username="admin-user"), token=token)
