"""A teardown that leaves the configuration or the SageMaker model, as somebody asked for."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from activity.models import Event
from core import clock
from endpoints import adopting, orphans, services
from endpoints.models import Endpoint, Orphan
from endpoints.services import SettingsChange
from endpoints.tests.account import Account
from endpoints.tests.conftest import CREATED
from endpoints.tests.test_crashes import survive
from endpoints.tests.test_endpoints_api import DEMO, Api

Step = Callable[[Endpoint], Endpoint]


def _tear_down(endpoint: Endpoint, **keeps: bool) -> Endpoint:
    return services.request_teardown(endpoint=endpoint, typed_name="demo", actor=None, **keeps)


@pytest.mark.not_quick
def test_the_model_is_left_and_is_an_orphan_then(
    serving: Endpoint, account: Account, settle: Step, look: Callable[[], Any]
) -> None:
    row = settle(_tear_down(serving, keep_model=True))
    assert (row.gone_at is not None, row.failure) == (True, "")
    assert account.changes == [*CREATED, "-endpoint demo", "-config demo-r1"]
    told = [e.action for e in Event.objects.about("endpoint", row.pk)]
    assert told.count("endpoint.model.left") == 1
    keeps = Event.objects.get(action="endpoint.teardown_keeps")
    assert keeps.parameters["names"] == "model demo-r1"
    look()
    (orphan,) = Orphan.objects.all()
    assert (orphan.kind, orphan.name, orphan.ours) == ("model", "demo-r1", True)


@pytest.mark.not_quick
def test_the_config_is_left_with_the_model_it_needs(
    serving: Endpoint, account: Account, settle: Step, look: Callable[[], Any]
) -> None:
    settle(_tear_down(serving, keep_config=True))
    assert account.changes == [*CREATED, "-endpoint demo"]
    look()
    assert {one.kind for one in Orphan.objects.all()} == {"config", "model"}
    # The next one of the name is made beside them, takes them in, and is torn down with them.
    again = settle(services.create_endpoint(name="demo", actor=None))
    assert again.serving
    for kind in ("model", "config"):
        adopting.adopt(orphan=Orphan.objects.get(kind=kind, name="demo-r1"), actor=None)
    assert settle(_tear_down(again)).gone_at is not None
    assert account.empty


@pytest.mark.not_quick
def test_what_was_left_can_be_deleted(
    serving: Endpoint,
    account: Account,
    settle: Step,
    look: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settle(_tear_down(serving, keep_config=True))
    look()
    later = clock.now() + timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda *_: later)
    orphans.request_deletion(orphans=Orphan.objects.all(), actor=None)
    from endpoints import reconciler

    for _ in range(8):
        for one in Orphan.objects.unfinished():
            Orphan.objects.filter(pk=one.pk).update(check_after=later, leased_until=None)
            reconciler.advance_orphan(one.pk)
    assert account.empty


@pytest.mark.not_quick
def test_those_of_earlier_revisions_go(serving: Endpoint, account: Account, settle: Step) -> None:
    change = SettingsChange(instance_type="ml.m5.xlarge")
    services.request_change(endpoint=serving, change=change, actor=None)
    # Torn down before the config of before is deleted.
    for _ in range(60):
        Endpoint.objects.update(check_after=clock.now())
        from endpoints import reconciler

        reconciler.advance(serving.pk)
        if Endpoint.objects.get().update_state == Endpoint.Update.CLEANING:
            break
    settle(_tear_down(Endpoint.objects.get(), keep_config=True))
    assert set(account.configs) == {"demo-r2"}
    assert set(account.models) == {"demo-r1"}


@pytest.mark.slow
@pytest.mark.parametrize("after_acting", [False, True])
@pytest.mark.parametrize("at", range(8))
def test_a_crash_at_any_call_leaves_what_was_asked_for(
    serving: Endpoint, account: Account, at: int, after_acting: bool
) -> None:
    _tear_down(serving, keep_config=True)
    account.crash_at, account.crash_after_acting = account.calls + at, after_acting
    row, _crashes = survive(serving, "absent", planned=at < 7)
    assert row.gone_at is not None
    assert (list(account.configs), list(account.models)) == (["demo-r1"], ["demo-r1"])
    assert not account.endpoints


def test_a_second_wish_is_not_lost_in_silence(serving: Endpoint) -> None:
    _tear_down(serving)
    _tear_down(serving)
    with pytest.raises(ValidationError, match="was not asked to keep this"):
        _tear_down(serving, keep_model=True)


@pytest.mark.not_quick
def test_the_page_plans_and_keeps(
    serving: Endpoint, account: Account, settle: Step, client_of: Callable[[str], Client]
) -> None:
    admin, page = client_of("admin"), f"{serving.get_absolute_url()}teardown/"
    shown = admin.post(page, {"plan": "1", "keep_config": "on"}).content.decode()
    assert shown.count("which is among the orphans afterwards") == 2
    assert Endpoint.objects.get().wanted == "present"
    assert admin.get(page).content.decode().count("which is among the orphans") == 0
    assert admin.post(page, {"typed_name": "no", "keep_model": "on"}).status_code == 400
    admin.post(page, {"typed_name": "demo", "keep_model": "on"})
    row = settle(Endpoint.objects.get())
    assert list(account.models) == ["demo-r1"]
    shown = admin.get(row.get_absolute_url()).content.decode()
    assert "as it was asked for; it is among the orphans" in shown


@pytest.mark.not_quick
def test_many_keep_the_same(
    serving: Endpoint, account: Account, settle: Step, client_of: Callable[[str], Client]
) -> None:
    given = {"pk": serving.pk, "typed_names": "demo", "keep_model": "on"}
    assert client_of("admin").post("/endpoints/teardown/", given).status_code == 302
    settle(Endpoint.objects.get())
    assert list(account.models) == ["demo-r1"]


@pytest.mark.not_quick
def test_the_operations(serving: Endpoint, account: Account, settle: Step, user_in: Any) -> None:
    api = Api(user_in("admin"))
    status, plan = api.ask("POST", f"{DEMO}/teardown/plan", {"keep_config": True})
    assert (status, [one["kind"] for one in plan["deletes"]]) == (200, ["endpoint"])
    assert [one["kind"] for one in plan["keeps"]] == ["config", "model"]
    status, shown = api.ask("POST", f"{DEMO}/teardown", {"name": "demo", "keep_model": True})
    assert (status, shown["keep_model"], shown["keep_config"]) == (202, True, False)
    settle(Endpoint.objects.get())
    assert list(account.models) == ["demo-r1"]
    again = {"name": "demo", "keep_config": True}
    assert api.ask("POST", f"{DEMO}/teardown", again)[0] == 409
