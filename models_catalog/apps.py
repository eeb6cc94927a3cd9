"""Models and versions."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy

from activity import codes, subjects
from core import palette, readiness


class ModelsCatalogConfig(AppConfig):
    """Names the catalog for Django's admin, and registers what other apps show of it."""

    name = "models_catalog"
    verbose_name = "Catalog"

    def ready(self) -> None:
        """Register events, subjects, panels, rights of the roles, the store's check and clock."""
        from accounts import groups, roles
        from core import guarded, prometheus_page
        from models_catalog import finding, gauges, panels, reasons, redactions, secrecy, told
        from models_catalog.events import TEMPLATES
        from models_catalog.models import RegisteredModel, Store, Version
        from models_catalog.ready_checks import probe_store, time_of_store

        codes.register(TEMPLATES, max_length=codes.LONG)
        subjects.register(
            RegisteredModel.activity_kind, RegisteredModel, label=gettext_lazy("Models")
        )
        subjects.register(Version.activity_kind, Version, label=gettext_lazy("Versions"))
        subjects.register(Store.activity_kind, Store, label=gettext_lazy("Stores"))
        guarded.register(secrecy.hidden_from)
        groups.register_change(secrecy.forget)
        panels.register_all()
        reasons.register()
        told.register()
        redactions.register()
        prometheus_page.register(gauges.versions)
        palette.register(finding.models)
        palette.register(finding.versions)
        palette.register(finding.stores)
        roles.grant(roles.VIEWER, "models_catalog.view_model", "models_catalog.view_version")
        roles.grant(
            roles.OPERATOR,
            "models_catalog.add_model",
            "models_catalog.change_model",
            "models_catalog.add_version",
            "models_catalog.change_version",
            "models_catalog.delete_model",
            "models_catalog.move_alias",
            "models_catalog.move_protected_alias",
        )
        roles.grant(
            roles.ADMIN,
            "models_catalog.delete_version",
            "models_catalog.set_quota",
            "models_catalog.manage_stores",
        )
        readiness.register("store", probe_store, vital=True, label=gettext_lazy("Store"))
        readiness.register_clock("S3", time_of_store)
