"""/api/v1/events: narrowed, followed, waited for, and nothing of what the caller may not see."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from accounts.events import Person
from activity import log
from activity.models import Event
from activity.services import record
from core import clock, request_id
from core.sentences import phrase
from endpoints.models import Endpoint
from models_catalog.models import RegisteredModel
from tests.bearer import secret_of

PATH = "/api/v1/events"
Ask = Callable[..., tuple[int, Any]]

# Events are dated back, and taken away.
pytestmark = pytest.mark.usefixtures("unguarded")


@pytest.fixture
def ask_as(user_in: Callable[[str], User]) -> Callable[[str], Ask]:
    def of(role: str) -> Ask:
        secret = secret_of(user_in(role), ["read"])

        def ask(query: str = "", **headers: str) -> tuple[int, Any]:
            given = {"Authorization": f"Bearer {secret}"} | headers
            answer = Client().get(f"{PATH}?{query}", headers=given)
            return answer.status_code, json.loads(answer.content)

        # Making the token was an event about a user.
        Event.objects.all()._raw_delete(Event.objects.db)
        return ask

    return of


def _event(name: str, at: datetime | None = None, **more: Any) -> Event:
    model, _ = RegisteredModel.objects.get_or_create(name=name)
    event = record(action="old", subject=model, text=f"Told of {name}.", **more)
    if at is not None:
        Event.objects.filter(pk=event.pk)._update([(Event._meta.get_field("at"), None, at)])
    return event


def _names(answer: tuple[int, Any]) -> list[str]:
    status, found = answer
    assert status == 200, found
    return [one["subject"]["name"] for one in found["items"]]


def test_an_event_is_said_in_the_readers_language(ask_as: Callable[[str], Ask]) -> None:
    ask = ask_as("viewer")
    endpoint = Endpoint.objects.create(name="demo", instance_type="ml.m5.large")
    event = record(
        action="endpoint.denied",
        subject=endpoint,
        parameters={"error": phrase("The teardown starts in a few seconds.")},
        actor=User.objects.get(),
        level=Event.Level.ERROR,
    )
    status, found = ask()
    assert status == 200
    one = found["items"][0]
    assert one["id"] == str(event.pk)
    assert (one["actor"], one["level"], one["action"]) == (
        "viewer-user", "error", "endpoint.denied",
    )  # fmt: skip
    assert one["subject"] == {"kind": "endpoint", "name": "demo"}
    said = "The teardown starts in a few seconds."
    assert one["sentence"] == f"AWS does not allow it: {said}"
    assert one["parameters"] == {"error": said}
    assert one["at"].endswith("Z")
    korean = ask(**{"Accept-Language": "ko"})[1]["items"][0]
    assert korean["sentence"] != one["sentence"]
    assert korean["parameters"]["error"] not in (said, "")
    assert korean["action"] == one["action"]


def test_who_may_not_see_users_gets_no_events_about_them(
    ask_as: Callable[[str], Ask],
) -> None:
    viewer, admin = ask_as("viewer"), ask_as("admin")
    _event("cat")
    about = record(
        action="user.deactivated",
        subject=Person.of(User.objects.get(username="viewer-user")),
        text="Deactivated viewer-user.",
    )
    assert about.subject_kind == "user"
    assert _names(viewer()) == ["cat"]
    assert _names(viewer("after=0")) == ["cat"]
    assert set(_names(admin())) == {"cat", "viewer-user"}
    status, problem = viewer("kind=user")
    assert (status, list(problem["errors"])) == (422, ["kind"])
    assert "user" not in problem["errors"]["kind"][0].split(": ")[1].split(", ")
    assert _names(admin("kind=user")) == ["viewer-user"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["fish", "dog", "cat"]),
        ("person=operator-user", ["dog"]),
        ("person=~portal", ["fish", "cat"]),
        ("person=nobody", []),
        ("kind=model&subject=dog", ["dog"]),
        ("subject=do", []),
        ("kind=endpoint", []),
        ("level=error", ["fish"]),
        ("since=2026-03-02T20:00:00Z", ["fish", "dog"]),
        ("until=2026-03-02T20:00:00Z", ["cat"]),
        ("since=2026-03-02T05:00:00%2B09:00&until=2026-03-03T00:00:00Z", ["dog", "cat"]),
    ],
)
def test_filters(
    ask_as: Callable[[str], Ask], user_in: Callable[[str], User], query: str, names: list[str]
) -> None:
    ask = ask_as("viewer")
    _event("cat", datetime(2026, 3, 1, 20, tzinfo=UTC))
    _event("dog", datetime(2026, 3, 2, 20, tzinfo=UTC), actor=user_in("operator"))
    _event("fish", level=Event.Level.ERROR)
    assert _names(ask(query)) == names


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("kind=planet", "kind"),
        ("person=a%00b", "person"),
        ("request=%00", "request"),
        ("level=loud", "level"),
        ("since=yesterday", "since"),
        ("since=2026-03-02T20:00:00", "since"),
        ("after=x", "after"),
        ("after=-1", "after"),
        ("wait=3", "wait"),
        ("after=0&wait=31", "wait"),
        ("colour=red", "colour"),
    ],
)
def test_what_is_no_filter_is_refused_by_name(
    ask_as: Callable[[str], Ask], query: str, field: str
) -> None:
    status, problem = ask_as("viewer")(query)
    assert (status, list(problem["errors"])) == (422, [field])


# --- following -----------------------------------------------------------------------


def test_who_follows_gets_each_once_the_oldest_first(ask_as: Callable[[str], Ask]) -> None:
    ask = ask_as("viewer")
    for name in ("a", "b", "c"):
        _event(name)
    newest = ask("limit=1")[1]["items"][0]["id"]
    assert _names(ask(f"after={newest}")) == []
    for name in ("d", "e", "f"):
        _event(name)
    status, found = ask(f"after={newest}&limit=2")
    assert _names((status, found)) == ["d", "e"]
    assert _names(ask(f"after={newest}&limit=2&cursor={found['next']}")) == ["f"]
    assert _names(ask(f"after={found['items'][-1]['id']}")) == ["f"]
    assert _names(ask("after=0")) == ["a", "b", "c", "d", "e", "f"]


def test_none_is_passed_by_while_an_earlier_one_may_still_come(
    ask_as: Callable[[str], Ask],
) -> None:
    """PostgreSQL gives ids in one order and shows rows in another."""
    ask = ask_as("viewer")
    first = _event("a")
    late = Event(
        pk=first.pk + 1, action="old", subject_kind="model", subject_id=1, subject_name="late",
        text="Told.",
    )  # fmt: skip
    Event.objects.bulk_create(
        [
            Event(
                pk=first.pk + 2, action="old", subject_kind="model", subject_id=1,
                subject_name="early", text="Told.",
            )
        ]
    )  # fmt: skip
    assert _names(ask(f"after={first.pk}")) == []
    assert _names(ask("after=0")) == ["a"]
    assert _names(ask()) == ["early", "a"]
    late.save(force_insert=True)
    assert _names(ask(f"after={first.pk}")) == ["late", "early"]


def test_what_was_taken_back_holds_nobody_up_for_long(ask_as: Callable[[str], Ask]) -> None:
    ask = ask_as("viewer")
    first = _event("a")
    Event.objects.bulk_create(
        [
            Event(
                pk=first.pk + 2, action="old", subject_kind="model", subject_id=1,
                subject_name="after", text="Told.", at=clock.now() - log.WRITTEN_WITHIN,
            )
        ]
    )  # fmt: skip
    assert _names(ask(f"after={first.pk}")) == ["after"]


@pytest.mark.django_db(transaction=True)
def test_who_waits_is_answered_when_something_happens(
    ask_as: Callable[[str], Ask], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = ask_as("viewer")
    looked = threading.Event()
    kept = log.after

    def after(*arguments: Any) -> Any:
        looked.set()
        return kept(*arguments)

    monkeypatch.setattr(log, "after", after)

    def happen() -> None:
        try:
            looked.wait(20)
            _event("cat")
        finally:
            connection.close()

    thread = threading.Thread(target=happen)
    thread.start()
    began = clock.now()
    assert _names(ask("after=0&wait=30")) == ["cat"]
    assert clock.now() - began < timedelta(seconds=25)
    thread.join()
    assert _names(ask("after=0&wait=30")) == ["cat"], "at once: it is there"


def test_of_one_request(ask_as: Callable[[str], Ask]) -> None:
    ask = ask_as("viewer")
    with request_id.bound("r-1"):
        _event("mine")
    _event("other")
    assert _names(ask("request=r-1")) == ["mine"]
    assert _names(ask("request=r-2")) == []
