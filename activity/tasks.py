"""The Celery tasks of the activity log."""

from celery import shared_task

from activity import sealing


@shared_task
def seal() -> None:
    """Seal the events that are new; beat calls this each minute."""
    sealing.seal()
