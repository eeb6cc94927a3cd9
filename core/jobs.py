"""How services put jobs into the queue, and a job does several things."""

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

log = logging.getLogger(__name__)


def enqueue_on_commit(task_name: str, *args: Any) -> None:
    """Queue a task, named as in ``endpoints.tasks.advance``, when the transaction is committed.

    Services name tasks, since tasks import services. The options of the task (``expires``) apply.
    Raises LookupError or ImportError at once where there is no such task.

    Where Redis is away, full or read-only nothing is lost: the row says that it is due, and beat's
    sweep finds it. So that is a line in the log, not an error for the user.
    """
    task = _task(task_name)

    def send() -> None:
        try:
            task.apply_async(args, retry=False)
        except (OperationalError, RedisError, OSError) as error:
            log.warning(
                "Redis took no job (%s); the sweep will take up %s%r.", error, task_name, args
            )

    transaction.on_commit(send)


def do_each(*works: Callable[[], object]) -> None:
    """Do all of these, also where one fails; then raise the first error. For sweeps."""
    problems: list[Exception] = []
    for work in works:
        try:
            work()
        except Exception as problem:
            if problems:
                log.warning("One more part of a sweep failed.", exc_info=True)
            problems.append(problem)
    if problems:
        raise problems[0]


def _task(name: str) -> Any:
    """The registered task; the module in its name is imported where it was not yet."""
    if name not in current_app.tasks:
        import_module(name.rpartition(".")[0])
    return current_app.tasks[name]
