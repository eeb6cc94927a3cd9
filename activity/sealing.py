"""Seals: a hash chain over the events, by which a change of the log behind the portal is noticed.

Each seal is about one event, and has a digest of all that it says, with a salt, and a link: a hash
of the link before, the event's id and code, and the digest. So whoever changes, deletes or inserts
an event must make every link after it anew, and then the newest one, the head, is another. Keep
heads elsewhere: `manage.py verify_activity --head LINK` says whether the log still has all that it
had when that was the head.

A beat job seals what is new. Events come into the chain in the order in which they are sealed; a
transaction that took long has an id below others', and is sealed when it is there.

What an admin redacts (redaction.py) has another content then. The salt of its seal is deleted, so
that nobody can try texts against the digest; its link stays, and the new content gets a seal more.
"""

# untranslated file: a terminal alone has its sentences

import hashlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, Max, OuterRef

from activity.models import Event, EventQuerySet, EventSeal
from core import clock

BATCH = 1000
MOST_BATCHES = 50
#: An event of this age without a seal is a fault: the job that seals does not run.
LATE = timedelta(minutes=15)
#: A transaction that was under way when the event of the highest sealed id was recorded may have
#: an id lower by so many.
_OUT_OF_ORDER = 10_000
_MOST_TOLD = 20


def seal() -> int:
    """Seal the events that are not sealed yet, the oldest first; returns how many.

    Two jobs at once: one seals, the other finds the chain longer than it thought, and does nothing.
    """
    sealed = 0
    for _batch in range(MOST_BATCHES):
        try:
            count = _seal_batch()
        except IntegrityError:
            break
        sealed += count
        if count < BATCH:
            break
    return sealed


def _seal_batch() -> int:
    with transaction.atomic():
        newest = EventSeal.objects.aggregate(newest=Max("event_id"))["newest"] or 0
        lowest = newest - _OUT_OF_ORDER
        # An old one is unsealed where it was redacted alone; one that was inserted stays so.
        redacted = EventSeal.objects.filter(salt="").values("event_id")
        old = unsealed().filter(pk__lte=lowest, pk__in=redacted).order_by("pk")[:BATCH]
        rows = unsealed().filter(pk__gt=lowest).order_by("pk")[:BATCH]
        previous = head()
        seals = []
        for event in [*old, *rows][:BATCH]:
            made = _made(event, previous)
            previous = made.link
            seals.append(made)
        EventSeal.objects.bulk_create(seals)
    return len(seals)


def unsealed() -> EventQuerySet:
    """The events of which no seal is about what they say now."""
    valid = EventSeal.objects.filter(event_id=OuterRef("pk")).exclude(salt="")
    return Event.objects.filter(~Exists(valid))


def head() -> str:
    """The newest link; empty where there is none."""
    return EventSeal.objects.order_by("-pk").values_list("link", flat=True).first() or ""


def _made(event: Event, previous: str) -> EventSeal:
    salt = secrets.token_hex(16)
    digest = _digest(event, salt)
    link = _link(previous, event.pk, event.action, digest)
    return EventSeal(
        event_id=event.pk,
        action=event.action,
        salt=salt,
        digest=digest,
        previous=previous,
        link=link,
    )


def _digests(event: Event, salt: str) -> tuple[str, ...]:
    """Those that a seal of it may have: the release before knew no origin, and may have made it."""
    return _digest(event, salt), _digest(event, salt, with_origin=False)


def _digest(event: Event, salt: str, *, with_origin: bool = True) -> str:
    """Of all that it says. Not of the reference to the user, which goes when they are deleted."""
    content = [
        event.pk,
        event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        event.actor_name,
        event.level,
        event.action,
        event.subject_kind,
        event.subject_id,
        event.subject_name,
        event.text,
        event.parameters,
        event.request_id,
        event.attempt,
    ]
    # Those from before have neither, and keep their digests.
    if with_origin and (event.channel or event.address):
        content += [event.channel, event.address]
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(f"{salt}\n{text}".encode()).hexdigest()


def _link(previous: str, event_id: int, action: str, digest: str) -> str:
    return hashlib.sha256(f"{previous}\n{event_id}\n{action}\n{digest}".encode()).hexdigest()


# --- redactions --------------------------------------------------------------------------------


def write_redacted(event: Event, values: dict[str, Any]) -> None:
    """Change what an event says, as an admin redacts it, and take back the seals about it."""
    if connection.vendor == "postgresql":
        # Otherwise a trigger refuses it (migrations/0009_append_only.py).
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL mmeportal.redacts = 'yes'")
    EventSeal.objects.filter(event_id=event.pk).exclude(salt="").update(
        salt="", redacted_at=clock.now()
    )
    Event._base_manager.filter(pk=event.pk).update(**values)


# --- to verify ---------------------------------------------------------------------------------


@dataclass
class Verification:
    """What became of a verification. ``problems``: sentences in English; none: all is right."""

    events: int = 0
    seals: int = 0
    redacted: int = 0
    waiting: int = 0
    head: str = ""
    problems: list[str] = field(default_factory=list)
    more: int = 0

    def tell(self, problem: str) -> None:
        """Note a problem; of many the first ones."""
        if len(self.problems) < _MOST_TOLD:
            self.problems.append(problem)
        else:
            self.more += 1


def verify(*, known_head: str = "") -> Verification:
    """Whether the log says what was sealed, and all of it; with ``known_head`` an earlier link."""
    report = Verification()
    link, found = "", not known_head
    for seals in _seals():
        rows = Event.objects.in_bulk({one.event_id for one in seals})
        for one in seals:
            report.seals += 1
            report.redacted += one.salt == ""
            if one.previous != link:
                report.tell(f"Before the seal {one.pk} there was another link: seals are missing.")
            if _link(one.previous, one.event_id, one.action, one.digest) != one.link:
                report.tell(f"The seal {one.pk} (event {one.event_id}) was changed.")
            _verify_event(rows.get(one.event_id), one, report)
            link = one.link
            found = found or link == known_head
    report.head = link
    report.events = Event.objects.count()
    rest = unsealed()
    late = rest.filter(at__lt=clock.now() - LATE)
    report.waiting = rest.count() - late.count()
    for pk in late.order_by("pk").values_list("pk", flat=True)[: _MOST_TOLD + 1]:
        report.tell(f"The event {pk} is not sealed: it was inserted, or the job does not run.")
    if not found:
        report.tell(f"The link {known_head} is not in the chain: what it sealed is not the log.")
    return report


def _seals() -> Iterator[list[EventSeal]]:
    last = 0
    while True:
        seals = list(EventSeal.objects.filter(pk__gt=last).order_by("pk")[:BATCH])
        if not seals:
            return
        yield seals
        last = seals[-1].pk


def _verify_event(event: Event | None, seal: EventSeal, report: Verification) -> None:
    if event is None:
        report.tell(f"The event {seal.event_id} ({seal.action}) is gone.")
    elif event.action != seal.action:
        report.tell(f"The event {event.pk} was {seal.action}, and is {event.action}.")
    elif seal.salt and seal.digest not in _digests(event, seal.salt):
        report.tell(f"The event {event.pk} ({event.action}) says another thing than was sealed.")
