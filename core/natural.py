"""Names in the order in which people count: camera_2 before camera_10.

The database sorts by a key that it makes of each name as it sorts: nothing has to be kept, and what
the release before writes is in its place, too. Where there are
thousands of names (models) the key is a column as well, and is made where it is empty.
"""

import re
from typing import Any, TypeVar

from django.db.models import F, Func, OrderBy, QuerySet, TextField, Value
from django.db.models.functions import Coalesce, NullIf

_Rows = TypeVar("_Rows", bound="QuerySet[Any]")

# Of longer numbers the order is that of their digits. A smaller width takes PostgreSQL less time.
_WIDTH = 12
_DIGITS = re.compile(r"[0-9]+")
_FUNCTION = "natural_key"


def natural_key(name: str) -> str:
    """What a name is sorted by: all numbers of one width, letters without their case."""
    lower = name.lower() if name.isascii() else _lower_ascii(name)
    return _DIGITS.sub(lambda digits: digits[0].lstrip("0").zfill(_WIDTH), lower)


def _lower_ascii(name: str) -> str:
    # As PostgreSQL does it with the collation C; of other letters the cases are two letters.
    return "".join(one.lower() if one.isascii() else one for one in name)


class NaturalKey(Func):
    """`natural_key` of a field, in the database: the same order on SQLite and PostgreSQL."""

    function = _FUNCTION

    def __init__(self, field: Any) -> None:
        super().__init__(field, output_field=TextField())

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Put zeros before each number, then take away those that are too many."""
        lower = 'lower((%(expressions)s) COLLATE "C")'
        widened = f"regexp_replace({lower}, '[0-9]+', '{'0' * _WIDTH}\\&', 'g')"
        template = f"regexp_replace({widened}, '0*([0-9]{{{_WIDTH}}})', '\\1', 'g')"
        return super().as_sql(compiler, connection, template=template, **context)


def key_of(field: str, *, stored: str = "") -> Any:
    """The key of a field; ``stored``: the column that has it, where it is not empty."""
    made = NaturalKey(field)
    return Coalesce(NullIf(F(stored), Value("", TextField())), made) if stored else made


def by_name(field: str, *, stored: str = "") -> list[OrderBy]:
    """The order by names, for order_by(): those that differ in zeros or case alone have one, too.

    ``field`` with "-" before it: the other way round. ``stored``: as `key_of` has it.
    """
    descending = field.startswith("-")
    name = field.removeprefix("-")
    return [OrderBy(one, descending=descending) for one in (key_of(name, stored=stored), F(name))]


#: What `with_sorting_key` adds; lists in pages, by cursor, are sorted by it and then by the name.
SORTING_KEY = "sorting_key"


def with_sorting_key(rows: _Rows, *, stored: str = "") -> _Rows:
    """The rows with the key of their ``name`` as ``sorting_key``."""
    return rows.annotate(**{SORTING_KEY: key_of("name", stored=stored)})


def teach_sqlite(connection: Any, **_signal: Any) -> None:
    """Give a new connection the function; PostgreSQL has what it needs."""
    if connection.vendor == "sqlite":
        connection.connection.create_function(_FUNCTION, 1, _of_sql, deterministic=True)


def _of_sql(name: str | None) -> str | None:
    return None if name is None else natural_key(name)
