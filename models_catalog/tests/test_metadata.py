"""Metadata of versions: read, kept, shown, found, and sorted as numbers."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

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
