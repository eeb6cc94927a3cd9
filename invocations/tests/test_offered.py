"""What the page offers to call, of more versions than one list can hold."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from invocations import offered
from models_catalog import aliases
from models_catalog.models import Version


@pytest.fixture
def many(make_version: Callable[..., Version], monkeypatch: pytest.MonkeyPatch) -> list[Version]:
    """Six versions of three models, where a list holds four."""
    monkeypatch.setattr(offered, "MOST", 4)
    return [
        make_version(name, number, note=f"비고 {name} run {number}")
        for name in ("ant", "bee", "cat")
        for number in (1, 2)
    ]


def _options(html: str) -> dict[str, str]:
    """The options of the field of the version: text by value, as they stand."""
    part = html.partition('name="version"')[2].partition("</select>")[0] or html
    found = re.findall(r'<option value="([^"]+)"\s*(?:selected)?>\s*(.*?)\s*</option>', part, re.S)
    return {value: " ".join(text.split()) for value, text in found}


def test_the_newest_are_offered_and_what_was_chosen_or_called_for_certain(
    many: list[Version], client_of: Callable[[str], Client], serving: Any
) -> None:
    client = client_of("viewer")
    page = client.get(reverse("invocations:page")).content.decode()
    assert [text.partition(" · ")[0] for text in _options(page).values()] == [
        "bee v2", "bee v1", "cat v2", "cat v1",
    ]  # fmt: skip
    assert f'data-source="{reverse("invocations:versions")}"' in page
    oldest = many[0]
    page = client.get(reverse("invocations:page"), {"version": oldest.pk}).content.decode()
    assert len(_options(page)) == 5
    assert re.search(rf'<option value="{oldest.pk}"\s+selected>', page)


@pytest.mark.not_quick
def test_an_alias_beyond_the_list_is_offered_where_it_is_chosen(
    many: list[Version], client_of: Callable[[str], Client], serving: Any
) -> None:
    for name in ("a", "b", "c"):
        aliases.move(model="cat", name=name, number=1, actor=None)
    page = client_of("viewer").get(reverse("invocations:page"), {"model": "cat@c"})
    assert re.search(r'<option value="cat@c"\s+selected>', page.content.decode())


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ant", ["ant v2", "ant v1", "ant@nightly"]),
        ("ANT 1", ["ant v1", "ant@nightly"]),
        ("ant v2", ["ant v2"]),
        ("비고 run 2 bee", ["bee v2"]),
        ("nightly", ["ant@nightly"]),
        ("ant nightly", ["ant@nightly"]),
        ("nothing like it", []),
        ("a\0nt", ["ant v2", "ant v1", "ant@nightly"]),
        ("9" * 30, []),
    ],
)
def test_the_field_finds_others(
    many: list[Version], client_of: Callable[[str], Client], query: str, found: list[str]
) -> None:
    aliases.move(model="ant", name="nightly", number=1, actor=None)
    answer = client_of("viewer").get(reverse("invocations:versions"), {"q": query})
    texts = [text.partition(" · ")[0] for text in _options(answer.content.decode()).values()]
    assert sorted(texts) == sorted(found)


def test_where_all_fit_none_is_looked_for(
    make_version: Callable[..., Version], client_of: Callable[[str], Client], serving: Any
) -> None:
    make_version()
    assert (
        "data-source" not in client_of("viewer").get(reverse("invocations:page")).content.decode()
    )


def test_models_are_offered_in_the_order_in_which_people_count(
    make_version: Callable[..., Version], client_of: Callable[[str], Client], serving: Any
) -> None:
    for number in (10, 9, 1):
        make_version(f"camera_{number}")
    page = client_of("viewer").get(reverse("invocations:page")).content.decode()
    names = [text.partition(" ")[0] for text in _options(page).values()]
    assert names == ["camera_1", "camera_9", "camera_10"]


@pytest.mark.not_quick
def test_the_first_aliases_are_those_of_the_first_models(many: list[Version]) -> None:
    for model, name in (("cat", "a"), ("bee", "a"), ("ant", "a10"), ("ant", "a9"), ("ant", "live")):
        aliases.move(model=model, name=name, number=1, actor=None)
    found = offered.likely()
    assert [str(alias) for alias in found.aliases] == ["ant@live", "ant@a9"]
    assert found.more


def test_what_an_option_says_is_loaded_with_it(
    many: list[Version], django_assert_num_queries: Any
) -> None:
    aliases.move(model="ant", name="nightly", number=1, actor=None)
    oldest = many[0].pk
    with django_assert_num_queries(4):  # versions, models with an alias, their aliases, the oldest
        found = offered.likely(wanted=[oldest])
        texts = [text for _model, pairs in found.version_options for _value, text in pairs]
        assert found.alias_options == [("ant@nightly", "ant@nightly · v1")]
        assert found.narrowed("ant").versions
    assert texts[0] == "ant v1 · 비고 ant run 1"
