"""Schedules of scheduled actions: ``at(…)``, ``rate(…)`` and ``cron(…)``.

BC, PutScheduledAction: at and cron are in the action's time zone, UTC without one; cron has the
fields minute, hour, day of month, month, day of week and year. Of ``L``, ``W`` and ``#`` there is
none here.
"""

import datetime as dt
import re
from collections.abc import Callable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MINUTE = 60
_LOOK_BACK = 8 * 24 * 3600
"""Seconds: of what was missed for longer, as localaws did not run, nothing is made up for."""
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_UNITS = {"minute": 60, "hour": 3600, "day": 86_400}

Due = Callable[[float, float], float | None]
"""The last moment after the first and not after the second at which it is due; None: there is none.
"""


class InvalidSchedule(ValueError):
    """It is no schedule, or not one that localaws offers; the message says which."""


def parse(schedule: str, timezone: str | None, begun: float) -> Due:
    """When a schedule is due; ``begun`` is when a rate begins. Raises InvalidSchedule."""
    try:
        zone = ZoneInfo(timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        raise InvalidSchedule(f"Timezone {timezone} is not known.") from None
    match = re.fullmatch(r"(at|rate|cron)\((.*)\)", schedule.strip())
    if match is None:
        raise InvalidSchedule(f"Schedule {schedule} is none of at(…), rate(…) and cron(…).")
    kind, given = match[1], match[2].strip()
    if kind == "at":
        return _at(given, zone)
    return _rate(given, begun) if kind == "rate" else _cron(given, zone)


def _at(given: str, zone: ZoneInfo) -> Due:
    try:
        local = dt.datetime.strptime(given, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone)
    except ValueError:
        raise InvalidSchedule(f"at({given}) is not at(yyyy-mm-ddThh:mm:ss).") from None
    moment = local.timestamp()
    return lambda after, until: moment if after < moment <= until else None


def _rate(given: str, begun: float) -> Due:
    match = re.fullmatch(r"([1-9]\d{0,8}) (minute|hour|day)s?", given)
    if match is None:
        raise InvalidSchedule(f"rate({given}) is not rate(value unit).")
    every = int(match[1]) * _UNITS[match[2]]

    def due(after: float, until: float) -> float | None:
        last = begun + (until - begun) // every * every
        return last if last > max(after, begun) else None

    return due


def _cron(given: str, zone: ZoneInfo) -> Due:
    fields = given.split()
    if len(fields) != 6:
        raise InvalidSchedule(f"cron({given}) has {len(fields)} fields; there are six.")
    minutes, hours = _values(fields[0], 0, 59), _values(fields[1], 0, 23)
    days, months = _values(fields[2], 1, 31), _values(fields[3], 1, 12, _MONTHS)
    weekdays, years = _values(fields[4], 1, 7, _DAYS), _values(fields[5], 1970, 2199)

    def due(after: float, until: float) -> float | None:
        moment = until // _MINUTE * _MINUTE
        while moment > max(after, until - _LOOK_BACK):
            local = dt.datetime.fromtimestamp(moment, zone)
            if (
                local.minute in minutes
                and local.hour in hours
                and local.day in days
                and local.month in months
                and local.isoweekday() % 7 + 1 in weekdays
                and local.year in years
            ):
                return moment
            moment -= _MINUTE
        return None

    return due


def _values(field: str, low: int, high: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    """The values that a field of cron stands for; ``names`` begin with that of ``low``."""
    found: set[int] = set()
    for part in field.upper().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span in ("*", "?"):
            begin, end = low, high
        else:
            begin = _number(first, low, names)
            end = _number(last, low, names) if last else high if step else begin
        if not (low <= begin <= end <= high) or (step and not re.fullmatch(r"[1-9]\d{0,3}", step)):
            raise InvalidSchedule(f"{field} is no field of cron that localaws offers.")
        found.update(range(begin, end + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str, low: int, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + low
    return int(text) if re.fullmatch(r"\d{1,4}", text) else -1
