"""What a plan says of the account's quotas."""

import threading
from collections.abc import Callable

import pytest
from botocore.stub import Stubber
from django.core.exceptions import ValidationError
from django.test import Client

from core import aws, errors
from endpoints import pausing, planning, quotas, services
from endpoints.models import Endpoint
from endpoints.services import SettingsChange
from endpoints.tests.account import Account
from endpoints.tests.test_endpoints_api import DEMO, PATH, Api, api
from endpoints.variants import ProductionVariant

__all__ = ["api"]
LARGE = "ml.m5.large"


def test_a_plan_says_how_many_may_run_and_run(serving: Endpoint, account: Account) -> None:
    account.quotas = {LARGE: 4}
    plan = planning.plan_creation(name="other", instance_type=LARGE, instance_count=2, actor=None)
    said = "Your account may run 4 of ml.m5.large for endpoints; those of this portal run 1."
    assert said in plan.notes
    plan = planning.plan_creation(name="other", instance_type=LARGE, instance_count=4, actor=None)
    assert "With these there would be 5, which SageMaker will refuse" in plan.notes[-1]


def test_a_change_counts_what_it_starts(serving: Endpoint, account: Account) -> None:
    account.quotas = {LARGE: 2}
    change = SettingsChange(instance_count=2)  # one more
    plan = planning.plan_change(endpoint=serving, change=change, actor=None)
    assert "will refuse" not in plan.notes[-1]
    # The two of a new configuration run beside the one that serves.
    change = SettingsChange(instance_count=2, options={"startup_timeout_s": 600})
    plan = planning.plan_change(endpoint=serving, change=change, actor=None)
    assert "there would be 3" in plan.notes[-1]
    plan = planning.plan_change(
        endpoint=serving, change=SettingsChange(options={"tags": {"a": "b"}}), actor=None
    )
    assert plan.notes == []


def test_what_cannot_be_read_is_told(serving: Endpoint, account: Account) -> None:
    plan = planning.plan_creation(name="other", instance_type=LARGE, actor=None)
    assert plan.notes[-1] == (
        "The quota of ml.m5.large could not be read: Service Quotas may not be asked."
    )
    account.quotas = {}
    plan = planning.plan_creation(name="other", instance_type=LARGE, actor=None)
    assert plan.notes[-1] == "AWS tells no quota of ml.m5.large for endpoints."


TOO_MANY = "Your account may run 2 of ml.m5.large for endpoints, and these are 3."


@pytest.mark.not_quick
def test_more_than_the_account_may_run_is_refused(
    serving: Endpoint, account: Account, client_of: Callable[[str], Client], api: Api
) -> None:
    account.quotas = {LARGE: 2}
    asked = {"name": "other", "instance_type": LARGE, "instance_count": 3}
    for make in (services.create_endpoint, planning.plan_creation):
        with pytest.raises(ValidationError, match=TOO_MANY):
            make(**asked, actor=None)
    change = SettingsChange(instance_count=3)
    for change_it in (services.request_change, planning.plan_change):
        with pytest.raises(ValidationError, match=TOO_MANY):
            change_it(endpoint=serving, change=change, actor=None)
    status, said = api.ask("POST", PATH, asked)
    assert (status, list(said["errors"])) == (422, ["instance_count"])
    assert api.ask("PATCH", DEMO, {"instance_count": 3})[0] == 422
    page = client_of("operator").post("/endpoints/new/", asked)
    assert (page.status_code, TOO_MANY in page.content.decode()) == (400, True)
    assert [one.name for one in Endpoint.objects.all()] == ["demo"]
    assert Endpoint.objects.get().settled
    two = (ProductionVariant("a", LARGE, 2), ProductionVariant("b", LARGE, 1))
    with pytest.raises(ValidationError, match=TOO_MANY) as refused:
        services.create_endpoint(name="other", variants=two, actor=None)
    assert list(refused.value.message_dict) == ["variants"]


def test_what_aws_has_raised_meanwhile_is_not_refused(db: None, account: Account) -> None:
    account.quotas = {LARGE: 1}
    planning.plan_creation(name="demo", instance_type=LARGE, actor=None)
    account._quotas = {LARGE: 3}  # which nobody here was told of
    made = services.create_endpoint(name="demo", instance_type=LARGE, instance_count=3, actor=None)
    assert made.quota_notes == []


def test_fewer_are_not_refused_whatever_the_quota_is(
    db: None, account: Account, settle: Callable[[Endpoint], Endpoint]
) -> None:
    endpoint = settle(
        services.create_endpoint(name="demo", instance_type=LARGE, instance_count=3, actor=None)
    )
    account.quotas = {LARGE: 1}
    services.request_change(endpoint=endpoint, change=SettingsChange(instance_count=2), actor=None)


@pytest.mark.not_quick
def test_what_runs_besides_makes_a_warning_on_each_way(
    serving: Endpoint, account: Account, client_of: Callable[[str], Client], api: Api
) -> None:
    account.quotas = {LARGE: 1}
    status, made = api.ask("POST", PATH, {"name": "second", "instance_type": LARGE})
    assert status == 201, made
    (note,) = made["notes"]
    assert "With these there would be 2, which SageMaker will refuse" in note
    assert api.ask("GET", f"{PATH}/second")[1]["notes"] == []
    client = client_of("operator")
    asked = {"name": "third", "instance_type": LARGE, "instance_count": 1}
    page = client.post("/endpoints/new/", asked, follow=True).content.decode()
    assert "With these there would be 2, which SageMaker will refuse" in page
    # Another environment starts as many again beside those that serve.
    change = {"options": {"startup_timeout_s": 600}}
    status, changed = api.ask("PATCH", DEMO, change)
    assert (status, len(changed["notes"])) == (202, 1), changed


def test_autoscaling_is_warned_of_what_it_may_not_start(
    serving: Endpoint, account: Account, api: Api
) -> None:
    account.quotas = {LARGE: 2}
    limits = {"min_instances": 1, "max_instances": 3, "calls_per_minute": 50}
    status, plan = api.ask("POST", f"{DEMO}/scaling/plan", limits)
    assert "there would be 3" in plan["notes"][0]
    status, scaled = api.ask("PUT", f"{DEMO}/scaling", limits)
    assert (status, plan["notes"]) == (202, scaled["notes"])


@pytest.mark.not_quick
def test_what_is_made_again_is_warned_of_on_each_way(
    serving: Endpoint,
    account: Account,
    settle: Callable[[Endpoint], Endpoint],
    client_of: Callable[[str], Client],
    api: Api,
) -> None:
    services.create_endpoint(name="second", instance_type=LARGE, actor=None)
    settle(Endpoint.objects.get(name="second"))
    account.quotas = {LARGE: 1}
    warned = "With these there would be 2, which SageMaker will refuse"
    settle(pausing.pause_now(endpoint=serving, actor=None))
    status, resumed = api.ask("POST", f"{DEMO}/resume")
    assert (status, len(resumed["notes"])) == (202, 1), resumed
    assert warned in resumed["notes"][0]
    # It resumes already: what is asked again starts nothing.
    assert api.ask("POST", f"{DEMO}/resume")[1]["notes"] == []
    settle(pausing.pause_now(endpoint=settle(Endpoint.objects.get(name="demo")), actor=None))
    page = client_of("operator").post(f"/endpoints/{serving.pk}/resume/", follow=True)
    assert warned in page.content.decode()


def test_who_may_not_ask_is_told_and_goes_on(serving: Endpoint, api: Api) -> None:
    status, made = api.ask("POST", PATH, {"name": "second", "instance_type": LARGE})
    assert status == 201
    assert made["notes"] == [
        "The quota of ml.m5.large could not be read: Service Quotas may not be asked."
    ]


@pytest.mark.not_quick
def test_nobody_waits_long_for_service_quotas_and_they_are_asked_once(
    serving: Endpoint, monkeypatch: pytest.MonkeyPatch, api: Api
) -> None:
    answered, asked = threading.Event(), []

    def hang(instance_type: str) -> int:
        asked.append(instance_type)
        assert answered.wait(30)
        return 7

    monkeypatch.setattr(quotas, "limit_of", hang)
    monkeypatch.setattr(quotas, "WAITS_S", 0.05)
    quotas.forget()
    status, made = api.ask("POST", PATH, {"name": "second", "instance_type": LARGE})
    assert status == 201
    assert "Service Quotas did not answer within" in made["notes"][0]
    api.ask("POST", PATH, {"name": "third", "instance_type": LARGE})
    under_way = quotas._under_way[LARGE]
    answered.set()
    assert under_way.result(30).limit == 7
    monkeypatch.setattr(quotas, "WAITS_S", 4.0)
    assert api.ask("POST", PATH, {"name": "fourth", "instance_type": LARGE})[1]["notes"] == []
    assert asked == [LARGE]


def test_what_service_quotas_answers() -> None:
    quotas._codes.clear()
    with Stubber(aws.service_quotas()) as stubber:
        listed = [
            {"QuotaName": "ml.m5.large for endpoint usage", "QuotaCode": "L-1"},
            {"QuotaName": "ml.m5.large for training job usage", "QuotaCode": "L-2"},
        ]
        stubber.add_response(
            "list_service_quotas", {"Quotas": listed},
            {"ServiceCode": "sagemaker", "MaxResults": 100},
        )  # fmt: skip
        asked = {"ServiceCode": "sagemaker", "QuotaCode": "L-1"}
        stubber.add_response("get_service_quota", {"Quota": {"Value": 4.0}}, asked)
        assert quotas.limit_of(LARGE) == 4
        assert quotas.limit_of("ml.unknown") is None
        stubber.add_client_error("get_service_quota", "AccessDeniedException", "no")
        with pytest.raises(errors.Denied):
            quotas.limit_of(LARGE)
    quotas._codes.clear()
