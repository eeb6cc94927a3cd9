"""Fixtures of the tests of the activity log."""

from collections.abc import Iterator

import pytest
from django.db import connection

_TRIGGER = "activity_event_append_only"


@pytest.fixture
def unguarded(db: None) -> Iterator[None]:
    """The log can be changed, as its database's owner can, who may take the trigger away."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE activity_event DISABLE TRIGGER {_TRIGGER}")
    yield
    if not connection.in_atomic_block:  # else it is rolled back
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE activity_event ENABLE TRIGGER {_TRIGGER}")
