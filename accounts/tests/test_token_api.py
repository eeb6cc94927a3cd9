"""/api/v1/me and /api/v1/tokens: by a session, by a token, and as an admin."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from accounts import tokens
from accounts.models import Preferences, Token

UserIn = Callable[[str], Any]
PATH = "/api/v1/tokens"


class Api:
    """The API as one caller sees it: by a token, or by a session where there is none."""

    def __init__(self, user: User, *scopes: str) -> None:
        self.client = Client(enforce_csrf_checks=bool(scopes))
        self.headers: dict[str, str] = {}
        if scopes:
            self.token, secret = tokens.make(user=user, name="caller", scopes=scopes)
            self.headers = {"Authorization": f"Bearer {secret}"}
        else:
            self.client.force_login(user)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        more: dict[str, Any] = {}
        if body is not None:
            more = {"data": json.dumps(body), "content_type": "application/json"}
        answer = self.client.generic(method, path, headers={**self.headers, **headers}, **more)
        self.answer = answer
        return answer.status_code, json.loads(answer.content) if answer.content else None


def _code(document: Any) -> str:
    return str(document["type"]).rpartition("/")[2]


def test_me_tells_who_calls_and_what_for(user_in: UserIn) -> None:
    user = user_in("operator")
    Preferences.objects.create(user=user, language="ko")
    status, me = Api(user).ask("GET", "/api/v1/me")
    assert status == 200
    assert me == {
        "name": "operator-user",
        "role": "operator",
        "scopes": ["read", "upload", "invoke", "operate"],
        "token": None,
        "language": "ko",
    }
    api = Api(user, "invoke")
    status, me = api.ask("GET", "/api/v1/me")
    assert (status, me["scopes"], me["token"]["name"]) == (200, ["invoke"], "caller")
    assert me["token"]["id"] == api.token.pk
    assert me["token"]["expires_at"].endswith("Z")


def test_without_a_token_or_a_session_nobody_is_told_anything(db: None) -> None:
    for method, path in [("GET", "/api/v1/me"), ("GET", PATH), ("POST", PATH)]:
        answer = Client().generic(method, path)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_is_made_with_a_session_shown_once_and_used(user_in: UserIn) -> None:
    user = user_in("operator")
    api = Api(user)
    status, made = api.ask("POST", PATH, {"name": "ci", "scopes": ["upload", "read"], "days": 7})
    assert status == 201
    assert api.answer.headers["Location"] == f"{PATH}/{made['id']}"
    assert made["scopes"] == ["read", "upload"]
    assert tokens.is_well_formed(made["token"])
    status, one = api.ask("GET", f"{PATH}/{made['id']}")
    assert status == 200
    assert "token" not in one
    assert one["state"] == Token.State.VALID
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert Client().get(PATH, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["read"]}, "name"),
        ({"name": "a", "scopes": ["all"]}, "scopes.0"),
        ({"name": "a", "scopes": []}, "scopes"),
        ({"name": "a", "scopes": ["admin"]}, "scopes"),
        ({"name": "a", "scopes": ["read"], "days": 0}, "days"),
        ({"name": "a", "scopes": ["read"], "days": 366}, "days"),
        ({"name": "a", "scopes": ["read"], "expires": 3}, "expires"),
    ],
)
def test_what_is_refused_is_told_by_the_field(user_in: UserIn, body: Any, field: str) -> None:
    status, problem = Api(user_in("viewer")).ask("POST", PATH, body)
    assert (status, list(problem["errors"])) == (422, [field])
    assert not Token.objects.exists()


def test_a_token_makes_tokens_with_no_more_than_it_has(user_in: UserIn) -> None:
    api = Api(user_in("admin"), "read", "invoke")
    status, problem = api.ask("POST", PATH, {"name": "a", "scopes": ["read", "operate"]})
    assert (status, list(problem["errors"])) == (422, ["scopes"])
    status, problem = api.ask("POST", PATH, {"name": "a", "scopes": ["read"], "days": 91})
    assert (status, list(problem["errors"])) == (422, ["days"])
    Token.objects.update(expires_at=api.token.expires_at - timedelta(days=80))
    status, made = api.ask("POST", PATH, {"name": "a", "scopes": ["read"]})
    assert status == 201
    child = Token.objects.get(pk=made["id"])
    api.token.refresh_from_db()
    assert child.expires_at == api.token.expires_at
    assert child.made_with == api.token


@pytest.mark.not_quick
def test_a_list_is_paged_and_narrowed_by_state(user_in: UserIn) -> None:
    user = user_in("viewer")
    made = [tokens.make(user=user, name=f"n{n}", scopes=["read"])[0] for n in range(3)]
    tokens.revoke(actor=user, token=made[0])
    api = Api(user)
    _, first = api.ask("GET", f"{PATH}?limit=2")
    assert [one["name"] for one in first["items"]] == ["n2", "n1"]
    _, rest = api.ask("GET", f"{PATH}?limit=2&cursor={first['next']}")
    assert [(one["name"], one["state"]) for one in rest["items"]] == [("n0", "revoked")]
    assert rest["next"] is None
    _, revoked = api.ask("GET", f"{PATH}?state=revoked")
    assert [one["name"] for one in revoked["items"]] == ["n0"]
    assert api.ask("GET", f"{PATH}?state=expired")[1]["items"] == []
    assert api.ask("GET", f"{PATH}?of=me")[0] == 422


@pytest.mark.not_quick
def test_a_token_revokes_itself_and_what_has_no_more_scopes(user_in: UserIn) -> None:
    user = user_in("operator")
    strong, _ = tokens.make(user=user, name="strong", scopes=["read", "operate"])
    weak, _ = tokens.make(user=user, name="weak", scopes=["read"])
    api = Api(user, "read")
    status, problem = api.ask("DELETE", f"{PATH}/{strong.pk}")
    assert (status, _code(problem)) == (403, "scope-missing")
    assert api.ask("DELETE", f"{PATH}/{weak.pk}") == (204, None)
    assert api.ask("DELETE", f"{PATH}/{weak.pk}") == (204, None)
    assert api.ask("DELETE", f"{PATH}/{api.token.pk}") == (204, None)
    left = Token.objects.filter(revoked_at=None).values_list("name", flat=True)
    assert list(left) == ["strong"]


def test_a_lost_update_is_told(user_in: UserIn) -> None:
    user = user_in("viewer")
    token, _ = tokens.make(user=user, name="ci", scopes=["read"])
    api = Api(user)
    api.ask("GET", f"{PATH}/{token.pk}")
    tag = api.answer.headers["ETag"]
    assert api.ask("GET", f"{PATH}/{token.pk}", **{"If-None-Match": tag})[0] == 304
    Token.objects.filter(pk=token.pk).update(last_used_from="192.0.2.1")
    status, problem = api.ask("DELETE", f"{PATH}/{token.pk}", **{"If-Match": tag})
    assert (status, _code(problem)) == (412, "changed-meanwhile")
    assert api.ask("DELETE", f"{PATH}/{token.pk}", **{"If-Match": "*"})[0] == 204


@pytest.mark.not_quick
def test_nobody_reaches_the_tokens_of_others_but_an_admin_with_the_scope(user_in: UserIn) -> None:
    vera, admin = user_in("viewer"), user_in("admin")
    token, _ = tokens.make(user=vera, name="ci", scopes=["read"])
    of_vera = f"{PATH}/{token.pk}"
    asked = f"{of_vera}?person={vera.username}"
    assert Api(admin).ask("GET", of_vera)[0] == 404
    status, problem = Api(user_in("operator")).ask("GET", asked)
    assert (status, _code(problem)) == (403, "not-allowed")
    status, problem = Api(admin, "read", "operate").ask("DELETE", asked)
    assert (status, _code(problem)) == (403, "scope-missing")
    api = Api(admin, "read", "admin")
    assert api.ask("GET", f"{PATH}?person={vera.username}")[1]["items"][0]["id"] == token.pk
    status, problem = api.ask("GET", f"{PATH}?person=nobody")
    assert (status, problem["detail"]) == (404, "There is nobody called nobody.")
    status, problem = api.ask("GET", f"{PATH}/nothing")
    assert (status, problem["detail"]) == (404, "There is no token nothing.")
    assert api.ask("DELETE", asked) == (204, None)
    token.refresh_from_db()
    assert token.revoked_at is not None
    root = User.objects.create_superuser("root")
    of_root, _ = tokens.make(user=root, name="ci", scopes=["read"])
    status, problem = api.ask("DELETE", f"{PATH}/{of_root.pk}?person=root")
    assert (status, _code(problem)) == (403, "not-allowed")
    assert "superuser" in problem["detail"]


def test_nobody_makes_a_token_in_the_name_of_another(user_in: UserIn) -> None:
    user_in("viewer")
    body = {"name": "a", "scopes": ["read"], "person": "viewer-user"}
    api = Api(user_in("admin"))
    assert api.ask("POST", PATH, body)[0] == 422
    assert (
        api.ask("POST", f"{PATH}?person=viewer-user", {"name": "a", "scopes": ["read"]})[0] == 422
    )
    assert not Token.objects.exists()


def test_a_session_needs_its_csrf_token_for_a_change(user_in: UserIn) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user_in("viewer"))
    body = json.dumps({"name": "a", "scopes": ["read"]})
    answer = client.post(PATH, body, content_type="application/json")
    assert (answer.status_code, _code(json.loads(answer.content))) == (403, "csrf")
    assert not Token.objects.exists()
