"""``mme endpoint schedule``, ``pause``, ``resume`` and ``extend``."""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says, problem

Mme = Callable[..., Ran]
API = "/api/v1/endpoints/demo"
HOURS, ZONE = "mon-fri 08:00-19:00", "Asia/Seoul"
ENDPOINT = EXAMPLES["endpoints_update"]["202"] | {
    "name": "demo", "state": "in_service", "settled": True, "serving": True, "failure": None,
    "hours": HOURS, "hours_zone": ZONE, "pauses_at": "2026-12-24T10:00:00Z", "resumes_at": None,
}  # fmt: skip
PAUSED = ENDPOINT | {
    "state": "paused", "serving": False, "pauses_at": None, "resumes_at": "2026-12-24T23:00:00Z",
}  # fmt: skip
SCHEDULE = ("endpoint", "schedule", "demo")


@pytest.fixture(autouse=True)
def _in_seoul() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "KST-9")
        time.tzset()
        yield
    time.tzset()


def test_hours_are_given_and_removed(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=ENDPOINT)]
    ran = mme(*SCHEDULE, "--hours", HOURS, "--zone", ZONE, url=fake.url, token="t")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"demo  {HOURS} {ZONE}  pauses 2026-12-24 19:00\n"
    (asked,) = fake.requests
    assert (asked.method, asked.target) == ("PUT", f"{API}/hours")
    assert json.loads(asked.body) == {"hours": HOURS, "zone": ZONE}
    none = {"hours": "", "hours_zone": "", "pauses_at": None}
    fake.answers = [Says(document=ENDPOINT | none)]
    assert mme(*SCHEDULE, "--clear").out == "demo  no working hours\n"
    assert json.loads(fake.requests[-1].body) == {"hours": "", "zone": ""}


@pytest.mark.parametrize(
    "given", [(), ("--hours", HOURS, "--clear"), ("--hours", HOURS), ("--zone", ZONE)]
)
def test_wrong_use_asks_no_portal(mme: Mme, fake: FakePortal, given: tuple[str, ...]) -> None:
    assert mme(*SCHEDULE, *given, url=fake.url, token="t").code == 2
    assert fake.requests == []


def test_it_is_paused_and_resumed(mme: Mme, fake: FakePortal) -> None:
    under_way = ENDPOINT | {"settled": False}
    fake.answers = [Says(202, document=under_way), Says(document=PAUSED)]
    ran = mme("endpoint", "pause", "demo", "--wait", url=fake.url, token="t")
    assert ran.out == f"demo  paused  {HOURS} {ZONE}  resumes 2026-12-25 08:00\n", ran.err
    assert (fake.requests[0].method, fake.requests[0].target) == ("POST", f"{API}/pause")
    fake.answers = [Says(202, document=under_way), Says(document=ENDPOINT)]
    assert mme("endpoint", "resume", "demo", "--wait").code == 0
    assert fake.requests[2].target == f"{API}/resume"
    fake.answers = [Says(202, document=under_way), Says(document=ENDPOINT)]
    assert mme("endpoint", "pause", "demo", "--wait").code == 1  # somebody resumed it meanwhile
    fake.answers = [problem("conflict", 409)]
    assert mme("endpoint", "extend", "demo").code == 1
    assert fake.requests[-1].target == f"{API}/extend"
    fake.answers = [Says(document=ENDPOINT)]
    assert mme("endpoint", "extend", "demo", "--day").code == 0
    assert fake.requests[-1].target == f"{API}/extend?day=true"


def test_the_state_is_said_in_both_languages(
    mme: Mme, mme_process: Callable[..., Ran], fake: FakePortal
) -> None:
    fake.answers = [Says(document=PAUSED)]
    out = mme("endpoints", "demo", url=fake.url, token="t").out
    assert "paused" in out
    assert HOURS in out
    assert "2026-12-25 08:00" in out
    said = {"MME_URL": fake.url, "MME_TOKEN": "t", "LANG": "ko_KR.UTF-8"}
    assert "일시 중지됨" in mme_process("endpoints", "demo", **said).out
