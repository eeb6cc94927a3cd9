"""The activity log as its page and its export show it: filtered, by day."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, cast

from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone, translation
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from activity import subjects
from activity.models import Event, EventQuerySet
from core import clock, spreadsheet
from core.natural import natural_key
from core.spreadsheet import MOST_EXPORTED
from core.tables import UP_TO_MANY, Choice, Day, Search, Table

"""Events in one file, the newest; filters choose others."""
MOST_PEOPLE = 300
PORTAL = "~portal"
"""The person in the address for what the portal did by itself: no user name has a tilde."""


WRITTEN_WITHIN = timedelta(seconds=5)
"""How long the transaction of an event may take at most."""


@dataclass(frozen=True)
class DayOfEvents:
    """The events of one day in the reader's time zone, newest first."""

    day: date
    events: list[Event]

    @property
    def title(self) -> str:
        """Today, Yesterday, or empty: then the date alone."""
        ago = (timezone.localdate() - self.day).days
        return {0: _("Today"), 1: _("Yesterday")}.get(ago, "")


def table(request: HttpRequest, reader: User | AnonymousUser) -> Table:
    """The events that ``reader`` may see, narrowed by what the address says."""
    events = Event.objects.readable_by(reader)
    of_request = request.GET.get("request", "").strip()
    if of_request and "\0" not in of_request:
        events = events.filter(request_id=of_request)
    return Table(
        request,
        events,
        columns=[],
        filters=[
            Choice("person", _("Person"), _people(request, reader), narrow=_by_person),
            Choice("kind", _("Subject"), _kinds(reader), narrow=_by_kind),
            Choice("level", _("Level"), Event.Level.choices),
            Choice("channel", _("From where"), Event.Channel.choices),
            Day("day", _("Day"), field="at"),
            Search("about", _("Name of the subject"), fields=("subject_name__icontains",)),
        ],
        default_sort="-pk",
        keep=("request",),
        counts=UP_TO_MANY,
    )


def narrowed(
    reader: User | AnonymousUser,
    *,
    person: str = "",
    kind: str = "",
    subject: str = "",
    level: str = "",
    channel: str = "",
    request_id: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> EventQuerySet:
    """The events that ``reader`` may see, of these alone; ``since`` is in it, ``until`` is not.

    Raises ValidationError for a kind that there is not, or that ``reader`` may not see.
    """
    events = Event.objects.readable_by(reader)
    kinds = [name for name, _label in _kinds(reader)]
    if kind:
        if kind not in kinds:
            said = _("It must be one of: %(expected)s.") % {"expected": ", ".join(kinds)}
            raise ValidationError({"kind": said})
        events = _by_kind(events, kind)
    if "\0" in person + subject + request_id:  # PostgreSQL has no such text
        return events.none()
    if person:
        events = _by_person(events, person)
    if subject:
        events = events.filter(subject_name=subject)
    if level:
        events = events.filter(level=level)
    if channel:
        events = events.filter(channel=channel)
    if request_id:
        events = events.filter(request_id=request_id)
    if since is not None:
        events = events.filter(at__gte=since)
    if until is not None:
        events = events.filter(at__lt=until)
    return events


def may_see_addresses(reader: User | AnonymousUser) -> bool:
    """Whether somebody may read from which addresses others came: who may see users."""
    return "user" not in subjects.hidden_from(reader.has_perm)


def with_addresses(events: list[Event], reader: User | AnonymousUser) -> list[Event]:
    """The events, without their addresses where ``reader`` may not see them; they are not saved."""
    if not may_see_addresses(reader):
        for event in events:
            event.address = ""
    return events


def after(events: EventQuerySet, last: int) -> EventQuerySet:
    """Those of ``events`` that came after the one with the id ``last``.

    Who follows asks for those after the last that was answered, so none is answered while one with
    a smaller id may still come: PostgreSQL gives ids when rows are written, and shows the rows when
    their transactions end.
    """
    found = events.filter(pk__gt=last)
    gap = _newest_before_a_gap(last)
    return found if gap is None else found.filter(pk__lte=gap)


def _newest_before_a_gap(last: int) -> int | None:
    """The id before the first that is missing among the events of the last seconds, if one is.

    It is missing for good where a transaction was taken back; so only young ones count.
    """
    young = Event.objects.filter(pk__gt=last, at__gte=clock.now() - WRITTEN_WITHIN)
    ids = list(young.order_by("pk").values_list("pk", flat=True)[:MOST_EXPORTED])
    if not ids:
        return None
    before = Event.objects.filter(pk__lt=ids[0]).order_by("-pk").values_list("pk", flat=True)
    known = max(last, before[:1].first() or 0) or ids[0] - 1
    for pk in ids:
        if pk != known + 1:
            return known
        known = pk
    return None


def by_day(events: list[Event]) -> list[DayOfEvents]:
    """The events of a page, grouped by day."""
    return [
        DayOfEvents(day, list(found))
        for day, found in groupby(events, key=lambda event: timezone.localtime(event.at).date())
    ]


def exported(request: HttpRequest, reader: User | AnonymousUser) -> Iterator[str]:
    """The lines of a CSV file of the events that the address chooses, the newest first.

    The last line says so where there are more than MOST_EXPORTED.

    They are made while they are sent, when the request's own language is no longer set.
    """
    events = cast(EventQuerySet, table(request, reader).matching)[: MOST_EXPORTED + 1]
    language, addresses = translation.get_language(), may_see_addresses(reader)
    cut = _("Only the newest %(count)s events are in this file. Filters choose others.") % {
        "count": number_format(MOST_EXPORTED, force_grouping=True)
    }

    def rows() -> Iterator[list[Any]]:
        for number, event in enumerate(events.iterator(chunk_size=500)):
            if number == MOST_EXPORTED:
                yield ["", "", "", "", "", "", cut, "", "", ""]
                return
            with translation.override(language):
                sentence = event.sentence
            yield [
                event.at.isoformat(),
                event.actor_name,
                event.subject_kind,
                event.subject_name,
                event.action,
                event.level,
                sentence,
                event.request_id,
                event.channel,
                event.address if addresses else "",
            ]

    head = [_("Time"), _("Person"), _("Subject"), _("Name of the subject"), _("Code"), _("Level"),
            _("What happened"), _("Request ID"), _("From where"), _("Address")]  # fmt: skip
    return spreadsheet.lines(head, rows())


def _people(request: HttpRequest, reader: User | AnonymousUser) -> list[tuple[str, str]]:
    """Everybody who did something; and who is asked for, who may have done nothing."""
    known = Event.objects.readable_by(reader).actor_names(most=MOST_PEOPLE)
    asked = request.GET.get("person", "").replace("\0", "")[:150]
    if asked and asked != PORTAL and asked not in known:
        known.append(asked)
    return [
        (PORTAL, _("The portal itself")),
        *((name, name) for name in sorted(known, key=natural_key)),
    ]


def _by_person(events: EventQuerySet, value: str) -> EventQuerySet:
    if value == PORTAL:
        return events.filter(actor_name="")
    # Events of somebody who was renamed also stand under the earlier name.
    renamed = User.objects.filter(username=value).values("pk")
    return events.filter(Q(actor_name=value) | Q(actor__in=renamed))


def _by_kind(events: EventQuerySet, value: str) -> EventQuerySet:
    """Those about the kind; of log-ins also those of known people, which are about the person."""
    return events.filter(Q(subject_kind=value) | Q(action__startswith=f"{value}."))


def _kinds(reader: User | AnonymousUser) -> list[tuple[str, str]]:
    return [(name, str(label)) for name, label in subjects.labels(reader.has_perm)]
