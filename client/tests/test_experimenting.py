"""``mme experiment`` and ``mme experiments``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says

WHOLE: dict[str, Any] = EXAMPLES["experiments_get"]["200"]
URL = "/api/v1/experiments"
BEGIN = ("experiment", "demo", "--models", "digits:*")


def _as(state: str, **values: Any) -> dict[str, Any]:
    return WHOLE | {"state": state, "finished_at": None} | values


def test_one_is_begun_waited_for_and_its_document_is_printed(
    mme: Callable[..., Ran], fake: FakePortal
) -> None:
    done = _as("done")
    fake.answers = [Says(202, _as("waiting", calls=0)), Says(document=_as("running")),
                    Says(document=done)]  # fmt: skip
    ran = mme(
        *BEGIN, "--calls", "200", "--callers", "8", "--draw", "zipf:1.1", "--seed", "7", "--wait",
        "--json", url=fake.url, token="t",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == done
    assert json.loads(fake.requests[0].body) == {
        "endpoint": "demo", "models": "digits:*", "calls": 200, "callers": 8, "draw": "zipf:1.1",
        "seed": 7, "pictures": "samples", "name": "",
    }  # fmt: skip
    assert [one.target for one in fake.requests] == [URL, *2 * [f"{URL}/{WHOLE['id']}?wait=2"]]
    assert "a second" in ran.err


def test_its_figures_are_printed_for_people(mme: Callable[..., Ran], fake: FakePortal) -> None:
    times = {"p50": 12.0, "p90": 40.0, "p99": 1300.0}
    none = {"p50": None, "p90": None, "p99": None}
    latency = {"all": times, "cold": times, "warm": none, "targets": {"digits:1": times}}
    target = WHOLE["targets"][next(iter(WHOLE["targets"]))] | {"latency_ms": times, "calls": 9}
    found = _as(
        "failed", latency_ms=latency, targets={"digits:1": target}, error="It broke.", unknown=2,
        labels={"digits:1": {"one": 5, "two": 2, "six": 1, "ten": 1}}, errors={"model-failed": 3},
    )  # fmt: skip
    fake.answers = [Says(202, found)]
    ran = mme(*BEGIN, "--rate", "2.5", url=fake.url, token="t")
    assert ran.code == 1, "it failed"
    for said in ("It broke.", "1.3 s", "one 5, two 2, six 1, …", "Failed with model-failed: 3"):
        assert said in ran.out
    assert f"{fake.url}/invoke/experiments/{WHOLE['id']}/" in ran.err
    assert json.loads(fake.requests[0].body)["rate"] == 2.5
    assert mme(*BEGIN, "--quiet").out == f"{WHOLE['id']}\n"
    assert mme(*BEGIN, "--pictures", "mine").code == 2
    assert mme(*BEGIN, "--pictures", "kept", "mine.png").code == 2


def test_one_that_failed_while_it_was_waited_for_is_a_failure(
    mme: Callable[..., Ran], fake: FakePortal
) -> None:
    for options in (("--wait",), ("--wait", "--quiet"), ("--wait", "--json")):
        fake.answers = [Says(document=_as("running")), Says(document=_as("failed"))]
        ran = mme("experiments", WHOLE["id"], *options, url=fake.url, token="t")
        assert ran.code == 1, options
        assert ran.out
    fake.answers = [Says(document=_as("failed"))]
    assert mme("experiments", WHOLE["id"]).code == 0, "to look at it is none"


def test_the_histogram_and_when_models_were_loaded_are_drawn(
    mme: Callable[..., Ran], fake: FakePortal
) -> None:
    bars = [{"from_ms": 2.0**n, "to_ms": 2.0 ** (n + 1), "cold": 0, "warm": 0} for n in range(17)]
    bars[2] |= {"warm": 40}
    bars[3] |= {"warm": 5}
    bars[16] |= {"cold": 3}
    loads = {"digits:1": [0.0, 5.1, 10.0], "digits:2": []}
    fake.answers = [Says(document=_as("done", histogram=bars, loads=loads, seconds=10.0))]
    ran = mme("experiments", "x", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    drawn = [line for line in ran.out.splitlines() if line.startswith("≤")]
    assert len(drawn) == 9, "17 bars, two on a line"
    assert drawn[1].split() == ["≤", "16.0", "ms", "█" * 24, "45"]
    assert drawn[8].split() == ["≤", "131.1", "s", "█" * 24, "3"]
    (strip,) = (line for line in ran.out.splitlines() if "·" in line)
    assert strip.split() == ["digits:1", "3", f"█{'·' * 23}█{'·' * 22}█"]
    cold = {"calls": 3, "network": 4.0, "fetch": 900.0, "load": 1500.0, "decode": 1.0, "infer": 5.0}
    warm = cold | {"calls": 40, "fetch": 0.0, "load": 0.0}
    fake.answers = [Says(document=_as("done", parts_ms={"cold": cold, "warm": warm}))]
    spent = [" ".join(one.split()) for one in mme("experiments", "x").out.splitlines()]
    assert "cold 4.0 ms 900.0 ms 1.5 s 1.0 ms 5.0 ms" in spent
    assert "warm 4.0 ms 1.0 ms 5.0 ms" in spent
    assert "loaded when, over 10.0 s" in ran.out
    fake.answers = [Says(document=_as("done", histogram=[], loads={}))]
    assert "≤" not in mme("experiments", "x").out


def test_two_are_printed_beside_each_other(mme: Callable[..., Ran], fake: FakePortal) -> None:
    found = EXAMPLES["experiments_compare"]["200"] | {
        "figures": [
            {"name": "calls", "kind": "number", "one": 1200.0, "other": 9.0},
            {"name": "cold_share", "kind": "share", "one": 0.25, "other": None},
            {"name": "latency_ms.cold.p99", "kind": "ms", "one": 1300.0, "other": 12.0},
            {"name": "of_a_later_portal", "kind": "number", "one": 1.5, "other": 2.0},
        ]
    }
    fake.answers = [Says(document=found)]
    ran = mme("experiments", "x", "--beside", "nightly run", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert fake.requests[0].target == f"{URL}/x/comparison?other=nightly+run"
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    for said in (
        *(f"{found['one']['name']} {found['other']['name']}", "calls 1200 9", "of_a_later_portal"),
        *("share of cold calls 25.0 %", "latency, cold, p99 1.3 s 12.0 ms"),
    ):
        assert any(said in line for line in lines), said
    assert json.loads(mme("experiments", "x", "--beside", "y", "--json").out) == found
    assert mme("experiments", "x", "--beside", "y", "-q").out.splitlines()[0] == "calls\t1200\t9"
    for wrong in (
        ("--beside", "y"),
        ("x", "--beside", "y", "--csv"),
        ("x", "--beside", "y", "--stop"),
    ):
        assert mme("experiments", *wrong).code == 2


def test_pictures_of_ones_own_are_sent_first(
    mme: Callable[..., Ran], fake: FakePortal, tmp_path: Path
) -> None:
    (tmp_path / "more").mkdir()
    files = [tmp_path / "a.png", tmp_path / "b.png", tmp_path / "more" / "c.png"]
    for file in files:
        file.write_bytes(b"\x89PNG" + file.name.encode())
    (tmp_path / "more" / "notes.txt").write_text("no picture")
    kept = [f"{n}" * 64 for n in range(3)]
    fake.answers = [
        *(Says(document={"sha256": one, "name": "", "expires_at": "2026-01-31T09:30:00Z"})
          for one in kept),
        Says(202, _as("waiting")),
    ]  # fmt: skip
    # As the shell writes --pictures *.png.
    ran = mme(
        *BEGIN, "--pictures", str(files[0]), str(files[1]), str(tmp_path / "more"),
        url=fake.url, token="t",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert [one.body for one in fake.requests[:3]] == [file.read_bytes() for file in files]
    told = json.loads(fake.requests[3].body)
    assert (told["given"], told["pictures"]) == (kept, "given")


def test_a_plan_is_printed_and_nothing_is_called(mme: Callable[..., Ran], fake: FakePortal) -> None:
    plan = {
        "endpoint": "demo", "asked": {}, "seconds": 3.2, "memory_mb": 80.0, "other_models": 2,
        "cost": {"per_hour": "0.115", "per_month": "83.95", "currency": "USD"},
        "cost_meanwhile": "0.0001",
        "targets": [{"name": "digits:1", "target_model": "digits_v1.tar.gz", "share": 1.0,
                     "calls": 100.0, "memory_mb": 80.0}],
    }  # fmt: skip
    fake.answers = [Says(document=plan)]
    ran = mme(*BEGIN, "--plan", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert "digits_v1.tar.gz" in ran.out
    assert "About 3 s." in ran.out
    assert "The instances cost 0.115 USD an hour, 0.0001 USD in that time." in ran.out
    assert "Nothing was called." in ran.err
    assert json.loads(mme(*BEGIN, "--plan", "--json").out) == plan
    assert mme(*BEGIN, "--plan", "-q").out == "digits:1\tdigits_v1.tar.gz\t100\t80 MB\n"
    assert {one.target for one in fake.requests} == {f"{URL}/plan"}


def test_experiments_are_listed_named_stopped_and_exported(
    mme: Callable[..., Ran], fake: FakePortal
) -> None:
    fake.answers = [Says(document={"items": [_as("done")], "next": None})]
    assert WHOLE["id"] in mme("experiments", "--endpoint", "demo", url=fake.url, token="t").out
    assert mme("experiments", "-q").out == f"{WHOLE['id']}\n"
    fake.answers = [Says(document=_as("stopped"))]
    assert "stopped" in mme("experiments", "x", "--stop", "--name", "nightly").out
    fake.answers = [
        Says(document=_as("done")),
        Says(body=b"\xef\xbb\xbftarget,calls\r\ndigits:1,3\r\n"),
    ]
    assert mme("experiments", "x", "--csv").out == "target,calls\ndigits:1,3\n"
    assert [(one.method, one.target) for one in fake.requests] == [
        ("GET", f"{URL}?endpoint=demo"), ("GET", URL), ("PATCH", f"{URL}/x"),
        ("POST", f"{URL}/x/stop"), ("GET", f"{URL}/x"), ("GET", f"{URL}/x/csv"),
    ]  # fmt: skip
    assert json.loads(fake.requests[2].body) == {"name": "nightly"}
    assert mme("experiments", "--stop").code == 2
    assert mme("experiments", "x", "--csv", "--json").code == 2
