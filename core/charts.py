"""Charts as SVG without a script or inline styles: columns or lines, over time or over classes.

A view makes one Chart, and ``{% chart chart %}`` (core/templatetags/elements.py) renders it::

    chart = over_time(
        title=_("Calls"),
        unit=COUNT,
        times=[…],  # when each bin begins
        step=timedelta(minutes=5),
        series=[Series(_("calls"), [3, None, 5])],
        style=COLUMNS,
    )

The vertical axis begins at zero. What a series is, is said by the pattern of its line or column and
by the shape of its points, never by the colour alone. All that is drawn is in the chart's table.
Positions are percentages, so that a chart takes any width and its words keep their size.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import formats, timezone
from django.utils.translation import gettext as _

from core.templatetags.portal import ms

Value = float | int | None

#: Styles: lines; columns side by side; columns on each other, of which the first is lowest.
LINES, COLUMNS, STACKED = "lines", "columns", "stacked"

_MOST_SERIES = 4
_INTERVALS = 4  # of the vertical axis, about
_POINTS_MARKED = 7  # of a line, about: more would hide it
_MOST_TICKS = 6
#: At most this many letters stand below a chart of 280 px, with room between the labels.
_NARROW_LETTERS = 30
# The points of a line, about (0, 0): circle, square, triangle, diamond.
_SHAPES = (
    "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0Z",
    "M-3-3H3V3H-3Z",
    "M0-4L4 3H-4Z",
    "M0-4L4 0L0 4L-4 0Z",
)
# What the lines of the path are drawn in; the plot is stretched to its place.
_CANVAS = 1000
_STEPS = [
    *(timedelta(minutes=n) for n in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=n) for n in (1, 2, 3, 6, 12)),
    *(timedelta(days=n) for n in (1, 2, 4, 7, 14, 28, 91, 182, 365)),
]


@dataclass(frozen=True)
class Unit:
    """How values are written, and what the axis says of them.

    ``whole``: there are no halves of it, so the axis has none. ``most``: the axis reaches at least
    to it, as a share does to 100 %.
    """

    name: Any
    written: Callable[[float], str]
    whole: bool = False
    most: float = 0.0


def _plain(value: float) -> str:
    shown = round(value) if abs(value) >= 100 or value == round(value) else round(value, 1)
    return str(formats.number_format(shown, force_grouping=True))


def _percent(value: float) -> str:
    shown = round(value, 1) if 0 < value < 10 else round(value)
    return f"{formats.number_format(shown)} %"


def _time(value: float) -> str:
    return ms(value) if value else "0"


COUNT = Unit("", _plain, whole=True)
MILLISECONDS = Unit("", _time)
PERCENT = Unit("", _percent, most=100.0)  # of values from 0 to 100, and more


@dataclass(frozen=True)
class Series:
    """Some values, one for each bin; None where there is none, which is no zero."""

    label: Any
    values: Sequence[Value]


@dataclass(frozen=True)
class Mark:
    """Something that happened: a line across the chart. ``sign``: a letter or number of a list."""

    at: datetime
    sign: str
    label: str


@dataclass(frozen=True)
class _Tick:
    at: str
    label: str
    minor: bool = False  # left out where the chart is narrow
    edge: str = ""  # "first", "last": so near to the edge that the label would leave the chart


@dataclass(frozen=True)
class _Drawn:
    """A series as it is drawn. ``number`` says its pattern: from 1."""

    label: Any
    number: int
    path: str = ""
    points: Sequence[tuple[str, str]] = ()
    columns: Sequence[tuple[str, str, str, str]] = ()  # x, y, width, height

    @property
    def shape(self) -> str:
        """The path of its points."""
        return _SHAPES[self.number - 1]


@dataclass(frozen=True)
class Chart:
    """All that templates/ui/chart.html renders; made by over_time() and over_classes()."""

    title: Any
    unit: str
    across: str
    about: str
    said: str
    empty: str
    lines: bool
    ticks_up: Sequence[_Tick] = ()
    ticks_across: Sequence[_Tick] = ()
    drawn: Sequence[_Drawn] = ()
    hits: Sequence[tuple[str, str, str]] = ()  # x, width, what it says
    marks: Sequence[tuple[str, str, str]] = ()  # x, sign, label
    head: Sequence[str] = ()
    rows: Sequence[tuple[str, Sequence[str]]] = ()

    @property
    def legend(self) -> bool:
        """Whether there is more than one series to tell apart."""
        return len(self.drawn) > 1


def over_time(
    *,
    title: Any,
    unit: Unit,
    times: Sequence[datetime],
    step: timedelta,
    series: Sequence[Series],
    style: str = LINES,
    about: Any = "",
    empty: Any = "",
    unit_name: Any = "",
    marks: Sequence[Mark] = (),
) -> Chart:
    """A chart of bins of ``step`` that begin at ``times``, in order and without gaps.

    Times are shown in the reader's zone. ``about``: what it means, in a sentence; ``empty``: what
    stands in place of a chart without a value; ``unit_name``: what is counted, where the unit does
    not say it. Raises ValueError where a series has another number of values.
    """
    seconds = step.total_seconds() * len(times)

    def place(at: datetime) -> float:
        return 100 * (at - times[0]).total_seconds() / seconds if seconds else 0.0

    ticks = _time_ticks(times[0], times[-1] + step, place) if times else []
    seen = [mark for mark in marks if times and 0 <= place(mark.at) <= 100]
    return _chart(
        title=title,
        unit=unit,
        labels=[_moment(at, step) for at in times],
        series=series,
        style=style,
        about=about,
        empty=empty,
        unit_name=unit_name,
        ticks=ticks,
        across=_("Time (%(zone)s)") % {"zone": timezone.get_current_timezone_name()},
        marks=_apart([(place(mark.at), mark) for mark in seen]),
    )


#: Signs nearer than so many percent of the width would cover each other.
_APART = 4.0


def _apart(marks: Sequence[tuple[float, Mark]]) -> list[tuple[str, str, str]]:
    """The marks with their places; those that are close share a line: 1–3."""
    groups: list[list[tuple[float, Mark]]] = []
    for one in sorted(marks, key=lambda pair: pair[0]):
        if groups and one[0] - groups[-1][0][0] < _APART:
            groups[-1].append(one)
        else:
            groups.append([one])
    found = []
    for group in groups:
        (at, first), (_last_at, last) = group[0], group[-1]
        sign = first.sign if len(group) == 1 else f"{first.sign}–{last.sign}"
        found.append((_number(at), sign, " · ".join(mark.label for _at, mark in group)))
    return found


def over_classes(
    *,
    title: Any,
    unit: Unit,
    labels: Sequence[str],
    series: Sequence[Series],
    across: Any,
    style: str = COLUMNS,
    about: Any = "",
    empty: Any = "",
    unit_name: Any = "",
) -> Chart:
    """A chart of classes: a histogram, or one column for each name.

    ``labels``: of the classes, from left to right; ``across``: what they are. The rest is as with
    over_time().
    """
    count = len(labels)
    every = max(1, math.ceil(count / _MOST_TICKS))
    ticked = range(0, count, every)
    crowded = sum(len(str(labels[n])) for n in ticked) > _NARROW_LETTERS
    ticks = [
        _Tick(_number(100 * (n + 0.5) / count), labels[n], minor=crowded and n // every % 2 == 1)
        for n in ticked
    ]
    return _chart(
        title=title,
        unit=unit,
        labels=labels,
        series=series,
        style=style,
        about=about,
        empty=empty,
        unit_name=unit_name,
        ticks=ticks,
        across=str(across),
        marks=[],
    )


def _chart(
    *,
    title: Any,
    unit: Unit,
    labels: Sequence[str],
    series: Sequence[Series],
    style: str,
    about: Any,
    empty: Any,
    unit_name: Any,
    ticks: Sequence[_Tick],
    across: str,
    marks: Sequence[tuple[str, str, str]],
) -> Chart:
    if len(series) > _MOST_SERIES:
        raise ValueError(f"At most {_MOST_SERIES} series can be told apart.")
    for one in series:
        if len(one.values) != len(labels):
            raise ValueError(f"{one.label}: {len(one.values)} values for {len(labels)} bins.")
    count = len(labels)
    unit_name = str(unit_name or unit.name)
    known = [value for one in series for value in one.values if value is not None]
    written = [[_written(unit, value) for value in one.values] for one in series]
    rows = [(label, [column[n] for column in written]) for n, label in enumerate(labels)]
    head = [str(one.label) for one in series]
    base = {"title": title, "unit": unit_name, "across": across, "about": str(about), "head": head}
    if not known:
        said = str(empty) or _("There are no values in this time.")
        return Chart(**base, said=said, empty=said, lines=style == LINES, rows=[])
    highest = max(known)
    if style == STACKED:
        columns = zip(*(one.values for one in series), strict=True)
        highest = max(sum(value or 0 for value in column) for column in columns)
    top, ticks_up = _scale(max(highest, unit.most), unit)
    if style == LINES:
        drawn = [_line(one, n, top) for n, one in enumerate(series, 1)]
    else:
        drawn = _columns(series, top, stacked=style == STACKED)
    return Chart(
        **base,
        said=_summary(unit, labels, series),
        empty="",
        lines=style == LINES,
        ticks_up=ticks_up,
        ticks_across=ticks,
        drawn=drawn,
        hits=[
            (
                _number(100 * n / count),
                _number(100 / count),
                "\n".join(
                    [label]
                    + [f"{name}: {cell}" for name, cell in zip(head, cells, strict=True) if cell]
                ),
            )
            for n, (label, cells) in enumerate(rows)
            if any(cells)
        ],
        marks=marks,
        rows=[row for row in rows if any(row[1])],
    )


def _written(unit: Unit, value: Value) -> str:
    return "" if value is None else unit.written(value)


def _summary(unit: Unit, labels: Sequence[str], series: Sequence[Series]) -> str:
    """What a chart shows in sentences, for those who do not see it."""
    said = []
    for one in series:
        known = [(value, n) for n, value in enumerate(one.values) if value is not None]
        if not known:
            said.append(_("%(name)s: no values.") % {"name": one.label})
            continue
        highest, at = max(known, key=lambda pair: pair[0])
        said.append(
            _("%(name)s: lowest %(least)s, highest %(most)s (%(at)s), last %(last)s.")
            % {
                "name": one.label,
                "least": unit.written(min(known)[0]),
                "most": unit.written(highest),
                "at": labels[at],
                "last": unit.written(known[-1][0]),
            }
        )
    return " ".join(said)


def _number(value: float) -> str:
    """A number as SVG reads it, whatever the reader's language."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _scale(highest: float, unit: Unit) -> tuple[float, list[_Tick]]:
    """Where the vertical axis ends, and its ticks, from zero on."""
    raw = highest / _INTERVALS if highest > 0 else 1.0
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * n for n in (1, 2, 2.5, 5, 10) if power * n >= raw * 0.999)
    if unit.whole:
        step = max(1.0, math.ceil(step))
    intervals = max(1, math.ceil(highest / step - 1e-9))
    top = step * intervals
    return top, [
        _Tick(_number(100 - 100 * n / intervals), unit.written(round(step * n, 10)))
        for n in range(intervals + 1)
    ]


def _line(one: Series, number: int, top: float) -> _Drawn:
    """A line through the middles of the bins; interrupted where there is no value."""
    count = len(one.values)
    path, points = [], []
    every = max(1, round(count / _POINTS_MARKED))
    for n, value in enumerate(one.values):
        if value is None:
            continue
        before = one.values[n - 1] if n else None
        after = one.values[n + 1] if n + 1 < count else None
        x, y = (n + 0.5) / count, 1 - value / top
        path.append(f"{'M' if before is None else 'L'}{_CANVAS * x:.0f} {_CANVAS * y:.0f}")
        # The series' points stand apart, so that none hides another's.
        alone = before is None and after is None
        if alone or n % every == (number - 1) * every // _MOST_SERIES:
            points.append((_number(100 * x), _number(100 * y)))
    if path and not points:
        n, value = next((n, v) for n, v in enumerate(one.values) if v is not None)
        points = [(_number(100 * (n + 0.5) / count), _number(100 - 100 * value / top))]
    return _Drawn(one.label, number, path="".join(path), points=points)


def _columns(series: Sequence[Series], top: float, *, stacked: bool) -> list[_Drawn]:
    """Columns with a little room between the bins."""
    count = len(series[0].values)
    side = 1 if stacked else len(series)
    width = 100 / count * 0.8 / side
    below = [0.0] * count
    drawn = []
    for place, one in enumerate(series):
        found = []
        for n, value in enumerate(one.values):
            if not value:
                continue
            left = 100 * n / count + 100 / count * 0.1 + (0 if stacked else width * place)
            height = 100 * value / top
            found.append(
                (
                    _number(left),
                    _number(100 - below[n] - height),
                    _number(width),
                    _number(height),
                )
            )
            if stacked:
                below[n] += height
        drawn.append(_Drawn(one.label, place + 1, columns=found))
    return drawn


def _moment(at: datetime, step: timedelta) -> str:
    """When a bin begins, in the reader's zone and language."""
    here = timezone.localtime(at)
    return str(
        formats.date_format(here, "DATE_FORMAT" if step >= timedelta(days=1) else "DATETIME_FORMAT")
    )


def _time_ticks(begin: datetime, end: datetime, place: Callable[[datetime], float]) -> list[_Tick]:
    """Round times of the reader's zone, at most _MOST_TICKS."""
    span = end - begin
    step = next((one for one in _STEPS if span / one <= _MOST_TICKS), _STEPS[-1])
    zone = timezone.get_current_timezone()
    first = timezone.localtime(begin).replace(
        hour=0, minute=0, second=0, microsecond=0, tzinfo=None
    )
    found: list[_Tick] = []
    wall = first
    number = 0
    while True:
        at = wall.replace(tzinfo=zone)
        if at > end:
            return found
        if at >= begin:
            midnight = wall.hour == 0 and wall.minute == 0
            form = "MONTH_DAY_FORMAT" if midnight else "TIME_FORMAT"
            where = place(at)
            edge = "first" if where < 4 else "last" if where > 96 else ""
            label = str(formats.date_format(at, form))
            found.append(_Tick(_number(where), label, minor=number % 2 == 1, edge=edge))
            number += 1
        wall += step
