"""Orphans of more kinds: what endpoints that are gone leave beside SageMaker's own resources."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client

from core import aws, clock, errors
from endpoints import adopting, autoscaling, log_groups, orphans, reconciler, services
from endpoints.models import Endpoint, Orphan
from endpoints.tests.account import Account
from endpoints.tests.test_endpoints_api import Api

pytestmark = pytest.mark.django_db
Kind = Orphan.Kind
NAMES = {
    Kind.TARGET: "old.AllTraffic",
    Kind.ALARM: "mme-portal.old.p99.AllTraffic",
    Kind.LOG_GROUP: "old",
    Kind.STAGED: "staging/old.tar.gz",
}


def _found(*, others: bool = False) -> dict[str, str]:
    rows = orphans.shown(others=others).there()
    return {row.kind: row.name for row in rows}


def _run() -> None:
    for _ in range(4):
        for pk in Orphan.objects.unfinished().values_list("pk", flat=True):
            Orphan.objects.filter(pk=pk).update(check_after=clock.now(), leased_until=None)
            reconciler.advance_orphan(pk)


def _delete_all() -> None:
    orphans.request_deletion(orphans=Orphan.objects.there(), actor=None)
    _run()


@pytest.fixture
def was_ours(db: None, account: Account) -> Endpoint:
    """An endpoint of the portal that is gone."""
    row = services.create_endpoint(name="old", instance_type="ml.m5.large", actor=None)
    row.resources.all().delete()
    Endpoint.objects.filter(pk=row.pk).update(gone_at=clock.now(), state=Endpoint.State.GONE)
    return row


@pytest.mark.not_quick
def test_each_kind_is_found_with_its_cost_and_deleted(
    was_ours: Endpoint, account: Account, look: Any
) -> None:
    account.leave_more("old")
    assert look().said == []
    assert _found() == NAMES
    costs = {row.kind: row.cost for row in orphans.with_costs(list(Orphan.objects.all()))}
    months = {kind: cost and str(cost.per_month) for kind, cost in costs.items()}
    assert months == {"target": None, "alarm": "0.10", "log_group": "0.15", "staged": "2.30"}
    assert str(orphans.total_of(Orphan.objects.all()).cost.per_month) == "2.55"
    _delete_all()
    assert set(account.changes) == {
        "-target old", "-alarm mme-portal.old.p99.AllTraffic", "-log group old",
        "-staged staging/old.tar.gz",
    }  # fmt: skip
    assert {row.state for row in Orphan.objects.all()} == {Orphan.State.GONE}
    look()
    assert _found() == {}


def test_what_a_living_endpoint_has_is_no_orphan(
    serving: Endpoint, account: Account, look: Any
) -> None:
    account.leave_more("demo")
    look()
    assert _found(others=True) == {"staged": "staging/demo.tar.gz"}


def test_what_is_of_others_is_shown_on_request(account: Account, look: Any) -> None:
    account.leave_more("theirs")
    look()
    assert set(_found()) == {"alarm", "staged"}  # by its name, and as the bucket is the portal's
    assert set(_found(others=True)) == set(NAMES)


@pytest.mark.parametrize(
    ("call", "kind"),
    [("listed_targets", "target"), ("listed_alarms", "alarm"), ("listed_log_groups", "log_group")],
)
def test_a_right_that_is_missing_is_named_and_the_others_are_listed(
    was_ours: Endpoint, account: Account, look: Any, call: str, kind: str
) -> None:
    account.leave_more("old")
    account.failures[call] = [errors.Denied(f"The right for {call} is missing.")]
    assert [str(one) for one in look().said] == [f"The right for {call} is missing."]
    assert _found() == {one: name for one, name in NAMES.items() if one != kind}


def test_where_endpoints_cannot_be_listed_nobody_knows_which_are_gone(
    was_ours: Endpoint, account: Account, look: Any
) -> None:
    account.leave_more("old")
    account.failures["listed"] = [errors.Denied("sagemaker:ListEndpoints is missing.")] * 4
    look()
    assert _found() == {"staged": "staging/old.tar.gz"}


def test_what_has_the_name_of_no_endpoint_keeps_nothing_from_being_listed(
    was_ours: Endpoint, account: Account, look: Any
) -> None:
    """CloudWatch takes longer names than SageMaker, and PostgreSQL none longer than its column."""
    account.leave_more("x" * 300)
    account.leave_more("old")
    assert look().looked_at is not None
    found = set(Orphan.objects.values_list("kind", "name"))
    assert found == {*NAMES.items(), ("staged", f"staging/{'x' * 300}.tar.gz")}


def test_what_has_an_endpoint_again_stays(was_ours: Endpoint, account: Account, look: Any) -> None:
    account.leave_more("old")
    look()
    services.create_endpoint(name="old", instance_type="ml.m5.large", actor=None)
    _delete_all()
    kept = Orphan.objects.filter(state=Orphan.State.FOUND)
    assert {row.kind for row in kept} == {"target", "alarm", "log_group"}
    assert "There is an endpoint old again." in str(kept[0].failure_said)
    assert account.changes == ["-staged staging/old.tar.gz"]


def test_none_of_them_can_be_adopted(was_ours: Endpoint, account: Account, look: Any) -> None:
    account.leave_more("old")
    look()
    for row in Orphan.objects.all():
        with pytest.raises(ValidationError, match="cannot be adopted"):
            adopting.adopt(orphan=row, actor=None)


@pytest.mark.not_quick
def test_by_the_api_names_may_have_slashes(
    was_ours: Endpoint, account: Account, look: Any, user_in: Callable[[str], User]
) -> None:
    api, path = Api(user_in("admin")), "/api/v1/orphans/staged/staging%2Fold.tar.gz"
    account.leave_more("old")
    look()
    status, found = api.ask("GET", path)
    assert (status, found["name"], found["adoptable"]) == (200, NAMES[Kind.STAGED], False)
    assert found["size_bytes"] == 100 << 30
    assert api.ask("POST", f"{path}/adopt")[0] == 409
    assert api.ask("DELETE", path)[0] == 202
    _run()
    assert api.ask("GET", path)[1]["state"] == "gone"


@pytest.mark.not_quick
def test_on_the_page(
    was_ours: Endpoint, account: Account, look: Any, client_of: Callable[[str], Client]
) -> None:
    account.leave_more("old")
    look()
    client = client_of("admin")
    page = client.get("/endpoints/orphans/").content.decode()
    for name in NAMES.values():
        assert name in page
    rows = list(Orphan.objects.values_list("pk", flat=True))
    answer = client.post(
        "/endpoints/orphans/delete/", {"pk": rows, "typed_names": " ".join(NAMES.values())}
    )
    assert answer.status_code == 302
    assert Orphan.objects.unfinished().count() == 4


def test_the_calls_on_the_wire() -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    with Stubber(aws.logs()) as stubber:
        group = {
            "logGroupName": "/aws/sagemaker/Endpoints/demo", "arn": "arn", "storedBytes": 7,
            "creationTime": int(at.timestamp() * 1000),
        }  # fmt: skip
        asked = {"logGroupNamePrefix": "/aws/sagemaker/Endpoints/de"}
        stubber.add_response("describe_log_groups", {"logGroups": [group]}, asked)
        (found,) = log_groups.listed_log_groups("de")
        assert found == log_groups.LogGroup("demo", "arn", at, 7)
        stubber.add_client_error("delete_log_group", "ResourceNotFoundException")
        with pytest.raises(errors.NotFound):
            log_groups.delete_log_group("demo")
        stubber.add_client_error("delete_log_group", "OperationAbortedException")
        with pytest.raises(errors.Busy):
            log_groups.delete_log_group("demo")
    with Stubber(aws.autoscaling()) as stubber:
        target = {
            "ServiceNamespace": "sagemaker", "ResourceId": "endpoint/demo/variant/v",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount", "MinCapacity": 1,
            "MaxCapacity": 2, "RoleARN": "role", "CreationTime": at, "ScalableTargetARN": "arn",
        }  # fmt: skip
        stubber.add_response("describe_scalable_targets", {"ScalableTargets": [target]})
        (listed,) = autoscaling.listed_targets()
        assert listed == autoscaling.ScalableTarget("demo", "v", "arn", at)
