"""What CloudWatch and Logs say of an endpoint, read as a client reads them."""

import datetime as dt
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from localaws.telemetry import OF_MULTI_MODEL, ProcessMeter
from localaws.tests.conftest import Hosting
from localaws.tests.servers import wait_for


def total(cloudwatch, endpoint, name, stat="Sum", namespace="AWS/SageMaker"):
    now = dt.datetime.now(dt.UTC)
    query = {
        "Id": "q",
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": name,
                "Dimensions": [
                    {"Name": "EndpointName", "Value": endpoint},
                    {"Name": "VariantName", "Value": "AllTraffic"},
                ],
            },
            "Period": 3600,
            "Stat": stat,
        },
    }
    (result,) = cloudwatch.get_metric_data(
        MetricDataQueries=[query],
        StartTime=now - dt.timedelta(minutes=30),
        EndTime=now + dt.timedelta(minutes=1),
    )["MetricDataResults"]
    return result["Values"][0] if result["Values"] else None


def test_cloudwatch_counts_what_happened(start, tmp_path):
    hosting = Hosting(start("--metrics-seconds", "0.5"), "telemetry")
    hosting.put_model(tmp_path, "a.tar.gz", load_seconds=0.2, invoke_seconds=0.1)
    hosting.put_model(tmp_path, "b.tar.gz")
    hosting.create("counted", Environment={"SAGEMAKER_TINY_CAPACITY": "1"})
    for target in ("a.tar.gz", "a.tar.gz", "a.tar.gz", "b.tar.gz"):
        hosting.invoke("counted", target)
    for target, body in (("b.tar.gz", b"fail"), ("none.tar.gz", b"x")):
        with pytest.raises(ClientError):
            hosting.invoke("counted", target, body)

    cloudwatch = hosting.process.client("cloudwatch")

    def declared(name, stat="Sum", namespace="AWS/SageMaker"):
        return total(cloudwatch, "counted", name, stat, namespace)

    assert declared("Invocations") == 6
    assert declared("InvocationsPerInstance") == 6
    assert declared("Invocation5XXErrors") == 1
    assert declared("Invocation4XXErrors") == 1
    assert declared("ModelCacheHit") == 3
    assert declared("ModelCacheHit", "Average") == 0.5
    assert declared("ModelLatency", "Maximum") >= 100_000  # microseconds
    assert 0 < declared("OverheadLatency", "Minimum") < 1_000_000
    assert declared("ModelLoadingTime", "SampleCount") == 2
    assert declared("ModelLoadingTime", "Maximum") >= 200_000
    assert declared("ModelDownloadingTime", "SampleCount") == 2
    assert declared("ModelUnloadingTime", "SampleCount") == 1
    assert declared("ModelLoadingWaitTime", "Maximum") >= 200_000
    assert declared("ModelCacheHit", "p50") == 0
    assert declared("ModelCacheHit", "p99") == 1
    assert declared("ModelLatency", "Minimum") <= declared("ModelLatency", "p50")
    assert declared("ModelLatency", "p50") <= declared("ModelLatency", "p99.9")
    assert declared("ModelLatency", "p100") == declared("ModelLatency", "Maximum")
    slowest = declared("ModelLoadingTime", "Maximum")
    assert declared("ModelLoadingTime", "p90") == pytest.approx(slowest, rel=0.005)

    instances = "/aws/sagemaker/Endpoints"
    wait_for(lambda: declared("LoadedModelCount", "Maximum", instances) == 1)
    for name in ("CPUUtilization", "MemoryUtilization", "DiskUtilization"):
        assert declared(name, "Average", instances) >= 0
        assert declared(name, "p50", instances) >= 0
    assert declared("MemoryUtilization", "Maximum", instances) > 0

    now = dt.datetime.now(dt.UTC)
    question = {
        "Namespace": "AWS/SageMaker",
        "MetricName": "ModelLatency",
        "Dimensions": [
            {"Name": "EndpointName", "Value": "counted"},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        "Period": 3600,
        "StartTime": now - dt.timedelta(minutes=30),
        "EndTime": now + dt.timedelta(minutes=1),
    }
    (point,) = cloudwatch.get_metric_statistics(
        **question, Statistics=["Maximum"], ExtendedStatistics=["p50", "p100"]
    )["Datapoints"]
    assert point["ExtendedStatistics"]["p100"] == point["Maximum"]
    assert 0 < point["ExtendedStatistics"]["p50"] <= point["Maximum"]
    with pytest.raises(ClientError, match="tm99 is not offered"):
        declared("ModelLatency", "tm99")

    listed = cloudwatch.list_metrics(Namespace="AWS/SageMaker")["Metrics"]
    assert {"Invocations", "ModelLatency"} <= {metric["MetricName"] for metric in listed}


def test_invocations_per_instance_are_a_part_of_each(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name, count=4)  # two are real: Describe says four
    for _ in range(6):
        hosting.invoke(name, "a.tar.gz")
    cloudwatch = hosting.process.client("cloudwatch")
    assert total(cloudwatch, name, "InvocationsPerInstance") == 1.5
    hosting.delete(name)


def test_a_single_model_has_no_metrics_of_multi_model_endpoints(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    url = f"s3://{hosting.bucket}/models/a.tar.gz"
    hosting.create(name, Mode="SingleModel", ModelDataUrl=url)
    hosting.invoke(name, None)
    cloudwatch = hosting.process.client("cloudwatch")
    listed = cloudwatch.list_metrics(Dimensions=[{"Name": "EndpointName", "Value": name}])
    names = {metric["MetricName"] for metric in listed["Metrics"]}
    assert "Invocations" in names
    assert not names & OF_MULTI_MODEL
    hosting.delete(name)


def test_logs_hold_the_containers_lines(hosting, name, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name)
    hosting.invoke(name, "a.tar.gz")
    logs = hosting.process.client("logs")
    group = f"/aws/sagemaker/Endpoints/{name}"
    (instance,) = hosting.process.instances(name)
    (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert stream["logStreamName"] == f"AllTraffic/{instance['instance']}"

    def found():
        events = logs.filter_log_events(logGroupName=group, filterPattern="invoke")["events"]
        return any("POST /models/" in event["message"] for event in events)

    wait_for(found, 10, "the lines of the call")  # they are read 20 times a second
    hosting.delete(name)
    assert logs.describe_log_streams(logGroupName=group)["logStreams"]  # stays, as on AWS


def test_a_container_is_measured_whatever_the_names_of_other_programs(tmp_path):
    # Of a longer name the kernel keeps 15 bytes, which here end within a letter.
    other = tmp_path / "a한글프로그램"
    shutil.copy("/bin/sleep", other)
    with subprocess.Popen([other, "600"]) as running:
        try:
            name = Path(f"/proc/{running.pid}/comm")
            wait_for(lambda: name.read_bytes() == other.name.encode()[:15] + b"\n")
            assert ProcessMeter(os.getsid(0)).memory_bytes() > 0
        finally:
            running.kill()
