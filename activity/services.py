"""The one way to write to the log."""

from typing import Protocol

from django.contrib.auth.models import User

from activity.models import Event


class Subject(Protocol):
    """What an event can be about: a model with a kind, an id and a name."""

    pk: int

    @property
    def activity_kind(self) -> str:
        """A fixed word, e.g. ``endpoint``."""
        ...

    def __str__(self) -> str: ...


def record(
    *,
    action: str,
    subject: Subject,
    text: str,
    actor: User | None = None,
    level: str = Event.Level.INFO,
) -> Event:
    """Append one event, in the caller's transaction if there is one.

    ``actor`` is None where the portal acted by itself.
    """
    return Event.objects.create(
        actor=actor,
        actor_name=actor.get_username() if actor else "",
        level=level,
        action=action,
        subject_kind=subject.activity_kind,
        subject_id=subject.pk,
        subject_name=str(subject)[:200],
        text=text,
    )
