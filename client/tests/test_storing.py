"""``mme storage``: against a portal that answers as the real one."""

import json
from collections.abc import Callable

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import FakePortal, Says

Mme = Callable[..., Ran]
GB = 1 << 30
ANNA = {"name": "anna", "versions": 2, "used": 3 * GB, "quota": 20 * GB, "own_quota": True}
FOUND = {
    "store": {"used": 5 * GB, "quota": None},
    "mine": {"used": 0, "quota": 20 * GB},
    "stores": [
        {"name": "default", "versions": 2, "used": 3 * GB},
        {"name": "team-a", "versions": 1, "used": 2 * GB},
    ],
    "people": [ANNA],
    "largest": [{"name": "digits", "versions": 2, "used": 3 * GB}],
}


def test_it_says_who_takes_up_how_much(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=FOUND)]
    ran = mme("storage", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    lines = [line.split() for line in ran.out.splitlines() if line]
    assert lines == [
        ["all", "archives", "5.0", "GB", "/", "no", "limit"],
        ["your", "own", "0", "bytes", "/", "20.0", "GB"],
        ["store", "versions", "taken", "up"],
        ["default", "2", "3.0", "GB"],
        ["team-a", "1", "2.0", "GB"],
        ["person", "versions", "taken", "up", "quota"],
        ["anna", "2", "3.0", "GB", "20.0", "GB"],
        ["model", "versions", "taken", "up"],
        ["digits", "2", "3.0", "GB"],
    ]
    fake.answers = [Says(document=FOUND)]
    assert json.loads(mme("storage", "--json", url=fake.url, token="t").out) == FOUND


@pytest.mark.parametrize(("given", "sent"), [("20", 20), ("none", 0), ("usual", None)])
def test_it_sets_the_quota_of_one_person(
    mme: Mme, fake: FakePortal, given: str, sent: int | None
) -> None:
    fake.answers = [Says(document=ANNA)]
    ran = mme("storage", "--person", "anna", "--quota", given, url=fake.url, token="t")
    assert ran.code == 0, ran.err
    [asked] = fake.requests
    assert (asked.method, asked.target) == ("PUT", "/api/v1/storage/people/anna")
    assert json.loads(asked.body) == {"gigabytes": sent}


@pytest.mark.parametrize(
    "given",
    [("--person", "anna"), ("--quota", "2"), ("--person", "anna", "--quota", "0"),
     ("--person", "anna", "--quota", "many")],
)  # fmt: skip
def test_wrong_use_changes_nothing(mme: Mme, fake: FakePortal, given: tuple[str, ...]) -> None:
    assert mme("storage", *given, url=fake.url, token="t").code == 2
    assert not fake.requests
