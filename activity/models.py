"""The events of the activity log: one append-only table for all apps."""

from typing import Any, Never, Protocol, Self

from django.conf import settings
from django.db import connection, models
from django.db.models.expressions import RawSQL
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from activity import codes, subjects
from core import attempt, clock, origin, request_id
from core.guarded import GuardedManager


class Reader(Protocol):
    """Who reads the log: a user, also an anonymous one."""

    def has_perm(self, perm: str) -> bool:
        """Whether the user has a permission."""
        ...


class EventQuerySet(models.QuerySet["Event"]):
    """The queries that pages make of the log."""

    def without(self, hidden: Any) -> Self:
        """Leave events about hidden rows out; those about rows that are gone, too."""
        rows = self
        for name, model in subjects.guarded():
            seen = model._default_manager.filter(pk=models.OuterRef("subject_id"))
            rows = rows.exclude(models.Q(subject_kind=name) & ~models.Exists(seen))
        return rows

    def newest(self) -> Self:
        """All events, newest first."""
        return self.order_by("-id")

    def readable_by(self, reader: Reader) -> Self:
        """Leave out events about kinds of subjects that ``reader`` may not see, such as users."""
        hidden = subjects.hidden_from(reader.has_perm)
        return self.exclude(subject_kind__in=hidden) if hidden else self

    def about(self, kind: str, subject_id: int) -> Self:
        """Events about one thing, newest first."""
        return self.filter(subject_kind=kind, subject_id=subject_id).order_by("-id")

    def actor_names(self, *, most: int) -> list[str]:
        """The names of who did these, sorted; each is one step in the index of names."""
        following = self.filter(actor_name__gt=RawSQL("names.name", ()))
        step, given = (
            following.order_by("actor_name").values("actor_name")[:1].query.sql_with_params()
        )
        # From "", which names the portal itself.
        # untranslated: SQL
        sql = f"""
            WITH RECURSIVE names(name) AS (
                SELECT CAST(%s AS varchar(150)) UNION ALL
                SELECT ({step}) FROM names WHERE names.name IS NOT NULL
            ) SELECT name FROM names WHERE name > '' LIMIT %s
        """  # noqa: S608 - ours
        with connection.cursor() as cursor:
            cursor.execute(sql, ["", *given, most])
            return [name for (name,) in cursor.fetchall()]

    def update(self, **kwargs: Any) -> Never:
        """Raises TypeError: the log is append-only."""
        raise TypeError("Events are append-only.")

    def delete(self) -> Never:
        """Raises TypeError: the log is append-only."""
        raise TypeError("Events are append-only.")


class Event(models.Model):
    """One line of the activity log.

    The subject is stored as a kind, an id and the name that it had then, not as a foreign key: the
    event stays when the subject is deleted. So does the actor's name.
    """

    class Level(models.TextChoices):
        """How much it matters."""

        INFO = "info", _("Info")
        SUCCESS = "success", _("Success")
        WARNING = "warning", _("Warning")
        ERROR = "error", _("Error")

    class Channel(models.TextChoices):
        """Through which channel somebody came."""

        PAGE = "page", _("Page")
        API = "api", _("API")
        MME = "mme", _("mme")

    at = models.DateTimeField(default=clock.now, editable=False, db_index=True)
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
    text = models.TextField(
        blank=True, help_text="The sentence that people read, where there are no parameters."
    )
    parameters = models.JSONField(
        null=True, blank=True, help_text="What the code (`action`) is rendered with."
    )

    request_id = models.CharField(
        max_length=request_id.MAX_LENGTH,
        blank=True,
        db_default="",
        db_index=True,
        help_text="Of the request or job that recorded it (core/request_id.py).",
    )
    channel = models.CharField(
        max_length=10,
        choices=Channel,
        blank=True,
        default="",
        db_default="",
        help_text="Through which channel it was asked for; empty: by the portal itself.",
    )
    address = models.CharField(
        max_length=origin.MAX_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text="From which address; empty: by the portal itself, or from before it was kept.",
    )
    attempt = models.CharField(
        max_length=attempt.MAX_LENGTH,
        blank=True,
        db_default="",
        help_text="The repeatable change that recorded it (core/attempt.py).",
    )

    objects = GuardedManager.from_queryset(EventQuerySet)()

    #: In words, how long what it ends took, where a page says so; unsaved.
    took = ""

    class Meta:
        indexes = [
            models.Index(fields=["subject_kind", "subject_id", "-id"]),
            # Nearly all events have none.
            models.Index(
                fields=["attempt"], name="activity_event_attempt", condition=~models.Q(attempt="")
            ),
            # The filter of the log lists the names that are in it.
            models.Index(fields=["actor_name"]),
        ]
        default_permissions = ("view",)
        permissions = [("redact_event", _("Can redact texts"))]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.sentence}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store a new event; raises TypeError for an old one."""
        if not self._state.adding:
            raise TypeError("Events are append-only.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Never:
        """Raises TypeError: the log is append-only."""
        raise TypeError("Events are append-only.")

    @property
    def sentence(self) -> str:
        """The text for people: rendered from the code, or ``text`` without parameters."""
        if self.parameters is None:
            return self.text
        return codes.render(self.action, self.parameters)

    def subject_url(self) -> str:
        """The address of the subject's page, or "" for a subject without one."""
        if not self.subject_id:
            return ""
        return reverse("activity:subject", args=[self.subject_kind, self.subject_id])


class EventSeal(models.Model):
    """A link of the hash chain over the events (activity/sealing.py)."""

    # No foreign key: the seal stays where its event was taken away, and says so.
    event_id = models.BigIntegerField(db_index=True)
    action = models.CharField(max_length=60, help_text="The event's code, in clear.")
    salt = models.CharField(
        max_length=32, blank=True, help_text="Empty: what the event said then was redacted."
    )
    digest = models.CharField(max_length=64, help_text="SHA-256 of salt and event.")
    # Unique, so that of two jobs that go on from one link one alone can.
    previous = models.CharField(max_length=64, blank=True, unique=True)
    link = models.CharField(max_length=64)
    sealed_at = models.DateTimeField(default=clock.now)
    redacted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        default_permissions = ()
        indexes = [
            # Nearly all have a salt; the job that seals looks for those without, each minute.
            models.Index(
                fields=["event_id"], name="activity_seal_redacted", condition=models.Q(salt="")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_id}: {self.link[:12]}"
