"""What Celery runs: each task calls one service, and may run twice."""

from celery import shared_task

from invocations import services


@shared_task
def sweep() -> None:
    """Give up calls whose process is gone, and drop old pictures; beat calls this."""
    services.sweep()
