"""What no endpoint owns: found by a look at the account, told of once, deleted or kept."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from activity.models import Event
from core import clock, errors
from endpoints import adopting, orphans, reconciler, sagemaker, services
from endpoints.models import Endpoint, Orphan, OrphanLook
from endpoints.tests.account import Account, Crash

pytestmark = pytest.mark.django_db
Step = Callable[[Endpoint], Endpoint]
OTHER_PORTAL = {sagemaker.TAG: "theirs", sagemaker.PORTAL_TAG: "https://another.example"}


def _found(*, others: bool = False) -> set[str]:
    rows = orphans.shown(others=others).there()
    return {f"{row.kind} {row.name}" for row in rows}


def _run(rounds: int = 20) -> None:
    """Take the steps of all that is to be deleted, due or not."""
    for _ in range(rounds):
        for pk in Orphan.objects.unfinished().values_list("pk", flat=True):
            past = clock.now() - timedelta(seconds=1)
            Orphan.objects.filter(pk=pk).update(check_after=past, leased_until=None)
            reconciler.advance_orphan(pk)


def _delete(*rows: Orphan) -> list[Orphan]:
    return orphans.request_deletion(orphans=rows, actor=None)


def _actions() -> list[str]:
    rows = Event.objects.filter(subject_kind="account").order_by("pk")
    return list(rows.values_list("action", flat=True))


def test_what_the_portal_made_and_no_row_knows_is_found_with_what_it_costs(
    account: Account, look: Any
) -> None:
    account.left_behind()
    row = look()
    assert _found() == {"model demo-r1", "config demo-r1", "endpoint demo"}
    assert (row.said, row.looked_at is not None) == ([], True)
    (endpoint,) = orphans.with_costs(list(Orphan.objects.filter(kind="endpoint")))
    assert (str(endpoint.size), endpoint.uses) == ("2 × ml.m5.large", "demo-r1")
    assert endpoint.cost is not None
    assert orphans.total_of(Orphan.objects.all()).cost == endpoint.cost


def test_one_that_is_being_created_has_the_size_that_it_will_have_and_costs_nothing_yet(
    account: Account, look: Any
) -> None:
    account.left_behind()
    account.endpoints["demo"] = replace(account.endpoints["demo"], status="Creating")
    account.counts["demo"] = 0
    look()
    (endpoint,) = orphans.with_costs(list(Orphan.objects.filter(kind="endpoint")))
    assert (str(endpoint.size), endpoint.cost) == ("2 × ml.m5.large", None)
    assert orphans.total_of(Orphan.objects.all()).unknown == 0


def test_what_an_endpoint_of_the_portal_owns_is_no_orphan(
    serving: Endpoint, account: Account, look: Any
) -> None:
    look()
    assert _found(others=True) == set()


def test_what_is_being_made_is_no_orphan(endpoint: Endpoint, account: Account, look: Any) -> None:
    """Its rows come before its calls: whatever a list shows is known by a row read afterwards."""
    listed = account._listed

    def and_it_is_made_meanwhile(kind: str) -> Any:
        services.create_endpoint(name=f"new-{kind}", actor=None)
        account.left_behind(f"new-{kind}")
        return listed(kind)

    account._listed = and_it_is_made_meanwhile  # type: ignore[method-assign]
    look()
    assert _found(others=True) == set()


@pytest.mark.not_quick
def test_what_a_teardown_kept_is_an_orphan_when_the_endpoint_is_gone(
    serving: Endpoint, account: Account, settle: Step, look: Any
) -> None:
    theirs = replace(account.endpoints["demo"], name="theirs", arn="theirs")
    account.endpoints["theirs"] = theirs
    services.request_teardown(endpoint=serving, typed_name="demo", actor=None)
    assert settle(serving).gone_at is not None
    look()
    assert _found() == {"model demo-r1", "config demo-r1"}
    _delete(*Orphan.objects.portals())
    _run()
    assert set(account.configs) == set(account.models) == {"demo-r1"}
    kept = Orphan.objects.portals()
    assert {str(row.failure_said) for row in kept} == {"The endpoint theirs uses it."}
    del account.endpoints["theirs"]
    _delete(*kept)
    _run()
    assert account.empty


def test_what_others_made_is_shown_on_request_alone(account: Account, look: Any) -> None:
    account.left_behind("theirs", tags={})
    account.left_behind("of-another-portal", tags=OTHER_PORTAL)
    look()
    assert _found() == set()
    assert len(_found(others=True)) == 6
    assert not Event.objects.filter(action="orphans.found").exists()


@pytest.mark.not_quick
def test_new_ones_are_told_of_once(account: Account, look: Any) -> None:
    account.left_behind()
    look()
    look()
    (event,) = Event.objects.filter(action="orphans.found")
    assert "(3): endpoint demo, config demo-r1, model demo-r1. It costs" in event.sentence
    account.left_behind("second")
    look()
    assert _actions().count("orphans.found") == 2


def test_what_was_made_a_moment_ago_is_neither_told_of_nor_deleted(
    account: Account, look: Any
) -> None:
    account.left_behind()
    now = clock.now()
    account.models["demo-r1"] = replace(account.models["demo-r1"], created_at=now)
    look()
    (event,) = Event.objects.filter(action="orphans.found")
    assert "(2)" in event.sentence
    with pytest.raises(ValidationError, match="less than ten minutes ago"):
        _delete(*Orphan.objects.all())
    assert not Orphan.objects.unfinished().exists()


@pytest.mark.not_quick
def test_all_is_deleted_the_endpoint_first(account: Account, look: Any) -> None:
    account.left_behind()
    look()
    _delete(*Orphan.objects.all())
    _run()
    assert account.empty
    assert account.changes[0] == "-endpoint demo"
    assert sorted(account.changes[1:]) == ["-config demo-r1", "-model demo-r1"]
    assert set(Orphan.objects.values_list("state", flat=True)) == {Orphan.State.GONE}
    assert _actions().count("orphan.gone") == 3
    _delete(*Orphan.objects.all())  # once more changes nothing
    assert _actions().count("orphan.deletion_requested") == 3
    look()
    assert _found() == set()


@pytest.mark.parametrize("end", [Orphan.State.GONE, Orphan.State.ADOPTED])
def test_what_ends_while_the_account_is_looked_at_is_not_found_again(
    account: Account, look: Any, monkeypatch: pytest.MonkeyPatch, end: Orphan.State
) -> None:
    """It was listed before, and would be told of as new."""
    account.left_behind()
    look()
    real, looked = orphans._describe, []

    def overtaken(row: Orphan) -> bool:
        if not looked:
            looked.append(row)
            if end == Orphan.State.GONE:
                _delete(*Orphan.objects.all())
                _run()
            else:
                adopting.adopt(orphan=Orphan.objects.get(kind="endpoint"), actor=None)
        return real(row)

    monkeypatch.setattr(orphans, "_describe", overtaken)
    look()
    assert looked
    assert set(Orphan.objects.values_list("state", flat=True)) == {end}
    assert _actions().count("orphans.found") == 1


@pytest.mark.slow
@pytest.mark.parametrize("after_acting", [False, True])
@pytest.mark.parametrize("at", range(26))
def test_a_crash_at_any_call_leaves_nothing(
    account: Account, look: Any, at: int, after_acting: bool
) -> None:
    account.left_behind()
    look()
    _delete(*Orphan.objects.all())
    account.looks = 0
    account.crash_at, account.crash_after_acting = account.calls + at, after_acting
    for _ in range(2):
        try:
            _run()
        except Crash:
            account.crash_at = None
    assert account.empty
    assert len(account.changes) == 3


def test_a_config_that_an_endpoint_is_moved_to_stays(account: Account, look: Any) -> None:
    account.left_behind()
    account.left_behind("theirs", tags={})
    account.endpoints["theirs"] = replace(
        account.endpoints["theirs"], status="Updating", pending_config="demo-r1"
    )
    look()
    _delete(*Orphan.objects.portals().filter(kind="config"))
    _delete(*Orphan.objects.portals().filter(kind="model"))
    _run()
    assert {"demo-r1"} < set(account.configs)
    reasons = {str(row.failure_said) for row in Orphan.objects.portals().exclude(failure="")}
    assert reasons <= {"The endpoint theirs uses it.", "The endpoint demo uses it."}


@pytest.mark.not_quick
def test_another_one_of_the_same_name_is_not_deleted(account: Account, look: Any) -> None:
    account.left_behind()
    look()
    _delete(*Orphan.objects.all())
    account.models["demo-r1"] = replace(account.models["demo-r1"], created_at=clock.now())
    _run()
    assert list(account.models) == ["demo-r1"]
    assert "somebody made it anew" in str(Orphan.objects.get(kind="model").failure_said)
    look()
    assert Orphan.objects.get(kind="model").failure == ""


def test_what_a_row_needs_by_now_is_not_deleted(account: Account, look: Any, settle: Step) -> None:
    account.left_behind()
    del account.endpoints["demo"]
    look()
    _delete(*Orphan.objects.all())
    services.create_endpoint(name="demo", instance_type="ml.m5.large", actor=None)
    _run()
    assert set(account.configs) == set(account.models) == {"demo-r1"}
    reasons = {str(row.failure_said) for row in Orphan.objects.all()}
    assert reasons == {"An endpoint of the portal owns it by now."}


def test_what_aws_denies_is_said_kept_and_tried_again(account: Account, look: Any) -> None:
    account.left_behind()
    look()
    _delete(Orphan.objects.get(kind="endpoint"))
    account.failures["delete_endpoint"] = [errors.Denied("not authorized")] * 2
    _run(2)
    row = Orphan.objects.get(kind="endpoint")
    assert (row.under_way, str(row.failure_said)) == (True, "not authorized")
    assert row.check_after > clock.now() + timedelta(minutes=4)
    assert _actions().count("orphan.refused") == 1
    _run()
    assert "demo" not in account.endpoints


def test_one_kind_that_aws_denies_is_said_beside_the_others(account: Account, look: Any) -> None:
    account.left_behind()
    account.failures["listed"] = [errors.Denied("not authorized: ListModels")]
    row = look()
    assert _found() == {"config demo-r1", "endpoint demo"}
    assert [str(one) for one in row.said] == ["not authorized: ListModels"]
    assert look().said == []


def test_without_the_right_to_read_tags_nothing_is_called_the_portals(
    account: Account, look: Any
) -> None:
    account.left_behind()
    account.failures["tags_of"] = [errors.Denied("not authorized: ListTags")] * 3
    row = look()
    assert _found() == set()
    assert len(_found(others=True)) == 3
    assert "not authorized: ListTags" in str(row.said[0])
    look()
    assert len(_found()) == 3


def test_one_that_aws_will_never_describe_keeps_no_others_waiting(
    account: Account, look: Any
) -> None:
    account.left_behind()
    account.failures["describe_endpoint"] = [errors.Invalid("the name is not valid")]
    row = look()
    assert _found() == {"model demo-r1", "config demo-r1", "endpoint demo"}
    assert ([str(one) for one in row.said], row.attempts) == (["the name is not valid"], 0)
    assert row.looked_at is not None


def test_a_throttled_look_goes_on_where_it_was(account: Account, look: Any) -> None:
    account.left_behind()
    account.failures["tags_of"] = [errors.Throttled("Rate exceeded.")]
    row = look()
    assert (row.attempts, row.looked_at) == (1, None)
    assert clock.now() < row.check_after < clock.now() + timedelta(minutes=1)
    assert not orphans.looking(row)
    assert look().attempts == 0
    assert len(_found()) == 3


def test_what_is_gone_by_itself_is_forgotten(account: Account, look: Any) -> None:
    account.left_behind()
    look()
    account.endpoints.clear()
    look()
    assert _found() == {"model demo-r1", "config demo-r1"}


def test_a_look_is_queued_once_a_minute(
    account: Account, django_capture_on_commit_callbacks: Any
) -> None:
    row = orphans.the_look()
    assert not orphans.looking(row)
    assert orphans.looking(orphans.look_if_old())
    orphans.look()
    assert not orphans.looking(orphans.look_if_old())
    old = clock.now() - timedelta(minutes=2)
    OrphanLook.objects.update(looked_at=old)
    assert orphans.looking(orphans.look_if_old())


def test_the_sweep_finds_the_night_and_what_is_to_be_deleted(account: Account, look: Any) -> None:
    account.left_behind()
    look()
    _delete(*Orphan.objects.all())
    assert orphans.sweep() == 3
    night = orphans.the_look().check_after
    assert timedelta(0) < night - clock.now() <= timedelta(days=1)


def test_tags_name_the_portal_where_it_has_an_address(
    settings: Any, account: Account, look: Any, endpoint: Endpoint, advance: Step
) -> None:
    settings.PORTAL_URL = "https://mme.example.com"
    advance(endpoint)
    tags = account.tags[account.models["demo-r1"].arn]
    assert tags == {sagemaker.TAG: "demo", sagemaker.PORTAL_TAG: "https://mme.example.com"}


# --- pages


def _text(client: Any, address: str) -> str:
    return str(client.get(address).content.decode())


@pytest.mark.not_quick
def test_the_page_lists_them_and_takes_the_typed_names(
    account: Account, look: Any, client_of: Any
) -> None:
    account.left_behind()
    look()
    client = client_of("admin")
    page = _text(client, "/endpoints/orphans/")
    assert "demo-r1" in page
    assert "2 × ml.m5.large" in page
    pks = list(Orphan.objects.values_list("pk", flat=True))
    address = "/endpoints/orphans/delete/"
    assert "Type these names" in client.post(address, {"pk": pks}).content.decode()
    wrong = client.post(address, {"pk": pks, "typed_names": "demo"})
    assert (wrong.status_code, Orphan.objects.unfinished().count()) == (400, 0)
    answer = client.post(address, {"pk": pks, "typed_names": "demo demo-r1"}, follow=True)
    assert "3 resources are being deleted." in answer.content.decode()
    assert Orphan.objects.unfinished().count() == 3
    assert 'hx-trigger="every 2s"' in _text(client, "/endpoints/orphans/")


@pytest.mark.not_quick
def test_the_page_leaves_out_what_was_made_a_moment_ago_before_names_are_typed(
    account: Account, look: Any, client_of: Any
) -> None:
    account.left_behind()
    now = clock.now()
    account.models["demo-r1"] = replace(account.models["demo-r1"], created_at=now)
    look()
    client, address = client_of("admin"), "/endpoints/orphans/delete/"
    new = Orphan.objects.get(kind="model")
    pks = list(Orphan.objects.values_list("pk", flat=True))
    page = client.post(address, {"pk": pks}).content.decode()
    assert "1 of those chosen is not in this list: it was made less than ten minutes ago" in page
    client.post(address, {"pk": pks, "typed_names": "demo demo-r1"})
    assert set(Orphan.objects.unfinished().values_list("kind", flat=True)) == {"endpoint", "config"}
    alone = client.post(address, {"pk": [new.pk]}, follow=True).content.decode()
    assert "was made less than ten minutes ago" in alone


@pytest.mark.not_quick
def test_the_page_says_what_to_do_where_there_are_none(
    account: Account, look: Any, client_of: Any
) -> None:
    account.left_behind("theirs", tags={})
    look()
    client = client_of("viewer")
    page = _text(client, "/endpoints/orphans/")
    assert "No orphans are known" in page
    assert "Show 3 that others made" in page
    assert "1 more endpoint in this AWS account" in _text(client, "/endpoints/")
    others = _text(client, "/endpoints/orphans/?made=others")
    assert "theirs-r1" in others
    assert 'name="pk"' not in others


@pytest.mark.not_quick
def test_home_says_how_many_are_new(account: Account, look: Any, user_in: Any, client: Any) -> None:
    account.left_behind()
    look()
    admin: User = user_in("admin")
    client.force_login(admin)
    assert "3 resources in the AWS account belong to no endpoint" in _text(client, "/")
