"""Charts: an honest zero, gaps that stay gaps, escaped words, a table of all that is drawn."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.template import engines
from django.test import RequestFactory
from django.utils import timezone, translation

from core import charts
from core.charts import Chart, Mark, Series

BEGIN = datetime(2026, 1, 31, 20, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVIL = '"><script>alert(1)</script>'


def rendered(chart: Chart) -> str:
    template = engines["django"].from_string("{% chart one %}")
    return str(template.render({"one": chart}, RequestFactory().get("/here/")))


def over_time(*series: Series, **more: Any) -> Chart:
    count = len(series[0].values)
    given: dict[str, Any] = {"title": "Calls", "unit": charts.COUNT} | more
    times = [BEGIN + n * HOUR for n in range(count)]
    return charts.over_time(times=times, step=HOUR, series=series, **given)


def test_the_axis_begins_at_zero_and_ends_at_a_round_number() -> None:
    chart = over_time(Series("calls", [96, 97, 98]))
    assert [tick.label for tick in chart.ticks_up] == ["0", "25", "50", "75", "100"]
    assert [tick.at for tick in chart.ticks_up] == ["100", "75", "50", "25", "0"]
    assert [tick.label for tick in over_time(Series("calls", [0, 0])).ticks_up] == ["0", "1"]
    assert [tick.label for tick in over_time(Series("calls", [1, 2])).ticks_up] == ["0", "1", "2"]


def test_a_share_is_seen_against_all_of_it_and_more_has_room() -> None:
    low = over_time(Series("hits", [1.0, 2.5]), unit=charts.PERCENT)
    assert low.ticks_up[-1].label == "100 %"
    high = over_time(Series("CPU", [310.0]), unit=charts.PERCENT)
    assert high.ticks_up[-1].label == "400 %"


def test_times_have_units() -> None:
    chart = over_time(Series("p50", [180.0, 1900.0]), unit=charts.MILLISECONDS)
    assert [tick.label for tick in chart.ticks_up] == ["0", "500 ms", "1.0 s", "1.5 s", "2.0 s"]


def test_what_is_not_known_is_a_gap_and_no_zero() -> None:
    chart = over_time(Series("p50", [1, None, 0, 2]), style=charts.LINES)
    path = chart.drawn[0].path
    assert path.count("M") == 2
    assert "M625 1000L875 0" in path
    assert [cells for _, cells in chart.rows] == [["1"], ["0"], ["2"]]
    columns = over_time(Series("calls", [1, None, 0, 2]), style=charts.COLUMNS)
    assert len(columns.drawn[0].columns) == 2


def test_a_value_alone_is_a_point() -> None:
    drawn = over_time(Series("p50", [None, None, 4, None]), style=charts.LINES).drawn[0]
    assert drawn.points == [("62.5", "0")]


def test_columns_on_each_other_add_up() -> None:
    chart = over_time(Series("warm", [6]), Series("cold", [2]), style=charts.STACKED)
    (_, y, _, height), (_, upper_y, _, upper_height) = (one.columns[0] for one in chart.drawn)
    assert chart.ticks_up[-1].label == "8"
    assert (y, height, upper_y, upper_height) == ("25", "75", "0", "25")


def test_series_are_told_apart_without_colour() -> None:
    text = rendered(over_time(Series("p50", [1, 2]), Series("p99", [3, 4]), style=charts.LINES))
    shapes = re.findall(r'<svg class="point s(\d)" x="[\d.]+%" y="[\d.]+%"><path d="([^"]+)"', text)
    assert len(dict(shapes)) == len({shape for _, shape in shapes}) == 2
    stacked = rendered(over_time(Series("warm", [1]), Series("cold", [1]), style=charts.STACKED))
    assert stacked.count('fill="url(#p2-') == 2  # the column, and its sample


def test_without_a_value_the_chart_says_so() -> None:
    text = rendered(over_time(Series("calls", [None, None]), empty="Nobody called."))
    assert "Nobody called." in text
    assert "<svg" not in text
    assert "There are no values in this time." in rendered(over_time(Series("calls", [])))


def test_all_that_is_drawn_is_in_the_table_and_in_the_description() -> None:
    text = rendered(over_time(Series("calls", [3, None, 1200, 7]), about="By everybody."))
    table = text.partition("<tbody>")[2]
    assert re.findall(r'<td class="number">([^<]+)</td>', table) == ["3", "1,200", "7"]
    assert "<td>31 Jan 2026, 20:00</td>" in table
    said = "By everybody. calls: lowest 3, highest 1,200 (31 Jan 2026, 22:00), last 7."
    assert said in text.partition("<desc")[2]


def test_there_are_no_inline_styles_and_words_are_escaped() -> None:
    mark = Mark(BEGIN + HOUR / 2, EVIL, EVIL)
    chart = over_time(
        *(Series(f"{EVIL}{n}", [1, 2]) for n in range(4)),
        title=EVIL,
        about=EVIL,
        unit_name=EVIL,
        style=charts.STACKED,
        marks=[mark],
    )
    text = rendered(chart)
    assert "<script" not in text
    assert not re.search(r"\sstyle=|\son\w+=", text)


def test_what_happened_is_marked_where_it_happened() -> None:
    marks = [
        Mark(BEGIN + HOUR, "1", "Deployed."),
        Mark(BEGIN - HOUR, "0", "Before."),
        Mark(BEGIN + 5 * HOUR, "2", "Later."),
    ]
    chart = over_time(Series("calls", [1, 2, 3, 4]), marks=marks)
    assert chart.marks == [("25", "1", "Deployed.")]


def test_marks_that_would_cover_each_other_share_a_line() -> None:
    minute = timedelta(minutes=1)
    marks = [
        Mark(BEGIN + HOUR + 2 * minute, "3", "c"),
        Mark(BEGIN + HOUR, "1", "a"),
        Mark(BEGIN + HOUR + minute, "2", "b"),
        Mark(BEGIN + 2 * HOUR, "4", "d"),
    ]
    chart = over_time(Series("calls", [1, 2, 3, 4]), marks=marks)
    assert chart.marks == [("25", "1–3", "a · b · c"), ("50", "4", "d")]


def test_times_are_round_ones_of_the_readers_zone() -> None:
    with timezone.override("Asia/Seoul"):  # begins at 5:00
        chart = over_time(Series("calls", list(range(24))))
        labels = [tick.label for tick in chart.ticks_across]
        assert labels == [
            "06:00",
            "12:00",
            "18:00",
            "2 Feb",
        ]
        assert chart.across == "Time (Asia/Seoul)"
        assert chart.rows[0][0] == "1 Feb 2026, 05:00"
    with translation.override("ko"):
        chart = over_time(Series("calls", list(range(24))))
        assert "2월 1일" in [tick.label for tick in chart.ticks_across]


def test_two_charts_of_a_page_share_no_id() -> None:
    chart = over_time(Series("a", [1]), Series("b", [1]), style=charts.STACKED)
    template = engines["django"].from_string("{% chart one %}{% chart one %}")
    text = str(template.render({"one": chart}, RequestFactory().get("/here/")))
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)


def test_classes_have_a_label_each() -> None:
    chart = charts.over_classes(
        title="Latency",
        unit=charts.COUNT,
        labels=[f"{n} ms" for n in range(20)],
        across="Latency",
        series=[Series("calls", list(range(20)))],
    )
    assert len(chart.ticks_across) <= 6
    assert chart.rows[3] == ("3 ms", ["3"])


@pytest.mark.parametrize(
    ("labels", "seen"),
    [
        (["0.102", "0.115"], ["0.102", "0.115"]),
        ([f"≤ {n} ms" for n in range(100, 106)], ["≤ 100 ms", "≤ 102 ms", "≤ 104 ms"]),
    ],
)
def test_a_narrow_chart_leaves_out_labels_only_where_they_have_no_room(
    labels: list[str], seen: list[str]
) -> None:
    chart = charts.over_classes(
        title="Cost",
        unit=charts.COUNT,
        labels=labels,
        across="Cost",
        series=[Series("calls", [1] * len(labels))],
    )
    assert [tick.label for tick in chart.ticks_across if not tick.minor] == seen


def test_a_series_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="b: 1 values for 2 bins"):
        over_time(Series("a", [1, 2]), Series("b", [1]))
    with pytest.raises(ValueError, match="At most 4"):
        over_time(*(Series(str(n), [1]) for n in range(5)))
