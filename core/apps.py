"""What every app uses."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class CoreConfig(AppConfig):
    """Registers the readiness checks of what every app uses, and the tasks of all apps."""

    name = "core"

    def ready(self) -> None:
        """Make the checks known, and the tasks, so that services can name them (core/jobs.py)."""
        from core import ready_checks

        ready_checks.register_all()
        autodiscover_modules("tasks")
