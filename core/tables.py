"""Tables whose sort order, filters and page stand in the address, so that a link shows the same.

A view makes one Table; the tags of core/templatetags/elements.py render it::

    table = Table(
        request,
        Version.objects.all(),
        columns=[Column("name", _("Model"), sort="model__name"), Column("size", _("Size"))],
        filters=[Search("q", _("Name"), fields=("model__name__icontains",))],
        default_sort="-created_at",
    )
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Protocol, TypeAlias

from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Page, Paginator
from django.db.models import Count, F, OrderBy, Q, QuerySet, Window
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.functional import cached_property

from core.natural import by_name, natural_key

#: What a table is made of: rows of the database, or a list of things that are at hand.
Rows: TypeAlias = "QuerySet[Any] | Sequence[Any]"

SORT, PAGE = "sort", "page"
#: Rows of a page, so that as many can be ticked at once.
PER_PAGE = 50
#: How a table's rows are counted, see Table.
WITH_ROWS, UP_TO_MANY = "with rows", "up to many"
#: Rows that somebody may page through; the database would need seconds to count millions.
MOST_COUNTED = 10_000
#: Longer texts are no name that anybody searches for.
MOST_SEARCHED = 200


@dataclass(frozen=True)
class Column:
    """One column. ``sort``: the field, or fields, that the rows are sorted by; none: not sortable.

    ``name`` names it in the address (``?sort=-name``), ``numeric`` aligns it to the right.
    ``natural``: the first of the fields is a name, so that v2 comes before v10; ``stored_key``: the
    column that has what names are sorted by (core/natural.py).
    ``hidden_label``: the label is only there for screen readers.
    """

    name: str
    label: Any
    sort: str | Sequence[str] = ()
    numeric: bool = False
    hidden_label: bool = False
    natural: bool = False
    stored_key: str = ""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields to sort by, ascending."""
        return (self.sort,) if isinstance(self.sort, str) else tuple(self.sort)


class Filter(Protocol):
    """What narrows the rows by one parameter of the address."""

    @property
    def name(self) -> str:
        """What it is called in the address."""
        ...

    @property
    def label(self) -> Any:
        """What it is called on the page."""
        ...

    @property
    def kind(self) -> str:
        """How templates/ui/table_filters.html shows it."""
        ...

    def accepted(self, value: str) -> str:
        """``value`` if the filter knows it, else an empty text, which filters nothing."""
        ...

    def apply(self, rows: "Rows", value: str) -> "Rows":
        """The rows that match an accepted value."""
        ...


@dataclass(frozen=True)
class Choice:
    """One of some values. ``choices``: pairs of value and label, as a model's field has them.

    ``field``: what is compared (default: the name). ``narrow``: in its place, a function of rows
    and value. ``any_label``: the option that filters nothing; empty: the filter's label. ``more``:
    while it filters nothing, it is behind "More" (Table.more).
    """

    name: str
    label: Any
    choices: Iterable[tuple[Any, Any]]
    field: str = ""
    narrow: "Callable[[Any, str], Rows] | None" = None
    any_label: Any = ""
    more: bool = False
    kind: str = dataclasses.field(default="choice", init=False)

    def __post_init__(self) -> None:
        # Read once: they may come from the database, or from a generator.
        object.__setattr__(self, "choices", tuple(self.choices))

    @property
    def options(self) -> list[tuple[str, Any]]:
        """The pairs, values as they stand in the address."""
        return [(str(value), label) for value, label in self.choices]

    @property
    def many(self) -> bool:
        """Whether there are so many options that one wants to search them."""
        return len(self.options) > 12

    def accepted(self, value: str) -> str:
        """The value, if it is one of the choices."""
        return value if any(value == known for known, _ in self.options) else ""

    def apply(self, rows: "Rows", value: str) -> "Rows":
        """The rows that have the value."""
        if self.narrow is not None:
            return self.narrow(rows, value)
        name = self.field or self.name
        if isinstance(rows, QuerySet):
            return rows.filter(**{name: value})
        return [row for row in rows if str(_value(row, name)) == value]


@dataclass(frozen=True)
class Search:
    """A text that one of ``fields`` matches: look-ups such as ``name__icontains``.

    ``narrow``: in their place, a function of rows and text.
    """

    name: str
    label: Any
    fields: Sequence[str] = ()
    narrow: "Callable[[Any, str], Rows] | None" = None
    kind: str = dataclasses.field(default="search", init=False)

    def accepted(self, value: str) -> str:
        """The text without blanks around it. PostgreSQL takes no NUL, so no text has one."""
        text = value.strip()
        return "" if "\0" in text else text[:MOST_SEARCHED]

    def apply(self, rows: "Rows", value: str) -> "Rows":
        """The rows that match."""
        if self.narrow is not None:
            return self.narrow(rows, value)
        if isinstance(rows, QuerySet):
            found = Q()
            for lookup in self.fields:
                found |= Q(**{lookup: value})
            return rows.filter(found)
        names = [lookup.removesuffix("__icontains") for lookup in self.fields]
        part = value.lower()
        return [row for row in rows if any(part in str(_value(row, n)).lower() for n in names)]


@dataclass(frozen=True)
class Day:
    """One day in the user's zone: rows whose ``field`` (a time) lies in it."""

    name: str
    label: Any
    field: str
    kind: str = dataclasses.field(default="day", init=False)

    def accepted(self, value: str) -> str:
        """The value, if it is a date such as 2026-02-01."""
        try:
            day = parse_date(value)
        except ValueError:
            return ""
        return day.isoformat() if day is not None and 1900 < day.year < 9000 else ""

    def apply(self, rows: "Rows", value: str) -> "Rows":
        """The rows of that day."""
        day = parse_date(value)
        assert day is not None  # accepted
        zone = timezone.get_current_timezone()
        first = datetime.combine(day, time(), zone)
        after = datetime.combine(day + timedelta(days=1), time(), zone)
        if isinstance(rows, QuerySet):
            return rows.filter(**{f"{self.field}__gte": first, f"{self.field}__lt": after})
        return [row for row in rows if first <= _value(row, self.field) < after]


def _value(row: Any, name: str) -> Any:
    """An attribute of a row of a list; "a__b" is that of an attribute."""
    for part in name.split("__"):
        row = getattr(row, part)
    return row


def _sorted(rows: Sequence[Any], order: str) -> list[Any]:
    """The rows of a list by one attribute, texts as names; those that have none come last."""
    name = order.removeprefix("-")
    known = [row for row in rows if _value(row, name) is not None]
    unknown = [row for row in rows if _value(row, name) is None]
    known.sort(key=lambda row: _comparable(_value(row, name)), reverse=order.startswith("-"))
    return known + unknown


def _may_be_unknown(model: Any, name: str) -> bool:
    """Whether a column of the database, or one that leads to it, may be NULL."""
    for part in name.split("__"):
        try:
            field = model._meta.get_field(part)
        except FieldDoesNotExist:  # "pk", or what a query adds, which says itself what it is
            return False
        if field.null:
            return True
        model = field.related_model
    return False


def _comparable(value: Any) -> Any:
    return (natural_key(value), value) if isinstance(value, str) else value


class _CountedWithRows(Paginator):  # type: ignore[type-arg]
    """Counts the rows in the query that loads a page, so that filters are evaluated once."""

    object_list: "QuerySet[Any]"

    def get_page(self, number: Any) -> "Page[Any]":
        """The page of this number; the nearest where there is none."""
        text = str(number or 1)
        if not (text.isascii() and text.isdigit() and 0 < int(text) <= MOST_COUNTED):
            return super().get_page(number)
        first = (int(text) - 1) * self.per_page
        counted = self.object_list.annotate(counted_rows=Window(Count("*")))
        rows = list(counted[first : first + self.per_page])
        if not rows:
            return super().get_page(number)
        self.count = rows[0].counted_rows
        return Page(rows, int(text), self)


class _CountedUpToMany(Paginator):  # type: ignore[type-arg]
    """Counts no further than MOST_COUNTED; ``more``: there are rows beyond."""

    object_list: "QuerySet[Any]"
    more = False

    @cached_property
    def count(self) -> int:
        """How many rows there are, or MOST_COUNTED where there are more."""
        rows = self.object_list.order_by().values("pk")
        found = int(rows[: MOST_COUNTED + 1].count())
        self.more = found > MOST_COUNTED
        return min(found, MOST_COUNTED)


_PAGINATORS: "dict[str, type[Paginator[Any]]]" = {
    "": Paginator,
    WITH_ROWS: _CountedWithRows,
    UP_TO_MANY: _CountedUpToMany,
}


@dataclass(frozen=True)
class BoundColumn:
    """A column of a table as it is now. ``href`` sorts by it: empty where it cannot be sorted.

    ``order``: "ascending", "descending" or empty, as ``aria-sort`` has it.
    """

    column: Column
    href: str
    order: str

    def __getattr__(self, name: str) -> Any:
        return getattr(self.column, name)


@dataclass(frozen=True)
class BoundFilter:
    """A filter with the value that it has now; empty: it filters nothing."""

    filter: Filter
    value: str

    def __getattr__(self, name: str) -> Any:
        return getattr(self.filter, name)


class Table:
    """The rows of one page, with all that the address says: ``?sort=-size&state=ready&page=2``.

    ``rows``: a QuerySet, or a list of objects, whose attributes are filtered and sorted by. Values
    that are not known are ignored. ``default_sort``: the name of a column, or a field; "-"
    before it reverses. ``keep``: other parameters of the address that links go on with. ``name``
    goes before the parameters where a page has more than one table. ``live``: the id of the element
    with all that was found, which is replaced as somebody types into the search.

    ``counts``: how the rows of the database are counted. WITH_ROWS, in the query that loads a page:
    for filters that take long in rows that are few. UP_TO_MANY, no further than MOST_COUNTED: for
    rows without end. Else by a query of their own.

    ``prepare``: a function of rows of the database and the fields that they are sorted by, which
    adds those that are no columns of theirs.
    """

    def __init__(
        self,
        request: HttpRequest,
        rows: Rows,
        columns: Sequence[Column],
        filters: Sequence[Filter] = (),
        default_sort: str = "",
        per_page: int = PER_PAGE,
        keep: Sequence[str] = (),
        name: str = "",
        live: str = "",
        counts: str = "",
        prepare: "Callable[[Any, Sequence[str]], QuerySet[Any]] | None" = None,
    ) -> None:
        self.name = name
        self._counts = counts
        #: The id of what is replaced as somebody types into the search; empty: nothing is.
        self.live = live
        #: What goes before each of its parameters in the address.
        self.prefix = f"{name}-" if name else ""
        self._given = request.GET
        self._columns = {column.name: column for column in columns}
        self._default = default_sort
        self._all = rows
        self._prepare = prepare
        self._per_page = per_page
        self.filters = [
            BoundFilter(one, one.accepted(self._asked(one.name).replace("\0", "")))
            for one in filters
        ]
        #: Whether a filter leaves out rows; an empty table says another sentence then.
        self.filtered = any(one.value for one in self.filters)
        wanted = self._asked(SORT)
        column = self._columns.get(wanted.removeprefix("-"))
        #: The order, as the address says it.
        self.sort = wanted if column is not None and column.fields else default_sort
        self.kept = [(key, self._given[key]) for key in keep if self._given.get(key)]

    def _asked(self, name: str) -> str:
        return self._given.get(self.prefix + name, "")

    def parameter(self, name: str) -> str:
        """What a filter, the order or the page is called in the address."""
        return self.prefix + name

    @property
    def shown(self) -> list[BoundFilter]:
        """The filters that are seen at once."""
        return [one for one in self.filters if one.value or not getattr(one.filter, "more", False)]

    @property
    def more(self) -> list[BoundFilter]:
        """The filters behind "More": they filter nothing now, and have something to choose."""
        hidden = [one for one in self.filters if one not in self.shown]
        return [one for one in hidden if one.options]

    @cached_property
    def matching(self) -> Rows:
        """All rows that the filters leave, in order."""
        rows = self._all
        for one in self.filters:
            if one.value:
                rows = one.filter.apply(rows, one.value)
        if isinstance(rows, QuerySet):
            fields = self._order()
            if self._prepare is not None:
                rows = self._prepare(rows, [one.removeprefix("-") for one in fields])
            return rows.order_by(*self._expressions(fields))
        for order in reversed(self._order()):
            rows = _sorted(rows, order)
        return rows

    def _order(self) -> list[str]:
        reverse = self.sort.startswith("-")
        name = self.sort.removeprefix("-")
        column = self._columns.get(name)
        fields = column.fields if column is not None and column.fields else (name,)
        # Rows that are otherwise alike need one order, or some would be on two pages.
        sign = "-" if reverse else ""
        last = ("pk",) if isinstance(self._all, QuerySet) else ()
        return [f"{sign}{one}" for one in (*fields, *last) if one]

    def _expressions(self, fields: Sequence[str]) -> list[Any]:
        column = self._columns.get(self.sort.removeprefix("-"))
        model = getattr(self._all, "model", None)  # of rows of the database, as these are
        found: list[Any] = []
        for one in fields:
            if column is not None and column.natural and one.removeprefix("-") == column.fields[0]:
                found.extend(by_name(one, stored=column.stored_key))
            else:
                found.append(self._last_of_unknown(model, one))
        return found

    def _last_of_unknown(self, model: Any, field: str) -> Any:
        """To sort by a field so that rows without a value come last, as in a list.

        PostgreSQL has them first of a descending order, SQLite of an ascending one. Rows without
        end stay as the database has them: they are read in the order of an index.
        """
        name = field.removeprefix("-")
        if self._counts == UP_TO_MANY or not _may_be_unknown(model, name):
            return field
        return OrderBy(F(name), descending=field.startswith("-"), nulls_last=True)

    @cached_property
    def page(self) -> "Page[Any]":
        """The page that the address names: the first where it names none, else the nearest."""
        rows = self.matching
        kind = _PAGINATORS[self._counts] if isinstance(rows, QuerySet) else Paginator
        return kind(rows, self._per_page).get_page(self._asked(PAGE))

    @cached_property
    def rows(self) -> list[Any]:
        """The rows of this page."""
        return list(self.page.object_list)

    @property
    def total(self) -> int:
        """How many rows the filters leave, on all pages; at most MOST_COUNTED of UP_TO_MANY."""
        return self.page.paginator.count

    @property
    def not_all_counted(self) -> bool:
        """Whether there are more rows than ``total``."""
        return self.total == MOST_COUNTED and getattr(self.page.paginator, "more", False)

    @property
    def columns(self) -> list[BoundColumn]:
        """The columns, each with the link that sorts by it."""
        now = self.sort.removeprefix("-")
        bound = []
        for column in self._columns.values():
            order = ""
            if column.name == now or (now and now in column.fields):
                order = "descending" if self.sort.startswith("-") else "ascending"
            # Names begin with a, numbers and times with the largest.
            start = "-" if column.numeric else ""
            if order:
                start = "" if order == "descending" else "-"
            href = self.href(**{SORT: f"{start}{column.name}", PAGE: ""}) if column.fields else ""
            bound.append(BoundColumn(column, href, order))
        return bound

    def href(self, **changed: str) -> str:
        """A link to the table with some parameters changed; empty ones are left out."""
        query = QueryDict(mutable=True)
        for key, value in self.kept:
            query[key] = value
        values = {one.name: one.value for one in self.filters}
        values[SORT] = self.sort if self.sort != self._default else ""
        values[PAGE] = str(self.page_number) if self.page_number > 1 else ""
        for name, value in (values | changed).items():
            if value:
                query[self.prefix + name] = value
        return f"?{query.urlencode()}"

    @cached_property
    def page_number(self) -> int:
        """The page, as the address says it, from 1; links go on with it."""
        asked = self._asked(PAGE)
        return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 1

    @property
    def clear_href(self) -> str:
        """A link to the table without filters."""
        return self.href(**{PAGE: ""}, **{one.name: "" for one in self.filters})

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """What the form of the filters sends beside them: the order, and what is kept."""
        order = [(self.parameter(SORT), self.sort)] if self.sort != self._default else []
        return [*self.kept, *order]

    @property
    def previous_href(self) -> str:
        """A link to the page before; empty on the first."""
        page = self.page
        return self.href(**{PAGE: str(page.number - 1)}) if page.has_previous() else ""

    @property
    def next_href(self) -> str:
        """A link to the page after; empty on the last."""
        page = self.page
        return self.href(**{PAGE: str(page.number + 1)}) if page.has_next() else ""
