"""An answer repeated by its Idempotency-Key tells nobody what is hidden from them by now."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from accounts import groups, token_auth, tokens
from core.api import idempotency
from models_catalog import secrecy, stores
from models_catalog.models import RegisteredModel, Store
from tests.bearer import secret_of

API = "/api/v1"


@pytest.fixture
def person(user_in: Callable[[str], User]) -> User:
    """An operator, in a group that writes to the store ``far``."""
    user = user_in("operator")
    Store.objects.create(name="far", bucket="far", prefix="m", region="ap-northeast-2")
    for name in ("team-a", "team-b"):
        groups.make(name=name, actor=None)
    groups.change(name="team-a", join=[user.username], actor=None)
    _open_to("far", "team-a")
    return user


def _open_to(store: str, group: str) -> None:
    stores.set_groups(name=store, groups=[stores.NamedGroup(group, True)], actor=None)
    secrecy.forget()


@pytest.fixture
def post(person: User) -> Callable[..., Any]:
    secret = secret_of(person, tokens.scopes_of(person))
    client = Client(headers={"Authorization": f"Bearer {secret}", "Accept-Language": "en"})

    def send(path: str, body: Any, key: str = "one") -> Any:
        return client.post(
            f"{API}{path}", body, content_type="application/json",
            headers={"Idempotency-Key": key},
        )  # fmt: skip

    return send


@pytest.mark.not_quick
def test_who_has_left_the_group_gets_the_kept_answer_no_more(
    person: User, post: Callable[..., Any]
) -> None:
    asked = ("/models", {"name": "secret", "store": "far"})
    planned = ("/models/secret/versions/1/copies/preview", {"to": "other"})
    first, refused = post(*asked), post(*planned)
    assert (first.status_code, refused.status_code) == (201, 404)
    assert post(*asked).content == first.content
    groups.change(name="team-a", leave=[person.username], actor=None)
    secrecy.forget()
    for again in (post(*asked), post(*planned)):
        assert again.status_code == 404
        assert "you may see less since then" in again.json()["detail"]
        assert "secret" not in again.content.decode()
    assert RegisteredModel.objects.count() == 1
    groups.change(name="team-a", join=[person.username], actor=None)
    secrecy.forget()
    assert post(*asked).content == first.content


@pytest.mark.not_quick
def test_where_another_store_is_hidden_by_now_what_was_made_is_told_as_it_is(
    post: Callable[..., Any],
) -> None:
    first = post("/models", {"name": "secret", "store": "far"})
    Store.objects.create(name="other", bucket="other", prefix="m", region="ap-northeast-2")
    _open_to("other", "team-b")
    RegisteredModel.objects.update(description="changed")
    again = post("/models", {"name": "secret", "store": "far"})
    assert again.status_code == 201
    assert again.headers[idempotency.REPLAYED] == "true"
    assert again.json() == first.json() | {"description": "changed"}
    assert RegisteredModel.objects.count() == 1


def test_who_has_lost_the_role_gets_the_kept_answer_no_more(
    person: User, post: Callable[..., Any]
) -> None:
    asked = ("/models", {"name": "secret", "store": "far"})
    assert post(*asked).status_code == 201
    person.groups.set(Group.objects.filter(name="viewer"))
    token_auth.CACHE.clear()  # roles count within seconds
    again = post(*asked)
    assert again.status_code == 403
    assert "secret" not in again.content.decode()
