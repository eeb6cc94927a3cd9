"""The site: settings, URLs, the home page, and the web server."""

from mmeportal.celery import app as celery_app

__all__ = ["celery_app"]
