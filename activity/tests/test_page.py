"""The page of the log: filters in the address, days in the reader's zone, and the CSV file."""

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from accounts.events import Person
from activity import log
from activity.models import Event
from activity.services import record
from core import spreadsheet
from models_catalog.models import RegisteredModel

# Events are dated back.
pytestmark = pytest.mark.usefixtures("unguarded")


def _event(name: str, at: datetime | None = None, actor: Any = None, **more: Any) -> Event:
    model, _ = RegisteredModel.objects.get_or_create(name=name)
    event = record(action="old", subject=model, text=f"Told of {name}.", actor=actor, **more)
    if at is not None:
        Event.objects.filter(pk=event.pk)._update([(Event._meta.get_field("at"), None, at)])
    return event


@pytest.fixture
def events(db: None, user_in: Callable[[str], Any]) -> None:
    _event("cat", datetime(2026, 3, 1, 20, tzinfo=UTC))
    _event("dog", datetime(2026, 3, 2, 20, tzinfo=UTC), actor=user_in("operator"))
    _event("fish", level=Event.Level.ERROR)


def _shown(client: Client, query: str) -> set[str]:
    page = client.get(f"/activity/{query}").content.decode()
    return {name for name in ("cat", "dog", "fish") if f"Told of {name}." in page}


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", {"cat", "dog", "fish"}),
        ("?person=operator-user", {"dog"}),
        ("?person=~portal", {"cat", "fish"}),
        ("?person=nobody", set()),
        ("?level=loud", {"cat", "dog", "fish"}),  # not a choice
        ("?level=error", {"fish"}),
        ("?kind=model&about=DO", {"dog"}),
        ("?kind=endpoint", set()),
        ("?about=no%00thing", {"cat", "dog", "fish"} - {"cat", "dog", "fish"}),
        ("?day=2026-03-01", {"cat"}),
        ("?day=2026-03-01&person=operator-user", set()),
        ("?day=tomorrow", {"cat", "dog", "fish"}),
    ],
)
def test_filters_are_in_the_address(
    events: None, client_of: Callable[[str], Client], query: str, shown: set[str]
) -> None:
    assert _shown(client_of("viewer"), query) == shown


def test_a_day_is_one_of_the_readers_zone(events: None, client_of: Callable[[str], Client]) -> None:
    client = client_of("viewer")
    client.cookies["mme_timezone"] = "Asia/Seoul"  # where 20:00 UTC is the next day
    assert _shown(client, "?day=2026-03-01") == set()
    assert _shown(client, "?day=2026-03-02") == {"cat"}
    page = client.get("/activity/").content.decode()
    days = re.findall(r"<h2>\s*(.+?)\s*<", page)
    assert [day.partition("<")[0].strip() for day in days] == ["Today", "3 Mar 2026", "2 Mar 2026"]


def test_users_are_no_choice_for_who_may_not_see_them(
    events: None, client_of: Callable[[str], Client]
) -> None:
    assert 'value="user"' not in client_of("viewer").get("/activity/").content.decode()
    assert 'value="user"' in client_of("admin").get("/activity/").content.decode()


def _csv(client: Client, query: str = "") -> list[list[str]]:
    answer = client.get(f"/activity/export.csv{query}")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert text.startswith(spreadsheet.BYTE_ORDER_MARK)
    return list(csv.reader(io.StringIO(text[1:])))


def test_the_file_has_what_the_page_has(events: None, client_of: Callable[[str], Client]) -> None:
    client = client_of("viewer")
    head, *rows = _csv(client)
    assert len(head) == 10
    assert [row[6] for row in rows] == ["Told of fish.", "Told of dog.", "Told of cat."]
    assert rows[1][:4] == ["2026-03-02T20:00:00+00:00", "operator-user", "model", "dog"]
    assert [row[3] for row in _csv(client, "?person=operator-user")[1:]] == ["dog"]
    korean = client.get("/activity/export.csv", headers={"accept-language": "ko"})
    assert "시각" in b"".join(korean.streaming_content).decode()  # type: ignore[attr-defined]


def test_the_file_is_bounded(
    events: None, client_of: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "MOST_EXPORTED", 2)
    client = client_of("viewer")
    *rows, last = _csv(client)[1:]
    assert [row[3] for row in rows] == ["fish", "dog"]
    assert last[6] == "Only the newest 2 events are in this file. Filters choose others."
    monkeypatch.setattr(log, "MOST_EXPORTED", 3)
    assert [row[3] for row in _csv(client)[1:]] == ["fish", "dog", "cat"]


def test_each_who_did_something_that_one_may_see_is_offered_once_by_name(
    db: None, user_in: Callable[[str], Any]
) -> None:
    operator, admin, viewer = (user_in(role) for role in ("operator", "admin", "viewer"))
    for person in (operator, admin, None, operator):
        _event("cat", actor=person)
    renamed = {"name": "viewer-user", "before": "vera"}
    record(action="user.renamed", subject=Person.of(viewer), actor=viewer, parameters=renamed)
    every, seen = ["admin-user", "operator-user", "viewer-user"], ["admin-user", "operator-user"]
    assert Event.objects.all().actor_names(most=9) == every
    assert Event.objects.all().actor_names(most=2) == every[:2]
    for reader, names in ((admin, every), (viewer, seen)):
        client = Client()
        client.force_login(reader)
        page = client.get("/activity/").content.decode()
        offered = re.search(r'<select name="person".*?</select>', page, re.S)
        assert offered
        assert re.findall(r'<option value="([^"~]+)">', offered[0]) == names


def test_what_a_renamed_person_did_before_is_found_under_both_names(
    events: None, client_of: Callable[[str], Client]
) -> None:
    User.objects.filter(username="operator-user").update(username="olga")
    client = client_of("viewer")
    for name in ("olga", "operator-user"):
        page = client.get(f"/activity/?person={name}").content.decode()
        assert "Told of dog." in page
        assert "Told of cat." not in page


def test_failed_log_ins_of_known_people_are_among_the_log_ins(
    user_in: Callable[[str], Any], client_of: Callable[[str], Client]
) -> None:
    person = user_in("viewer")
    parameters = {"name": "viewer-user", "address": "192.0.2.7"}
    record(action="login.failed", subject=Person.of(person), parameters=parameters)
    record(
        action="user.renamed",
        subject=Person.of(person),
        parameters={"name": "viewer-user", "before": "vera"},
    )
    admin = client_of("admin")
    page = admin.get("/activity/?kind=login").content.decode()
    assert "A log-in of viewer-user from 192.0.2.7 failed." in page
    assert "Renamed the user" not in page
    page = admin.get("/activity/?kind=user").content.decode()
    assert "192.0.2.7" in page
    assert "Renamed the user" in page


def test_no_cell_is_a_formula(db: None, client_of: Callable[[str], Client]) -> None:
    _event("=HYPERLINK(1)")
    (row,) = _csv(client_of("viewer"))[1:]
    assert row[3] == "'=HYPERLINK(1)"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", " =1", "＝1"])
def test_what_a_spreadsheet_takes_for_a_formula_is_quoted(text: str) -> None:
    assert spreadsheet.cell(text) == f"'{text}"


def test_other_cells_stay() -> None:
    assert [spreadsheet.cell(value) for value in ("a=1", 3, None, "가")] == ["a=1", "3", "", "가"]
    assert [spreadsheet.cell(value) for value in (-2, -0.5)] == ["-2", "-0.5"]
