"""Calls that others made, by SageMaker's metrics: when the last was, and what hides none."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from core import aws, clock, errors
from endpoints import last_calls
from endpoints.models import Endpoint
from invocations.measured_calls import LAG
from invocations.models import Invocation
from tests import aws_clients

NOW = datetime(2026, 1, 31, 9, 30, 40, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SINCE = datetime(2026, 1, 31, 3, 10, 30, tzinfo=UTC)
BEGIN, END = SINCE.replace(second=0), datetime(2026, 1, 31, 9, 25, tzinfo=UTC)


@pytest.fixture
def demo(db: None, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    monkeypatch.setattr(clock, "now", lambda *_: NOW)
    return Endpoint.objects.create(name="demo", state=Endpoint.State.IN_SERVICE)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = aws_clients.client("cloudwatch")
    monkeypatch.setattr(aws, "cloudwatch", lambda: client)
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def _says(*points: tuple[datetime, float], status: str = "Complete", **more: Any) -> dict[str, Any]:
    times, values = [at for at, _ in points], [value for _, value in points]
    one = {"Id": "m0", "Timestamps": times, "Values": values, "StatusCode": status}
    return {"MetricDataResults": [one], **more}


def _called(demo: Endpoint, make_version: Any, *times: datetime, **columns: Any) -> None:
    version = make_version(number=Invocation.objects.count() + 1)
    for at in times:
        values = {"state": Invocation.State.DONE, "target_model": version.key} | columns
        call = Invocation.objects.create(endpoint=demo, version=version, **values)
        Invocation.objects.filter(pk=call.pk).update(created_at=at)


def test_the_calls_of_each_variant_are_asked_for(demo: Endpoint, stub: Stubber) -> None:
    wanted = {
        "MetricDataQueries": ANY, "StartTime": BEGIN, "EndTime": END,
        "ScanBy": "TimestampDescending",
    }  # fmt: skip
    stub.add_response("get_metric_data", _says(), wanted)
    assert last_calls.measured_since(demo, SINCE) is None


def test_the_last_call_of_others_is_the_end_of_its_minute(demo: Endpoint, stub: Stubber) -> None:
    points = [(BEGIN + HOUR, 2.0), (BEGIN + 2 * HOUR, 1.0), (BEGIN + 3 * HOUR, 0.0)]
    stub.add_response("get_metric_data", _says(*points))
    assert last_calls.measured_since(demo, SINCE) == BEGIN + 2 * HOUR + MINUTE


def test_what_the_portal_did_is_no_call_of_others(
    demo: Endpoint, stub: Stubber, make_version: Callable[..., Any]
) -> None:
    times = [SINCE, BEGIN + HOUR, BEGIN + 2 * HOUR]
    _called(demo, make_version, *times, warming=True)
    counted = [(at.replace(second=0), 1.0) for at in times]
    stub.add_response("get_metric_data", _says(*counted))
    assert last_calls.measured_since(demo, SINCE) is None
    # One by another, in a minute of the portal's own.
    stub.add_response("get_metric_data", _says(*counted[:1], (BEGIN + HOUR, 2.0), *counted[2:]))
    assert last_calls.measured_since(demo, SINCE) == BEGIN + HOUR + MINUTE


def test_own_calls_that_sagemaker_did_not_count_hide_nothing(
    demo: Endpoint, stub: Stubber, make_version: Callable[..., Any]
) -> None:
    _called(demo, make_version, BEGIN + HOUR, state=Invocation.State.FAILED)
    _called(demo, make_version, NOW - LAG / 2, warming=True)
    stub.add_response("get_metric_data", _says((BEGIN + HOUR, 1.0)))
    assert last_calls.measured_since(demo, SINCE) == BEGIN + HOUR + MINUTE


@pytest.mark.parametrize(
    ("since", "period"), [(3 * HOUR, 60), (2 * DAY, 300), (59 * DAY, 300), (200 * DAY, 3600)]
)
def test_periods_are_those_that_cloudwatch_keeps(
    demo: Endpoint, monkeypatch: pytest.MonkeyPatch, since: timedelta, period: int
) -> None:
    asked: list[dict[str, Any]] = []

    class Client:
        def get_paginator(self, name: str) -> "Client":
            assert name == "get_metric_data"
            return self

        def paginate(self, **given: Any) -> list[dict[str, Any]]:
            asked.append(given)
            return [_says()]

    monkeypatch.setattr(aws, "cloudwatch", Client)
    assert last_calls.measured_since(demo, NOW - since) is None
    ((query,),) = [one["MetricDataQueries"] for one in asked]
    assert query["MetricStat"]["Period"] == period
    assert asked[0]["StartTime"].timestamp() % period == 0


def test_an_answer_that_is_not_whole_is_none(demo: Endpoint, stub: Stubber) -> None:
    stub.add_response("get_metric_data", _says(status="InternalError"))
    with pytest.raises(errors.AwsError, match="did not tell of all calls"):
        last_calls.measured_since(demo, SINCE)
    stub.add_client_error("get_metric_data", "AccessDenied", "not authorized")
    with pytest.raises(errors.Denied):
        last_calls.measured_since(demo, SINCE)


def test_pages_are_read_to_the_end(demo: Endpoint, stub: Stubber) -> None:
    stub.add_response("get_metric_data", _says(status="PartialData", NextToken="more"))
    stub.add_response("get_metric_data", _says((BEGIN + HOUR, 1.0)))
    assert last_calls.measured_since(demo, SINCE) == BEGIN + HOUR + MINUTE


def test_minutes_that_are_not_measured_yet_ask_nothing(demo: Endpoint, stub: Stubber) -> None:
    assert last_calls.measured_since(demo, NOW - 3 * MINUTE) is None
