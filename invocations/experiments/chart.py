"""What the page of an experiment draws: the histogram of latencies, and when models were loaded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext, gettext_noop

from core import charts
from core.templatetags.elements import number
from core.templatetags.portal import ms
from invocations.models import Experiment

WIDTH = 300
"""Of the line on which marks say when a target was loaded, in its own units."""
MOST_BARS = 18
MOST_LABELS = 5
"""At most this many labels of each target are shown, the most frequent ones."""


def latency_chart(result: dict[str, Any]) -> charts.Chart:
    """The histogram of cold calls beside that of the others; each is a share of its own kind."""
    stored = result["bars"]
    step = max(1, -(-len(stored) // MOST_BARS))
    groups = [stored[at : at + step] for at in range(0, len(stored), step)]
    cold, warm = ([sum(int(one[place]) for one in of) for of in groups] for place in (2, 3))
    series = []
    for label, counts in ((gettext_noop("Warm calls"), warm), (gettext_noop("Cold starts"), cold)):
        whole = sum(counts)
        told = {"kind": gettext(label), "count": number(whole)}
        shares = [100 * count / whole if whole else None for count in counts]
        series.append(charts.Series(gettext("%(kind)s: %(count)s") % told, shares))
    return charts.over_classes(
        title=gettext("Latency of cold starts and of warm calls"),
        unit=_SHARE,
        labels=[f"≤ {ms(of[-1][1])}" for of in groups],
        series=series,
        across=gettext("Latency, on a logarithmic scale"),
        about=gettext("Answered calls by latency: how many percent of either kind."),
        empty=gettext("No call was answered yet."),
        unit_name=gettext("Share of the calls of its kind"),
    )


def beside_chart(one: Experiment, other: Experiment) -> charts.Chart:
    """The latencies of two experiments, a column for each of them."""
    places = [(kind, part) for kind in ("all", "cold", "warm") for part in ("p50", "p90", "p99")]
    names = {"all": gettext("all"), "cold": gettext("cold"), "warm": gettext("warm")}
    return charts.over_classes(
        title=gettext("Latency of both"),
        unit=charts.MILLISECONDS,
        labels=[f"{names[kind]} {part}" for kind, part in places],
        series=[
            charts.Series(
                each.title, [each.result["latency_ms"][kind][part] for kind, part in places]
            )
            for each in (one, other)
        ],
        across=gettext("Which calls, and their percentile"),
        about=gettext("Half of the calls took no longer than p50, 99 percent no longer than p99."),
        empty=gettext("No call was answered yet."),
    )


def _percent(value: float) -> str:
    return f"{number(round(value, 1))} %"


_SHARE = charts.Unit("", _percent)


@dataclass(frozen=True)
class TargetRow:
    """A target in the table: its results, and where on a line from 0 to WIDTH it was loaded."""

    name: str
    target_model: str
    result: dict[str, Any]
    loads: list[float]
    labels: list[tuple[str, int, float]]
    more_labels: int

    @property
    def model(self) -> str:
        """The name of its model."""
        return self.name.rpartition(":")[0]

    @property
    def number(self) -> int:
        """Of its version."""
        return int(self.name.rpartition(":")[2])


def target_rows(targets: Sequence[dict[str, Any]], result: dict[str, Any]) -> list[TargetRow]:
    """The rows of the table, as the targets were named."""
    seconds = result["seconds"] or 1.0
    rows = []
    for target in targets:
        name = target["name"]
        labels = list(result["labels"][name].items())
        whole = sum(count for _label, count in labels) or 1
        rows.append(
            TargetRow(
                name=name,
                target_model=target["target_model"],
                result=result["targets"][name],
                loads=[
                    round(min(1.0, at_s / seconds) * (WIDTH - 2), 2)
                    for at_s in result["loads"][name]
                ],
                labels=[
                    (label, count, round(100 * count / whole, 1))
                    for label, count in labels[:MOST_LABELS]
                ],
                more_labels=max(0, len(labels) - MOST_LABELS),
            )
        )
    return rows
