"""Ask a worker to look at an endpoint now.

Only ever a shortcut: the database row is the queue, and beat's sweep finds every due row. So a
broker that is away costs a second or two, and loses nothing.
"""

import logging

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

# A message that waited longer than this is superseded by the sweep's.
_EXPIRES_S = 10


def advance_on_commit(pk: int) -> None:
    """Send the task for endpoint ``pk`` when the transaction has been committed."""
    transaction.on_commit(lambda: advance_now(pk))


def advance_now(pk: int) -> None:
    """Send the task for endpoint ``pk``; a broker that is away is logged and left to the sweep."""
    try:
        current_app.send_task("endpoints.tasks.advance", args=[pk], expires=_EXPIRES_S, retry=False)
    except OperationalError as error:
        logger.warning("endpoint %s: the broker is away, the sweep will find it: %s", pk, error)
