"""Record events."""

from collections.abc import Callable, Mapping
from typing import Protocol

from django.contrib.auth.models import User
from django.db import transaction

from activity import codes
from activity.models import Event
from core import attempt, origin, request_id


class Subject(Protocol):
    """The subject of an event: it has a kind, an id (0: it has no page) and a name."""

    @property
    def pk(self) -> int:
        """The id."""
        ...

    @property
    def activity_kind(self) -> str:
        """A fixed word, e.g. ``endpoint``."""
        ...

    def __str__(self) -> str: ...


Listener = Callable[[Event, Subject], None]
_listeners: list[Listener] = []


def register_listener(listener: Listener) -> None:
    """Call ``listener`` with each event and its subject, in the transaction of the event.

    For what must be noted with an event or not at all, as an outbox; it does no more than that.
    """
    _listeners.append(listener)


def record(
    *,
    action: str,
    subject: Subject,
    text: str = "",
    parameters: Mapping[str, codes.Scalar] | None = None,
    actor: User | None = None,
    level: str = Event.Level.INFO,
) -> Event:
    """Append one event, in the caller's transaction if there is one.

    With ``parameters``, ``action`` is a registered code (activity/codes.py) and there is no text;
    all new kinds of events are written so. ``actor`` is None where the portal acted by itself.
    Raises ValueError or TypeError for parameters that do not fit the code.
    """
    if (parameters is None) == (not text):
        raise ValueError("An event has either parameters or a text.")
    stored = None if parameters is None else codes.validated(action, parameters)
    # In a transaction of its own where there is none: what listeners note belongs to the event.
    with transaction.atomic(savepoint=False):
        event = Event.objects.create(
            actor=actor,
            actor_name=actor.get_username() if actor else "",
            level=level,
            action=action,
            subject_kind=subject.activity_kind,
            subject_id=subject.pk,
            subject_name=str(subject)[:200],
            text=text,
            parameters=stored,
            request_id=request_id.current(),
            channel=origin.current().channel,
            address=origin.current().address,
            attempt=attempt.current(),
        )
        for listener in _listeners:
            listener(event, subject)
    return event
