"""One click lets an endpoint end a day later: from Today, and from mails and webhooks; and Undo."""

import json
import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.test import Client

from activity.models import Event
from core import clock
from endpoints import expiry, idling, postponed
from endpoints.models import Endpoint
from endpoints.tests.test_endpoints_api import Api
from notices import kinds, mails, payload
from notices.models import Delivery, Webhook

DAY = timedelta(days=1)
pytestmark = pytest.mark.django_db
UNDO = re.compile(r'action="(/endpoints/postponed/undo/\?of=[^"]+)"')


@pytest.fixture
def end(serving: Endpoint) -> datetime:
    """When the endpoint ends: it is told of."""
    end = clock.now().replace(second=0, microsecond=0) + timedelta(hours=5)
    Endpoint.objects.update(expires_at=end, end_told=Endpoint.EndTold.DAY)
    return end


@pytest.fixture
def idle(serving: Endpoint) -> datetime:
    """When the endpoint is torn down as idle: it is told of."""
    end = clock.now().replace(second=0, microsecond=0) + timedelta(minutes=50)
    Endpoint.objects.update(
        idle_hours=4, idle_from=clock.now(), idle_ends_at=end, idle_told=Endpoint.EndTold.HOUR
    )
    return end


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def _undo(page: str) -> str:
    found = UNDO.search(page)
    assert found, page
    return unescape(found[1])


@pytest.mark.not_quick
def test_today_has_a_button_that_postpones_and_an_undo(
    end: datetime, serving: Endpoint, user_in: Any
) -> None:
    client = _client(user_in("operator"))
    address = f"/endpoints/{serving.pk}/postpone/"
    page = client.get("/").content.decode()
    assert f'action="{address}"' in page
    assert "One day longer" in page
    answer = client.post(address, {"next": "/"}, follow=True)
    assert answer.redirect_chain == [("/", 302)]
    page = answer.content.decode()
    assert "The end date is a day later." in page
    assert Endpoint.objects.get().expires_at == end + DAY
    assert f'action="{address}"' not in client.get("/").content.decode()
    page = client.post(_undo(page), {"next": "/"}, follow=True).content.decode()
    assert "It ends when it did before." in page
    row = Endpoint.objects.get()
    assert (row.expires_at, row.end_told) == (end, Endpoint.EndTold.DAY)
    assert Event.objects.filter(action="endpoint.postponement_undone").count() == 1
    assert f'action="{address}"' in page


@pytest.mark.not_quick
def test_one_that_nobody_calls_is_postponed_from_today_and_that_is_undone(
    idle: datetime, serving: Endpoint, user_in: Any
) -> None:
    client = _client(user_in("operator"))
    address = f"/endpoints/{serving.pk}/idle/postpone/"
    assert f'action="{address}"' in client.get("/").content.decode()
    page = client.post(address, {"next": "/"}, follow=True).content.decode()
    assert Endpoint.objects.get().idle_ends_at == idle + DAY
    client.post(_undo(page))
    row = Endpoint.objects.get()
    assert (row.idle_ends_at, row.idle_not_before) == (idle, None)
    assert row.idle_told == Endpoint.EndTold.HOUR


def test_the_way_back_is_the_portals_own(end: datetime, serving: Endpoint, user_in: Any) -> None:
    client = _client(user_in("operator"))
    address = f"/endpoints/{serving.pk}/postpone/"
    answer = client.post(address, {"next": "https://evil.example/"})
    assert answer["Location"] == serving.get_absolute_url()


def test_a_link_to_it_changes_nothing_and_has_one_button(
    end: datetime, idle: datetime, serving: Endpoint, user_in: Any
) -> None:
    Endpoint.objects.update(pauses_at=end, pause_told=True)
    client, before = _client(user_in("operator")), Endpoint.objects.values().get()
    for path, label in (
        ("postpone", "One day longer"),
        ("idle/postpone", "One day longer"),
        ("extend", "Two hours longer"),
    ):
        answer = client.get(f"/endpoints/{serving.pk}/{path}/")
        assert answer.status_code == 200
        main = answer.content.decode().partition("<main")[2].partition("</main>")[0]
        assert main.count("<button") == 1
        assert label in main
        assert "autofocus" in main
    assert Endpoint.objects.values().get() == before
    Endpoint.objects.update(expires_at=None, idle_ends_at=None, pauses_at=None)
    for path in ("postpone", "idle/postpone", "extend"):
        answer = client.get(f"/endpoints/{serving.pk}/{path}/")
        assert answer["Location"] == serving.get_absolute_url()


@pytest.mark.not_quick
def test_who_may_change_no_endpoint_has_no_button(
    end: datetime, serving: Endpoint, user_in: Any
) -> None:
    viewer = _client(user_in("viewer"))
    page = viewer.get("/").content.decode()
    assert "is torn down at its end date" in page
    assert "One day longer" not in page
    assert viewer.get(f"/endpoints/{serving.pk}/postpone/").status_code == 403
    assert viewer.post("/endpoints/postponed/undo/?of=x").status_code == 403


@pytest.mark.parametrize("what", ["other person", "changed since", "over", "gone", "made up"])
def test_what_cannot_be_undone_any_more_stays(
    end: datetime, serving: Endpoint, user_in: Any, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    operator = user_in("operator")
    undo = expiry.postpone(endpoint=serving, actor=operator).undo
    who = operator
    if what == "other person":
        who = user_in("admin")
    elif what == "changed since":
        expiry.postpone(endpoint=serving, actor=operator)
    elif what == "over":
        later = end + timedelta(minutes=1)
        monkeypatch.setattr(clock, "now", lambda *_: later)
    elif what == "gone":
        Endpoint.objects.update(wanted=Endpoint.Wanted.ABSENT)
    else:
        undo = "made-up"
    before = Endpoint.objects.get().expires_at
    client = _client(who)
    answer = client.post("/endpoints/postponed/undo/", QUERY_STRING=f"of={undo}", follow=True)
    assert answer.status_code == 200
    assert Endpoint.objects.get().expires_at == before
    assert not Event.objects.filter(action="endpoint.postponement_undone").exists()


def test_a_job_gets_nothing_to_undo_with(end: datetime, serving: Endpoint) -> None:
    assert expiry.postpone(endpoint=serving, actor=None).undo == ""
    assert postponed.undo_of(serving, None, {}) == ""


def test_programs_are_told_the_command(
    end: datetime, idle: datetime, serving: Endpoint, user_in: Any
) -> None:
    operator, viewer = Api(user_in("operator")), Api(user_in("viewer"))

    def commands(caller: Api) -> list[str | None]:
        needs = caller.ask("GET", "/api/v1/today")[1]["needs"]
        return [item["command"] for need in needs for item in need["items"]]

    assert commands(operator) == ["mme endpoint postpone demo"]
    assert commands(viewer) == [None]
    Endpoint.objects.update(expires_at=None, end_told=Endpoint.EndTold.NOTHING)
    assert commands(operator) == ["mme endpoint postpone demo --idle"]


def _mail(row: Delivery, person: User) -> str:
    message = mails._message(row, person)
    assert isinstance(message, EmailMessage)
    return str(message.body)


def test_mails_and_webhooks_lead_to_the_button(
    end: datetime, serving: Endpoint, user_in: Any, settings: Any
) -> None:
    settings.PORTAL_URL = "https://portal.example"
    hook = Webhook.objects.create(url="https://hook.example/", kinds=["endpoint.expiring"])
    Endpoint.objects.update(end_told=Endpoint.EndTold.NOTHING)
    expiry.sweep()
    row = Delivery.objects.get(webhook=hook)
    link = f"https://portal.example/endpoints/{serving.pk}/postpone/"
    assert json.loads(payload.body(row, "en"))["data"]["act"] == {
        "label": "One day longer", "page": link,
    }  # fmt: skip
    assert json.loads(payload.body(row, "ko"))["data"]["act"]["label"] == "하루 연장"
    assert f"One day longer: {link}" in _mail(row, user_in("operator"))
    assert "longer" not in _mail(row, user_in("viewer"))
    client = _client(user_in("admin"))
    assert client.get(link.removeprefix("https://portal.example")).status_code == 200


def test_each_of_these_pages_is_there(serving: Endpoint, user_in: Any) -> None:
    kind = kinds.of_event("endpoint.expires_in_a_day")
    assert kind is not None
    assert set(kind.acts) == {code for code in kind.codes if code != "endpoint.idle_unknown"}
    client = _client(user_in("admin"))
    for act in kind.acts.values():
        address = f"{serving.get_absolute_url()}{act.below}"
        assert client.get(address).status_code == 302, address


def test_an_undo_of_idle_is_no_undo_of_an_end_date(
    end: datetime, idle: datetime, serving: Endpoint, user_in: Any
) -> None:
    operator = user_in("operator")
    later = expiry.postpone(endpoint=serving, actor=operator)
    undo = idling.postpone_idle(endpoint=serving, actor=operator).undo
    assert later.undo != undo
    postponed.take_back(undo=undo, actor=operator)
    row = Endpoint.objects.get()
    assert (row.expires_at, row.idle_ends_at) == (end + DAY, idle)
