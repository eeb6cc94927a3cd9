"""How services put jobs into the queue."""

import logging
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

log = logging.getLogger(__name__)


def enqueue_on_commit(name: str, *args: Any) -> None:
    """Queue the task ``name`` (``endpoints.tasks.advance``) once the transaction is through.

    By name: tasks import services, so services cannot import tasks. Raises NotRegistered, a
    KeyError, where there is no such task.

    Where Redis is away, full or read-only nothing is lost: the row says that it is due, and beat's
    sweep finds it. So that is a line in the log, not an error for the user.
    """
    task = current_app.tasks[name]

    def send() -> None:
        try:
            task.apply_async(args, retry=False)
        except (OperationalError, RedisError, OSError) as error:
            log.warning("Redis took no job (%s); the sweep will take up %s%r.", error, name, args)

    transaction.on_commit(send)
