"""How services put jobs into the queue: by name, when the transaction is committed."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from queue import Empty
from typing import Any

import pytest
from celery.exceptions import NotRegistered
from django.db import transaction

from core.jobs import enqueue_on_commit
from mmeportal.celery import app

Captured = Callable[..., AbstractContextManager[list[Any]]]
ADVANCE = "endpoints.tasks.advance"


def taken() -> list[Any]:
    """All messages that are in the queue, which is empty then."""
    found = []
    with app.connection() as connection, connection.SimpleQueue("celery") as queue:
        while True:
            try:
                message = queue.get_nowait()
            except Empty:
                return found
            message.ack()
            found.append(message)


def test_a_job_is_queued_by_name_with_the_options_of_its_task(
    db: None, django_capture_on_commit_callbacks: Captured
) -> None:
    taken()
    with django_capture_on_commit_callbacks(execute=True):
        enqueue_on_commit(ADVANCE, 7)
        assert taken() == []
    (message,) = taken()
    assert message.headers["task"] == ADVANCE
    assert message.payload[0] == [7]
    assert app.tasks[ADVANCE].expires is not None
    assert message.headers["expires"] is not None


@pytest.mark.django_db(transaction=True)
def test_nothing_is_queued_where_the_transaction_is_rolled_back() -> None:
    taken()
    with transaction.atomic():
        enqueue_on_commit(ADVANCE, 7)
        transaction.set_rollback(True)
    assert taken() == []


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("endpoints.tasks.advanced", NotRegistered),
        ("endpoints.services.sweep", NotRegistered),
        ("endpoints.task.advance", ImportError),
        ("endpoints.tasks", NotRegistered),
    ],
)
def test_a_name_that_no_task_has_is_an_error_at_once(
    db: None, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        enqueue_on_commit(name, 7)
