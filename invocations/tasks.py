"""What Celery runs: each task calls one service, and may run twice."""

import threading

from celery import shared_task
from celery.signals import worker_shutting_down
from django.conf import settings

from core.jobs import do_each
from invocations import measured_hours, pictures_kept, roll_ups, services, side_by_side
from invocations.experiments import process as experiment_process
from invocations.experiments import services as experiments
from invocations.warming import keeping as keeping_warm
from invocations.warming import running as warming

worker_shutting_down.connect(experiment_process.end_all)


@shared_task
def sweep() -> None:
    """Give up lost calls, drop old pictures, go on with comparisons and experiments; for beat."""
    do_each(
        services.sweep,
        side_by_side.resume,
        experiments.resume,
        keeping_warm.sweep,
        warming.resume,
    )


@shared_task
def sweep_objects() -> None:
    """Delete old thumbnails, and the objects of pictures that no row names; beat calls this."""
    do_each(pictures_kept.sweep_thumbnails, pictures_kept.sweep_objects)


@shared_task
def roll_up() -> None:
    """Sum up calls by hour and half day, and delete old ones; beat calls this each minute."""
    roll_ups.roll_up()
    roll_ups.drop_old()


@shared_task
def find_last_calls() -> None:
    """Keep when models were called last, where the release before counted it; for beat."""
    roll_ups.find_last_calls()


@shared_task
def keep_measured_hours() -> None:
    """Keep what SageMaker measured in the hours that are over, and delete old ones; for beat."""
    measured_hours.keep()
    measured_hours.drop_old()


# The steps of endpoints and the checks of versions run in the same threads, and a model may load
# for minutes.
_places = threading.BoundedSemaphore(max(1, settings.WORKER_THREADS // 4))


# A message that waited longer is superseded: the sweep has sent another one.
@shared_task(expires=10)
def compare_answers(comparison_pk: int) -> None:
    """Call both versions of a comparison with its next picture.

    Where the maximum is running, the message is dropped; the sweep sends another one in seconds.
    """
    if not _places.acquire(blocking=False):
        return
    try:
        side_by_side.step(comparison_pk=comparison_pk)
    finally:
        _places.release()


@shared_task(expires=10)
def warm(warming_pk: int) -> None:
    """Call the next version of a warming.

    Where the maximum is running, the message is dropped; the sweep sends another one in seconds.
    """
    if not _places.acquire(blocking=False):
        return
    try:
        warming.step(warming_pk=warming_pk)
    finally:
        _places.release()


@shared_task(expires=10)
def experiment(experiment_pk: int) -> None:
    """Start the process of an experiment, and be done: this thread is free for other jobs.

    Where the maximum is running, the message is dropped; the sweep sends another one in seconds.
    """
    experiment_process.start(experiment_pk)
