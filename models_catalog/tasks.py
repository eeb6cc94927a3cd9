"""Celery's door to the catalog: each task calls one service."""

from celery import shared_task

from models_catalog import services


@shared_task
def check(version_pk: int) -> None:
    """Check and publish one uploaded version."""
    services.check_version(version_pk=version_pk)


@shared_task
def sweep() -> None:
    """Take up every version whose check was not begun, or was cut off."""
    services.resume_checks()


@shared_task
def sweep_staging() -> None:
    """Delete what uploads that were cut off left in staging."""
    services.clear_staging()
