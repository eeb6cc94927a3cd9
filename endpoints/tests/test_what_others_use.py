"""What others use, or made, under the names of an endpoint stays when that goes or changes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from core import aws, clock
from endpoints import orphans, reconciler, sagemaker, services
from endpoints.models import Endpoint, Orphan, Resource
from endpoints.services import SettingsChange
from endpoints.tests.account import OTHER_IMAGE, Account

Step = Callable[[Endpoint], Endpoint]


def _tear_down(endpoint: Endpoint) -> None:
    services.request_teardown(endpoint=endpoint, typed_name=endpoint.name, actor=None)


def _config(account: Account, name: str, **other: Any) -> None:
    """A config like the portal's, which somebody else made."""
    one = replace(account.configs["demo-r1"], name=name, arn=f"arn-of-{name}", **other)
    account.configs[name] = replace(one, created_at=account._now())


def _endpoint(account: Account, name: str, config: str) -> None:
    """An endpoint that somebody else made just now."""
    one = replace(account.endpoints["demo"], name=name, config_name=config, arn=f"arn-of-{name}")
    account.endpoints[name] = replace(one, created_at=account._now())


def test_a_config_that_another_endpoint_is_being_moved_to_is_left_with_its_model(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    _config(account, "their-own", model_name="their-model")
    _endpoint(account, "theirs", "their-own")
    account._move("theirs", "demo-r1", None)
    account.left["theirs"] = 1000
    _tear_down(serving)
    assert settle(serving).gone_at is not None
    assert ("demo-r1" in account.configs, "demo-r1" in account.models) == (True, True)


def test_a_model_is_left_that_another_variant_of_another_endpoint_serves(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    _config(account, "two", model_name="their-model", more_models=("demo-r1",))
    _endpoint(account, "theirs", "two")
    _tear_down(serving)
    assert settle(serving).gone_at is not None
    assert list(account.models) == ["demo-r1"]


def test_an_orphan_stays_that_another_variant_of_an_endpoint_serves(
    db: None, account: Account, look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.left_behind()
    _config(account, "two", model_name="their-model", more_models=("demo-r1",))
    _endpoint(account, "theirs", "two")
    look()
    later = max(clock.now(), datetime(2027, 1, 1, tzinfo=UTC))
    monkeypatch.setattr(clock, "now", lambda *_: later)
    orphans.request_deletion(orphans=Orphan.objects.filter(kind="model"), actor=None)
    for _ in range(3):
        for pk in Orphan.objects.unfinished().values_list("pk", flat=True):
            Orphan.objects.filter(pk=pk).update(check_after=later, leased_until=None)
            reconciler.advance_orphan(pk)
    assert list(account.models) == ["demo-r1"]


def test_all_models_of_a_config_are_read() -> None:
    def variant(name: str, model: str) -> dict[str, Any]:
        return {
            "VariantName": name,
            "ModelName": model,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": 1.0,
        }

    answer = {
        "EndpointConfigName": "two",
        "EndpointConfigArn": "arn:aws:sagemaker:ap-northeast-2:123456789012:endpoint-config/two",
        "ProductionVariants": [variant("a", "first"), variant("b", "second")],
        "ShadowProductionVariants": [variant("c", "third")],
        "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
    }
    with Stubber(aws.sagemaker()) as stub:
        stub.add_response("describe_endpoint_config", answer, {"EndpointConfigName": "two"})
        found = sagemaker.describe_config("two")
    served = [model for model in ("first", "second", "third", "", "fourth") if found.serves(model)]
    assert served == ["first", "second", "third"]


def test_the_model_stays_of_an_endpoint_that_others_made_anew_under_its_name(
    serving: Endpoint, account: Account, advance: Step, settle: Step
) -> None:
    _config(account, "own")
    _endpoint(account, "demo", "own")
    assert "the other one is kept" in advance(serving).failure
    _tear_down(serving)
    assert settle(serving).gone_at is not None
    assert list(account.endpoints) == ["demo"]  # it goes on to serve
    assert list(account.models) == ["demo-r1"]


@pytest.mark.parametrize("kind", ["model", "config"])
def test_what_others_made_under_the_name_of_a_revision_is_not_deleted_after_it_was_refused(
    serving: Endpoint, account: Account, settle: Step, settings: Any, kind: str
) -> None:
    settings.INSTANCE_TYPES = ["ml.m5.large", "ml.m5.xlarge"]
    if kind == "model":
        made = replace(account.models["demo-r1"], name="demo-r2", arn="theirs", image="theirs")
        account.models["demo-r2"] = replace(made, created_at=account._now())
        change = SettingsChange(image=OTHER_IMAGE)
    else:
        _config(account, "demo-r2", instance_count=7)
        change = SettingsChange(instance_type="ml.m5.xlarge")
    services.request_change(endpoint=serving, change=change, actor=None)
    row = settle(serving)
    assert row.refused_change is not None
    assert "demo-r2" in getattr(account, f"{kind}s")
    assert row.resources.get(kind=kind, name="demo-r2").state == Resource.State.KEPT
