"""Metadata in the database: the number that a version has of a key, and all keys there are."""

from typing import Any

from django.db import connection
from django.db.models import FloatField, Func

from core.remembered import Remembered

_KEPT_S = 10.0
_keys: Remembered[str, list[str]] = Remembered(keep_s=_KEPT_S)


class NumberOf(Func):
    """The number that ``metadata`` has of a key, as an expression; NULL where it has none.

    A text is no number, whatever it says.
    """

    def __init__(self, key: str, *, column: str = "metadata", **extra: Any) -> None:
        super().__init__(column, output_field=FloatField(), **extra)
        self.key = key

    def as_postgresql(
        self, compiler: Any, connection: Any, **_extra: Any
    ) -> tuple[str, tuple[Any, ...]]:
        """The SQL of PostgreSQL."""
        column, given = compiler.compile(self.source_expressions[0])
        sql = (
            # untranslated: SQL
            f"CASE WHEN jsonb_typeof({column} -> %s) = 'number' "
            f"THEN ({column} ->> %s)::double precision END"
        )
        return sql, (*given, self.key, *given, self.key)

    def as_sqlite(
        self, compiler: Any, connection: Any, **_extra: Any
    ) -> tuple[str, tuple[Any, ...]]:
        """The SQL of SQLite."""
        column, given = compiler.compile(self.source_expressions[0])
        path = f'$."{self.key}"'
        sql = (
            f"CASE WHEN JSON_TYPE({column}, %s) IN ('integer', 'real') "
            f"THEN CAST(JSON_EXTRACT({column}, %s) AS REAL) END"
        )
        return sql, (*given, path, *given, path)


def keys() -> list[str]:
    """The keys that any version has, sorted; as they were within the last seconds."""
    return _keys.get("", _ask) or []


def _ask() -> list[str]:
    each = (
        "jsonb_object_keys(metadata) AS found(key)"
        if connection.vendor == "postgresql"
        else "json_each(metadata) AS found"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT found.key FROM models_catalog_version, {each} "  # noqa: S608 - ours
            "WHERE metadata IS NOT NULL ORDER BY 1"
        )
        return [key for (key,) in cursor.fetchall()]
