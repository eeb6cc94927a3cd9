"""Tables as CSV that spreadsheets open, without running what a cell holds."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

#: A spreadsheet takes a cell that begins with one of these for a formula (OWASP: CSV Injection).
FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: A file for spreadsheets has so many rows at most.
MOST_EXPORTED = 10_000
#: Tells Excel that the file is UTF-8.
BYTE_ORDER_MARK = "\ufeff"


class _Line:
    """What csv.writer writes to: gives each line back."""

    def write(self, line: str) -> str:
        return line


def cell(value: Any) -> str:
    """A value as a text; with an apostrophe before it where it would be taken for a formula.

    A number is none, a negative one neither.
    """
    if isinstance(value, int | float | Decimal):
        return str(value)
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_BEGINS) else text


def lines(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The lines of the file, one after the other, so that a large one needs no memory."""
    writer = csv.writer(_Line())
    yield BYTE_ORDER_MARK + writer.writerow([cell(one) for one in head])
    for row in rows:
        yield writer.writerow([cell(one) for one in row])
