"""A living endpoint is changed: what SageMaker is asked for, and what goes afterwards."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from activity.models import Event
from core import errors
from core.errors import CONFLICT
from endpoints import drift, planning, services
from endpoints.models import Endpoint, Revision, Running
from endpoints.reconciler import run as reconciler_run
from endpoints.services import SettingsChange
from endpoints.tests.account import OTHER_IMAGE, Account
from endpoints.tests.conftest import CREATED
from endpoints.tests.test_crashes import survive

Step = Callable[[Endpoint], Endpoint]
TYPE = "ml.m5.xlarge"
#: Outside calls of a change with a new model, until what it replaced is gone.
CALLS = 33
BY_CONFIG = ["+config demo-r2", "~endpoint demo demo-r2", "-config demo-r1"]


@pytest.fixture(autouse=True)
def _types(settings: Any) -> None:
    settings.INSTANCE_TYPES = ["ml.m5.large", TYPE]


def change(endpoint: Endpoint, **wanted: Any) -> Endpoint:
    return services.request_change(endpoint=endpoint, change=SettingsChange(**wanted), actor=None)


def told(endpoint: Endpoint) -> list[str]:
    events = Event.objects.about("endpoint", endpoint.pk)
    return [one.action for one in events if "update" in one.action]


def states(endpoint: Endpoint) -> dict[int, str]:
    return {one.number: one.state for one in endpoint.revisions.all()}


@pytest.mark.not_quick
def test_another_type_is_a_new_config_and_the_old_one_goes_afterwards(
    serving: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    assert states(serving) == {1: "serves"}
    endpoint = change(serving, instance_type=TYPE, reason="models do not fit")
    assert (endpoint.settled, endpoint.updating, endpoint.serving) == (False, True, True)
    assert endpoint.running == Running(1, "ml.m5.large")
    assert not endpoint.changed_outside
    while endpoint.config_in_use == "demo-r1":
        assert account.models
        assert "demo-r1" in account.configs
        assert endpoint.serving
        assert not endpoint.changed_outside
        endpoint = advance(endpoint)
    endpoint = settle(endpoint)
    assert account.changes == CREATED + BY_CONFIG
    assert (endpoint.revision, endpoint.model_name, endpoint.config_name) == (
        2, "demo-r1", "demo-r2",
    )  # fmt: skip
    assert endpoint.running == Running(1, TYPE)
    assert states(endpoint) == {1: "superseded", 2: "serves"}
    assert told(endpoint) == ["endpoint.updated", "endpoint.update_requested_why"]
    asked = Event.objects.get(action="endpoint.update_requested_why").sentence
    assert asked == (
        "Requested to change the endpoint demo from 1 × ml.m5.large to 1 × ml.m5.xlarge (revision "
        "2): models do not fit"
    )


@pytest.mark.not_quick
def test_another_image_is_a_new_model_too(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    endpoint = settle(change(serving, image=OTHER_IMAGE))
    assert account.changes == [
        *CREATED, "+model demo-r2", "+config demo-r2", "~endpoint demo demo-r2", "-config demo-r1",
        "-model demo-r1",
    ]  # fmt: skip
    assert account.models["demo-r2"].image == OTHER_IMAGE
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    assert settle(endpoint).gone_at is not None
    assert account.empty


@pytest.mark.not_quick
def test_the_count_alone_keeps_the_config(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    endpoint = settle(change(serving, instance_count=2))
    assert account.changes == [*CREATED, "~endpoint demo 2"]
    assert endpoint.running == endpoint.requested == Running(2, "ml.m5.large")
    assert not endpoint.changed_outside
    endpoint = settle(change(endpoint, instance_type=TYPE))
    assert account.configs["demo-r3"].instance_count == 2
    assert endpoint.running == Running(2, TYPE)


@pytest.mark.not_quick
def test_a_lost_endpoint_is_made_again_with_its_count(
    serving: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    endpoint = settle(change(serving, instance_count=2))
    long_ago = endpoint.created_at - reconciler_run.READ_LAG * 2
    endpoint.resources.update(changed_at=long_ago)
    account.endpoints.clear()
    account.counts.clear()
    endpoint = drift.put_back(endpoint=advance(endpoint), actor=None)
    for _ in range(20):
        endpoint = advance(endpoint)
    assert endpoint.settled
    assert account.counts == {"demo": 2}
    assert endpoint.running == Running(2, "ml.m5.large")


@pytest.mark.not_quick
@pytest.mark.parametrize("wanted", [{"instance_type": TYPE}, {"image": OTHER_IMAGE}])
def test_what_is_rolled_back_says_why_and_serves_as_before(
    serving: Endpoint, account: Account, settle: Step, wanted: Any
) -> None:
    account.roll_back_with = "The container did not answer the ping."
    endpoint = settle(change(serving, **wanted))
    assert (endpoint.revision, endpoint.serving, endpoint.failure) == (1, True, "")
    assert endpoint.running == endpoint.requested == Running(1, "ml.m5.large")
    assert set(account.configs) == set(account.models) == {"demo-r1"}
    assert states(endpoint) == {1: "serves", 2: "rolled_back"}
    refused = endpoint.refused_change
    assert refused is not None
    assert str(refused.failure_said) == "The container did not answer the ping."
    assert told(endpoint) == ["endpoint.update_rolled_back", "endpoint.update_requested"]
    account.roll_back_with = ""
    endpoint = settle(change(endpoint, instance_type=TYPE))
    assert endpoint.config_name == "demo-r3"  # names are never used twice
    assert endpoint.refused_change is None


@pytest.mark.not_quick
def test_a_roll_back_between_two_looks_is_told_at_once(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    account.looks, account.roll_back_with = 0, "The container did not answer the ping."
    account.update_unseen = 2  # a read that lags tells nothing of it
    endpoint = settle(change(serving, image=OTHER_IMAGE))
    assert states(endpoint) == {1: "serves", 2: "rolled_back"}
    assert endpoint.revision == 1
    # The reason of one that was rolled back before says nothing of the next.
    account.roll_back_with, account.update_unseen = "", 2
    endpoint = settle(change(endpoint, instance_type=TYPE))
    assert states(endpoint) == {1: "superseded", 2: "rolled_back", 3: "serves"}


@pytest.mark.parametrize("call", ["create_config", "update_endpoint"])
def test_what_is_refused_says_why_and_serves_as_before(
    serving: Endpoint, account: Account, settle: Step, call: str
) -> None:
    account.failures[call] = [errors.AwsError("You have no instances of this type left.")]
    endpoint = settle(change(serving, instance_type=TYPE))
    assert (endpoint.revision, endpoint.failure) == (1, "")
    assert states(endpoint) == {1: "serves", 2: "refused"}
    assert endpoint.refused_change is not None
    assert "no instances of this type" in endpoint.refused_change.failure
    assert set(account.configs) == {"demo-r1"}


@pytest.mark.not_quick
def test_what_is_denied_can_be_withdrawn(
    serving: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    account.failures["update_endpoint"] = [errors.Denied("You may not.")] * 9
    endpoint = settle(change(serving, instance_type=TYPE))
    assert endpoint.serving
    assert endpoint.failure
    endpoint = settle(change(endpoint, instance_type="ml.m5.large"))
    assert (endpoint.failure, set(account.configs)) == ("", {"demo-r1"})
    assert states(endpoint) == {1: "serves", 2: "withdrawn"}
    assert told(endpoint)[0] == "endpoint.update_withdrawn"


@pytest.mark.not_quick
def test_a_change_that_is_withdrawn_while_sagemaker_is_asked_is_undone(
    serving: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    """The user's transaction comes between the lease's renewal and what is written."""
    endpoint = change(serving, instance_type=TYPE)
    while not account.moving:
        before = Endpoint.objects.get(pk=endpoint.pk)
        endpoint = advance(endpoint)
    # As the row is where SageMaker took the call, and nothing of it was written.
    Endpoint.objects.filter(pk=endpoint.pk).update(update_state=before.update_state)
    endpoint = settle(change(before, instance_type="ml.m5.large"))
    assert endpoint.running == endpoint.requested == Running(1, "ml.m5.large")
    assert set(account.configs) == {"demo-r1"}
    assert account.endpoints["demo"].config_name == "demo-r1"
    assert account.changes[-3:] == [
        "~endpoint demo demo-r2", "~endpoint demo demo-r1", "-config demo-r2",
    ]  # fmt: skip


@pytest.mark.not_quick
def test_a_deleted_config_that_somebody_makes_again_is_outside(
    serving: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    endpoint = settle(change(serving, instance_type=TYPE))
    assert "demo-r1" not in account.configs
    account.update_outside("demo", "demo-r1", model="demo-r1", count=3)
    endpoint = advance(endpoint)
    assert (endpoint.outside_config, endpoint.changed_outside) == ("demo-r1", True)
    assert endpoint.running == Running(3, "ml.c5.xlarge")
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    assert settle(endpoint).gone_at is not None
    assert account.empty


@pytest.mark.not_quick
def test_an_outside_config_with_the_next_name_is_not_taken_for_the_portals(
    serving: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    """As a script that updates the endpoint by the portal's own rule of names would do."""
    account.update_outside("demo", "demo-r2", model="demo-r1", count=1)
    endpoint = advance(serving)
    assert endpoint.running == Running(1, "ml.c5.xlarge")
    plan = planning.plan_change(
        endpoint=endpoint, change=SettingsChange(instance_type="ml.m5.large"), actor=None
    )
    assert [call.action for call in plan.calls] == ["CreateEndpointConfig", "UpdateEndpoint"]
    endpoint = settle(change(endpoint, instance_type="ml.m5.large"))
    assert account.endpoints["demo"].config_name == endpoint.config_name == "demo-r3"
    assert account.configs["demo-r3"].instance_type == "ml.m5.large"
    # The way back is the portal's own change.
    events = Event.objects.about("endpoint", endpoint.pk)
    assert events.filter(action="endpoint.updated_outside").count() == 1
    assert endpoint.running == endpoint.requested == Running(1, "ml.m5.large")
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    assert settle(endpoint).gone_at is not None
    assert account.empty


@pytest.mark.not_quick
def test_a_read_that_lags_is_no_roll_back(
    serving: Endpoint, account: Account, settle: Step
) -> None:
    account.update_unseen = 3
    endpoint = settle(change(serving, instance_type=TYPE))
    assert endpoint.revision == 2
    assert account.changes == CREATED + BY_CONFIG


@pytest.mark.not_quick
def test_a_read_that_lags_after_the_update_was_seen_is_no_roll_back(
    serving: Endpoint, account: Account, advance: Step, settle: Step
) -> None:
    """What SageMaker moves to would be deleted, and so what serves in a moment."""
    account.looks = 3
    endpoint = change(serving, instance_type=TYPE)
    while endpoint.sagemaker_status != "Updating":
        endpoint = advance(endpoint)
    account.update_unseen = 2
    for _ in range(2):
        endpoint = advance(endpoint)
        assert endpoint.update_state == Endpoint.Update.ASKED
    assert account.update_unseen == 0
    endpoint = settle(endpoint)
    assert account.changes == CREATED + BY_CONFIG
    assert states(endpoint) == {1: "superseded", 2: "serves"}


@pytest.mark.not_quick
def test_an_update_that_was_lost_is_asked_for_again(
    serving: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    endpoint = change(serving, instance_type=TYPE)
    while endpoint.update_state != "asked":
        endpoint = advance(endpoint)
    account.moving.clear()
    account.endpoints["demo"] = replace(account.endpoints["demo"], status="InService")
    endpoint = advance(advance(endpoint))
    assert account.changes[-1] == "~endpoint demo demo-r2"  # reads may lag: it is waited for
    long_ago = endpoint.created_at - reconciler_run.READ_LAG * 2
    Endpoint.objects.filter(pk=endpoint.pk).update(update_asked_at=long_ago)
    endpoint = settle(endpoint)
    assert account.changes[-2:] == ["~endpoint demo demo-r2", "-config demo-r1"]
    assert account.changes.count("~endpoint demo demo-r2") == 2
    assert states(endpoint) == {1: "superseded", 2: "serves"}


@pytest.mark.not_quick
def test_back_to_an_earlier_revision(serving: Endpoint, account: Account, settle: Step) -> None:
    endpoint = settle(change(serving, instance_type=TYPE, instance_count=2))
    back = services.back_to(endpoint=endpoint, number=1)
    endpoint = services.request_change(endpoint=endpoint, change=back, actor=None)
    endpoint = settle(endpoint)
    assert endpoint.running == Running(1, "ml.m5.large")
    assert endpoint.revisions.get(number=3).back_to == 1
    assert set(account.configs) == {"demo-r3"}
    with pytest.raises(Revision.DoesNotExist):
        services.back_to(endpoint=endpoint, number=9)


def test_what_it_is_already_changes_nothing(serving: Endpoint, account: Account) -> None:
    endpoint = change(serving, instance_type="ml.m5.large", instance_count=1)
    assert endpoint.settled
    assert states(endpoint) == {1: "serves"}


@pytest.mark.not_quick
def test_what_somebody_changed_outside_is_put_back(
    serving: Endpoint, account: Account, advance: Step, settle: Step
) -> None:
    account.update_outside("demo", "two", model="demo-r1", count=3)
    endpoint = settle(change(advance(serving), instance_count=1))
    assert (endpoint.running, endpoint.changed_outside) == (Running(1, "ml.m5.large"), False)
    assert account.endpoints["demo"].config_name == "demo-r2"


@pytest.mark.parametrize(
    ("wanted", "field"),
    [({"instance_type": "ml.none"}, "instance_type"), ({"instance_count": 10**6}, "instance_count"),
     ({"image": "x" * 300}, None)],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_changes_nothing(
    serving: Endpoint, wanted: Any, field: str | None
) -> None:
    with pytest.raises(ValidationError) as refused:
        change(serving, **wanted)
    if field:
        assert list(refused.value.message_dict) == [field]
    assert Endpoint.objects.get(pk=serving.pk).settled
    assert states(serving) == {1: "serves"}


@pytest.mark.not_quick
def test_one_at_a_time_and_only_what_serves(
    endpoint: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    def code(row: Endpoint) -> str:
        with pytest.raises(ValidationError) as refused:
            change(row, instance_type=TYPE)
        return refused.value.code

    assert code(endpoint) == CONFLICT  # it does not serve yet
    endpoint = change(settle(endpoint), instance_type=TYPE)
    while endpoint.update_state != "asked":
        endpoint = advance(endpoint)
    assert code(endpoint) == CONFLICT
    endpoint = settle(endpoint)
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    assert code(endpoint) == CONFLICT


@pytest.mark.not_quick
def test_a_teardown_in_the_middle_leaves_nothing(
    serving: Endpoint, account: Account, settle: Step, advance: Step
) -> None:
    for steps in range(12):
        endpoint = serving if not steps else services.create_endpoint(
            name="demo", instance_type="ml.m5.large", instance_count=1, actor=None
        )  # fmt: skip
        endpoint = change(settle(endpoint), image=OTHER_IMAGE)
        for _ in range(steps):
            endpoint = advance(endpoint)
        services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
        for _ in range(60):
            endpoint = advance(endpoint)
            if endpoint.gone_at:
                break
        assert endpoint.gone_at, f"after {steps} steps"
        assert account.empty, f"after {steps} steps"


@pytest.mark.slow
@pytest.mark.parametrize("after_acting", [False, True])
@pytest.mark.parametrize("outcome", ["", "It does not start."])
@pytest.mark.parametrize("at", range(CALLS + 1))
def test_a_crash_at_any_call_of_a_change(
    serving: Endpoint, account: Account, at: int, after_acting: bool, outcome: str
) -> None:
    account.roll_back_with = outcome
    endpoint = change(serving, image=OTHER_IMAGE)
    account.crash_at, account.crash_after_acting = account.calls + at, after_acting
    endpoint, _crashes = survive(endpoint, "present", planned=at < CALLS)
    left = "demo-r1" if outcome else "demo-r2"
    assert set(account.configs) == set(account.models) == {left}
    assert account.endpoints["demo"].config_name == left
    assert endpoint.running == endpoint.requested
    assert not endpoint.changed_outside
    assert not [one for one in told(endpoint) if "outside" in one]


@pytest.mark.not_quick
@pytest.mark.parametrize("back", [True, False])
def test_where_the_way_back_failed_too_the_page_says_so_and_the_same_values_mend_it(
    serving: Endpoint, account: Account, settle: Step, advance: Step, back: bool
) -> None:
    account.roll_back_with, account.rollback_fails = "No capacity.", True
    endpoint = settle(change(serving, instance_type=TYPE))
    endpoint = advance(endpoint)
    assert endpoint.state == Endpoint.State.UPDATE_ROLLBACK_FAILED
    assert endpoint.serving
    assert endpoint.settled  # nobody waits for it
    assert "instances of both configurations serve" in endpoint.failure
    assert "No capacity." in endpoint.failure
    assert "The same values will do" in endpoint.hint
    assert account.configs.keys() == {"demo-r1", "demo-r2"}, "either may be needed"
    account.roll_back_with = ""
    if back:
        wanted = services.back_to(endpoint=endpoint, number=1)
        endpoint = services.request_change(endpoint=endpoint, change=wanted, actor=None)
    else:
        endpoint = change(endpoint, instance_count=1)
    endpoint = settle(endpoint)
    assert (endpoint.state, endpoint.failure) == (Endpoint.State.IN_SERVICE, "")
    assert account.endpoints["demo"].config_name == "demo-r3"
    assert account.configs.keys() == {"demo-r3"}
    assert endpoint.running == Running(1, "ml.m5.large")
