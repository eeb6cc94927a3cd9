"""Metadata in the database: the number that a version has of a key, and all keys there are.

In two parts, so that a query that looks for numbers reads each document no more often than it must.
"""

from typing import Any

from django.db import connection, models
from django.db.models import BooleanField, FloatField, Func

from core import guarded
from core.remembered import Remembered

_KEPT_S = 10.0
_keys: Remembered[str, list[str]] = Remembered(keep_s=_KEPT_S)


class IsNumber(Func):
    """Whether ``metadata`` has a number of a key: not a text, whatever it says."""

    def __init__(self, key: str, **extra: Any) -> None:
        super().__init__("metadata", output_field=BooleanField(), **extra)
        self.key = key

    def as_postgresql(
        self, compiler: Any, connection: Any, **_extra: Any
    ) -> tuple[str, tuple[Any, ...]]:
        """The SQL of PostgreSQL, which takes a comparison for one that few rows pass.

        It would join row by row then; that something is not null it takes for what most are.
        """
        column, given = compiler.compile(self.source_expressions[0])
        # untranslated: SQL
        sql = f"(NULLIF(jsonb_typeof({column} -> %s) = 'number', false) IS NOT NULL)"
        return sql, (*given, self.key)

    def as_sqlite(
        self, compiler: Any, connection: Any, **_extra: Any
    ) -> tuple[str, tuple[Any, ...]]:
        """The SQL of SQLite."""
        column, given = compiler.compile(self.source_expressions[0])
        return f"(JSON_TYPE({column}, %s) IN ('integer', 'real'))", (*given, _path(self.key))


class NumberOf(Func):
    """The number that ``metadata`` has of a key, in rows that `IsNumber` has left."""

    def __init__(self, key: str, **extra: Any) -> None:
        super().__init__("metadata", output_field=FloatField(), **extra)
        self.key = key

    def as_postgresql(
        self, compiler: Any, connection: Any, **_extra: Any
    ) -> tuple[str, tuple[Any, ...]]:
        """The SQL of PostgreSQL."""
        column, given = compiler.compile(self.source_expressions[0])
        return f"({column} ->> %s)::double precision", (*given, self.key)

    def as_sqlite(
        self, compiler: Any, connection: Any, **_extra: Any
    ) -> tuple[str, tuple[Any, ...]]:
        """The SQL of SQLite."""
        column, given = compiler.compile(self.source_expressions[0])
        return f"CAST(JSON_EXTRACT({column}, %s) AS REAL)", (*given, _path(self.key))


def _path(key: str) -> str:
    return f'$."{key}"'


def keys(versions: models.QuerySet[Any]) -> list[str]:
    """The keys that any version has, sorted; as they were within the last seconds.

    ``versions``: all that who reads may see.
    """
    return _keys.get("", lambda: _ask(versions)) or []


def _ask(versions: models.QuerySet[Any]) -> list[str]:
    seen, given = "", ()
    if guarded.hidden() is not None:
        seen, given = versions.order_by().values("pk").query.sql_with_params()
        seen = f"AND models_catalog_version.id IN ({seen}) "
    each = (
        "jsonb_object_keys(metadata) AS found(key)"
        if connection.vendor == "postgresql"
        else "json_each(metadata) AS found"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT found.key FROM models_catalog_version, {each} "  # noqa: S608 - ours
            f"WHERE metadata IS NOT NULL {seen}ORDER BY 1",
            given,
        )
        return [key for (key,) in cursor.fetchall()]
