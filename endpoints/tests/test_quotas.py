"""What a plan says of the account's quotas."""

import pytest
from botocore.stub import Stubber

from core import aws, errors
from endpoints import planning, quotas
from endpoints.models import Endpoint
from endpoints.services import SettingsChange
from endpoints.tests.account import Account

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
