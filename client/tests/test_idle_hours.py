"""``--idle`` of ``mme deploy``, ``mme endpoint expire`` and ``mme endpoint postpone``."""

import json
import time
from collections.abc import Callable, Iterator

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says, problem

Mme = Callable[..., Ran]
API = "/api/v1/endpoints/demo"
ENDPOINT = EXAMPLES["endpoints_update"]["202"] | {
    "name": "demo", "state": "in_service", "settled": True, "serving": True, "failure": None,
    "expires_at": None, "idle_hours": 12, "idle_ends_at": "2026-12-24T10:00:00Z",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _in_seoul() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "KST-9")
        time.tzset()
        yield
    time.tzset()


def test_they_are_given_removed_and_postponed(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=ENDPOINT)]
    ran = mme("endpoint", "expire", "demo", "--idle", "12", url=fake.url, token="t")
    assert (ran.code, ran.err) == (0, "")
    said = "ends after 12 hours without a call, at 2026-12-24 19:00 if nobody calls"
    assert ran.out == f"demo  in_service  {said}\n"
    (asked,) = fake.requests
    assert (asked.method, asked.target) == ("PUT", f"{API}/idle")
    assert json.loads(asked.body) == {"idle_hours": 12}
    fake.answers = [Says(document=ENDPOINT | {"idle_hours": None, "idle_ends_at": None})]
    ran = mme("endpoint", "expire", "demo", "--idle", "0")
    assert ran.out == "demo  in_service  no idle hours\n"
    assert json.loads(fake.requests[-1].body) == {"idle_hours": 0}
    fake.answers = [Says(document=ENDPOINT)]
    assert mme("endpoint", "postpone", "demo", "--idle").code == 0
    assert fake.requests[-1].target == f"{API}/idle/postpone"
    fake.answers = [problem("conflict", 409)]
    assert mme("endpoint", "postpone", "demo", "--idle").code == 1


def test_with_an_end_date_both_are_given(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=ENDPOINT), Says(document=ENDPOINT)]
    ran = mme("endpoint", "expire", "demo", "--never", "--idle", "12", url=fake.url, token="t")
    assert ran.code == 0
    assert [one.target for one in fake.requests] == [f"{API}/expiry", f"{API}/idle"]
    assert "no end date" in ran.out


def test_deploy_has_aliases_warmed_where_it_is_told_to(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(201, document=ENDPOINT), Says(201, document=ENDPOINT)]
    assert mme("deploy", "demo", "--warm-aliases", url=fake.url, token="t").code == 0
    assert mme("deploy", "demo", url=fake.url, token="t").code == 0
    assert [json.loads(one.body).get("warm_aliases") for one in fake.requests] == [True, None]


def test_deploy_gives_them(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(201, document=ENDPOINT)]
    ran = mme("deploy", "demo", "--idle", "12", url=fake.url, token="t")
    assert ran.out == "demo  in_service  after 12 hours without a call\n", ran.err
    assert json.loads(fake.requests[0].body)["idle_hours"] == 12


def test_the_page_of_one_shows_them(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=ENDPOINT | {"idle_problem": "AWS does not say."})]
    out = mme("endpoints", "demo", url=fake.url, token="t").out
    assert "after 12 hours without a call" in out
    assert "AWS does not say." in out
