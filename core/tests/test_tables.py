"""A table shows what the address says: order, filters and page; unknown values are ignored."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Right
from django.template import engines
from django.test import RequestFactory
from django.utils import timezone

from core.tables import UP_TO_MANY, WITH_ROWS, Choice, Column, Day, Search, Table

COLUMNS = [
    Column("name", "Name", sort="username"),
    Column("joined", "Joined", sort="date_joined", numeric=True),
    Column("actions", ""),
]
FILTERS = [
    Search("q", "Name", fields=("username__icontains", "email__icontains")),
    Choice("active", "Active", [(True, "yes"), (False, "no")], field="is_active"),
    Day("day", "Day", field="date_joined"),
]


@pytest.fixture(autouse=True)
def people(db: None) -> None:
    for n in range(7):
        User.objects.create(
            username=f"person-{n}",
            email="x@example.com" if n == 3 else "",
            is_active=n != 5,
            date_joined=datetime(2026, 2, 1 + n % 2, 23, 30, n, tzinfo=UTC),
        )


def _table(question: str = "", **options: Any) -> Table:
    rows = options.pop("rows", User.objects.all())
    given = {"columns": COLUMNS, "filters": FILTERS, "default_sort": "name", "per_page": 3}
    return Table(RequestFactory().get(f"/?{question}"), rows, **(given | options))


def _names(table: Table) -> list[str]:
    return [person.username.removeprefix("person-") for person in table.rows]


@pytest.mark.parametrize(
    ("question", "shown"),
    [
        ("", "012"),
        ("page=2", "345"),
        ("page=3", "6"),
        ("page=99", "6"),
        ("page=0", "6"),
        ("page=-1", "6"),
        ("page=x", "012"),
        ("sort=-name", "654"),
        ("sort=joined", "024"),
        ("sort=-joined", "531"),
        ("sort=password", "012"),
        ("sort=actions", "012"),
        ("q=PERSON-4", "4"),
        ("q=example", "3"),
        ("q=nobody", ""),
        ("q=%00", "012"),
        ("active=False", "5"),
        ("active=maybe", "012"),
        ("day=2026-02-02", "135"),
        ("day=2026-02-30", "012"),
        ("day=0001-01-01", "012"),
        ("day=yesterday", "012"),
        ("active=True&day=2026-02-02&sort=-name", "31"),
        ("unknown=1", "012"),
    ],
)
def test_the_address_says_what_is_shown(question: str, shown: str) -> None:
    assert _names(_table(question)) == list(shown)


def test_a_day_is_one_in_the_users_zone() -> None:
    with timezone.override("Asia/Seoul"):
        assert _table("day=2026-02-02").total == 4  # those of the first, 23:30 UTC
        assert _table("day=2026-02-01").total == 0


def test_choices_may_be_read_once_only() -> None:
    active = Choice("active", "Active", ((one, str(one)) for one in (True, False)), "is_active")
    table = _table("active=False", filters=[active])
    assert _names(table) == ["5"]
    assert [value for value, _ in table.filters[0].options] == ["True", "False"]


def test_many_choices_can_be_searched() -> None:
    few, many = (Choice("n", "N", [(n, n) for n in range(count)]) for count in (12, 13))
    text = [_rendered("{% table_filters table %}", _table(filters=[one])) for one in (few, many)]
    assert ["data-combobox" in one for one in text] == [False, True]


def test_filtered_tells_a_filter_that_is_set_from_none() -> None:
    assert not _table().filtered
    assert not _table("active=maybe&day=never&q=%20").filtered
    assert _table("q=x").filtered


def test_links_keep_what_the_address_says() -> None:
    table = _table("q=person&sort=-joined&page=2&person=7&x=y", keep=("person",))
    assert table.next_href == "?person=7&q=person&sort=-joined&page=3"
    assert table.previous_href == "?person=7&q=person&sort=-joined&page=1"
    assert table.clear_href == "?person=7&sort=-joined"
    name, joined, actions = table.columns
    assert (name.href, name.order) == ("?person=7&q=person&sort=name", "")
    assert (joined.href, joined.order) == ("?person=7&q=person&sort=joined", "descending")
    assert (actions.href, actions.order) == ("", "")
    assert table.hidden == [("person", "7"), ("sort", "-joined")]


def test_the_first_click_sorts_numbers_from_the_largest_and_the_second_turns_the_order() -> None:
    assert [column.href for column in _table().columns] == ["?sort=-name", "?sort=-joined", ""]


def test_a_field_may_be_the_default_order() -> None:
    table = _table(default_sort="-username")
    assert _names(table) == ["6", "5", "4"]
    assert table.columns[0].order == "descending"


def test_rows_that_are_alike_are_each_on_one_page() -> None:
    User.objects.update(date_joined=datetime(2026, 2, 1, tzinfo=UTC))
    pages = [_table(f"sort=-joined&page={n}") for n in (1, 2, 3)]
    assert sorted(name for table in pages for name in _names(table)) == list("0123456")


def test_two_tables_of_a_page_have_names_of_their_own() -> None:
    table = _table("a-q=person-1&q=person-2&a-page=1", name="a")
    assert _names(table) == ["1"]
    assert table.next_href == ""
    assert table.columns[0].href == "?a-q=person-1&a-sort=-name"


@pytest.mark.parametrize(
    ("question", "shown"),
    [
        ("", "012"),
        ("page=3", "6"),
        ("sort=-joined", "531"),
        ("q=EXAMPLE", "3"),
        ("active=False", "5"),
        ("day=2026-02-02", "135"),
    ],
)
def test_a_list_is_filtered_and_sorted_as_rows_of_the_database(question: str, shown: str) -> None:
    assert _names(_table(question, rows=list(User.objects.order_by("?")))) == list(shown)


def test_what_a_list_has_no_value_of_comes_last() -> None:
    people = list(User.objects.order_by("username"))[:3]
    people[1].last_login = datetime(2026, 2, 1, tzinfo=UTC)
    people[2].last_login = datetime(2026, 2, 2, tzinfo=UTC)
    columns = [Column("seen", "Seen", sort="last_login")]
    for sort, shown in (("seen", "120"), ("-seen", "210")):
        assert _names(_table(f"sort={sort}", rows=people, columns=columns)) == list(shown)


def test_rows_of_the_database_without_a_value_come_last_too() -> None:
    User.objects.exclude(username__in=["person-0", "person-1", "person-2"]).delete()
    for number in (1, 2):
        seen = datetime(2026, 2, number, tzinfo=UTC)
        User.objects.filter(username=f"person-{number}").update(last_login=seen)
    columns = [Column("seen", "Seen", sort="last_login")]
    for sort, shown in (("seen", "120"), ("-seen", "210")):
        assert _names(_table(f"sort={sort}", columns=columns)) == list(shown)


def test_a_page_asks_two_queries(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        table = _table("q=person&page=2")
        assert (len(table.rows), table.total, len(table.columns)) == (3, 7, 3)


def test_rows_can_be_counted_with_those_of_a_page(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        table = _table("q=person&page=2", counts=WITH_ROWS)
        assert (_names(table), table.total) == (list("345"), 7)
    assert (_names(_table("page=99", counts=WITH_ROWS)), _table(counts=WITH_ROWS).total) == (
        ["6"],
        7,
    )
    none = _table("q=nobody", counts=WITH_ROWS)
    assert (none.rows, none.total) == ([], 0)


@pytest.mark.parametrize("page", ["", "2", "3", "99", "0", "-1", "x", "1.5", "²", "9" * 30])
def test_however_rows_are_counted_a_page_is_the_same(page: str) -> None:
    plain, counted, capped = (_table(f"page={page}", counts=c) for c in ("", WITH_ROWS, UP_TO_MANY))
    assert _names(plain) == _names(counted) == _names(capped)
    assert plain.page.number == counted.page.number == capped.page.number
    assert plain.total == counted.total == capped.total


def test_what_rows_are_sorted_by_can_be_added_where_it_is_asked_for() -> None:
    asked: list[list[str]] = []

    def prepare(rows: Any, fields: Any) -> Any:
        asked.append(list(fields))
        return rows.annotate(last=Right("username", 1)) if "last" in fields else rows

    columns = [*COLUMNS, Column("last", "Last", sort="last")]
    assert _names(_table("sort=-last", columns=columns, prepare=prepare)) == list("654")
    assert _names(_table("", columns=columns, prepare=prepare)) == list("012")
    assert asked == [["last", "pk"], ["username", "pk"]]


def test_rows_without_end_are_counted_so_far_and_no_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.tables.MOST_COUNTED", 6)
    table = _table("page=2", counts=UP_TO_MANY)
    assert (table.total, table.not_all_counted, table.next_href) == (6, True, "")
    assert "4–6 of more than 6" in _rendered("{% table_pages table %}", table)
    monkeypatch.setattr("core.tables.MOST_COUNTED", 7)
    assert "4–6 of 7" in _rendered("{% table_pages table %}", _table("page=2", counts=UP_TO_MANY))


def _rendered(source: str, table: Table) -> str:
    return str(
        engines["django"].from_string(source).render({"table": table}, RequestFactory().get("/"))
    )


def test_what_was_typed_is_escaped_and_comes_back() -> None:
    text = _rendered("{% table_filters table %}", _table("q=%22%3E%3Cb%3E"))
    assert "&quot;&gt;&lt;b&gt;" in text
    assert "<b>" not in text


def test_the_head_says_the_order_and_has_a_box_for_all_rows() -> None:
    text = _rendered("{% table_head table select=True %}", _table("sort=-name"))
    assert 'aria-sort="descending"' in text
    assert 'href="?sort=name"' in text
    assert "data-select-all" in text
    assert "Actions" in text


def test_pages_say_which_rows_are_shown() -> None:
    assert "4–6 of 7" in _rendered("{% table_pages table %}", _table("page=2"))
    assert "7 rows" in _rendered("{% table_filters table %}", _table(per_page=50))
    assert "1 row<" in _rendered("{% table_filters table %}", _table("q=person-1"))
    assert _rendered("{% table_pages table %}", _table(per_page=50)).strip() == ""
