"""Models and versions."""

from django.apps import AppConfig

from activity import codes


class ModelsCatalogConfig(AppConfig):
    """Gives the catalog a name that people read, and registers what the log says about it."""

    name = "models_catalog"
    verbose_name = "Catalog"

    def ready(self) -> None:
        """Make the event codes known."""
        from models_catalog.events import MAX_LENGTH, TEMPLATES

        codes.register(TEMPLATES, max_length=MAX_LENGTH)
