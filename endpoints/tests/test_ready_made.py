"""That a test which is given an endpoint has what a test has that makes one."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.db import transaction

from core import clock
from endpoints.models import Endpoint
from endpoints.tests.account import Account
from endpoints.tests.conftest import ask_for, serve_at_once
from endpoints.tests.ready_made import ReadyMade

pytestmark = [pytest.mark.django_db, pytest.mark.not_quick]
THEN = datetime(2026, 10, 1, 12, tzinfo=UTC)
NOT_THEIRS = {"auth", "contenttypes", "sessions"}


def _rows(endpoint: Endpoint) -> dict[str, list[dict[str, Any]]]:
    """All rows, with ids as they are in a table that was new."""
    found = {}
    for model in apps.get_models():
        if model._meta.app_label in NOT_THEIRS:
            continue
        rows: list[dict[str, Any]] = [*model._base_manager.order_by("pk").values()]
        for number, row in enumerate(rows):
            for name in {"endpoint_id", "subject_id"} & row.keys():
                row[name] -= endpoint.pk
            row["id"] = number
        if rows:
            found[model._meta.label] = rows
    return found


class Standing:
    """A database for which it is always ``time``: many columns hold ``clock.now`` itself."""

    vendor = "postgresql"

    def __init__(self, time: datetime) -> None:
        self.time = time

    def cursor(self) -> Any:
        return contextlib.nullcontext(self)

    def execute(self, sql: str) -> None:
        assert sql == "SELECT clock_timestamp()"

    def fetchone(self) -> tuple[datetime]:
        return (self.time,)


def _in_the_account(account: Account) -> dict[str, Any]:
    return vars(account) | {"clock": repr(account.clock)}


@pytest.mark.parametrize("make", [ask_for, serve_at_once])
def test_what_is_put_back_is_what_a_creation_makes_at_that_time(
    monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    ready = ReadyMade(make)
    made = []

    def counted(account: Account) -> Endpoint:
        made.append(account)
        endpoint: Endpoint = make(account)
        return endpoint

    ready.make = counted

    def at(time: datetime, give: Any) -> Any:
        account = Account()
        with monkeypatch.context() as patch, time_machine.travel(time, tick=False):
            patch.setattr(clock, "connection", Standing(time))
            account.install(patch)
            with transaction.atomic():
                endpoint = give(account)
                rows = _rows(endpoint)
                transaction.set_rollback(True)
            held = {name: value for name, value in vars(endpoint).items() if name != "_state"}
            held["id"] = 0
            return held, rows, _in_the_account(account)

    first = at(THEN, ready.of)
    later = THEN + timedelta(days=3, microseconds=5)
    put_back = at(later, ready.of)
    assert len(made) == 1
    assert put_back == at(later, make)
    assert put_back != first  # in its times
    kinds = {"endpoints.Endpoint", "endpoints.Revision", "endpoints.Resource", "activity.Event"}
    assert kinds <= put_back[1].keys()
    assert ("endpoints.InstanceRun" in put_back[1]) == (make is serve_at_once)


def test_no_time_of_it_is_in_the_future(monkeypatch: pytest.MonkeyPatch) -> None:
    took = timedelta(minutes=1)
    with time_machine.travel(THEN, tick=False) as travelling:
        database = Standing(THEN)
        monkeypatch.setattr(clock, "connection", database)

        def make(account: Account) -> Endpoint:
            endpoint = ask_for(account)
            travelling.shift(took)
            database.time += took
            return endpoint

        ready = ReadyMade(make)
        for _ in range(2):
            account = Account()
            account.install(monkeypatch)
            with transaction.atomic():
                assert ready.of(account).created_at == THEN
                transaction.set_rollback(True)
    assert database.time == THEN + took, "it was put back"


def test_it_is_made_where_anything_is_not_as_the_first_time(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    made = []

    def make(account: Account) -> Endpoint:
        made.append(account)
        return ask_for(account)

    ready = ReadyMade(make)

    def is_made(*, quotas: dict[str, int] | None = None, beside: str = "") -> bool:
        account = Account()
        account.install(monkeypatch)
        account.quotas = quotas
        with transaction.atomic():
            if beside:
                Endpoint.objects.create(name=beside)
            ready.of(account)
            transaction.set_rollback(True)
        return account in made

    assert is_made()
    assert not is_made()
    assert is_made(beside="other")
    assert not is_made()
    assert is_made(quotas={"ml.m5.large": 5})
    with time_machine.travel(THEN):
        assert is_made()
    assert not is_made()
    settings.MODEL_PREFIX = "others"
    assert is_made()
    assert not is_made()
