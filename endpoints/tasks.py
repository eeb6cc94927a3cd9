"""What Celery runs: each task calls one service, and may run twice."""

from celery import shared_task

from endpoints import reconciler, services


@shared_task
def advance(pk: int) -> None:
    """One step with one endpoint."""
    reconciler.advance(pk)


@shared_task
def sweep() -> None:
    """Find what is due; beat calls this every two seconds."""
    services.sweep()
