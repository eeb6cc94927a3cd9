"""The site."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """Registers what the search (Ctrl+K) finds of the site: pages and actions."""

    name = "mmeportal"

    def ready(self) -> None:
        """Let the search find the pages and actions."""
        from core import palette
        from mmeportal import destinations

        palette.register(destinations.pages)
        palette.register(destinations.actions)
