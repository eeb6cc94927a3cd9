"""What Celery runs: each task calls one function of publication.py, and may run twice."""

import threading

from celery import shared_task
from celery.signals import worker_ready
from django.conf import settings

from core.jobs import do_each
from models_catalog import (
    alias_mirror,
    copying,
    drift,
    publication,
    retiring,
    services,
    temporary,
    uploads,
)

# A check may take minutes, and the steps of endpoints run in the same threads. So checks use at
# most half of the threads.
_places = threading.BoundedSemaphore(settings.WORKER_THREADS // 2)


# A message that waited longer is superseded: the sweep has sent another one.
@shared_task(expires=10)
def check(version_pk: int) -> None:
    """Check one version that was uploaded or found, and publish it.

    Where the maximum of checks is running, the message is dropped: the row is still due, and the
    sweep sends another message within seconds.
    """
    if not _places.acquire(blocking=False):
        return
    try:
        publication.check_version(version_pk=version_pk)
    finally:
        _places.release()


@shared_task(expires=10)
def remove(version_pk: int) -> None:
    """Delete the objects of one version whose deletion was requested."""
    retiring.remove(version_pk=version_pk)


@shared_task(expires=10)
def copy(version_pk: int) -> None:
    """Make the archive of one version that was asked for as a copy."""
    copying.copy(version_pk=version_pk)


@shared_task
def compare_store(comparison_pk: int) -> None:
    """Compare what lies in a store with what was published there."""
    drift.compare(comparison_pk=comparison_pk)


@shared_task
def keep_found() -> None:
    """Make what rows of the release before are found by; beat calls this each hour."""
    services.keep_found()


@shared_task
def sweep() -> None:
    """Take up what was not begun, or cut off: checks, copies, deletions, uploads, mirrors."""
    publication.resume_checks()
    copying.resume()
    retiring.resume()
    uploads.resume()
    alias_mirror.resume()
    drift.resume()


@shared_task(expires=10)
def finish_upload(upload_pk: int) -> None:
    """Make a version of an upload whose last byte has arrived."""
    uploads.finish_by_worker(upload_pk=upload_pk)


@shared_task
def mirror_alias(mirror_pk: int) -> None:
    """Have the object in S3 say what an alias says."""
    alias_mirror.mirror(mirror_pk=mirror_pk)


@shared_task
def sweep_staging() -> None:
    """Delete what uploads and checks that were cut off left, in staging and on this machine.

    One bucket that is away or denied keeps nothing of the others waiting.
    """
    do_each(
        temporary.clear,
        publication.clear_staging,
        publication.clear_parts,
        publication.clear_labels,
        uploads.clear,
        alias_mirror.clear,
        drift.prepare,
    )


@worker_ready.connect
def clear_temporary(**_: object) -> None:
    """Remove what killed workers left on this machine, when a new one starts."""
    temporary.clear()
