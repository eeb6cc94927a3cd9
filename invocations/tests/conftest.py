"""Fixtures of the tests of calls."""

from collections.abc import Iterator

import pytest

from endpoints.tests.conftest import account, advance, endpoint, make_version, serving, settle
from invocations import services

__all__ = ["account", "advance", "endpoint", "make_version", "serving", "settle"]


@pytest.fixture(autouse=True)
def no_call_outlives_its_test() -> Iterator[None]:
    """The thread that writes the heartbeat of calls has no database once the test is over."""
    yield
    for pk in services._under_way.pks():
        services._under_way.discard(pk)
