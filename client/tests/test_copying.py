"""``mme copy``: against a portal that answers as the real one."""

import json
from collections.abc import Callable

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says, problem

Mme = Callable[..., Ran]
VERSION = EXAMPLES["versions_get"]["200"]
NAME = f"{VERSION['model']}:{VERSION['number']}"
PATH = f"/api/v1/models/{VERSION['model']}/versions/{VERSION['number']}/copies"
TO = ("--to", "demo/zoo_{n}", "--times", "2")


def _copy(number: int, state: str, **more: object) -> dict[str, object]:
    target = f"demo/zoo_{number}.tar.gz"
    return VERSION | {
        "model": f"zoo_{number}", "number": 1, "state": state, "target_model": target,
        "copied_from": NAME, **more,
    }  # fmt: skip


def test_it_is_done_when_all_can_be_called(mme: Mme, fake: FakePortal) -> None:
    begun = Says(202, document={"items": [_copy(1, "copying"), _copy(2, "copying")]})
    fake.answers = [begun, Says(document=_copy(1, "ready")), Says(document=_copy(2, "ready"))]
    ran = mme("copy", NAME, *TO, url=fake.url, token="t")
    assert ran.code == 0, ran.err
    lines = [line.split() for line in ran.out.splitlines()]
    assert lines[1:] == [
        ["zoo_1:1", "demo/zoo_1.tar.gz", "ready"],
        ["zoo_2:1", "demo/zoo_2.tar.gz", "ready"],
    ]
    assert [(one.method, one.target) for one in fake.requests] == [
        ("POST", PATH),
        ("GET", "/api/v1/models/zoo_1/versions/1?wait=30"),
        ("GET", "/api/v1/models/zoo_2/versions/1?wait=30"),
    ]
    assert json.loads(fake.requests[0].body) == {"to": "demo/zoo_{n}", "times": 2}


def test_one_that_could_not_be_made_is_said_and_the_others_waited_for(
    mme: Mme, fake: FakePortal
) -> None:
    rejected = _copy(1, "rejected", reason="An object is there.")
    begun = Says(202, document={"items": [_copy(1, "copying"), _copy(2, "copying")]})
    fake.answers = [begun, Says(document=rejected), Says(document=_copy(2, "ready"))]
    ran = mme("copy", NAME, *TO, "--json", url=fake.url, token="t")
    assert ran.code == 5
    assert "An object is there." in ran.err
    documents = [json.loads(line) for line in ran.out.splitlines()]
    assert [one["state"] for one in documents] == ["ready", "rejected"]


def test_a_preview_shows_what_is_in_the_way(mme: Mme, fake: FakePortal) -> None:
    planned = {"model": "zoo_1", "target_model": "demo/zoo_1.tar.gz", "uri": "s3://b/models/demo"}
    fake.answers = [Says(document={"items": [planned | {"problem": "There is a model."}]})]
    ran = mme("copy", NAME, "--to", "demo/zoo_{n}", "--preview", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert "zoo_1:1" in ran.out
    assert "There is a model." in ran.out
    assert [one.target for one in fake.requests] == [f"{PATH}/preview"]
    ran = mme("copy", NAME, "--to", "demo/zoo_{n}", "--preview", "--quiet")
    assert ran.out == "demo/zoo_1.tar.gz\n"


def test_a_clash_is_an_error(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [problem("conflict", 409)]
    assert mme("copy", NAME, *TO, url=fake.url, token="t").code == 1
    assert mme("copy", "digits", *TO).code == 2
