"""Endpoints that many tests begin with: made once in each process, then put back by their rows.

To create one and step on until it serves takes a hundred queries. Where nothing differs from the
first time, its rows and its resources in the account are put back, with times as far from now as
they were. With other settings it is another one. Where a row is there that is asked for, or the
account was used before, the endpoint is made as a user would.
"""

import pickle
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.conf import settings as portal
from django.core.management.color import no_style
from django.db import connection
from django.db.models import DateTimeField, Model
from django.utils import timezone

from core import clock
from endpoints.models import Endpoint
from endpoints.tests.account import Account

_OF_EACH = {"clock", "_since"}
"""What differs between two accounts that nobody used."""


class ReadyMade:
    """One that ``make`` makes in an account that nobody used."""

    def __init__(self, make: Callable[[Account], Endpoint]) -> None:
        self.make = make
        self._kept: list[_Kept] = []

    def of(self, account: Account) -> Endpoint:
        """Have one in ``account``; how it comes there is no matter to the test."""
        if not _unused(account) or not _clocks_agree():
            return self.make(account)
        values = _settings()
        for kept in self._kept:
            if kept.settings == values:
                return kept.put_back(account) if kept.alone() else self.make(account)
        endpoint, kept_now = _kept(account, self.make, values)
        if kept_now is not None:
            self._kept.append(kept_now)
        return endpoint


class _Kept:
    """What a creation left, and what it depended on."""

    def __init__(
        self,
        *,
        settings: dict[str, Any],
        since: datetime,
        until: datetime,
        asked: set[str],
        rows: dict[type[Model], list[Model]],
        account: dict[str, Any],
        pk: int,
    ) -> None:
        self._until = until
        self.settings = settings
        name = connection.ops.quote_name
        any_row = " OR ".join(f"EXISTS (SELECT 1 FROM {name(one)})" for one in sorted(asked))
        self._any_row = f"SELECT {any_row}"
        self._inserts = [_insert(model, found, since) for model, found in rows.items()]
        # PostgreSQL's sequences do not move with rows that bring their ids.
        self._after = connection.ops.sequence_reset_sql(no_style(), list(rows))
        self._account = pickle.dumps(account)
        self._pk = pk

    def alone(self) -> bool:
        """Whether there is no row that a creation would ask for."""
        with connection.cursor() as cursor:
            cursor.execute(self._any_row)
            return not cursor.fetchone()[0]

    def put_back(self, account: Account) -> Endpoint:
        # Since its end: no time of a creation is in the future when it is over.
        passed = timezone.now() - self._until
        with connection.cursor() as cursor:
            for sql, rows in self._inserts:
                cursor.executemany(sql, [[value(passed) for value in row] for row in rows])
            for sql in self._after:
                cursor.execute(sql)
        for name, value in pickle.loads(self._account).items():
            before = getattr(account, name)
            if isinstance(before, dict):  # some are handed out (Account.install)
                before.update(value)
            else:
                setattr(account, name, value)
        return Endpoint.objects.get(pk=self._pk)


def _unused(account: Account) -> bool:
    fresh = vars(Account())
    now = vars(account)
    return now.keys() == fresh.keys() and all(
        now[name] == fresh[name] for name in fresh.keys() - _OF_EACH
    )


def _clocks_agree() -> bool:
    """Whether neither the database's clock nor the process's own was moved."""
    return abs(clock.now() - timezone.now()) < timedelta(seconds=1)


def _settings() -> dict[str, Any]:
    return {name: getattr(portal, name) for name in dir(portal) if name.isupper()}


def _kept(
    account: Account, make: Callable[[Account], Endpoint], settings: dict[str, Any]
) -> tuple[Endpoint, _Kept | None]:
    """Make one, and keep it; without what is kept where there were rows before."""
    models = {model._meta.db_table: model for model in apps.get_models() if model._meta.managed}
    asked: set[str] = set()

    def look(execute: Callable[..., Any], sql: str, *others: Any) -> Any:
        asked.update(models.keys() & re.findall(r'"(\w+)"', sql))
        return execute(sql, *others)

    before = {table for table, model in models.items() if model._base_manager.exists()}
    since = timezone.now()
    with connection.execute_wrapper(look):
        endpoint = make(account)
    until = timezone.now()
    if asked & before:
        return endpoint, None
    rows = {models[table]: list(models[table]._base_manager.all()) for table in sorted(asked)}
    return endpoint, _Kept(
        settings=settings,
        since=since,
        until=until,
        asked=asked,
        rows={model: found for model, found in rows.items() if found},
        account={
            name: value
            for name, value in vars(account).items()
            if name != "_since" and value != vars(Account())[name]
        },
        pk=endpoint.pk,
    )


def _insert(
    model: type[Model], found: list[Model], since: datetime
) -> tuple[str, list[list[Callable[[timedelta], Any]]]]:
    """The statement, and for each column of each row what gives it by the time that passed."""
    name = connection.ops.quote_name
    fields = model._meta.concrete_fields
    columns = ", ".join(name(str(field.column)) for field in fields)
    sql = f"INSERT INTO {name(model._meta.db_table)} ({columns}) VALUES "
    sql += f"({', '.join(['%s'] * len(fields))})"
    return sql, [[_column(field, row, since) for field in fields] for row in found]


def _column(field: Any, row: Model, since: datetime) -> Callable[[timedelta], Any]:
    value = getattr(row, field.attname)
    # What the account says is of its own clock, which stands in the past.
    if isinstance(field, DateTimeField) and value is not None and value >= since:
        return lambda passed: field.get_db_prep_save(value + passed, connection)
    prepared = field.get_db_prep_save(value, connection)
    return lambda passed: prepared
