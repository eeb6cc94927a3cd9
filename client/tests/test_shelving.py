"""``mme stores``: against a portal that answers as the real one."""

import json
from collections.abc import Callable

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import FakePortal, Says

Mme = Callable[..., Ran]
DENIED = {
    "place": "store", "right": "delete", "outcome": "refused", "needed": False,
    "sentence": "A policy denies it.",
}  # fmt: skip
TEAM_A = {
    "name": "team-a", "url": "s3://team-a-models/mme/", "bucket": "team-a-models",
    "prefix": "mme", "region": "eu-west-1", "encryption": "sse-kms", "kms_key_id": "",
    "retired_at": None, "tested_at": "2026-11-28T10:00:00Z", "rights": [DENIED],
    "groups": [{"name": "team-a", "may_write": True}, {"name": "analysts", "may_write": False}],
    "uses": ["Versions in it that are not deleted: 2."],
}  # fmt: skip


def test_it_lists_the_stores(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document={"items": [TEAM_A], "next": None})]
    ran = mme("stores", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[1].split()[:4] == [
        "team-a", "s3://team-a-models/mme/", "eu-west-1", "sse-kms"
    ]  # fmt: skip
    assert "rights are refused" in ran.out


def test_it_adds_one_by_its_address(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(status=201, document=TEAM_A)]
    ran = mme(
        "stores", "add", "team-a", "s3://team-a-models/mme/", "--region", "eu-west-1",
        "--encryption", "sse-kms", url=fake.url, token="t",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    [asked] = fake.requests
    assert (asked.method, asked.target) == ("POST", "/api/v1/stores")
    assert json.loads(asked.body) == {
        "name": "team-a", "bucket": "team-a-models", "prefix": "mme", "region": "eu-west-1",
        "encryption": "sse-kms", "kms_key_id": "",
    }  # fmt: skip
    assert "A policy denies it." in ran.out
    assert "Versions in it that are not deleted: 2." in ran.out


@pytest.mark.parametrize(("needed", "code"), [(False, 0), (True, 1)])
def test_a_test_that_finds_a_needed_right_refused_is_exit_code_1(
    mme: Mme, fake: FakePortal, needed: bool, code: int
) -> None:
    fake.answers = [Says(document=TEAM_A | {"rights": [DENIED | {"needed": needed}]})]
    assert mme("stores", "test", "team-a", url=fake.url, token="t").code == code


@pytest.mark.parametrize("command", ["retire", "restore"])
def test_it_retires_and_restores(mme: Mme, fake: FakePortal, command: str) -> None:
    fake.answers = [Says(document=TEAM_A)]
    assert mme("stores", command, "team-a", url=fake.url, token="t").code == 0
    [asked] = fake.requests
    assert (asked.method, asked.target) == ("POST", f"/api/v1/stores/team-a/{command}")


def test_it_says_which_groups_see_a_store(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=TEAM_A), Says(document=TEAM_A | {"groups": []})]
    ran = mme(
        "stores", "groups", "team-a", "--writes", "team-a", "--sees", "analysts",
        url=fake.url, token="t",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "team-a (writes), analysts" in ran.out
    ran = mme("stores", "groups", "team-a", "--everybody", url=fake.url, token="t")
    assert "everybody" in ran.out
    named, opened = fake.requests
    assert (named.method, named.target) == ("PUT", "/api/v1/stores/team-a/groups")
    assert json.loads(named.body) == {"groups": TEAM_A["groups"]}
    assert json.loads(opened.body) == {"groups": []}


def test_it_opens_no_store_to_everybody_unasked(mme: Mme, fake: FakePortal) -> None:
    for options in ((), ("--sees", "a", "--everybody")):
        assert mme("stores", "groups", "team-a", *options, url=fake.url, token="t").code == 2
    assert not fake.requests


def test_an_address_that_is_none_is_wrong_use(mme: Mme, fake: FakePortal) -> None:
    assert mme("stores", "add", "a", "team-a-models", url=fake.url, token="t").code == 2
    assert not fake.requests
