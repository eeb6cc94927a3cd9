"""Models and versions."""

from django.apps import AppConfig

from activity import subjects
from core import readiness


class ModelsCatalogConfig(AppConfig):
    """Names the catalog for Django's admin, and registers what other apps show of it."""

    name = "models_catalog"
    verbose_name = "Catalog"

    def ready(self) -> None:
        """Make the subjects, the readiness check of the store and its clock known."""
        from models_catalog.models import RegisteredModel, Version
        from models_catalog.ready_checks import look_at_store, time_of_store

        subjects.register(RegisteredModel.activity_kind, RegisteredModel)
        subjects.register(Version.activity_kind, Version)
        readiness.register("store", look_at_store, vital=True)
        readiness.register_clock("S3", time_of_store)
