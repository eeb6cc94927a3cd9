"""Many endpoints: a sweep is one query, calls keep a pace, and none waits for another's trouble."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections

from core import clock, pace
from endpoints import reconciler, sagemaker, services, tasks
from endpoints.models import Endpoint
from endpoints.tests.account import Account

SETTLED, UNDER_WAY = 200, 20


def rows(number: int, state: Endpoint.State, begin: str) -> list[Endpoint]:
    """Endpoints that are due, the first of them the longest."""
    now = clock.now()
    made = [
        Endpoint(
            name=f"{begin}-{one}",
            bucket="store",
            image="image:1",
            role_arn="role",
            instance_type="ml.m5.large",
            state=state,
            check_after=now - timedelta(seconds=number - one),
        )
        for one in range(number)
    ]
    found = Endpoint.objects.bulk_create(made)
    Endpoint.objects.filter(name__startswith=f"{begin}-").update(state=state)
    return found


@pytest.fixture
def many(db: None) -> tuple[list[Endpoint], list[Endpoint]]:
    """Settled ones, and those with something under way."""
    settled = rows(SETTLED, Endpoint.State.IN_SERVICE, "settled")
    return settled, rows(UNDER_WAY, Endpoint.State.CREATING, "new")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The endpoints that a step was queued for, in this order."""
    found: list[int] = []
    monkeypatch.setattr(services, "enqueue_on_commit", lambda _task, pk: found.append(pk))
    return found


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Callable[[float], None]:
    """Say how many calls are left."""
    settings.AWS_CALLS_PER_SECOND = 10  # so that it holds 40

    def put(tokens: float) -> None:
        monkeypatch.setattr(pace.CONTROL_PLANE, "room", lambda: tokens)

    return put


@pytest.mark.not_quick
def test_a_sweep_of_many_is_one_query(
    many: tuple[list[Endpoint], list[Endpoint]],
    sent: list[int],
    room: Callable[[float], None],
    django_assert_num_queries: Any,
) -> None:
    room(1000)
    Endpoint.objects.due().exists()  # the clock's own is no look at endpoints
    with django_assert_num_queries(2) as asked:  # the time of the database's clock, and the rows
        assert services.sweep() == SETTLED + UNDER_WAY
    about = [one["sql"] for one in asked.captured_queries if "endpoints_endpoint" in one["sql"]]
    assert len(about) == 1
    assert len(sent) == SETTLED + UNDER_WAY


@pytest.mark.not_quick
def test_what_is_under_way_goes_first_and_looks_leave_half_of_the_calls(
    many: tuple[list[Endpoint], list[Endpoint]], sent: list[int], room: Callable[[float], None]
) -> None:
    settled, under_way = many
    room(30)
    services.sweep()
    assert sent == [one.pk for one in under_way], "10 of 30 are left, fewer than half of 40"
    sent.clear()
    room(40)
    Endpoint.objects.filter(pk__in=[one.pk for one in under_way[5:]]).update(gone_at=clock.now())
    services.sweep()
    assert sent == [one.pk for one in [*under_way[:5], *settled[:15]]]
    sent.clear()
    room(-3)
    assert services.sweep() == SETTLED + 5
    assert sent == []


def test_without_a_call_left_a_step_waits_and_stays_due(
    endpoint: Endpoint, account: Account, room: Callable[[float], None]
) -> None:
    before = account.calls
    room(0.5)
    tasks.advance(endpoint.pk)
    assert account.calls == before
    assert Endpoint.objects.due().filter(pk=endpoint.pk).exists()
    room(1)
    tasks.advance(endpoint.pk)
    assert account.changes == ["+model demo-r1"]


@pytest.mark.not_quick
@pytest.mark.django_db(transaction=True)
def test_a_call_that_hangs_delays_no_other_endpoint(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker's thread hangs in a call; another one takes the next endpoint to its end."""
    hangs, goes_on = threading.Event(), threading.Event()
    slow = services.create_endpoint(name="slow", instance_type="ml.m5.large", actor=None)
    quick = services.create_endpoint(name="quick", instance_type="ml.m5.large", actor=None)
    real = sagemaker.describe_endpoint

    def describe(name: str) -> sagemaker.SageMakerEndpoint:
        if name == "slow":
            hangs.set()
            assert goes_on.wait(60)
        return real(name)

    monkeypatch.setattr(sagemaker, "describe_endpoint", describe)

    def work() -> None:
        try:
            reconciler.advance(slow.pk)
        finally:
            connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert hangs.wait(60)
        for _ in range(20):
            assert not reconciler.advance(slow.pk), "its lease is held"
            Endpoint.objects.filter(pk=quick.pk).update(check_after=clock.now())
            reconciler.advance(quick.pk)
        assert Endpoint.objects.get(pk=quick.pk).state == Endpoint.State.IN_SERVICE
        assert Endpoint.objects.get(pk=slow.pk).state == Endpoint.State.REQUESTED
    finally:
        goes_on.set()
        worker.join(60)
    assert not worker.is_alive()
