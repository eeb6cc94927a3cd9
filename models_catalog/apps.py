"""Models and versions."""

from django.apps import AppConfig

from activity import codes, subjects
from core import readiness


class ModelsCatalogConfig(AppConfig):
    """Names the catalog for Django's admin, and registers what other apps show of it."""

    name = "models_catalog"
    verbose_name = "Catalog"

    def ready(self) -> None:
        """Make event codes, subjects, panels, the store's readiness check and clock known."""
        from models_catalog import panels
        from models_catalog.events import TEMPLATES
        from models_catalog.models import RegisteredModel, Version
        from models_catalog.ready_checks import probe_store, time_of_store

        codes.register(TEMPLATES, max_length=codes.LONG)
        subjects.register(RegisteredModel.activity_kind, RegisteredModel)
        subjects.register(Version.activity_kind, Version)
        panels.register_all()
        readiness.register("store", probe_store, vital=True)
        readiness.register_clock("S3", time_of_store)
