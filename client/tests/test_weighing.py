"""``--variant`` and ``mme endpoint weights``: what is asked of the portal, and what is said."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from client.tests.conftest import Ran
from client.tests.fake_portal import EXAMPLES, FakePortal, Says

Mme = Callable[..., Ran]
LARGE = {"name": "large", "instance_type": "ml.m5.xlarge", "instance_count": 1, "weight": 9.0}
SMALL = {"name": "small", "instance_type": "ml.m5.large", "instance_count": 2, "weight": 1.0}
TWO: dict[str, Any] = EXAMPLES["endpoints_update"]["202"] | {
    "name": "demo", "state": "in_service", "settled": True, "serving": True, "failure": None,
    "refused_change": None, "variants": [LARGE, SMALL],
}  # fmt: skip
SIZE = "large 1 × ml.m5.xlarge (90%), small 2 × ml.m5.large (10%)"


def test_weights_are_moved_and_waited_for(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(202, document=TWO | {"settled": False}), Says(document=TWO)]
    weigh = ("endpoint", "weights", "demo", "large=9", "small=0.5", "--wait", "--reason", "try")
    ran = mme(*weigh, url=fake.url, token="t")
    assert (ran.code, ran.out, ran.err) == (0, f"demo  {SIZE}\n", "")
    asked = fake.requests[0]
    assert (asked.method, asked.target) == ("PUT", "/api/v1/endpoints/demo/weights")
    assert json.loads(asked.body) == {"weights": {"large": 9, "small": 0.5}, "reason": "try"}


def test_a_plan_of_weights_changes_nothing(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(document={})]
    assert (
        mme("endpoint", "weights", "demo", "small=0", "--plan", "-q", url=fake.url, token="t").code
        == 0
    )
    (asked,) = fake.requests
    assert asked.target == "/api/v1/endpoints/demo/plan"
    assert json.loads(asked.body) == {"weights": {"small": 0}}


def test_variants_are_asked_for(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(201, document=TWO)]
    given = ("--variant", "large=ml.m5.xlarge:1:9", "--variant", "small=ml.m5.large:2")
    assert mme("deploy", "demo", *given, url=fake.url, token="t").code == 0
    assert json.loads(fake.requests[0].body) == {"name": "demo", "variants": [LARGE, SMALL]}
    fake.answers = [Says(202, document=TWO)]
    assert mme("endpoint", "update", "demo", *given).code == 0
    assert json.loads(fake.requests[1].body) == {"variants": [LARGE, SMALL]}
    fake.answers = [Says(document=TWO)]
    assert SIZE in mme("endpoints", "demo").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("deploy", "demo", "--variant", "large"), "NAME=TYPE:COUNT:WEIGHT, not large"),
        (("endpoint", "update", "demo", "--variant", "a=ml.m5.large:x"), "not a=ml.m5.large:x"),
        (("endpoint", "update", "demo", "--type", "t", "--policy", "slow"), "canary:10%:300s"),
        (("endpoint", "weights", "demo", "large"), "NAME=NUMBER, not large"),
        (("endpoint", "weights", "demo", "large=-1"), "not large=-1"),
    ],
)
def test_what_is_written_otherwise_is_refused(
    mme: Mme, fake: FakePortal, words: tuple[str, ...], said: str
) -> None:
    ran = mme(*words, url=fake.url, token="t")
    assert ran.code == 2
    assert said in ran.err
    assert not fake.requests


def test_a_change_is_made_by_a_policy(mme: Mme, fake: FakePortal) -> None:
    fake.answers = [Says(202, document=TWO)]
    given = ("--policy", "canary:10%:300s", "--alarm", "errors")
    change = ("endpoint", "update", "demo", "--type", "ml.m5.xlarge")
    assert mme(*change, *given, url=fake.url, token="t").code == 0
    assert json.loads(fake.requests[0].body) == {
        "instance_type": "ml.m5.xlarge",
        "policy": {"kind": "canary", "percent": 10, "wait_s": 300, "alarms": ["errors"]},
    }


def test_a_call_names_the_variant_that_is_to_answer(
    mme: Mme, fake: FakePortal, tmp_path: Any
) -> None:
    picture = tmp_path / "7.png"
    picture.write_bytes(b"\x89PNG")
    answer = EXAMPLES["invocations_get"]["200"] | {"variant": "small"}
    fake.answers = [Says(document=answer)]
    call = ("invoke", "demo", "digits:2", str(picture), "--variant", "small")
    ran = mme(*call, url=fake.url, token="t")
    assert ran.code == 0
    assert "small" in ran.out.splitlines()[0]
    assert "variant=small" in fake.requests[0].target
    # So does each of several calls.
    assert mme(*call, "--csv").code == 0
    assert "variant=small" in fake.requests[-1].target
