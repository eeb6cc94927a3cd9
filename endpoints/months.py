"""Months and days as AWS bills them: in UTC."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self

_FORM = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_DAY = timedelta(days=1)
#: Before it there is nothing to reckon.
_FIRST_YEAR = 2000


@dataclass(frozen=True, order=True)
class Month:
    """A month of the calendar, in UTC; ``str()`` is as 2026-11."""

    year: int
    number: int

    @classmethod
    def of(cls, moment: datetime) -> Self:
        """The one that a moment is in."""
        there = moment.astimezone(UTC)
        return cls(there.year, there.month)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The one that is written as 2026-11; None where it is none."""
        found = _FORM.fullmatch(text)
        if found is None or int(found[1]) < _FIRST_YEAR:
            return None
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"

    @property
    def begin(self) -> datetime:
        """Its first moment."""
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return self.after.begin

    @property
    def after(self) -> Self:
        """The next one."""
        months = self.year * 12 + self.number
        return type(self)(months // 12, months % 12 + 1)

    @property
    def before(self) -> Self:
        """The one before."""
        months = self.year * 12 + self.number - 2
        return type(self)(months // 12, months % 12 + 1)

    @property
    def days(self) -> list[date]:
        """Its days."""
        count = (self.end - self.begin).days
        return [self.begin.date() + n * _DAY for n in range(count)]


def by_day(begin: datetime, end: datetime) -> Iterator[tuple[date, timedelta]]:
    """The days in UTC of a time, each with how much of the time is in it."""
    at = begin.astimezone(UTC)
    while at < end:
        midnight = datetime(at.year, at.month, at.day, tzinfo=UTC) + _DAY
        until = min(midnight, end)
        yield at.date(), until - at
        at = until
