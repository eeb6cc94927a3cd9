"""``mme describe``: against a portal that answers what the real one does."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says
from mme_client import Portal

Mme = Callable[..., Ran]


def test_tags_and_owner_are_changed(mme: Mme, fake: FakePortal) -> None:
    model = EXAMPLES["models_describe"]["200"] | {"tags": ["demo", "vision"], "owner": "kim"}
    fake.answers = [Says(document=model)]
    ran = mme(
        "describe", "digits", "--tag", "vision", "--tag", "demo", "--untag", "old",
        "--owner", "kim", url=fake.url, token="t",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "demo, vision" in ran.out
    assert "kim" in ran.out
    (sent,) = fake.requests
    assert (sent.method, sent.target) == ("PATCH", "/api/v1/models/digits")
    assert json.loads(sent.body) == {
        "add_tags": ["vision", "demo"], "remove_tags": ["old"], "owner": "kim",
    }  # fmt: skip
    assert json.loads(mme("describe", "digits", "--owner", "", "--json").out) == model
    assert json.loads(fake.requests[-1].body) == {"owner": ""}
    assert mme("describe", "digits", "--tag", "x", "-q").out == f"{model['name']}\n"


def test_a_description_comes_from_a_file_or_standard_input(
    mme: Mme, fake: FakePortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.answers = [Says(document=EXAMPLES["models_describe"]["200"])]
    file = tmp_path / "README.md"
    file.write_text("\ufeff# 숫자\n", encoding="utf-8")
    assert mme("describe", "digits", "--description", str(file), url=fake.url, token="t").code == 0
    assert json.loads(fake.requests[-1].body) == {"description": "# 숫자\n"}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Piped.")))
    assert mme("describe", "digits", "--description", "-").code == 0
    assert json.loads(fake.requests[-1].body) == {"description": "Piped."}
    file.write_bytes(b"\xff\xfe\x00")
    assert mme("describe", "digits", "--description", str(file)).code == 2
    assert mme("describe", "digits", "--description", str(tmp_path / "none")).code != 0


def test_a_model_says_its_tags(fake: FakePortal) -> None:
    fake.answers = [Says(document=EXAMPLES["models_get"]["200"] | {"tags": ["a"], "owner": None})]
    with Portal(fake.url, "t") as portal:
        model = portal.models.get("digits")
        assert (model.tags, model.owner) == (["a"], None)
        portal.models.describe("digits", tags=[])
    assert json.loads(fake.requests[-1].body) == {"tags": []}


@pytest.mark.parametrize("arguments", [("digits",), ("digits", "--json")])
def test_it_must_be_said_what_to_change(
    mme: Mme, fake: FakePortal, arguments: tuple[str, ...]
) -> None:
    assert mme("describe", *arguments, url=fake.url, token="t").code == 2
    assert not fake.requests


def test_a_search_asks_for_tags_and_owner(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document={"items": [], "next": None})]
    arguments = ("--tag", "a", "--tag", "b", "--owner", "kim")
    assert mme("search", *arguments, url=fake.url, token="t").code == 0
    assert fake.requests[0].target.endswith("/models?tag=a&tag=b&owner=kim")


def test_note_and_metadata_of_a_version_are_changed(mme: Mme, fake: FakePortal) -> None:
    version = EXAMPLES["versions_describe"]["200"] | {"metadata": {"accuracy": 0.95}, "note": "N"}
    fake.answers = [Says(document=version)]
    ran = mme(
        "describe", "digits:2", "--meta", "accuracy=0.95", "--unset", "epoch", "--note", "N",
        url=fake.url, token="t",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert re.search(r"accuracy +0\.95", ran.out)
    (sent,) = fake.requests
    assert (sent.method, sent.target) == ("PATCH", "/api/v1/models/digits/versions/2")
    assert json.loads(sent.body) == {"metadata": {"accuracy": "0.95", "epoch": None}, "note": "N"}
    assert json.loads(mme("describe", "digits:2", "--note", "", "--json").out) == version
    assert json.loads(fake.requests[-1].body) == {"note": ""}


@pytest.mark.parametrize(
    "arguments",
    [
        ("digits:2",), ("digits:2", "--tag", "x"), ("digits", "--note", "x"),
        ("digits", "--meta", "a=1"), ("digits:2", "--meta", "a"), ("digits:x", "--note", "n"),
    ],
)  # fmt: skip
def test_what_is_of_a_model_is_not_of_a_version(
    mme: Mme, fake: FakePortal, arguments: tuple[str, ...]
) -> None:
    assert mme("describe", *arguments, url=fake.url, token="t").code == 2
    assert not fake.requests


def test_a_search_sorts_by_metadata(mme: Mme, fake: FakePortal) -> None:
    model = EXAMPLES["models_get"]["200"]
    best = {"key": "accuracy", "value": 0.95, "number": 3}
    fake.answers = [Says(document={"items": [model | {"best": best}], "next": None})]
    ran = mme("search", "--best", "accuracy", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert f"0.95 ({model['name']}:3)" in ran.out
    mme("search", "--least", "loss")
    orders = [one.target.partition("?")[2] for one in fake.requests]
    assert orders == ["sort=meta.accuracy", "sort=least.loss"]
    assert mme("search", "--least", "loss", "--sort", "name").code == 2
