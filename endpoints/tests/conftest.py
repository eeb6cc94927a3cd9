"""Fixtures of the endpoint tests."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from core import clock
from endpoints import alarms, orphans, reconciler, services
from endpoints.models import AlarmWatch, Endpoint, OrphanLook
from endpoints.tests.account import Account
from endpoints.tests.ready_made import ReadyMade
from models_catalog.models import RegisteredModel, Version

CREATED = ["+model demo-r1", "+config demo-r1", "+endpoint demo"]
DELETED = ["-endpoint demo", "-config demo-r1", "-model demo-r1"]


def step_until(endpoint: Endpoint, done: Callable[[Endpoint], bool]) -> Endpoint:
    """Step on with a real AWS, due or not, until ``done``; at most half a minute."""
    deadline = time.monotonic() + 30
    while not done(endpoint):
        assert time.monotonic() < deadline, f"{endpoint.state} {endpoint.failure} {endpoint.hint}"
        Endpoint.objects.filter(pk=endpoint.pk).update(check_after=endpoint.created_at)
        reconciler.advance(endpoint.pk)
        time.sleep(0.02)
        endpoint = Endpoint.objects.get(pk=endpoint.pk)
    return endpoint


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    """An AWS account in memory."""
    account = Account()
    account.install(monkeypatch)
    return account


def ask_for(account: Account) -> Endpoint:
    """Ask for an endpoint; its row as others read it."""
    endpoint = services.create_endpoint(
        name="demo", instance_type="ml.m5.large", instance_count=1, actor=None
    )
    return Endpoint.objects.get(pk=endpoint.pk)


def one_step(endpoint: Endpoint) -> Endpoint:
    """Take one step, due or not, and read the row again."""
    Endpoint.objects.filter(pk=endpoint.pk).update(
        check_after=timezone.now() - timedelta(seconds=1)
    )
    reconciler.advance(endpoint.pk)
    return Endpoint.objects.get(pk=endpoint.pk)


def until_settled(endpoint: Endpoint) -> Endpoint:
    """Step on until nothing is under way."""
    for _ in range(60):
        endpoint = one_step(endpoint)
        if endpoint.settled:
            return endpoint
    raise AssertionError(f"{endpoint} does not settle: {endpoint.state}, {endpoint.hint}")


def serve_at_once(account: Account, endpoint: Endpoint | None = None) -> Endpoint:
    """Have an endpoint in service at the first look."""
    usual, account.looks = account.looks, 0
    endpoint = until_settled(endpoint or ask_for(account))
    account.looks = usual
    return endpoint


ASKED_FOR = ReadyMade(ask_for)
SERVING = ReadyMade(serve_at_once)


@pytest.fixture
def endpoint(db: None, account: Account) -> Endpoint:
    """An endpoint that was asked for a moment ago."""
    return ASKED_FOR.of(account)


@pytest.fixture
def advance() -> Callable[[Endpoint], Endpoint]:
    """Take one step, due or not, and read the row again."""
    return one_step


@pytest.fixture
def settle() -> Callable[[Endpoint], Endpoint]:
    """Step on until nothing is under way."""
    return until_settled


@pytest.fixture
def serving(request: pytest.FixtureRequest, db: None, account: Account) -> Endpoint:
    """An endpoint in service, which was so at the first look: many tests begin with it."""
    if "endpoint" in request.fixturenames:
        return serve_at_once(account, request.getfixturevalue("endpoint"))
    return SERVING.of(account)


@pytest.fixture
def look(db: None, account: Account) -> Callable[[], OrphanLook]:
    """Look at the account for orphans, due or not."""

    def run() -> OrphanLook:
        row = orphans.the_look()
        OrphanLook.objects.filter(pk=row.pk).update(check_after=clock.now(), leased_until=None)
        orphans.look()
        return orphans.the_look()

    return run


@pytest.fixture
def watch(db: None, account: Account) -> Callable[[], AlarmWatch]:
    """Look at the alarms, due or not."""

    def run() -> AlarmWatch:
        row = alarms.the_watch()
        AlarmWatch.objects.filter(pk=row.pk).update(check_after=clock.now(), leased_until=None)
        alarms.watch()
        return alarms.the_watch()

    return run


@pytest.fixture
def make_version(db: None, settings: Any) -> Callable[..., Version]:
    """Register a ready version in the portal's store."""

    def make(name: str = "digits", number: int = 1, **kwargs: Any) -> Version:
        model, _ = RegisteredModel.objects.get_or_create(name=name)
        values: dict[str, Any] = {
            "bucket": settings.MODEL_BUCKET,
            "prefix": settings.MODEL_PREFIX,
            "key": f"{settings.MODEL_PREFIX}/{name}_v{number}.tar.gz",
            "file_name": f"{name}.tar.gz",
            "size": 1000,
            "sha256": "0" * 64,
            "state": Version.State.READY,
        }
        return Version.objects.create(model=model, number=number, **values | kwargs)

    return make
