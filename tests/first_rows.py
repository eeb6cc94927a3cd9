"""The rows that every test begins with: what `migrate` makes, and the roles.

A test that commits has the database flushed after it. Django then makes content types and
permissions anew, with other ids and without the roles; here the rows are put back as they were.
"""

from typing import Any

from django.apps import apps
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connection, transaction

from accounts import roles


class FirstRows:
    """The rows of the database of the tests before the first test."""

    def __init__(self) -> None:
        roles.ensure_roles()
        self.permissions = permissions_of_roles()
        self._inserts: list[tuple[str, list[Any]]] = []
        name = connection.ops.quote_name
        with connection.cursor() as cursor:
            for table in connection.introspection.django_table_names(
                only_existing=True, include_views=False
            ):
                cursor.execute(f"SELECT * FROM {name(table)}")
                if rows := cursor.fetchall():
                    columns = ", ".join(name(column[0]) for column in cursor.description)
                    values = ", ".join(["%s"] * len(cursor.description))
                    sql = f"INSERT INTO {name(table)} ({columns}) VALUES ({values})"
                    self._inserts.append((sql, rows))

    def put_back(self) -> None:
        """Empty the database, but for these rows."""
        # Without the signal that would make content types and permissions anew.
        call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=True)
        # PostgreSQL's sequences begin anew, and do not move with rows that bring their ids.
        after = connection.ops.sequence_reset_sql(no_style(), apps.get_models())
        with transaction.atomic(), connection.cursor() as cursor:
            for sql, rows in self._inserts:
                cursor.executemany(sql, rows)
            for sql in after:
                cursor.execute(sql)


def permissions_of_roles() -> dict[str, tuple[str, ...]]:
    """What each role may do under the settings of now."""
    return {role: roles.permissions_of(role) for role in roles.ALL}
