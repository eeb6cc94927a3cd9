"""Between how many instances an endpoint is scaled, and from when on between others."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from endpoints.working_hours import DAYS, HoursError, days_in_words, parse_days, parse_time

#: A cooldown in seconds where nobody says otherwise; AWS presets the same.
COOLDOWN_S = 300
#: AWS takes 200 of a target; nobody reads so many.
MOST_SCHEDULED = 10

_WHEN = re.compile(r"([a-z,\- ]+?)\s+(\d{1,2}):(\d{2})", re.I | re.A)


@dataclass(frozen=True)
class ScheduledLimits:
    """Other limits from a time on: ``when`` is as "mon-fri 08:00", on the clock of the schedule."""

    when: str
    least: int
    most: int

    @classmethod
    def of(cls, when: str, least: int, most: int) -> Self:
        """With ``when`` in its one form. Raises HoursError with the code form, day or time."""
        found = _WHEN.fullmatch(when.strip())
        if found is None or (found[2], found[3]) == ("24", "00"):
            raise HoursError("form" if found is None else "time")
        at = parse_time(found[2], found[3])
        return cls(f"{days_in_words(parse_days(found[1]))} {at:%H:%M}", least, most)

    @property
    def cron(self) -> str:
        """AWS's expression of when (BC: PutScheduledAction, Schedule)."""
        days, _space, at = self.when.partition(" ")
        hour, _colon, minute = at.partition(":")
        named = ",".join(DAYS[day].upper() for day in parse_days(days))
        return f"cron({int(minute)} {int(hour)} ? * {named} *)"

    def __str__(self) -> str:
        return f"{self.when} {self.least}-{self.most}"


@dataclass(frozen=True)
class Limits:
    """Between how many instances, and when: calls a minute for each, cooldowns in seconds.

    Each of ``schedule`` sets other limits from its time on, on the clock of ``zone``, until the
    next one does.
    """

    least: int
    most: int
    target: int
    in_cooldown: int = COOLDOWN_S
    out_cooldown: int = COOLDOWN_S
    schedule: tuple[ScheduledLimits, ...] = ()
    zone: str = ""

    @property
    def fewest(self) -> int:
        """The fewest instances at any time."""
        return min([self.least, *(one.least for one in self.schedule)])

    @property
    def highest(self) -> int:
        """The most instances at any time."""
        return max([self.most, *(one.most for one in self.schedule)])

    @property
    def scheduled(self) -> str:
        """What is scheduled, as people read it; empty: nothing."""
        told = "; ".join(map(str, self.schedule))
        return f"{told} ({self.zone})" if told else ""

    def schedule_as_json(self) -> dict[str, Any] | None:
        """The schedule and its zone, for a row; None: there is none."""
        if not self.schedule:
            return None
        return {"zone": self.zone, "actions": [asdict(one) for one in self.schedule]}


def schedule_of(stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """What `Limits` takes of a row's schedule."""
    if not stored:
        return {}
    actions = tuple(ScheduledLimits(**one) for one in stored["actions"])
    return {"schedule": actions, "zone": stored["zone"]}


def known_zone(name: str) -> bool:
    """Whether there is a time zone of this name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return bool(name)
