"""Each state in which an endpoint may be stuck has a way out (docs/endpoints.md, Ways out)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from core import clock
from endpoints import services
from endpoints.models import Endpoint
from endpoints.services import SettingsChange
from endpoints.tests.account import Account
from endpoints.tests.conftest import DELETED

Step = Callable[[Endpoint], Endpoint]
XLARGE = "ml.m5.xlarge"


def tear_down(endpoint: Endpoint) -> Endpoint:
    """Without the seconds in which it can be undone."""
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    return Endpoint.objects.get(pk=endpoint.pk)


def is_in(account: Account, status: str) -> None:
    """SageMaker says so of the endpoint."""
    account.endpoints["demo"] = replace(account.endpoints["demo"], status=status)


@pytest.mark.not_quick
def test_creating_for_long(
    endpoint: Endpoint, account: Account, advance: Step, settle: Step
) -> None:
    account.looks = 1000
    for _ in range(8):
        endpoint = advance(endpoint)
    assert endpoint.state == Endpoint.State.CREATING
    endpoint = tear_down(endpoint)
    for _ in range(4):
        endpoint = advance(endpoint)
    assert "cannot delete an endpoint in the state Creating" in endpoint.hint
    assert "-endpoint demo" not in account.changes
    account.left["demo"] = account.looks = 0
    while endpoint.gone_at is None:
        endpoint = advance(endpoint)
    assert account.changes[-3:] == DELETED
    assert account.empty


@pytest.mark.not_quick
def test_failed(endpoint: Endpoint, account: Account, advance: Step, settle: Step) -> None:
    account.fail_with = "It did not pass the ping health check."
    endpoint = settle(endpoint)
    assert endpoint.state == Endpoint.State.FAILED
    assert "Tear it down, then create it again" in endpoint.hint
    endpoint = tear_down(endpoint)
    while endpoint.gone_at is None:
        endpoint = advance(endpoint)
    assert account.empty
    account.fail_with = ""
    again = services.create_endpoint(name="demo", instance_type="ml.m5.large", actor=None)
    assert settle(again).serving


@pytest.mark.not_quick
def test_system_updating(serving: Endpoint, account: Account, advance: Step, settle: Step) -> None:
    is_in(account, "SystemUpdating")
    endpoint = advance(serving)
    assert (endpoint.state, endpoint.serving) == (Endpoint.State.SYSTEM_UPDATING, True)
    change = SettingsChange(instance_type=XLARGE)
    endpoint = services.request_change(endpoint=endpoint, change=change, actor=None)
    before = len(account.changes)
    for _ in range(4):
        endpoint = advance(endpoint)
    assert "maintenance" in endpoint.hint
    assert len(account.changes) == before
    is_in(account, "InService")
    endpoint = settle(endpoint)
    assert endpoint.running.instance_type == XLARGE
    is_in(account, "SystemUpdating")
    endpoint = tear_down(advance(endpoint))
    endpoint = advance(endpoint)
    assert "in the state SystemUpdating" in endpoint.hint
    is_in(account, "InService")
    while endpoint.gone_at is None:
        endpoint = advance(endpoint)
    assert account.empty


@pytest.mark.not_quick
def test_rolling_back(serving: Endpoint, account: Account, advance: Step, settle: Step) -> None:
    account.roll_back_with = "No capacity."
    change = SettingsChange(instance_type=XLARGE)
    endpoint = services.request_change(endpoint=serving, change=change, actor=None)
    while account.endpoints["demo"].status != "Updating":
        endpoint = advance(endpoint)
    is_in(account, "RollingBack")
    endpoint = advance(endpoint)
    assert (endpoint.state, endpoint.serving) == (Endpoint.State.ROLLING_BACK, True)
    assert "going back" in endpoint.hint
    is_in(account, "Updating")
    endpoint = settle(endpoint)
    assert (endpoint.requested.instance_type, endpoint.failure) == ("ml.m5.large", "")
    assert endpoint.refused_change is not None


@pytest.mark.not_quick
def test_update_rollback_failed(
    serving: Endpoint, account: Account, advance: Step, settle: Step
) -> None:
    account.roll_back_with, account.rollback_fails = "No capacity.", True
    change = SettingsChange(instance_type=XLARGE)
    endpoint = settle(services.request_change(endpoint=serving, change=change, actor=None))
    endpoint = advance(endpoint)
    assert endpoint.rollback_failed
    assert "The same values will do" in endpoint.hint
    endpoint = tear_down(endpoint)
    while endpoint.gone_at is None:
        endpoint = advance(endpoint)
    assert account.empty


def test_out_of_service(serving: Endpoint, account: Account, advance: Step) -> None:
    is_in(account, "OutOfService")
    endpoint = advance(serving)
    assert (endpoint.state, endpoint.serving) == (Endpoint.State.OUT_OF_SERVICE, False)
    assert "OutOfService" in endpoint.hint
    endpoint = tear_down(endpoint)
    while endpoint.gone_at is None:
        endpoint = advance(endpoint)
    assert account.empty
    assert endpoint.gone_at <= clock.now()
