"""What every app uses."""

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class CoreConfig(AppConfig):
    """Registers the readiness checks of what every app uses, and what SQLite is taught."""

    name = "core"

    def ready(self) -> None:
        """Make the checks known."""
        # worker_watch: its time begins with the process, not with the first page.
        from core import natural, ready_checks, worker_watch  # noqa: F401

        connection_created.connect(natural.teach_sqlite, dispatch_uid="core.natural")
        ready_checks.register_all()
