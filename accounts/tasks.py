"""What Celery runs for accounts."""

from celery import shared_task

from accounts import services


@shared_task
def sweep() -> None:
    """Delete what is over; beat calls this every five minutes."""
    services.sweep()
