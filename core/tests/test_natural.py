"""Names are sorted as people count, on both databases alike."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Value
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from core.natural import NaturalKey, by_name, natural_key

IN_ORDER = ["cam", "cam_1", "cam_01", "Cam_2", "cam_10", "cam_10_2", "cam_10_11", "cam_100", "d"]


def test_names_are_in_the_order_in_which_people_count() -> None:
    keys = [natural_key(name) for name in IN_ORDER]
    assert keys == sorted(keys)
    assert natural_key("cam_1") == natural_key("cam_01") == natural_key("CAM_001")
    assert natural_key("20261129163000") < natural_key("20261129163001")
    assert natural_key("ÄB") == "Äb"


def test_the_database_has_the_same_order_both_ways(db: None) -> None:
    names = sorted(IN_ORDER, key=lambda name: (natural_key(name), name))
    for name in reversed(names):
        User.objects.create(username=name)
    rows = User.objects.values_list("username", flat=True)
    assert list(rows.order_by(*by_name("username"))) == names
    assert list(rows.order_by(*by_name("-username"))) == names[::-1]


class TheDatabasesKey(TestCase):
    """The key that the database makes is that of Python, so that lists of both are alike."""

    @pytest.mark.not_quick
    @given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=80))
    def test_of_any_name(self, name: str) -> None:
        self._assert_same(name)

    @pytest.mark.not_quick
    @given(st.text("aZ0129_-.", max_size=80))
    def test_of_names_with_many_numbers(self, name: str) -> None:
        self._assert_same(name)

    def _assert_same(self, name: str) -> None:
        User.objects.get_or_create(username="one")
        row = User.objects.annotate(key=NaturalKey(Value(name))).get(username="one")
        assert row.key == natural_key(name)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL needs no function of ours")
def test_each_new_connection_knows_the_function(db: None) -> None:
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT natural_key('cam_2'), natural_key(NULL)")
            assert cursor.fetchone() == (natural_key("cam_2"), None)
    finally:
        other.close()
