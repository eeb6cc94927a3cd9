"""``mme redact``: against a portal that answers as the real one."""

import io
import json
from collections.abc import Callable

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import FakePortal, Says

Mme = Callable[..., Ran]
FOUND = {"places": [{"name": "notes", "label": "Notes", "rows": 2}], "rows": 2}


def test_it_only_says_where_it_is(
    mme: Mme, fake: FakePortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("anna\n"))
    fake.answers = [Says(document=FOUND)]
    ran = mme("redact", "-", "--find", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert [line.split() for line in ran.out.splitlines()] == [["where", "rows"], ["Notes", "2"]]
    [asked] = fake.requests
    assert (asked.method, asked.target) == ("POST", "/api/v1/redactions/plan")
    assert json.loads(asked.body) == {"text": "anna"}


def test_it_takes_it_out(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=FOUND)]
    ran = mme("redact", "anna", "--yes", "--json", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out) == FOUND
    assert [one.target for one in fake.requests] == ["/api/v1/redactions"]


def test_without_a_terminal_it_asks_nothing_and_changes_nothing(mme: Mme, fake: FakePortal) -> None:
    assert mme("redact", "anna", url=fake.url, token="t").code == 2
    assert not fake.requests
