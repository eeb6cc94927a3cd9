"""What Celery runs: each task calls one service, and may run twice."""

from celery import shared_task

from invocations import pictures_kept, services


@shared_task
def sweep() -> None:
    """Give up calls whose process is gone, and drop old pictures; beat calls this."""
    services.sweep()


@shared_task
def sweep_objects() -> None:
    """Delete the objects of pictures that no row names; beat calls this."""
    pictures_kept.sweep_objects()
