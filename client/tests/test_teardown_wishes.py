"""``--keep-config``, ``--keep-model``, ``--plan`` and ``--undo`` of ``mme teardown``."""

import json
from collections.abc import Callable

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says, problem

Mme = Callable[..., Ran]
API = "/api/v1/endpoints/demo"
ENDPOINT = EXAMPLES["endpoints_update"]["202"] | {
    "name": "demo", "state": "in_service", "settled": True, "serving": True, "failure": None,
}  # fmt: skip
PLAN = {
    "endpoint": "demo",
    "deletes": [{"kind": "endpoint", "name": "demo", "arn": "", "state": "in_service"}],
    "keeps": [{"kind": "config", "name": "demo-r1", "arn": "", "state": "created"}],
    "store": "s3://bucket/models/",
}


def test_what_is_to_be_kept_is_asked_for(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(202, document=ENDPOINT | {"wanted": "absent"})]
    ran = mme("teardown", "demo", "--keep-config", "--yes", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert json.loads(fake.requests[0].body) == {"name": "demo", "keep_config": True}
    fake.answers = [Says(202, document=ENDPOINT)]
    mme("teardown", "demo", "--keep-model", "--yes")
    assert json.loads(fake.requests[1].body) == {"name": "demo", "keep_model": True}


def test_what_is_asked_for_is_said_and_how_to_undo_it(mme: Mme, fake: FakePortal) -> None:
    asked = ENDPOINT | {"wanted": "absent", "settled": False, "sagemaker_status": "InService"}
    fake.answers = [Says(202, document=asked | {"teardown_at": "2026-11-03T08:00:10Z"})]
    ran = mme("teardown", "demo", "--yes", url=fake.url, token="t")
    assert (ran.code, ran.out) == (0, "demo  to be torn down (InService)\n")
    assert "mme teardown demo --undo" in ran.err
    # One that cannot be undone any more does not say so.
    fake.answers = [Says(202, document=asked | {"teardown_at": None})] * 2
    ran = mme("teardown", "demo", "--yes")
    assert (ran.out, ran.err) == ("demo  to be torn down (InService)\n", "")
    assert mme("teardown", "demo", "--yes", "-q").out == "demo\n"


@pytest.mark.parametrize("undo", [(), ("--undo",)])
def test_what_was_done_before_one_was_refused_is_told(
    mme: Mme, fake: FakePortal, undo: tuple[str, ...]
) -> None:
    looks = [] if undo else [Says(document=ENDPOINT)] * 2
    asked = Says(202, document=ENDPOINT | {"wanted": "absent", "sagemaker_status": "InService"})
    fake.answers = [*looks, asked, problem("conflict", 409)]
    wanted = ("teardown", "demo", "other", *(undo or ("--yes",)))
    ran = mme(*wanted, url=fake.url, token="t")
    assert ran.code == 1
    assert ran.out.startswith("demo  to be torn down")
    assert "This is conflict." in ran.err
    fake.answers = [*looks, asked, problem("conflict", 409)]
    *before, last = mme(*wanted, "--json").out.strip().splitlines()
    assert [one["name"] for one in json.loads("".join(before))["items"]] == ["demo"]
    assert json.loads(last)["type"] == "/problems/conflict"


def test_the_plan_shows_what_goes_and_what_stays(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=PLAN)]
    ran = mme("teardown", "demo", "--keep-config", "--plan", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert [line.split() for line in ran.out.splitlines()] == [
        ["demo"],
        ["endpoint", "demo", "is", "deleted"],
        ["config", "demo-r1", "stays"],
        ["The", "archives", "in", "s3://bucket/models/", "stay."],
    ]
    more = {
        "calls": [
            {"action": action, "arguments": {}, "code": "", "afterwards": later}
            for action, later in (("DeleteEndpoint", False), ("DeleteModel", True))
        ],
        "code": "import boto3\n",
        "cost_before": {"per_hour": "0.115", "per_month": "83.95", "currency": "USD"},
    }  # fmt: skip
    fake.answers = [Says(document=PLAN | more)]
    assert mme("teardown", "demo", "--keep-config", "--plan").out.splitlines()[-2:] == [
        "It costs now, and then no more: 0.115 USD an hour, 83.95 USD a month",
        "Calls of AWS: DeleteEndpoint, DeleteModel",
    ]
    asked = fake.requests[0]
    assert asked.target == f"{API}/teardown/plan"
    assert json.loads(asked.body) == {"keep_config": True, "keep_model": False}
    fake.answers = [Says(document=PLAN)]
    assert mme("teardown", "demo", "--plan", "-q").out == "endpoint demo\n"


def test_it_is_undone(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(202, document=ENDPOINT)]
    ran = mme("teardown", "demo", "--undo", url=fake.url, token="t")
    assert (ran.code, ran.out) == (0, "demo  in_service\n")
    assert fake.requests[0].target == f"{API}/teardown/undo"
    fake.answers = [problem("conflict", 409)]
    assert mme("teardown", "demo", "--undo").code == 1


@pytest.mark.parametrize(
    "given", [("--undo", "--wait"), ("--undo", "--plan"), ("--plan", "--wait")]
)
def test_wrong_use_asks_no_portal(mme: Mme, fake: FakePortal, given: tuple[str, ...]) -> None:
    assert mme("teardown", "demo", *given, url=fake.url, token="t").code == 2
    assert fake.requests == []
