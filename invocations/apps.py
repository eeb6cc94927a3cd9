"""Calls of models, their pictures and their answers."""

from django.apps import AppConfig


class InvocationsConfig(AppConfig):
    """Registers what other apps' pages show of calls."""

    name = "invocations"

    def ready(self) -> None:
        """Make the panels known."""
        from invocations import panels

        panels.register_all()
