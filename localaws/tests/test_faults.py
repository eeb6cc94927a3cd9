"""Faults on order, as clients meet them."""

import subprocess
import sys
import time
import urllib.error

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from localaws.faults import FaultPlan, InvalidFaultPlan
from localaws.tests.servers import ROLE, ROOT


@pytest.fixture
def order(local):
    """Order faults; none are left behind."""

    def put(*faults, method="PUT"):
        return local.admin("faults", method, {"faults": faults})["faults"]

    yield put
    put(method="DELETE")


def code(call):
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


def test_every_nth_call_is_throttled(hosting, order):
    order({"action": "throttle", "operation": "ListModels", "every": 3, "times": 0})
    seen = []
    for _ in range(7):
        try:
            hosting.sagemaker.list_models()
            seen.append("ok")
        except ClientError as error:
            seen.append(error.response["Error"]["Code"])
    assert seen == ["ok", "ok", "ThrottlingException"] * 2 + ["ok"]
    hosting.sagemaker.list_endpoints()
    # A client that retries does not notice.
    patient = hosting.process.client("sagemaker", retries={"mode": "standard", "max_attempts": 3})
    for _ in range(4):
        patient.list_models()


def test_an_endpoint_finds_no_capacity(hosting, name, order):
    order({"action": "capacity", "operation": "CreateEndpoint"})
    hosting.create(name, wait=False)
    found = hosting.settled(name)
    assert found["EndpointStatus"] == "Failed"
    assert "InsufficientInstanceCapacity" in found["FailureReason"]
    hosting.delete(name)
    hosting.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert hosting.settled(name)["EndpointStatus"] == "InService"
    hosting.delete(name)


def test_an_image_never_becomes_healthy_and_an_update_to_it_rolls_back(hosting, name, order):
    hosting.create(name)
    order({"action": "unhealthy", "name": "*:broken"})
    container = {"Image": "i:broken", "Mode": "MultiModel", "ModelDataUrl": "s3://b/p/"}
    client = hosting.sagemaker
    client.create_model(ModelName=f"{name}-2", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {"VariantName": "AllTraffic", "ModelName": f"{name}-2"}
    variant |= {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    client.create_endpoint_config(EndpointConfigName=f"{name}-2", ProductionVariants=[variant])
    client.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-2")
    found = hosting.settled(name)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", name)
    assert found["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health "
        "check. Please check CloudWatch logs for this endpoint."
    )
    order()
    client.update_endpoint(EndpointName=name, EndpointConfigName=f"{name}-2")
    assert hosting.settled(name)["EndpointConfigName"] == f"{name}-2"
    hosting.delete(name)


@pytest.mark.parametrize("before", [False, True])
def test_a_connection_is_dropped_after_or_before_acting(hosting, name, order, before):
    order({"action": "drop", "operation": "CreateModel", "name": name, "before": before})
    container = {"Image": "i", "Mode": "MultiModel", "ModelDataUrl": "s3://b/p/"}
    create = hosting.sagemaker.create_model
    with pytest.raises(ConnectionClosedError):
        create(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    models = hosting.sagemaker.list_models(NameContains=name)["Models"]
    assert len(models) == (0 if before else 1)


def test_calls_are_delayed_and_refused(hosting, name, order, tmp_path):
    hosting.put_model(tmp_path, "a.tar.gz")
    hosting.create(name)
    order(
        {"action": "delay", "operation": "InvokeEndpoint", "seconds": 0.7},
        {
            "action": "error",
            "operation": "InvokeEndpoint",
            "name": name,
            "skip": 1,
            "code": "ServiceUnavailable",
            "status": 503,
            "message": "away",
        },
    )
    start = time.monotonic()
    hosting.invoke(name, "a.tar.gz")
    assert time.monotonic() - start >= 0.7
    assert code(lambda: hosting.invoke(name, "a.tar.gz")) == "ServiceUnavailable"
    hosting.invoke(name, "a.tar.gz")
    assert [fault["struck"] for fault in order()] == []
    hosting.delete(name)


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (b"nonsense", "A plan is"),
        (b'{"faults": [{"action": "explode"}]}', "action is one of"),
        (b'{"faults": [{"action": "drop", "when": 1}]}', "has no when"),
        (b'{"faults": [{"action": "drop", "every": 0}]}', "1 or more"),
        (b'{"faults": [{"action": "drop", "skip": "one"}]}', "skip is a whole number"),
        (b'{"faults": [{"action": "drop", "every": 1.5}]}', "every is a whole number"),
        (b'{"faults": [{"action": "drop", "before": 1}]}', "before is true or false"),
        (b'{"faults": [{"action": "drop", "name": 5}]}', "name is a text"),
        (b'{"faults": [{"action": "delay", "seconds": -1}]}', "seconds is 0 or more"),
        (b'{"faults": [{"action": "delay", "seconds": 1e999}]}', "seconds is 0 or more"),
        (b'{"faults": [{"action": "error", "status": 200}]}', "400 to 599"),
        (b'{"faults": [{"action": "drop", "operation": "InvokeEndpont"}]}', "is one of"),
        (b'{"faults": [{"action": "capacity", "operation": "*"}]}', "Only CreateEndpoint"),
        (b'{"faults": [{"action": "unhealthy", "operation": "ListModels"}]}', "of no operation"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(plan, sentence):
    with pytest.raises(InvalidFaultPlan, match=sentence):
        FaultPlan().replace(plan)


def test_only_the_creation_of_an_endpoint_finds_no_capacity():
    plan = FaultPlan()
    plan.replace(b'{"faults": [{"action": "capacity"}]}')
    assert not plan.next("CreateModel")
    assert plan.next("CreateEndpoint")


def test_a_call_that_fails_is_dropped_too(hosting, order):
    order({"action": "drop", "operation": "InvokeEndpoint"})
    with pytest.raises(ConnectionClosedError):
        hosting.invoke("no-such", "a.tar.gz")
    assert code(lambda: hosting.invoke("no-such", "a.tar.gz")) == "ValidationError"


def test_the_admin_page_says_what_is_wrong(local):
    with pytest.raises(urllib.error.HTTPError) as caught:
        local.admin("faults", "PUT", {"faults": [{}]})
    assert caught.value.code == 400
    assert "action is one of" in caught.value.read().decode()


def test_a_plan_file_is_read_at_the_start(tmp_path):
    command = [sys.executable, "-m", "localaws", "--data", str(tmp_path), "--faults"]
    missing = [*command, str(tmp_path / "none.json"), "--container-command", "x"]
    result = subprocess.run(missing, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert "cannot be read" in result.stderr
    (tmp_path / "plan.json").write_text('{"faults": [{"action": "throttle"}]}')
    assert FaultPlan(tmp_path / "plan.json").describe()["faults"][0]["action"] == "throttle"
