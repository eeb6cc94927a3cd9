"""The pages of aliases, as people use them: without JavaScript, each form with what it says."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from core import clock
from core.tests import nul
from models_catalog import aliases
from models_catalog.models import Alias, AliasMirror, Version
from models_catalog.tests.test_aliases import make_model, point

MODEL = "/models/digits/"
_FORM = re.compile(r'<form[^>]*action="([^"]+)"[^>]*>(.*?)</form>', re.DOTALL)
_INPUT = re.compile(r"<input[^>]*>")


@pytest.fixture(autouse=True)
def _no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models_catalog.alias_mirror.enqueue_on_commit", lambda *_: None)


@pytest.fixture
def operator(client_of: Callable[[str], Any]) -> Client:
    made: Client = client_of("operator")
    return made


def _text(page: str) -> str:
    """What a person reads of it."""
    plain = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(plain).split())


def _get(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def _press(client: Client, page: str, button: str, **typed: str) -> str:
    """Send the first form whose button says this, with what it has; returns the page after it."""
    for action, inside in _FORM.findall(page):
        if button not in _text(inside):
            continue
        fields: dict[str, str] = {}
        for tag in _INPUT.findall(inside):
            name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
            if name:
                fields[name[1]] = html.unescape(value[1]) if value else ""
        answer = client.post(html.unescape(action), fields | typed, follow=True)
        assert answer.status_code == 200, answer.content.decode()
        return answer.content.decode()
    raise AssertionError(f"No form has a button {button!r}.")


@pytest.mark.not_quick
@pytest.mark.django_db
def test_a_version_is_made_live_rolled_back_and_undone_by_buttons(operator: Client) -> None:
    make_model()
    page = _get(operator, MODEL)
    assert "since" not in _text(page)
    page = _press(operator, page, "Make live v2")
    assert "digits@live is digits v2 now." in _text(page)
    assert re.search(r"live v2 since .{1,40}, by operator-user", _text(page))
    assert "Roll back" not in _text(page)  # there is nothing before
    page = _press(operator, page, "Make live v3")
    page = _press(operator, page, "Roll back to v2")
    assert "digits@live is digits v2 again." in _text(page)
    page = _press(operator, page, "Undo")
    assert "digits@live is digits v3 again." in _text(page)
    assert Alias.objects.get().version.number == 3


@pytest.mark.not_quick
@pytest.mark.django_db
def test_the_undo_of_the_first_move_takes_live_away(operator: Client) -> None:
    make_model()
    page = _press(operator, _get(operator, "/models/digits/v1/"), "Make live v1")
    assert "Make live" not in _text(page)  # it is, and its page says so
    page = _press(operator, page, "Undo")
    assert "digits@live is deleted." in _text(page)
    assert not Alias.objects.exists()


@pytest.mark.not_quick
@pytest.mark.django_db
def test_who_was_slower_is_told_what_it_is_now(operator: Client) -> None:
    make_model()
    old = _get(operator, MODEL)
    point(1)
    action, inside = next(one for one in _FORM.findall(old) if "Make live v3" in _text(one[1]))
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', inside))
    answer = operator.post(action, fields)
    assert answer.status_code == 409 or answer.status_code == 412
    assert "digits v1 now. Nothing was changed." in _text(answer.content.decode())
    assert Alias.objects.get().version.number == 1


@pytest.mark.not_quick
@pytest.mark.django_db
def test_any_name_is_added_and_a_wrong_one_is_explained(operator: Client) -> None:
    make_model()
    page = _get(operator, f"{MODEL}aliases/")
    assert "No alias yet" in _text(page)
    page = _press(operator, page, "Save", alias="production", number="2", reason="It is better.")
    assert "digits@production" in _text(page)
    assert "It is better." in _text(page)
    answer = operator.post(f"{MODEL}move-alias/", {"alias": "v3", "number": "2", "reason": "Why"})
    said = answer.content.decode()
    assert answer.status_code == 422
    assert "must not look like a number" in _text(said)
    assert 'value="v3"' in said
    assert 'value="Why"' in said  # what was typed stays


@pytest.mark.not_quick
@pytest.mark.django_db
@pytest.mark.django_db
def test_a_name_with_nul_is_explained_where_the_database_takes_none(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_model()
    monkeypatch.setattr(connection, "execute_wrappers", [nul.refuse])
    answer = operator.post(f"{MODEL}move-alias/", {"alias": "a\0b", "number": "1"})
    assert answer.status_code == 422
    assert not Alias.objects.exists()


def test_a_deleted_alias_keeps_its_page_with_its_history(operator: Client) -> None:
    make_model()
    point(1, name="staging", reason="First.")
    address = f"{MODEL}aliases/staging/"
    page = _press(operator, _get(operator, address), "Calls by this name fail", reason="Unused.")
    assert "This alias was deleted." in _text(page)
    assert "First." in _text(page)
    assert "Unused." in _text(page)
    page = _press(operator, page, "Undo")
    assert Alias.objects.get().version.number == 1
    assert operator.get(f"{MODEL}aliases/never/").status_code == 404


@pytest.mark.not_quick
@pytest.mark.django_db
def test_a_protected_alias_asks_for_a_reason_and_has_no_undo(
    operator: Client, settings: Any
) -> None:
    settings.PROTECTED_ALIASES = ["live"]
    make_model()
    page = _get(operator, MODEL)
    assert "?alias=live&amp;number=3#point" in page
    page = _get(operator, f"{MODEL}aliases/?alias=live&number=3")
    assert 'value="live"' in page
    assert re.search(r'value="3" selected', page)
    point(1, reason="Begin.")
    point(2, reason="Go on.")
    address = f"{MODEL}aliases/live/"
    answer = operator.post(f"{address}roll-back/", {"reason": " "}, follow=True)
    assert "say why" in _text(answer.content.decode())
    page = _press(operator, _get(operator, address), "Roll back to v1", reason="It was worse.")
    assert "It was worse." in _text(page)
    assert "Undo" not in _text(page)
    assert Alias.objects.get().version.number == 1


@pytest.mark.not_quick
@pytest.mark.django_db
def test_viewers_see_aliases_and_no_buttons(client_of: Callable[[str], Any]) -> None:
    make_model()
    point(1)
    point(2)
    viewer = client_of("viewer")
    for path in (MODEL, f"{MODEL}v1/", f"{MODEL}aliases/", f"{MODEL}aliases/live/"):
        page = _get(viewer, path)
        assert "move-alias" not in page
        assert "roll-back" not in page
    assert viewer.post(f"{MODEL}move-alias/", {"alias": "live", "number": 1}).status_code == 403


@pytest.mark.not_quick
@pytest.mark.django_db
def test_the_page_says_where_the_mirror_is_and_whether_it_is_behind(operator: Client) -> None:
    make_model()
    alias = point(1)
    address = f"{MODEL}aliases/live/"
    assert "A worker writes it in a moment" in _text(_get(operator, address))
    AliasMirror.objects.update(written=alias.revision, check_after=clock.now())
    page = _get(operator, address)
    assert "s3://bucket/aliases/digits/live.json" in page
    assert "This object says where the alias points." in _text(page)
    AliasMirror.objects.update(problem="Denied.")
    assert "The portal goes on trying. Denied." in _text(_get(operator, address))


@pytest.mark.not_quick
@pytest.mark.django_db
def test_a_version_that_is_not_ready_has_no_button(operator: Client) -> None:
    make_model(versions=1)
    Version.objects.update(state=Version.State.REJECTED)
    assert "Make live" not in _get(operator, MODEL)
    assert "Make live" not in _get(operator, f"{MODEL}v1/")
    assert "needs a version that is ready" in _get(operator, f"{MODEL}aliases/")


@pytest.mark.django_db
def test_names_and_reasons_are_shown_as_text(operator: Client) -> None:
    make_model()
    point(1, reason="<b>bold</b>")
    for path in (f"{MODEL}aliases/", f"{MODEL}aliases/live/"):
        page = _get(operator, path)
        assert "&lt;b&gt;bold" in page
        assert "<b>bold" not in page
    assert aliases.history(Alias.objects.get().model, "live").count() == 1
