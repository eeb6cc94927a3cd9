"""An endpoint's metrics: whose numbers are whose, what is marked, page and operation."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from accounts import tokens
from activity import services as activity
from activity.models import Event
from core import clock, errors
from endpoints.models import Endpoint
from invocations import cloudwatch, own_calls
from invocations.cloudwatch import Measured
from invocations.metrics import metrics_of
from invocations.models import Invocation
from invocations.windows import Range, Window
from models_catalog.models import Version
from tests.bearer import secret_of

ClientOf = Callable[[str], Client]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What CloudWatch says: values of metrics by name, or a problem."""
    told: dict[str, Any] = {}

    def ask(endpoint: Endpoint, variant: str, window: Window) -> Measured:
        problem = told.get("problem")
        rows = {one.name: [None] * window.bins for one in cloudwatch.METRICS}
        for name, value in told.items():
            if name != "problem":
                rows[name] = [None] * (window.bins - 1) + [value]
        return Measured(window, rows, problem)

    monkeypatch.setattr(cloudwatch, "_ask", ask)
    return told


def called(endpoint: Endpoint, version: Version, at: datetime, **more: Any) -> None:
    given: dict[str, Any] = {"state": Invocation.State.DONE, "cold": False, "latency_ms": 10.0}
    Invocation.objects.create(
        endpoint=endpoint, version=version, target_model="t", created_at=at, **(given | more)
    )


@pytest.mark.not_quick
def test_the_portals_calls_are_counted_by_time_and_version(
    demo: Endpoint, versions: list[Version]
) -> None:
    window = Window.until(clock.now(), Range.HOUR)
    first, second, never = versions
    for n in range(100):
        called(demo, first, window.begin + timedelta(seconds=1), latency_ms=float(n + 1))
    called(demo, first, window.begin + timedelta(seconds=61), cold=True, latency_ms=500.0)
    called(demo, first, window.begin + timedelta(seconds=62), state="failed", cold=None)
    called(demo, second, window.begin + timedelta(seconds=62), cold=None)
    called(demo, second, window.begin - timedelta(seconds=1))
    other = Endpoint.objects.create(name="other")
    called(other, never, window.begin)

    found = own_calls.calls_of(demo, window)
    assert found.complete
    assert [one.calls for one in found.bins[:3]] == [100, 3, 0]
    assert (found.bins[0].p50_ms, found.bins[0].p99_ms) == (50.0, 99.0)
    assert (found.bins[1].cold, found.bins[1].failed) == (1, 1)
    assert found.calls == 103
    assert [str(one.version) for one in found.versions] == ["digits v1", "digits v2"]
    tally = found.versions[0].tally
    assert (tally.calls, tally.failed, tally.p99_ms) == (102, 1, 100.0)
    assert tally.cold_share == pytest.approx(1 / 101)
    assert tally.last_call_at == window.begin + timedelta(seconds=62)
    assert found.versions[1].tally.cold_share is None
    assert [(one.number, one.last_call_at) for one in found.idle] == [(3, None)]  # type: ignore[attr-defined]
    assert sum(one.tally.calls for one in found.versions) == found.calls


def test_of_too_many_calls_the_newest_are_counted_and_that_is_told(
    demo: Endpoint, versions: list[Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_calls, "MOST_CALLS", 2)
    window = Window.until(clock.now(), Range.HOUR)
    for n in range(3):
        called(demo, versions[0], window.begin + timedelta(minutes=n))
    found = own_calls.calls_of(demo, window)
    assert not found.complete
    assert [one.calls for one in found.bins[:3]] == [0, 1, 1]


def test_changes_of_the_time_are_marked_and_nothing_else(
    demo: Endpoint, measured: dict[str, Any]
) -> None:
    size = {"instance_count": 1, "instance_type": "ml.m5.large"}
    activity.record(action="endpoint.requested", subject=demo, parameters={"name": "demo"} | size)
    activity.record(
        action="endpoint.updated", subject=demo, parameters={"name": "demo", "revision": 2} | size
    )
    activity.record(action="endpoint.end_removed", subject=demo, parameters={"name": "demo"})
    Event.objects.create(
        action="endpoint.updated",
        subject_kind="endpoint",
        subject_id=demo.pk,
        subject_name="demo",
        parameters={},
        at=clock.now() - timedelta(days=2),
    )
    alarm = {"name": "demo", "alarm": "p99", "condition": "slow", "reason": "Threshold Crossed"}
    activity.record(action="endpoint.alarm_on", subject=demo, parameters=alarm)
    found = metrics_of(endpoint=demo, range=Range.DAY)
    assert [event.action for event in found.events] == [
        "endpoint.requested", "endpoint.updated", "endpoint.alarm_on",
    ]  # fmt: skip


@pytest.mark.not_quick
def test_the_page_says_whose_numbers_are_whose(
    client_of: ClientOf, demo: Endpoint, versions: list[Version], measured: dict[str, Any]
) -> None:
    measured |= {"invocations": 7.0, "cache_hit": 0.5, "cpu_average": 150.0}
    called(demo, versions[0], clock.now())
    client = client_of("viewer")
    text = client.get(f"/endpoints/{demo.pk}/metrics/?range=1h").content.decode()
    ours, theirs = text.index("Calls by the portal</h2>"), text.index("as SageMaker measured them")
    assert theirs < ours
    assert text.count('<svg class="plot"') >= 4
    assert re.search(r'<td class="number">7</td>', text[theirs:ours])
    assert re.search(r'<td class="number">50 %</td>', text[theirs:ours])
    assert "digits v1" in text[ours:]
    assert "2 versions were not called" in text[ours:]
    assert 'range=1h"\n        aria-current="page"' in text
    part = client.get(f"/invoke/metrics/{demo.pk}/?range=1h").content.decode()
    assert part.lstrip().startswith('<div id="metrics"')
    assert 'hx-trigger="every 30s, seen"' in part


def test_an_empty_page_says_what_to_do(
    client_of: ClientOf, demo: Endpoint, measured: dict[str, Any]
) -> None:
    text = client_of("viewer").get(f"/endpoints/{demo.pk}/metrics/?range=nonsense").content.decode()
    assert "Nothing was measured in this time" in text
    assert "Choose a longer time, or call a model." in text
    assert '<svg class="plot"' not in text
    assert 'range=1h"\n        aria-current="page"' in text  # it is some seconds old


@pytest.mark.parametrize(
    ("age", "shown"),
    [(timedelta(minutes=59), "1h"), (timedelta(hours=5), "6h"), (timedelta(hours=7), "24h")],
)
def test_where_nobody_chose_the_page_does_not_begin_long_before_the_endpoint(
    client_of: ClientOf, demo: Endpoint, measured: dict[str, Any], age: timedelta, shown: str
) -> None:
    Endpoint.objects.filter(pk=demo.pk).update(created_at=clock.now() - age)
    text = client_of("viewer").get(f"/endpoints/{demo.pk}/metrics/").content.decode()
    assert f'range={shown}"\n        aria-current="page"' in text


def test_without_cloudwatch_the_portals_own_numbers_are_shown(
    client_of: ClientOf, demo: Endpoint, versions: list[Version], measured: dict[str, Any]
) -> None:
    measured["problem"] = errors.Denied("It may not ask <b>so</b>.")
    called(demo, versions[0], clock.now())
    text = client_of("viewer").get(f"/endpoints/{demo.pk}/metrics/").content.decode()
    assert "CloudWatch does not say what SageMaker measured." in text
    assert "It may not ask &lt;b&gt;so&lt;/b&gt;." in text
    assert "How long they took" in text


def test_what_is_gone_is_shown_as_it_was_and_not_asked_for_again(
    client_of: ClientOf, demo: Endpoint, measured: dict[str, Any]
) -> None:
    gone = clock.now() - timedelta(days=100)
    Endpoint.objects.filter(pk=demo.pk).update(gone_at=gone, state=Endpoint.State.GONE)
    text = client_of("viewer").get(f"/endpoints/{demo.pk}/metrics/").content.decode()
    assert "hx-trigger" not in text.partition('id="metrics"')[2].partition(">")[0]
    demo.refresh_from_db()
    window = metrics_of(endpoint=demo, range=Range.DAY).window
    assert window.end - window.step <= gone < window.end


@pytest.mark.not_quick
def test_the_operation_tells_the_same(
    user_in: Callable[[str], User],
    demo: Endpoint,
    versions: list[Version],
    measured: dict[str, Any],
) -> None:
    measured |= {"invocations": 7.0, "problem": errors.Throttled("Slow down.")}
    called(demo, versions[1], clock.now(), cold=True)
    user = user_in("viewer")
    token = secret_of(user, tokens.scopes_of(user))
    headers = {"Authorization": f"Bearer {token}"}
    answer = Client().get("/api/v1/endpoints/demo/metrics?range=6h", headers=headers)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["range"], told["period_s"], len(told["times"])) == ("6h", 300, 72)
    series = {one["name"]: one for one in told["sagemaker"]["series"]}
    assert series["invocations"]["values"][-2:] == [None, 7.0]
    assert series["cpu_maximum"]["unit"] == "percent"
    assert told["sagemaker"]["problem"] == "Slow down."
    own = {one["name"]: one["values"] for one in told["portal"]["series"]}
    assert (own["calls"][-1], own["cold"][-1]) == (1, 1) or own["calls"][-2] == 1
    assert [(one["number"], one["calls"]) for one in told["versions"]] == [(2, 1), (3, 0), (1, 0)]
    missing = Client().get("/api/v1/endpoints/nobody/metrics", headers=headers)
    assert missing.status_code == 404
    wrong = Client().get("/api/v1/endpoints/demo/metrics?range=2h", headers=headers)
    assert wrong.status_code == 422
