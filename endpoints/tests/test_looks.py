"""Many settled endpoints are looked at by lists, and what differs there by itself."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from core import clock, errors, pace
from endpoints import looks, reconciler, scaling, services, tasks
from endpoints.limits import Limits
from endpoints.models import Endpoint
from endpoints.tests.account import Account

NUMBER = looks.LEAST + 2


@pytest.fixture(autouse=True)
def _asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks._Rest, "until", None)
    monkeypatch.setattr(pace.CONTROL_PLANE, "room", lambda: 1000.0)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The jobs that a sweep queued."""
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr(services, "enqueue_on_commit", lambda *job: found.append(job))
    return found


def _due() -> None:
    Endpoint.objects.update(check_after=clock.now() - timedelta(seconds=1))


@pytest.fixture
def settled(db: None, account: Account) -> list[Endpoint]:
    """Endpoints in service, which are due."""
    account.looks = 0
    made = [
        services.create_endpoint(name=f"e{n}", instance_type="ml.m5.large", actor=None)
        for n in range(NUMBER)
    ]
    for _ in range(5):  # three are made, one look finds it in service, and one nothing new
        _due()
        for one in made:
            reconciler.advance(one.pk)
    _due()
    found = list(Endpoint.objects.order_by("pk"))
    assert all(looks.fits(one) for one in found)
    return found


@pytest.mark.not_quick
def test_what_did_not_change_costs_three_lists(
    settled: list[Endpoint], account: Account, sent: list[tuple[Any, ...]]
) -> None:
    before, looked = account.calls, settled[0].checked_at
    assert services.sweep() == NUMBER
    assert sent == [(services.LOOK_AT_SETTLED,)]
    tasks.look_at_settled()
    assert account.calls - before == 3
    assert not Endpoint.objects.due().exists()
    assert looked is not None
    assert Endpoint.objects.filter(checked_at__gt=looked).count() == NUMBER
    tasks.look_at_settled()  # a message that comes twice
    assert account.calls - before == 3


def _config(account: Account) -> None:
    account.update_outside("e1", "theirs", model="e1-r1", count=3)


def _scaled(account: Account) -> None:
    account.scaled("e1", 3)


def _deleted(account: Account) -> None:
    del account.endpoints["e1"]


def _model_deleted(account: Account) -> None:
    del account.models["e1-r1"]


@pytest.mark.not_quick
@pytest.mark.parametrize("change", [_config, _scaled, _deleted, _model_deleted])
def test_what_changed_is_looked_at_by_itself(
    settled: list[Endpoint],
    account: Account,
    sent: list[tuple[Any, ...]],
    advance: Callable[[Endpoint], Endpoint],
    change: Callable[[Account], None],
) -> None:
    change(account)
    Endpoint.objects.get(name="e1").resources.update(changed_at=clock.now() - timedelta(hours=1))
    tasks.look_at_settled()
    (one,) = Endpoint.objects.due()
    assert one.name == "e1"
    services.sweep()
    assert sent == [(services.ADVANCE, one.pk)]
    one = advance(advance(one))
    if change is _model_deleted:
        assert "e1-r1" in account.models
    else:
        assert one.deleted_outside if change is _deleted else one.changed_outside


@pytest.mark.not_quick
def test_few_and_those_that_are_scaled_are_described(
    settled: list[Endpoint], sent: list[tuple[Any, ...]]
) -> None:
    scaled, *others = settled
    scaling.set_scaling(endpoint=scaled, limits=Limits(1, 2, 50), actor=None)
    Endpoint.objects.filter(pk=scaled.pk).update(scaling=Endpoint.Scaling.ON)
    _due()
    sent.clear()
    Endpoint.objects.filter(pk__in=[one.pk for one in others[3:]]).update(
        check_after=clock.now() + timedelta(hours=1)
    )
    services.sweep()
    assert sorted(sent) == sorted((services.ADVANCE, one.pk) for one in [scaled, *others[:3]])


@pytest.mark.not_quick
def test_where_aws_lists_nothing_each_is_looked_at_by_itself(
    settled: list[Endpoint], account: Account, sent: list[tuple[Any, ...]]
) -> None:
    account.failures["listed"] = [errors.Denied("You may not sagemaker:ListModels.")]
    assert looks.look() == NUMBER
    assert Endpoint.objects.due().count() == NUMBER
    services.sweep()
    assert sorted(sent) == sorted((services.ADVANCE, one.pk) for one in settled)


@pytest.mark.not_quick
def test_what_somebody_asked_for_meanwhile_stays_due(
    settled: list[Endpoint], account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = account._listed

    def listed(kind: str) -> Any:
        services.check_now(endpoint=settled[0])
        return real(kind)

    monkeypatch.setattr("endpoints.sagemaker.listed", listed)
    assert looks.look() == 0
    assert [one.pk for one in Endpoint.objects.due()] == [settled[0].pk]
