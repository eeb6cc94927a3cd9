"""``mme endpoint warm``: now, again and again, and no more."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says

Mme = Callable[..., Ran]
CALLED = {"name": "digits:1", "cold": True, "latency_ms": 90.0, "call": "c", "error": None}
RUNNING: dict[str, Any] = EXAMPLES["warmings_get"]["200"] | {
    "id": "w1", "endpoint": "demo", "models": "digits:*", "state": "running",
    "versions": ["digits:1", "digits:2"], "called": [CALLED],
}  # fmt: skip
DONE = RUNNING | {"state": "done", "called": [CALLED, CALLED | {"name": "digits:2", "cold": False}]}
KEPT = {
    "models": "@*", "every_minutes": 120, "after_change": True, "next_at": None,
    "calls_per_day": 36, "changed_at": "2026-01-31T09:30:00Z", "changed_by": "owner",
}  # fmt: skip


def test_models_are_warmed_and_waited_for(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(202, RUNNING), Says(document=RUNNING), Says(document=DONE)]
    ran = mme("endpoint", "warm", "demo", "--models", "digits:*", "--wait", url=fake.url, token="t")
    assert ran.code == 0
    assert json.loads(fake.requests[0].body) == {"models": "digits:*"}
    assert fake.requests[1].target == "/api/v1/endpoints/demo/warmings/w1?wait=2"
    assert "done, 2 of 2 versions" in ran.out
    assert "digits:1  loaded  90.0 ms" in ran.out
    assert "digits:2  was warm" in ran.out


def test_a_version_that_failed_is_told(mme: Mme, fake: FakePortal) -> None:
    wrong = DONE | {"called": [CALLED | {"error": "It is gone."}]}
    fake.answers = [Says(202, wrong)]
    ran = mme("endpoint", "warm", "demo", "--wait", url=fake.url, token="t")
    assert ran.code == 1
    assert "digits:1  It is gone." in ran.out


def test_keeping_warm_says_what_it_costs(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [
        Says(document={"kept": KEPT, "latest": []}),
        Says(document={"kept": None, "latest": []}),
        Says(document={"kept": KEPT, "latest": [RUNNING]}),
    ]
    ran = mme(
        "endpoint", "warm", "demo", "--every", "2h", "--after-change", url=fake.url, token="t"
    )
    assert ran.out == "@*, every 120 min, 36 calls a day, after each deploy and change\n"
    assert (fake.requests[0].method, fake.requests[0].target) == (
        "PUT",
        "/api/v1/endpoints/demo/warmth",
    )
    assert json.loads(fake.requests[0].body)["every_minutes"] == 120
    off = mme("endpoint", "warm", "demo", "--off", url=fake.url, token="t")
    assert off.out == "Nothing is kept warm.\n"
    assert fake.requests[1].method == "DELETE"
    shown = mme("endpoint", "warm", "demo", "--show", url=fake.url, token="t")
    assert "digits:* on demo: running, 1 of 2 versions" in shown.out


def test_what_runs_is_stopped(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [
        Says(document={"kept": None, "latest": [RUNNING, DONE]}),
        Says(document=RUNNING | {"state": "stopped"}),
    ]
    ran = mme("endpoint", "warm", "demo", "--stop", url=fake.url, token="t")
    assert "stopped, 1 of 2 versions" in ran.out
    assert fake.requests[1].target == "/api/v1/endpoints/demo/warmings/w1/stop"


@pytest.mark.parametrize("options", [["--every", "soon"], ["--off", "--wait"]])
def test_wrong_use_is_told(mme: Mme, fake: FakePortal, options: list[str]) -> None:
    assert mme("endpoint", "warm", "demo", *options, url=fake.url, token="t").code == 2
    assert not fake.requests
