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
            Column("name", "Model", sort="name"),
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
        "many": [f"digits v{n}" for n in range(1, 151)],
        "notices": [
            Message(constants.SUCCESS, "digits v3 is deleted.", extra_tags=f"{UNDO}{here}"),
            Message(constants.INFO, "The endpoint is being created."),
            Message(constants.WARNING, "The worker has not reported for 20 s."),
            Message(constants.ERROR, f"SageMaker refused it: {LONG} already exists."),
        ],
        "columns": [
            (12 * n, 70 - height, height) for n in range(24) for height in [4 + n * 37 % 60]
        ],
    }
