"""What every app stands on."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class CoreConfig(AppConfig):
    """Makes the tasks of all apps known, so that services can name them (core/jobs.py)."""

    name = "core"

    def ready(self) -> None:
        """Import each app's ``tasks``."""
        autodiscover_modules("tasks")
