"""Rows of calls and their pictures, inserted by one statement that stays the same."""

from collections.abc import Sequence
from typing import Any

from django.db import models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import DatabaseDefault


def insert(rows: Sequence[models.Model], *, key: str = "", update: Sequence[str] = ()) -> None:
    """Insert rows of one model, which get no ``pk``; raises IntegrityError.

    Where there is one of the same ``key``, that takes the values of the columns ``update``.

    As bulk_create() does; but that compiles its statement anew, value by value, which takes longer
    than the database (docs/measured.md).
    """
    if not rows:
        return
    meta = rows[0]._meta
    fields = [each for each in meta.local_concrete_fields if not each.primary_key]
    # The connection itself: `django.db.connection` finds it anew for each value.
    connection = transaction.get_connection()
    name = connection.ops.quote_name
    columns = ", ".join(name(str(each.column)) for each in fields)
    places = ", ".join("%s" for _ in fields)
    # The names are the model's own.
    statement = f"INSERT INTO {name(meta.db_table)} ({columns}) VALUES ({places})"  # noqa: S608
    if key:
        changes = ", ".join(f"{name(one)} = EXCLUDED.{name(one)}" for one in update)
        statement += f" ON CONFLICT ({name(key)}) DO UPDATE SET {changes}"
    values = [[_stored(each, row, connection) for each in fields] for row in rows]
    with connection.cursor() as cursor:
        cursor.executemany(statement, values)


def _stored(field: Any, row: models.Model, connection: BaseDatabaseWrapper) -> Any:
    value = field.pre_save(row, add=True)
    if isinstance(value, DatabaseDefault):  # nobody has set it
        value = field.db_default
    return field.get_db_prep_save(value, connection)
