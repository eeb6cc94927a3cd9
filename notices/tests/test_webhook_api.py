"""Webhooks by the API: made, changed, tested, turned over and removed, by admins alone."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from activity.models import Event
from endpoints.models import Endpoint
from models_catalog.models import Version
from notices import delivering, kinds, services
from notices.models import Delivery, Webhook
from notices.tests.conftest import Hook, ready
from notices.tests.receiver import Receiver
from tests.bearer import secret_of

PATH = "/api/v1/webhooks"
Ask = Callable[..., Any]


@pytest.fixture
def ask(user_in: Callable[[str], Any], receiver: Receiver) -> Ask:
    """Call an operation with an admin's token: ``ask("post", "/webhooks", {…})``."""
    user = user_in("admin")
    secret = secret_of(user, ["admin"])
    client = Client(headers={"Authorization": f"Bearer {secret}", "Accept-Language": "en"})

    def do(method: str, path: str, body: Any = None, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is None:
            return getattr(client, method)(f"/api/v1{path}", headers=named)
        return getattr(client, method)(
            f"/api/v1{path}", body, content_type="application/json", headers=named
        )

    return do


@pytest.mark.not_quick
def test_the_life_of_a_webhook(ask: Ask, receiver: Receiver, version: Version) -> None:
    made = ask("post", "/webhooks", {"url": receiver.url, "kinds": ["version.ready"]})
    assert made.status_code == 201, made.content
    body = made.json()
    secret, path = body.pop("secret"), f"/webhooks/{body['id']}"
    assert secret.startswith("whsec_")
    assert made["Location"] == f"/api/v1{path}"
    assert ask("get", "/webhooks").json()["items"] == [body]

    ready(version)
    row = Delivery.objects.get()
    waiting = ask("get", f"{path}/deliveries?state=pending").json()["items"][0]
    assert (waiting["id"], waiting["attempts"]) == (row.uid, [])
    assert waiting["next_attempt_at"] is not None
    receiver.says(500, b"Not today.")
    delivering.deliver(delivery_pk=row.pk)
    (tried,) = ask("get", f"{path}/deliveries").json()["items"][0]["attempts"]
    assert (tried["http_status"], tried["answer"]) == (500, "Not today.")
    assert ask("get", path).json()["failing_since_at"] is not None

    read = ask("get", path)
    changed = ask("patch", path, {"paused": True, "note": "later"}, If_Match=read["ETag"])
    assert (changed.status_code, changed.json()["paused"]) == (200, True)
    assert ask("patch", path, {"paused": False}, If_Match=read["ETag"]).status_code == 412
    again = f"{path}/deliveries/{row.uid}/redeliver"
    assert ask("post", again).status_code == 409
    assert ask("patch", path, {"paused": False}).json()["paused"] is False
    sent = ask("post", again)
    assert (sent.status_code, sent.json()["state"]) == (202, "pending")

    turned = ask("post", f"{path}/rotate", {}).json()
    assert turned["secret"] not in (secret, "")
    assert turned["old_secret_ends_at"] is not None
    assert ask("delete", path).status_code == 204
    assert ask("get", path).status_code == 404
    assert not Delivery.objects.exists()
    codes = Event.objects.filter(subject_kind="webhook").order_by("pk")
    assert list(codes.values_list("action", flat=True)) == [
        *("webhook.made", "webhook.changed", "webhook.paused", "webhook.resumed"),
        *("webhook.rotated", "webhook.removed"),
    ]


def test_a_test_answers_with_what_the_receiver_answered(
    ask: Ask, hook: Hook, receiver: Receiver
) -> None:
    webhook, secret = hook()
    services.change(uid=webhook.uid, change=services.Change(), paused=True, actor=None)
    receiver.says(200, b"Thanks.")
    body = ask("post", f"/webhooks/{webhook.uid}/test").json()
    assert (body["kind"], body["state"]) == ("webhook.test", "delivered")
    assert body["attempts"][0]["answer"] == "Thanks."
    assert receiver.got[0].verified(secret)["type"] == "webhook.test"
    receiver.says(500)
    body = ask("post", f"/webhooks/{webhook.uid}/test").json()
    assert (body["state"], body["attempts"][0]["problem"]) == ("failed", "It answered 500.")
    webhook.refresh_from_db()
    assert webhook.failing_since is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "https://user:pw@example.com/"}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"kinds": []}, "kinds"),
        ({"kinds": ["no.such"]}, "kinds"),
        ({"language": "tlh"}, "language"),
        ({"models": [""]}, "models"),
        ({"note": "a\nb"}, "note"),
        ({"secret": "whsec_mine"}, "secret"),
    ],
)
def test_what_is_wrong_is_named_by_field(ask: Ask, body: dict[str, Any], field: str) -> None:
    whole = {"url": "https://example.com/", "kinds": ["version.ready"]} | body
    answer = ask("post", "/webhooks", whole)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [field])
    assert not Webhook.objects.exists()


@pytest.mark.parametrize("path", ["none", "%00", "none/deliveries", "a%00b/test"])
def test_what_there_is_not_is_not_found(ask: Ask, path: str) -> None:
    answer = ask("post" if path.endswith("test") else "get", f"/webhooks/{path}")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


def test_there_are_fifty_at_most(ask: Ask, hook: Hook) -> None:
    webhook, _ = hook()
    Webhook.objects.bulk_create(
        Webhook(url=webhook.url, digest="") for _n in range(services.MOST - 1)
    )
    answer = ask("post", "/webhooks", {"url": webhook.url, "kinds": ["version.ready"]})
    assert answer.status_code in (409, 422)
    assert "50" in answer.json()["detail"]


def test_a_repeated_request_makes_no_second_one_and_shows_no_secret(ask: Ask) -> None:
    body = {"url": "https://example.com/", "kinds": ["version.ready"]}
    assert ask("post", "/webhooks", body, Idempotency_Key="once").status_code == 201
    again = ask("post", "/webhooks", body, Idempotency_Key="once")
    assert again.json()["type"] == "/problems/secret-shown-once"
    assert Webhook.objects.count() == 1


def test_every_kind_is_listed_with_its_events(ask: Ask) -> None:
    found = {one["name"]: one for one in ask("get", "/webhooks/kinds").json()["items"]}
    assert {"version.ready", "alias.moved", "endpoint.serving", "endpoint.drift"} <= set(found)
    assert "alias.rolled_back_because" in found["alias.moved"]["events"]


@pytest.mark.not_quick
def test_the_links_of_a_message_lead_somewhere(
    hook: Hook, client_of: Any, version: Version
) -> None:
    hook()
    ready(version)
    row = Delivery.objects.get()
    client = client_of("viewer")
    assert client.get(row.page).status_code == 200
    assert client.get(row.api).json()["number"] == 1


@pytest.mark.django_db
def test_each_kind_says_what_its_subject_is_about() -> None:
    endpoint = Endpoint(pk=7, name="demo", created_by_id=3, owner_id=5)
    kind = kinds.of_event("endpoint.endpoint.in_service")
    assert kind is not None
    concern = kind.concern(endpoint)
    assert (concern.people, concern.page) == (frozenset({3, 5}), "/endpoints/7/")
    assert concern.api == "/api/v1/endpoints/demo"
