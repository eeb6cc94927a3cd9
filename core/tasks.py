"""The Celery tasks of core."""

from celery import shared_task

from core.api import idempotency


@shared_task
def sweep() -> None:
    """Delete the answers that were kept for a day; beat calls this every ten minutes."""
    idempotency.sweep()
