"""Working hours in zones whose clocks are put forward and back."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from endpoints.working_hours import HoursError, WorkingHours

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "said", "hours"),
    [
        ("mon-fri 08:00-19:00", "mon-fri 08:00-19:00", 55),
        (" Fri-Mon 8:00 - 9:30 ", "mon,fri-sun 08:00-09:30", 6),
        ("mon,wed 22:00-06:00", "mon,wed 22:00-06:00", 16),
        ("sat,sun 00:00-24:00", "sat-sun 00:00-24:00", 48),
    ],
)
def test_what_is_written(text: str, said: str, hours: int) -> None:
    found = WorkingHours.parse(text, "Asia/Seoul")
    assert str(found) == said
    assert found.weekly == timedelta(hours=hours)
    assert WorkingHours.parse(said, "Asia/Seoul") == found


@pytest.mark.parametrize(
    ("text", "zone", "code"),
    [
        ("08:00-19:00", "UTC", "form"),
        ("", "UTC", "form"),
        ("mon-fri 8-19", "UTC", "form"),
        ("mon-xyz 08:00-19:00", "UTC", "day"),
        ("mon-fri 08:00-25:00", "UTC", "time"),
        ("mon-fri 08:00-08:59", "UTC", "short"),
        ("mon-sun 00:00-24:00", "UTC", "always"),
        ("mon-sun 08:00-07:30", "UTC", "always"),
        ("mon-fri 08:00-19:00", "Mars/Olympus", "zone"),
        ("mon-fri 08:00-19:00", "", "zone"),
        ("mon-fri 08:00-19:00", "../etc/passwd", "zone"),
    ],
)
def test_what_is_none(text: str, zone: str, code: str) -> None:
    with pytest.raises(HoursError) as refused:
        WorkingHours.parse(text, zone)
    assert refused.value.code == code


@pytest.mark.parametrize("month", [3, 10])
def test_the_wall_clock_counts_over_a_change_of_it(month: int) -> None:
    """The clock is put forward on 2026-03-29, and back on 2026-10-25, both Sundays."""
    hours = WorkingHours.parse("mon-sun 08:00-19:00", "Europe/Berlin")
    moment = datetime(2026, month, 24, tzinfo=UTC)
    for _ in range(7):
        moment = hours.opens_after(moment)
        assert f"{moment.astimezone(BERLIN):%H:%M}" == "08:00"
        assert hours.open_at(moment)
        moment = hours.closes_after(moment)
        assert f"{moment.astimezone(BERLIN):%H:%M}" == "19:00"
        assert not hours.open_at(moment)


def test_a_night_with_a_change_of_the_clock_is_an_hour_shorter_or_longer() -> None:
    hours = WorkingHours.parse("sat 22:00-06:00", "Europe/Berlin")
    for day, length in ((28, 7), (21, 8)):
        opens = hours.opens_after(datetime(2026, 3, day, tzinfo=UTC))
        assert hours.closes_after(opens) - opens == timedelta(hours=length)
    opens = hours.opens_after(datetime(2026, 10, 24, tzinfo=UTC))
    assert hours.closes_after(opens) - opens == timedelta(hours=9)


def test_times_that_a_day_has_twice_or_not() -> None:
    hours = WorkingHours.parse("sun 02:30-05:00", "Europe/Berlin")
    forward = hours.opens_after(datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert forward == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)  # 03:30 there
    back = hours.opens_after(datetime(2026, 10, 24, 12, tzinfo=UTC))
    assert back == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # the first 02:30


def test_days_that_touch_are_one() -> None:
    hours = WorkingHours.parse("mon-fri 00:00-24:00", "UTC")
    monday = datetime(2026, 1, 5, tzinfo=UTC)
    assert hours.closes_after(monday) == monday + timedelta(days=5)
    assert hours.opens_after(monday) == monday + timedelta(days=7)
