"""``mme compare``."""

import json
from collections.abc import Callable

from client.tests.conftest import Ran
from client.tests.fake_portal import FakePortal, Says

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
