"""Which end date somebody may give an endpoint."""

from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from core import clock

#: Whoever has this may give any end date to any endpoint.
MAY_TEAR_DOWN = "endpoints.teardown_endpoint"
#: Whoever has this may have any endpoint end later.
MAY_POSTPONE = "endpoints.add_endpoint"
#: An end date is told of an hour before, so that none comes sooner.
LEAST = timedelta(hours=1)
#: An end date further away is a mistake.
MOST = timedelta(days=3660)
_MINUTE = timedelta(minutes=1)


def most_days_for(actor: User | None) -> int:
    """The most days from now after which ``actor`` may have an endpoint end; 0: no limit."""
    if actor is None:
        return 0
    is_admin = actor.has_perm(MAY_TEAR_DOWN)
    days: int = settings.ADMIN_ENDPOINT_DAYS if is_admin else settings.OPERATOR_ENDPOINT_DAYS
    return days


def latest_for(actor: User | None) -> datetime | None:
    """The latest end date that ``actor`` may give; None: there is no limit."""
    days = most_days_for(actor)
    return clock.now() + timedelta(days=days) if days else None


def checked(expires_at: datetime | None, *, actor: User | None) -> datetime | None:
    """The end date to the minute, if ``actor`` may give it; ValidationError otherwise."""
    latest = latest_for(actor)
    if expires_at is None:
        if latest is not None:
            raise _refused(_("Give an end date, at most %(days)s days from now."), actor)
        return None
    now = clock.now()
    expires_at = to_the_minute(expires_at)
    # A minute, so that what was asked for as "in an hour" is accepted when it arrives.
    if expires_at < now + LEAST - _MINUTE:
        said = _(
            "Give an end date at least an hour from now. Where the endpoint is to go at once, tear "
            "it down."
        )
        raise ValidationError({"expires_at": said})
    if expires_at > now + MOST:
        raise ValidationError({"expires_at": _("Give an end date within the next ten years.")})
    if latest is not None and expires_at > latest + _MINUTE:
        said = _("Give an end date at most %(days)s days from now, or ask an admin.")
        if actor is not None and actor.has_perm(MAY_TEAR_DOWN):
            said = _("Give an end date at most %(days)s days from now.")
        raise _refused(said, actor)
    return expires_at


def _refused(said: str, actor: User | None) -> ValidationError:
    return ValidationError({"expires_at": said % {"days": most_days_for(actor)}})


def preset_for(actor: User | None) -> datetime | None:
    """The end date of a new endpoint where ``actor`` gives none; None: it has none."""
    if actor is None:
        return None
    preset = settings.OPERATOR_DEFAULT_ENDPOINT_DAYS
    if actor.has_perm(MAY_TEAR_DOWN):
        preset = settings.ADMIN_DEFAULT_ENDPOINT_DAYS
    days = min(filter(None, (most_days_for(actor), preset)), default=0)
    return to_the_minute(clock.now() + timedelta(days=days)) if days else None


def to_the_minute(moment: datetime) -> datetime:
    """The beginning of its minute: end dates have no seconds, as the form of the pages has none."""
    return moment.replace(second=0, microsecond=0)


def in_words(moment: datetime) -> str:
    """A time as events keep it, to the minute, in UTC: "2026-12-24 18:00 UTC"."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
