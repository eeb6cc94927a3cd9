"""The tables of core."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from core import attempt, clock


class RepeatableCall(models.Model):
    """A change that a client may repeat: its ``Idempotency-Key``, and its answer when it has one.

    core/api/idempotency.py writes and reads it. ``leased_until`` is by the database's clock;
    ``holder`` says whose the lease is. ``status`` is None until the answer is kept.
    """

    id = models.CharField(primary_key=True, max_length=attempt.MAX_LENGTH, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    operation = models.CharField(max_length=100)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of what was asked.")
    created_at = models.DateTimeField(default=clock.now, db_index=True)
    leased_until = models.DateTimeField(help_text="Until then one request alone works on it.")
    holder = models.CharField(max_length=32)
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=list)
    body = models.BinaryField(default=b"")
    hidden = models.JSONField(
        null=True, help_text="What was hidden from the user then (core/guarded.py); none: nothing."
    )

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["user", "operation", "key"], name="one_attempt_a_key"),
            models.CheckConstraint(
                condition=Q(status=None) | Q(status__gte=200), name="attempt_status_is_final"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.id}"
