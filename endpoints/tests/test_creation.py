"""Wanted present: three resources, one at a time, until the endpoint is in service."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from activity.models import Event
from core import errors
from endpoints import reconciler, sagemaker, services
from endpoints.models import Endpoint, EndpointQuerySet, Resource, name_taken
from endpoints.tests.account import Account
from endpoints.tests.conftest import CREATED
from tests.together import together


def texts(endpoint):
    return [e.sentence for e in Event.objects.about("endpoint", endpoint.pk).order_by("id")]


def test_it_creates_model_config_and_endpoint_in_this_order(endpoint, account, settle):
    endpoint = settle(endpoint)
    assert account.changes == CREATED
    assert endpoint.state == Endpoint.State.IN_SERVICE
    assert endpoint.serving
    assert {r.kind: r.state for r in endpoint.resources.all()} == {
        "model": Resource.State.CREATED,
        "config": Resource.State.CREATED,
        "endpoint": Resource.State.IN_SERVICE,
    }
    for resource in endpoint.resources.all():
        assert resource.arn.startswith("arn:aws:sagemaker:")
        assert resource.created_at is not None
    model = account.models["demo-r1"]
    assert model.data_url == endpoint.model_data_url
    assert model.image == endpoint.image


def test_each_step_makes_at_most_one_changing_call(endpoint, account, advance):
    for _ in range(8):
        before = len(account.changes)
        endpoint = advance(endpoint)
        assert len(account.changes) - before <= 1
    assert endpoint.state == Endpoint.State.IN_SERVICE


def test_each_change_is_told_once(endpoint, settle, advance):
    endpoint = settle(endpoint)
    told = texts(endpoint)
    assert told == [
        "Requested the endpoint demo with 1 × ml.m5.large.",
        f"Created the SageMaker model demo-r1, which serves {endpoint.model_data_url}.",
        "Created the configuration demo-r1 with 1 × ml.m5.large.",
        "The endpoint demo is being created.",
        "The endpoint demo is in service.",
    ]
    advance(endpoint)
    advance(endpoint)
    assert texts(endpoint) == told


def test_what_is_settled_is_looked_at_seldom(serving):
    assert serving.check_after > timezone.now() + timedelta(seconds=30)
    assert not reconciler.advance(serving.pk)


@pytest.mark.not_quick
def test_a_config_that_reads_do_not_show_yet_is_waited_for(endpoint, account, advance, settle):
    account.unseen.add("demo-r1")
    for _ in range(5):
        endpoint = advance(endpoint)
    assert account.changes == CREATED[:2]
    assert endpoint.attempts == 3
    assert "does not see yet" in endpoint.hint
    assert not endpoint.failure
    account.unseen.clear()
    assert settle(endpoint).state == Endpoint.State.IN_SERVICE
    assert account.changes == CREATED


@pytest.mark.not_quick
def test_throttling_is_waited_out_longer_each_time(endpoint, account, advance, settle):
    account.failures["create_model"] = [errors.Throttled("Rate exceeded") for _ in range(5)]
    waits = []
    for _ in range(5):
        endpoint = advance(endpoint)
        waits.append(round((endpoint.check_after - endpoint.checked_at).total_seconds()))
    assert waits == [1, 2, 4, 8, 16]
    assert "slow down" in endpoint.hint
    assert [t for t in texts(endpoint) if "slow down" in t] == [texts(endpoint)[-1]]
    endpoint = settle(endpoint)
    assert endpoint.state == Endpoint.State.IN_SERVICE
    assert (endpoint.attempts, endpoint.hint) == (0, "")


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (errors.Denied("not authorized to perform sagemaker:CreateModel"), "does not allow"),
        (errors.Invalid("The account-level service limit is 0"), "refuses"),
    ],
)
def test_a_refusal_stands_with_what_to_do_until_it_is_lifted(
    endpoint, account, advance, settle, error, word
):
    account.failures["create_model"] = [error]
    endpoint = advance(endpoint)
    assert endpoint.settled
    assert word in endpoint.failure
    assert str(error) in endpoint.failure
    assert "five minutes" in endpoint.hint
    assert endpoint.check_after > timezone.now() + timedelta(minutes=4)
    assert settle(endpoint).state == Endpoint.State.IN_SERVICE
    assert texts(endpoint).count("The problem is solved. Work on the endpoint goes on.") == 1


@pytest.mark.not_quick
def test_a_failed_endpoint_shows_why_and_can_be_torn_down(endpoint, account, settle):
    account.fail_with = "The container did not pass the ping health check."
    endpoint = settle(endpoint)
    assert endpoint.state == Endpoint.State.FAILED
    assert account.fail_with in endpoint.failure
    assert "Tear it down" in endpoint.hint
    assert sum(account.fail_with in text for text in texts(endpoint)) == 1
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    assert settle(endpoint).gone_at is not None
    assert account.empty


@pytest.mark.parametrize("kind", ["models", "configs"])
def test_a_lost_model_or_config_is_created_again(serving, account, advance, kind):
    getattr(account, kind).clear()
    # Long enough ago that a read would show it.
    Resource.objects.update(changed_at=timezone.now() - timedelta(minutes=5))
    advance(serving)
    assert account.changes[3:] == [f"+{kind[:-1]} demo-r1"]
    advance(serving)
    assert account.changes[4:] == []


def test_already_exists_is_done_if_it_is_the_same(endpoint, account, settle, monkeypatch):
    # A crash after the create: the row knows nothing of it, and the read does not show it yet.
    sagemaker.create_model(
        name="demo-r1",
        image=endpoint.image,
        role_arn=endpoint.role_arn,
        data_url=endpoint.model_data_url,
        tags={},
    )
    account.failures["describe_model"] = [errors.NotFound("not yet")]
    assert settle(endpoint).state == Endpoint.State.IN_SERVICE
    assert account.changes == CREATED


def test_something_else_of_that_name_is_left_alone(endpoint, account, settle):
    sagemaker.create_model(
        name="demo-r1",
        image="other",
        role_arn="arn:aws:iam::123456789012:role/r",
        data_url="s3://other/",
        tags={},
    )
    endpoint = settle(endpoint)
    assert "not this portal's" in endpoint.failure
    assert "s3://other/" in endpoint.failure
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    endpoint = settle(endpoint)
    assert endpoint.gone_at is not None
    assert list(account.models) == ["demo-r1"]
    assert endpoint.resources.get(kind="model").state == Resource.State.KEPT
    assert any("left as it is" in text for text in texts(endpoint))


def test_a_name_that_the_account_has_is_refused(db, account):
    account.endpoints["prod"] = sagemaker.SageMakerEndpoint(
        "prod", "arn", "InService", "c", timezone.now(), ""
    )
    with pytest.raises(ValidationError) as caught:
        services.create_endpoint(
            name="prod", instance_type="ml.m5.large", instance_count=1, actor=None
        )
    assert "was not created here" in str(caught.value.message_dict["name"])
    assert not Endpoint.objects.exists()


def test_a_name_that_is_being_torn_down_here_is_told_so(serving):
    services.request_teardown(endpoint=serving, typed_name="demo", actor=None)
    with pytest.raises(ValidationError) as caught:
        services.create_endpoint(
            name="demo", instance_type="ml.m5.large", instance_count=1, actor=None
        )
    (said,) = caught.value.message_dict["name"]
    assert "is being torn down" in said


@pytest.mark.parametrize("name", ["demo", "DEMO"])
def test_a_name_that_is_in_use_here_is_refused_in_any_case(endpoint, name):
    with pytest.raises(ValidationError) as caught:
        services.create_endpoint(
            name=name, instance_type="ml.m5.large", instance_count=1, actor=None
        )
    assert "an endpoint demo already" in str(caught.value.message_dict["name"])


@pytest.mark.parametrize("unseen", [0, 2])
def test_of_two_at_the_same_time_one_is_refused_in_any_case(endpoint, monkeypatch, unseen):
    """The sentence is the same where the check finds the row, and where the database does."""
    named, asked = EndpointQuerySet.named, []

    def late(self, name):  # as if the row came after so many questions
        asked.append(name)
        return named(self, name) if len(asked) > unseen else self.none()

    monkeypatch.setattr(EndpointQuerySet, "named", late)
    with pytest.raises(ValidationError) as caught:
        services.create_endpoint(
            name="Demo", instance_type="ml.m5.large", instance_count=1, actor=None
        )
    assert caught.value.message_dict == {"name": [name_taken("demo")]}
    assert Endpoint.objects.count() == 1


@pytest.mark.not_quick
@pytest.mark.django_db(transaction=True)
def test_of_several_who_create_one_endpoint_at_once_all_but_one_get_the_same_sentence(account):
    def create():
        try:
            return services.create_endpoint(
                name="race", instance_type="ml.m5.large", instance_count=1, actor=None
            )
        except ValidationError as error:
            return error.message_dict

    outcomes = together([create] * 4)
    assert outcomes.count({"name": [name_taken("race")]}) == 3
    assert Endpoint.objects.get().name == "race"


def test_a_name_in_another_case_gets_the_next_revision(endpoint):
    Endpoint.objects.update(gone_at=timezone.now())
    again = services.create_endpoint(
        name="Demo", instance_type="ml.m5.large", instance_count=1, actor=None
    )
    assert again.model_name == "Demo-r2"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "-demo"),
        ("name", "a" * 54),
        ("name", "dé"),
        ("instance_type", "ml.p4d.24xlarge"),
        ("instance_count", 0),
        ("instance_count", 1000),
    ],
)
def test_bad_values_are_refused_by_field(db, account, field, value):
    values = {"name": "demo", "instance_type": "ml.m5.large", "instance_count": 1} | {field: value}
    with pytest.raises(ValidationError) as caught:
        services.create_endpoint(**values, actor=None)
    assert list(caught.value.message_dict) == [field]
    assert account.calls == 0


def test_nothing_is_created_where_the_account_cannot_be_asked(db, account):
    account.failures["describe_endpoint"] = [errors.Throttled("no answer")]
    with pytest.raises(errors.Throttled):
        services.create_endpoint(
            name="demo", instance_type="ml.m5.large", instance_count=1, actor=None
        )
    assert not Endpoint.objects.exists()


def test_of_two_who_create_one_endpoint_at_once_the_slower_is_told_the_truth(
    db: None, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quicker one's is there, in our rows and in the account, once the account is asked."""
    describe = sagemaker.describe_endpoint
    wanted: dict[str, Any] = {"name": "dbl", "instance_type": "ml.m5.large", "instance_count": 1}

    def quicker(name: str) -> sagemaker.SageMakerEndpoint:
        monkeypatch.setattr(sagemaker, "describe_endpoint", describe)
        made = services.create_endpoint(**wanted, actor=None)
        for _ in range(3):
            Endpoint.objects.filter(pk=made.pk).update(check_after=made.created_at)
            reconciler.advance(made.pk)
        return describe(name)

    monkeypatch.setattr(sagemaker, "describe_endpoint", quicker)
    with pytest.raises(ValidationError) as refused:
        services.create_endpoint(**wanted, actor=None)
    assert refused.value.message_dict == {
        "name": ["There is an endpoint dbl already. Choose another name, or tear it down."]
    }
