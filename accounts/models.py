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
