"""``mme compare``."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import FakePortal, Says
from mme_client.cli import comparing

FOUND = {
    "one": {"model": "digits", "number": 1},
    "other": {"model": "digits", "number": 2},
    "facts": [
        {"name": "note", "one": "First", "other": "Second", "differs": True},
        {"name": "parameters", "one": 10, "other": 10, "differs": False},
    ],
    "calls": [{"name": "p50_ms", "one": 12.5, "other": 7.5, "differs": True}],
    "calls_days": 30,
    "metadata": [{"name": "accuracy", "one": None, "other": 0.93, "differs": True}],
    "layers": [],
    "labels": {
        "added": ["three"],
        "removed": [],
        "moved": [{"label": "one", "one": 1, "other": 2}],
    },
}


def test_two_versions_are_compared(mme: Callable[..., Ran], fake: FakePortal) -> None:
    fake.answers = [Says(document=FOUND)]
    ran = mme("compare", "digits:1", "digits:2", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert "Second" in ran.out
    assert "label only in digits:2: three" in ran.out
    assert "label one moved: 1 → 2" in ran.out
    assert "parameters" not in ran.out
    assert "of the last 30 days" in ran.out
    assert "parameters" in mme("compare", "digits:1", "--all").out
    assert mme("compare", "digits:1", "digits@live", "--quiet").out.splitlines() == [
        "note\tFirst\tSecond",
        "p50_ms\t12.5\t7.5",
        "accuracy\t\t0.93",
    ]
    assert json.loads(mme("compare", "digits:1", "--json").out) == FOUND
    assert [one.target for one in fake.requests[:3]] == [
        "/api/v1/models/digits/versions/1/comparison?other=digits%3A2",
        "/api/v1/models/digits/versions/1/comparison",
        "/api/v1/models/digits/versions/1/comparison?other=digits%40live",
    ]


def _answer(label: str, **values: object) -> dict[str, object]:
    known = {"label": label, "probability": 0.75, "latency_ms": 12.0, "cold": False, "call": "c"}
    return known | {"error": None, "error_code": None} | values


ANSWERS = {
    "id": "a" * 32,
    "state": "running",
    "endpoint": "demo",
    "one": {"model": "digits", "number": 1, "right": 0, "labelled": 1},
    "other": {"model": "digits", "number": 2, "right": 1, "labelled": 1},
    "created_at": "2026-01-01T00:00:00Z",
    "created_by": "ada",
    "finished_at": None,
    "total": 3,
    "sent": 1,
    "errors": 1,
    "left_out": 0,
    "same": 1,
    "compared": 2,
    "pictures": [
        {"name": "7.png", "source": "test-set", "label": "seven", "result": "differ",
         "one": _answer("one"), "other": _answer("seven")},
        {"name": "8.png", "source": "sample", "label": "", "result": "error",
         "one": _answer("eight"), "other": _answer("", error="It is too dark.")},
        {"name": "9.png", "source": "sample", "label": "", "result": "same",
         "one": _answer("nine"), "other": _answer("nine")},
    ],
}  # fmt: skip


def test_answers_are_waited_for_and_differences_are_printed(
    mme: Callable[..., Ran], fake: FakePortal
) -> None:
    done = ANSWERS | {"state": "done", "sent": 3}
    fake.answers = [
        Says(document=FOUND),
        Says(202, document=ANSWERS),
        Says(document=ANSWERS),
        Says(document=done),
    ]
    ran = mme(
        *("compare", "digits:1", "--answers", "--endpoint", "demo", "--pictures", "test-set"),
        url=fake.url, token="t",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    for said in (
        *("one 75.0 %, 12", "seven 75.0 %", "It is too dark.", "The same label: 1 of 2"),
        *("Right, digits:1: 0 of 1", "Right, digits:2: 1 of 1", "Failed: 1 of 3"),
    ):
        assert said in ran.out
    assert "nine" not in ran.out
    assert f"{fake.url}/invoke/comparisons/{'a' * 32}/" in ran.err
    assert json.loads(fake.requests[1].body) == {
        "one": "digits:1", "other": "digits:2", "endpoint": "demo",
        "test_set": True, "samples": False,
    }  # fmt: skip
    assert fake.requests[2].target == f"/api/v1/comparisons/{'a' * 32}?wait=5"


def test_answers_as_csv_json_and_lines(mme: Callable[..., Ran], fake: FakePortal) -> None:
    done = ANSWERS | {"state": "done"}
    wanted = ("compare", "digits:1", "digits:2", "--answers", "--endpoint", "demo")
    csv = "\ufeffpicture,label\r\n'=7.png,seven\r\n"
    fake.answers = [
        Says(document=FOUND), Says(202, document=done), Says(body=csv.encode()),
        Says(document=FOUND), Says(202, document=done),
        Says(document=FOUND), Says(202, document=done),
    ]  # fmt: skip
    ran = mme(*wanted, "--csv", url=fake.url, token="t")
    assert ran.out.splitlines() == ["picture,label", "'=7.png,seven"]
    assert json.loads(mme(*wanted, "--json").out) == done
    lines = mme(*wanted, "--quiet", "--all").out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["7.png", "8.png", "9.png"]


def test_answers_need_an_endpoint_and_pictures_that_are_known(
    mme: Callable[..., Ran], fake: FakePortal
) -> None:
    ran = mme("compare", "digits:1", "--answers", url=fake.url, token="t")
    assert ran.code == 2
    assert "--endpoint NAME" in ran.err
    ran = mme("compare", "digits:1", "--endpoint", "demo", "--pictures", "mine")
    assert ran.code == 2
    assert "all, test-set, samples, or a folder" in ran.err
    assert mme("compare", "digits:1", "--endpoint", "demo", "--csv", "--json").code == 2
    assert fake.requests == []


ALONE = ANSWERS | {
    "state": "done", "alone": True, "other": ANSWERS["one"], "total": 2, "sent": 2, "errors": 0,
    "pictures": [
        {"name": "seven/1.png", "source": "given", "label": "seven", "result": "wrong",
         "one": _answer("one"), "other": None},
        {"name": "nine/1.png", "source": "given", "label": "nine", "result": "right",
         "one": _answer("nine"), "other": None},
    ],
}  # fmt: skip


def test_a_folder_of_ones_own_is_sent_one_by_one_with_its_labels(
    mme: Callable[..., Ran], fake: FakePortal, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    for label in ("seven", "nine"):
        (folder / label).mkdir(parents=True)
        (folder / label / "1.png").write_bytes(label.encode())
    (folder / "notes.txt").write_text("no picture")
    kept = [Says(document={"sha256": f"{n:064}"}) for n in (1, 2)]
    fake.answers = [*kept, Says(202, document=ALONE)]
    wanted = ("compare", "digits:1", "--alone", "--endpoint", "demo", "--pictures", str(folder))
    ran = mme(*wanted, "--truth", "folder", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert [one.target for one in fake.requests] == [
        "/api/v1/pictures?name=1.png", "/api/v1/pictures?name=1.png", "/api/v1/comparisons"
    ]  # fmt: skip
    assert [one.body for one in fake.requests[:2]] == [b"nine", b"seven"]
    assert json.loads(fake.requests[2].body) == {
        "one": "digits:1", "other": "", "endpoint": "demo", "test_set": False, "samples": False,
        "pictures": [
            {"sha256": f"{1:064}", "name": "nine/1.png", "label": "nine"},
            {"sha256": f"{2:064}", "name": "seven/1.png", "label": "seven"},
        ],
    }  # fmt: skip
    assert "seven/1.png" in ran.out
    assert "Right, digits:1: 0 of 1" in ran.out
    assert "The same label" not in ran.out


def test_what_is_wrong_with_a_folder_is_said(
    mme: Callable[..., Ran], fake: FakePortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = ("compare", "digits:1", "--alone", "--endpoint", "demo")

    def said(*more: str) -> str:
        ran = mme(*wanted, *more, url=fake.url, token="t")
        assert ran.code == 2
        return ran.err

    assert "There is no picture in" in said("--pictures", str(tmp_path))
    monkeypatch.setattr(comparing, "MOST_PICTURES", 1)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    assert "has 2 pictures; at most 1" in said("--pictures", str(tmp_path))
    assert "--truth goes with a folder" in said("--truth", "folder")
    ran = mme("compare", "digits:1", "digits:2", "--alone", "--endpoint", "demo")
    assert (ran.code, fake.requests) == (2, [])
    assert "Give one version with --alone" in ran.err


CONFUSED = {
    "one": {
        "labels": ["[nine]", "one", "seven"],
        "counts": [[1, 0, 0], [0, 0, 0], [0, 1, 0]],
        "mistakes": [{"label": "seven", "answered": "one", "pictures": 1}],
    },
    "other": None,
}


def test_a_comparison_is_shown_with_what_was_taken_for_what(
    mme: Callable[..., Ran], fake: FakePortal
) -> None:
    found = ALONE | {"confusion": CONFUSED}
    csv = "\ufeffpicture,label\r\nseven/1.png,seven\r\n"
    fake.answers = [
        Says(document=found | {"state": "running"}), Says(document=found), Says(document=found),
        Says(document=found), Says(body=csv.encode()), Says(document=ANSWERS),
    ]  # fmt: skip
    ran = mme("comparisons", "show", "abc", "--wait", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    for said in ("done", "seven/1.png", "nine/1.png", "Right, digits:1: 0 of 1", "2 / 2"):
        assert said in ran.out
    assert "[nine]" in ran.out, "a label is no markup"
    table = [line.split() for line in ran.out.splitlines() if line.startswith(("one ", "seven "))]
    assert table == [["one", "·", "·", "·"], ["seven", "·", "1", "·"]]
    assert json.loads(mme("comparisons", "show", "abc", "--json").out) == found
    lines = mme("comparisons", "show", "abc", "--csv").out.splitlines()
    assert lines == ["picture,label", "seven/1.png,seven"]
    assert mme("comparisons", "show", "abc", "--csv", "--json").code == 2
    two = mme("comparisons", "show", "abc").out
    assert "The same label: 1 of 2" in two
    assert "9.png" not in two, "both said the same"
    many = [f"l{n}" for n in range(11)]
    wide = CONFUSED["one"] | {"labels": many, "counts": [[0] * 11] * 11}  # type: ignore[operator]
    fake.answers = [Says(document=ALONE | {"confusion": {"one": wide, "other": None}})]
    assert "digits:1 took seven for one: 1" in mme("comparisons", "show", "abc").out
    assert [one.target for one in fake.requests[:2]] == [
        "/api/v1/comparisons/abc", f"/api/v1/comparisons/{'a' * 32}?wait=5"
    ]  # fmt: skip


def test_comparisons_are_listed_stopped_and_deleted(
    mme: Callable[..., Ran], fake: FakePortal
) -> None:
    one = {
        "id": "abc", "state": "running", "endpoint": "demo", "one": "digits:1", "other": "",
        "created_at": "2026-01-01T00:00:00Z", "created_by": "ada", "finished_at": None, "total": 3,
    }  # fmt: skip
    stopped = ALONE | {"state": "stopped"}
    fake.answers = [
        Says(document={"items": [one], "next": None}), Says(document=stopped), Says(204),
        Says(204),
    ]  # fmt: skip
    assert mme("comparisons", "--quiet", url=fake.url, token="t").out == "abc\n"
    assert "stopped: 2 of 2" in mme("comparisons", "stop", "abc").err
    assert "Deleted: abc" in mme("comparisons", "delete", "abc", "def").err
    assert [(each.method, each.target) for each in fake.requests] == [
        ("GET", "/api/v1/comparisons"), ("POST", "/api/v1/comparisons/abc/stop"),
        ("DELETE", "/api/v1/comparisons/abc"), ("DELETE", "/api/v1/comparisons/def"),
    ]  # fmt: skip
