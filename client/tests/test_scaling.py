"""``mme endpoint scale``: what is asked of the portal, and what is said."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says

Mme = Callable[..., Ran]
PATH = "/api/v1/endpoints/demo/scaling"
SCALE = ("endpoint", "scale", "demo")
ASKED = ("--min", "1", "--max", "2", "--target", "50")
LIMITS = {"min_instances": 1, "max_instances": 2, "calls_per_minute": 50}
COST = {"per_hour": "0.115", "per_month": "83.95", "currency": "USD"}
OFF: dict[str, Any] = EXAMPLES["endpoints_update"]["202"] | {
    "name": "demo", "state": "in_service", "settled": True, "serving": True, "failure": None,
    "scaling": None,
}  # fmt: skip
ON = OFF | {
    "running": {"instance_type": "ml.m5.large", "instance_count": 2},
    "scaling": LIMITS | {
        "state": "on", "in_cooldown_s": 300, "out_cooldown_s": 60, "cost_from": COST,
        "schedule": [], "zone": "",
        "cost_up_to": COST | {"per_month": "167.90"},
    },
}  # fmt: skip
SAID = "demo  1 to 2 instances, for 50 calls a minute each\n"


def test_it_is_scaled_between_two_numbers(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(202, document=ON)]
    ran = mme(*SCALE, *ASKED, "--out-cooldown", "60", url=fake.url, token="t")
    assert (ran.code, ran.out, ran.err) == (0, SAID, "")
    (asked,) = fake.requests
    assert (asked.method, asked.target) == ("PUT", PATH)
    assert json.loads(asked.body) == LIMITS | {"out_cooldown_s": 60}


def test_it_is_waited_for(mme: Mme, fake: FakePortal) -> None:
    begun = ON | {"settled": False, "scaling": ON["scaling"] | {"state": "requested"}}
    fake.answers = [Says(202, document=begun), Says(document=ON)]
    ran = mme(*SCALE, *ASKED, "--wait", url=fake.url, token="t")
    assert (ran.code, ran.out) == (0, SAID)
    assert fake.requests[1].target.startswith("/api/v1/endpoints/demo?wait=")
    refused = OFF | {"settled": True, "failure": "AWS does not allow it: RegisterScalableTarget"}
    fake.answers = [Says(202, document=begun), Says(document=refused)]
    ran = mme(*SCALE, *ASKED, "--wait")
    assert ran.code != 0
    assert "RegisterScalableTarget" in ran.err


def test_other_limits_by_the_clock(mme: Mme, fake: FakePortal) -> None:
    evening = {"when": "mon-fri 19:00", "min_instances": 1, "max_instances": 2}
    by_clock = {"schedule": [evening], "zone": "Asia/Seoul"}
    fake.answers = [Says(202, document=ON | {"scaling": ON["scaling"] | by_clock})]
    at = ("--at", "mon-fri 19:00=1-2", "--zone", "Asia/Seoul")
    ran = mme(*SCALE, *ASKED, *at, url=fake.url, token="t")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{SAID.strip()}; mon-fri 19:00 1-2 (Asia/Seoul)\n"
    assert json.loads(fake.requests[0].body) == LIMITS | by_clock
    for wrong in (at[:2], ("--at", "mon-fri 19:00", *at[2:]), ("--at", "mon=1-x", *at[2:])):
        assert mme(*SCALE, *ASKED, *wrong).code == 2
    assert len(fake.requests) == 1


def test_it_is_switched_off(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(202, document=OFF)]
    ran = mme(*SCALE, "--off", url=fake.url, token="t")
    assert (ran.code, ran.out, ran.err) == (0, "demo  autoscaling off\n", "")
    (asked,) = fake.requests
    assert (asked.method, asked.target) == ("DELETE", PATH)


def test_json_and_quiet(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(202, document=ON), Says(202, document=ON)]
    ran = mme(*SCALE, *ASKED, "--json", url=fake.url, token="t")
    assert json.loads(ran.out)["scaling"]["max_instances"] == 2
    assert mme(*SCALE, *ASKED, "--quiet").out == "demo\n"


def test_a_plan_says_what_it_may_cost(mme: Mme, fake: FakePortal) -> None:
    plan = {
        "endpoint": "demo", "expires_at": None, "calls": [], "code": "", "differences": [],
        "stays": [], "estimate": "About.", "meanwhile": "It serves.", "cost": COST,
        "cost_before": COST, "cost_up_to": COST | {"per_hour": "0.230"},
    }  # fmt: skip
    fake.answers = [Says(document=plan)]
    ran = mme(*SCALE, *ASKED, "--plan", url=fake.url, token="t")
    assert ran.code == 0, ran.err
    assert "0.230 USD an hour" in ran.out
    assert fake.requests[0].target == f"{PATH}/plan"


def test_one_endpoint_says_how_it_is_scaled(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document=ON)]
    ran = mme("endpoints", "demo", url=fake.url, token="t")
    assert "1 to 2 instances, for 50 calls a minute each" in ran.out
    assert "2 × " in ran.out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "Say how it is scaled: --min, --max and --target; or --off."),
        (
            ASKED[:4],
            "Say how it is scaled: --min, --max and --target; or --off.",
        ),
        (("--off", "--min", "1"), "Give --off alone."),
        (("--off", "--zone", "Asia/Seoul", "--plan"), "Give --off alone."),
        ((*ASKED, "--plan", "--wait"), "Give one of --plan and --wait."),
    ],
)
def test_wrong_use(mme: Mme, fake: FakePortal, given: tuple[str, ...], said: str) -> None:
    ran = mme(*SCALE, *given, url=fake.url, token="t")
    assert (ran.code, ran.err) == (2, f"Wrong use: {said}\n")
    assert fake.requests == []
