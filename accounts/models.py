"""What the portal keeps about a user, besides Django's own table."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class Preferences(models.Model):
    """How a user reads the pages; a user without a row, and an empty field, follow the browser."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="preferences",
    )
    language = models.CharField(_("Language"), max_length=10, blank=True)
    time_zone = models.CharField(
        _("Time zone"), max_length=64, blank=True, help_text="A name of the IANA database."
    )

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.user_id}: {self.language or 'browser'}, {self.time_zone or 'browser'}"


class PasswordLink(models.Model):
    """A link with which a user sets a password, once: for an invitation, and for a reset.

    A user has one at most. Only a digest of what is secret in it is kept.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="password_link",
    )
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256, in hexadecimal.")
    expires_at = models.DateTimeField()
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="Who has seen the link; it ends where they may no longer manage users.",
    )

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.user_id}, until {self.expires_at:%Y-%m-%d %H:%M}"
