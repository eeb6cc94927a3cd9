"""What ran is written down as it is seen, and filled in from the history of before."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from activity.models import Event
from core import clock
from endpoints import instance_runs, pausing, reconciler, services
from endpoints.models import Endpoint, InstanceRun, Revision
from endpoints.services import SettingsChange
from endpoints.tests.account import Account, Crash
from endpoints.tests.test_crashes import survive
from endpoints.variants import ProductionVariant

Step = Callable[[Endpoint], Endpoint]
BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def _ran(endpoint: Endpoint) -> list[tuple[str, int, float | None]]:
    """Type, number and hours of each; None: it goes on."""
    return [
        (
            run.instance_type,
            run.instance_count,
            None if run.ended_at is None else (run.ended_at - run.begun_at) / HOUR,
        )
        for run in InstanceRun.objects.filter(endpoint=endpoint)
    ]


@pytest.fixture
def after(serving: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Put the clock to so many hours after the beginning, at which the endpoint came in service."""

    def put(hours: float) -> None:
        moment = BEGIN + hours * HOUR
        monkeypatch.setattr(clock, "now", lambda *_: moment)
        monkeypatch.setattr("django.utils.timezone.now", lambda: moment)

    InstanceRun.objects.update(begun_at=BEGIN)
    put(0)
    return put


def _settled(endpoint: Endpoint) -> Endpoint:
    for _ in range(40):
        Endpoint.objects.update(check_after=clock.now())
        reconciler.advance(endpoint.pk)
        endpoint = Endpoint.objects.get(pk=endpoint.pk)
        if endpoint.settled:
            return endpoint
    raise AssertionError(f"{endpoint.state} {endpoint.hint} {endpoint.failure}")


def test_it_runs_from_when_it_serves(endpoint: Endpoint, settle: Step) -> None:
    assert _ran(endpoint) == []
    settle(endpoint)
    assert _ran(endpoint) == [("ml.m5.large", 1, None)]
    settle(endpoint)
    assert _ran(endpoint) == [("ml.m5.large", 1, None)]


@pytest.mark.not_quick
def test_a_change_of_count_counts_from_when_it_is_seen(
    serving: Endpoint, account: Account, after: Callable[[float], None]
) -> None:
    after(2)
    account.counts["demo"] = 3  # as autoscaling does, or somebody outside the portal
    _settled(serving)
    after(5)
    change = SettingsChange(instance_type="ml.m5.xlarge", instance_count=2)
    services.request_change(endpoint=serving, change=change, actor=None)
    _settled(serving)
    assert _ran(serving) == [
        ("ml.m5.large", 1, 2),
        ("ml.m5.large", 3, 3),
        ("ml.m5.xlarge", 2, None),
    ]


@pytest.mark.not_quick
def test_a_pause_costs_nothing_and_a_teardown_keeps_what_ran(
    serving: Endpoint, account: Account, after: Callable[[float], None]
) -> None:
    after(1)
    pausing.pause_now(endpoint=serving, actor=None)
    _settled(serving)
    after(3)
    pausing.resume_now(endpoint=serving, actor=None)
    _settled(serving)
    after(7)
    services.request_teardown(endpoint=serving, typed_name="demo", actor=None)
    gone = _settled(serving)
    assert gone.gone_at is not None
    assert _ran(gone) == [("ml.m5.large", 1, 1), ("ml.m5.large", 1, 4)]


def test_one_deleted_outside_runs_no_more(
    serving: Endpoint, account: Account, after: Callable[[float], None]
) -> None:
    after(1)
    del account.endpoints["demo"]
    _settled(serving)
    assert _ran(serving) == [("ml.m5.large", 1, 1)]


def test_both_variants_run(db: None, account: Account, settle: Step) -> None:
    variants = (
        ProductionVariant("blue", "ml.m5.large", 2, 3),
        ProductionVariant("green", "ml.c5.xlarge", 1, 1),
    )
    made = services.create_endpoint(
        name="two", instance_type="", instance_count=1, variants=variants, actor=None
    )
    settle(made)
    rows = InstanceRun.objects.going_on().filter(endpoint=made).order_by("variant")
    found = [(row.variant, row.instance_type, row.instance_count) for row in rows]
    assert found == [("blue", "ml.m5.large", 2), ("green", "ml.c5.xlarge", 1)]


@pytest.mark.parametrize("after_acting", [False, True])
@pytest.mark.parametrize("at_call", [2, 4, 6])
def test_a_killed_process_leaves_one_run(
    endpoint: Endpoint, account: Account, at_call: int, after_acting: bool
) -> None:
    account.crash_at, account.crash_after_acting = account.calls + at_call, after_acting
    survive(endpoint, "present")
    assert _ran(endpoint) == [("ml.m5.large", 1, None)]


def test_what_a_killed_write_noted_is_not_kept(
    endpoint: Endpoint, account: Account, settle: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is written with the state that it follows from, or not at all."""

    real = instance_runs.note

    def killed(row: Endpoint, parts: Any, *, at: datetime) -> None:
        real(row, parts, at=at)
        if parts:
            raise Crash("after it was noted")

    with monkeypatch.context() as patched:
        patched.setattr(instance_runs, "note", killed)
        with pytest.raises(Crash):
            settle(endpoint)
    assert _ran(endpoint) == []
    Endpoint.objects.update(leased_until=None)
    survive(endpoint, "present")
    assert _ran(endpoint) == [("ml.m5.large", 1, None)]


# --- what ran before runs were kept

_FILL = import_module("endpoints.migrations.0021_runs_before").fill


class _Editor:
    connection = connection


def _fill() -> None:
    _FILL(apps, _Editor())


def _told(endpoint: Endpoint, hour: float, action: str, **parameters: Any) -> None:
    Event.objects.bulk_create(
        [
            Event(
                at=BEGIN + hour * HOUR, action=action, subject_kind="endpoint",
                subject_id=endpoint.pk, subject_name=endpoint.name, parameters=parameters,
            )
        ]
    )  # fmt: skip


def _row(**values: Any) -> Endpoint:
    made: Endpoint = Endpoint.objects.create(
        **{"name": "demo", "instance_type": "ml.m5.large", "instance_count": 1} | values
    )
    Endpoint.objects.filter(pk=made.pk).update(created_at=BEGIN)
    Revision.objects.create(
        endpoint=made, number=1, instance_type="ml.m5.large", instance_count=1, created_at=BEGIN
    )
    return made


def test_runs_are_filled_in_from_events(db: None) -> None:
    made = _row(gone_at=BEGIN + 30 * HOUR, state=Endpoint.State.GONE)
    Revision.objects.create(
        endpoint=made, number=3, instance_type="ml.c5.xlarge", instance_count=2, created_at=BEGIN
    )
    _told(made, 1, "endpoint.endpoint.in_service", name="demo")
    _told(made, 3, "endpoint.scaled", name="demo", cause="", instance_count=4)
    _told(made, 4, "endpoint.endpoint.updating", name="demo")
    _told(made, 5, "endpoint.updated", name="demo", revision=3, instance_count=2,
          instance_type="ml.c5.xlarge")  # fmt: skip
    _told(made, 5, "endpoint.endpoint.in_service", name="demo")
    _told(made, 8, "endpoint.endpoint.deleting", name="demo")
    _told(made, 9, "endpoint.paused", name="demo")
    _told(made, 20, "endpoint.endpoint.in_service", name="demo")
    _told(made, 30, "endpoint.gone", name="demo", store="s3://b/")
    _fill()
    expected = [
        ("ml.m5.large", 1, 2),
        ("ml.m5.large", 4, 2),
        ("ml.c5.xlarge", 2, 3),
        ("ml.c5.xlarge", 2, 10),
    ]
    assert _ran(made) == expected
    assert all(InstanceRun.objects.values_list("assumed", flat=True))
    _fill()
    assert _ran(made) == expected


def test_what_serves_now_goes_on_and_what_never_served_has_none(db: None) -> None:
    serving = _row(state=Endpoint.State.IN_SERVICE)
    waiting = _row(name="other", state=Endpoint.State.CREATING)
    _told(serving, 2, "endpoint.endpoint.in_service", name="demo")
    _fill()
    assert _ran(serving) == [("ml.m5.large", 1, None)]
    assert InstanceRun.objects.get().begun_at == BEGIN + 2 * HOUR
    assert _ran(waiting) == []


def test_without_events_it_ran_since_it_was_created(db: None) -> None:
    serving = _row(state=Endpoint.State.IN_SERVICE)
    _fill()
    assert _ran(serving) == [("ml.m5.large", 1, None)]
    assert InstanceRun.objects.get().begun_at == BEGIN
