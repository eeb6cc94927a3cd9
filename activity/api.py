"""The operation of events: who did what, when; and what comes next, for who follows."""

from datetime import datetime
from typing import Annotated, Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router
from pydantic import AwareDatetime, Field

from activity import codes, log
from activity.models import Event
from activity.panels import MAY_LOOK
from core import waiting
from core.api.caller import Caller, Scope
from core.api.operations import operation
from core.api.paging import Page, page
from core.api.problems import Problem
from core.api.schema import ListParameters, OneOf, Schema

router = Router(tags=["events"])

_READING = "read the activity log"

EventLevel = Annotated[str, OneOf(Event.Level)]


class SubjectOut(Schema):
    """What an event is about, by the name that it had then."""

    kind: str
    name: str


class EventOut(Schema):
    """One line of the activity log."""

    id: str
    at: datetime
    actor: str | None = Field(description="The user name; null: the portal did it by itself.")
    level: EventLevel
    action: str = Field(description="A code that stays, such as `version.uploaded`.")
    subject: SubjectOut
    sentence: str = Field(description="What happened, in the reader's language.")
    parameters: dict[str, Any] | None = Field(
        description="What the sentence is made of; null: of events from before there were codes."
    )
    request_id: str = Field(description="Of the request or job that recorded it; may be empty.")
    channel: Annotated[str, OneOf(Event.Channel)] | None = Field(
        description="Through which channel it was asked for; null: the portal did it by itself."
    )
    address: str | None = Field(
        description="From which address; null: the portal did it by itself, it is not known, or "
        "the caller may not see users."
    )


class EventParameters(ListParameters):
    """Which events."""

    person: str = Field("", max_length=150, description="A user name; `~portal`: the portal.")
    channel: Annotated[str, OneOf(Event.Channel)] | None = None
    kind: str = Field("", max_length=20, description="Of the subject: `endpoint`, `model`, …")
    subject: str = Field("", max_length=200, description="The subject's name, as it was then.")
    level: EventLevel | None = None
    request: str = Field("", max_length=100, description="The `request_id` of a request or a job.")
    since: AwareDatetime | None = Field(None, description="Recorded then or later.")
    until: AwareDatetime | None = Field(None, description="Recorded before then.")
    after: str | None = Field(
        None, pattern="^[0-9]{1,18}$",
        description="An id: only events that came after it, the oldest first; `0`: all.",
    )  # fmt: skip
    wait: int = Field(
        0, ge=0, le=waiting.MOST_S,
        description="With `after`: so many seconds until there is one, where there is none yet.",
    )  # fmt: skip


@operation(
    router, "GET", "/events", id="events_list", scope=Scope.READ,
    permission=MAY_LOOK, doing=_READING,
    response={200: Page[EventOut]},
)  # fmt: skip
def list_events(request: HttpRequest, query: Query[EventParameters]) -> Any:
    """What happened, the newest first; with `after`, what happened since, the oldest first.

    Who may not see users gets no events about users. To follow the log, ask for `?limit=1`, and
    then again and again with `after` as the last id that was answered, and `wait`.
    """
    caller: Caller = request.caller  # type: ignore[attr-defined]
    rows = log.narrowed(
        caller.user,
        person=query.person,
        kind=query.kind,
        subject=query.subject,
        level=query.level or "",
        channel=query.channel or "",
        request_id=query.request,
        since=query.since,
        until=query.until,
    )
    if query.after is None:
        if query.wait:
            raise Problem("invalid", errors={"wait": [_("It is taken with after alone.")]})
        found = page(request, rows, query, order=("-pk",))
    else:
        after = int(query.after)
        waiting.until(lambda: log.after(rows, after).exists(), bool, seconds=query.wait)
        found = page(request, log.after(rows, after), query, order=("pk",))
    return {**found, "items": [_shown(event, caller.user) for event in found["items"]]}


def _shown(event: Event, reader: User) -> dict[str, Any]:
    return {
        "id": str(event.pk),
        "at": event.at,
        "actor": event.actor_name or None,
        "level": event.level,
        "action": event.action,
        "subject": {"kind": event.subject_kind, "name": event.subject_name},
        "sentence": event.sentence,
        "parameters": None if event.parameters is None else codes.readable(event.parameters),
        "request_id": event.request_id,
        "channel": event.channel or None,
        "address": (event.address or None) if log.may_see_addresses(reader) else None,
    }
