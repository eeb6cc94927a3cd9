"""``mme import`` and ``repack``: against a portal that answers as the real one."""

import json
from collections.abc import Callable

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says

Mme = Callable[..., Ran]
VERSION = EXAMPLES["versions_get"]["200"]
FOUND = {
    "target_model": "team/zoo.tar.gz", "uri": "s3://b/models/team/zoo.tar.gz", "model": "zoo",
    "size": 1000, "modified_at": "2026-01-31T09:30:00Z", "problem": None,
}  # fmt: skip
ODD = FOUND | {"target_model": "notes.txt", "model": None, "problem": "It is no TargetModel."}


def test_a_preview_changes_nothing(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document={"items": [FOUND, ODD]})]
    ran = mme("import", "--preview", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert "team/zoo.tar.gz" in ran.out
    assert "It is no TargetModel." in ran.out
    assert mme("import", "--preview", "--quiet").out == "team/zoo.tar.gz\n"
    lines = mme("import", "--preview", "--json").out.splitlines()
    assert [json.loads(line) for line in lines] == [FOUND, ODD]
    assert {one.target for one in fake.requests} == {"/api/v1/imports/preview"}


def test_what_was_found_is_imported_and_waited_for(mme: Mme, fake: FakePortal) -> None:
    begun = VERSION | {"model": "zoo", "number": 1, "state": "uploaded", "as_found": True}
    refused = begun | {"state": "rejected", "reason": "It is not packed as the portal packs."}
    fake.answers = [Says(202, document={"items": [begun]}), Says(document=refused)]
    ran = mme("import", "team/zoo.tar.gz", "--wait", url=fake.url, token="t")
    assert ran.code == 5
    assert "It is not packed" in ran.err
    assert json.loads(fake.requests[0].body) == {"keys": ["team/zoo.tar.gz"]}
    fake.answers = [Says(202, document={"items": [begun]})]
    assert mme("import", "--quiet").out == "zoo:1\n"
    fake.answers = [Says(202, document={"items": []})]
    ran = mme("import")
    assert (ran.code, ran.out) == (0, "")
    assert "nothing to import" in ran.err


def test_a_canonical_copy_is_the_next_version(mme: Mme, fake: FakePortal) -> None:
    made = VERSION | {"model": "zoo", "number": 2, "state": "uploaded"}
    fake.answers = [Says(202, document=made), Says(document=made | {"state": "ready"})]
    ran = mme("repack", "zoo:1", "--wait", url=fake.url, token="t")
    assert (ran.code, ran.out) == (0, "zoo:2  ready\n"), ran.err
    assert fake.requests[0].target == "/api/v1/models/zoo/versions/1/repack"
    assert mme("repack", "zoo").code == 2
