"""What containers tell: on the admin address, and in CloudWatch by detailed observability."""

import datetime as dt
import json
import os
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from prometheus_client.parser import text_string_to_metric_families

from localaws import rules, scraping
from localaws.prometheus import UP, parse
from localaws.tests.servers import KEY, REGION, SECRET, wait_for

PATH = "/server/metrics"
TELLS = {
    "Environment": {"SAGEMAKER_TINY_METRICS": PATH},
    "ContainerMetricsConfig": {"MetricsEndpoints": [{"MetricsEndpointPath": PATH}]},
}


def get(local, path, headers):
    """Status, content type and body."""
    request = urllib.request.Request(local.url + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def signed(local, path, service="localaws"):
    request = AWSRequest("GET", local.url + path)
    SigV4Auth(Credentials(KEY, SECRET), service, REGION).add_auth(request)
    return dict(request.headers.items())


def state(pid):
    """The state of a process, a letter (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def page(local, endpoint):
    """Each sample of the page of an endpoint: name → [(labels, value)]."""
    path = f"/_localaws/endpoints/{endpoint}/metrics"
    status, content_type, text = get(local, path, signed(local, path))
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_the_instances_of_an_endpoint_tell_on_one_page(hosting, name, tmp_path):
    local = hosting.process
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name, count=2, **TELLS)
    for _ in range(3):
        hosting.invoke(name, "a.tar.gz")
    ids = {f"AllTraffic/{one['instance']}" for one in local.instances(name)}
    assert len(ids) == 2
    found = page(local, name)
    assert {labels["instance"] for labels, _ in found["tiny_models"]} == ids
    assert {labels["instance"]: value for labels, value in found[UP]} == dict.fromkeys(ids, 1.0)
    (called,) = found["tiny_calls_total"]
    assert called[0]["target_model"] == "a.tar.gz"
    assert called[1] == 3

    # One that does not answer is left out, and said to be.
    silent, other = local.instances(name)
    os.killpg(silent["pid"], signal.SIGSTOP)
    try:
        wait_for(lambda: state(silent["pid"]) == "T", 10, "its stop")
        found = page(local, name)
    finally:
        os.killpg(silent["pid"], signal.SIGCONT)
    ups = {labels["instance"]: value for labels, value in found[UP]}
    assert ups == {
        f"AllTraffic/{silent['instance']}": 0.0,
        f"AllTraffic/{other['instance']}": 1.0,
    }
    assert [labels["instance"] for labels, _ in found["tiny_models"]] == [
        f"AllTraffic/{other['instance']}"
    ]


def test_a_container_without_a_page_leaves_a_page(hosting, name):
    hosting.create(name)  # it answers GET /metrics with something else
    found = page(hosting.process, name)
    assert [value for _, value in found.pop(UP)] == [0.0]
    assert found == {}


def test_the_page_is_for_who_signs(hosting, name):
    local = hosting.process
    hosting.create(name, **TELLS)
    path = f"/_localaws/endpoints/{name}/metrics"
    for headers in ({}, {"X-Localaws-Token": "x"}, signed(local, path, "sagemaker")):
        status, _, text = get(local, path, headers)
        assert status == 403, text
        assert "tiny" not in text
    assert get(local, path, {"X-Localaws-Token": local.token})[0] == 200


def test_an_unknown_endpoint_is_said_to_be_unknown(local):
    path = "/_localaws/endpoints/nobody/metrics"
    status, _, text = get(local, path, signed(local, path))
    assert status == 404
    assert json.loads(text) == {"message": 'Could not find endpoint "nobody".'}


# --- CloudWatch ------------------------------------------------------------------------------


def test_growth_is_published_and_not_the_total():
    scrapes = scraping.Scrapes()

    def told(text):
        return {
            (one.name, one.labels): (one.value, one.unit) for one in scrapes.changes(parse(text))
        }

    first = b"""# TYPE calls_total counter
calls_total{m="a"} 3
calls_total{m=""} 9
# TYPE took_seconds histogram
took_seconds_bucket{le="+Inf"} 3
took_seconds_sum 1.5
took_seconds_count 3
# TYPE held_bytes gauge
held_bytes 7
# TYPE last_call_timestamp_seconds gauge
last_call_timestamp_seconds 1700000000
# TYPE odd gauge
odd NaN
"""
    calls = ("calls_total", (("m", "a"),))
    assert told(first) == {
        calls: (3.0, "Count"),
        ("took_seconds_sum", ()): (1.5, "Seconds"),
        ("took_seconds_count", ()): (3.0, "Count"),
        ("held_bytes", ()): (7.0, "Bytes"),
    }
    assert told(first) == {("held_bytes", ()): (7.0, "Bytes")}, "nothing has grown"
    more = first.replace(b'calls_total{m="a"} 3', b'calls_total{m="a"} 5')
    assert told(more)[calls] == (2.0, "Count")
    again = first.replace(b'calls_total{m="a"} 3', b'calls_total{m="a"} 1')
    assert told(again)[calls] == (1.0, "Count"), "it began anew"


@pytest.mark.parametrize(
    ("config", "endpoint", "path", "seconds"),
    [
        ({}, None, "/metrics", None),  # of a configuration that is older than the feature
        ({"EnableDetailedObservability": True}, None, "/metrics", 60),
        ({"EnableDetailedObservability": False}, None, "/metrics", None),
        (
            {"EnableDetailedObservability": True, "MetricPublishFrequencyInSeconds": 30},
            {"MetricsEndpointPath": "/server/metrics"},
            "/server/metrics",
            30,
        ),
        (
            {"EnableDetailedObservability": True, "MetricPublishFrequencyInSeconds": 30},
            {"MetricsEndpointPath": "/m", "MetricPublishFrequencyInSeconds": 10},
            "/m",
            10,
        ),
    ],
)
def test_which_page_is_read_how_often(config, endpoint, path, seconds):
    container = {"ContainerMetricsConfig": {"MetricsEndpoints": [endpoint] if endpoint else []}}
    found = rules.scraping({"MetricsConfig": config}, container)
    assert found == {"path": path, "seconds": seconds}


def test_detailed_observability_is_on_where_nothing_is_said(hosting, name):
    hosting.create(name)
    described = hosting.sagemaker.describe_endpoint_config(EndpointConfigName=name)
    assert described["MetricsConfig"] == {"EnableDetailedObservability": True}


def published(cloudwatch, endpoint):
    """Names and dimensions of what was published of an endpoint."""
    listed = cloudwatch.list_metrics(
        Namespace=scraping.NAMESPACE, Dimensions=[{"Name": "EndpointName", "Value": endpoint}]
    )["Metrics"]
    return {one["MetricName"]: one["Dimensions"] for one in listed}


def test_what_containers_tell_is_published_where_it_is_wanted(hosting, name, tmp_path):
    """10 s is the shortest time between two readings that AWS allows."""
    hosting.put_model(tmp_path, "a.tar.gz")
    cloudwatch = hosting.process.client("cloudwatch")
    endpoints = {True: f"{name[:30]}-on", False: f"{name[:30]}-off"}
    for wanted, endpoint in endpoints.items():
        hosting.sagemaker.create_model(
            ModelName=endpoint,
            ExecutionRoleArn="arn:aws:iam::123456789012:role/r-execution",
            PrimaryContainer={
                "Image": "tiny",
                "Mode": "MultiModel",
                "ModelDataUrl": f"s3://{hosting.bucket}/models/",
            }
            | TELLS,
        )
        hosting.sagemaker.create_endpoint_config(
            EndpointConfigName=endpoint,
            ProductionVariants=[
                {
                    "VariantName": "AllTraffic",
                    "ModelName": endpoint,
                    "InstanceType": "ml.m5.xlarge",
                    "InitialInstanceCount": 1,
                }
            ],
            MetricsConfig={
                "EnableDetailedObservability": wanted,
                "MetricPublishFrequencyInSeconds": 10,
            },
        )
        hosting.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=endpoint)
    for endpoint in reversed(endpoints.values()):  # the one that is not read is older
        assert hosting.settled(endpoint)["EndpointStatus"] == "InService"
        for _ in range(4):
            hosting.invoke(endpoint, "a.tar.gz")
    told = wait_for(lambda: published(cloudwatch, endpoints[True]), 40, "what the container tells")
    assert set(told) == {"tiny_calls_total", "tiny_models"}
    dimensions = {one["Name"]: one["Value"] for one in told["tiny_calls_total"]}
    assert dimensions == {
        "EndpointName": endpoints[True],
        "VariantName": "AllTraffic",
        "target_model": "a.tar.gz",
    }
    now = dt.datetime.now(dt.UTC)
    (point,) = cloudwatch.get_metric_statistics(
        Namespace=scraping.NAMESPACE,
        MetricName="tiny_calls_total",
        Dimensions=told["tiny_calls_total"],
        StartTime=now - dt.timedelta(minutes=30),
        EndTime=now + dt.timedelta(minutes=1),
        Period=3600,
        Statistics=["Sum"],
    )["Datapoints"]
    assert (point["Sum"], point["Unit"]) == (4.0, "Count")
    assert published(cloudwatch, endpoints[False]) == {}
