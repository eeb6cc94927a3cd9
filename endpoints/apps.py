"""Endpoints and the SageMaker resources that they own."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from activity import codes, subjects
from core import palette, readiness


class EndpointsConfig(AppConfig):
    """Registers what other apps show of endpoints."""

    name = "endpoints"

    def ready(self) -> None:
        """Register events, the subject, panels, rights of the roles, and SageMaker's check.

        Raises ImproperlyConfigured where PRICE_LIST names no list of prices.
        """
        from accounts import roles
        from activity import redaction
        from core import prometheus_page
        from endpoints import budgets, gauges, panels, prices, search, served, told
        from endpoints.events import TEMPLATES
        from endpoints.models import (
            AlarmWatch,
            Budget,
            Endpoint,
            EndpointAlarm,
            MonthSoFar,
            Orphan,
            OrphanLook,
            Revision,
        )
        from endpoints.ready_checks import probe_sagemaker
        from models_catalog import retiring, stores

        prices.check()
        codes.register(TEMPLATES, max_length=codes.LONG)
        said, chosen = ("failure", "failure_code"), ("options", "tags_set", "idle_problem")
        endpoints_ = _("Endpoints and their revisions")
        redaction.register("endpoints", endpoints_, Endpoint, *said, "hint", "hint_code", *chosen)
        redaction.register("endpoints", endpoints_, Revision, *said, "reason", "options")
        redaction.register("endpoints", endpoints_, Orphan, *said)
        redaction.register("endpoints", endpoints_, OrphanLook, "problems")
        redaction.register("endpoints", endpoints_, EndpointAlarm, *said, "reason")
        redaction.register("endpoints", endpoints_, AlarmWatch, "problem", "problem_code")
        redaction.register("endpoints", endpoints_, Budget, "tag")
        redaction.register("endpoints", endpoints_, MonthSoFar, "figures")
        subjects.register(Budget.activity_kind, Budget, label=_("Budgets"))
        subjects.register(Endpoint.activity_kind, Endpoint, label=_("Endpoints"))
        subjects.register("account", None, label=_("AWS account"))
        panels.register_all()
        told.register()
        palette.register(search.hits)
        prometheus_page.register(gauges.endpoints)
        retiring.register_uses(served.endpoints_of)
        stores.register_uses(served.on_store)
        roles.grant(roles.VIEWER, "endpoints.view_endpoint", "endpoints.invoke_endpoint")
        roles.grant(roles.OPERATOR, "endpoints.add_endpoint")
        roles.grant(roles.ADMIN, "endpoints.teardown_endpoint", "endpoints.change_image")
        roles.grant(roles.ADMIN, budgets.MAY_SET)
        readiness.register("sagemaker", probe_sagemaker, vital=False, label="SageMaker")
