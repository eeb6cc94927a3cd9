"""When models were called last: what is kept of it agrees with the calls, whoever counts them."""

import importlib
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db.models import Max

from accounts import roles
from core import clock, guarded
from endpoints.models import Endpoint
from invocations import roll_ups, tasks
from invocations.models import Invocation
from models_catalog.models import RegisteredModel, Version
from models_catalog.tests.test_api_reading import made

DAYS = (1, 3, 7, 30, 90, 400)


@pytest.fixture
def catalog(demo: Endpoint) -> list[Version]:
    """Two versions of each of twelve models."""
    return [made(f"m{model}", number) for model in range(12) for number in (1, 2)]


def _call(version: Version, at: datetime, **more: Any) -> Invocation:
    given = {"state": "done", "target_model": "t", "endpoint": Endpoint.objects.get(), **more}
    return Invocation.objects.create(version=version, created_at=at, **given)


def _random_calls(catalog: list[Version], number: random.Random, count: int) -> None:
    now = clock.now()
    for _ in range(count):
        _call(
            number.choice(catalog[:20]),
            now - timedelta(seconds=number.choice([number.uniform(0, 50), number.uniform(0, 4e6)])),
            state=number.choice(["done", "done", "failed", "running"]),
            warming=number.random() < 0.2,
        )


def _of_calls() -> dict[str, datetime]:
    rows = Invocation.objects.order_by().values_list("version__model__name")
    return dict(rows.annotate(Max("created_at")))


def _told() -> Iterator[dict[str, Any]]:
    """What lists say of it: by each filter, and by the column."""
    now = clock.now()
    models = RegisteredModel.objects
    yield {row.name: row.last_call for row in models.described() if row.last_call}
    yield {row.name: row.last_call for row in models.in_list() if row.last_call}
    for days in DAYS:
        since = models.called_since(now - timedelta(days=days))
        yield dict.fromkeys(sorted(since.values_list("name", flat=True)), days)
    yield dict.fromkeys(sorted(models.never_called().values_list("name", flat=True)))


def _wanted() -> Iterator[dict[str, Any]]:
    now, called = clock.now(), _of_calls()
    yield called
    yield called
    for days in DAYS:
        since = now - timedelta(days=days)
        yield dict.fromkeys(sorted(name for name, at in called.items() if at >= since), days)
    names = RegisteredModel.objects.values_list("name", flat=True)
    yield dict.fromkeys(sorted(set(names) - set(called)))


@pytest.mark.not_quick
@pytest.mark.parametrize("seed", range(4))
def test_lists_agree_with_the_calls_at_each_step(catalog: list[Version], seed: int) -> None:
    number = random.Random(seed)
    for _ in range(6):
        _random_calls(catalog, number, 15)
        assert list(_told()) == list(_wanted())
        step = number.choice([tasks.roll_up, tasks.find_last_calls, roll_ups.drop_old])
        step()
        assert list(_told()) == list(_wanted())


def test_what_was_counted_late_moves_nothing_back(catalog: list[Version]) -> None:
    now = clock.now()
    last = _call(catalog[0], now - timedelta(days=1))
    tasks.roll_up()
    _call(catalog[1], now - timedelta(days=2))  # as one that a journal had for a day
    tasks.roll_up()
    assert RegisteredModel.objects.get(name="m0").counted_call_at == last.created_at


def test_what_the_release_before_counted_is_found(catalog: list[Version]) -> None:
    known = _call(catalog[0], clock.now() - timedelta(days=3))
    roll_ups.roll_up()
    late = _call(catalog[0], clock.now() - timedelta(days=2))
    other = _call(catalog[2], clock.now() - timedelta(days=2))
    Invocation.objects.filter(pk__in=[late.pk, other.pk]).update(counted=True)  # as it did
    assert _kept() == {"m0": known.created_at}
    tasks.find_last_calls()
    assert _kept() == {"m0": late.created_at, "m1": other.created_at}
    assert roll_ups.find_last_calls() == 0


@pytest.mark.not_quick
def test_the_migration_keeps_what_calls_say(catalog: list[Version]) -> None:
    _random_calls(catalog, random.Random(9), 40)
    migration: Any = importlib.import_module("invocations.migrations.0022_last_calls")
    migration.AT_ONCE = 5
    for _time in range(2):
        migration.keep(apps, None)
        assert _kept() == _of_calls()


def test_a_call_stays_known_when_its_row_is_gone(catalog: list[Version]) -> None:
    call = _call(catalog[0], clock.now() - timedelta(days=2))
    roll_ups.roll_up()
    at = call.created_at
    call.delete()
    [(name, found), *_rest] = next(_told()).items()
    assert (name, found) == ("m0", at)
    assert RegisteredModel.objects.called_since(at).get().name == "m0"
    assert not RegisteredModel.objects.never_called().filter(name="m0").exists()


@pytest.mark.not_quick
def test_who_sees_some_calls_alone_is_told_of_these(catalog: list[Version], user_in: Any) -> None:
    """What is kept is of everybody's calls."""
    me, other = user_in(roles.VIEWER), user_in(roles.OPERATOR)
    for user in (me, other):
        user.groups.clear()
    since = clock.now() - timedelta(days=9)
    mine = _call(catalog[0], since, created_by=me)
    _call(catalog[0], since + timedelta(days=1))
    _call(catalog[2], since)
    roll_ups.roll_up()
    for reader, called in ((me, {"m0": mine.created_at}), (other, {})):
        with guarded.reading_as(reader):
            rows = list(RegisteredModel.objects.described())
            found = {row.name: row.last_call for row in rows if row.last_call}
            since_then = RegisteredModel.objects.called_since(since)
            assert found == called
            assert {row.name for row in since_then} == set(called)
            assert RegisteredModel.objects.never_called().count() == 12 - len(called)


def _kept() -> dict[str, datetime]:
    rows = RegisteredModel.objects.exclude(counted_call_at=None)
    return dict(rows.values_list("name", "counted_call_at"))
