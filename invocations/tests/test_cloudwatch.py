"""What CloudWatch is asked, once for all who look, and what is made of what it says."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from core import aws, errors
from endpoints.models import Endpoint
from invocations import cloudwatch
from invocations.windows import Range, Window
from tests import aws_clients

NOW = datetime(2026, 1, 31, 9, 30, 40, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def demo(db: None) -> Endpoint:
    """An endpoint that was made a day before NOW."""
    made = Endpoint.objects.create(name="demo", state=Endpoint.State.IN_SERVICE)
    Endpoint.objects.update(created_at=NOW - timedelta(days=1))
    made.refresh_from_db()
    return made


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = aws_clients.client("cloudwatch")
    monkeypatch.setattr(aws, "cloudwatch", lambda: client)
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def says(**series: list[tuple[datetime, float]]) -> dict[str, Any]:
    """An answer with these values; the names are ours."""
    numbers = {metric.name: number for number, metric in enumerate(cloudwatch.METRICS)}
    return {
        "MetricDataResults": [
            {
                "Id": f"m{numbers[name]}",
                "Timestamps": [at for at, _ in points],
                "Values": [value for _, value in points],
                "StatusCode": "Complete",
            }
            for name, points in series.items()
        ]
    }


def test_all_metrics_are_asked_for_in_one_call(demo: Endpoint, stub: Stubber) -> None:
    end = datetime(2026, 1, 31, 9, 31, tzinfo=UTC)
    wanted = {
        "MetricDataQueries": ANY,
        "StartTime": end - HOUR,
        "EndTime": end,
        "ScanBy": "TimestampAscending",
    }
    stub.add_response("get_metric_data", says(), wanted)
    found = cloudwatch.measured(demo, Range.HOUR, NOW)
    assert not found.any
    dimensions = {"EndpointName": "demo", "VariantName": "AllTraffic"}
    queries = [
        cloudwatch._query(dimensions, number, metric, found.window)
        for number, metric in enumerate(cloudwatch.METRICS)
    ]
    assert len({query["Id"] for query in queries}) == len(queries) == 22
    hits = next(q for q in queries if q["MetricStat"]["Metric"]["MetricName"] == "ModelCacheHit")
    assert hits["MetricStat"] == {
        "Metric": {
            "Namespace": "AWS/SageMaker",
            "MetricName": "ModelCacheHit",
            "Dimensions": [
                {"Name": "EndpointName", "Value": "demo"},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
        },
        "Period": 60,
        "Stat": "Average",
    }


def test_values_stand_in_their_bins_in_our_units(demo: Endpoint, stub: Stubber) -> None:
    first = Window.until(NOW, Range.HOUR).begin
    answer = says(
        invocations=[(first, 3.0), (first + 2 * MINUTE, 0.0)],
        model_latency_p99=[(first + MINUTE, 2500.0)],  # microseconds
        cache_hit=[(first + MINUTE, 0.75)],
    )
    stub.add_response("get_metric_data", answer)
    found = cloudwatch.measured(demo, Range.HOUR, NOW)
    assert found.any
    assert found.values["invocations"][:4] == [3.0, None, 0.0, None]
    assert found.values["model_latency_p99"][1] == 2.5
    assert found.values["cache_hit"][1] == 0.75
    assert {len(values) for values in found.values.values()} == {60}


def test_what_was_measured_of_an_earlier_endpoint_of_the_name_is_left_out(
    demo: Endpoint, stub: Stubber
) -> None:
    window = Window.until(NOW, Range.HOUR)
    demo.created_at = window.begin + 2.5 * MINUTE
    demo.gone_at = window.begin + 4.5 * MINUTE
    points = [(at, 1.0) for at in window.times]
    stub.add_response("get_metric_data", says(invocations=points))
    found = cloudwatch.measured(demo, Range.HOUR, NOW)
    kept = [n for n, value in enumerate(found.values["invocations"]) if value is not None]
    assert kept == [2, 3, 4]


@pytest.mark.parametrize(
    ("code", "kind"),
    [("AccessDenied", errors.Denied), ("Throttling", errors.Throttled)],
)
def test_a_refusal_is_told_and_not_asked_for_again(
    demo: Endpoint, stub: Stubber, code: str, kind: type[errors.AwsError]
) -> None:
    text = (
        "User: arn:aws:sts::123456789012:assumed-role/portal/x is not authorized to perform: "
        "cloudwatch:GetMetricData because no identity-based policy allows the "
        "cloudwatch:GetMetricData action"
    )
    stub.add_client_error("get_metric_data", code, text, http_status_code=403)
    for _ in range(2):
        found = cloudwatch.measured(demo, Range.HOUR, NOW)
        assert isinstance(found.problem, kind)
        assert "GetMetricData" in str(found.problem)
        assert not found.any


def test_where_nobody_listens_that_is_told(demo: Endpoint) -> None:
    found = cloudwatch.measured(demo, Range.HOUR, NOW)  # conftest.py: port 9
    assert isinstance(found.problem, errors.Throttled)
    assert len(found.values["invocations"]) == 60


def test_all_who_look_at_once_share_one_call(
    demo: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    entered, go_on = threading.Event(), threading.Event()

    class Slow:
        def get_metric_data(self, **_: Any) -> dict[str, Any]:
            asked.append("asked")
            entered.set()
            assert go_on.wait(10)
            return says()

    monkeypatch.setattr(aws, "cloudwatch", Slow)
    found: list[cloudwatch.Measured] = []

    def look() -> None:
        found.append(cloudwatch.measured(demo, Range.HOUR, NOW))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert entered.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert asked == ["asked"]
    assert len(found) == 4
    assert len({id(one) for one in found}) == 1


@pytest.mark.parametrize("range", Range)
def test_every_range_has_whole_bins_that_end_after_now(range: Range) -> None:
    window = Window.until(NOW, range)
    assert 24 <= window.bins <= 72
    assert window.end - window.step <= NOW < window.end
    assert window.begin.timestamp() % window.step.total_seconds() == 0
    assert window.place(window.begin) == 0
    assert window.place(NOW) == window.bins - 1
    assert window.place(window.end) is None
    assert window.place(window.begin - MINUTE) is None


def test_a_time_that_is_now_on_a_bins_border_is_in_the_bin_that_begins() -> None:
    at = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    assert Window.until(at, Range.WEEKS).times[-1] == at


def test_each_variant_is_asked_for_by_itself(
    demo: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def get_metric_data(**query: Any) -> dict[str, Any]:
        metric = query["MetricDataQueries"][0]["MetricStat"]["Metric"]
        asked.append({one["Name"]: one["Value"] for one in metric["Dimensions"]})
        return says()

    client = SimpleNamespace(get_metric_data=get_metric_data)
    monkeypatch.setattr(aws, "cloudwatch", lambda: client)
    for variant in ("large", "small", "small", ""):
        cloudwatch.measured(demo, Range.WEEK, NOW, variant)
    assert [one["VariantName"] for one in asked] == ["large", "small", "AllTraffic"]
