"""Who did what, when: one append-only table, used by both apps."""

from typing import Any, Never, Self

from django.conf import settings
from django.db import models


class EventQuerySet(models.QuerySet["Event"]):
    """The questions that pages ask of the log."""

    def newest(self) -> Self:
        """All events, newest first."""
        return self.order_by("-id")

    def about(self, kind: str, subject_id: int) -> Self:
        """Events about one thing, newest first."""
        return self.filter(subject_kind=kind, subject_id=subject_id).order_by("-id")

    def update(self, **kwargs: Any) -> Never:
        """Refused: the log is append-only."""
        raise TypeError("Events are append-only.")

    def delete(self) -> Never:
        """Refused: the log is append-only."""
        raise TypeError("Events are append-only.")


class Event(models.Model):
    """One line of the activity log.

    The subject is kept as a kind, an id and the name it had then, not as a foreign key:
    the log outlives what it tells of. The same holds for the actor's name.
    """

    class Level(models.TextChoices):
        """How much it matters."""

        INFO = "info"
        SUCCESS = "success"
        WARNING = "warning"
        ERROR = "error"

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Empty where the portal acted by itself.",
    )
    actor_name = models.CharField(max_length=150, blank=True)
    level = models.CharField(max_length=10, choices=Level, default=Level.INFO)
    action = models.CharField(max_length=60, help_text="A fixed word, e.g. version.uploaded.")
    subject_kind = models.CharField(max_length=20)
    subject_id = models.BigIntegerField()
    subject_name = models.CharField(max_length=200)
    text = models.TextField(help_text="The sentence that people read.")

    objects = EventQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["subject_kind", "subject_id", "-id"])]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.text}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store a new event; refuses to change an old one."""
        if not self._state.adding:
            raise TypeError("Events are append-only.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Never:
        """Refused: the log is append-only."""
        raise TypeError("Events are append-only.")

    def subject_url(self) -> str:
        """Where the subject's page is; it may be gone by now."""
        from django.urls import reverse

        return reverse("activity:subject", args=[self.subject_kind, self.subject_id])
