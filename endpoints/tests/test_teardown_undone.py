"""A teardown can be undone until its first deleting call: one UPDATE in the database decides."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from activity.models import Event
from core import clock
from endpoints import alarms, idling, pausing, reconciler, services
from endpoints.alarm_presets import AlarmKind
from endpoints.models import Endpoint, EndpointAlarm
from endpoints.reconciler.run import Run
from endpoints.tests.account import Account
from endpoints.tests.conftest import CREATED, DELETED
from endpoints.tests.test_endpoints_api import DEMO, Api

Step = Callable[[Endpoint], Endpoint]


@pytest.fixture(autouse=True)
def _a_minute(settings: Any) -> None:
    settings.TEARDOWN_UNDO_S = 60


def _tear_down(endpoint: Endpoint, actor: Any = None, **keeps: bool) -> Endpoint:
    return services.request_teardown(endpoint=endpoint, typed_name="demo", actor=actor, **keeps)


def _undo(endpoint: Endpoint) -> Endpoint:
    return services.undo_teardown(endpoint=endpoint, actor=None)


def _over(endpoint: Endpoint) -> None:
    """The time in which it can be undone by a click is over."""
    Endpoint.objects.filter(pk=endpoint.pk).update(teardown_at=clock.now())


@pytest.mark.not_quick
def test_nothing_is_deleted_before_its_time_and_then_all(
    serving: Endpoint, account: Account, advance: Step, settle: Step, user_in: Any
) -> None:
    row = _tear_down(serving, user_in("admin"))
    assert row.teardown_at is not None
    assert row.check_after == row.teardown_at
    for _ in range(3):  # also where somebody has it looked at now
        row = advance(row)
    assert (account.changes, row.may_be_undone) == (CREATED, True)
    assert "can be undone" in row.hint
    _over(row)
    row = advance(row)
    assert (account.changes, row.may_be_undone) == ([*CREATED, DELETED[0]], False)
    assert settle(row).gone_at is not None
    assert account.changes == CREATED + DELETED


def test_what_the_portal_does_by_itself_begins_at_once(serving: Endpoint, advance: Step) -> None:
    assert not advance(_tear_down(serving)).may_be_undone


@pytest.mark.not_quick
def test_undone_it_serves_on(
    serving: Endpoint, account: Account, advance: Step, settle: Step, user_in: Any
) -> None:
    row = advance(_tear_down(serving, user_in("admin"), keep_config=True))
    row = _undo(row)
    assert (row.wanted, row.keep_config, row.keep_model) == ("present", False, False)
    _undo(row)  # asking twice is asking once
    row = settle(row)
    assert (row.serving, row.hint, row.failure) == (True, "", "")
    assert account.changes == CREATED
    assert Event.objects.filter(action="endpoint.teardown_undone").count() == 1
    # It can be torn down again.
    assert settle(_tear_down(row)).gone_at is not None
    assert account.empty


def test_one_that_has_begun_is_not_undone(
    serving: Endpoint, account: Account, advance: Step, settle: Step
) -> None:
    row = advance(_tear_down(serving))
    with pytest.raises(ValidationError, match="has begun"):
        _undo(row)
    row = settle(row)
    with pytest.raises(ValidationError, match="has begun"):
        _undo(row)
    assert account.empty


@pytest.mark.not_quick
def test_one_that_waits_for_sagemaker_is_undone(
    endpoint: Endpoint, account: Account, advance: Step, settle: Step
) -> None:
    account.looks = 4
    for _ in range(4):
        endpoint = advance(endpoint)
    row = advance(_tear_down(endpoint))
    assert row.state == Endpoint.State.CREATING
    assert settle(_undo(row)).serving
    assert account.changes == CREATED


@pytest.mark.parametrize("before_the_lease", [True, False])
def test_of_an_undo_and_a_first_deletion_one_goes_first(
    serving: Endpoint,
    account: Account,
    settle: Step,
    monkeypatch: pytest.MonkeyPatch,
    before_the_lease: bool,
) -> None:
    """The worker has read the row, and somebody clicks just before or just after its UPDATE."""
    real, refused = Run.hold, []

    def hold(run: Run) -> None:
        if before_the_lease:
            _undo(run.endpoint)
        real(run)
        if not before_the_lease:
            with pytest.raises(ValidationError, match="has begun"):
                _undo(run.endpoint)
            refused.append(True)

    row = _tear_down(serving)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "hold", hold)
        reconciler.advance(row.pk)
    row = settle(Endpoint.objects.get())
    if before_the_lease:
        assert (row.serving, account.changes) == (True, CREATED)
    else:
        assert refused
        assert row.gone_at is not None
        assert account.empty


def test_an_undo_while_nothing_is_left_to_delete_is_kept(
    serving: Endpoint, account: Account, settle: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No deleting call is made of an endpoint whose resources are all others' by now."""
    account.endpoints.clear()
    settle(serving)
    row = _tear_down(Endpoint.objects.get(), keep_config=True)
    real = Run.leave

    def leave(run: Run, kind: Any) -> None:
        if kind.kind == "model":
            _undo(run.endpoint)
        real(run, kind)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "leave", leave)
        Endpoint.objects.update(check_after=clock.now())
        reconciler.advance(row.pk)
    row = Endpoint.objects.get()
    assert (row.gone_at, row.wanted) == (None, "present")


def test_an_end_that_is_over_does_not_come_again(serving: Endpoint, advance: Step) -> None:
    past = clock.now() - timedelta(minutes=1)
    told = Endpoint.EndTold.HOUR
    Endpoint.objects.update(expires_at=past, end_told=told, idle_hours=5, idle_told=told)
    row = _undo(_tear_down(serving))
    assert (row.expires_at, row.end_told, row.idle_told) == (None, "", "")
    idling.sweep()
    row = Endpoint.objects.get()
    assert row.idle_ends_at is not None
    assert row.idle_ends_at > clock.now() + timedelta(hours=4)


@pytest.mark.not_quick
def test_the_page_offers_it(serving: Endpoint, client_of: Callable[[str], Client]) -> None:
    admin, operator = client_of("admin"), client_of("operator")
    address = serving.get_absolute_url()
    answer = admin.post(f"{address}teardown/", {"typed_name": "demo"}, follow=True)
    page = answer.content.decode()
    assert "begins in a few seconds" in page
    assert page.count(f'action="{address}teardown/undo/"') == 2  # the message, and the head
    assert f"{address}teardown/undo/" not in operator.get(address).content.decode()
    assert operator.post(f"{address}teardown/undo/").status_code == 403
    answer = admin.post(f"{address}teardown/undo/", follow=True)
    assert "The teardown is undone." in answer.content.decode()
    assert Endpoint.objects.get().wanted == "present"
    admin.post(f"{address}teardown/", {"typed_name": "demo"})
    Endpoint.objects.update(teardown_at=None)
    answer = admin.post(f"{address}teardown/undo/", follow=True)
    assert "has begun" in answer.content.decode()


@pytest.mark.not_quick
def test_the_operation(serving: Endpoint, user_in: Any) -> None:
    api = Api(user_in("admin"))
    status, shown = api.ask("POST", f"{DEMO}/teardown", {"name": "demo"})
    assert (status, shown["wanted"]) == (202, "absent")
    assert shown["teardown_at"]
    status, shown = api.ask("POST", f"{DEMO}/teardown/undo")
    assert (status, shown["wanted"], shown["teardown_at"]) == (202, "present", None)
    api.ask("POST", f"{DEMO}/teardown", {"name": "demo"})
    Endpoint.objects.update(teardown_at=None)
    assert api.ask("POST", f"{DEMO}/teardown/undo")[0] == 409


@pytest.mark.not_quick
def test_the_teardown_of_several_is_undone_by_one_click(
    serving: Endpoint, client_of: Callable[[str], Client]
) -> None:
    other = Endpoint.objects.create(
        name="other", state=Endpoint.State.IN_SERVICE, sagemaker_status="InService"
    )
    admin, pks = client_of("admin"), [serving.pk, other.pk]
    given = {"pk": pks, "typed_names": "demo other"}
    page = admin.post("/endpoints/teardown/", given, follow=True).content.decode()
    assert "The teardown of 2 endpoints begins in a few seconds." in page
    undo = f"/endpoints/teardown/undo/?pk={serving.pk}&pk={other.pk}"
    assert f'action="{undo.replace("&", "&amp;")}"' in page
    # Of one it has begun meanwhile: that is said, and the other one stays.
    Endpoint.objects.filter(pk=other.pk).update(teardown_at=None)
    page = admin.post(undo, follow=True).content.decode()
    assert "The teardown of 1 endpoint is undone." in page
    assert "other" in page
    wanted = dict(Endpoint.objects.values_list("name", "wanted"))
    assert wanted == {"demo": Endpoint.Wanted.PRESENT, "other": Endpoint.Wanted.ABSENT}
    assert client_of("operator").post(undo).status_code == 403


def test_a_teardown_of_a_paused_endpoint_that_removes_its_alarms_cannot_be_undone(
    serving: Endpoint, account: Account, settle: Step, advance: Step, watch: Any
) -> None:
    preset = {"threshold": None, "minutes": None, "variant": "AllTraffic"}
    alarms.set_alarm(endpoint=serving, kind=AlarmKind.LATENCY, actor=None, **preset)
    watch()
    pausing.pause_now(endpoint=serving, actor=None)
    row = settle(serving)
    assert row.paused
    # Nothing of SageMaker's is deleted: its endpoint is gone already, and the rest is kept.
    row = advance(_tear_down(row, keep_config=True))
    (alarm,) = EndpointAlarm.objects.all()
    assert (alarm.removing, row.may_be_undone) == (True, False)
    with pytest.raises(ValidationError, match="has begun"):
        _undo(row)
