"""The times that metrics are shown for: an hour to four weeks, in bins."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _


class Range(models.TextChoices):
    """How far back one looks."""

    HOUR = "1h", _("1 hour")
    HOURS = "6h", _("6 hours")
    DAY = "24h", _("24 hours")
    WEEK = "7d", _("7 days")
    WEEKS = "28d", _("28 days")


# The length of each, and of its bins: 24 to 72 of them. From a day on these are full hours, as the
# portal keeps them (measured_hours.py). CloudWatch keeps minutes for 15 days, and 5 minutes for 63
# (CloudWatch User Guide, "Metrics retention").
_LENGTHS = {
    Range.HOUR: (timedelta(hours=1), timedelta(minutes=1)),
    Range.HOURS: (timedelta(hours=6), timedelta(minutes=5)),
    Range.DAY: (timedelta(hours=24), timedelta(hours=1)),
    Range.WEEK: (timedelta(days=7), timedelta(hours=3)),
    Range.WEEKS: (timedelta(days=28), timedelta(hours=12)),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def fitting(begun: datetime, now: datetime) -> Range:
    """How far to look back where nobody chose: a day, or less where it began later than that."""
    young = (one for one in (Range.HOUR, Range.HOURS) if now - begun <= _LENGTHS[one][0])
    return next(young, Range.DAY)


@dataclass(frozen=True)
class Window:
    """Bins of ``step`` from ``begin`` to ``end``; the last is the one that is not over yet."""

    range: Range
    begin: datetime
    end: datetime
    step: timedelta

    @classmethod
    def until(cls, now: datetime, range: Range) -> "Window":
        """The window whose last bin has ``now``. Bins begin at round times, as CloudWatch's do."""
        length, step = _LENGTHS[range]
        end = _EPOCH + ((now - _EPOCH) // step + 1) * step
        return cls(range, end - length, end, step)

    @property
    def times(self) -> list[datetime]:
        """When each bin begins."""
        return [self.begin + n * self.step for n in range(self.bins)]

    @property
    def bins(self) -> int:
        """How many there are."""
        return (self.end - self.begin) // self.step

    def place(self, at: datetime) -> int | None:
        """The number of the bin that has a time; None outside."""
        n = (at - self.begin) // self.step
        return n if 0 <= n < self.bins else None
