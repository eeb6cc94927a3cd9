"""What this app knows of a version: how it was called, and what it keeps of it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from statistics import median_low
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import formats, timezone
from django.utils.translation import gettext as _

from invocations.models import Invocation
from models_catalog.comparing import Called
from models_catalog.models import Version
from models_catalog.retiring import Use

_AT_ONCE = 500


def last_call(version: Version) -> Iterator[Use]:
    """When it was called last, if it was."""
    calls = Invocation.everybodys.traffic().filter(version=version).order_by("-created_at")
    at = calls.values_list("created_at", flat=True).first()
    if at is not None:
        when = formats.date_format(timezone.localtime(at), "DATETIME_FORMAT")
        said = _("It was called last on %(when)s.") % {"when": when}
        yield Use(
            "call", "", said, f"{reverse('invocations:calls')}?{urlencode({'model': version.name})}"
        )


def calls_of(version: Version, since: datetime, most: int) -> Called:
    """How it was called ``since`` then, in its latest ``most`` calls; one query."""
    rows = Invocation.everybodys.traffic().filter(version=version, created_at__gte=since)
    latest = rows.order_by("-created_at").values_list("state", "latency_ms", "cold")
    calls = list(latest[:most])
    times = [ms for state, ms, _cold in calls if state == Invocation.State.DONE and ms is not None]
    known = [cold for _state, _ms, cold in calls if cold is not None]
    return Called(
        calls=len(calls),
        # As on Today: a time that was really measured.
        p50_ms=round(median_low(times), 1) if times else None,
        cold_share=round(sum(known) / len(known), 3) if known else None,
    )


def forget_pictures(version: Version, beat: Callable[[], None]) -> None:
    """Delete the thumbnails of its calls; the calls stay, and name no picture any more."""
    rows = Invocation.everybodys.filter(version=version)
    kept = rows.exclude(picture_sha256="", thumbnail=b"")
    while pks := list(kept.values_list("pk", flat=True)[:_AT_ONCE]):
        Invocation.everybodys.filter(pk__in=pks).update(thumbnail=b"", picture_sha256="")
        beat()
