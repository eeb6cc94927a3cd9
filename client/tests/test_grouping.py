"""``mme groups``: against a portal that answers as the real one."""

import json
from collections.abc import Callable

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import FakePortal, Says

Mme = Callable[..., Ran]
TEAM_A = {"name": "team-a", "members": ["ann", "bob"]}


def test_it_lists_the_groups(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document={"items": [TEAM_A], "next": None})]
    ran = mme("groups", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[1].split() == ["team-a", "ann,", "bob"]


@pytest.mark.parametrize(
    ("command", "sent"),
    [("put", {"join": ["ann"], "leave": []}), ("take", {"join": [], "leave": ["ann"]})],
)
def test_it_puts_people_in_and_takes_them_out(
    mme: Mme, fake: FakePortal, command: str, sent: dict[str, list[str]]
) -> None:
    fake.answers = [Says(document=TEAM_A)]
    ran = mme("groups", command, "team-a", "ann", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    [asked] = fake.requests
    assert (asked.method, asked.target) == ("PATCH", "/api/v1/groups/team-a")
    assert json.loads(asked.body) == sent
    assert "ann, bob" in ran.out


def test_it_makes_shows_and_deletes_one(mme: Mme, fake: FakePortal) -> None:
    empty = TEAM_A | {"members": []}
    fake.answers = [Says(status=201, document=empty), Says(document=TEAM_A), Says(status=204)]
    assert "nobody" in mme("groups", "make", "team-a", url=fake.url, token="t").out
    assert mme("groups", "show", "team-a", "-q", url=fake.url, token="t").out == "ann\nbob\n"
    assert mme("groups", "delete", "team-a", url=fake.url, token="t").code == 0
    assert [(one.method, one.target) for one in fake.requests] == [
        ("POST", "/api/v1/groups"), ("GET", "/api/v1/groups/team-a"),
        ("DELETE", "/api/v1/groups/team-a"),
    ]  # fmt: skip
