"""An endpoint that somebody gave another config outside the portal: what is shown and removed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from activity.models import Event
from core import errors
from endpoints import drift, services
from endpoints.models import Endpoint, Resource, Running
from endpoints.tests.account import Account
from endpoints.tests.conftest import CREATED
from endpoints.tests.test_crashes import survive

Step = Callable[[Endpoint], Endpoint]


def _tear_down(endpoint: Endpoint) -> None:
    services.request_teardown(endpoint=endpoint, typed_name=endpoint.name, actor=None)


def _told(endpoint: Endpoint) -> list[str]:
    return [event.action for event in Event.objects.about("endpoint", endpoint.pk)]


def test_what_runs_is_shown_at_the_next_look(
    serving: Endpoint, account: Account, advance: Step
) -> None:
    assert serving.running == Running(1, "ml.m5.large")
    assert (serving.config_in_use, serving.changed_outside) == ("demo-r1", False)
    account.update_outside("demo", "two", model="demo-r1", count=2)
    endpoint = advance(serving)
    assert endpoint.running == Running(2, "ml.c5.xlarge")
    assert (endpoint.config_in_use, endpoint.changed_outside) == ("two", True)
    (event,) = [e for e in Event.objects.about("endpoint", endpoint.pk) if "outside" in e.action]
    assert "it uses the configuration two now" in event.sentence
    advance(endpoint)
    assert _told(endpoint).count("endpoint.updated_outside") == 1
    assert account.changes == CREATED  # nothing was changed


def test_a_config_of_the_portals_that_is_no_longer_used_is_not_created_again(
    serving: Endpoint, account: Account, advance: Step
) -> None:
    account.update_outside("demo", "two", model="demo-r1", count=2)
    del account.configs["demo-r1"]
    long_ago = serving.created_at - timedelta(minutes=5)  # no read lags as far behind
    serving.resources.filter(kind="config").update(changed_at=long_ago)
    endpoint = advance(advance(serving))
    assert list(account.configs) == ["two"]
    assert endpoint.resources.get(name="demo-r1", kind="config").state == Resource.State.GONE
    assert _told(endpoint).count("endpoint.config.gone") == 1


def test_back_to_the_portals_own_config(serving: Endpoint, account: Account, advance: Step) -> None:
    account.update_outside("demo", "two", model="demo-r1", count=2)
    endpoint = advance(serving)
    account.endpoints["demo"] = replace(account.endpoints["demo"], config_name="demo-r1")
    endpoint = advance(endpoint)
    assert not endpoint.changed_outside
    assert endpoint.running == Running(1, "ml.m5.large")
    assert _told(endpoint).count("endpoint.updated_outside") == 2


@pytest.mark.not_quick
@pytest.mark.parametrize("seen_before", [True, False])
def test_a_teardown_removes_both_configs(
    serving: Endpoint, account: Account, advance: Step, settle: Step, seen_before: bool
) -> None:
    account.update_outside("demo", "two", model="demo-r1", count=2)
    if seen_before:
        advance(serving)
    _tear_down(serving)
    endpoint = settle(serving)
    assert endpoint.gone_at is not None
    assert account.empty
    assert account.changes[3:] == [
        "-endpoint demo", "-config two", "-config demo-r1", "-model demo-r1",
    ]  # fmt: skip
    assert {r.state for r in endpoint.resources.all()} == {Resource.State.GONE}


@pytest.mark.slow
@pytest.mark.parametrize("after_acting", [False, True])
@pytest.mark.parametrize("at", range(20))
def test_a_crash_at_any_call_of_the_teardown_leaves_no_config(
    serving: Endpoint, account: Account, at: int, after_acting: bool
) -> None:
    account.update_outside("demo", "two", model="demo-r1", count=2)
    account.looks = 0  # the endpoint is gone before another worker looks at it again
    _tear_down(serving)
    account.crash_at, account.crash_after_acting = account.calls + at, after_acting
    survive(serving, "absent")
    assert account.empty


@pytest.mark.not_quick
def test_a_config_that_serves_somebody_elses_model_is_left_and_said_so(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    account.update_outside("demo", "theirs", model="another-model", count=1)
    _tear_down(serving)
    endpoint = settle(serving)
    assert endpoint.gone_at is not None
    assert list(account.configs) == ["theirs"]
    assert endpoint.resources.get(name="theirs").state == Resource.State.KEPT
    assert "endpoint.config.kept" in _told(endpoint)


def _share(account: Account, config: str) -> None:
    """Another endpoint, of somebody else, begins to use the config."""
    theirs = replace(account.endpoints["demo"], name="theirs", config_name=config)
    account.endpoints["theirs"] = replace(theirs, created_at=account.configs[config].created_at)


def test_a_config_that_another_endpoint_uses_too_is_left_with_its_model(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    account.update_outside("demo", "two", model="demo-r1", count=2)
    _share(account, "two")
    _tear_down(serving)
    endpoint = settle(serving)
    assert endpoint.gone_at is not None
    assert (set(account.configs), set(account.models)) == ({"two"}, {"demo-r1"})
    assert set(account.endpoints) == {"theirs"}
    states = {(r.kind, r.name): r.state for r in endpoint.resources.all()}
    assert states["config", "two"] == states["model", "demo-r1"] == Resource.State.KEPT
    told = _told(endpoint)
    assert told.count("endpoint.config.in_use") == told.count("endpoint.model.in_use") == 1
    assert "endpoint.config.kept" not in told
    sentences = [event.sentence for event in Event.objects.about("endpoint", endpoint.pk)]
    assert "The configuration two was left as it is: the endpoint theirs uses it too." in sentences


def _kept(endpoint: Endpoint) -> set[str]:
    rows = endpoint.resources.filter(state=Resource.State.KEPT)
    return {f"{row.kind} {row.name}" for row in rows}


def _sentences(endpoint: Endpoint) -> list[str]:
    return [event.sentence for event in Event.objects.about("endpoint", endpoint.pk)]


def test_the_portals_own_config_stays_where_another_endpoint_uses_it(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    _share(account, "demo-r1")
    _tear_down(serving)
    endpoint = settle(serving)
    assert endpoint.gone_at is not None
    assert (set(account.configs), set(account.models)) == ({"demo-r1"}, {"demo-r1"})
    assert set(account.endpoints) == {"theirs"}
    assert _kept(endpoint) == {"config demo-r1", "model demo-r1"}
    told = _sentences(endpoint)
    by_other = "The configuration demo-r1 was left as it is: the endpoint theirs uses it too."
    needed = "The SageMaker model demo-r1 was left as it is: the configuration demo-r1 needs it."
    assert told.count(by_other) == told.count(needed) == 1


def test_the_portals_own_model_stays_where_another_endpoint_uses_it(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    _share(account, "demo-r1")
    account.update_outside("theirs", "their-config", model="demo-r1", count=1)
    _tear_down(serving)
    endpoint = settle(serving)
    assert endpoint.gone_at is not None
    assert (set(account.configs), set(account.models)) == ({"their-config"}, {"demo-r1"})
    assert _kept(endpoint) == {"model demo-r1"}
    told = "The SageMaker model demo-r1 was left as it is: the endpoint theirs uses it too."
    assert _sentences(endpoint).count(told) == 1


@pytest.mark.slow
@pytest.mark.parametrize("config", ["demo-r1", "their-config"])
@pytest.mark.parametrize("after_acting", [False, True])
@pytest.mark.parametrize("at", range(15))
def test_a_crash_at_any_call_of_the_teardown_deletes_nothing_that_another_endpoint_uses(
    serving: Endpoint, account: Account, at: int, after_acting: bool, config: str
) -> None:
    account.looks = 0
    _share(account, "demo-r1")
    if config == "their-config":
        account.update_outside("theirs", config, model="demo-r1", count=1)
    _tear_down(serving)
    account.crash_at, account.crash_after_acting = account.calls + at, after_acting
    endpoint, _ = survive(serving, "absent")
    assert (set(account.configs), set(account.models)) == ({config}, {"demo-r1"})
    assert set(account.endpoints) == {"theirs"}
    told = [one for one in _told(endpoint) if "in_use" in one]
    assert len(told) == (2 if config == "demo-r1" else 1), told


def test_an_endpoint_of_others_that_goes_meanwhile_keeps_nothing(
    serving: Endpoint, account: Account, settle: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    _share(account, "demo-r1")
    real = account._list_endpoints

    def and_it_goes(**asked: Any) -> list[str]:
        names = real(**asked)
        account.endpoints.pop("theirs", None)
        return names

    monkeypatch.setattr(account, "_list_endpoints", and_it_goes)
    account.install(monkeypatch)
    _tear_down(serving)
    settle(serving)
    assert account.empty


def test_without_the_right_to_list_endpoints_the_portals_own_are_left_and_said(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    account.failures["list_endpoints"] = [errors.Denied("not authorized")] * 2
    _tear_down(serving)
    endpoint = settle(serving)
    assert endpoint.gone_at is not None
    assert _kept(endpoint) == {"config demo-r1", "model demo-r1"}
    assert "endpoint.config.maybe_in_use" in _told(endpoint)


def test_without_the_right_to_read_others_configs_the_model_is_left_and_said(
    serving: Endpoint, account: Account, settle: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    _share(account, "demo-r1")
    account.update_outside("theirs", "another", model="another-model", count=1)
    real = account._describe_config

    def denied(name: str) -> Any:
        if name == "another":
            raise errors.Denied("not authorized")
        return real(name)

    monkeypatch.setattr(account, "_describe_config", denied)
    account.install(monkeypatch)
    _tear_down(serving)
    endpoint = settle(serving)
    assert _kept(endpoint) == {"model demo-r1"}
    assert "endpoint.model.maybe_in_use" in _told(endpoint)


@pytest.mark.not_quick
def test_endpoints_that_use_other_configs_keep_nothing(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    account.update_outside("demo", "two", model="demo-r1", count=2)
    _share(account, "two")
    account.endpoints["theirs"] = replace(account.endpoints["theirs"], config_name="another")
    _tear_down(serving)
    settle(serving)
    assert (account.configs, account.models) == ({}, {})


def test_without_the_right_to_list_endpoints_the_config_is_left(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    account.update_outside("demo", "two", model="demo-r1", count=2)
    account.failures["list_endpoints"] = [errors.Denied("not authorized")]
    _tear_down(serving)
    endpoint = settle(serving)
    assert endpoint.gone_at is not None
    assert set(account.configs) == {"two"}
    assert "endpoint.config.maybe_in_use" in _told(endpoint)


def test_a_config_that_is_deleted_while_it_is_used(
    serving: Endpoint, account: Account, advance: Step, settle: Step
) -> None:
    account.update_outside("demo", "two", model="demo-r1", count=2)
    del account.configs["two"]
    endpoint = advance(serving)
    assert endpoint.changed_outside
    _tear_down(endpoint)
    assert settle(endpoint).gone_at is not None
    assert account.empty


def test_one_that_is_created_again_is_not_called_changed(
    serving: Endpoint, account: Account, advance: Step, settle: Step
) -> None:
    account.update_outside("demo", "two", model="demo-r1", count=2)
    endpoint = advance(serving)
    del account.endpoints["demo"]
    endpoint = settle(drift.put_back(endpoint=advance(endpoint), actor=None))
    assert (endpoint.config_in_use, endpoint.changed_outside) == ("demo-r1", False)
    assert _told(endpoint).count("endpoint.updated_outside") == 1


def test_another_number_of_instances_alone(
    serving: Endpoint, account: Account, advance: Step
) -> None:
    """UpdateEndpointWeightsAndCapacities and auto scaling change no config."""
    account.configs["demo-r1"] = replace(account.configs["demo-r1"], instance_count=3)
    endpoint = advance(serving)
    assert endpoint.running == Running(3, "ml.m5.large")
    assert endpoint.changed_outside


@pytest.mark.not_quick
def test_pages_say_what_runs_now(
    serving: Endpoint, account: Account, advance: Step, client_of: Any
) -> None:
    account.update_outside("demo", "two", model="demo-r1", count=2)
    endpoint = advance(serving)
    client = client_of("admin")
    for address in (endpoint.get_absolute_url(), "/endpoints/"):
        text = client.get(address).content.decode()
        assert "2 × ml.c5.xlarge" in text, address
    page = client.get(endpoint.get_absolute_url()).content.decode()
    assert "Changed outside the portal" in page
    assert "two" in client.get(f"{endpoint.get_absolute_url()}teardown/").content.decode()
    names = [resource.name for resource in endpoint.resources.all().by_deletion()]
    assert names == ["demo", "two", "demo-r1", "demo-r1"]
