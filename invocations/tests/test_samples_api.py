"""/api/v1/samples: the pictures that come with the portal."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.bearer import secret_of

PATH = "/api/v1/samples"


@pytest.fixture
def ask(user_in: Callable[[str], User], tmp_path: Path, settings: Any) -> Callable[[str], Any]:
    settings.SAMPLES_DIR = str(tmp_path)
    for name in ("digit-3.png", "digit-7.JPG", "cat.webp", "notes.txt"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "link.png").symlink_to("/etc/hostname")
    secret = secret_of(user_in("viewer"), ["read"])
    headers = {"Authorization": f"Bearer {secret}"}
    return lambda path: Client().get(path, headers=headers)


def test_samples_are_listed_in_pages_and_read(ask: Callable[[str], Any]) -> None:
    found = json.loads(ask(PATH).content)
    assert found["next"] is None
    assert found["items"] == [
        {"name": "cat.webp", "group": "cat", "size": 8, "content_type": "image/webp"},
        {"name": "digit-3.png", "group": "digit", "size": 11, "content_type": "image/png"},
        {"name": "digit-7.JPG", "group": "digit", "size": 11, "content_type": "image/jpeg"},
    ]
    first = ask(f"{PATH}?limit=2")
    page = json.loads(first.content)
    assert page["items"] == found["items"][:2]
    rest = json.loads(ask(f"{PATH}?limit=2&cursor={page['next']}").content)
    assert rest == {"items": found["items"][2:], "next": None}
    assert first.headers["Link"].endswith('rel="next"')
    picture = ask(f"{PATH}/digit-7.JPG")
    assert (picture.content, picture.headers["Content-Type"]) == (b"digit-7.JPG", "image/jpeg")


def test_samples_are_in_the_order_in_which_people_count(
    ask: Callable[[str], Any], tmp_path: Path
) -> None:
    (tmp_path / "digit-10.png").write_bytes(b"10")
    first = json.loads(ask(f"{PATH}?limit=3").content)
    assert [one["name"] for one in first["items"]] == ["cat.webp", "digit-3.png", "digit-7.JPG"]
    second = json.loads(ask(f"{PATH}?limit=3&cursor={first['next']}").content)
    assert [one["name"] for one in second["items"]] == ["digit-10.png"]


@pytest.mark.parametrize("name", ["notes.txt", "link.png", "none.png", "..%2Fsecret.png"])
def test_nothing_else_is_read(ask: Callable[[str], Any], name: str) -> None:
    assert ask(f"{PATH}/{name}").status_code == 404


def test_a_cursor_of_another_list_is_refused(ask: Callable[[str], Any]) -> None:
    answer = ask(f"{PATH}?cursor=WyJhIl0:nothing")
    assert answer.status_code == 422
    assert list(json.loads(answer.content)["errors"]) == ["cursor"]


def test_where_the_portal_has_none_the_list_is_empty(
    ask: Callable[[str], Any], settings: Any
) -> None:
    settings.SAMPLES_DIR = ""
    assert json.loads(ask(PATH).content) == {"items": [], "next": None}
