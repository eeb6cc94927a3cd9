"""What every app uses."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """Registers the readiness checks of what every app uses."""

    name = "core"

    def ready(self) -> None:
        """Make the checks known."""
        # worker_watch: its time begins with the process, not with the first page.
        from core import ready_checks, worker_watch  # noqa: F401

        ready_checks.register_all()
