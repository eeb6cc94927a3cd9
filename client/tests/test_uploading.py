"""``mme uploads``: against a portal that answers as the real one."""

import json
from collections.abc import Callable

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says, problem

Mme = Callable[..., Ran]
LIST = EXAMPLES["uploads_list"]["200"]
UPLOAD = LIST["items"][0]


def test_the_unfinished_uploads_are_listed(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=LIST)] * 3
    ran = mme("uploads", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert UPLOAD["id"] in ran.out
    assert UPLOAD["file_name"] in ran.out
    assert f"{UPLOAD['offset']} bytes of 1000 bytes" in ran.out
    assert json.loads(mme("uploads", "--json").out) == LIST
    assert mme("uploads", "--quiet").out == f"{UPLOAD['id']}\n"
    assert {one.target for one in fake.requests} == {"/api/v1/uploads/"}


def test_one_is_cancelled(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=UPLOAD), Says(204)]
    ran = mme("uploads", "cancel", UPLOAD["id"], url=fake.url, token="t")
    assert (ran.code, ran.out) == (0, ""), ran.err
    assert f"Cancelled: {UPLOAD['file_name']}." in ran.err
    assert [f"{one.method} {one.target}" for one in fake.requests] == [
        f"GET /api/v1/uploads/{UPLOAD['id']}", f"DELETE /api/v1/uploads/{UPLOAD['id']}",
    ]  # fmt: skip
    assert fake.requests[1].headers["Tus-Resumable"] == "1.0.0"
    fake.answers = [problem("not-found", 404)]
    assert mme("uploads", "cancel", "gone").code == 3
    assert mme("uploads", "cancel").code == 2
