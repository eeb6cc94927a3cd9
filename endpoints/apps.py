"""Endpoints and the SageMaker resources that they own."""

from django.apps import AppConfig

from activity import codes


class EndpointsConfig(AppConfig):
    """Registers what the log says about endpoints."""

    name = "endpoints"

    def ready(self) -> None:
        """Make the event codes known."""
        from endpoints.events import MAX_LENGTH, TEMPLATES

        codes.register(TEMPLATES, max_length=MAX_LENGTH)
