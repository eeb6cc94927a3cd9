"""``mme endpoint thrash`` and ``mme plan-capacity``: for people, and for programs."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

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

CHOICE = {
    "instance_type": "ml.m5.large", "instance_count": 1, "room_mb": 7932.0, "cold_share": 0.123,
    "holds_all": False, "cost": {"per_hour": "0.115", "per_month": "83.95", "currency": "USD"},
    "cold_per_hour": 73.8, "too_large": False, "busy_share": 0.02, "fits": False,
    "recommended": False,
}  # fmt: skip
XLARGE = CHOICE | {
    "instance_type": "ml.m5.xlarge", "cold_share": 0.0, "cold_per_hour": 0.0, "cost": None,
    "fits": True, "recommended": True, "holds_all": True,
}  # fmt: skip
CAPACITY = EXAMPLES["capacity_plan"]["200"] | {"choices": [CHOICE, XLARGE]}


def test_a_plan_has_a_line_for_each_choice(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=CAPACITY), Says(document=CAPACITY)]
    ran = mme(
        "plan-capacity", "digits:*", "--percent", "2", "--store", "far", url=fake.url, token="t"
    )
    assert ran.code == 0
    asked = parse_qs(fake.requests[0].target.partition("?")[2])
    assert asked["models"] == ["digits:*"]
    assert asked["store"] == ["far"]
    assert asked["cold_share"] == ["0.02"]
    (large,) = (line.split() for line in ran.out.splitlines() if "ml.m5.large" in line)
    assert large == ["1", "×", "ml.m5.large", "0.115", "USD", "12.3", "%", "74", "2", "%"]
    (best,) = (line for line in ran.out.splitlines() if "recommended" in line)
    assert "ml.m5.xlarge" in best
    quiet = mme("plan-capacity", "-q", url=fake.url, token="t")
    assert quiet.out == "ml.m5.xlarge 1\n"


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
