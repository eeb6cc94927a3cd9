"""What a month cost, and what it will have cost at its end."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from endpoints import last_calls
from endpoints.models import Endpoint, InstanceRun
from endpoints.months import Month, by_day
from endpoints.spending import Grouping, Spending, so_far, spending

#: Half of November: 15 of 30 days are over.
NOW = datetime(2026, 11, 16, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOVEMBER = Month(2026, 11)


def _endpoint(name: str, **values: Any) -> Endpoint:
    made: Endpoint = Endpoint.objects.create(
        **{
            "name": name,
            "instance_type": "ml.m5.large",
            "instance_count": 1,
            "state": Endpoint.State.IN_SERVICE,
        }
        | values
    )
    Endpoint.objects.filter(pk=made.pk).update(created_at=values.get("created_at", NOW - DAY))
    return made


def _ran(
    endpoint: Endpoint, begin: datetime, end: datetime | None, count: int = 1,
    instance_type: str = "ml.m5.large",
) -> None:  # fmt: skip
    InstanceRun.objects.create(
        endpoint=endpoint, variant="AllTraffic", instance_type=instance_type, instance_count=count,
        begun_at=begin, ended_at=end,
    )  # fmt: skip


def _of(found: Spending) -> dict[str, tuple[str, str]]:
    return {one.name: (str(one.spent.so_far), str(one.spent.forecast)) for one in found.lines}


def test_months_and_days_are_those_of_utc() -> None:
    assert Month.parse("2026-12") == Month(2026, 12)
    assert Month(2026, 12).after == Month(2027, 1)
    assert Month(2027, 1).before == Month(2026, 12)
    assert len(Month(2028, 2).days) == 29
    assert (str(Month(2026, 3)), Month(2026, 3).end) == (
        "2026-03",
        datetime(2026, 4, 1, tzinfo=UTC),
    )
    wrong = ("2026-13", "2026-1", "1999-01", "2026-11-01", "", "november", "２０２６-11")
    assert [Month.parse(text) for text in wrong] == [None] * len(wrong)
    parts = list(by_day(NOW - HOUR, NOW + DAY + HOUR))
    assert [part for _day, part in parts] == [HOUR, DAY, HOUR]


def test_what_endpoints_cost_so_far_is_one_query(db: None, django_assert_num_queries: Any) -> None:
    """Since each was created, also before this month; 0.115 an hour, or nothing that is known."""
    old, priceless, new = _endpoint("old"), _endpoint("priceless"), _endpoint("new")
    _ran(old, NOW - 100 * DAY, NOW - 99 * DAY, 2)
    _ran(old, NOW - 10 * HOUR, None)
    _ran(old, NOW + HOUR, NOW + 2 * HOUR, 1, "ml.m5.xlarge")
    _ran(priceless, NOW - HOUR, None, 3, "ml.new.type")
    _ran(_endpoint("another"), NOW - DAY, None)
    with django_assert_num_queries(1):
        found = so_far([old, priceless, new], NOW + DAY)
    assert {pk: (str(one.so_far), str(one.instance_hours)) for pk, one in found.items()} == {
        old.pk: ("9.66", "83.0"),
        priceless.pk: ("0.00", "75.0"),
        new.pk: ("0.00", "0.0"),
    }
    assert found[priceless.pk].unpriced_types == ["ml.new.type"]


def test_what_ran_is_counted_by_type_number_and_time(db: None) -> None:
    """0.115 an hour: 24 hours of one, 10 of three; one of a dearer type at 0.23 for 5 hours."""
    made = _endpoint("demo", state=Endpoint.State.PAUSED)
    begin = NOVEMBER.begin + 2 * DAY
    _ran(made, begin, begin + DAY)
    _ran(made, begin + DAY, begin + DAY + 10 * HOUR, 3)
    _ran(made, begin + 5 * DAY, begin + 5 * DAY + 5 * HOUR, 1, "ml.m5.xlarge")
    found = spending(now=NOW)
    assert _of(found) == {"demo": ("7.36", "7.36")}
    assert found.whole.instance_hours == Decimal("59.0")
    costs = {one.name: str(one.spent.so_far) for one in found.days if one.spent.cost}
    assert costs == {"2026-11-03": "2.76", "2026-11-04": "3.45", "2026-11-08": "1.15"}
    assert len(found.days) == 30


def test_a_month_has_its_own_part_of_what_ran_over_its_end(db: None) -> None:
    made = _endpoint("demo", state=Endpoint.State.PAUSED)
    _ran(made, NOVEMBER.begin - 10 * HOUR, NOVEMBER.begin + 20 * HOUR)
    assert spending(now=NOW).whole.instance_hours == 20
    before = spending(month=Month(2026, 10), now=NOW)
    assert (before.whole.instance_hours, before.current) == (10, False)
    assert before.whole.so_far == before.whole.forecast
    assert before.months == [Month(2026, 11), Month(2026, 10)]


def test_what_runs_goes_on_to_the_end_of_the_month(db: None) -> None:
    """15 days are over, and 15 to come."""
    _ran(_endpoint("demo"), NOVEMBER.begin, None, 2)
    found = spending(now=NOW)
    assert _of(found) == {"demo": ("82.80", "165.60")}
    assert sum(one.spent.expected for one in found.days[15:]) == found.whole.expected
    assert not any(one.spent.expected for one in found.days[:15])


def test_an_end_date_and_a_teardown_end_the_forecast(db: None) -> None:
    _ran(_endpoint("ends", expires_at=NOW + 10 * HOUR), NOW - 10 * HOUR, None)
    _ran(_endpoint("goes", wanted=Endpoint.Wanted.ABSENT), NOW - 10 * HOUR, None)
    idle = {"idle_hours": 100, "idle_ends_at": NOW + 20 * HOUR, "idle_told": Endpoint.EndTold.DAY}
    _ran(_endpoint("idles", **idle), NOW - 10 * HOUR, None)
    assert _of(spending(now=NOW)) == {
        "ends": ("1.15", "2.30"),
        "goes": ("1.15", "1.15"),
        "idles": ("1.15", "3.45"),
    }


def test_calls_of_others_count_as_calls(db: None) -> None:
    _ran(_endpoint("demo", created_at=NOW - 40 * DAY, idle_call_at=NOW - 2 * DAY), NOW - DAY, None)
    (line,) = spending(now=NOW).lines
    assert (line.idle_days, line.forgotten) == (2, False)


def test_outside_of_working_hours_nothing_is_expected(db: None) -> None:
    """NOW is Monday, 00:00 in UTC; there are 11 weekdays until the end of November."""
    hours = {"hours": "mon-fri 08:00-18:00", "hours_zone": "UTC"}
    running = _endpoint("runs", pauses_at=NOW + HOUR, **hours)
    _ran(running, NOW - 10 * HOUR, None)
    paused = {"state": Endpoint.State.PAUSED, "to_pause": True}
    _endpoint("paused", resumes_at=NOW + 8 * HOUR, **hours, **paused)
    _endpoint("until-somebody-resumes", **paused)
    found = spending(now=NOW)
    assert found.whole.hours == 10
    expected = {one.name: one.spent.expected / Decimal("0.115") for one in found.lines}
    assert expected == {"runs": 111, "paused": 110}


def test_a_type_without_a_price_is_named_and_not_counted(db: None) -> None:
    made = _endpoint("demo")
    _ran(made, NOW - 4 * HOUR, NOW - 2 * HOUR, 1, "ml.p9.huge")
    _ran(made, NOW - 2 * HOUR, None, 1)
    found = spending(now=NOW)
    (line,) = found.lines
    assert (line.spent.unpriced, line.spent.so_far) == ({"ml.p9.huge": 2}, Decimal("0.23"))
    assert found.whole.instance_hours == 4
    assert found.whole.unpriced_types == ["ml.p9.huge"]


def test_by_owner_and_by_tag(db: None) -> None:
    kim, lee = User.objects.create_user("kim"), User.objects.create_user("lee")
    tags = {"tags": {"team": "vision", "stage": "test"}}
    for name, values in (
        ("one", {"created_by": kim, "options": tags}),
        ("two", {"created_by": kim, "owner": lee}),
        ("three", {}),
    ):
        _ran(_endpoint(name, **values), NOW - 10 * HOUR, NOW)
    cost = ("1.15", "1.15")
    assert _of(spending(now=NOW, grouping=Grouping.OWNER)) == {"kim": cost, "lee": cost, "": cost}
    by_tag = _of(spending(now=NOW, grouping=Grouping.TAG))
    assert by_tag == {"stage=test": cost, "team=vision": cost, "": ("2.30", "2.30")}
    assert len(_of(spending(now=NOW, grouping=Grouping.DAY))) == 30


def test_what_was_forgotten_is_first_the_longest_idle_before(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_calls, "_expressions", [])
    for name, days, count in (("dear", 1, 9), ("old", 12, 1), ("older", 40, 1), ("cheap", 1, 1)):
        _ran(_endpoint(name, created_at=NOW - days * DAY), NOW - DAY, None, count)
    gone = _endpoint("gone", created_at=NOW - 90 * DAY, gone_at=NOW, state=Endpoint.State.GONE)
    _ran(gone, NOW - 2 * HOUR, NOW - HOUR)
    found = spending(now=NOW).lines
    assert [one.name for one in found] == ["older", "old", "dear", "cheap", "gone"]
    assert [one.idle_days for one in found] == [40, 12, 1, 1, None]
    assert [one.forgotten for one in found] == [True, True, False, False, False]


def test_it_asks_three_queries_however_much_ran(db: None) -> None:
    for number in range(30):
        _ran(_endpoint(f"e{number}"), NOVEMBER.begin + number * HOUR, None)
    with CaptureQueriesContext(connection) as asked:
        spending(now=NOW)
    assert len(asked) == 3
