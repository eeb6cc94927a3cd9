"""The one way to write to the log."""

from typing import Protocol

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

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
    actor: AbstractBaseUser | AnonymousUser | None = None,
    level: str = Event.Level.INFO,
) -> Event:
    """Append one event, in the caller's transaction if there is one.

    ``actor`` is None where the portal acted by itself.
    """
    known = actor if isinstance(actor, AbstractBaseUser) else None
    return Event.objects.create(
        actor=known,  # type: ignore[misc]
        actor_name=known.get_username() if known else "",
        level=level,
        action=action,
        subject_kind=subject.activity_kind,
        subject_id=subject.pk,
        subject_name=str(subject)[:200],
        text=text,
    )
