"""The site: settings, URLs, roles, and the one door to AWS."""

from mmeportal.celery import app as celery_app

__all__ = ["celery_app"]
