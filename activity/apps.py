"""The activity log: who did what, and when."""

from django.apps import AppConfig


class ActivityConfig(AppConfig):
    """Registers what other pages show of the log."""

    name = "activity"

    def ready(self) -> None:
        """Make the panels known."""
        from activity import panels

        panels.register_all()
