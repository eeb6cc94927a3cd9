"""What the script of the upload page asks: names, the beginning, and whether a file is the same."""

import html
import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from models_catalog import uploads
from models_catalog.models import RegisteredModel, Upload, Version
from models_catalog.tests.test_pages import version
from models_catalog.tests.test_upload_api import BYTES, URL, Caller

__all__ = ["version"]

PLAN, BEGIN = reverse("models_catalog:plan"), reverse("models_catalog:begin")


def _asked(client: Client, **fields: Any) -> Any:
    told = {
        "uid": secrets.token_urlsafe(32), "name": "digits", "new": "true",
        "file_name": "digits.tar.gz", "length": len(BYTES),
        "note": "", "meta": "", "description": "", "packing_choice": "auto", **fields,
    }  # fmt: skip
    return client.post(BEGIN, told)


def test_each_name_is_said_its_number_and_key(
    client_of: Callable[[str], Client], version: Version, settings: Any
) -> None:
    settings.MODEL_PREFIX = "models"
    taken = version.model.name
    names = ["cats", "cats", taken, taken, "No Name", "with\0null"]
    found = client_of("operator").post(PLAN, {"name": names}).json()["plans"]
    assert [(one["number"], one["key"]) for one in found] == [
        (1, "models/cats_v1.tar.gz"),
        (2, "models/cats_v2.tar.gz"),
        (2, f"models/{taken}_v2.tar.gz"),
        (3, f"models/{taken}_v3.tar.gz"),
        (0, ""),
        (0, ""),
    ]
    assert [one["free"] for one in found] == ["", "cats-2", f"{taken}-2", f"{taken}-2", "", ""]
    assert f"There is a model {taken} already." in found[2]["taken"]
    assert found[0]["taken"] == found[1]["taken"] == ""
    assert "letters" in found[4]["problem"]
    assert found[5]["problem"]


def test_what_is_planned_is_what_it_becomes(
    client_of: Callable[[str], Client], version: Version, user_in: Callable[..., User], store: str
) -> None:
    name = version.model.name
    # A copy under the key that the next version would have.
    copied = RegisteredModel.objects.create(name="copied")
    Version.objects.create(
        model=copied,
        number=1,
        bucket=store,
        prefix="models",
        size=1,
        key=f"models/{name}_v2.tar.gz",
    )
    plan = client_of("operator").post(PLAN, {"name": name}).json()["plans"][0]
    caller = Caller(user_in("admin"))
    caller.send(caller.address(model=name), BYTES, 0)
    made = Version.objects.get(model=version.model, number=plan["number"])
    assert plan["number"] == 3
    assert made.key == plan["key"]


@pytest.mark.not_quick
def test_the_numbers_of_many_names_are_asked_at_once(
    client_of: Callable[[str], Client], django_assert_max_num_queries: Any
) -> None:
    client = client_of("operator")
    with django_assert_max_num_queries(8):
        found = client.post(PLAN, {"name": [f"model-{n}" for n in range(300)]}).json()["plans"]
    assert len(found) == uploads.MOST_UNFINISHED


def test_an_upload_begins_with_all_that_was_entered(client_of: Callable[[str], Client]) -> None:
    description = "가" * 9000  # more than a header holds
    answer = _asked(
        client_of("operator"), description=description, note="first", meta="accuracy=0.9\nrun=7",
        packing_choice="stored",
    )  # fmt: skip
    assert answer.status_code == 201
    upload = Upload.objects.get(uid=answer.json()["id"])
    assert (upload.owner.username, upload.name, upload.new) == ("operator-user", "digits", True)
    assert (upload.file_name, upload.length) == ("digits.tar.gz", len(BYTES))
    assert (upload.description, upload.note) == (description, "first")
    assert upload.metadata == {"accuracy": 0.9, "run": 7}
    assert upload.packing_choice == "stored"


@pytest.mark.not_quick
def test_another_try_gets_the_upload_of_the_first(client_of: Callable[[str], Client]) -> None:
    uid = secrets.token_urlsafe(32)
    client = client_of("operator")
    for _ in range(2):
        answer = _asked(client, uid=uid)
        assert (answer.status_code, answer.json()) == (201, {"id": uid})
    assert Upload.objects.count() == 1
    # Who knows the id of somebody else's gets nothing by it.
    other = _asked(client_of("admin"), uid=uid)
    assert (other.status_code, list(other.json()["errors"])) == (422, ["uid"])
    for odd in ("", "x" * 42, "../" * 15, f"{'x' * 43}\n"):
        assert "uid" in _asked(client, uid=odd).json()["errors"]


@pytest.mark.not_quick
def test_what_can_be_refused_is_refused_before_a_byte_travels(
    client_of: Callable[[str], Client], settings: Any
) -> None:
    RegisteredModel.objects.create(name="taken")
    client = client_of("operator")
    settings.MAX_ARCHIVE_MB = 1
    for fields, where, said in (
        ({"name": "taken"}, "name", "There is a model taken already."),
        ({"name": "gone", "new": "false"}, "name", "There is no model gone."),
        ({"name": "No Name"}, "name", "small letters"),
        ({"file_name": "digits.zip"}, "file_name", "not named *.tar.gz"),
        ({"length": 2 << 20}, "archive", "larger than 1 MB"),
        ({"length": 0}, "body", "empty"),
        ({"length": "x"}, "length", "number"),
        ({"meta": "no equals sign"}, "meta", "accuracy=0.93"),
        ({"note": "x" * 501}, "note", "500"),
        ({"packing_choice": "odd"}, "packing_choice", "odd"),
    ):
        answer = _asked(client, **fields)
        assert answer.status_code == 422, fields
        assert said in " ".join(answer.json()["errors"][where]), answer.json()
    assert not Upload.objects.exists()
    assert _asked(client, name="taken", new="").status_code == 201
    assert _asked(client, name="taken", new="false").status_code == 201


def test_a_file_is_known_by_its_first_bytes_and_by_those_that_arrived_last(
    client_of: Callable[[str], Client], user_in: Callable[..., User], store: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(uploads, "KNOWN_BY_BYTES", 700)
    monkeypatch.setattr(uploads, "STRETCH_BYTES", 300)
    client = client_of("operator")
    caller = Caller(User.objects.get(username="operator-user"))
    url = caller.address()
    uid = url.removeprefix(URL)
    same = reverse("models_catalog:same", args=[uid])

    def asked(offset: Any, body: bytes, at: str = same) -> Any:
        found = client.post(f"{at}?offset={offset}", body, content_type="application/octet-stream")
        return found.status_code, found.json()

    assert asked(0, b"") == (200, {"same": True})
    caller.send(url, BYTES[:500], 0)
    assert asked(500, BYTES[:500] * 2) == (200, {"same": True})
    caller.send(url, BYTES[500:5000], 500)
    assert asked(5000, BYTES[:700] + BYTES[4300:5000]) == (200, {"same": True})
    assert asked(5000, b"x" + BYTES[1:700] + BYTES[4300:5000]) == (200, {"same": False})
    assert asked(5000, BYTES[:700] + BYTES[4300:4999] + b"x") == (200, {"same": False})
    assert asked(4999, BYTES[:1400]) == (409, {"offset": 5000})
    for odd in ("", "x", "-1", "9" * 30):
        assert asked(odd, b"")[0] == 409
    assert asked(5000, b"")[0] == 409
    # Another one's is as one that is not there.
    theirs = Caller(user_in("admin")).address().removeprefix(URL)
    assert asked(0, b"", reverse("models_catalog:same", args=[theirs]))[0] == 404


def test_the_script_is_told_what_it_needs(
    client_of: Callable[[str], Client], version: Version
) -> None:
    client = client_of("operator")
    uid = _asked(client, name="cats", file_name="<b>&'\".tar.gz").json()["id"]
    page = client.get(reverse("models_catalog:upload", args=[version.model.name]))
    text = page.content.decode()
    (found,) = json.loads(html.unescape(text.split('data-unfinished="')[1].split('"')[0]))
    assert (found["id"], found["file_name"], found["offset"]) == (uid, "<b>&'\".tar.gz", 0)
    assert f'data-model="{version.model.name}"' in text
    assert f'data-known-by="{uploads.KNOWN_BY_BYTES}"' in text
    assert 'data-page="/models/NAME/v0/"' in text
    assert 'data-same="/models/new/same/UID/"' in text
