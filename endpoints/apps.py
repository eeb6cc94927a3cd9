"""Endpoints and the SageMaker resources that they own."""

from django.apps import AppConfig

from activity import codes, subjects
from core import readiness


class EndpointsConfig(AppConfig):
    """Registers what other apps show of endpoints."""

    name = "endpoints"

    def ready(self) -> None:
        """Make the event codes, the subject, the readiness check and the panels known."""
        from endpoints import panels
        from endpoints.events import TEMPLATES
        from endpoints.models import Endpoint
        from endpoints.ready_checks import probe_sagemaker

        codes.register(TEMPLATES, max_length=codes.LONG)
        subjects.register(Endpoint.activity_kind, Endpoint)
        panels.register_all()
        readiness.register("sagemaker", probe_sagemaker, vital=False)
