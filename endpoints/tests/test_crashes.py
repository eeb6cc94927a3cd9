"""Killing the process at any point loses and duplicates nothing."""

from datetime import timedelta

import pytest
from django.utils import timezone

from activity.models import Event
from endpoints import reconciler, services
from endpoints.models import Endpoint, Resource
from endpoints.reconciler import writing
from endpoints.tests.account import Account, Crash
from endpoints.tests.conftest import CREATED, DELETED


def survive(endpoint, wanted, planned=None):
    """Run on after each crash, as another process would once the lease is over.

    ``planned``: whether a call was left to crash at. A matrix goes one call further than there are
    calls, so that a new one is not forgotten.
    """
    crashes = 0
    for _ in range(80):
        past = timezone.now() - timedelta(seconds=1)
        Endpoint.objects.filter(pk=endpoint.pk).update(check_after=past)
        try:
            reconciler.advance(endpoint.pk)
        except Crash:
            crashes += 1
            assert Endpoint.objects.filter(pk=endpoint.pk, leased_until__gt=past).exists()
            Endpoint.objects.filter(pk=endpoint.pk).update(leased_until=past)
        endpoint = Endpoint.objects.get(pk=endpoint.pk)
        if endpoint.settled and (wanted == "present" or endpoint.gone_at):
            assert crashes == planned or planned is None, "mend the number of calls"
            return endpoint, crashes
    raise AssertionError(f"{endpoint.state}: {endpoint.hint} {endpoint.failure}")


def assert_told_once(endpoint):
    told = [e.sentence for e in Event.objects.about("endpoint", endpoint.pk)]
    assert len(told) == len(set(told)), told
    assert not any("outside" in text for text in told), told


# One more than there are calls: the last run must not crash, so that none is forgotten.
CREATION_CALLS, TEARDOWN_CALLS = 16, 13


@pytest.mark.slow
@pytest.mark.parametrize("after_acting", [False, True])
@pytest.mark.parametrize("at", range(CREATION_CALLS + 1))
def test_a_crash_at_any_call_of_the_creation(endpoint, account, at, after_acting):
    account.crash_at, account.crash_after_acting = account.calls + at, after_acting
    endpoint, crashes = survive(endpoint, "present")
    assert crashes == (1 if at < CREATION_CALLS else 0)
    assert endpoint.state == Endpoint.State.IN_SERVICE
    assert account.changes == CREATED
    assert (len(account.models), len(account.configs), len(account.endpoints)) == (1, 1, 1)
    assert_told_once(endpoint)


@pytest.mark.slow
@pytest.mark.parametrize("after_acting", [False, True])
@pytest.mark.parametrize("at", range(TEARDOWN_CALLS + 1))
def test_a_crash_at_any_call_of_the_teardown(serving, account, at, after_acting):
    services.request_teardown(endpoint=serving, typed_name="demo", actor=None)
    account.crash_at, account.crash_after_acting = account.calls + at, after_acting
    endpoint, crashes = survive(serving, "absent")
    assert crashes == (1 if at < TEARDOWN_CALLS else 0)
    assert account.changes == CREATED + DELETED
    assert account.empty
    assert_told_once(endpoint)


@pytest.mark.slow
@pytest.mark.parametrize("teardown", [False, True])
@pytest.mark.parametrize("at", range(9))
@pytest.mark.parametrize(
    ("owner", "place"), [(writing, "write"), (Resource, "save"), (writing, "record")]
)
def test_a_crash_before_the_commit(
    endpoint, account, settle, monkeypatch, owner, place, at, teardown
):
    if teardown:
        settle(endpoint)
        services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    real, calls = getattr(owner, place), iter(range(1000))

    def crashing(*args, **kwargs):
        if next(calls) == at:
            raise Crash(place)
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, place, crashing)
    endpoint, _ = survive(endpoint, "absent" if teardown else "present")
    assert account.changes == (CREATED + DELETED if teardown else CREATED)
    assert account.empty == teardown
    assert_told_once(endpoint)


@pytest.mark.not_quick
def test_a_teardown_that_comes_while_a_create_is_under_way_waits_for_it(
    endpoint, account, advance, settle, monkeypatch
):
    """Else the endpoint would appear after everything was found gone."""
    for _ in range(2):
        endpoint = advance(endpoint)
    real = account._create_endpoint

    def slow(**kwargs):
        services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
        assert not reconciler.advance(endpoint.pk)  # the lease is held
        return real(**kwargs)

    monkeypatch.setattr(account, "_create_endpoint", slow)
    account.install(monkeypatch)
    endpoint = advance(endpoint)
    assert endpoint.check_after <= timezone.now()  # its turn comes at once
    assert settle(endpoint).gone_at is not None
    assert account.empty


def test_a_teardown_that_comes_before_the_create_prevents_it(endpoint, account, monkeypatch):
    real = account._describe_model

    def then(name):
        services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
        return real(name)

    monkeypatch.setattr(account, "_describe_model", then)
    account.install(monkeypatch)
    reconciler.advance(endpoint.pk)
    assert account.changes == []


def test_who_lost_the_lease_changes_and_writes_nothing(endpoint, account: Account, monkeypatch):
    real = account._describe_model

    def stall(name):
        Endpoint.objects.filter(pk=endpoint.pk).update(
            leased_until=timezone.now() + timedelta(seconds=99)
        )
        return real(name)

    monkeypatch.setattr(account, "_describe_model", stall)
    account.install(monkeypatch)
    before = Endpoint.objects.get(pk=endpoint.pk)
    reconciler.advance(endpoint.pk)
    after = Endpoint.objects.get(pk=endpoint.pk)
    assert account.changes == []
    assert (after.hint, after.checked_at) == (before.hint, None)
