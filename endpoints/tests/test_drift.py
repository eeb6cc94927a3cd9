"""What somebody changed or deleted outside the portal is accepted, or put back."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from activity.models import Event
from core import errors
from endpoints import drift, reconciler, services
from endpoints.models import Endpoint, Resource, Revision, Running
from endpoints.reconciler import machine
from endpoints.reconciler.run import Run
from endpoints.services import ChangeNotAllowed, SettingsChange
from endpoints.tests.account import Account, Crash
from endpoints.tests.conftest import CREATED
from endpoints.tests.test_crashes import survive
from endpoints.tests.test_endpoints_api import DEMO, Api

Step = Callable[[Endpoint], Endpoint]
#: Outside calls of a decision, by whether it is to accept.
CALLS = {False: 21, True: 10}


def _told(endpoint: Endpoint) -> list[str]:
    return [event.action for event in Event.objects.about("endpoint", endpoint.pk)]


@pytest.fixture
def changed(serving: Endpoint, account: Account, advance: Step) -> Endpoint:
    """One that somebody moved to a config of their own, with another type and number."""
    account.update_outside("demo", "two", model="demo-r1", count=2)
    return advance(serving)


@pytest.fixture
def deleted(serving: Endpoint, account: Account, advance: Step) -> Endpoint:
    """One that somebody deleted outside, which was seen."""
    del account.endpoints["demo"]
    return advance(serving)


# --- changed


@pytest.mark.not_quick
def test_what_aws_has_is_accepted_as_a_revision_with_who_and_why(
    changed: Endpoint, account: Account, settle: Step, user_in: Any
) -> None:
    user = user_in("operator")
    drift.accept(endpoint=changed, actor=user, reason="load test")
    endpoint = settle(changed)
    assert (endpoint.requested, endpoint.running) == (Running(2, "ml.c5.xlarge"),) * 2
    assert (endpoint.changed_outside, endpoint.config_name) == (False, "two")
    new, old = endpoint.revisions.all()
    assert (new.accepted, new.reason, new.created_by) == (True, "load test", user)
    assert (new.state, old.state) == (Revision.State.SERVING, Revision.State.REPLACED)
    # No call but the deletion of what it used before.
    assert account.changes == [*CREATED, "-config demo-r1"]
    (event,) = [e for e in Event.objects.about("endpoint", endpoint.pk) if "accepted" in e.action]
    assert "2 × ml.c5.xlarge" in event.sentence
    assert "load test" in event.sentence
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    assert settle(endpoint).gone_at is not None
    assert account.empty


@pytest.mark.not_quick
def test_an_accepted_endpoint_is_changed_on_and_rolled_back(
    changed: Endpoint, account: Account, settle: Step
) -> None:
    drift.accept(endpoint=changed, actor=None)
    endpoint = settle(changed)
    services.request_change(
        endpoint=endpoint, change=SettingsChange(instance_type="ml.m5.large"), actor=None
    )
    endpoint = settle(endpoint)
    assert (endpoint.running, set(account.configs)) == (Running(2, "ml.m5.large"), {"demo-r3"})
    back = services.back_to(endpoint=endpoint, number=2)
    services.request_change(endpoint=endpoint, change=back, actor=None)
    endpoint = settle(endpoint)
    assert endpoint.running == Running(2, "ml.c5.xlarge")
    assert not endpoint.changed_outside


def test_a_number_alone_is_accepted_without_a_call(
    serving: Endpoint, account: Account, advance: Step, settle: Step
) -> None:
    account.counts["demo"] = 3
    endpoint = advance(serving)
    assert endpoint.changed_outside
    drift.accept(endpoint=endpoint, actor=None)
    endpoint = settle(endpoint)
    assert (endpoint.instance_count, endpoint.changed_outside) == (3, False)
    assert account.changes == CREATED


@pytest.mark.not_quick
@pytest.mark.parametrize("how", ["count", "config"])
def test_it_is_put_back_by_a_change_to_what_was_wanted(
    serving: Endpoint, account: Account, advance: Step, settle: Step, how: str
) -> None:
    if how == "count":
        account.counts["demo"] = 3
    else:
        account.update_outside("demo", "two", model="demo-r1", count=2)
    drift.put_back(endpoint=advance(serving), actor=None, reason="a mistake")
    endpoint = settle(serving)
    assert endpoint.running == endpoint.requested == Running(1, "ml.m5.large")
    assert not endpoint.changed_outside
    made = endpoint.revisions.first()
    assert made is not None
    assert made.reason == "a mistake"
    with pytest.raises(ValidationError, match="as it was requested here"):
        drift.put_back(endpoint=endpoint, actor=None)


@pytest.mark.slow
@pytest.mark.parametrize("after_acting", [False, True])
@pytest.mark.parametrize(
    ("accepted", "at"), [(one, at) for one in CALLS for at in range(CALLS[one] + 1)]
)
def test_a_crash_at_any_call_ends_as_it_was_decided(
    changed: Endpoint, account: Account, at: int, after_acting: bool, accepted: bool
) -> None:
    account.looks = 0
    decide = drift.accept if accepted else drift.put_back
    decide(endpoint=changed, actor=None)
    account.crash_at, account.crash_after_acting = account.calls + at, after_acting
    endpoint, _ = survive(changed, "present", planned=at < CALLS[accepted])
    assert endpoint.serving
    assert not endpoint.changed_outside
    assert endpoint.running.instance_type == ("ml.c5.xlarge" if accepted else "ml.m5.large")
    account.crash_at = None
    services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
    survive(endpoint, "absent")
    assert account.empty


@pytest.mark.parametrize(
    ("part", "changes", "why"),
    [
        ("models", {"multi_model": False}, "single model"),
        ("models", {"data_url": "s3://elsewhere/"}, "another store"),
        ("configs", {"extras": ("DataCaptureConfig",)}, "DataCaptureConfig"),
    ],
)
def test_what_the_portal_could_not_have_made_is_not_accepted(
    changed: Endpoint, account: Account, part: str, changes: Mapping[str, Any], why: str
) -> None:
    name = "two" if part == "configs" else "demo-r1"
    things = getattr(account, part)
    things[name] = replace(things[name], **changes)
    with pytest.raises(ValidationError, match=why):
        drift.accept(endpoint=changed, actor=None)
    assert changed.revisions.count() == 1


def test_another_image_is_for_admins(changed: Endpoint, account: Account, user_in: Any) -> None:
    theirs = replace(account.models["demo-r1"], name="theirs", image="other:1")
    account.models["theirs"] = theirs
    account.configs["two"] = replace(account.configs["two"], model_name="theirs")
    with pytest.raises(ChangeNotAllowed):
        drift.accept(endpoint=changed, actor=user_in("operator"))
    drift.accept(endpoint=changed, actor=user_in("admin"))
    changed.refresh_from_db()
    assert (changed.image, changed.model_name) == ("other:1", "theirs")


def test_a_look_that_began_before_does_not_take_it_back(
    changed: Endpoint, account: Account, settle: Step
) -> None:
    Endpoint.objects.update(check_after=changed.created_at)
    claimed = Endpoint.objects.claim(changed.pk, lease=timedelta(seconds=60))
    assert claimed is not None
    run = Run(claimed)
    machine._create_missing(run)
    drift.accept(endpoint=changed, actor=None)
    machine.writing.write(run)
    endpoint = settle(changed)
    assert (endpoint.config_name, endpoint.changed_outside) == ("two", False)
    assert set(account.configs) == {"two"}


# --- deleted


def test_what_was_deleted_outside_is_told_and_waits_for_a_person(
    deleted: Endpoint, account: Account, advance: Step
) -> None:
    assert (deleted.state, deleted.settled) == (Endpoint.State.DELETED_OUTSIDE, True)
    assert deleted.deleted_outside_at is not None
    assert not deleted.serving
    advance(deleted)
    assert _told(deleted).count("endpoint.deleted_outside") == 1
    assert account.changes == CREATED


def test_one_that_a_read_missed_goes_on(serving: Endpoint, account: Account, advance: Step) -> None:
    account.failures["describe_endpoint"] = [errors.NotFound("not seen")]
    assert advance(serving).deleted_outside
    endpoint = advance(serving)
    assert (endpoint.serving, endpoint.failure, endpoint.deleted_outside_at) == (True, "", None)


def test_its_end_is_accepted_and_what_it_used_goes(
    deleted: Endpoint, account: Account, settle: Step, user_in: Any
) -> None:
    drift.accept(endpoint=deleted, actor=user_in("admin"), reason="costs")
    endpoint = settle(deleted)
    assert endpoint.gone_at is not None
    assert endpoint.deleted_outside_at is not None
    assert account.empty
    assert account.changes == [*CREATED, "-config demo-r1", "-model demo-r1"]
    assert "endpoint.deletion_accepted_why" in _told(endpoint)


def test_who_may_tear_down_none_accepts_the_end_of_their_own_alone(
    deleted: Endpoint, user_in: Any
) -> None:
    operator = user_in("operator")
    with pytest.raises(ChangeNotAllowed):
        drift.accept(endpoint=deleted, actor=operator)
    Endpoint.objects.filter(pk=deleted.pk).update(created_by=operator)
    drift.accept(endpoint=deleted, actor=operator)


def test_it_is_made_again_under_its_name(deleted: Endpoint, account: Account, settle: Step) -> None:
    account.quotas = {"ml.m5.large": 0}
    (warning,) = drift.put_back(endpoint=deleted, actor=None).quota_notes
    assert "With these there would be 1, which SageMaker will refuse" in warning
    endpoint = settle(deleted)
    assert (endpoint.serving, endpoint.made_again) == (True, False)
    assert (endpoint.deleted_outside_at, endpoint.changed_outside) == (None, False)
    assert account.changes == [*CREATED, "+endpoint demo"]


def test_it_can_be_put_back_while_it_is_being_deleted(
    serving: Endpoint, account: Account, advance: Step, settle: Step
) -> None:
    account._delete_endpoint("demo")
    endpoint = advance(serving)
    assert endpoint.state == Endpoint.State.DELETING
    drift.put_back(endpoint=endpoint, actor=None)
    endpoint = settle(endpoint)
    assert endpoint.serving
    assert account.changes[-1] == "+endpoint demo"


@pytest.mark.not_quick
@pytest.mark.parametrize("after_acting", [False, True])
@pytest.mark.parametrize("at", range(8))
@pytest.mark.parametrize("ends", [False, True])
def test_a_crash_while_it_is_made_again_makes_one_and_leaves_none(
    deleted: Endpoint, account: Account, at: int, after_acting: bool, ends: bool
) -> None:
    account.looks = 0
    drift.put_back(endpoint=deleted, actor=None)
    account.crash_at, account.crash_after_acting = account.calls + at, after_acting
    if ends:
        for _ in range(5):
            try:
                Endpoint.objects.update(check_after=deleted.created_at, leased_until=None)
                reconciler.advance(deleted.pk)
            except Crash:
                break
        account.crash_at = None
        Endpoint.objects.update(leased_until=None)
        endpoint = Endpoint.objects.get(pk=deleted.pk)
        services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None)
        survive(endpoint, "absent")
        assert account.empty
        return
    endpoint, _ = survive(deleted, "present")
    assert endpoint.serving
    assert account.changes.count("+endpoint demo") == 2


# --- what an outside change brought in


@pytest.mark.not_quick
@pytest.mark.parametrize("tagged", [False, True])
def test_a_teardown_removes_what_bears_the_endpoints_tags(
    serving: Endpoint, account: Account, advance: Step, settle: Step, tagged: bool
) -> None:
    mine = account.models["demo-r1"]
    account.models["theirs"] = replace(mine, name="theirs", arn=account._arn("model", "theirs"))
    account.update_outside("demo", "two", model="theirs", count=1)
    if tagged:
        for arn in (account.models["theirs"].arn, account.configs["two"].arn):
            account.tags[arn] = {"mme-portal:endpoint": "demo"}
    advance(serving)
    services.request_teardown(endpoint=serving, typed_name="demo", actor=None)
    endpoint = settle(serving)
    assert endpoint.gone_at is not None
    kept = {f"{row.kind} {row.name}" for row in endpoint.kept}
    if tagged:
        assert account.empty
        assert not kept
        return
    assert (set(account.configs), set(account.models)) == ({"two"}, {"theirs"})
    assert kept == {"config two", "model theirs"}
    assert {"endpoint.config.kept", "endpoint.model.kept"} <= set(_told(endpoint))


def test_the_teardown_of_one_that_was_deleted_outside(
    deleted: Endpoint, account: Account, settle: Step
) -> None:
    services.request_teardown(endpoint=deleted, typed_name="demo", actor=None)
    assert settle(deleted).gone_at is not None
    assert account.empty


# --- pages and API


@pytest.mark.not_quick
def test_the_pages_say_it_and_have_both_buttons(
    changed: Endpoint, client_of: Any, settle: Step
) -> None:
    viewer, operator = client_of("viewer"), client_of("operator")
    address = changed.get_absolute_url()
    assert "put-back" not in viewer.get(address).content.decode()
    page = operator.get(address).content.decode()
    assert f"{address}accept/" in page
    assert f"{address}put-back/" in page
    assert viewer.post(f"{address}accept/").status_code == 403
    answer = operator.post(f"{address}accept/", {"reason": "load test"}, follow=True)
    assert "is wanted now as it runs" in answer.content.decode()
    endpoint = settle(changed)
    assert endpoint.requested == Running(2, "ml.c5.xlarge")
    assert "accepted from outside" in operator.get(f"{address}revisions/").content.decode()
    answer = operator.post(f"{address}put-back/", follow=True)
    assert "as it was requested here" in answer.content.decode()


@pytest.mark.not_quick
def test_the_page_of_a_deleted_one(deleted: Endpoint, client_of: Any, settle: Step) -> None:
    operator = client_of("operator")
    address = deleted.get_absolute_url()
    page = operator.get(address).content.decode()
    assert "Deleted outside the portal" in page
    assert f"{address}put-back/" in page
    answer = operator.post(f"{address}accept/", follow=True).content.decode()
    assert "Only admins" in answer
    operator.post(f"{address}put-back/")
    assert settle(deleted).serving


@pytest.mark.not_quick
def test_the_page_of_one_whose_end_was_accepted_says_so(
    deleted: Endpoint, client_of: Any, settle: Step
) -> None:
    admin = client_of("admin")
    admin.post(f"{deleted.get_absolute_url()}accept/")
    settle(deleted)
    page = admin.get(deleted.get_absolute_url()).content.decode()
    assert "It was deleted outside the portal" in page


@pytest.mark.not_quick
def test_the_api_accepts_and_puts_back(changed: Endpoint, user_in: Any, settle: Step) -> None:
    api = Api(user_in("operator"))
    assert api.ask("GET", DEMO)[1]["changed_outside"]
    status, shown = api.ask("POST", f"{DEMO}/accept", {"reason": "load test"})
    assert (status, shown["instance_count"]) == (202, 2), shown
    settle(changed)
    found = api.ask("GET", f"{DEMO}/revisions")[1]["items"][0]
    assert (found["accepted_outside"], found["reason"]) == (True, "load test")
    assert api.ask("POST", f"{DEMO}/restore", {})[0] == 409


@pytest.mark.not_quick
def test_the_api_of_a_deleted_one(deleted: Endpoint, user_in: Any, settle: Step) -> None:
    api = Api(user_in("operator"))
    found = api.ask("GET", DEMO)[1]
    assert (found["state"], found["settled"]) == ("deleted_outside", True)
    assert (found["failure_code"], found["hint_code"]) == (
        "endpoint.deleted_outside", "endpoint.accept_or_put_back",
    )  # fmt: skip
    assert found["deleted_outside_at"]
    assert api.ask("POST", f"{DEMO}/accept", {})[0] == 403
    seen = {"If-Match": '"another"'}
    assert api.ask("POST", f"{DEMO}/restore", {}, **seen)[0] == 412
    assert api.ask("POST", f"{DEMO}/restore", {})[0] == 202
    assert settle(deleted).serving


def test_an_outside_resource_is_a_row_of_the_endpoint(changed: Endpoint) -> None:
    row = changed.resources.get(kind=Resource.Kind.CONFIG, name="two")
    assert (row.revision, row.instance_count) == (None, 2)
