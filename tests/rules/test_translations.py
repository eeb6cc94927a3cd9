"""What the pages say is in the catalogs, and labels have a translation."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation

from activity.models import Event
from core import catalogs
from endpoints.models import Endpoint, Resource
from tests import messages
from tests.rules.test_imports import APPS
from tests.rules.test_states import enumerations

ROOT = Path(__file__).resolve().parents[2]
_RUN = "Run `make messages`, and translate what is new."


def by_room() -> Iterator[tuple[str, str]]:
    """Every room in every language."""
    for language in messages.LANGUAGES:
        for room in messages.ROOMS:
            yield room, language


def test_every_room_and_every_language_has_a_catalog() -> None:
    assert set(messages.ROOMS) == set(APPS), "Name the app in ROOMS of tests/messages.py."
    languages = {code for code, _ in settings.LANGUAGES}
    assert languages == {"en", *messages.LANGUAGES}, "Name it in LANGUAGES of tests/messages.py."
    wanted = {messages.catalog_path(ROOT, *each) for each in by_room()}
    assert set(catalogs.sources()) == wanted, _RUN


@pytest.mark.parametrize("name", enumerations())
def test_each_label_has_a_translation(name: str) -> None:
    with translation.override(None):
        texts = {str(label) for label in enumerations()[name].labels}
    for language in messages.LANGUAGES:
        known = {text for _, text in messages.translations(ROOT, language)}
        missing = sorted(texts - known)
        assert not missing, f"{language}: {missing}, labels of {name}. {_RUN}"


@pytest.mark.django_db
def test_what_a_row_shows_is_in_the_readers_language() -> None:
    serving = Endpoint(name="demo", state=Endpoint.State.IN_SERVICE)
    stopped = Endpoint(name="demo", state=Endpoint.State.CREATING, failure="No.")
    resource = Resource(kind=Resource.Kind.MODEL, state=Resource.State.CREATED)
    rows = (serving, stopped, resource)
    assert [row.badge.label for row in rows] == ["InService", "Stopped", "Created"]
    with translation.override("ko"):
        assert [row.badge.label for row in rows] == ["서비스 중", "중단됨", "생성됨"]
        assert [str(level.label) for level in Event.Level] == ["정보", "성공", "경고", "오류"]
