"""What a comparison of two versions says of their calls."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from core import clock
from endpoints.models import Endpoint
from invocations import of_version
from invocations.models import Invocation
from models_catalog.models import Version

State = Invocation.State
MONTH = timedelta(days=30)


@pytest.fixture
def two(serving: Endpoint, make_version: Callable[..., Version]) -> tuple[Version, Version]:
    one = make_version()
    return one, make_version(number=2)


def _called(serving: Endpoint, version: Version, *ms: float, **values: Any) -> None:
    for each in ms:
        default = {"state": State.DONE, "latency_ms": each, "cold": False}
        Invocation.objects.create(endpoint=serving, version=version, **default | values)


def test_median_and_cold_share_are_of_the_latest_calls_of_the_time(
    serving: Endpoint, two: tuple[Version, Version]
) -> None:
    one, other = two
    _called(serving, one, 10.04, 30, 20)
    _called(serving, one, 1000, cold=True)
    _called(serving, one, 9, state=State.FAILED, cold=None)
    _called(serving, one, 7, 8, created_at=clock.now() - timedelta(days=31))
    found = of_version.calls_of(one, clock.now() - MONTH, 100)
    assert (found.calls, found.p50_ms, found.cold_share) == (5, 20.0, 0.25)
    Invocation.objects.filter(latency_ms=10.04).update(created_at=clock.now() + timedelta(hours=1))
    assert of_version.calls_of(one, clock.now() - MONTH, 1).p50_ms == 10.0
    nothing = of_version.calls_of(other, clock.now() - MONTH, 100)
    assert (nothing.calls, nothing.p50_ms, nothing.cold_share) == (0, None, None)


@pytest.mark.not_quick
def test_a_comparison_shows_the_calls_of_both_and_nothing_where_there_are_none(
    serving: Endpoint, two: tuple[Version, Version], client_of: Callable[[str], Client]
) -> None:
    one, other = two
    client = client_of("viewer")
    page = f"/models/{one.model.name}/v2/compare/"
    heading = "Calls of the last 30 days"
    assert heading not in client.get(page).content.decode()
    _called(serving, other, 12.5, cold=True)
    text = client.get(page).content.decode()
    assert heading in text
    for value in ("12.5 ms", "100.0 %", "Number of calls, 10,000 at most"):
        assert value in text
    _called(serving, one, 12.5, cold=True)
    assert heading not in client.get(f"{page}?differ=1").content.decode()
