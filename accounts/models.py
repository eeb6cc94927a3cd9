"""What the portal keeps about a user, besides Django's own table."""

import secrets
from datetime import datetime

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from core import clock

GROUP_NAME_LENGTH = 63
group_name = RegexValidator(
    r"^[a-z0-9](?:[a-z0-9._\-]{0,61}[a-z0-9])?\Z",
    _(
        "Use 1 to 63 small letters, digits, dots, hyphens and underscores; begin and end with a "
        "letter or digit."
    ),
)


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


def _new_id() -> str:
    return secrets.token_hex(8)


class TokenQuerySet(models.QuerySet["Token"]):
    """The questions that the portal asks about tokens."""

    def living(self, now: datetime) -> "TokenQuerySet":
        """Those that count at ``now`` (core.clock.now), as far as the rows say."""
        return self.filter(revoked_at=None, expires_at__gt=now)

    def in_state(self, state: str | None, now: datetime) -> "TokenQuerySet":
        """Those of a `Token.State` at ``now``; all of them without one."""
        match state:
            case Token.State.VALID:
                return self.living(now)
            case Token.State.EXPIRED:
                return self.filter(revoked_at=None, expires_at__lte=now)
            case Token.State.REVOKED:
                return self.exclude(revoked_at=None)
        return self

    def ended_before(self, at: datetime) -> "TokenQuerySet":
        """Those that expired or were revoked before ``at``."""
        return self.filter(models.Q(expires_at__lt=at) | models.Q(revoked_at__lt=at))


class Token(models.Model):
    """A token of the API. Only a digest of it is kept; rows of ended ones stay for some weeks.

    ``id`` is random, so that it does not tell how many tokens there are.
    """

    class State(models.TextChoices):
        """Whether it counts."""

        VALID = "valid", _("Valid")
        EXPIRED = "expired", _("Expired")
        REVOKED = "revoked", _("Revoked")

    id = models.CharField(primary_key=True, max_length=16, default=_new_id, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="tokens"
    )
    name = models.CharField(_("Name"), max_length=100)
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256, in hexadecimal.")
    scopes = models.JSONField(default=list, help_text="Those that were asked for.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    last_used_from = models.GenericIPAddressField(null=True)
    made_with = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The token with which it was made; it is revoked with it.",
    )

    objects = TokenQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes = (models.Index(fields=["user", "-created_at"], name="token_of_user"),)

    def __str__(self) -> str:
        return f"{self.name} of {self.user_id}, until {self.expires_at:%Y-%m-%d %H:%M}"

    def state(self, now: datetime) -> State:
        """Whether it counts at ``now``, as far as the row says."""
        if self.revoked_at is not None:
            return self.State.REVOKED
        return self.State.VALID if now < self.expires_at else self.State.EXPIRED


class PeopleGroup(models.Model):
    """People who are named together, as where a store says who may see it.

    It gives nobody a right: what somebody may do at all is the role's (accounts/roles.py).
    """

    name = models.CharField(
        _("Name"), max_length=GROUP_NAME_LENGTH, unique=True, validators=[group_name]
    )
    created_at = models.DateTimeField(default=clock.now)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL, blank=True, related_name="people_groups"
    )

    activity_kind = "group"

    class Meta:
        ordering = ["name"]
        default_permissions = ()
        permissions = [("manage_groups", _("Can make groups, and put people in"))]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """The group's page."""
        return reverse("accounts:group", args=[self.name])
