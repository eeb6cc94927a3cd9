"""GetMetricData looks at the metrics that it is asked for alone."""

import datetime as dt

from localaws.telemetry import import_moto

NOW = dt.datetime(2026, 5, 4, 12, 0, tzinfo=dt.UTC).replace(tzinfo=None)  # as moto keeps it


class Untouchable:
    """A datum of a metric that nobody asks for: whoever reads more than its name fails."""

    namespace, name = "localaws/ContainerMetrics", "mme_model_calls_total"


def test_a_query_does_not_look_at_other_metrics():
    import_moto()
    from moto.cloudwatch.models import CloudWatchBackend

    from localaws.moto_percentiles import Datum

    backend = CloudWatchBackend("ap-northeast-2", "123456789012")
    dimensions = [{"Name": "EndpointName", "Value": "e"}]
    datum = Datum(
        namespace="AWS/SageMaker",
        name="Invocations",
        dimensions=dimensions,
        timestamp=NOW,
        unit="None",
    )
    datum.add(4.0)
    backend.metric_data = [Untouchable(), datum, Untouchable()]
    query = {
        "Id": "q",
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/SageMaker",
                "MetricName": "Invocations",
                "Dimensions": dimensions,
            },
            "Period": 60,
            "Stat": "Sum",
        },
    }
    hour = dt.timedelta(hours=1)
    (found,) = backend.get_metric_data([query], NOW - hour, NOW + hour)
    assert [float(value) for value in found["values"]] == [4.0]
    assert len(backend.metric_data) == 3, "what others ask for is still there"
