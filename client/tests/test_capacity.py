"""``mme endpoint thrash``: for people, and for programs."""

import json
from collections.abc import Callable
from typing import Any

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says
from mme_client import Portal

Mme = Callable[..., Ran]
VERSION = {
    "model": "digits", "number": 2, "calls": 90, "memory_mb": 80.4, "cold": 30, "again": 28,
}  # fmt: skip
THRASH: dict[str, Any] = EXAMPLES["endpoints_thrash"]["200"] | {
    "endpoint": "demo",
    "verdict": "thrash",
    "sentences": ["14 models take turns in memory for 9.", "ml.m5.xlarge would hold all 14."],
    "calls": 300,
    "versions": [VERSION, VERSION | {"number": 3, "memory_mb": None}],
}


def test_people_get_the_words_and_the_versions(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=THRASH)]
    ran = mme("endpoint", "thrash", "demo", url=fake.url, token="t")
    assert ran.code == 0
    assert fake.requests[0].target == "/api/v1/endpoints/demo/thrash"
    assert ran.out.splitlines()[:2] == THRASH["sentences"]
    assert "Based on 300 calls" in ran.out
    lines = {line.split()[0]: line.split() for line in ran.out.splitlines() if line.strip()}
    assert lines["digits:2"] == ["digits:2", "90", "80", "MB", "30", "28"]
    assert lines["digits:3"] == ["digits:3", "90", "30", "28"]


def test_programs_get_all_of_it(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=THRASH), Says(document=THRASH), Says(document=THRASH)]
    ran = mme("endpoint", "thrash", "demo", "--json", url=fake.url, token="t")
    assert json.loads(ran.out) == THRASH
    assert mme("endpoint", "thrash", "demo", "-q", url=fake.url, token="t").out == "thrash\n"
    found = Portal(fake.url, token="t").endpoints.thrash("demo")
    assert found.versions[0].memory_mb == 80.4
    assert found.better is None
