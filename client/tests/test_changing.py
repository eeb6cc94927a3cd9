"""``mme endpoint update`` and the like: against a portal that answers as the real one."""

import json
from collections.abc import Callable

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says, problem

Mme = Callable[..., Ran]
ENDPOINT = EXAMPLES["endpoints_update"]["202"] | {"name": "demo", "revision": 2, "settled": False}
SERVING = ENDPOINT | {"settled": True, "updating": False, "serving": True, "failure": None}
REFUSED = {"revision": 2, "state": "rolled_back", "failure": "No capacity.", "failure_code": None}
REVISIONS = EXAMPLES["endpoints_revisions"]["200"]
UPDATE = ("endpoint", "update", "demo")


def test_what_is_named_is_changed_and_waited_for(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(202, document=ENDPOINT), Says(document=SERVING | {"refused_change": None})]
    ran = mme(
        *UPDATE, "--count", "2", "--type", "ml.m5.xlarge", "--reason", "room", "--wait", "--quiet",
        url=fake.url, token="t",
    )  # fmt: skip
    assert (ran.code, ran.out) == (0, "demo\n"), ran.err
    asked = fake.requests[0]
    assert (asked.method, asked.target) == ("PATCH", "/api/v1/endpoints/demo")
    assert json.loads(asked.body) == {
        "instance_count": 2, "instance_type": "ml.m5.xlarge", "reason": "room",
    }  # fmt: skip
    assert fake.requests[1].target == "/api/v1/endpoints/demo?wait=30"


def test_a_change_that_was_rolled_back_is_1_and_says_why(mme: Mme, fake: FakePortal) -> None:
    before = SERVING | {"revision": 1, "refused_change": REFUSED}
    fake.answers = [Says(202, document=ENDPOINT), Says(document=before)]
    ran = mme(*UPDATE, "--image", "bad:1", "--wait", url=fake.url, token="t")
    assert ran.code == 1
    assert "No capacity." in ran.err
    # A change of long ago that was refused is not what is waited for.
    fake.answers = [Says(202, document=ENDPOINT | {"revision": 3}), Says(document=before)]
    assert mme(*UPDATE, "--count", "1", "--wait").code == 0


def test_nothing_to_change_is_wrong_use_and_a_conflict_1(mme: Mme, fake: FakePortal) -> None:
    assert mme(*UPDATE, url=fake.url, token="t").code == 2
    assert fake.requests == []
    fake.answers = [problem("conflict", 409)]
    assert mme(*UPDATE, "--count", "2").code == 1
    fake.answers = [problem("not-allowed", 403)]
    assert mme(*UPDATE, "--image", "other:2").code == 4


def test_back_to_a_revision(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(202, document=ENDPOINT)]
    ran = mme("endpoint", "rollback", "demo", "--revision", "1", "--json", url=fake.url, token="t")
    assert (ran.code, json.loads(ran.out)) == (0, ENDPOINT)
    asked = fake.requests[0]
    assert (asked.method, asked.target) == ("POST", "/api/v1/endpoints/demo/rollback")
    assert json.loads(asked.body)["revision"] == 1


def test_revisions_are_listed(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=REVISIONS | {"next": None})]
    ran = mme("endpoint", "revisions", "demo", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    first = REVISIONS["items"][0]
    assert f"{first['instance_count']} × {first['instance_type']}" in ran.out
    assert (
        json.loads(mme("endpoint", "revisions", "demo", "--json").out)["items"]
        == REVISIONS["items"]
    )


def test_revisions_say_what_differs(mme: Mme, fake: FakePortal) -> None:
    differs = [{"name": "variants", "before": "1 × ml.m5.large", "after": "2 × ml.m5.large"}]
    fake.answers = [
        Says(document={"items": [REVISIONS["items"][0] | {"differences": differs}], "next": None})
    ]
    ran = mme("endpoint", "revisions", "demo", url=fake.url, token="t")
    assert "variants: 1 × ml.m5.large → 2 × ml.m5.large" in ran.out


def test_revisions_say_how_long_they_took(mme: Mme, fake: FakePortal) -> None:
    took = [350, None, 45, 7200]
    items = [REVISIONS["items"][0] | {"revision": 4 - n, "took_s": s} for n, s in enumerate(took)]
    fake.answers = [Says(document={"items": items, "next": None})]
    ran = mme("endpoint", "revisions", "demo", url=fake.url, token="t")
    assert [said for said in ("6 min", "45 s", "2.0 h") if said in ran.out] == [
        "6 min", "45 s", "2.0 h",
    ]  # fmt: skip


def test_another_role_is_asked_for(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(202, document=ENDPOINT), Says(201, document=ENDPOINT)]
    role = "arn:aws:iam::123456789012:role/other"
    assert mme(*UPDATE, "--role", role, url=fake.url, token="t").code == 0
    assert mme("deploy", "demo", "--role", role).code == 0
    assert [json.loads(one.body)["role_arn"] for one in fake.requests] == [role, role]


def test_another_store_is_asked_for(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(202, document=ENDPOINT)]
    assert mme(*UPDATE, "--store", "team-a", url=fake.url, token="t").code == 0
    assert json.loads(fake.requests[0].body)["store"] == "team-a"


def test_several_are_torn_down_or_none(mme: Mme, fake: FakePortal) -> None:
    other = SERVING | {"name": "other"}
    fake.answers = [
        Says(document=SERVING), Says(document=other),
        Says(202, document=SERVING), Says(202, document=other),
    ]  # fmt: skip
    ran = mme("teardown", "demo", "other", "--yes", "--quiet", url=fake.url, token="t")
    assert (ran.code, ran.out) == (0, "demo\nother\n"), ran.err
    assert [asked.method for asked in fake.requests] == ["GET", "GET", "POST", "POST"]
    # A name that is wrong ends it before anything was asked for.
    fake.answers, fake.requests[:] = [Says(document=SERVING), problem("not-found", 404)], []
    ran = mme("teardown", "demo", "nothere", "--yes")
    assert (ran.code, ran.out) == (3, "")
    assert "Nothing was changed." in ran.err
    assert [asked.method for asked in fake.requests] == ["GET", "GET"]


def test_a_revision_that_is_not_there_is_said(mme: Mme, fake: FakePortal) -> None:
    said = "The endpoint demo has no revision 9. Nothing was changed."
    refused = problem("not-found", 404)
    assert isinstance(refused.document, dict)
    refused.document |= {"title": "Not found", "detail": said}
    fake.answers = [refused]
    ran = mme("endpoint", "rollback", "demo", "--revision", "9", url=fake.url, token="t")
    assert ran.code == 3
    assert said in ran.err
