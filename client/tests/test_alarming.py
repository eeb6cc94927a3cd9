"""``mme alarms``: listed, made, tested, removed; against a portal that answers as the real one."""

import json
from collections.abc import Callable
from typing import Any

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says, problem

Mme = Callable[..., Ran]
PATH = "/api/v1/endpoints/demo/alarms"
P99: dict[str, Any] = EXAMPLES["alarms_get"]["200"] | {
    "name": "p99", "kind": "p99", "alarm_name": "mme-portal.demo.p99.AllTraffic", "state": "normal",
    "condition": "above 2000 ms", "failure": None, "reason": "fine",
}  # fmt: skip


def test_they_are_listed_with_their_states(mme: Mme, fake: FakePortal) -> None:
    page = {"items": [P99], "next": None, "looked_at": None, "problem": "CloudWatch is silent."}
    fake.answers = [Says(document=page)] * 3
    ran = mme("alarms", "list", "demo", url=fake.url, token="t")
    assert ran.code == 0
    assert "above 2000 ms" in ran.out
    assert "CloudWatch is silent." in ran.err
    assert mme("alarms", "list", "demo", "-q").out == "p99\n"
    assert json.loads(mme("alarms", "list", "demo", "--json").out)["items"] == [P99]


def test_one_is_made_and_waited_for(mme: Mme, fake: FakePortal) -> None:
    asked = ("create", "demo", "p99", "--threshold", "1500", "--minutes", "3", "--wait")
    fake.answers = [Says(202, document=P99 | {"state": "requested"}), Says(document=P99)]
    ran = mme("alarms", *asked, url=fake.url, token="t")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "p99  OK  above 2000 ms  mme-portal.demo.p99.AllTraffic\n"
    first, second = fake.requests
    assert (first.method, first.target) == ("PUT", f"{PATH}/p99")
    assert json.loads(first.body) == {"threshold": 1500, "minutes": 3}
    assert second.target == f"{PATH}/p99?wait=30"


def test_a_refusal_ends_with_1_and_says_why(mme: Mme, fake: FakePortal) -> None:
    refused = P99 | {"state": "requested", "failure": "cloudwatch:PutMetricAlarm is missing."}
    fake.answers = [Says(202, document=refused)]
    ran = mme("alarms", "create", "demo", "p99", "--wait", url=fake.url, token="t")
    assert ran.code == 1
    assert "cloudwatch:PutMetricAlarm" in ran.err


def test_one_is_removed_and_tested(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(202, document=P99 | {"state": "deleting"}), problem("not-found", 404)]
    ran = mme("alarms", "delete", "demo", "p99", "--wait", url=fake.url, token="t")
    assert (ran.code, "gone" in ran.out) == (0, True), ran.err
    fake.answers = [Says(document=P99)]
    assert "a test is on its way" in mme("alarms", "test", "demo", "p99").out
    assert [one.method for one in fake.requests] == ["DELETE", "GET", "POST"]


def test_what_makes_no_sense_is_refused_before_the_portal_is_asked(
    mme: Mme, fake: FakePortal
) -> None:
    for words in (("demo",), ("create", "demo", "p99", "--minutes", "0"), ("test", "demo")):
        assert mme("alarms", *words, url=fake.url, token="t").code == 2
    assert not fake.requests
