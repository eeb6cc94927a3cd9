"""From where each event was asked for: channel, address; who may read it; sealed with the rest."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from accounts import tokens
from activity import redaction, sealing
from activity.models import Event
from activity.services import record
from core import origin
from core.origin import Origin

TOLD = {"action": "model.registered", "parameters": {"name": "digits"}}
ADDRESS = "203.0.113.7"
NEW = {"name": "cats", "description": ""}


def of_api(user: User, *scopes: str) -> Client:
    _token, secret = tokens.make(user=user, name="pipeline", scopes=["read", *scopes])
    return Client(headers={"Authorization": f"Bearer {secret}"}, REMOTE_ADDR=ADDRESS)


def newest() -> Event:
    found = Event.objects.newest().first()
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("agent", "channel"), [("", "api"), ("curl/8", "api"), ("mme-client/0.1.0", "mme")]
)
def test_by_the_api_and_by_mme(user_in: Callable[[str], User], agent: str, channel: str) -> None:
    client = of_api(user_in("admin"), "upload")
    answer = client.post(
        "/api/v1/models", json.dumps(NEW), "application/json", headers={"User-Agent": agent}
    )
    assert answer.status_code == 201, answer.content
    assert (newest().channel, newest().address) == (channel, ADDRESS)
    items = client.get("/api/v1/events?limit=1").json()["items"]
    assert (items[0]["channel"], items[0]["address"]) == (channel, ADDRESS)
    assert client.get(f"/api/v1/events?channel={channel}").json()["items"]
    assert client.get("/api/v1/events?channel=page").json()["items"] == []
    assert client.get("/api/v1/events?channel=window").status_code == 422


def test_what_a_page_sends_to_the_api_is_of_the_page(client_of: Callable[[str], Client]) -> None:
    client = client_of("operator")
    answer = client.post("/api/v1/models", json.dumps(NEW), "application/json")
    assert answer.status_code == 201, answer.content
    assert newest().channel == "page"


def test_on_a_page_and_by_the_portal_itself(db: None) -> None:
    wrong = {"username": "nobody", "password": "wrong"}
    Client().post("/login/", wrong, REMOTE_ADDR=ADDRESS)
    assert (newest().channel, newest().address) == ("page", ADDRESS)
    record(subject=redaction.Log(), **TOLD)  # as a job does
    assert (newest().channel, newest().address) == ("", "")


@pytest.fixture
def told(db: None) -> Event:
    """One that came by the API."""
    with origin.bound(Origin("api", ADDRESS)):
        return record(subject=redaction.Log(), **TOLD)


@pytest.mark.not_quick
def test_addresses_are_for_who_may_see_users(
    told: Event, client_of: Callable[[str], Client], user_in: Callable[[str], User]
) -> None:
    def row(client: Client) -> dict[str, str]:
        answer = client.get("/activity/export.csv")
        lines = b"".join(answer.streaming_content).decode().lstrip("\ufeff")  # type: ignore[attr-defined]
        return next(one for one in csv.DictReader(io.StringIO(lines)) if one["Name of the subject"])

    for role, seen in (("viewer", False), ("admin", True)):
        client = client_of(role)
        page = client.get("/activity/?channel=api").content.decode()
        assert (ADDRESS in page) == seen
        assert "· API" in " ".join(page.split())
        assert "Registered" not in client.get("/activity/?channel=mme").content.decode()
        assert (row(client)["From where"], row(client)["Address"]) == (
            "api",
            ADDRESS if seen else "",
        )
    reader = of_api(User.objects.get(username="viewer-user"))
    items = reader.get("/api/v1/events?channel=api").json()["items"]
    assert [(one["channel"], one["address"]) for one in items] == [("api", None)]


@pytest.mark.usefixtures("unguarded")
@pytest.mark.parametrize("values", [{"channel": "page"}, {"address": "192.0.2.1"}, {"address": ""}])
def test_where_it_came_from_is_sealed(told: Event, values: dict[str, Any]) -> None:
    sealing.seal()
    assert sealing.verify().problems == []
    Event._base_manager.filter(pk=told.pk).update(**values)
    assert len(sealing.verify().problems) == 1


def test_what_the_release_before_sealed_is_right(
    told: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sealing._digest
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "_digest", lambda event, salt: real(event, salt, with_origin=False))
        sealing.seal()
    assert sealing.verify().problems == []


def test_an_address_is_redacted(told: Event, user_in: Callable[[str], User]) -> None:
    redaction.redact(text=ADDRESS, actor=user_in("admin"))
    assert ADDRESS not in Event.objects.get(pk=told.pk).address
    sealing.seal()
    assert sealing.verify().problems == []
