"""After how many hours without a call an endpoint may be torn down, and who may say so."""

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from endpoints.end_dates import MAY_TEAR_DOWN

#: It is told of an hour before, so that one of an hour would be told of after each call.
LEAST_HOURS = 2
#: CloudWatch keeps what it measured for 455 days.
MOST_HOURS = 8760
#: What a new endpoint is given where nobody says anything else, in place of a preset.
NONE = 0


def most_for(actor: User | None) -> int | None:
    """The most idle hours that ``actor`` may give; None: there is no limit."""
    if actor is None:
        return None
    is_admin = actor.has_perm(MAY_TEAR_DOWN)
    hours: int = settings.ADMIN_IDLE_HOURS if is_admin else settings.OPERATOR_IDLE_HOURS
    return hours or None


def preset_for(actor: User | None) -> int | None:
    """The idle hours of a new endpoint where ``actor`` gives none; None: it has no such limit."""
    if actor is None:
        return None
    preset = settings.OPERATOR_DEFAULT_IDLE_HOURS
    if actor.has_perm(MAY_TEAR_DOWN):
        preset = settings.ADMIN_DEFAULT_IDLE_HOURS
    return min(filter(None, (most_for(actor), preset)), default=None)


def checked(hours: int | None, *, actor: User | None) -> int | None:
    """The idle hours, None for no limit, if ``actor`` may give them; ValidationError otherwise."""
    most = most_for(actor)
    if not hours:
        if most is not None:
            said = _("Give a number of idle hours, at most %(hours)s.")
            raise ValidationError({"idle_hours": said % {"hours": most}})
        return None
    if not LEAST_HOURS <= hours <= MOST_HOURS:
        said = _("Give a number of idle hours from %(least)s to %(most)s.")
        told = {"least": LEAST_HOURS, "most": MOST_HOURS}
        raise ValidationError({"idle_hours": said % told})
    if most is not None and hours > most:
        said = _("Give at most %(hours)s idle hours, or ask an admin.")
        if actor is not None and actor.has_perm(MAY_TEAR_DOWN):
            said = _("Give at most %(hours)s idle hours.")
        raise ValidationError({"idle_hours": said % {"hours": most}})
    return hours
