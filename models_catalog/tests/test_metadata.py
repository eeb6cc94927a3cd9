"""Metadata of versions: read, kept, shown, found, and sorted as numbers."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from activity.models import Event
from models_catalog import metadata
from models_catalog.models import Version
from models_catalog.tests.test_api_changing import ARCHIVE, PUSH, operator, push, token_of
from models_catalog.tests.test_api_reading import got, made, viewer

__all__ = ["operator", "token_of", "viewer"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.93", 0.93), ("12", 12), ("-1e-3", -0.001), (".5", 0.5), ("4f2a9c1", "4f2a9c1"),
        ("1e999", "1e999"), ("nan", "nan"), ("12345678901234567890", "12345678901234567890"),
        ("a = b", "a = b"), ("거리 표지판", "거리 표지판"), ("1_000", "1_000"), ("٣", "٣"),
    ],
)  # fmt: skip
def test_what_reads_as_a_number_is_one(text: str, value: object) -> None:
    found = metadata.read(["", f" k = {text} "])
    assert found == {"k": value}
    assert type(found["k"]) is type(value)


@pytest.mark.parametrize(
    "lines",
    [
        ["accuracy"], ["=1"], ["a="], ["1a=1"], ["a b=1"], ["a=1", "a=2"], ["a=" + "x" * 201],
        ["a=\0"], ["k" * 41 + "=1"], [f"k{n}=1" for n in range(31)],
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused(lines: list[str]) -> None:
    with pytest.raises(ValidationError):
        metadata.read(lines)


@pytest.mark.not_quick
def test_it_is_shown_found_and_sorted_as_numbers(
    viewer: Client, client_of: Callable[[str], Client]
) -> None:
    for number, accuracy in enumerate((0.9, 10, 9, "unknown"), start=1):
        made("digits", number, metadata={"accuracy": accuracy, "data": "거리 표지판"})
    made("digits", 5)
    made("cats")
    assert got(viewer, "/models/digits/versions/2")["metadata"]["accuracy"] == 10
    assert got(viewer, "/models/digits/versions/5")["metadata"] == {}
    assert [one["name"] for one in got(viewer, "/models?search=표지판")["items"]] == ["digits"]
    browser = client_of("admin")

    def numbers(query: str) -> list[int]:
        page = browser.get(f"/models/digits/{query}").content.decode()
        return [int(one) for one in re.findall(r'href="/models/digits/v(\d+)/">v', page)]

    assert numbers("") == [5, 4, 3, 2, 1]
    assert numbers("?meta=accuracy") == [4, 3, 2, 1]
    assert [one for one in numbers("?meta=accuracy&sort=-meta_value") if one != 4] == [2, 3, 1]
    assert numbers("?meta=nothing&sort=-meta_value") == [5, 4, 3, 2, 1]
    page = browser.get("/models/digits/v1/").content.decode()
    assert "<dt><code>accuracy</code></dt><dd>0.9</dd>" in page


def test_a_form_and_a_push_say_it(
    operator: Client, client_of: Callable[[str], Client], store: str
) -> None:
    answer = push(operator, f"{PUSH}?meta=accuracy%3D0.93&meta=commit%3D4f2a9c1")
    assert answer.status_code == 202, answer.content
    assert answer.json()["metadata"] == {"accuracy": 0.93, "commit": "4f2a9c1"}
    refused = push(operator, f"{PUSH}?meta=accuracy")
    assert refused.status_code == 422
    assert "meta" in refused.json()["errors"]
    browser = client_of("admin")
    url = reverse("models_catalog:upload", args=["digits"])

    def sent(meta: str) -> Any:
        archive = SimpleUploadedFile("digits.tar.gz", ARCHIVE)
        return browser.post(url, {"archive": archive, "meta": meta})

    page = sent("accuracy 0.94")
    assert page.status_code == 422
    assert "Write it as accuracy=0.93, one a line." in page.content.decode()
    assert Version.objects.count() == 1
    assert sent("accuracy=0.94\r\n\r\ndata=거리 표지판\r\n").status_code == 302
    newest = Version.objects.get(number=2)
    assert newest.metadata == {"accuracy": 0.94, "data": "거리 표지판"}


# --- changed later ---------------------------------------------------------------------


VERSION = "/api/v1/models/digits/versions/1"


def patch(client: Client, *, etag: str = "", path: str = VERSION, **body: Any) -> Any:
    sent = {"If-Match": etag} if etag else {}
    return client.patch(path, json.dumps(body), content_type="application/json", headers=sent)


def said() -> list[str]:
    """The sentences of the events about versions, the oldest first."""
    found = Event.objects.filter(subject_kind="version").order_by("pk")
    return [str(one.sentence) for one in found]


@pytest.mark.not_quick
def test_it_is_changed_by_key_and_the_event_has_old_and_new(operator: Client) -> None:
    made("digits", metadata={"accuracy": 0.93, "epoch": 12, "data": "May"}, note="first")
    answer = patch(operator, metadata={"accuracy": "0.95", "epoch": None, "run": 7}, note="second")
    assert answer.status_code == 200, answer.content
    assert answer.json()["metadata"] == {"accuracy": 0.95, "data": "May", "run": 7}
    assert answer.json()["note"] == "second"
    assert patch(operator, metadata={"accuracy": 0.95}, note="second").status_code == 200
    assert patch(operator).status_code == 200
    assert (
        patch(operator, metadata={"accuracy": None, "data": None, "run": None}).json()["metadata"]
        == {}
    )
    assert said() == [
        "Changed the note of digits v1 from “first” to “second”.",
        "Changed the metadata of digits v1. accuracy: 0.93 → 0.95; epoch: 12 → –; run: – → 7",
        "Changed the metadata of digits v1. accuracy: 0.95 → –; data: May → –; run: 7 → –",
    ]


def test_many_long_values_are_told_whole_in_several_events(operator: Client) -> None:
    made("digits")
    long = {f"key{n}": f"{n:02}" + "x" * 198 for n in range(30)}
    assert patch(operator, metadata=long).json()["metadata"] == long
    told = said()
    assert len(told) > 1
    assert all(any(value in one for one in told) for value in long.values())


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {"1a": 1}}, {"metadata": {"a b": 1}}, {"metadata": {"a": ""}},
        {"metadata": {"a": "x" * 201}}, {"metadata": {"a": "\0"}}, {"metadata": {"a": [1]}},
        {"metadata": {f"k{n}": n for n in range(31)}}, {"note": "x" * 501}, {"notes": "x"},
    ],
)  # fmt: skip
def test_a_change_that_cannot_be_kept_changes_nothing(
    operator: Client, body: dict[str, Any]
) -> None:
    made("digits", metadata={"accuracy": 1})
    answer = patch(operator, **{"note": "new", **body})
    assert answer.status_code == 422, answer.content
    version = Version.objects.get()
    assert (version.note, version.metadata) == ("", {"accuracy": 1})
    assert said() == []


@pytest.mark.not_quick
def test_a_number_that_json_does_not_know_is_a_text(operator: Client) -> None:
    made("digits")
    data = '{"metadata": {"loss": 1e999}}'
    answer = operator.patch(VERSION, data, content_type="application/json")
    assert answer.status_code == 200, answer.content
    assert answer.json()["metadata"] == {"loss": "inf"}


@pytest.mark.not_quick
def test_if_match_and_rights_are_asked(operator: Client, viewer: Client) -> None:
    made("digits")
    etag = operator.get(VERSION).headers["ETag"]
    answer = patch(operator, etag=etag, note="one")
    assert answer.status_code == 200
    assert patch(operator, etag=etag, note="two").status_code == 412
    assert patch(operator, etag=answer.headers["ETag"], note="two").status_code == 200
    assert patch(viewer, note="three").status_code == 403
    assert patch(operator, path=VERSION.replace("/1", "/9"), note="x").status_code == 404


@pytest.mark.not_quick
def test_the_page_changes_it_and_says_who_was_faster(
    client_of: Callable[[str], Client], operator: Client
) -> None:
    made("digits", metadata={"accuracy": 0.93, "epoch": 12}, note="first")
    browser = client_of("admin")
    url = "/models/digits/v1/describe/"
    assert url in browser.get("/models/digits/v1/").content.decode()
    page = browser.get(url).content.decode()
    assert "accuracy=0.93\nepoch=12" in page
    (seen,) = re.findall(r'name="seen" value="(\w+)"', page)
    sent = {"note": "second", "meta": "accuracy=0.95\r\n", "seen": seen}
    assert browser.post(url, sent).headers["Location"] == "/models/digits/v1/"
    version = Version.objects.get()
    assert (version.note, version.metadata) == ("second", {"accuracy": 0.95})
    late = browser.post(url, sent | {"note": "mine"})
    assert late.status_code == 409
    assert "accuracy=0.95" in late.content.decode()
    (seen,) = re.findall(r'name="seen" value="(\w+)"', late.content.decode())
    wrong = browser.post(url, sent | {"meta": "accuracy 1", "seen": seen})
    assert wrong.status_code == 422
    assert "Write it as accuracy=0.93" in wrong.content.decode()
    assert browser.post(url, sent | {"meta": "", "seen": seen}).status_code == 302
    assert Version.objects.get().metadata is None
