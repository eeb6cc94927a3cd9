"""How long things took, and how long what is under way usually takes: page, API, history."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.translation import override

from activity.models import Event
from core import clock
from endpoints import durations, services
from endpoints.durations import Progress, Usual, Work
from endpoints.models import Endpoint, Revision
from endpoints.services import SettingsChange
from endpoints.tests.account import Account
from endpoints.tests.test_endpoints_api import DEMO, Api, api

__all__ = ["api"]
Step = Callable[[Endpoint], Endpoint]
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def told(endpoint: Endpoint, *events: tuple[str, float], revision: int | None = None) -> None:
    """Events of an endpoint, so many minutes after the beginning."""
    named = {} if revision is None else {"revision": revision}
    for code, minutes in events:
        Event.objects.create(
            at=BEGUN + timedelta(minutes=minutes), action=f"endpoint.{code}",
            subject_kind="endpoint", subject_id=endpoint.pk, subject_name=endpoint.name,
            parameters={"name": endpoint.name, **named},
        )  # fmt: skip


def row(name: str, **values: Any) -> Endpoint:
    return Endpoint.objects.create(
        name=name, bucket="store", image="image:1", role_arn="role",
        instance_type="ml.m5.large", **values,
    )  # fmt: skip


def created(name: str, *minutes: float) -> Endpoint:
    """One that was created and resumed, and took so long each time."""
    found = row(name, gone_at=BEGUN)
    at = 0.0
    for number, took in enumerate(minutes):
        code = "resume_requested" if number else "requested"
        told(found, (code, at), ("endpoint.in_service", at + took))
        at += took + 60
    return found


@pytest.fixture
def at_minute(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    def put(minutes: float) -> None:
        monkeypatch.setattr(clock, "now", lambda: BEGUN + timedelta(minutes=minutes))

    return put


def test_the_usual_time_is_that_of_others_until_it_has_its_own(
    db: None, at_minute: Callable[[float], None]
) -> None:
    for number, took in enumerate((5, 5, 6, 7, 7, 40)):
        created(f"other-{number}", took)
    demo = row("demo")
    told(demo, ("requested_why", 100))
    at_minute(102)
    found = durations.progress([demo])[demo.pk]
    assert (found.work, found.since) == (Work.CREATION, BEGUN + timedelta(minutes=100))
    assert found.said == "It usually takes 5 to 7 min. So far it has taken 2 min."
    with override("ko"):
        assert "5~7분" in found.said
    own = row("own")
    told(
        own, ("requested", 0), ("endpoint.in_service", 2), ("resume_requested", 10),
        ("endpoint.in_service", 12), ("put_back", 20), ("endpoint.in_service", 22),
        ("resumed_by_hours", 100),
    )  # fmt: skip
    assert str(durations.progress([own])[own.pk].usual) == "2 min"


def test_what_takes_much_longer_says_what_to_do(
    db: None, at_minute: Callable[[float], None]
) -> None:
    created("other", 6)
    demo = row("demo")
    told(demo, ("requested", 0))
    at_minute(12)
    assert not durations.progress([demo])[demo.pk].late
    at_minute(14)
    found = durations.progress([demo])[demo.pk]
    assert (
        "So far it has taken 14 min. That is much longer. Look at its logs, or tear" in found.said
    )
    for work, said in ((Work.CHANGE, "serves as before"), (Work.TEARDOWN, "goes on until")):
        assert said in Progress(work, BEGUN, Usual(60, 60)).said
    nothing = Progress(Work.CREATION, BEGUN, None)
    assert (nothing.said, nothing.late) == ("So far it has taken 14 min.", False)
    at_minute(0.9)
    assert nothing.said == ""


def test_what_failed_is_told_and_is_no_measure(
    db: None, at_minute: Callable[[float], None]
) -> None:
    other = row("other", gone_at=BEGUN)
    told(
        other, ("requested", 0), ("endpoint.failed", 30),
        ("update_requested", 40), ("update_rolled_back", 45),
        ("update_requested", 50), ("update_requested_why", 52), ("updated", 53),
        ("teardown_requested", 60), ("teardown_undone", 61), ("gone", 90),
    )  # fmt: skip
    events, _progress = durations.with_durations(other, Event.objects.about("endpoint", other.pk))
    assert {one.action.rpartition(".")[2]: one.took for one in events if one.took} == {
        "failed": "30 min", "update_rolled_back": "5 min", "updated": "1 min",
        "teardown_undone": "1 min",
    }  # fmt: skip
    demo = row("demo")
    told(demo, ("requested", 0))
    at_minute(1)
    assert durations.progress([demo])[demo.pk].usual is None


def test_revisions_say_how_long_they_took(
    db: None, api: Api, django_assert_num_queries: Any
) -> None:
    demo = row("demo", state=Endpoint.State.IN_SERVICE)
    for number in (3, 4, 5, 6, 7):  # an endpoint of this name before had the first two
        Revision.objects.create(
            endpoint=demo, number=number, image="image:1", role_arn="role", created_at=BEGUN,
            instance_type="ml.m5.large", instance_count=number,
        )  # fmt: skip
    told(demo, ("requested", 0), ("endpoint.in_service", 6))
    told(demo, ("update_requested_why", 10), ("update_rolled_back", 14), revision=4)
    told(demo, ("update_requested", 20), revision=5)
    told(demo, ("update_withdrawn", 20.5), revision=3)
    told(demo, ("update_requested", 21), ("updated", 21.75), revision=6)
    told(demo, ("resume_requested", 30), ("endpoint.in_service", 60))
    told(demo, ("update_requested", 70), revision=7)
    with django_assert_num_queries(1):
        assert durations.of_revisions(demo) == {3: 360, 4: 240, 6: 45}
    shown = api.ask("GET", f"{DEMO}/revisions")[1]["items"]
    assert [one["took_s"] for one in shown] == [None, 45, None, 240, 360]


def test_one_query_for_many_and_none_where_all_are_settled(
    db: None, django_assert_num_queries: Any
) -> None:
    rows = [row(f"demo-{number}") for number in range(5)]
    for one in rows:
        told(one, ("requested", 0))
    with django_assert_num_queries(1):
        assert len(durations.progress(rows)) == 5
    for one in rows:
        one.state = Endpoint.State.IN_SERVICE
    with django_assert_num_queries(0):
        assert durations.progress(rows) == {}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1.4, "1 s"), (59.4, "59 s"), (59.6, "1 min"), (330, "6 min"), (7200, "2 h")],
)
def test_spans_in_words(seconds: float, said: str) -> None:
    assert durations.in_words(seconds) == said


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([300, 420], "5 to 7 min"),
        ([20, 40], "20 to 40 s"),
        ([40, 300], "40 s to 5 min"),
        ([7], "7 s"),
    ],
)
def test_the_usual_time_in_words(times: list[float], said: str) -> None:
    assert str(Usual.of(times)) == said


@pytest.mark.not_quick
def test_on_the_page_and_by_the_api(
    endpoint: Endpoint,
    api: Api,
    client_of: Callable[[str], Client],
    account: Account,
    advance: Step,
    settle: Step,
) -> None:
    created("other", 5)
    created("another", 7)
    viewer, page = client_of("viewer"), f"/endpoints/{endpoint.pk}/"
    assert "It usually takes 5 to 7 min." in viewer.get(page).content.decode()
    shown = api.ask("GET", DEMO)[1]["progress"]
    assert (shown["work"], shown["usually_from_s"], shown["usually_to_s"]) == ("creation", 300, 420)
    items = api.ask("GET", DEMO.rpartition("/")[0])[1]["items"]
    assert items[0]["progress"]["said"] == shown["said"]
    settle(endpoint)
    assert "usually" not in viewer.get(page).content.decode()
    assert api.ask("GET", DEMO)[1]["progress"] is None
    assert re.search(r"after \d+ s\b", viewer.get(f"{page}history/").content.decode())
    change = SettingsChange(instance_type="ml.m5.xlarge")
    services.request_change(endpoint=endpoint, change=change, actor=None)
    assert api.ask("GET", DEMO)[1]["progress"]["work"] == "change"
    settle(Endpoint.objects.get(name="demo"))
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    advance(Endpoint.objects.get(name="demo"))
    assert api.ask("GET", DEMO)[1]["progress"]["work"] == "teardown"
