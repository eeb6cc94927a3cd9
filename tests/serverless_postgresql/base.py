"""A database backend for the linter of migrations: PostgreSQL's SQL, with no server.

``sqlmigrate`` only writes SQL down, but opens a transaction, and asks for the server's version and
for what exists. This backend answers: a supported version, nothing, and no transaction.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from django.db.backends.postgresql import base, introspection, operations
from psycopg.sql import quote


class DatabaseIntrospection(introspection.DatabaseIntrospection):
    """An empty database."""

    def get_table_list(self, cursor: Any) -> list[Any]:
        return []

    def get_constraints(self, cursor: Any, table_name: str) -> dict[str, Any]:
        return {}


class DatabaseOperations(operations.DatabaseOperations):
    """Writes parameters into a statement by itself, where Django asks a connection to."""

    def compose_sql(self, sql: str, params: Any) -> str:
        return sql % tuple(quote(value) for value in params) if params else sql


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to nowhere."""

    introspection_class = DatabaseIntrospection
    ops_class = DatabaseOperations
    pg_version = 160000

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.autocommit = True

    def ensure_connection(self) -> None:
        """There is nothing to connect to."""

    def _set_autocommit(self, autocommit: bool) -> None:
        """There is no transaction."""

    @contextlib.contextmanager
    def cursor(self) -> Iterator[None]:
        yield None
