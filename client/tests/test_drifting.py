"""``mme endpoint accept`` and ``put-back``: what was changed outside the portal."""

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


@pytest.mark.parametrize(("command", "path"), [("accept", "accept"), ("put-back", "restore")])
def test_it_is_asked_for_with_why_and_waited_for(
    mme: Mme, fake: FakePortal, command: str, path: str
) -> None:
    under_way = ENDPOINT | {"settled": False}
    fake.answers = [Says(202, document=under_way), Says(document=ENDPOINT)]
    ran = mme(
        "endpoint", command, "demo", "--reason", "load test", "--wait", url=fake.url, token="t"
    )
    assert (ran.code, ran.out) == (0, "demo  in_service\n"), ran.err
    asked, waited = fake.requests
    assert (asked.method, asked.target) == ("POST", f"{API}/{path}")
    assert json.loads(asked.body) == {"reason": "load test"}
    assert waited.target.startswith(f"{API}?wait=")
    fake.answers = [problem("conflict", 409)]
    assert mme("endpoint", command, "demo").code == 1


def test_a_deleted_one_is_told_in_both_languages(
    mme: Mme, mme_process: Callable[..., Ran], fake: FakePortal
) -> None:
    deleted = ENDPOINT | {"state": "deleted_outside", "serving": False}
    fake.answers = [Says(document={"items": [deleted], "next": None})]
    assert "deleted_outside" in mme("endpoints", url=fake.url, token="t").out
    said = {"MME_URL": fake.url, "MME_TOKEN": "t", "LANG": "ko_KR.UTF-8"}
    assert "외부에서 삭제됨" in mme_process("endpoints", **said).out


def test_revisions_say_what_was_accepted(mme: Mme, fake: FakePortal) -> None:
    first = EXAMPLES["endpoints_revisions"]["200"]["items"][0]
    accepted = first | {"accepted_outside": True, "reason": "load test", "failure": None}
    fake.answers = [Says(document={"items": [accepted], "next": None})]
    out = mme("endpoint", "revisions", "demo", url=fake.url, token="t").out
    assert "accepted from outside  load test" in out
