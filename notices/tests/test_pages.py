"""The pages of webhooks, empty and full; Today; and what a secret is never in."""

import re
from typing import Any

import pytest
from django.test import Client

from models_catalog.models import Version
from notices import delivering, services
from notices.models import Delivery, Webhook
from notices.tests.conftest import Hook, ready
from notices.tests.receiver import Receiver


@pytest.fixture
def admin(client_of: Any) -> Client:
    found: Client = client_of("admin")
    return found


def _text(answer: Any) -> str:
    assert answer.status_code < 400, answer.status_code
    return str(answer.content.decode())


@pytest.mark.not_quick
def test_a_webhook_is_made_and_its_secret_is_shown_once(admin: Client, receiver: Receiver) -> None:
    assert "No webhook yet" in _text(admin.get("/webhooks/"))
    assert 'name="kinds" value="version.rejected"' in _text(admin.get("/webhooks/new/"))
    form = {"url": receiver.url, "note": "pipeline", "kinds": ["version.ready"], "language": "ko"}
    answer = admin.post("/webhooks/new/", form | {"models": "digits, cats"})
    (secret,) = set(re.findall(r"whsec_[A-Za-z0-9+/=]{20,}", _text(answer)))
    assert "no-store" in answer["Cache-Control"]
    webhook = Webhook.objects.get()
    assert (webhook.only_models, webhook.language) == (["digits", "cats"], "ko")
    page = _text(admin.get(webhook.get_absolute_url()))
    assert "Nothing was sent yet." in page
    assert secret not in page + _text(admin.get("/webhooks/")) + _text(admin.get("/activity/"))
    assert secret not in str(Webhook.objects.values())


def test_a_wrong_form_is_shown_again(admin: Client, receiver: Receiver) -> None:
    answer = admin.post("/webhooks/new/", {"url": "ftp://x", "language": "en"})
    assert answer.status_code == 400
    text = answer.content.decode()
    assert "It is no address" in text
    assert "Choose at least one." in text
    assert not Webhook.objects.exists()


@pytest.mark.not_quick
def test_a_page_shows_what_was_sent_and_sends_it_again(
    admin: Client, hook: Hook, receiver: Receiver, version: Version, jobs: list[int]
) -> None:
    webhook, _ = hook(note="pipeline")
    ready(version)
    receiver.says(200, b"<b>Thanks</b>")
    row = Delivery.objects.get()
    delivering.deliver(delivery_pk=row.pk)
    assert "A version is ready" in _text(admin.get(webhook.get_absolute_url()))
    page = _text(admin.get(f"{webhook.get_absolute_url()}deliveries/{row.uid}/"))
    assert "Validated digits v1" in page
    assert "&lt;b&gt;Thanks&lt;/b&gt;" in page
    assert "&quot;type&quot;: &quot;version.ready&quot;" in page
    assert admin.get(f"{webhook.get_absolute_url()}deliveries/msg_none/").status_code == 404
    jobs.clear()
    said = admin.post(f"{webhook.get_absolute_url()}deliveries/{row.uid}/redeliver/", follow=True)
    assert "It is sent again" in _text(said)
    assert jobs == [row.pk]
    assert admin.post(
        f"{webhook.get_absolute_url()}deliveries/msg_none/redeliver/"
    ).status_code == 404  # fmt: skip


def test_a_webhook_without_a_note_says_its_host_once(admin: Client, hook: Hook) -> None:
    noted, _ = hook(note="pipeline")
    unnoted, _ = hook()
    lede = f'<p class="lede">{unnoted.host}</p>'
    assert lede in _text(admin.get(noted.get_absolute_url()))
    assert lede not in _text(admin.get(unnoted.get_absolute_url()))


@pytest.mark.not_quick
def test_the_buttons_of_the_page(admin: Client, hook: Hook, receiver: Receiver) -> None:
    webhook, old = hook()
    page = webhook.get_absolute_url()
    assert "The receiver took the test" in _text(admin.post(f"{page}test/", follow=True))
    receiver.says(500)
    assert "It answered 500." in _text(admin.post(f"{page}test/", follow=True))
    assert "Resume" in _text(admin.post(f"{page}pause/", {"paused": "1"}, follow=True))
    assert "active again" in _text(admin.post(f"{page}pause/", {"paused": "0"}, follow=True))
    assert "signed with the old secret, too" in _text(admin.post(f"{page}rotate/"))
    turned = _text(admin.post(f"{page}rotate/", {"at_once": "1"}))
    assert "signed with the old secret, too" not in turned
    assert old not in turned
    form = {"url": receiver.url, "note": "new note", "kinds": ["alias.moved"], "language": "en"}
    assert "new note" in _text(admin.post(page, form, follow=True))
    assert admin.post(page, form | {"url": ""}).status_code == 400
    assert "is removed" in _text(admin.post(f"{page}remove/", follow=True))
    assert admin.get(page).status_code == 404


@pytest.mark.not_quick
def test_today_shows_a_webhook_that_the_portal_paused(admin: Client, hook: Hook) -> None:
    webhook, _ = hook(note="pipeline")
    said = "The webhook pipeline is paused: nothing could be delivered."
    services.change(uid=webhook.uid, change=services.Change(), paused=True, actor=None)
    Webhook.objects.update(paused_by_portal=False)
    assert said not in _text(admin.get("/"))
    Webhook.objects.update(paused_by_portal=True)
    assert said in _text(admin.get("/"))
    services.change(uid=webhook.uid, change=services.Change(), paused=False, actor=None)
    assert said not in _text(admin.get("/"))


@pytest.mark.parametrize("path", ["test/", "rotate/", "pause/", "remove/"])
def test_a_webhook_that_another_admin_removes_meanwhile_is_not_there(
    admin: Client, hook: Hook, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    webhook, _ = hook()
    get = services.get

    def found(uid: str) -> Webhook:
        row = get(uid)
        Webhook.objects.all().delete()
        return row

    monkeypatch.setattr(services, "get", found)
    assert admin.post(f"{webhook.get_absolute_url()}{path}").status_code == 404
