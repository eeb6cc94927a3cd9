"""What /styleguide/ shows: made-up things in every state, so that each element can be looked at.

The texts are English: they stand for what users enter.
"""

# untranslated file: for developers

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.messages import constants
from django.contrib.messages.storage.base import Message
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from core import charts
from core.badges import Badge
from core.tables import Choice, Column, Day, Search, Table
from core.ui import UNDO, Tab

LONG = "a-very-long-name-that-goes-on-and-on-until-there-is-no-room-left-for-it"
DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_BADGES = {
    "uploaded": Badge("uploaded", "Uploaded"),
    "checking": Badge("checking", "Validating", spinning=True),
    "ready": Badge("ready", "Ready"),
    "rejected": Badge("rejected", "Rejected"),
}


@dataclass(frozen=True)
class Row:
    """A row of the tables."""

    pk: int
    name: str
    state: str
    size: int | None
    created_at: datetime

    @property
    def badge(self) -> Badge:
        """The label of its state."""
        return _BADGES[self.state]


def _rows(now: datetime) -> list[Row]:
    states = list(_BADGES)
    return [
        Row(
            pk=n,
            name=f"{LONG}-{n}" if n % 9 == 4 else f"digits-{n}",
            state=states[n % len(states)],
            size=None if states[n % len(states)] == "uploaded" else 61_706 * n * n,
            created_at=now - timedelta(minutes=7 * n * n),
        )
        for n in range(1, 121)
    ]


def _table(request: HttpRequest, rows: list[Row]) -> Table:
    return Table(
        request,
        rows,
        columns=[
            Column("name", "Model", sort="name", natural=True),
            Column("state", "State"),
            Column("size", "Parameters", sort="size", numeric=True),
            Column("when", "Uploaded", sort="created_at", numeric=True),
            Column("sha", "SHA-256"),
            Column("actions", ""),
        ],
        filters=[
            Search("q", "Name", fields=("name",)),
            Choice("state", "State", [(key, badge.label) for key, badge in _BADGES.items()]),
            Choice("one", "Version", [(row.pk, row.name) for row in rows], field="pk"),
            Day("day", "Day", field="created_at"),
        ],
        default_sort="-when",
        per_page=12,
    )


def _charts(now: datetime) -> list[charts.Chart]:
    """One of each style, one with gaps, and an empty one."""
    hour = timedelta(hours=1)
    begin = now.replace(minute=0, second=0, microsecond=0) - 23 * hour
    times = [begin + n * hour for n in range(24)]
    calls = [4 + n * 37 % 60 for n in range(24)]
    cold = [n * 37 % 60 // 5 for n in range(24)]
    some: list[charts.Value] = [None if 8 <= n < 12 else 20 + calls[n] for n in range(24)]
    much: list[charts.Value] = [None if 8 <= n < 12 else 300 + 40 * calls[n] for n in range(24)]
    one: list[charts.Value] = [None] * 10 + [12.5] + [None] * 13
    marks = [charts.Mark(begin + 6 * hour, "1", "The endpoint demo serves revision 2.")]
    return [
        charts.over_time(
            title="Calls by hour",
            about="Calls that these pages made, and how many of them had to load their model.",
            unit=charts.COUNT,
            unit_name="calls",
            times=times,
            step=hour,
            series=[charts.Series("warm", calls), charts.Series("cold", cold)],
            style=charts.STACKED,
            marks=marks,
        ),
        charts.over_time(
            title="Latency",
            unit=charts.MILLISECONDS,
            times=times,
            step=hour,
            series=[
                charts.Series("p50", some),
                charts.Series("p90", one),
                charts.Series("p99", much),
            ],
            marks=marks,
        ),
        charts.over_classes(
            title="How long calls took",
            unit=charts.COUNT,
            unit_name="calls",
            labels=[f"{10 * n}–{10 * n + 10} ms" for n in range(12)],
            across="Latency",
            series=[charts.Series("cold", cold[:12]), charts.Series("warm", calls[:12])],
        ),
        charts.over_time(
            title="Calls that found their model in memory",
            unit=charts.PERCENT,
            times=times,
            step=hour,
            series=[charts.Series("share", [100 - n for n in cold])],
        ),
        charts.over_time(
            title="Calls of the last day",
            unit=charts.COUNT,
            times=times,
            step=hour,
            series=[charts.Series("calls", [None] * 24)],
            empty="No calls in the last 24 hours.",
        ),
    ]


def context(request: HttpRequest) -> dict[str, Any]:
    """All that templates/styleguide.html renders."""
    now = timezone.now()
    here = reverse("styleguide")
    rows = _rows(now)
    return {
        "table": _table(request, rows),
        "tabs": [
            Tab("Overview", here, True),
            Tab("Models", f"{here}?tab=models", False, 1151),
            Tab("Use", f"{here}?tab=use", False, 0),
            Tab("Configuration", f"{here}?tab=configuration", False),
            Tab("History", f"{here}?tab=history", False),
        ],
        "icons": ("model", "endpoint", "invoke", "activity", "upload", "snow", "flame", "warn"),
        "badges": [
            *_BADGES.values(),
            Badge("in_service", "In service"),
            Badge("failed", "Failed"),
            Badge("gone", "Torn down"),
            Badge("cold", "Cold start", icon="snow"),
            Badge("warm", "Warm", icon="flame"),
        ],
        "moments": [now, now - timedelta(hours=3), now - timedelta(days=400)],
        "digest": DIGEST,
        "long": LONG,
        "long_note": "Trained on the pictures of the summer. " * 8,
        "many": [f"digits v{n}" for n in range(1, 151)],
        "notices": [
            Message(constants.SUCCESS, "digits v3 is deleted.", extra_tags=f"{UNDO}{here}"),
            Message(constants.INFO, "The endpoint is being created."),
            Message(constants.WARNING, "The worker has not reported for 20 s."),
            Message(constants.ERROR, f"SageMaker refused it: {LONG} already exists."),
        ],
        "charts": _charts(now),
    }
