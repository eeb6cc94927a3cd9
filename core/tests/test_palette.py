"""The search asks every source, shows each page once, and nothing that a source does not give."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.test import Client

from core import palette
from core.palette import Hit


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What sources were asked for."""
    asked: list[str] = []

    def pages(user: User, query: str) -> list[Hit]:
        asked.append(query)
        names = ["Redigits", "Digits", "<b>igits"]
        return [Hit(n, f"/{n}/", "model", "Page") for n in names if palette.matches(n, query)]

    def models(user: User, query: str) -> list[Hit]:
        if not user.has_perm("models_catalog.view_model"):
            return []
        twice = Hit("Digits, again", "/Digits/", "model", "Model")
        return [twice, *(Hit(f"digits-{n}", f"/models/{n}/", "model", "Model") for n in range(20))]

    monkeypatch.setattr(palette, "_sources", [pages, models])
    return asked


def test_names_that_begin_with_the_text_come_first(found: list[str]) -> None:
    (group,) = palette.search(AnonymousUser(), "dIGITS")
    assert [hit.label for hit in group.hits] == ["Digits", "Redigits"]


def test_each_page_is_there_once_and_a_source_gives_few(found: list[str], admin_user: User) -> None:
    pages, models = palette.search(admin_user, "digits")
    assert [hit.url for hit in pages.hits] == ["/Digits/", "/Redigits/"]
    assert len(models.hits) == palette.MOST_OF_A_SOURCE - 1
    assert "/Digits/" not in [hit.url for hit in models.hits]


def test_sources_get_a_text_that_a_database_takes(found: list[str]) -> None:
    palette.search(AnonymousUser(), "\0  " + "x" * 1000)
    assert found == ["x" * palette.MOST_SEARCHED]


def test_the_page_escapes_what_it_shows(
    found: list[str], client_of: Callable[[str], Client]
) -> None:
    text = client_of("viewer").get("/search/?q=<b>").content.decode()
    assert "&lt;b&gt;igits" in text
    assert "<b>" not in text
    assert 'value="&lt;b&gt;"' in text


def test_the_dialog_gets_the_list_alone(found: list[str], client_of: Any) -> None:
    client = client_of("viewer")
    part = client.get("/search/?q=dig", headers={"HX-Target": "palette-results"}).content.decode()
    assert "Digits" in part
    assert "<html" not in part
    assert "<html" in client.get("/search/?q=dig").content.decode()


def test_nothing_found_is_said(monkeypatch: pytest.MonkeyPatch, client_of: Any) -> None:
    monkeypatch.setattr(palette, "_sources", [])
    text = client_of("viewer").get("/search/?q=zebra").content.decode()
    assert "zebra" in text
    assert "Nothing that you may see" in text


@pytest.mark.parametrize("typed", ["엔드포인트", "endpoint", "All CALLS", "호출"])
def test_a_korean_reader_finds_pages_by_their_korean_and_their_english_name(
    client: Client, admin_user: User, typed: str
) -> None:
    client.force_login(admin_user)
    headers = {"Accept-Language": "ko", "HX-Target": "palette-results"}
    part = client.get("/search/", {"q": typed}, headers=headers).content.decode()
    shown = "모든 호출" if typed in ("All CALLS", "호출") else "엔드포인트 생성"
    assert shown in part
