"""Mails: who gets which, in which language, by a real mail server; also where it refuses."""

import email
import email.policy
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import F
from django.test import Client

from accounts.models import Preferences
from activity.services import record
from models_catalog.models import RegisteredModel, Version
from notices import delivering, mails
from notices.models import Delivery, DeliveryAttempt
from notices.tests.conftest import make_version, ready, rejected
from tests.bearer import secret_of
from tests.servers import free_port


class Server:
    """Keeps the mails that it is given; ``refusals``: what it says to the next ones."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []
        self.to: list[str] = []
        self.refusals: list[str] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refusals:
            return self.refusals.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        found = email.message_from_bytes(envelope.content or b"", policy=email.policy.default)
        assert isinstance(found, EmailMessage)
        self.got.append(found)
        self.to += envelope.rcpt_tos
        return "250 OK"


@pytest.fixture
def server(settings: Any) -> Iterator[Server]:
    """A mail server on loopback, which the portal's settings name."""
    handler = Server()
    controller = Controller(handler, hostname="127.0.0.1", port=free_port())
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = controller.port
    settings.EMAIL_USE_TLS = False
    settings.PORTAL_URL = "https://portal.example"
    settings.DEFAULT_FROM_EMAIL = "MME Portal <portal@example.com>"
    yield handler
    controller.stop()


@pytest.fixture
def vera(user_in: Callable[[str], Any]) -> User:
    user: User = user_in("viewer")
    user.email = "vera@example.com"
    user.save()
    return user


def _deliver() -> None:
    for row in Delivery.objects.due():
        delivering.deliver(delivery_pk=row.pk)


def test_a_mail_is_plain_text_in_the_readers_language(server: Server, vera: User) -> None:
    mails.choose(user=vera, kinds=["version.rejected"], only_own=False)
    version = make_version()
    rejected(version, "It holds\nno network.")
    ready(version)
    _deliver()
    (mail,) = server.got
    assert server.to == ["vera@example.com"]
    assert mail["Subject"] == "A version was rejected: digits v1"
    assert mail["From"] == "MME Portal <portal@example.com>"
    row = Delivery.objects.get()
    assert mail["Message-ID"] == f"<{row.uid}@example.com>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    text = mail.get_content()
    assert "Rejected digits v1: It holds" in text
    assert "https://portal.example/models/digits/v1/" in text
    assert "https://portal.example/preferences/" in text
    assert row.state == Delivery.State.DELIVERED
    Preferences.objects.create(user=vera, language="ko")
    rejected(version)
    _deliver()
    assert server.got[1]["Subject"] == "버전이 거부됨: digits v1"
    assert "거부" in server.got[1].get_content()


@pytest.mark.not_quick
def test_who_gets_a_mail(
    server: Server, vera: User, user_in: Callable[[str], Any], version: Version
) -> None:
    oliver = user_in("operator")
    nobody = User.objects.create_user("nobody", "nobody@example.com")
    gone = User.objects.create_user("gone", "gone@example.com", is_active=False)
    without = User.objects.create_user("without")
    User.objects.filter(pk=oliver.pk).update(email="oliver@example.com")
    for user in (vera, oliver, nobody, gone, without):
        kept = {"kinds": ["version.rejected", "alias.moved"], "only_own": user == oliver}
        mails.MailChoice.objects.create(user=user, **kept)
    # Not his own; then his as its uploader, and as the owner of the model.
    rejected(version)
    _deliver()
    assert server.to == ["vera@example.com"]
    assert "may not see" in DeliveryAttempt.objects.get(delivery__person=nobody).problem
    rejected(make_version("his", created_by=oliver))
    RegisteredModel.objects.filter(name="digits").update(owner=oliver)
    rejected(make_version(number=2))
    _deliver()
    assert server.to.count("oliver@example.com") == 2
    # Nobody is told of what they did.
    model = RegisteredModel.objects.get(name="digits")
    said = {"alias": "digits@live", "version": "digits v1"}
    record(action="alias.made", subject=model, parameters=said, actor=oliver)
    _deliver()
    assert server.to.count("oliver@example.com") == 2
    assert server.to.count("vera@example.com") == 4


def test_nobody_gets_a_mail_unasked_and_without_a_server_nothing_is_written(
    vera: User, version: Version, settings: Any
) -> None:
    settings.EMAIL_HOST = "mail.example"
    rejected(version)
    mails.choose(user=vera, kinds=["version.rejected"], only_own=False)
    settings.EMAIL_HOST = ""
    rejected(version)
    assert not Delivery.objects.exists()
    settings.EMAIL_HOST = "mail.example"
    rejected(version)
    assert Delivery.objects.get().person == vera


def test_a_server_that_is_busy_is_asked_again_and_one_that_refuses_for_good_is_not(
    server: Server, vera: User, version: Version
) -> None:
    mails.choose(user=vera, kinds=["version.rejected"], only_own=False)
    rejected(version)
    server.refusals = ["451 Greylisted, try again later"]
    _deliver()
    row = Delivery.objects.get()
    assert row.state == Delivery.State.PENDING
    assert "Greylisted" in DeliveryAttempt.objects.get().problem
    Delivery.objects.update(check_after=F("check_after") - timedelta(seconds=6))
    _deliver()
    assert len(server.got) == 1
    rejected(version)
    server.refusals = ["550 No such user here"]
    _deliver()
    assert Delivery.objects.order_by("-pk")[0].state == Delivery.State.FAILED


def test_a_server_that_is_away_is_asked_again(vera: User, version: Version, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1025
    mails.choose(user=vera, kinds=["version.rejected"], only_own=False)
    rejected(version)
    _deliver()
    assert Delivery.objects.get().state == Delivery.State.PENDING
    assert "refused" in DeliveryAttempt.objects.get().problem


def test_a_role_chooses_what_it_may_see(vera: User) -> None:
    offered = [kind.name for kind in mails.offered(vera)]
    assert "version.rejected" in offered
    assert "webhook.paused" not in offered
    with pytest.raises(ValidationError):
        mails.choose(user=vera, kinds=["webhook.paused"], only_own=True)


@pytest.mark.not_quick
def test_the_page_keeps_a_choice(vera: User, settings: Any) -> None:
    client = Client()
    client.force_login(vera)
    page = client.get("/preferences/").content.decode()
    assert "has no mail server" in page
    settings.EMAIL_HOST = "mail.example"
    assert "vera@example.com" in client.get("/preferences/").content.decode()
    sent = {"kinds": ["version.ready", "endpoint.failed"], "of": "all"}
    answer = client.post("/preferences/mails/", sent, follow=True)
    assert "Your choice of mails is saved." in answer.content.decode()
    assert mails.chosen(vera) == mails.MailSetting(
        ("version.ready", "endpoint.failed"), only_own=False
    )
    assert answer.content.decode().count(" checked>") == 3
    answer = client.post("/preferences/mails/", {"kinds": ["no.such"]}, follow=True)
    assert "There is no kind no.such." in answer.content.decode()
    client.post("/preferences/mails/", {})
    assert mails.chosen(vera) == mails.MailSetting()


def test_the_api_keeps_a_choice(vera: User) -> None:
    client = Client()
    client.force_login(vera)
    read = client.get("/api/v1/me/mails")
    assert read.json()["kinds"] == []
    body = {"kinds": ["version.ready"], "only_own": False}
    secret = secret_of(vera, ["read"])
    program = Client(headers={"Authorization": f"Bearer {secret}"})

    def put(document: Any, **headers: str) -> Any:
        return program.put(
            "/api/v1/me/mails", document, content_type="application/json", headers=headers
        )

    changed = put(body)
    assert changed.status_code == 200, changed.content
    assert changed.json() | body == changed.json()
    assert put(body, **{"If-Match": read["ETag"]}).status_code == 412
    assert put({"kinds": ["no.such"]}).json()["errors"].keys() == {"kinds"}
