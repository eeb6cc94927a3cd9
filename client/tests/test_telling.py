"""``mme webhook`` and ``mme mails``: against a portal that answers as the real one."""

import json
from collections.abc import Callable

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says, problem

Mme = Callable[..., Ran]
MADE = EXAMPLES["webhooks_create"]["201"]
DELIVERY = EXAMPLES["webhooks_deliveries"]["200"]["items"][0]
FAILED = DELIVERY | {"state": "failed", "id": "msg_failed", "kind": "version.ready"}
MAILS = EXAMPLES["mails_get"]["200"]
ID = MADE["id"]


def _asked(fake: FakePortal) -> list[str]:
    return [f"{one.method} {one.target.removeprefix('/api/v1')}" for one in fake.requests]


def test_a_webhook_is_made_and_its_secret_is_the_result(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(201, document=MADE)]
    ran = mme(
        *("webhook", "add", "https://ci.example.com/hook"),
        *("--kind", "version.ready", "--kind", "version.rejected", "--model", "digits"),
        *("--note", "CI", "--language", "ko"),
        url=fake.url,
        token="t",
    )
    assert (ran.code, ran.out) == (0, f"{MADE['secret']}\n"), ran.err
    assert "shown this once" in ran.err
    assert json.loads(fake.requests[0].body) == {
        "url": "https://ci.example.com/hook",
        "kinds": ["version.ready", "version.rejected"],
        "models": ["digits"],
        "note": "CI",
        "language": "ko",
    }
    assert mme("webhook", "add", "https://ci.example.com/hook").code == 2


def test_webhooks_and_kinds_are_listed(mme: Mme, fake: FakePortal) -> None:
    paused = EXAMPLES["webhooks_list"]["200"]["items"][0] | {"paused": True}
    fake.answers = [Says(document={"items": [paused], "next": None})]
    ran = mme("webhook", "list", url=fake.url, token="t")
    assert paused["url"] in ran.out
    assert "paused" in ran.out
    assert mme("webhook", "list", "--quiet").out == f"{paused['id']}\n"
    fake.answers = [Says(document=EXAMPLES["webhooks_kinds"]["200"])]
    assert "version.rejected" in mme("webhook", "kinds", "--quiet").out.splitlines()


def test_a_test_that_fails_is_exit_code_1(mme: Mme, fake: FakePortal) -> None:
    tried = {"at": DELIVERY["created_at"], "ms": 7, "http_status": 500}
    tried |= {"answer": "No.", "problem": "It answered 500."}
    fake.answers = [Says(document=FAILED | {"attempts": [tried]})]
    ran = mme("webhook", "test", ID, url=fake.url, token="t")
    assert ran.code == 1
    assert "It answered 500. (7 ms)" in ran.out
    assert "No." in ran.out
    fake.answers = [Says(document=DELIVERY | {"state": "delivered"})]
    assert mme("webhook", "test", ID).code == 0


def test_all_that_failed_is_sent_again_the_oldest_first(mme: Mme, fake: FakePortal) -> None:
    older, test = FAILED | {"id": "msg_older"}, FAILED | {"kind": "webhook.test"}
    found = {"items": [FAILED, test, older], "next": None}
    fake.answers = [Says(document=found), Says(202, document=older), Says(202, document=FAILED)]
    ran = mme("webhook", "redeliver", ID, "--failed", url=fake.url, token="t")
    assert (ran.code, ran.out) == (0, "msg_older\nmsg_failed\n"), ran.err
    path = f"/webhooks/{ID}/deliveries"
    assert _asked(fake) == [
        f"GET {path}?state=failed",
        f"POST {path}/msg_older/redeliver",
        f"POST {path}/msg_failed/redeliver",
    ]
    assert mme("webhook", "redeliver", ID).code == 2
    fake.answers = [problem("conflict", 409)]
    assert mme("webhook", "redeliver", ID, "msg_failed").code == 1


def test_a_webhook_is_changed_turned_over_and_removed(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=EXAMPLES["webhooks_change"]["200"])]
    ran = mme("webhook", "change", ID, "--pause", "--note", "", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert json.loads(fake.requests[-1].body) == {"paused": True, "note": ""}
    assert mme("webhook", "change", ID).code == 2
    assert mme("webhook", "change", ID, "--pause", "--resume").code == 2
    fake.answers = [Says(document=EXAMPLES["webhooks_rotate"]["200"])]
    ran = mme("webhook", "rotate", ID, "--at-once")
    assert ran.out == f"{EXAMPLES['webhooks_rotate']['200']['secret']}\n"
    assert json.loads(fake.requests[-1].body) == {"at_once": True}
    fake.answers = [Says(document=EXAMPLES["webhooks_get"]["200"]), Says(204)]
    ran = mme("webhook", "remove", ID)
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert _asked(fake)[-1] == f"DELETE /webhooks/{ID}"


def test_deliveries_say_how_they_went(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document={"items": [FAILED], "next": None})]
    ran = mme("webhook", "deliveries", ID, "--kind", "version.ready", url=fake.url, token="t")
    assert "msg_failed" in ran.out
    assert "failed" in ran.out
    assert _asked(fake) == [f"GET /webhooks/{ID}/deliveries?kind=version.ready"]


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (("--kind", "version.ready"), {"kinds": ["version.ready"], "only_own": True}),
        (("--kind", "alias.moved", "--all"), {"kinds": ["alias.moved"], "only_own": False}),
        (("--none",), {"kinds": [], "only_own": True}),
    ],
)
def test_mails_are_chosen(
    mme: Mme, fake: FakePortal, arguments: tuple[str, ...], body: dict[str, object]
) -> None:
    fake.answers = [Says(document=MAILS | {"kinds": ["version.ready"], "possible": False})]
    ran = mme("mails", *arguments, url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert "no mail server" in ran.err
    assert json.loads(fake.requests[0].body) == body
    assert mme("mails", "--quiet").out == "version.ready\n"
    assert mme("mails", "--none", "--kind", "version.ready").code == 2
    assert mme("mails", "--all").code == 2
