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


def latest_for(actor: User | None) -> datetime | None:
    """The latest end date that ``actor`` may give; None: there is no limit."""
    days = settings.OPERATOR_ENDPOINT_DAYS
    if not days or actor is None or actor.has_perm(MAY_TEAR_DOWN):
        return None
    return clock.now() + timedelta(days=days)


def checked(expires_at: datetime | None, *, actor: User | None) -> datetime | None:
    """The end date to the minute, if ``actor`` may give it; ValidationError otherwise."""
    latest = latest_for(actor)
    if expires_at is None:
        if latest is not None:
            raise _refused(_("Give an end date, at most %(days)s days from now."))
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
        raise _refused(_("Give an end date at most %(days)s days from now, or ask an admin."))
    return expires_at


def _refused(said: str) -> ValidationError:
    return ValidationError({"expires_at": said % {"days": settings.OPERATOR_ENDPOINT_DAYS}})


def preset_for(actor: User | None) -> datetime | None:
    """The end date of a new endpoint where ``actor`` gives none; None: it has none."""
    if actor is None or actor.has_perm(MAY_TEAR_DOWN):
        return None
    most, preset = settings.OPERATOR_ENDPOINT_DAYS, settings.OPERATOR_DEFAULT_ENDPOINT_DAYS
    days = min(filter(None, (most, preset)), default=0)
    return to_the_minute(clock.now() + timedelta(days=days)) if days else None


def to_the_minute(moment: datetime) -> datetime:
    """The beginning of its minute: end dates have no seconds, as the form of the pages has none."""
    return moment.replace(second=0, microsecond=0)


def in_words(moment: datetime) -> str:
    """A time as events keep it, to the minute, in UTC: "2026-12-24 18:00 UTC"."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
