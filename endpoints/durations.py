"""How long creations, changes, pauses and teardowns took, and so how long one usually takes.

What is told in the activity log says when each began and when it was over.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import models
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from activity.models import Event
from core import clock
from endpoints.models import Endpoint, Revision


class Work(models.TextChoices):
    """What takes a while."""

    CREATION = "creation", gettext_lazy("Creation")
    CHANGE = "change", gettext_lazy("Change")
    PAUSE = "pause", gettext_lazy("Pause")
    TEARDOWN = "teardown", gettext_lazy("Teardown")


_BEGINS: Final[Mapping[str, Work]] = {
    "endpoint.requested": Work.CREATION,
    "endpoint.requested_why": Work.CREATION,
    "endpoint.resume_requested": Work.CREATION,
    "endpoint.resumed_by_hours": Work.CREATION,
    "endpoint.put_back": Work.CREATION,
    "endpoint.put_back_why": Work.CREATION,
    "endpoint.update_requested": Work.CHANGE,
    "endpoint.update_requested_why": Work.CHANGE,
    "endpoint.pause_requested": Work.PAUSE,
    "endpoint.paused_by_hours": Work.PAUSE,
    "endpoint.teardown_requested": Work.TEARDOWN,
}
_ENDS: Final[Mapping[str, Work]] = {
    "endpoint.endpoint.in_service": Work.CREATION,
    "endpoint.updated": Work.CHANGE,
    "endpoint.updated_variants": Work.CHANGE,
    "endpoint.paused": Work.PAUSE,
    "endpoint.gone": Work.TEARDOWN,
}
#: It is over, and did not come to what was wanted: no measure of how long it takes.
_FAILS: Final[Mapping[str, Work]] = {
    "endpoint.endpoint.failed": Work.CREATION,
    "endpoint.update_refused": Work.CHANGE,
    "endpoint.update_rolled_back": Work.CHANGE,
    "endpoint.update_withdrawn": Work.CHANGE,
    "endpoint.teardown_undone": Work.TEARDOWN,
}
#: Of so many endpoints, the newest, it is known how long it usually takes; by so many times.
_ENDPOINTS, _TIMES = 30, 20
#: From this many on, its own times say more than those of others.
_OWN = 3
_MINUTE = 60
#: At most this many events are looked at.
_EVENTS = 2000


@dataclass(frozen=True)
class Usual:
    """How long something usually takes, in seconds: half of the times were between these."""

    low: float
    high: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> "Usual | None":
        """None where it never came to its end."""
        times = sorted(seconds)
        if not times:
            return None
        last = len(times) - 1
        return cls(times[last // 4], times[last - last // 4])

    def __str__(self) -> str:
        """As "5 to 7 min"."""
        low, high = in_words(self.low), in_words(self.high)
        if low == high:
            return high
        unit = high.lstrip("0123456789")
        return _("%(low)s to %(high)s") % {"low": low.removesuffix(unit), "high": high}


@dataclass(frozen=True)
class Progress:
    """What is under way with an endpoint since when; ``usual`` is None where nothing is known."""

    work: Work
    since: datetime
    usual: Usual | None

    @property
    def lasts(self) -> float:
        """For so many seconds by now."""
        return max(0.0, (clock.now() - self.since).total_seconds())

    @property
    def said(self) -> str:
        """How long it takes, and how many minutes it has taken; it is polled, and seldom changes.

        Empty where neither is known.
        """
        said = [_("It usually takes %(usual)s.") % {"usual": self.usual}] if self.usual else []
        if self.lasts >= _MINUTE:
            lasts = in_words(self.lasts // _MINUTE * _MINUTE)
            said.append(_("So far it has taken %(lasts)s.") % {"lasts": lasts})
        if self.late:
            said.append(self._what_to_do)
        return " ".join(said)

    @property
    def late(self) -> bool:
        """Whether it takes much longer than usual."""
        return self.usual is not None and self.lasts > 2 * self.usual.high + _MINUTE

    @property
    def _what_to_do(self) -> str:
        todo = _("The portal goes on until it is done.")
        if self.work == Work.CREATION:
            todo = _(
                "Look at its logs, or tear it down: the portal deletes it as soon as SageMaker "
                "lets it."
            )
        if self.work == Work.CHANGE:
            todo = _(
                "It serves as before meanwhile. A change that does not succeed SageMaker ends by "
                "itself."
            )
        return f"{_('That is much longer.')} {todo}"


@dataclass
class _Told:
    """What the events of one endpoint say."""

    open: dict[Work, datetime] = field(default_factory=dict)
    took: dict[Work, list[float]] = field(default_factory=dict)


#: pk, subject_id, action and at of an event.
_Row = tuple[int, int, str, datetime]


def _rows(about: models.Q) -> list[_Row]:
    """The events that begin or end something, the oldest first."""
    codes = [*_BEGINS, *_ENDS, *_FAILS]
    found = Event.objects.filter(about, subject_kind=Endpoint.activity_kind, action__in=codes)
    rows = found.order_by("-id").values_list("pk", "subject_id", "action", "at")[:_EVENTS]
    return list(rows)[::-1]


def _read(rows: Iterable[_Row]) -> tuple[dict[int, _Told], dict[int, float]]:
    """What is told of each endpoint, and by the pk of an event how long what it ends took."""
    told: dict[int, _Told] = {}
    by_event: dict[int, float] = {}
    for pk, subject, action, at in rows:
        one = told.setdefault(subject, _Told())
        if action in _BEGINS:
            one.open[_BEGINS[action]] = at
            continue
        work = _ENDS.get(action) or _FAILS[action]
        begun = one.open.pop(work, None)
        if begun is None:
            continue
        by_event[pk] = (at - begun).total_seconds()
        if action in _ENDS:
            one.took.setdefault(work, []).append(by_event[pk])
    return told, by_event


def with_durations(
    endpoint: Endpoint, events: Iterable[Event]
) -> tuple[list[Event], Progress | None]:
    """Its events, each with ``took``, and what is under way with it.

    ``took`` is in words, how long what the event ends took; empty: it ends nothing. One query.
    """
    work, about = _work(endpoint), models.Q(subject_id=endpoint.pk)
    told, by_event = _read(_rows(about if work is None else about | _of_the_newest()))
    found = list(events)
    for event in found:
        seconds = by_event.get(event.pk)
        event.took = "" if seconds is None else in_words(seconds)
    return found, None if work is None else _progress(told, endpoint.pk, work)


def of_revisions(endpoint: Endpoint) -> dict[int, float]:
    """How long its revisions took until they served or were given up, in seconds, by number.

    One that was withdrawn or accepted from outside took none, and one under way is not over. The
    first is the creation. One query.
    """
    first = Revision.objects.filter(endpoint=endpoint.pk).order_by("number").values("number")[:1]
    kinds = (Work.CREATION, Work.CHANGE)
    codes = [code for told in (_BEGINS, _ENDS, _FAILS) for code in told if told[code] in kinds]
    rows = Event.objects.filter(
        subject_kind=Endpoint.activity_kind, subject_id=endpoint.pk, action__in=codes
    ).annotate(first=models.Subquery(first))
    newest = rows.order_by("-id").values_list("action", "at", "parameters", "first")[:_EVENTS]
    began: dict[int, datetime] = {}
    took: dict[int, float] = {}
    for action, at, parameters, creation in reversed(newest):
        if action in ("endpoint.requested", "endpoint.requested_why"):
            began[creation] = at
            continue
        of_creation = _ENDS.get(action, _FAILS.get(action)) == Work.CREATION
        number = creation if of_creation else (parameters or {}).get("revision")
        if action in _BEGINS and number is not None:
            began[number] = at
        elif number in began:
            took[number] = (at - began.pop(number)).total_seconds()
    return took


def progress(endpoints: Iterable[Endpoint]) -> dict[int, Progress]:
    """What is under way with which of them, by pk. One query; none where all are settled."""
    works = {one.pk: work for one in endpoints if (work := _work(one)) is not None}
    if not works:
        return {}
    told, _by_event = _read(_rows(models.Q(subject_id__in=works) | _of_the_newest()))
    found = {pk: _progress(told, pk, work) for pk, work in works.items()}
    return {pk: one for pk, one in found.items() if one is not None}


def _of_the_newest() -> models.Q:
    return models.Q(subject_id__in=Endpoint.objects.order_by("-pk").values("pk")[:_ENDPOINTS])


def _progress(told: Mapping[int, _Told], pk: int, work: Work) -> Progress | None:
    own = told.get(pk, _Told())
    if work not in own.open:
        return None  # nobody asked for it here
    times = own.took.get(work, [])
    if len(times) < _OWN:
        times = [took for one in told.values() for took in one.took.get(work, [])]
    return Progress(work, own.open[work], Usual.of(times[-_TIMES:]))


def _work(row: Endpoint) -> Work | None:
    """What is under way with an endpoint."""
    if row.settled or row.may_be_undone:
        return None
    if row.tearing_down:
        return Work.TEARDOWN
    if row.pausing:
        return Work.PAUSE
    if row.updating:
        return Work.CHANGE
    return None if row.serving else Work.CREATION


def in_words(seconds: float) -> str:
    """A span in seconds, minutes or hours."""
    if round(seconds) < _MINUTE:
        return _("%(n)s s") % {"n": round(seconds)}
    if seconds < 90 * _MINUTE:
        return _("%(n)s min") % {"n": round(seconds / _MINUTE)}
    return _("%(n)s h") % {"n": round(seconds / 60 / _MINUTE)}
