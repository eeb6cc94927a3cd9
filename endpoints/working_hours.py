"""Working hours of an endpoint: on which days of the week, from when to when, in which zone.

Hours are those of the wall clock there: where the clock is put forward or back, 08:00 stays 08:00.
A time that a day has twice counts as the earlier one for a beginning, as the later one for an end;
one that a day does not have is as long after midnight as on other days.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Shorter than this it is not worth the minutes that a creation takes.
SHORTEST = timedelta(hours=1)
_FORM = re.compile(r"([a-z,\- ]+?)\s+(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})", re.I | re.A)
_DAY = timedelta(days=1)
_ADVANCE = 9  # days that are looked at: a week, and the nights at its ends


class HoursError(ValueError):
    """A text names no working hours; ``code`` says why: form, day, time, short, always or zone."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class WorkingHours:
    """From ``begin`` to ``end`` on each of ``days`` (0 is Monday), on the clock of ``zone``.

    An end that is not after the beginning is on the next day: 22:00 to 06:00, or 00:00 to 24:00.
    """

    days: tuple[int, ...]
    begin: time
    end: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: str) -> Self:
        """The hours that ``text`` names, as "mon-fri 08:00-19:00". Raises HoursError."""
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise HoursError("form")
        try:
            place = ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise HoursError("zone") from None
        hours = cls(
            parse_days(found[1]),
            parse_time(found[2], found[3]),
            parse_time(found[4], found[5]),
            place,
        )
        if hours._length() < SHORTEST:
            raise HoursError("short")
        if hours._pause() < SHORTEST:
            raise HoursError("always")
        return hours

    def __str__(self) -> str:
        end = "24:00" if self.end == time.min else f"{self.end:%H:%M}"
        return f"{days_in_words(self.days)} {self.begin:%H:%M}-{end}"

    @property
    def weekly(self) -> timedelta:
        """How long it is open in a week without a change of the clock."""
        return self._length() * len(self.days)

    def open_at(self, moment: datetime) -> bool:
        """Whether a moment is within the hours."""
        return any(begin <= moment < end for begin, end in self._spans(moment))

    def opens_after(self, moment: datetime) -> datetime:
        """The first beginning after a moment, in UTC."""
        return next(begin for begin, _end in self._spans(moment) if begin > moment)

    def closes_after(self, moment: datetime) -> datetime:
        """The first end after a moment, in UTC."""
        return next(end for _begin, end in self._spans(moment) if end > moment)

    def _length(self) -> timedelta:
        begin, end = (timedelta(hours=t.hour, minutes=t.minute) for t in (self.begin, self.end))
        return end - begin if end > begin else end - begin + _DAY

    def _pause(self) -> timedelta:
        """The longest time in a week in which it is closed."""
        begin, length = timedelta(hours=self.begin.hour, minutes=self.begin.minute), self._length()
        begins = [timedelta(days=day) + begin for day in self.days]
        begins.append(begins[0] + timedelta(days=7))
        return max(after - before - length for before, after in pairwise(begins))

    def _spans(self, moment: datetime) -> list[tuple[datetime, datetime]]:
        """The times in UTC around a moment in which it is open; those that touch are one."""
        today = moment.astimezone(self.zone).date()
        spans: list[tuple[datetime, datetime]] = []
        for offset in range(-_ADVANCE, _ADVANCE):
            day = today + timedelta(days=offset)
            if day.weekday() not in self.days:
                continue
            last = day if self.end > self.begin else day + _DAY
            begin = datetime.combine(day, self.begin, self.zone).astimezone(UTC)
            end = datetime.combine(last, self.end.replace(fold=1), self.zone).astimezone(UTC)
            if spans and begin <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
            elif begin < end:
                spans.append((begin, end))
        return spans


def parse_days(text: str) -> tuple[int, ...]:
    """Days as "mon-fri" or "mon,wed" say them; 0 is Monday. Raises HoursError."""
    days: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, _dash, last = part.partition("-")
        try:
            begin, end = DAYS.index(first), DAYS.index(last or first)
        except ValueError:
            raise HoursError("day") from None
        days.update((begin + more) % 7 for more in range((end - begin) % 7 + 1))
    return tuple(sorted(days))


def parse_time(hour: str, minute: str) -> time:
    """A time of the day; 24:00 is that of the next one. Raises HoursError."""
    if (hour, minute) == ("24", "00"):
        return time.min
    try:
        return time(int(hour), int(minute))
    except ValueError:
        raise HoursError("time") from None


def days_in_words(days: tuple[int, ...]) -> str:
    """Days as "mon-fri" or "mon,wed,sat"."""
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(
        DAYS[run[0]] if len(run) == 1 else f"{DAYS[run[0]]}-{DAYS[run[-1]]}" for run in runs
    )
