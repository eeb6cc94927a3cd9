"""Users: who may log in, what they may do, and the throttle of the log-in."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from activity import codes, subjects


class AccountsConfig(AppConfig):
    """Registers what the log says about users."""

    name = "accounts"

    def ready(self) -> None:
        """Make the event codes known, and users and the log-in as what events are about."""
        from django.contrib.auth.models import User

        from accounts.events import TEMPLATES, user_page

        codes.register(TEMPLATES)
        see, doing = "auth.view_user", "see users"
        subjects.register(
            "user", User, url=user_page, permission=see, doing=doing, label=_("People")
        )
        subjects.register("login", None, permission=see, doing=doing, label=_("Log-ins"))
