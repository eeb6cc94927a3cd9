"""Endpoints with two production variants: what is called for them, and what is said of them."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from activity.models import Event
from endpoints import adopting, planning, prices, scaling, services
from endpoints.limits import Limits
from endpoints.models import Endpoint, Orphan, Revision
from endpoints.reconciler import run as reconciler_run
from endpoints.services import SettingsChange
from endpoints.tests.account import OTHER_IMAGE, Account
from endpoints.tests.conftest import CREATED
from endpoints.tests.test_crashes import survive
from endpoints.variants import ALONE, ProductionVariant, Variants

Step = Callable[[Endpoint], Endpoint]
LARGE = ProductionVariant("large", "ml.m5.xlarge", 1, 9)
SMALL = ProductionVariant("small", "ml.m5.large", 1, 1)
PLAIN = ProductionVariant(ALONE, "ml.m5.large", 1)


def change(endpoint: Endpoint, **wanted: Any) -> Endpoint:
    return services.request_change(endpoint=endpoint, change=SettingsChange(**wanted), actor=None)


@pytest.fixture
def two(db: None, account: Account, settle: Step) -> Endpoint:
    """An endpoint in service with two variants."""
    return settle(services.create_endpoint(name="demo", variants=(LARGE, SMALL), actor=None))


def test_two_variants_are_created_and_known(two: Endpoint, account: Account) -> None:
    assert account.configs["demo-r1"].variants == (LARGE, SMALL)
    assert two.running == two.requested
    assert two.running.variants == (LARGE, SMALL)  # in this order, whatever SageMaker's
    assert (two.instance_count, two.instance_type) == (2, "ml.m5.xlarge, ml.m5.large")
    assert str(two.running) == "large 1 × ml.m5.xlarge (90 %), small 1 × ml.m5.large (10 %)"
    assert not two.changed_outside
    known = prices.known()
    cost = known.of(two)
    assert cost is not None
    assert cost.per_hour == known.per_hour["ml.m5.xlarge"] + known.per_hour["ml.m5.large"]


def test_the_price_is_not_known_where_that_of_one_is_not(two: Endpoint) -> None:
    known = replace(prices.known(), per_hour={"ml.m5.large": Decimal("0.1")})
    assert known.of(two) is None


@pytest.mark.not_quick
def test_weights_are_moved_with_the_same_config(
    two: Endpoint, account: Account, settle: Step
) -> None:
    begun = len(account.changes)
    endpoint = settle(change(two, weights={"small": 3}))
    assert account.changes[begun:] == ["~endpoint demo large=1:9 small=1:3"]
    assert endpoint.running == endpoint.requested
    assert [one.weight for one in endpoint.running.variants] == [9, 3]
    assert (endpoint.revision, endpoint.config_name) == (2, "demo-r1")
    assert Event.objects.get(action="endpoint.update_requested").sentence == (
        "Requested to change the endpoint demo from large 1 × ml.m5.xlarge (90 %), small 1 × "
        "ml.m5.large (10 %) to large 1 × ml.m5.xlarge (75 %), small 1 × ml.m5.large (25 %) "
        "(revision 2)."
    )
    assert Event.objects.get(action="endpoint.updated_variants").sentence == (
        "The endpoint demo serves revision 2: large 1 × ml.m5.xlarge (75 %), small 1 × "
        "ml.m5.large (25 %)."
    )
    assert change(endpoint, weights={"small": 3}).revision == 2  # it is so already
    # The next config begins with what was moved.
    endpoint = settle(change(endpoint, image=OTHER_IMAGE))
    assert account.configs["demo-r3"].variants == (LARGE, replace(SMALL, weight=3))
    endpoint = settle(services.request_change(
        endpoint=endpoint, change=services.back_to(endpoint=endpoint, number=1), actor=None
    ))  # fmt: skip
    assert endpoint.running.variants == (LARGE, SMALL)


@pytest.mark.not_quick
def test_each_has_a_count_of_its_own(two: Endpoint, account: Account, settle: Step) -> None:
    begun = len(account.changes)
    wanted = (LARGE, replace(SMALL, instance_count=2))
    endpoint = settle(change(two, variants=wanted))
    assert account.changes[begun:] == ["~endpoint demo large=1:9 small=2:1"]
    assert endpoint.running.variants == wanted
    assert endpoint.instance_count == 3


@pytest.mark.not_quick
def test_a_variant_is_added_and_another_taken_away(
    serving: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    endpoint = change(serving, variants=(PLAIN, replace(LARGE, weight=1)))
    while endpoint.config_in_use == "demo-r1":
        assert not endpoint.changed_outside
        assert endpoint.serving
        endpoint = advance(endpoint)
    endpoint = settle(endpoint)
    assert [one.name for one in endpoint.running.variants] == [ALONE, "large"]
    assert account.changes == [
        *CREATED, "+config demo-r2", "~endpoint demo demo-r2", "-config demo-r1",
    ]  # fmt: skip
    endpoint = settle(change(endpoint, variants=(LARGE,)))
    assert endpoint.running.variants == (LARGE,)
    assert account.models.keys() == {"demo-r1"}
    # One variant is changed by type and count, and keeps its name.
    endpoint = settle(change(endpoint, instance_type="ml.m5.large", instance_count=2))
    assert endpoint.running.variants == (
        replace(LARGE, instance_type="ml.m5.large", instance_count=2),
    )
    endpoint = settle(change(endpoint, variants=(PLAIN,)))
    assert (endpoint.variants, endpoint.running.variants) == (None, ())
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    assert settle(endpoint).gone_at is not None
    assert account.empty


@pytest.mark.not_quick
def test_what_is_rolled_back_leaves_the_variants_as_they_were(
    two: Endpoint, account: Account, settle: Step
) -> None:
    account.roll_back_with = "The container did not answer the ping."
    endpoint = settle(change(two, variants=(LARGE, replace(SMALL, instance_type="ml.c5.xlarge"))))
    assert endpoint.running == endpoint.requested
    assert endpoint.running.variants == (LARGE, SMALL)
    assert endpoint.revisions.get(number=2).state == Revision.State.ROLLED_BACK


@pytest.mark.not_quick
def test_weights_that_others_moved_are_seen_and_put_back(
    two: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    account.weighed["demo"] = (LARGE, replace(SMALL, weight=9))
    endpoint = advance(two)
    assert endpoint.changed_outside
    assert "small 1 × ml.m5.large (50 %)" in str(endpoint.running)
    endpoint = settle(change(endpoint, variants=(LARGE, SMALL)))
    assert account.changes[-1] == "~endpoint demo large=1:9 small=1:1"
    assert not endpoint.changed_outside


@pytest.mark.not_quick
def test_a_lost_endpoint_is_made_again_with_its_weights(
    two: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    endpoint = settle(change(two, weights={"small": 3}))
    long_ago = endpoint.created_at - reconciler_run.READ_LAG * 2
    endpoint.resources.update(changed_at=long_ago)
    account.endpoints.clear()
    account.weighed.clear()
    for _ in range(20):
        endpoint = advance(endpoint)
    assert endpoint.settled
    assert endpoint.running.variants == (LARGE, replace(SMALL, weight=3))


@pytest.mark.slow
@pytest.mark.parametrize("acted", [True, False])
@pytest.mark.parametrize("at", range(13))
def test_a_crash_at_any_call_of_a_move_of_weights(
    two: Endpoint, account: Account, at: int, acted: bool
) -> None:
    change(two, weights={"small": 3})
    account.crash_at, account.crash_after_acting = account.calls + at, acted
    endpoint, _crashes = survive(two, "present", planned=at < 12)
    assert endpoint.running.variants == (LARGE, replace(SMALL, weight=3))
    assert account.configs.keys() == {"demo-r1"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((LARGE, SMALL, PLAIN), "at most 2 variants"),
        ((LARGE, replace(SMALL, name="Large")), "different names"),
        ((LARGE, replace(SMALL, name="a b")), "Name each variant"),
        ((replace(LARGE, weight=0), replace(SMALL, weight=0)), "at least one variant"),
        ((LARGE, replace(SMALL, weight=1001)), "0 to 1000"),
        ((LARGE, replace(SMALL, instance_type="ml.p4")), "Choose one of"),
        ((LARGE, replace(SMALL, instance_count=0)), "at least 1 instance"),
        ((LARGE, replace(SMALL, instance_count=10_000)), "Choose a number"),
    ],
)
def test_what_variants_may_not_be(account: Account, db: None, rows: Variants, said: str) -> None:
    with pytest.raises(ValidationError, match=said) as refused:
        services.create_endpoint(name="demo", variants=rows, actor=None)
    assert list(refused.value.message_dict) == ["variants"]
    assert not Endpoint.objects.exists()


@pytest.mark.not_quick
def test_what_is_said_both_ways_is_refused(two: Endpoint) -> None:
    with pytest.raises(ValidationError, match="not both"):
        change(two, variants=(LARGE,), instance_count=2)
    with pytest.raises(ValidationError, match="several variants"):
        change(two, instance_count=2)
    with pytest.raises(ValidationError, match=r"no variant blue\. There are: large, small"):
        change(two, weights={"blue": 1})


@pytest.mark.not_quick
def test_autoscaling_is_of_one_variant(two: Endpoint, settle: Step, account: Account) -> None:
    limits = Limits(least=1, most=2, target=50)
    with pytest.raises(ValidationError, match="has several"):
        scaling.set_scaling(endpoint=two, limits=limits, actor=None)
    endpoint = settle(change(two, variants=(LARGE,)))
    endpoint = settle(scaling.set_scaling(endpoint=endpoint, limits=limits, actor=None))
    assert account.scaled_variants == {"demo": "large"}
    with pytest.raises(ValidationError, match="Switch it off"):
        change(endpoint, variants=(LARGE, SMALL))


@pytest.mark.not_quick
def test_the_plan_says_what_becomes_of_variants(two: Endpoint) -> None:
    plan = planning.plan_change(
        endpoint=two, change=SettingsChange(weights={"small": 3}), actor=None
    )
    assert [call.action for call in plan.calls] == ["UpdateEndpointWeightsAndCapacities"]
    (differs,) = plan.differs
    assert (differs.name, str(two.running)) == ("variants", differs.before)
    assert plan.before == plan.after
    plan = planning.plan_change(endpoint=two, change=SettingsChange(variants=(LARGE,)), actor=None)
    assert [one.name for one in plan.differs] == ["instance_type", "instance_count", "variants"]
    assert plan.before is not None
    assert plan.after is not None
    assert plan.after.per_hour < plan.before.per_hour
    assert '"VariantName": "large"' in plan.code.replace("'", '"')


@pytest.mark.not_quick
def test_the_forms_ask_for_a_second_variant(
    account: Account, settle: Step, client_of: Callable[[str], Client]
) -> None:
    operator_client = client_of("operator")
    page = reverse("endpoints:new")
    first = {"name": "demo", "instance_type": "ml.m5.large", "instance_count": "1"}
    second = {
        "first_weight": "9", "second_name": "new", "second_type": "ml.m5.xlarge",
        "second_count": "1", "second_weight": "1",
    }  # fmt: skip
    wrong = operator_client.post(page, first | second | {"second_name": "a b"})
    assert wrong.status_code == 400
    assert "Name each variant" in wrong.content.decode()
    operator_client.post(page, first | second)
    endpoint = settle(Endpoint.objects.get())
    assert [(one.name, one.weight) for one in endpoint.running.variants] == [(ALONE, 9), ("new", 1)]
    shown = operator_client.get(endpoint.get_absolute_url()).content.decode()
    assert "data-weights" in shown
    operator_client.post(
        reverse("endpoints:weights", args=[endpoint.pk]), {"weight_0": "1", "weight_1": "3"}
    )
    endpoint = settle(endpoint)
    assert [one.weight for one in endpoint.running.variants] == [1, 3]
    refused = operator_client.post(
        reverse("endpoints:weights", args=[endpoint.pk]), {"weight_0": "0", "weight_1": "0"},
        follow=True,
    )  # fmt: skip
    assert "at least one variant a weight above 0" in refused.content.decode()
    page = reverse("endpoints:change", args=[endpoint.pk])
    form = operator_client.get(page).context["form"]
    assert form["second_name"].value() == "new"
    sent = {
        "instance_type": "ml.m5.large", "instance_count": "2", "first_weight": "1",
        "second_type": "ml.m5.xlarge", "second_count": "1", "second_weight": "3",
    }  # fmt: skip
    operator_client.post(page, sent)
    endpoint = settle(endpoint)
    assert [one.instance_count for one in endpoint.running.variants] == [2, 1]
    operator_client.post(page, sent | {"remaining": "new"})
    endpoint = settle(endpoint)
    assert [one.name for one in endpoint.running.variants] == ["new"]


@pytest.mark.not_quick
def test_an_endpoint_with_variants_is_adopted(
    account: Account, settle: Step, look: Callable[[], Any], two: Endpoint
) -> None:
    account.weighed["demo"] = (LARGE, replace(SMALL, weight=3))
    Endpoint.objects.all().delete()
    look()
    endpoint = adopting.adopt(orphan=Orphan.objects.get(kind="endpoint"), actor=None)
    endpoint = settle(endpoint)
    assert endpoint.requested.variants == (LARGE, replace(SMALL, weight=3))
    assert not endpoint.changed_outside
    endpoint = settle(change(endpoint, weights={"small": 1}))
    assert account.changes[-1] == "~endpoint demo large=1:9 small=1:1"
