"""Calls of models, their pictures and their answers."""

from django.apps import AppConfig


class InvocationsConfig(AppConfig):
    """Calls of models."""

    name = "invocations"
