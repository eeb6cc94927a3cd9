"""Users: who may log in, what they may do, and the throttle of the log-in."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from activity import codes, subjects
from core import palette, panels


class AccountsConfig(AppConfig):
    """Registers what the log says about users."""

    name = "accounts"

    def ready(self) -> None:
        """Make the event codes known, and users and the log-in as what events are about."""
        from django.contrib.auth.models import User

        from accounts import groups
        from accounts.events import TEMPLATES, user_page
        from accounts.models import PeopleGroup, Token
        from accounts.people import found
        from activity import redaction

        codes.register(TEMPLATES)
        redaction.register("tokens", _("Names of tokens"), Token, "name")
        palette.register(found)
        panels.register_link(
            _("People"), "user", "accounts:people", permission="auth.view_user", order=50
        )
        see, doing = "auth.view_user", "see users"
        subjects.register(
            "user", User, url=user_page, permission=see, doing=doing, label=_("People")
        )
        subjects.register(
            PeopleGroup.activity_kind,
            PeopleGroup,
            permission=groups.MAY_MANAGE,
            doing=groups.MANAGING,
            label=_("Groups"),
        )
        subjects.register("login", None, permission=see, doing=doing, label=_("Log-ins"))
