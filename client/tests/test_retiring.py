"""``mme retire``, ``restore`` and ``delete``: against a portal that answers as the real one."""

import json
from collections.abc import Callable

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says, problem

Mme = Callable[..., Ran]
VERSION = EXAMPLES["versions_get"]["200"]
PATH = f"/api/v1/models/{VERSION['model']}/versions/{VERSION['number']}"
NAME = f"{VERSION['model']}:{VERSION['number']}"


def _asked(fake: FakePortal) -> list[str]:
    return [f"{one.method} {one.target.removeprefix(PATH)}" for one in fake.requests]


def test_a_version_is_retired_and_restored(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=VERSION | {"state": "retired"})]
    ran = mme("retire", NAME, url=fake.url, token="t")
    assert (ran.code, ran.out) == (0, f"{NAME}  retired\n"), ran.err
    fake.answers = [Says(document=VERSION)]
    assert json.loads(mme("restore", NAME, "--json").out) == VERSION
    assert _asked(fake) == ["POST /retire", "POST /restore"]
    assert mme("retire", "digits").code == 2


def test_a_deletion_is_confirmed_and_waited_for(mme: Mme, fake: FakePortal) -> None:
    assert mme("delete", NAME, url=fake.url, token="t").code == 2
    assert fake.requests == []
    deleting, deleted = VERSION | {"state": "deleting"}, VERSION | {"state": "deleted"}
    fake.answers = [Says(202, document=deleting), Says(document=deleted)]
    ran = mme("delete", NAME, "--yes", "--wait", "--quiet")
    assert (ran.code, ran.out) == (0, "deleted\n"), ran.err
    assert _asked(fake) == ["DELETE ", "GET ?wait=30"]
    fake.answers = [problem("conflict", 409)]
    assert mme("delete", NAME, "--yes").code == 1
