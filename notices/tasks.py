"""What Celery runs: each task calls one function of delivering.py, and may run twice."""

import threading

from celery import shared_task
from django.conf import settings

from notices import delivering

# A receiver may take seconds to answer, and the steps of endpoints run in the same threads.
_places = threading.BoundedSemaphore(max(1, settings.WORKER_THREADS // 4))


# A message that waited longer is superseded: the sweep has sent another one.
@shared_task(expires=10)
def deliver(delivery_pk: int) -> None:
    """Try one delivery, and what others had to leave.

    Where as many as may are under way the message is dropped: the row is still due, and is found by
    those that are, or by the sweep.
    """
    if not _places.acquire(blocking=False):
        return
    try:
        delivering.work(delivery_pk=delivery_pk)
    finally:
        _places.release()


@shared_task
def sweep() -> None:
    """Take up what is due: retries, and what was cut off; beat calls this every five seconds."""
    delivering.resume()


@shared_task
def clear() -> None:
    """Delete old deliveries; beat calls this every hour."""
    delivering.clear()
