"""Addresses of rows are those of django.urls.reverse."""

import pytest
from django.urls import NoReverseMatch, reverse, set_script_prefix

from core.links import link


@pytest.mark.parametrize(
    ("view", "parts"),
    [
        ("home", ()),
        ("invocations:result", (7,)),
        ("invocations:result", (70_000_017_000_001,)),
        ("models_catalog:model", ("digits",)),
        ("models_catalog:version", ("digits", 3)),
        ("models_catalog:version", ("part-0-of", 7_000_002)),
        ("models_catalog:model", ("100 % of é, a+b=c & d?#",)),
        ("models_catalog:alias", ("one", "two")),
    ],
)
def test_a_link_is_what_reverse_says(view: str, parts: tuple[int | str, ...]) -> None:
    assert link(view, *parts) == reverse(view, args=parts)


def test_a_link_begins_with_the_prefix_of_the_request() -> None:
    set_script_prefix("/portal/")
    try:
        assert link("invocations:result", 7) == "/portal/calls/7/"
    finally:
        set_script_prefix("/")
    assert link("invocations:result", 7) == "/calls/7/"


def test_a_row_without_a_number_has_no_link() -> None:
    with pytest.raises(NoReverseMatch):
        link("invocations:result", None)  # type: ignore[arg-type]
