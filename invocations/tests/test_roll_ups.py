"""Calls as sums by hour and half day: they add up, whatever happens meanwhile."""

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext

from core import clock, remembered
from endpoints.models import Endpoint
from invocations import narrowing, own_calls, roll_ups, tasks
from invocations.models import EndpointHour, Invocation, VersionHalfDay
from invocations.windows import Range, Window
from models_catalog.models import Version


def _calls(endpoint: Endpoint, versions: list[Version], *, count: int, seed: int = 5) -> None:
    """Calls of the last four weeks and before, of each kind."""
    number = random.Random(seed)
    now = clock.now()
    Invocation.objects.bulk_create(
        Invocation(
            endpoint=endpoint,
            version=number.choice(versions[:2]),
            target_model="t",
            created_at=now - timedelta(seconds=number.uniform(70, 32 * 86_400)),
            state=(state := number.choice(["done", "done", "done", "failed"])),
            cold=number.choice([True, False, False, None]),
            latency_ms=None if state == "failed" else number.lognormvariate(3, 1),
            warming=number.random() < 0.1,
        )
        for _ in range(count)
    )


def _figures(found: own_calls.OwnCalls) -> list[Any]:
    return [
        [(one.calls, one.failed, one.cold, one.cold_known, one.last_call_at) for one in found.bins],
        [
            (one.version.pk, one.tally.calls, one.tally.failed, one.tally.last_call_at)
            for one in found.versions
        ],
        [one.pk for one in found.idle],
    ]


@pytest.mark.not_quick
@pytest.mark.parametrize("range", [Range.WEEK, Range.WEEKS])
def test_sums_and_single_calls_are_the_same(
    demo: Endpoint, versions: list[Version], range: Range, monkeypatch: pytest.MonkeyPatch
) -> None:
    _calls(demo, versions, count=400)
    window = Window.until(clock.now(), range)
    before = own_calls.calls_of(demo, window)
    monkeypatch.setattr(roll_ups, "BATCH", 60)
    while not EndpointHour.objects.exists():  # half of them are counted
        monkeypatch.setattr(roll_ups, "MOST", 180)
        roll_ups.roll_up()
    half = own_calls.calls_of(demo, window)
    monkeypatch.setattr(roll_ups, "MOST", 10_000)
    roll_ups.roll_up()
    assert not Invocation.objects.filter(counted=False).exists()
    after = own_calls.calls_of(demo, window)
    assert _figures(before) == _figures(half) == _figures(after)
    assert after.calls > 20
    for one, other in zip(before.bins, after.bins, strict=True):
        assert other.p50_ms == (None if one.p50_ms is None else pytest.approx(one.p50_ms, rel=0.02))
        assert other.p99_ms == (None if one.p99_ms is None else pytest.approx(one.p99_ms, rel=0.02))
    for mine, theirs in zip(before.versions, after.versions, strict=True):
        assert theirs.tally.p50_ms == pytest.approx(mine.tally.p50_ms, rel=0.02)


@pytest.mark.not_quick
def test_each_call_is_counted_once_and_a_warming_is_none(
    demo: Endpoint, versions: list[Version]
) -> None:
    _calls(demo, versions, count=300)
    traffic = Invocation.objects.traffic().count()
    assert roll_ups.roll_up() == 300
    assert roll_ups.roll_up() == 0
    _calls(demo, versions, count=50, seed=6)  # written late: their hours are counted already
    traffic = Invocation.objects.traffic().count()
    tasks.roll_up()
    for kind in (EndpointHour, VersionHalfDay):
        assert kind.objects.aggregate(all=Sum("calls"))["all"] == traffic
    by_version = Counter(Invocation.objects.traffic().values_list("version_id", flat=True))
    sums = VersionHalfDay.objects.values_list("version_id").annotate(Sum("calls"))
    assert dict(sums) == by_version


def test_what_is_not_over_or_just_began_waits(demo: Endpoint, versions: list[Version]) -> None:
    made = {"endpoint": demo, "version": versions[0], "target_model": "t"}
    long_ago = clock.now() - timedelta(days=1)
    runs = Invocation.objects.create(**made, created_at=long_ago)
    Invocation.objects.create(**made, state="done", latency_ms=1.0)
    assert roll_ups.roll_up() == 0
    runs.state = Invocation.State.DONE
    runs.save()
    assert roll_ups.roll_up() == 1


@pytest.mark.not_quick
def test_a_kill_in_the_midst_counts_nothing_twice(
    demo: Endpoint, versions: list[Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    _calls(demo, versions, count=100)
    real = roll_ups._add

    def killed(kind: Any, *rest: Any) -> None:
        real(kind, *rest)
        if kind is VersionHalfDay:
            raise KeyboardInterrupt

    monkeypatch.setattr(roll_ups, "_add", killed)
    with pytest.raises(KeyboardInterrupt):
        roll_ups.roll_up()
    assert not EndpointHour.objects.exists()
    assert not Invocation.objects.filter(counted=True).exists()
    monkeypatch.setattr(roll_ups, "_add", real)
    roll_ups.roll_up()
    assert EndpointHour.objects.aggregate(all=Sum("calls"))["all"] == (
        Invocation.objects.traffic().count()
    )


@pytest.mark.not_quick
def test_a_page_of_four_weeks_reads_no_single_call_that_was_counted(
    demo: Endpoint, versions: list[Version]
) -> None:
    _calls(demo, versions, count=300)
    window = Window.until(clock.now(), Range.WEEKS)

    def read() -> int:
        with CaptureQueriesContext(connection) as asked:
            found = own_calls.calls_of(demo, window)
        assert found.complete
        return len(asked)

    few = read()
    roll_ups.roll_up()
    assert read() == few == 6
    Invocation.objects.update(created_at=clock.now() - timedelta(days=90))
    assert own_calls.calls_of(demo, window).calls > 100


def test_a_call_is_found_by_its_answer_before_and_after_it_is_counted(
    demo: Endpoint, versions: list[Version]
) -> None:
    made = {"endpoint": demo, "version": versions[0], "target_model": "t", "state": "done"}
    old = clock.now() - timedelta(hours=1)
    for answer in (["고양이", "cat"], ["Tabby"], []):
        predictions = [{"label": one, "probability": 0.5} for one in answer]
        Invocation.objects.create(**made, predictions=predictions, created_at=old)

    def found(text: str) -> int:
        for each in remembered.ALL:
            each.clear()
        rows: int = narrowing.of_label(Invocation.objects.all(), text).count()
        return rows

    shown = {"고양": 1, "tabby": 1, "cat": 0, "%": 0}
    assert {text: found(text) for text in shown} == shown
    roll_ups.roll_up()
    assert {text: found(text) for text in shown} == shown
    assert set(Invocation.objects.values_list("answer", flat=True)) == {"고양이", "Tabby", ""}


def test_of_many_versions_those_with_the_most_calls_are_shown(
    demo: Endpoint, versions: list[Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_calls, "MOST_VERSIONS", 1)
    for version, calls in ((versions[0], 1), (versions[1], 2)):
        for _ in range(calls):
            Invocation.objects.create(
                endpoint=demo, version=version, target_model="t", state="done", latency_ms=5.0
            )
    found = own_calls.calls_of(demo, Window.until(clock.now(), Range.WEEKS))
    assert [one.version for one in found.versions] == [versions[1]]
    assert found.versions_left_out == 1
    assert versions[0] not in found.idle


@pytest.mark.not_quick
def test_old_rows_go_and_the_sums_and_each_last_call_stay(
    demo: Endpoint, versions: list[Version], settings: Any
) -> None:
    _calls(demo, versions, count=200)
    assert roll_ups.drop_old() == 0  # for good
    settings.CALLS_KEPT_DAYS = 10
    assert roll_ups.drop_old() == 0  # nothing is counted
    roll_ups.roll_up()
    window = Window.until(clock.now(), Range.WEEKS)
    before = _figures(own_calls.calls_of(demo, window))
    limit = clock.now() - timedelta(days=10)
    lone = Invocation.objects.create(
        endpoint=demo, version=versions[2], target_model="t", state="done", counted=True,
        created_at=limit - timedelta(days=1),
    )  # fmt: skip
    old = Invocation.objects.filter(created_at__lt=limit).count()
    tasks.roll_up()
    assert list(Invocation.objects.filter(created_at__lt=limit)) == [lone]
    assert old > 50
    assert _figures(own_calls.calls_of(demo, window))[0] == before[0]
