"""Lists in pages, by cursor: a page stays right while rows are added before it.

The cursor holds the values that the last row is sorted by, signed, so that it is read back as it
was given. It belongs to one order: with another ``sort`` it is refused.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.core import signing
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from pydantic import Field

from core.api.headers import set_header
from core.api.problems import Problem
from core.api.schema import ListParameters, Schema

T = TypeVar("T")
_TIME = "t"


class Page(Schema, Generic[T]):
    """One page of a list."""

    items: list[T]
    next: str | None = Field(description="The cursor of the next page; null: this is the last.")


def page(
    request: HttpRequest,
    rows: QuerySet[Any],
    query: ListParameters,
    *,
    order: tuple[str, ...],
) -> dict[str, Any]:
    """The page of ``rows`` that the query asks for; the address of the next in ``Link``.

    ``order``: fields or annotations that are never NULL, with ``-`` for descending; the last must
    be unique. Raises Problem for a cursor that this list did not give.
    """
    ordered = rows.order_by(*order)
    if query.cursor:
        ordered = ordered.filter(_after(order, _read(query.cursor, order)))
    found = list(ordered[: query.limit + 1])
    return _page(request, found, query, lambda row: _cursor(row, order))


def page_of(
    request: HttpRequest,
    items: Sequence[T],
    query: ListParameters,
    *,
    key: Callable[[T], list[str]],
) -> dict[str, Any]:
    """The page of a short list that is in memory, sorted by ``key``, which is unique."""
    order = ("memory", request.path)
    if query.cursor:
        last = _read(query.cursor, order)
        items = [item for item in items if key(item) > last]
    found = list(items[: query.limit + 1])
    return _page(request, found, query, lambda item: _signer(order).sign_object(key(item)))


def _page(
    request: HttpRequest, found: list[Any], query: ListParameters, cursor: Callable[[Any], str]
) -> dict[str, Any]:
    """The page of what was found, which is one more than it shows where there is another page."""
    items = found[: query.limit]
    following = cursor(items[-1]) if len(found) > query.limit else None
    if following is not None:
        parameters = request.GET.copy()
        parameters["cursor"] = following
        where = request.build_absolute_uri(f"{request.path}?{parameters.urlencode()}")
        set_header(request, "Link", f'<{where}>; rel="next"')
    return {"items": items, "next": following}


def _cursor(row: Any, order: tuple[str, ...]) -> str:
    values = []
    for name in order:
        value = row
        for part in name.removeprefix("-").split("__"):
            value = getattr(value, part)
        values.append({_TIME: value.isoformat()} if isinstance(value, datetime) else value)
    return _signer(order).sign_object(values)


def _signer(order: tuple[str, ...]) -> signing.Signer:
    # Without the time, as signing.dumps has it: the same page has the same cursor.
    return signing.Signer(salt=f"core.api.paging {' '.join(order)}")


def _read(cursor: str, order: tuple[str, ...]) -> list[Any]:
    try:
        values = _signer(order).unsign_object(cursor)
    except signing.BadSignature:
        said = _("It is no cursor of this list in this order. Begin with the first page.")
        raise Problem("invalid", errors={"cursor": [said]}) from None
    return [parse_datetime(one[_TIME]) if isinstance(one, dict) else one for one in values]


def _after(order: tuple[str, ...], values: list[Any]) -> Q:
    """Rows that come after the one with these values: a > x, or a = x and b > y, and so on."""
    found = Q(pk__in=[])
    same = Q()
    for name, value in zip(order, values, strict=True):
        field = name.removeprefix("-")
        beyond = "lt" if name.startswith("-") else "gt"
        found |= same & Q(**{f"{field}__{beyond}": value})
        same &= Q(**{field: value})
    return found
