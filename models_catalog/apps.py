"""Models and versions."""

from django.apps import AppConfig


class ModelsCatalogConfig(AppConfig):
    """Gives the catalog a name that people read, in Django's admin."""

    name = "models_catalog"
    verbose_name = "Catalog"
