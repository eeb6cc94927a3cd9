"""A database that refuses NUL, as PostgreSQL does; for tests that run on SQLite, too."""

from typing import Any

from django.db import DataError

from core.storable import has_nul


def refuse(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
    """For ``connection.execute_wrapper``: raises DataError where a text holds a NUL."""
    if has_nul(parameters):
        raise DataError("A text holds a NUL.")
    return execute(sql, parameters, many, context)
