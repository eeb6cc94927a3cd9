"""An endpoint that others made, or that the database lost, becomes one of the portal's."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from activity.models import Event
from core import errors
from endpoints import adopting, sagemaker, services
from endpoints.models import Endpoint, Orphan, Resource, Revision, Running
from endpoints.options import DeploymentOptions
from endpoints.orphan_views import MOST_ADOPTED
from endpoints.services import SettingsChange
from endpoints.tests.account import Account
from endpoints.variants import ProductionVariant

pytestmark = pytest.mark.django_db
Step = Callable[[Endpoint], Endpoint]


def _adopt(name: str = "demo", kind: str = "endpoint") -> Endpoint:
    return adopting.adopt(orphan=Orphan.objects.get(kind=kind, name=name), actor=None)


def _why(name: str = "demo", kind: str = "endpoint") -> str:
    with pytest.raises(ValidationError) as refused:
        _adopt(name, kind)
    assert not Endpoint.objects.filter(name=name, gone_at=None, created_by=None).exists() or (
        kind != "endpoint"
    )
    return " ".join(refused.value.messages)


@pytest.mark.not_quick
@pytest.mark.parametrize("tags", [None, {}])
def test_it_serves_on_and_is_torn_down_with_all_it_uses(
    account: Account, look: Any, settle: Step, tags: Any
) -> None:
    account.left_behind(tags=tags)
    look()
    endpoint = settle(_adopt())
    assert account.changes == []
    assert (endpoint.serving, endpoint.changed_outside, endpoint.failure) == (True, False, "")
    assert endpoint.running == Running(2, "ml.m5.large")
    assert endpoint.image == "image:1"
    assert endpoint.revisions.get().state == Revision.State.SERVING
    assert set(Orphan.objects.values_list("state", flat=True)) == {Orphan.State.ADOPTED}
    look()
    assert not Orphan.objects.there().exists()
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    assert settle(endpoint).gone_at is not None
    assert account.empty


def test_adopting_twice_is_adopting_once(account: Account, look: Any) -> None:
    account.left_behind()
    look()
    assert _adopt() == _adopt() == _adopt("demo-r1", "config")
    assert Event.objects.filter(action="endpoint.adopted").count() == 1


@pytest.mark.not_quick
def test_it_is_changed_as_any_other_and_leaves_nothing(
    account: Account, look: Any, settle: Step, settings: Any
) -> None:
    settings.INSTANCE_TYPES = ["ml.m5.large", "ml.m5.xlarge"]
    account.left_behind()
    look()
    endpoint = settle(_adopt())
    change = SettingsChange(instance_type="ml.m5.xlarge")
    services.request_change(endpoint=endpoint, change=change, actor=None)
    endpoint = settle(endpoint)
    assert endpoint.running == Running(2, "ml.m5.xlarge")
    assert set(account.models) == {"demo-r1"}
    assert set(account.configs) == {endpoint.config_name} != {"demo-r1"}
    back = services.back_to(endpoint=endpoint, number=2)
    services.request_change(endpoint=endpoint, change=back, actor=None)
    endpoint = settle(endpoint)
    assert endpoint.running == Running(2, "ml.m5.large")
    assert (len(account.models), len(account.configs)) == (1, 1)


@pytest.mark.not_quick
def test_an_environment_that_our_container_does_not_know_stays_and_is_not_given_anew(
    account: Account, look: Any, settle: Step
) -> None:
    account.left_behind()
    theirs = DeploymentOptions(environment={"MY_VAR": "1"})
    role = "arn:aws:iam::123456789012:role/theirs"
    model = replace(account.models["demo-r1"], options=theirs, role_arn=role)
    account.models["demo-r1"] = model
    look()
    endpoint = settle(_adopt())
    for change in (SettingsChange(instance_count=3), SettingsChange(instance_type="ml.m5.xlarge")):
        endpoint = settle(services.request_change(endpoint=endpoint, change=change, actor=None))
        model = account.models[account.configs[endpoint.config_name].model_name]
        assert dict(model.options.environment) == {"MY_VAR": "1"}
    known = SettingsChange(options={"environment": {"MY_VAR": "1", "OMP_NUM_THREADS": "2"}})
    endpoint = settle(services.request_change(endpoint=endpoint, change=known, actor=None))
    unknown = SettingsChange(options={"environment": {"MY_VAR": "1", "OTHER": "2"}})
    with pytest.raises(ValidationError, match="OTHER") as refused:
        services.request_change(endpoint=endpoint, change=unknown, actor=None)
    assert "MY_VAR" not in str(refused.value)


@pytest.mark.not_quick
def test_the_number_that_runs_is_taken_and_is_no_drift(
    account: Account, look: Any, settle: Step
) -> None:
    account.left_behind()
    account.counts["demo"] = 1
    look()
    endpoint = settle(_adopt())
    assert (endpoint.running, endpoint.changed_outside) == (Running(1, "ml.m5.large"), False)
    services.request_change(endpoint=endpoint, change=SettingsChange(instance_count=3), actor=None)
    assert settle(endpoint).running == Running(3, "ml.m5.large")
    assert list(account.configs) == ["demo-r1"]


def test_a_lost_config_is_made_again_under_its_name(
    account: Account, look: Any, settle: Step
) -> None:
    account.left_behind("demo", tags={})
    look()
    endpoint = settle(_adopt())
    del account.configs["demo-r1"]
    endpoint.resources.update(changed_at=None)
    endpoint = settle(endpoint)
    assert list(account.configs) == ["demo-r1"]
    assert not endpoint.changed_outside


@pytest.mark.parametrize(
    ("part", "changes", "why"),
    [
        ("models", {"multi_model": False}, "It serves a single model"),
        ("models", {"data_url": "s3://elsewhere/models/"}, "where no version of the portal is"),
        ("models", {"extras": ("Environment",)}, "does not know: Environment"),
        ("models", {"role_arn": ""}, "names no image, role or store"),
        (
            "configs",
            {"variants": tuple(ProductionVariant(name, "ml.m5.large", 1) for name in "abc")},
            "It has more variants than the 2",
        ),
        ("configs", {"extras": ("DataCaptureConfig",)}, "does not know: DataCaptureConfig"),
        ("configs", {"instance_type": ""}, "does not run on instances of its own"),
    ],
)
def test_what_does_not_fit_is_refused_with_why(
    account: Account, look: Any, part: str, changes: dict[str, Any], why: str
) -> None:
    account.left_behind()
    things = getattr(account, part)
    things["demo-r1"] = replace(things["demo-r1"], **changes)
    look()
    assert why in _why()
    assert Orphan.objects.waiting().count() == 3


def test_all_that_does_not_fit_is_said_at_once(account: Account, look: Any) -> None:
    account.left_behind()
    account.endpoints["demo"] = replace(account.endpoints["demo"], status="Failed")
    account.models["demo-r1"] = replace(account.models["demo-r1"], multi_model=False)
    look()
    why = _why()
    assert "Its state is Failed" in why
    assert "It serves a single model" in why
    assert why.endswith("Nothing was changed.")


def test_one_whose_name_is_taken_is_refused(account: Account, look: Any, settle: Step) -> None:
    account.left_behind()
    look()
    made = Endpoint.objects.create(name="DEMO", bucket="b", image="i", role_arn="r")
    assert "There is an endpoint demo already" in _why()
    made.delete()


def test_one_that_is_gone_or_was_made_anew_is_refused(account: Account, look: Any) -> None:
    account.left_behind()
    look()
    account.endpoints["demo"] = replace(account.endpoints["demo"], created_at=account._now())
    assert "somebody made it anew" in _why()
    del account.endpoints["demo"]
    assert "not in the AWS account" in _why()


def test_what_aws_denies_is_raised_and_nothing_is_changed(account: Account, look: Any) -> None:
    account.left_behind()
    look()
    account.failures["describe_model"] = [errors.Denied("not authorized")]
    with pytest.raises(errors.Denied):
        _adopt()
    assert not Endpoint.objects.exists()


@pytest.mark.not_quick
def test_a_config_goes_to_the_endpoint_that_its_tag_names(
    serving: Endpoint, account: Account, look: Any, settle: Step
) -> None:
    account._create_config(
        name="demo-r7",
        model_name="demo-r1",
        instance_type="ml.m5.large",
        instance_count=1,
        tags={"mme-portal:endpoint": "demo"},
    )
    look()
    assert _adopt("demo-r7", "config") == serving
    assert serving.resources.get(name="demo-r7").state == Resource.State.CREATED
    assert not settle(serving).changed_outside
    services.request_teardown(endpoint=serving, typed_name="demo", actor=None)
    assert settle(serving).gone_at is not None
    assert account.empty


def test_a_config_for_another_model_or_of_no_endpoint_is_refused(
    serving: Endpoint, account: Account, look: Any
) -> None:
    tags = {"mme-portal:endpoint": "demo"}
    account.left_behind("theirs", tags=tags)
    account.left_behind("gone")
    look()
    assert "which is not one of demo" in _why("theirs-r1", "config")
    assert "It belongs to no endpoint that runs here" in _why("gone-r1", "config")
    assert "It belongs to no endpoint that runs here" in _why("gone-r1", "model")


@pytest.mark.not_quick
def test_the_page_adopts_or_says_why_not(
    account: Account, look: Any, client_of: Any, django_user_model: Any
) -> None:
    account.left_behind()
    account.models["demo-r1"] = replace(account.models["demo-r1"], multi_model=False)
    look()
    client = client_of("admin")
    address = "/endpoints/orphans/adopt/"
    chosen = {"pk": [*Orphan.objects.values_list("pk", flat=True)]}
    assert "It serves a single model" in client.post(address, chosen, follow=True).content.decode()
    account.models["demo-r1"] = replace(account.models["demo-r1"], multi_model=True)
    answer = client.post(address, chosen, follow=True)
    assert "demo belongs to the portal now." in answer.content.decode()
    assert not Orphan.objects.there().exists()
    assert Endpoint.objects.get().created_by == django_user_model.objects.get()


def test_of_several_one_that_is_gone_by_its_turn_is_told_and_the_others_are_adopted(
    account: Account, look: Any, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at the account finds it gone while those before it are adopted."""
    account.left_behind("a")
    account.left_behind("b")
    look()
    real = adopting.adopt

    def followed(**asked: Any) -> Endpoint:
        made = real(**asked)
        Orphan.objects.filter(name="b").delete()
        return made

    monkeypatch.setattr(adopting, "adopt", followed)
    chosen = {"pk": [*Orphan.objects.filter(kind="endpoint").values_list("pk", flat=True)]}
    answer = client_of("admin").post("/endpoints/orphans/adopt/", chosen, follow=True)
    page = answer.content.decode()
    assert "a belongs to the portal now." in page
    assert "b cannot be adopted. It was changed meanwhile: look again." in page
    assert Endpoint.objects.get().name == "a"


@pytest.mark.not_quick
def test_more_than_are_adopted_at_once_are_told_of(
    account: Account, look: Any, client_of: Any
) -> None:
    for number in range(MOST_ADOPTED + 2):
        account.left_behind(f"e{number:02}")
    look()
    endpoints = Orphan.objects.filter(kind="endpoint")
    chosen = {"pk": [*endpoints.values_list("pk", flat=True)]}
    answer = client_of("admin").post("/endpoints/orphans/adopt/", chosen, follow=True)
    page = answer.content.decode()
    assert f"2 more were chosen and are as before: {MOST_ADOPTED} are adopted at a time." in page
    assert Endpoint.objects.count() == MOST_ADOPTED


@pytest.mark.parametrize(
    ("given", "extras"),
    [
        ({"EnableDetailedObservability": True}, ()),
        ({"EnableDetailedObservability": True, "MetricPublishFrequencyInSeconds": 60}, ()),
        ({"EnableDetailedObservability": False}, ("MetricsConfig",)),
        ({"EnableDetailedObservability": True, "EnableEnhancedMetrics": True}, ("MetricsConfig",)),
        ({"MetricPublishFrequencyInSeconds": 10}, ("MetricsConfig",)),
    ],
)
def test_what_aws_presets_for_metrics_is_nobodys_setting(
    given: dict[str, object], extras: tuple[str, ...]
) -> None:
    assert sagemaker._extras({"MetricsConfig": given}, set()) == extras
