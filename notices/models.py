"""Webhooks, what each person wants as mail, and the outbox of both."""

import secrets
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from activity.models import Event
from core import clock
from core.lease import Leased, LeaseQuerySet

URL_LENGTH = 2000
NOTE_LENGTH = 200
#: The bytes of an answer that are kept.
KEPT_BYTES = 1024


def _new_id() -> str:
    return secrets.token_hex(8)


def _new_message() -> str:
    return f"msg_{secrets.token_hex(12)}"


class Webhook(models.Model):
    """An address that is told of events by a signed POST.

    Its secret is kept nowhere: it is made of the setting SECRET_KEY, ``uid`` and ``generation``
    (notices/signing.py). The digests tell whether it can still be made.
    """

    uid = models.CharField(max_length=16, unique=True, default=_new_id, editable=False)
    url = models.TextField(help_text="Where to; part of it may be secret.")
    note = models.CharField(max_length=NOTE_LENGTH, blank=True)
    kinds = models.JSONField(default=list, help_text="Those of notices/kinds.py that it is told.")
    only_models = models.JSONField(default=list, help_text="Names; empty: of whatever model.")
    language = models.CharField(max_length=10, default="en")
    generation = models.PositiveIntegerField(default=1)
    digest = models.CharField(max_length=64, help_text="SHA-256 of the secret, in hexadecimal.")
    old_generation = models.PositiveIntegerField(null=True)
    old_digest = models.CharField(max_length=64, blank=True)
    old_until = models.DateTimeField(null=True, help_text="Until then the old one signs, too.")
    failing_since = models.DateTimeField(null=True, help_text="No delivery succeeded since then.")
    paused_at = models.DateTimeField(null=True)
    paused_by_portal = models.BooleanField(default=False, help_text="And not by somebody.")
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_by_name = models.CharField(max_length=150, blank=True)

    activity_kind = "webhook"

    class Meta:
        ordering = ["pk"]
        default_permissions = ()
        permissions = [("manage_webhooks", _("Can manage webhooks"))]

    def __str__(self) -> str:
        return self.note or self.host

    def get_absolute_url(self) -> str:
        """Its page."""
        return reverse("notices:webhook", args=[self.uid])

    @property
    def host(self) -> str:
        """Of its address, what may be read by whoever reads the log: the host and the port."""
        return self.url.partition("://")[2].partition("/")[0].partition("?")[0]


class MailChoice(models.Model):
    """What a user wants as mail; a user without a row gets none."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="mail_choice",
    )
    kinds = models.JSONField(default=list)
    only_own = models.BooleanField(default=True, help_text="Only of what is the user's own.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.user_id}: {', '.join(self.kinds)}"


class DeliveryQuerySet(LeaseQuerySet["Delivery"]):
    """The questions that the portal asks about deliveries."""

    def unfinished(self) -> Self:
        """Those that are still to be delivered."""
        return self.filter(state=Delivery.State.PENDING)

    def claim_columns(self) -> dict[str, Any]:
        """Each claim is an attempt."""
        return {"attempts": models.F("attempts") + 1}


class Delivery(Leased):
    """One event for one webhook, or for one person by mail: a row of the outbox.

    It is written in the event's transaction. ``uid`` is the webhook-id, the same in each attempt.
    """

    class State(models.TextChoices):
        """How it went."""

        PENDING = "pending", _("On its way")
        DELIVERED = "delivered", _("Delivered")
        FAILED = "failed", _("Failed")

    uid = models.CharField(max_length=40, unique=True, default=_new_message, editable=False)
    webhook = models.ForeignKey(
        Webhook, null=True, on_delete=models.CASCADE, related_name="deliveries"
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="+"
    )
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=60)
    model = models.CharField(max_length=200, blank=True)
    page = models.TextField(blank=True, help_text="The path of the subject's page.")
    api = models.TextField(blank=True, help_text="The path of the subject's operation.")
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    attempts = models.PositiveIntegerField(default=0, help_text="Since it was begun.")
    created_at = models.DateTimeField(default=clock.now)
    begun_at = models.DateTimeField(default=clock.now, help_text="Or asked for again.")
    settled_at = models.DateTimeField(null=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        default_permissions = ()
        indexes = [
            models.Index(fields=["webhook", "-id"], name="delivery_of_webhook"),
            models.Index(fields=["settled_at"], name="delivery_settled"),
            # Nearly all deliveries are settled, and the sweep asks every few seconds.
            models.Index(fields=["check_after"], name="delivery_due", condition=Q(state="pending")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(webhook=None, person__isnull=False)
                | Q(webhook__isnull=False, person=None),
                name="delivery_to_one",
            )
        ]

    def __str__(self) -> str:
        return self.uid


class DeliveryAttempt(models.Model):
    """One attempt of a delivery, and what the receiver answered."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="tries")
    at = models.DateTimeField()
    ms = models.PositiveIntegerField(help_text="How long it took.")
    status = models.PositiveIntegerField(null=True, help_text="Of HTTP; None: there was no answer.")
    answer = models.TextField(blank=True, help_text="The beginning of the answer's body.")
    problem = models.TextField(blank=True)
    problem_code = models.JSONField(null=True)

    class Meta:
        db_table = "notices_attempt"  # the class was called Attempt
        ordering = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.delivery_id}, {self.at:%Y-%m-%d %H:%M:%S}"
