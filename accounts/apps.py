"""People: who may log in, what they may do, and what guards the log-in."""

from django.apps import AppConfig

from activity import codes


class AccountsConfig(AppConfig):
    """Registers what the log says about people."""

    name = "accounts"

    def ready(self) -> None:
        """Make the event codes known."""
        from accounts.events import TEMPLATES

        codes.register(TEMPLATES)
