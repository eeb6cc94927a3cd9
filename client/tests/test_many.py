"""``mme invoke --models``: several versions, many pictures, and their right labels."""

import csv
import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Request, Says, problem
from core import spreadsheet
from mme_client.cli import many

Mme = Callable[..., Ran]
DOCUMENT: dict[str, Any] = EXAMPLES["invocations_get"]["200"]
NO_FILE = "There is no such file or folder."
BYTES = b"\xff\xd8\xff picture"
#: What the versions see in each picture, by its name.
SEEN = {
    "digits:1": {"7.jpg": "seven", "3.jpg": "eight"},
    "digits:2": {"7.jpg": "seven", "3.jpg": "three"},
}


def asked(request: Request) -> dict[str, str]:
    query = parse_qs(urlsplit(request.target).query)
    return {name: values[0] for name, values in query.items()}


def answer(request: Request) -> Says:
    """What the version that is asked for sees in the picture."""
    named = asked(request)
    model, _colon, number = named["model"].replace("@live", ":2").partition(":")
    label = SEEN[f"{model}:{number}"].get(named["name"], "nothing")
    document = DOCUMENT | {
        "model": model,
        "number": int(number),
        "asked": named["model"],
        "predictions": [{"label": label, "probability": 0.9}, {"label": "one", "probability": 0.1}],
        "picture": DOCUMENT["picture"] | {"name": named["name"]},
    }
    return Says(document=document)


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    found = []
    for folder, name in (("seven", "7.jpg"), ("three", "3.jpg")):
        path = tmp_path / "pictures" / folder / name
        path.parent.mkdir(parents=True)
        path.write_bytes(BYTES)
        found.append(str(path))
    return found


def rows(ran: Ran) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(ran.out)))


def test_each_picture_and_each_version_is_a_row(
    mme: Mme, fake: FakePortal, pictures: list[str]
) -> None:
    fake.answers = [answer]
    ran = mme(
        "invoke", "demo", "--models", "digits:1,digits@live", *pictures, "--csv",
        url=fake.url, token="mme_x",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[0] == (
        "picture,version,label,probability,latency_ms,cold,error,call,answered"
    )
    found = [(row["picture"], row["version"], row["label"], row["answered"]) for row in rows(ran)]
    assert found == [
        (pictures[0], "digits:1", "seven", "digits:1"),
        (pictures[0], "digits@live", "seven", "digits:2"),
        (pictures[1], "digits:1", "eight", "digits:1"),
        (pictures[1], "digits@live", "three", "digits:2"),
    ]
    assert rows(ran)[0]["call"] == DOCUMENT["id"]
    assert (rows(ran)[0]["cold"], rows(ran)[0]["probability"]) == ("False", "0.9")
    assert "The same label: 1 of 2" in ran.err
    assert {one.body for one in fake.requests} == {BYTES}


def test_each_answer_is_a_document_that_says_file_and_version(
    mme: Mme, fake: FakePortal, pictures: list[str]
) -> None:
    fake.answers = [answer]
    ran = mme(
        "invoke", "demo", "--models", "digits:1,digits:2", *pictures, "--json", url=fake.url,
        token="mme_x",
    )  # fmt: skip
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [(line["file"], line["asked"]) for line in lines] == [
        (picture, version) for picture in pictures for version in ("digits:1", "digits:2")
    ]
    assert all(set(line) == set(DOCUMENT) | {"file"} for line in lines)


@pytest.mark.parametrize("how", ["folder", "file"])
def test_right_labels_are_of_folders_or_of_a_file(
    mme: Mme, fake: FakePortal, pictures: list[str], tmp_path: Path, how: str
) -> None:
    file = tmp_path / "right.csv"
    file.write_text("\ufeffLabel,Name\nseven,7.jpg\nthree,three/3.jpg\n", encoding="utf-8")
    truth = how if how == "folder" else str(file)
    fake.answers = [answer]
    told = ("invoke", "demo", "--models", "digits:1,digits:2", *pictures, "--truth", truth)
    ran = mme(*told, "--csv", url=fake.url, token="mme_x")
    assert [(row["right_label"], row["right"]) for row in rows(ran)] == [
        ("seven", "True"), ("seven", "True"), ("three", "False"), ("three", "True")
    ]  # fmt: skip
    assert "digits:1: 1 of 2 right (50.0%)" in ran.err
    assert "digits:2: 2 of 2 right (100.0%)" in ran.err
    lines = [json.loads(line) for line in mme(*told, "--json").out.splitlines()]
    assert [line["right"] for line in lines] == [True, True, False, True]
    shown = mme(*told).out
    assert shown.count("  right") == 3
    assert shown.count("  wrong") == 1


def test_the_versions_are_called_at_a_time_and_told_as_they_come(
    mme: Mme, fake: FakePortal, pictures: list[str]
) -> None:
    both = threading.Barrier(2, timeout=20)
    first = threading.Event()

    def wait(request: Request) -> Says:
        both.wait()  # neither is answered before both were asked
        if asked(request)["model"] == "digits:1":
            assert first.wait(20)
        else:
            first.set()
        return answer(request)

    fake.answers = [wait]
    told = ("invoke", "demo", "--models", "digits:1,digits:2", pictures[0])
    ran = mme(*told, url=fake.url, token="mme_x")
    assert ran.code == 0, ran.err
    assert len(ran.out.splitlines()) == 2
    assert mme(*told, "--top", "2").out.count("10.00%  one") == 2
    first.clear()
    ran = mme(*told, "--quiet")
    assert sorted(ran.out.splitlines()) == [
        f"{pictures[0]}\t{version}\tseven" for version in ("digits:1", "digits:2")
    ]


def test_one_that_fails_stops_none_and_a_cell_is_no_formula(
    mme: Mme, fake: FakePortal, pictures: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(SEEN["digits:1"], "7.jpg", "=HYPERLINK(0)")
    refused = problem("model-refused", 422)

    def refuses(request: Request) -> Says:
        second = asked(request) == {"model": "digits:2", "name": "7.jpg"}
        return refused if second else answer(request)

    fake.answers = [refuses]
    missing = str(tmp_path / "nowhere.jpg")
    told = ("invoke", "demo", "--models", "digits:1,digits:2", pictures[0], missing, pictures[1])
    ran = mme(*told, "--csv", url=fake.url, token="mme_x")
    assert ran.code == 1
    found = rows(ran)
    assert [row["label"] for row in found] == ["'=HYPERLINK(0)", "", "", "", "eight", "three"]
    assert [row["error"] for row in found[:4]] == [
        "", "This is model-refused.", NO_FILE, NO_FILE
    ]  # fmt: skip
    assert f"{pictures[0]}, digits:2: This is model-refused." in ran.err
    assert "Failed: 3 of 6" in ran.err
    lines = [json.loads(line) for line in mme(*told, "--json").out.splitlines()]
    assert lines[1] == refused.document | {"file": pictures[0], "asked": "digits:2"}
    assert (lines[2]["file"], lines[2]["error_code"]) == (missing, "unread-file")


def test_formulas_are_those_of_the_portals_own_tables() -> None:
    assert many.FORMULA_BEGINS == spreadsheet.FORMULA_BEGINS
    for value in ("-2", "=1", "a", -2, -0.5, None):
        assert many.csv_line([value, ""]) == f"{spreadsheet.cell(value)},"


@pytest.mark.parametrize(("code", "status", "exit_code"), [("not-found", 404, 3),
                                                           ("scope-missing", 403, 4)])  # fmt: skip
def test_what_is_the_same_for_all_ends_it(
    mme: Mme, fake: FakePortal, pictures: list[str], code: str, status: int, exit_code: int
) -> None:
    fake.answers = [problem(code, status)]
    ran = mme("invoke", "demo", "--models", "digits:9", *pictures, url=fake.url, token="mme_x")
    assert (ran.code, len(fake.requests)) == (exit_code, 1)


def test_one_version_by_its_place_has_a_table_too(
    mme: Mme, fake: FakePortal, pictures: list[str]
) -> None:
    fake.answers = [answer]
    ran = mme("invoke", "demo", "digits:2", *pictures, "--csv", url=fake.url, token="mme_x")
    assert [row["version"] for row in rows(ran)] == ["digits:2", "digits:2"]
    assert "The same label" not in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--models", "digits:1"), "PICTURE is missing"),
        (("digits:1",), "PICTURE is missing"),
        ((), "MODEL is missing"),
        (("--models", ",", "7.jpg"), "Name versions with --models"),
        (("--models", "a,b,c,d,e,f,g", "7.jpg"), "at most 6 versions"),
        (("--models", "a,b,a", "7.jpg"), "Named twice: a"),
        (("--models", "a", "7.jpg", "--csv", "--json"), "Give one of --csv and --json"),
        (("--models", "a", "7.jpg", "--raw"), "do not go with --models"),
        (("--models", "a", "-", "-"), "Standard input can be one picture"),
        (("--models", "a", "7.jpg", "--truth", "short.csv"), "short.csv, line 2"),
        (("--models", "a", "7.jpg", "--truth", "two.csv"), "7.jpg has two labels"),
        (("--models", "a", "7.jpg", "--truth", "no.csv"), "no.csv: There is no such file"),
    ],
)
def test_wrong_use_is_said_before_anything_is_sent(
    mme: Mme, fake: FakePortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...], said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("short.csv").write_text("name,label\nonly\n")
    Path("two.csv").write_text("7.jpg,seven\n\n7.jpg,three\n")
    ran = mme("invoke", "demo", *words, url=fake.url, token="mme_x")
    assert (ran.code, ran.out, fake.requests) == (2, "", [])
    assert said in ran.err


@pytest.mark.parametrize("lines", [2, 20_000])
def test_a_quote_that_nothing_closes_is_told(
    mme: Mme, fake: FakePortal, pictures: list[str], tmp_path: Path, lines: int
) -> None:
    """What comes after it would be of one label, and no label would be known."""
    fake.answers = [answer]
    truth = tmp_path / "labels.csv"
    truth.write_text('name,label\n7.jpg,"seven\n' + "3.jpg,three\n" * lines)
    ran = mme(
        "invoke", "demo", "digits:2", *pictures, "--truth", str(truth), url=fake.url, token="mme_x"
    )
    assert ran.code == 2, ran
    assert "labels.csv, line " in ran.err
    assert "this is no CSV" in ran.err
    assert not fake.requests
