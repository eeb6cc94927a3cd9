"""The site."""

import gc

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """Registers what the search (Ctrl+K) and the pages of the rooms show of the site."""

    name = "mmeportal"

    def ready(self) -> None:
        """Let the search find the pages and actions, and the page of tokens lead to the API's.

        As the last app, it also has the garbage collector begin, with what is made from here on.
        """
        from core import palette, panels
        from mmeportal import destinations

        palette.register(destinations.pages)
        palette.register(destinations.actions)
        panels.register(
            "tokens.head",
            "mmeportal/_tokens_head.html",
            permission="models_catalog.view_model",
            context=lambda request: {},
        )
        panels.register(
            "worker-problem",
            "mmeportal/_status_link.html",
            permission="auth.change_user",
            context=lambda request: {},
        )
        gc.freeze()
        gc.set_threshold(100_000, 10, 10)
        gc.enable()
