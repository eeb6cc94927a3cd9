"""What every app uses."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """Registers the readiness checks of what every app uses."""

    name = "core"

    def ready(self) -> None:
        """Make the checks known."""
        from core import ready_checks

        ready_checks.register_all()
