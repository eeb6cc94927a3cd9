"""The Celery tasks of accounts."""

from celery import shared_task

from accounts import services


@shared_task
def sweep() -> None:
    """Delete expired counts and sessions; beat calls this every five minutes."""
    services.sweep()
