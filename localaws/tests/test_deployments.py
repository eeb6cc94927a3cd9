"""UpdateEndpoint by a policy, and alarms that roll it back, by a clock that is put ahead."""

import datetime as dt

import pytest
from botocore.exceptions import ClientError

from localaws.deployments import Rollout, rollout
from localaws.tests.conftest import tiny_containers
from localaws.tests.servers import ROLE, wait_for
from tests.artifacts import pack

HOUR = 3600
PERCENT = {"Type": "CAPACITY_PERCENT", "Value": 50}


def blue_green(kind, wait=HOUR, **more):
    traffic = {"Type": kind, "WaitIntervalInSeconds": wait} | more
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": traffic}}


@pytest.mark.parametrize(
    ("config", "shares"),
    [
        (None, (1.0,)),
        (blue_green("ALL_AT_ONCE"), (1.0,)),
        (blue_green("CANARY", CanarySize=PERCENT | {"Value": 10}), (0.1, 1.0)),
        (blue_green("CANARY", CanarySize={"Type": "INSTANCE_COUNT", "Value": 1}), (0.25, 1.0)),
        (blue_green("LINEAR", LinearStepSize=PERCENT | {"Value": 40}), (0.4, 0.8, 1.0)),
        (
            {"RollingUpdatePolicy": {"MaximumBatchSize": PERCENT, "WaitIntervalInSeconds": HOUR}},
            (0.5, 1.0),
        ),
    ],
)
def test_what_share_of_the_calls_the_new_instances_get(config, shares):
    plan = rollout(config, [4])
    assert isinstance(plan, Rollout)
    assert plan.shares == pytest.approx(shares)


@pytest.fixture(scope="module")
def local(tmp_path_factory, s3_url):
    """One of this module's own, as its clock is put ahead."""
    with tiny_containers(tmp_path_factory.mktemp("localaws"), s3_url) as process:
        yield process


@pytest.fixture
def ahead(hosting):
    def put(seconds):
        hosting.process.admin("clock", "PUT", {"ahead": seconds})

    return put


@pytest.fixture
def moved(hosting, name, tmp_path):
    """An endpoint, and a configuration whose model answers otherwise."""
    hosting.put_model(tmp_path, "a.tar.gz", answer="old")
    hosting.create(name)
    path = tmp_path / "new.tar.gz"
    pack(path, {"answer": b"new"})
    hosting.s3.upload_file(str(path), hosting.bucket, "other/a.tar.gz")
    container = {
        "Image": "tiny", "Mode": "MultiModel", "ModelDataUrl": f"s3://{hosting.bucket}/other/",
    }  # fmt: skip
    hosting.sagemaker.create_model(
        ModelName=name + "-2", ExecutionRoleArn=ROLE, PrimaryContainer=container
    )
    hosting.create_config(name + "-2", model=name + "-2")

    def move(config):
        hosting.sagemaker.update_endpoint(
            EndpointName=name, EndpointConfigName=name + "-2", DeploymentConfig=config
        )

    return move


def answers(hosting, name, calls=40):
    bodies = [hosting.invoke(name, "a.tar.gz")["Body"] for _ in range(calls)]
    return {word for word in ("old", "new") if any(word.encode() in body for body in bodies)}


def status(hosting, name):
    return hosting.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]


def test_a_canary_gets_some_calls_and_then_all(hosting, name, moved, ahead):
    moved(blue_green("CANARY", CanarySize=PERCENT))
    wait_for(lambda: "new" in answers(hosting, name), 30, "the canary")
    assert answers(hosting, name) == {"old", "new"}
    assert status(hosting, name) == "Updating"
    ahead(HOUR)
    found = hosting.settled(name)
    assert (found["EndpointConfigName"], found.get("FailureReason")) == (name + "-2", None)
    assert answers(hosting, name) == {"new"}


def test_the_old_instances_stay_until_the_wait_for_their_end_is_over(hosting, name, moved, ahead):
    config = blue_green("ALL_AT_ONCE", wait=0)
    config["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] = HOUR
    before = {one["pid"] for one in hosting.process.instances(name)}
    moved(config)
    wait_for(lambda: answers(hosting, name, 5) == {"new"}, 30, "the new instances")
    assert {one["pid"] for one in hosting.process.instances(name)} == before
    assert status(hosting, name) == "Updating"
    ahead(HOUR)
    assert hosting.settled(name)["EndpointConfigName"] == name + "-2"


def put_alarm(hosting, endpoint, alarm, **more):
    cloudwatch = hosting.process.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/SageMaker",
        MetricName="Invocation5XXErrors",
        Dimensions=[
            {"Name": "EndpointName", "Value": endpoint},
            {"Name": "VariantName", "Value": "AllTraffic"},
        ],
        **{
            "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        } | more,
    )  # fmt: skip

    def state():
        (found,) = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
        return found["StateValue"]

    return cloudwatch, state


def test_an_alarm_of_errors_rolls_back_while_calls_go_on(hosting, name, moved, ahead):
    _cloudwatch, state = put_alarm(hosting, name, "errors-" + name)
    config = blue_green("LINEAR", LinearStepSize=PERCENT) | {
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors-" + name}]}
    }
    moved(config)
    wait_for(lambda: "new" in answers(hosting, name), 30, "the first step")
    for _ in range(3):
        with pytest.raises(ClientError):
            hosting.invoke(name, "a.tar.gz", b"fail")
    ahead(60)
    found = hosting.settled(name)
    assert state() == "ALARM"
    assert found["EndpointConfigName"] == name
    assert "errors-" + name in found["FailureReason"]
    assert answers(hosting, name) == {"old"}
    ahead(240)  # CloudWatch looks at some minutes before where the last has no data
    assert state() == "INSUFFICIENT_DATA"


def test_an_alarm_that_somebody_sets_rolls_back_too(hosting, name, moved):
    cloudwatch, state = put_alarm(hosting, name, "by-hand-" + name)
    moved(
        blue_green("ALL_AT_ONCE")
        | {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "by-hand-" + name}]}}
    )
    wait_for(lambda: answers(hosting, name, 5) == {"new"}, 30, "the new instances")
    hosting.process.begin_minute()  # the state is the metric's again when it is over
    cloudwatch.set_alarm_state(
        AlarmName="by-hand-" + name, StateValue="ALARM", StateReason="a test"
    )
    wait_for(lambda: status(hosting, name) == "RollingBack", 10, "the roll back to be shown")
    assert answers(hosting, name, 5) == {"old"}
    found = hosting.settled(name)
    assert (found["EndpointConfigName"], state()) == (name, "ALARM")
    assert "by-hand-" + name in found["FailureReason"]
    assert answers(hosting, name) == {"old"}


@pytest.mark.parametrize(
    ("more", "data", "wanted"),
    [
        ({}, [], "INSUFFICIENT_DATA"),
        ({"TreatMissingData": "notBreaching"}, [], "OK"),
        ({"TreatMissingData": "breaching"}, [], "ALARM"),
        ({"EvaluationPeriods": 3, "DatapointsToAlarm": 2}, [5, 0, 5], "ALARM"),
        ({"EvaluationPeriods": 3, "DatapointsToAlarm": 2}, [5, 0, 0], "OK"),
        ({"EvaluationPeriods": 2}, [5, 5], "ALARM"),
        ({"Statistic": "Maximum", "ComparisonOperator": "LessThanThreshold"}, [0], "ALARM"),
        ({"Period": 180}, [3], "ALARM"),
    ],
)
def test_an_alarm_has_the_state_that_its_metric_says(hosting, name, ahead, more, data, wanted):
    cloudwatch, state = put_alarm(
        hosting, name, f"alarm-{name}"[:100], **{"TreatMissingData": "missing"} | more
    )
    begin = hosting.process.admin("clock")["now"]
    for back, value in enumerate(data):
        cloudwatch.put_metric_data(
            Namespace="AWS/SageMaker",
            MetricData=[{
                "MetricName": "Invocation5XXErrors",
                "Value": value,
                "Timestamp": dt.datetime.fromtimestamp(begin - 60 * back, dt.UTC),
                "Dimensions": [
                    {"Name": "EndpointName", "Value": name},
                    {"Name": "VariantName", "Value": "AllTraffic"},
                ],
            }],
        )  # fmt: skip
    ahead(180 - begin % 180 if more.get("Period") else 60 - begin % 60 + 1)
    assert state() == wanted


def test_what_a_deployment_may_not_be(hosting, name, moved):
    with pytest.raises(ClientError, match="Could not find alarm"):
        moved(
            blue_green("ALL_AT_ONCE")
            | {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "none"}]}}
        )
    variants = [
        {
            "VariantName": variant, "ModelName": name, "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1, "InitialVariantWeight": 1,
        }
        for variant in ("AllTraffic", "other")
    ]  # fmt: skip
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName=name + "-3", ProductionVariants=variants
    )
    rolling = {"RollingUpdatePolicy": {"MaximumBatchSize": PERCENT, "WaitIntervalInSeconds": 0}}
    for config, said in (
        (rolling, "one production variant only"),
        (blue_green("ALL_AT_ONCE"), "names of the production variants stay"),
    ):
        with pytest.raises(ClientError, match=said):
            hosting.sagemaker.update_endpoint(
                EndpointName=name, EndpointConfigName=name + "-3", DeploymentConfig=config
            )
    assert status(hosting, name) == "InService"
