"""``mme calls``: what was called, once more, and forgotten."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from client.tests.conftest import Ran
from client.tests.fake_portal import FakePortal, Says

Mme = Callable[..., Ran]
ID = "0123456789abcdef0123456789abcdef"


def _call(**values: Any) -> dict[str, Any]:
    default = {
        "id": ID, "endpoint": "demo", "model": "digits", "number": 2, "asked": "digits@live",
        "target_model": "digits_v2.tar.gz", "state": "done", "cold": True, "request_id": "r",
        "predictions": [{"label": "three", "probability": 0.75}], "latency_ms": 1500.0,
        "created_at": "2026-02-01T00:00:00Z", "created_by": "kim", "timings": {}, "picture": None,
        "error": None, "error_code": None,
    }  # fmt: skip
    return default | values


def test_calls_are_listed_as_they_are_asked_for(mme: Mme, fake: FakePortal) -> None:
    failed = _call(id="f" * 32, state="failed", predictions=[], error="It broke.", cold=None)
    fake.answers = [Says(document={"items": [_call(), failed], "next": None})]
    ran = mme(
        "calls", "--endpoint", "demo", "--model", "digits@live", "--label", "three", "--cold",
        "--slower-than", "1000", "--by", "me", url=fake.url, token="t",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "three 75.0%" in ran.out
    assert "It broke." in ran.out
    assert "kim" in ran.out
    asked = fake.requests[-1].target
    for text in ("endpoint=demo", "model=digits%40live", "label=three", "by=me", "cold=true"):
        assert text in asked
    assert "slower_than_ms=1000" in asked
    assert mme("calls", "--quiet", "--most", "1").out.splitlines() == [ID]
    assert len(json.loads(mme("calls", "--json").out)["items"]) == 2


def test_calls_are_a_csv_file_with_where_the_time_went(mme: Mme, fake: FakePortal) -> None:
    times = {
        "portal_ms": 2.0, "sagemaker_ms": 1490.0, "fetch_ms": 900.0, "load_ms": 300.0,
        "ready_ms": 400.0, "decode_ms": 1.0, "infer_ms": 5.0,
    }  # fmt: skip
    fake.answers = [Says(document={"items": [_call(variant="blue", timings=times)], "next": None})]
    ran = mme("calls", "--csv", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    (row,) = csv.DictReader(io.StringIO(ran.out))
    assert (row["id"], row["version"], row["variant"]) == (ID, "digits:2", "blue")
    assert (row["answer"], row["cold"], row["latency_ms"]) == ("three", "True", "1500.0")
    assert {name: float(row[name]) for name in times} == times
    assert mme("calls", "--csv", "--json", url=fake.url, token="t").code == 2


def test_a_call_is_repeated_and_shown_beside_the_first(mme: Mme, fake: FakePortal) -> None:
    after = _call(id="e" * 32, latency_ms=12.0, cold=False, number=3)
    fake.answers = [Says(document=_call()), Says(document=after)]
    ran = mme("calls", "repeat", ID, url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert "digits:2" in ran.out
    assert "digits:3" in ran.out
    assert fake.requests[-1].target == f"/api/v1/invocations/{ID}/repeat"


def test_a_picture_is_forgotten_and_what_stays_is_said(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document={"calls": 2, "others": True, "in_test_set": True})]
    ran = mme("calls", "forget", ID, url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert "The answer stays." in ran.err
    assert "Somebody else" in ran.err
    assert "test set" in ran.err
    assert (fake.requests[-1].method, fake.requests[-1].target) == (
        "DELETE",
        f"/api/v1/invocations/{ID}/picture",
    )
