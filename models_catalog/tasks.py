"""The tasks of the catalog: each calls one service."""

import threading

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings

from models_catalog import services, temporary

# A check may take minutes, and the steps with endpoints run in the same threads: half of them are
# never taken by checks.
_places = threading.BoundedSemaphore(settings.WORKER_THREADS // 2)


# A message that waited longer is superseded: the sweep has sent another one.
@shared_task(expires=10)
def check(version_pk: int) -> None:
    """Check and publish one uploaded version.

    Where as many as may be are under way, the message is let go: the row is still due, and the
    sweep sends another one within seconds.
    """
    if not _places.acquire(blocking=False):
        return
    try:
        services.check_version(version_pk=version_pk)
    finally:
        _places.release()


@shared_task
def sweep() -> None:
    """Take up every version whose check was not begun, or was cut off."""
    services.resume_checks()


@shared_task
def sweep_staging() -> None:
    """Delete what uploads and checks that were cut off left, in staging and on this machine."""
    temporary.clear()
    services.clear_staging()


@worker_ready.connect
def clear_temporary(**_: object) -> None:
    """A new worker clears away what killed ones left on this machine."""
    temporary.clear()
