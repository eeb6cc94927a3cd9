"""One that is made again gets its number of instances again, also where that is refused once.

Found by the machine test (machine.py).
"""

from collections.abc import Callable

import pytest

from core import errors
from endpoints import drift, pausing, services
from endpoints.models import Endpoint, Revision, Running
from endpoints.services import SettingsChange
from endpoints.tests.account import OTHER_IMAGE, Account

Step = Callable[[Endpoint], Endpoint]
REASON = "No capacity."


@pytest.fixture
def refused(serving: Endpoint, account: Account, settle: Step, advance: Step) -> Endpoint:
    """One with 2 instances on a config of 1, deleted outside, put back, and not scaled again."""
    change = SettingsChange(instance_count=2)
    settle(services.request_change(endpoint=serving, change=change, actor=None))
    account.endpoints.clear()
    account.counts.clear()
    endpoint = advance(serving)
    account.roll_back_with = REASON
    endpoint = drift.put_back(endpoint=endpoint, actor=None)
    return settle(endpoint)


@pytest.mark.not_quick
def test_its_revision_serves_on_and_the_page_says_why(refused: Endpoint) -> None:
    assert refused.serving
    assert REASON in refused.failure
    assert "Choose another number" in refused.hint
    assert refused.revisions.get(number=refused.revision).state == Revision.State.SERVING


@pytest.mark.not_quick
def test_it_is_asked_for_again(refused: Endpoint, account: Account, advance: Step) -> None:
    account.roll_back_with = ""
    for _ in range(8):
        refused = advance(refused)
    assert (refused.failure, refused.running) == ("", Running(2, "ml.m5.large"))
    assert refused.settled


@pytest.mark.not_quick
def test_a_call_that_is_refused_is_no_refused_change(
    refused: Endpoint, account: Account, advance: Step
) -> None:
    account.roll_back_with = ""
    account.failures["set_count"] = [errors.AwsError("You have no instances of this type left.")]
    refused = advance(refused)
    assert "no instances of this type" in refused.failure
    assert refused.revisions.get(number=refused.revision).state == Revision.State.SERVING


@pytest.mark.not_quick
def test_another_number_is_a_change_as_any_other(
    refused: Endpoint, account: Account, settle: Step
) -> None:
    account.roll_back_with = ""
    change = SettingsChange(instance_count=3)
    endpoint = settle(services.request_change(endpoint=refused, change=change, actor=None))
    assert endpoint.running == Running(3, "ml.m5.large")
    states = {one.number: one.state for one in endpoint.revisions.all()}
    assert states == {
        1: Revision.State.REPLACED, 2: Revision.State.REPLACED, 3: Revision.State.SERVING,
    }  # fmt: skip


@pytest.mark.not_quick
def test_the_same_number_is_no_change_and_withdraws_nothing(refused: Endpoint) -> None:
    before = refused.revision
    change = SettingsChange(instance_count=2)
    endpoint = services.request_change(endpoint=refused, change=change, actor=None)
    assert (endpoint.revision, endpoint.updating) == (before, True)
    assert endpoint.revisions.get(number=before).state == Revision.State.SERVING


@pytest.mark.not_quick
def test_what_a_failed_way_back_left_goes_when_it_is_made_again(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    """UpdateRollbackFailed needs both configs; the endpoint that is made anew needs one."""
    account.roll_back_with, account.rollback_fails = REASON, True
    change = SettingsChange(image=OTHER_IMAGE)
    endpoint = settle(services.request_change(endpoint=serving, change=change, actor=None))
    assert endpoint.rollback_failed
    assert set(account.configs) == {"demo-r1", "demo-r2"}
    account.roll_back_with, account.rollback_fails = "", False
    endpoint = settle(pausing.pause_now(endpoint=endpoint, actor=None))
    endpoint = settle(pausing.resume_now(endpoint=endpoint, actor=None))
    assert endpoint.serving
    assert set(account.configs) == set(account.models) == {"demo-r1"}
    assert endpoint.revisions.get(number=1).state == Revision.State.SERVING


@pytest.mark.not_quick
def test_it_can_be_paused_meanwhile(refused: Endpoint, account: Account, settle: Step) -> None:
    endpoint = settle(pausing.pause_now(endpoint=refused, actor=None))
    assert endpoint.paused
    assert not account.endpoints
