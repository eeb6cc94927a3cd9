"""Wanted absent: endpoint, config, model, in this order, each confirmed gone."""

import pytest
from django.core.exceptions import ValidationError

from activity.models import Event
from core import errors
from endpoints import sagemaker, services
from endpoints.models import Endpoint, Resource
from endpoints.tests.conftest import CREATED, DELETED


def tear_down(endpoint):
    return services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)


def test_it_deletes_endpoint_config_and_model_in_this_order(serving, account, settle):
    tear_down(serving)
    endpoint = settle(serving)
    assert account.changes == CREATED + DELETED
    assert account.empty
    assert endpoint.gone_at is not None
    assert endpoint.state == Endpoint.State.GONE
    assert {r.state for r in endpoint.resources.all()} == {Resource.State.GONE}
    assert all(r.gone_at for r in endpoint.resources.all())
    told = [e.sentence for e in Event.objects.about("endpoint", endpoint.pk)]
    assert told[0].startswith("demo is torn down. The archives are kept in s3://")


def test_the_next_is_deleted_only_when_the_last_is_confirmed_gone(serving, account, advance):
    tear_down(serving)
    account.looks = 3
    endpoint = advance(serving)
    for _ in range(3):
        endpoint = advance(endpoint)
        assert account.changes[3:] == DELETED[:1]
        assert endpoint.state == Endpoint.State.DELETING
    advance(endpoint)
    assert account.changes[3:] == DELETED[:2]


def test_the_name_must_be_typed(serving):
    with pytest.raises(ValidationError):
        services.request_teardown(endpoint=serving, typed_name="dem", actor=None)
    serving.refresh_from_db()
    assert serving.wanted == Endpoint.Wanted.PRESENT


def test_asking_twice_is_asking_once(serving):
    tear_down(serving)
    tear_down(serving)
    assert Event.objects.filter(action="endpoint.teardown_requested").count() == 1


@pytest.mark.not_quick
def test_during_creation_it_waits_until_aws_allows_it(endpoint, account, advance, settle):
    account.looks = 4
    for _ in range(4):
        endpoint = advance(endpoint)
    assert endpoint.state == Endpoint.State.CREATING
    tear_down(endpoint)
    endpoint = advance(endpoint)
    assert account.changes == CREATED
    assert "as soon as that is over" in endpoint.hint
    assert settle(endpoint).gone_at is not None
    assert account.changes == CREATED + DELETED


def test_busy_is_waited_out(serving, account, advance, settle):
    tear_down(serving)
    account.failures["delete_endpoint"] = [errors.Busy("Cannot update in-progress endpoint")]
    endpoint = advance(serving)
    assert "busy" in endpoint.hint
    assert not endpoint.failure
    assert settle(endpoint).gone_at is not None


@pytest.mark.not_quick
@pytest.mark.parametrize("steps", range(8))
def test_at_any_moment_of_the_creation_nothing_is_left(endpoint, account, advance, settle, steps):
    for _ in range(steps):
        endpoint = advance(endpoint)
    tear_down(endpoint)
    assert settle(endpoint).gone_at is not None
    assert account.empty


def test_a_config_that_reads_do_not_show_yet_is_deleted_all_the_same(
    endpoint, account, advance, settle
):
    for _ in range(2):
        endpoint = advance(endpoint)
    account.unseen.add("demo-r1")
    tear_down(endpoint)
    assert settle(endpoint).gone_at is not None
    assert account.empty


def test_what_somebody_deleted_already_is_taken_as_gone(serving, account, settle):
    account.models.clear()
    account.endpoints.clear()
    tear_down(serving)
    assert settle(serving).gone_at is not None
    assert account.empty


def test_a_denied_deletion_says_so_and_goes_on_when_it_is_allowed(
    serving, account, advance, settle
):
    tear_down(serving)
    account.failures["delete_endpoint"] = [errors.Denied("sagemaker:DeleteEndpoint")]
    endpoint = advance(serving)
    assert "does not allow" in endpoint.failure
    assert account.changes == CREATED
    assert settle(endpoint).gone_at is not None


def test_somebody_elses_endpoint_of_the_name_is_left_alone(endpoint, account, settle):
    account.configs["theirs"] = sagemaker.SageMakerConfig(
        "theirs", "arn", account._now(), "m", "t", 1
    )
    sagemaker.create_endpoint(name="demo", config_name="theirs", tags={})
    endpoint = settle(endpoint)
    assert "uses the configuration theirs" in endpoint.failure
    tear_down(endpoint)
    endpoint = settle(endpoint)
    assert list(account.endpoints) == ["demo"]
    assert list(account.configs) == ["theirs"]
    assert not account.models


@pytest.mark.not_quick
def test_the_name_is_free_again_and_derived_names_never_come_twice(serving, account, settle):
    tear_down(serving)
    settle(serving)
    again = services.create_endpoint(
        name="demo", instance_type="ml.m5.large", instance_count=2, actor=None
    )
    assert again.model_name == "demo-r2"
    assert settle(again).state == Endpoint.State.IN_SERVICE
